package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
)

// Digest identifies what is said about something: two are equal exactly when
// nothing was changed that connections could feel. Where it stands in the files
// is no part of it. It holds for one version of the program.
type Digest string

// digest gives the digest of what write writes.
func digest(write func(io.Writer)) Digest {
	h := sha256.New()
	write(h)
	return Digest(hex.EncodeToString(h.Sum(nil)[:16]))
}

// Digest is of everything that the listener says but its addresses, its chains
// and on_change.
func (ln *Listener) Digest() Digest {
	return digest(func(w io.Writer) {
		plain := *ln
		plain.Pos, plain.Addresses, plain.Chains, plain.Default, plain.ProxyProtocol, plain.OnChange = Pos{}, nil, nil, nil, nil, ""
		fmt.Fprintf(w, "%+v\n", plain)
		if ln.ProxyProtocol != nil {
			fmt.Fprintf(w, "proxy_protocol %+v\n", *ln.ProxyProtocol)
		}
	})
}

// Digest is of everything that the chain's connections depend on but the content
// of the files that its tls block names: a certificate that was renewed makes no
// other chain ([TLS.Material]). Nor does on_change, which is about what becomes
// of them.
func (c *FilterChain) Digest() Digest {
	return digest(func(w io.Writer) {
		fmt.Fprintf(w, "%q %+v %+v %+v %v\n", c.Name, c.Match, c.Access, c.Route, c.OnUpstreamFailure)
		if t := c.TLS; t != nil {
			fmt.Fprintf(w, "tls %s\n", t.Options())
		}
	})
}

// Options is of what the block says, with the names of its files and not what is
// in them.
func (t *TLS) Options() Digest {
	return digest(func(w io.Writer) {
		fmt.Fprintf(w, "%x %x %x %v %q %q\n", t.MinVersion, t.MaxVersion, t.CipherSuites, t.Curves, t.ALPN, t.TicketKeyFiles)
		for _, c := range t.Certificates {
			fmt.Fprintf(w, "certificate %q %q\n", c.CertFile, c.KeyFile)
		}
		if a := t.ClientAuth; a != nil {
			fmt.Fprintf(w, "client_auth %t %q %q %q\n", a.Required, a.AllowedSANs, a.CAFile, a.CRLFile)
		}
	})
}

// Material is of what the files that the block names had in them.
func (t *TLS) Material() Digest {
	return digest(func(w io.Writer) {
		for _, c := range t.Certificates {
			(&Material{Certificate: c}).write(w)
		}
		rest := Material{TicketKeys: t.TicketKeys}
		if a := t.ClientAuth; a != nil {
			rest.Authorities, rest.CRLs = a.Authorities, a.CRLs
		}
		rest.write(w)
	})
}

// Digest is of everything that is said of the cluster, but the content of the files
// that its tls block names. What it was found to consist of is no part of it.
func (c *Cluster) Digest() Digest {
	return digest(func(w io.Writer) {
		plain := *c
		plain.Pos, plain.Endpoints, plain.Discoveries = Pos{}, nil, nil
		plain.HealthCheck, plain.Outlier, plain.TLS, plain.ProxyHeader = nil, nil, nil, nil
		fmt.Fprintf(w, "%+v\n", plain)
		for i := range c.Endpoints {
			fmt.Fprintf(w, "endpoint %+v\n", c.Endpoints[i])
		}
		for i := range c.Discoveries {
			fmt.Fprintf(w, "discovery %s\n", c.Discoveries[i].Digest())
		}
		if c.Outlier != nil {
			fmt.Fprintf(w, "outlier_detection %+v\n", *c.Outlier)
		}
		fmt.Fprintf(w, "health_check %s %s\n", c.CheckDigest(), c.reachDigest())
	})
}

// CheckDigest is of how endpoints are checked: the check itself, and how they
// are reached; "" without a check.
func (c *Cluster) CheckDigest() Digest {
	if c.HealthCheck == nil {
		return ""
	}
	return digest(func(w io.Writer) {
		fmt.Fprintf(w, "%+v %s\n", *c.HealthCheck, c.reachDigest())
	})
}

// reachDigest is of what is sent to an endpoint before anything of a client is.
func (c *Cluster) reachDigest() Digest {
	return digest(func(w io.Writer) {
		fmt.Fprintf(w, "%v %t\n", c.SourceAddress, c.SourceTransparent)
		if c.ProxyHeader != nil {
			fmt.Fprintf(w, "proxy_protocol %+v\n", *c.ProxyHeader)
		}
		if t := c.TLS; t != nil {
			fmt.Fprintf(w, "tls %s\n", t.Options())
		}
	})
}

// Options is [TLS.Options].
func (t *UpstreamTLS) Options() Digest {
	return digest(func(w io.Writer) {
		fmt.Fprintf(w, "%q %q %q %t\n", t.ServerName, t.CAFile, t.ALPN, t.InsecureSkipVerify)
		if c := t.Certificate; c != nil {
			fmt.Fprintf(w, "certificate %q %q\n", c.CertFile, c.KeyFile)
		}
	})
}

// Digest is of what is asked, and of whom.
func (d *Discovery) Digest() Digest {
	return digest(func(w io.Writer) {
		if d.DNS != nil {
			fmt.Fprintf(w, "dns %+v\n", *d.DNS)
			return
		}
		fmt.Fprintf(w, "file %q\n", d.File)
	})
}
