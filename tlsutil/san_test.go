package tlsutil

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestCheckSANPattern(t *testing.T) {
	t.Parallel()
	const notDNS = `is not a DNS name; write labels of letters, digits, - and _ of at most 63 characters, and other scripts in their xn-- form`
	const wild = `has a wildcard in a place where none can be; "*." may stand in front of a name, for one whole label`
	const notName = `is not a name; write a DNS name, a URI with its scheme, an IP address or a mail address`
	tests := []struct{ pattern, want string }{
		{"billing", ""},
		{"billing.example.com", ""},
		{"Billing.Example.com", ""},
		{"*.example.com", ""},
		{"_svc.example.com", ""},
		{"xn--bcher-kva.example", ""},
		{"spiffe://prod/billing", ""},
		{"spiffe://prod", ""},
		{"urn:uuid:5a1e", ""},
		{"192.0.2.1", ""},
		{"2001:db8::1", ""},
		{"ops@example.com", ""},

		{"", "an allowed name is empty; remove it"},
		{"*", `"*" would allow every name; leave allowed_sans out to allow every certificate that a CA signed`},
		{"*.", `"*." ` + notDNS},
		{"*.*.example.com", `"*.*.example.com" ` + wild},
		{"a*.example.com", `"a*.example.com" ` + wild},
		{"a.*.example.com", `"a.*.example.com" ` + wild},
		{"*example.com", `"*example.com" ` + wild},
		{"spiffe://prod/*", `"spiffe://prod/*" has a wildcard, which is for DNS names only; write every URI in full`},
		{"spiffe://", `"spiffe://" is not a URI; write one in full, such as spiffe://prod/billing`},
		{"://prod/billing", `"://prod/billing" is not a URI; write one in full, such as spiffe://prod/billing`},
		{"a.example.com.", `"a.example.com." ends in a dot, which names in certificates do not; remove it`},
		{"a..example.com", `"a..example.com" ` + notDNS},
		{"bücher.example", `"bücher.example" ` + notDNS},
		{"a b", `"a b" ` + notDNS},
		{strings.Repeat("a", 64) + ".example", `"` + strings.Repeat("a", 64) + `.example" ` + notDNS},
		{strings.Repeat("a.", 127) + "a", `"` + strings.Repeat("a.", 127) + `a" is longer than a DNS name can be (253 characters)`},
		{"example.com:443", `"example.com:443" ` + notName},
		{"example.com/x", `"example.com/x" ` + notName},
		{"10.0.0.0/8", `"10.0.0.0/8" is a network; write the addresses one by one`},
		{"10.0.0.300", `"10.0.0.300" is neither an IP address nor a DNS name, whose last label is never a number`},
		{"fe80::1%eth0", `"fe80::1%eth0" has a zone, which certificates do not know; remove it`},
		{"@example.com", `"@example.com" is not a mail address; write one in full, without wildcards`},
		{"*@example.com", `"*@example.com" is not a mail address; write one in full, without wildcards`},
		{"ops@*.example.com", `"ops@*.example.com" is not a mail address; write one in full, without wildcards`},
	}
	for _, tt := range tests {
		if got := errText(CheckSANPattern(tt.pattern)); got != tt.want {
			t.Errorf("CheckSANPattern(%q)\n got %s\nwant %s", tt.pattern, got, tt.want)
		}
	}
}

// named makes a certificate with one name of the type.
func named(t *testing.T, typ sanType, name string) *x509.Certificate {
	t.Helper()
	switch typ {
	case sanDNS:
		return &x509.Certificate{DNSNames: []string{name}}
	case sanEmail:
		return &x509.Certificate{EmailAddresses: []string{name}}
	case sanIP:
		return &x509.Certificate{IPAddresses: []net.IP{net.ParseIP(name)}}
	}
	u, err := url.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return &x509.Certificate{URIs: []*url.URL{u}}
}

func TestSANMatching(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pattern string
		typ     sanType
		name    string
		want    bool
	}{
		{"a.example.com", sanDNS, "A.Example.com", true},
		{"a.example.com", sanDNS, "a.example.com\x00.evil.test", false},
		{"a.example.com", sanDNS, "b.a.example.com", false},
		{"*.example.com", sanDNS, "a.example.com", true},
		{"*.Example.com", sanDNS, "A.EXAMPLE.com", true},
		{"*.example.com", sanDNS, "example.com", false},
		{"*.example.com", sanDNS, ".example.com", false},
		{"*.example.com", sanDNS, "a.b.example.com", false},
		{"*.example.com", sanDNS, "*.example.com", true},      // every name it stands for is allowed
		{"a.example.com", sanDNS, "*.example.com", false},     // some of them are not
		{"*.b.example.com", sanDNS, "*.example.com", false},   // none of them is
		{"*.example.com", sanEmail, "a@x.example.com", false}, // types never mix
		{"a.example.com", sanURI, "a.example.com", false},
		{"a.example.com", sanEmail, "a.example.com", false},
		{"192.0.2.1", sanDNS, "192.0.2.1", false},
		{"spiffe://prod/billing", sanDNS, "spiffe://prod/billing", false},
		{"ops@example.com", sanDNS, "ops@example.com", false},
		{"spiffe://prod/billing", sanURI, "spiffe://PROD/billing", true},
		{"spiffe://prod/billing", sanURI, "spiffe://prod/billing/", false},
		{"spiffe://prod/billing", sanURI, "spiffe://prod/billing?x", false},
		{"spiffe://prod/a/../billing", sanURI, "spiffe://prod/billing", false},
		{"spiffe://prod/%62illing", sanURI, "spiffe://prod/billing", false},
		{"urn:uuid:1", sanURI, "URN:uuid:1", true},
		{"192.0.2.1", sanIP, "192.0.2.1", true},
		{"::ffff:192.0.2.1", sanIP, "192.0.2.1", true},
		{"2001:db8:0::1", sanIP, "2001:db8::1", true},
		{"192.0.2.1", sanIP, "192.0.2.2", false},
		{"Ops@Example.com", sanEmail, "Ops@example.COM", true},
		{"ops@example.com", sanEmail, "Ops@example.com", false},
	}
	for _, tt := range tests {
		pattern, err := parseSANPattern(tt.pattern)
		if err != nil {
			t.Errorf("%q: %v", tt.pattern, err)
			continue
		}
		names := certificateSANs(named(t, tt.typ, tt.name))
		if got := allowed([]san{pattern}, names); got != tt.want {
			t.Errorf("pattern %q, name %q of type %d: %t, want %t", tt.pattern, tt.name, tt.typ, got, tt.want)
		}
	}
}

func TestPeerSANs(t *testing.T) {
	t.Parallel()
	if got := PeerSANs(&tls.ConnectionState{}); got != nil {
		t.Errorf("without a certificate: %q", got)
	}
	cert := named(t, sanURI, "spiffe://prod/"+strings.Repeat("x", 400))
	cert.EmailAddresses = []string{"ops@Example.com"}
	cert.IPAddresses = []net.IP{net.ParseIP("192.0.2.1")}
	for i := range 5 {
		cert.DNSNames = append(cert.DNSNames, fmt.Sprintf("H%d.example.com", i))
	}
	want := []string{"spiffe://prod/" + strings.Repeat("x", 239) + "...", "h0.example.com", "h1.example.com", "h2.example.com",
		"h3.example.com", "h4.example.com", "ops@example.com", "192.0.2.1"}
	cs := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}
	if got := PeerSANs(cs); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	cert.DNSNames = append(cert.DNSNames, "h5.example.com")
	if got := PeerSANs(cs); len(got) != maxPeerSANs || slices.Contains(got, "192.0.2.1") {
		t.Errorf("nine names: %q", got)
	}
}

// FuzzSANPattern checks that a pattern is read the same way when its own
// canonical form is read, and that it allows the name it is.
func FuzzSANPattern(f *testing.F) {
	for _, s := range []string{"a.example.com", "*.example.com", "spiffe://prod/%2f?a#b", "urn:a:b", "::ffff:1.2.3.4", "a@B.c", "http://[::1]:80/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, p string) {
		first, err := parseSANPattern(p)
		if err != nil {
			return
		}
		again, err := parseSANPattern(first.value)
		if err != nil || again != first {
			t.Fatalf("%q is %v, which reads as %v (%v)", p, first, again, err)
		}
		if !first.matches(first) {
			t.Errorf("%v does not match itself", first)
		}
		if first.typ == sanDNS && strings.Count(first.value, "*") > 1 {
			t.Errorf("%q has wildcards inside", p)
		}
	})
}
