package status

// Listener is one listener of the running configuration.
type Listener struct {
	Name          string        `json:"name"`
	Position      string        `json:"position"`                 // file:line
	Addresses     []string      `json:"addresses"`                // with the ports that the kernel chose
	FilterChains  []FilterChain `json:"filter_chains"`            // in the order in which they win, the default chain last
	OnNoMatch     string        `json:"on_no_match"`              // reset close tls_alert
	ProxyProtocol string        `json:"proxy_protocol,omitempty"` // require optional
	Traffic       Traffic       `json:"traffic"`
}

// FilterChain is one filter chain of a listener.
type FilterChain struct {
	Name        string        `json:"name"`
	Position    string        `json:"position"` // file:line
	Default     bool          `json:"default,omitempty"`
	Match       Match         `json:"match"`
	MatchText   string        `json:"match_text"` // istioctl's grammar: "SNI: a,b; Trans: tls; App: h2; Addr: cidr:port; Source: cidr", or ALL
	TLS         string        `json:"tls"`        // passthrough terminated
	Destination []Destination `json:"destination"`
	Traffic     Traffic       `json:"traffic"`
}

// Match is the criteria of a filter chain; an empty one holds for everybody.
type Match struct {
	ServerNames          []string `json:"server_names,omitempty"`
	TransportProtocol    string   `json:"transport_protocol,omitempty"`
	ApplicationProtocols []string `json:"application_protocols,omitempty"`
	DestinationPort      uint16   `json:"destination_port,omitempty"`
	DestinationPrefixes  []string `json:"destination_prefix_ranges,omitempty"`
	SourcePrefixes       []string `json:"source_prefix_ranges,omitempty"`
	DirectSourcePrefixes []string `json:"direct_source_prefix_ranges,omitempty"`
	SourcePorts          []uint16 `json:"source_ports,omitempty"`
	JA4                  []string `json:"ja4,omitempty"`
}

// Destination is one cluster that a route may choose.
type Destination struct {
	Cluster string  `json:"cluster"`
	Weight  int     `json:"weight"`
	Share   float64 `json:"share"` // of the route's connections, 0 to 1
	Traffic Traffic `json:"traffic"`
}

// Route is where a filter chain's connections go. It has its chain's name.
type Route struct {
	Name             string        `json:"name"`
	Listener         string        `json:"listener"`
	Position         string        `json:"position"` // file:line
	Domains          []string      `json:"domains"`  // server names; "*" for a chain without
	MatchText        string        `json:"match_text"`
	Destination      []Destination `json:"destination"`
	HashOn           string        `json:"hash_on,omitempty"`
	IdleTimeout      string        `json:"idle_timeout"` // "0s": none, here and below
	HalfCloseTimeout string        `json:"half_close_timeout"`
	MaxDuration      string        `json:"max_downstream_connection_duration"`
}

// Traffic is what something has carried since the gateway started. The counts
// are kept through reloads for as long as the thing has its name.
type Traffic struct {
	Active        int64  `json:"active"`         // connections now
	Connections   uint64 `json:"connections"`    // in all
	BytesReceived uint64 `json:"bytes_received"` // from clients, as they flow
	BytesSent     uint64 `json:"bytes_sent"`     // to clients, as they flow
}
