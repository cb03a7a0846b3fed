package admin

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"sluice/config"
)

// A web page that is open in a browser on this machine can make that browser
// send requests here. It must neither read nor change anything:
//
//   - By DNS rebinding it is of the same origin as far as the browser can tell,
//     but then Host is its own name. Only names that nobody else can point here
//     are taken ([door.knowsHost]).
//   - Any other page is of another origin, even one of another port of this
//     machine. Browsers say so in Origin and Sec-Fetch-Site ([fromElsewhere]).
//   - What is left is what old browsers send without either. A cookie is not
//     enough for a change, therefore: it takes a header that a form cannot have
//     (access.go).

// door is an address that requests come in by.
type door struct {
	address config.Address // as it was configured
	// isName reports whether a certificate is for that name; nil: there is none.
	isName func(name string) bool
	// anyHost is set where nothing is to be had that is not for everybody, and
	// where the names that lead here are not known.
	anyHost bool
}

func metricsDoor(a config.Address) door { return door{address: a, anyHost: !a.IsLoopback()} }

func (d *door) isSocket() bool { return d.address.Network == config.Unix }

// knowsHost reports whether a request was meant for this door. One without a
// Host is: browsers send one, and HTTP/1.0 health checks do not.
func (d *door) knowsHost(r *http.Request) bool {
	if r.Host == "" || d.anyHost {
		return true
	}
	host := hostOf(r.Host)
	if ip, err := netip.ParseAddr(host); err == nil {
		ip = ip.Unmap()
		return ip.IsLoopback() || ip == d.address.AddrPort.Addr() || ip == localAddress(r)
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") { // RFC 6761 §6.3
		return true
	}
	// Clients of a unix socket have to put something there. A single label is
	// no name that anybody can register.
	if d.isSocket() && !strings.Contains(name, ".") {
		return true
	}
	return d.isName != nil && d.isName(name)
}

// hostOf is a Host header without the port and without brackets.
func hostOf(header string) string {
	if host, _, err := net.SplitHostPort(header); err == nil {
		return host
	}
	return strings.TrimSuffix(strings.TrimPrefix(header, "["), "]")
}

// localAddress is the address of this machine that the client has connected to.
func localAddress(r *http.Request) netip.Addr {
	tcp, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap()
}

// fromElsewhere reports whether a page of another origin has sent the request.
func fromElsewhere(r *http.Request) bool {
	origins := r.Header.Values("Origin")
	if len(origins) > 1 || len(origins) == 1 && !sameOrigin(origins[0], r) {
		return true
	}
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		if site != "same-origin" && site != "none" {
			return true
		}
	}
	return false
}

func sameOrigin(origin string, r *http.Request) bool {
	u, err := url.Parse(origin)
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	// A Host header and an origin both leave out the default port.
	return err == nil && u.Scheme == scheme && strings.EqualFold(u.Host, r.Host) && u.Host != ""
}

// isNavigation reports whether somebody has followed a link to here, which lets
// no other page see what comes of it.
func isNavigation(r *http.Request) bool {
	return r.Method == http.MethodGet && r.Header.Get("Origin") == "" &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}

// contentPolicy lets a page have what comes from here and nothing else, and lets
// nobody frame it.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; " +
	"connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// setHeaders sets what every answer has.
func setHeaders(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY") // for browsers that do not know frame-ancestors
}
