package status

import "time"

// Cluster is one cluster of the running configuration.
type Cluster struct {
	Name           string   `json:"name"`
	Position       string   `json:"position"`  // file:line
	Type           string   `json:"type"`      // static, dns, file, or several joined by "+"
	Discovery      []string `json:"discovery"` // what is asked, as "dns a api.internal:8443"
	Policy         string   `json:"lb_policy"`
	Port           string   `json:"port"` // of its endpoints; "mixed" when they differ, "-" without any
	Endpoints      int      `json:"endpoints"`
	Healthy        int      `json:"healthy"` // that may get connections now
	MaxConnections int      `json:"max_connections"`
	MaxPending     int      `json:"max_pending"`
	Pending        int64    `json:"pending"`                // connections that wait for a place now
	TLS            string   `json:"tls,omitempty"`          // to endpoints: the name that is verified, "(client's)", or "not verified"; "": none
	HealthCheck    string   `json:"health_check,omitempty"` // tcp tls http
	Traffic        Traffic  `json:"traffic"`
}

// Endpoint is one endpoint of a cluster with its live state.
type Endpoint struct {
	Cluster        string  `json:"cluster"`
	Name           string  `json:"name"`
	Address        string  `json:"address"`
	Status         string  `json:"status"`               // healthy unhealthy unchecked drain maint
	State          string  `json:"state"`                // ready drain maint: what an operator set
	Health         string  `json:"health"`               // unchecked healthy unhealthy: what checks say
	Outlier        string  `json:"outlier"`              // ok ejected
	Serving        bool    `json:"serving"`              // it may get connections now
	Weight         int     `json:"weight"`               // in use
	WeightSet      bool    `json:"weight_set,omitempty"` // by an operator, in place of the configured one
	Priority       int     `json:"priority"`
	MaxConnections int     `json:"max_connections"`
	Attempts       uint64  `json:"attempts"`   // connects begun
	Failures       uint64  `json:"failures"`   // of them that failed by the endpoint's fault
	EarlyEnds      uint64  `json:"early_ends"` // connections that it ended before it had sent a byte
	Ejections      uint64  `json:"ejections"`
	LastCheck      *Check  `json:"last_check,omitempty"` // not there: it was not checked yet
	Traffic        Traffic `json:"traffic"`
}

// Check is the last active check of an endpoint.
type Check struct {
	Time   time.Time `json:"time"`
	Passed bool      `json:"passed"`
	Took   float64   `json:"took_ms"`
	Reason string    `json:"reason,omitempty"` // why it failed, in words
}

// Secret is a certificate, or a certificate authority, that is in use.
type Secret struct {
	Name        string    `json:"name"`          // the chain or cluster that uses it, as "listener/chain" or "cluster"
	Type        string    `json:"type"`          // "Cert Chain" or "CA"
	Status      string    `json:"status"`        // ACTIVE, or what is wrong with it
	Valid       bool      `json:"valid"`         // now
	Serial      string    `json:"serial_number"` // lower-case hexadecimal
	NotAfter    time.Time `json:"not_after"`
	NotBefore   time.Time `json:"not_before"`
	SANs        []string  `json:"sans"`
	Fingerprint string    `json:"fingerprint"` // SHA-256 of the certificate, lower-case hexadecimal
	File        string    `json:"file,omitempty"`
}
