package status

// Question is a connection that need not exist: where would it go?
type Question struct {
	Listener             string   `json:"listener"`
	ServerName           string   `json:"server_name,omitempty"`
	TransportProtocol    string   `json:"transport_protocol,omitempty"` // tls raw_buffer; "": tls when there is a server name or an application protocol
	ApplicationProtocols []string `json:"application_protocols,omitempty"`
	Source               string   `json:"source,omitempty"`        // address, address:port, or "unix:"; "": one on the machine itself
	DirectSource         string   `json:"direct_source,omitempty"` // the peer's, when a PROXY header gives the source; "": Source, or where headers are required the first of those trusted to send them
	Destination          string   `json:"destination,omitempty"`   // address:port; "": the listener's first
	JA4                  string   `json:"ja4,omitempty"`
	Hello                []byte   `json:"hello,omitempty"` // a captured ClientHello, with its record header; in place of names and transport
}

// Explanation is where a connection goes and why: listener, each filter chain,
// route, cluster, endpoints, and what is sent there.
type Explanation struct {
	Question    Question      `json:"question"` // with what was filled in
	Listener    string        `json:"listener"`
	Position    string        `json:"position"`         // file:line
	Hello       string        `json:"hello,omitempty"`  // what became of reading it: the record's word; "": it is not read
	HelloNeeded bool          `json:"hello_needed"`     // whether the listener waits for it from this source
	Admission   string        `json:"admission"`        // "allowed", or why it is refused before or after the match
	Chains      []Verdict     `json:"filter_chains"`    // in the order of the configuration
	Outcome     string        `json:"outcome"`          // forward reset close tls_alert
	Reason      string        `json:"reason"`           // the record's reason when it is not forwarded
	Detail      string        `json:"detail,omitempty"` // of the reason, in words, as the record's error
	FilterChain string        `json:"filter_chain,omitempty"`
	TLS         string        `json:"tls,omitempty"` // passthrough terminated none
	Clusters    []Alternative `json:"clusters"`      // that may be chosen
	Sent        []string      `json:"sent"`          // what the endpoint gets, step by step, in words; "NAME: ..." where it depends on the cluster
}

// Verdict is what became of one filter chain. Exactly one of these holds: it
// won; Failed is not empty; LostBy is there.
type Verdict struct {
	FilterChain string     `json:"filter_chain"`
	Position    string     `json:"position"`
	Default     bool       `json:"default,omitempty"`
	Won         bool       `json:"won"`
	Failed      []Mismatch `json:"failed,omitempty"`
	LostBy      *Defeat    `json:"lost_by,omitempty"`
}

// Mismatch is a criterion that does not hold.
type Mismatch struct {
	Criterion string `json:"criterion"` // the configuration's word
	Got       string `json:"got"`
	Want      string `json:"want"`
}

// Defeat is the first criterion on which the winner is more specific.
type Defeat struct {
	Criterion string `json:"criterion"` // the configuration's word, "order", or "default_filter_chain" for that chain, which comes after all others
	Own       string `json:"own"`
	Winners   string `json:"winners"`
}

// Alternative is one cluster that the route may choose.
type Alternative struct {
	Cluster   string      `json:"cluster"`
	Position  string      `json:"position"`
	Weight    int         `json:"weight"`
	Share     float64     `json:"share"` // of connections like this one, 0 to 1; 1 when a hash has chosen it
	Policy    string      `json:"lb_policy"`
	Refusal   string      `json:"refusal,omitempty"` // why it would give no endpoint now, or not at once
	Outcome   string      `json:"outcome"`           // of a connection that is given to it: forward reset close tls_alert
	Reason    string      `json:"reason,omitempty"`  // the record's reason when it is not forwarded
	Endpoints []Candidate `json:"endpoints"`         // in the order of preference
}

// Candidate is an endpoint that the cluster might give.
type Candidate struct {
	Endpoint string `json:"endpoint"`
	Address  string `json:"address"`
	Rank     int    `json:"rank"` // from 1; equal ranks are equally likely; 0: it would not be chosen
	Weight   int    `json:"weight"`
	Priority int    `json:"priority"`
	Status   string `json:"status"`
	Outlier  string `json:"outlier"`
	Active   int64  `json:"active"`
	Why      string `json:"why,omitempty"` // it is not first, in words
}
