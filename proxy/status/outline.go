package status

// Outline is of a configuration what a reload compares. What it says of
// connections is as of now, and 0 for a configuration that nobody runs.
type Outline struct {
	Workers      int               `json:"workers"`
	DrainTimeout string            `json:"drain_timeout"`
	Listeners    []ListenerOutline `json:"listeners"`
	Clusters     []ClusterOutline  `json:"clusters"`
}

// ListenerOutline is a listener.
type ListenerOutline struct {
	Name         string         `json:"name"`
	Position     string         `json:"position"`  // file:line
	Addresses    []string       `json:"addresses"` // as they are written
	Digest       string         `json:"digest"`    // of all but addresses, chains and on_change
	OnChange     string         `json:"on_change"` // keep drain close
	FilterChains []ChainOutline `json:"filter_chains"`
}

// ChainOutline is a filter chain.
type ChainOutline struct {
	Name     string `json:"name"`
	Default  bool   `json:"default,omitempty"`
	Position string `json:"position"`           // file:line
	Digest   string `json:"digest"`             // of what its connections could feel
	Material string `json:"material,omitempty"` // of the content of its certificate files
	OnChange string `json:"on_change"`          // keep drain close
	Active   int64  `json:"active"`             // connections now
}

// ClusterOutline is a cluster.
type ClusterOutline struct {
	Name              string   `json:"name"`
	Position          string   `json:"position"` // file:line
	Digest            string   `json:"digest"`
	Endpoints         []string `json:"endpoints"`           // that are written down
	OnEndpointRemoved string   `json:"on_endpoint_removed"` // keep drain close
	Active            int64    `json:"active"`              // connections now
}
