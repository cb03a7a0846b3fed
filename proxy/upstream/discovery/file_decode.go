package discovery

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"

	"sluice/proxy/upstream"
)

// maxPriority bounds priorities as SRV records do.
const maxPriority = 1<<16 - 1

// broken is a mistake in a file: "line:column: what".
type broken struct {
	line, column int // from 1; the column is in bytes
	what         string
}

func (b *broken) Error() string { return fmt.Sprintf("%d:%d: %s", b.line, b.column, b.what) }

// decode reads {"endpoints": [...]}. It is strict, since a name that is
// misspelt would otherwise be a default that nobody meant. An empty list is a
// set like others: somebody has written it.
func decode(src []byte) ([]Found, error) {
	d := &decoder{src: src, json: json.NewDecoder(bytes.NewReader(src))}
	d.json.UseNumber()
	if err := d.check(); err != nil {
		return nil, err
	}
	set, there := []Found{}, false
	seen := make(map[upstream.Address]bool)
	err := d.object(func(name string, at int) error {
		if name != "endpoints" {
			return d.errorAt(at, "there is no %q here: write \"endpoints\"", name)
		}
		there = true
		return d.list(func() error {
			at := d.start()
			e, err := d.endpoint()
			if err == nil && seen[e.Address] {
				err = d.errorAt(at, "the address %s is in the list already", e.Address)
			}
			seen[e.Address] = true
			set = append(set, e)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, d.errorAt(0, "there is no \"endpoints\"")
	}
	return settle(set), nil
}

// decoder reads JSON token by token, so that every mistake has its place.
type decoder struct {
	src  []byte
	json *json.Decoder
}

// endpoint reads one element of the list.
func (d *decoder) endpoint() (Found, error) {
	e, there := Found{Weight: 1}, false
	start := d.start()
	err := d.object(func(name string, at int) (err error) {
		switch name {
		case "address":
			there = true
			e.Address, err = d.address()
		case "weight":
			e.Weight, err = d.integer(name, 1, upstream.MaxWeight)
		case "priority":
			e.Priority, err = d.integer(name, 0, maxPriority)
		default:
			err = d.errorAt(at, "there is no %q in an endpoint: it has \"address\", \"weight\" and \"priority\"", name)
		}
		return err
	})
	if err == nil && !there {
		err = d.errorAt(start, "the endpoint has no \"address\"")
	}
	return e, err
}

// address reads "10.0.0.1:80" or "unix:/run/x.sock".
func (d *decoder) address() (upstream.Address, error) {
	at := d.start()
	token, err := d.token()
	if err != nil {
		return upstream.Address{}, err
	}
	text, ok := token.(string)
	if !ok {
		return upstream.Address{}, d.errorAt(at, "the address is %s: write a string such as \"10.0.0.1:80\"", kindOf(token))
	}
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		const longest = 107 // sockaddr_un, less the closing zero
		if !filepath.IsAbs(path) || len(path) > longest || strings.ContainsRune(path, 0) {
			return upstream.Address{}, d.errorAt(at, "%q is not an absolute path of at most %d bytes", path, longest)
		}
		return upstream.Address{Path: filepath.Clean(path)}, nil
	}
	ap, err := netip.ParseAddrPort(text)
	switch ip := ap.Addr(); {
	case err != nil:
		return upstream.Address{}, d.errorAt(at, "%q is not an IP address with a port, such as \"10.0.0.1:80\" or \"[2001:db8::1]:80\"", text)
	case ip.Is4In6():
		return upstream.Address{}, d.errorAt(at, "%q is an IPv4 address in IPv6 form: write %q", text, netip.AddrPortFrom(ip.Unmap(), ap.Port()))
	case ip.Zone() != "":
		return upstream.Address{}, d.errorAt(at, "%q has a zone, which is not supported: write an address that is not link-local", text)
	case ip.IsUnspecified(), ip.IsMulticast(), ap.Port() == 0:
		return upstream.Address{}, d.errorAt(at, "%q is no address to connect to", text)
	}
	return upstream.Address{AddrPort: ap}, nil
}

// integer reads a whole number from lowest to highest.
func (d *decoder) integer(name string, lowest, highest int64) (int, error) {
	at := d.start()
	token, err := d.token()
	if err != nil {
		return 0, err
	}
	number, ok := token.(json.Number)
	if !ok {
		return 0, d.errorAt(at, "the %s is %s: write a whole number from %d to %d", name, kindOf(token), lowest, highest)
	}
	n, err := number.Int64()
	if err != nil || n < lowest || n > highest {
		return 0, d.errorAt(at, "the %s is %s: write a whole number from %d to %d", name, number, lowest, highest)
	}
	return int(n), nil
}

// object reads an object. member reads what stands behind a name; at is where
// the name stands.
func (d *decoder) object(member func(name string, at int) error) error {
	if err := d.open('{', "an object"); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for d.json.More() {
		at := d.start()
		token, err := d.token()
		if err != nil {
			return err
		}
		name := token.(string) // anything else is a syntax error to the library
		if seen[name] {
			return d.errorAt(at, "%q stands here twice", name)
		}
		seen[name] = true
		if err := member(name, at); err != nil {
			return err
		}
	}
	_, err := d.token()
	return err
}

// list reads a list, each element with one call.
func (d *decoder) list(element func() error) error {
	if err := d.open('[', "a list"); err != nil {
		return err
	}
	for d.json.More() {
		if err := element(); err != nil {
			return err
		}
	}
	_, err := d.token()
	return err
}

func (d *decoder) open(delim json.Delim, kind string) error {
	at := d.start()
	token, err := d.token()
	if err == nil && token != delim {
		err = d.errorAt(at, "here stands %s where %s is expected", kindOf(token), kind)
	}
	return err
}

// endsEarly is what the library says of a value that is not whole; it has no
// error of its own for that.
const endsEarly = "unexpected end of JSON input"

// check finds what is not JSON at all. The places in the errors of the token
// reader are not reliable.
func (d *decoder) check() error {
	var whole json.RawMessage
	err := json.Unmarshal(d.src, &whole)
	syntax, ok := errors.AsType[*json.SyntaxError](err)
	switch {
	case err == nil:
		return nil
	case !ok:
		return d.errorAt(0, "%s", err)
	case syntax.Error() == endsEarly:
		return d.errorAt(len(d.src), "the file ends too early")
	}
	return d.errorAt(int(syntax.Offset)-1, "%s", syntax)
}

// token reads the next token.
func (d *decoder) token() (json.Token, error) {
	token, err := d.json.Token()
	if err != nil {
		return nil, d.errorAt(d.start(), "%s", err) // check has let it through
	}
	return token, nil
}

// start is where the next token begins.
func (d *decoder) start() int {
	at := int(d.json.InputOffset())
	return len(d.src) - len(bytes.TrimLeft(d.src[at:], " \t\r\n,:"))
}

func (d *decoder) errorAt(at int, format string, args ...any) error {
	before := d.src[:min(max(at, 0), len(d.src))]
	return &broken{
		line:   bytes.Count(before, []byte{'\n'}) + 1,
		column: len(before) - bytes.LastIndexByte(before, '\n'),
		what:   fmt.Sprintf(format, args...),
	}
}

func kindOf(token json.Token) string {
	switch token := token.(type) {
	case nil:
		return "null"
	case string:
		return fmt.Sprintf("the string %q", token)
	case json.Number:
		return "the number " + token.String()
	case bool:
		return fmt.Sprint(token)
	case json.Delim:
		if token == '{' {
			return "an object"
		}
	}
	return "a list"
}
