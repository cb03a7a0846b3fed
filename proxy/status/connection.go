package status

import "time"

// Connection is a connection that is alive.
type Connection struct {
	ID              uint64    `json:"id"`    // that of its access record
	Phase           string    `json:"phase"` // setup relay resetting lingering
	Listener        string    `json:"listener"`
	Source          string    `json:"source"`
	DirectSource    string    `json:"direct_source,omitempty"` // when a PROXY header gave the source
	Destination     string    `json:"destination"`
	SNI             string    `json:"sni,omitempty"`
	ALPN            string    `json:"alpn,omitempty"` // the client's offer, joined by commas
	JA4             string    `json:"ja4,omitempty"`
	FilterChain     string    `json:"filter_chain,omitempty"`
	TLS             string    `json:"tls,omitempty"` // passthrough terminated none
	Cluster         string    `json:"cluster,omitempty"`
	Endpoint        string    `json:"endpoint,omitempty"` // its name
	EndpointAddress string    `json:"endpoint_address,omitempty"`
	Started         time.Time `json:"started"`
	Age             float64   `json:"age_ms"`
	Idle            float64   `json:"idle_ms"`                 // since the last byte
	BytesReceived   uint64    `json:"bytes_received"`          // from the client
	BytesSent       uint64    `json:"bytes_sent"`              // to the client
	ModeReceived    string    `json:"mode_received,omitempty"` // copy splice
	ModeSent        string    `json:"mode_sent,omitempty"`
	Generation      int       `json:"generation"` // of the process that owns it; the newest has the highest
}

// Connections is a page of live connections, in the order of their IDs.
type Connections struct {
	Connections []Connection `json:"connections"`
	Total       int          `json:"total"` // that are alive; how many pass the filter is not counted
	// Next is the "after" with which the next page is asked for; 0: this was the
	// last.
	Next uint64 `json:"next,omitempty"`
}

// ConnectionFilter says which connections are meant. The zero value means all.
type ConnectionFilter struct {
	SNI      string // as it is, or with a leading "*."
	Source   string // an address or a prefix
	Listener string
	Chain    string
	Cluster  string
	Endpoint string // name or address
	After    uint64 // only IDs above it
	// Generation is the process whose connections are meant: of one that is still
	// draining after an upgrade, they have IDs of their own; 0: the newest.
	Generation int
	Limit      int // at most so many; 0: DefaultLimit
}

// DefaultLimit is how many connections a page has when nothing else is asked
// for, MaxLimit the most that it may have.
const (
	DefaultLimit = 1000
	MaxLimit     = 10000
)
