package config

// Test is what the user expects of the configuration: what becomes of a
// connection. Loading it only checks that it makes sense; who can explain a
// connection runs it.
type Test struct {
	Name   string
	Pos    Pos
	Given  Given
	Expect Expect

	place Diagnostic // where it stands
}

// Given is a connection that need not exist. What is empty is left to whoever
// runs the test.
type Given struct {
	Listener             string
	TransportProtocol    TransportProtocol
	ServerName           string
	ApplicationProtocols []string
	Source               string // address, address:port or "unix:"
	DirectSource         string // the peer's, when a PROXY header gives Source; the same forms
	Destination          string // address:port or "unix:"
}

// Expect is what is to become of it. What is empty may be anything; at least one
// is not.
type Expect struct {
	Outcome     string // forward reset close tls_alert
	FilterChain string
	Clusters    []string // all that may be chosen, in any order
	TLS         string   // passthrough terminated none
}

// Failure is the diagnostic for a test that was run and failed. detail says what
// was expected, what would happen, and why.
func (t *Test) Failure(detail string) Diagnostic {
	d := t.place
	d.Severity, d.Summary, d.Detail = severityError, "Test failed", detail
	return d
}
