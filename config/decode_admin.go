package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/user"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"sluice/tlsutil"
)

const (
	// defaultAdminPort is Envoy's customary one.
	defaultAdminPort = 9901
	// defaultSocketMode lets the owner and the group in: whoever can connect to
	// the socket may change things.
	defaultSocketMode = fs.FileMode(0o660)

	// minToken is how many characters a token has at least: 16 random ones of
	// base64 are 96 bits, which nobody guesses over a network.
	minToken = 16
	// maxToken fits a header and a form with room to spare.
	maxToken = 1024
)

const (
	kindAdmin   = `an address such as "127.0.0.1:9901" or "unix:/run/sluice/admin.sock"`
	kindMetrics = `an address such as "0.0.0.0:9902"`
)

// ownPlace is an address of the process itself, and where it is written.
type ownPlace struct {
	at     hcl.Range
	hidden bool
	bad    bool // it could not be read: nothing is concluded from it
}

// defaultAdmin is the admin server that nobody has written a word about.
func defaultAdmin() Admin {
	local := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	return Admin{
		Enabled: true, Mode: defaultSocketMode, GID: -1,
		Address: Address{AddrPort: netip.AddrPortFrom(local, defaultAdminPort)},
	}
}

func decodeAdmin(b *block) (Admin, ownPlace) {
	a := defaultAdmin()
	a.Written = true
	a.Enabled = b.boolean("enabled", true)
	place := ownPlace{at: b.def}
	if b.has("address") {
		place.at, place.bad = b.attrs["address"].Expr.Range(), true
		if s, ok := b.setting("address"); ok {
			dir := b.directory("address")
			address, ok := parseSetting(s, kindAdmin, func(text string) (Address, error) { return parseListen(text, dir) })
			if ok {
				a.Address, a.AddressHidden = address, s.secret
			}
			place.bad, place.hidden = !ok, s.secret
		}
	}
	a.Mode = decodeSocketMode(b)
	a.GID = decodeGroup(b)
	failures := b.failures
	a.Token = decodeToken(b)
	tls, encrypted := b.one("tls")
	if encrypted {
		a.Certificates = readAdminTLS(tls)
	}
	if b.failures == failures && !place.bad && b.complete() {
		b.checkAdmin(a, place, tls)
	}
	return a, place
}

// readAdminTLS reads the tls block of the admin block.
func readAdminTLS(b *block) []*tlsutil.Certificate {
	failures := b.failures
	var certificates []*tlsutil.Certificate
	for _, c := range b.all("certificate") {
		if cert := decodeCertificate(c, "clients"); cert != nil {
			certificates = append(certificates, cert)
		}
	}
	if len(certificates) == 0 && b.failures == failures && b.complete() {
		b.errorf(b.def, "Missing certificate", "To speak TLS takes a certificate: add certificate { cert_file = \"...\" key_file = \"...\" }.")
	}
	return certificates
}

// checkAdmin holds that nobody but who may reaches an admin server, and warns of
// what has no effect.
func (b *block) checkAdmin(a Admin, place ownPlace, tls *block) {
	unused := func(at hcl.Range, name, why string) {
		b.warnf(at, "Unused "+name, "%s Leave it out.", why)
	}
	if a.Address.Network == Unix {
		const why = "Who may connect to a unix socket is decided by its mode and group."
		if b.has("token_file") {
			unused(b.attrs["token_file"].NameRange, "token_file", why)
		}
		if len(a.Certificates) > 0 {
			unused(tls.def, "tls", why)
		}
		return
	}
	for _, name := range []string{"mode", "group"} {
		if b.has(name) {
			unused(b.attrs[name].NameRange, name, fmt.Sprintf("%s is that of a unix socket, and the address is none.", name))
		}
	}
	if !a.Enabled || a.Address.IsLoopback() || a.Token != nil && len(a.Certificates) > 0 {
		return
	}
	var missing []string
	if a.Token == nil {
		missing = append(missing, `token_file = "..."`)
	}
	if len(a.Certificates) == 0 {
		missing = append(missing, `tls { certificate { cert_file = "..." key_file = "..." } }`)
	}
	b.errorf(place.at, "Admin open to network", "%s can be reached from other machines, so it needs a token and TLS: add %s. Or write address = \"127.0.0.1:%d\", which only this machine reaches.",
		shown(a.Address.String(), a.AddressHidden), strings.Join(missing, " and "), a.Address.AddrPort.Port())
}

// decodeSocketMode reads the mode of a unix socket, in octal.
func decodeSocketMode(b *block) fs.FileMode {
	const kind = `a mode such as "0660"`
	s, ok := b.setting("mode")
	if !ok {
		return defaultSocketMode
	}
	if typeName(s.value.Type()) == "a number" {
		s.errorf(s.at, "Wrong type", "mode takes %s, not a number, which would be decimal: write it in quotes.", kind)
		return defaultSocketMode
	}
	mode, ok := parseSetting(s, kind, func(text string) (fs.FileMode, error) {
		n, err := strconv.ParseUint(text, 8, 16)
		if err != nil || n > 0o777 || len(text) < 3 {
			return 0, errors.New(`is no mode: write it in octal, such as "0660" for owner and group or "0600" for the owner alone`)
		}
		return fs.FileMode(n), nil
	})
	if !ok {
		return defaultSocketMode
	}
	if mode&0o002 != 0 {
		s.warnf(s.at, "Admin open to everybody", "Every user of this machine may connect to the socket, and so end connections and drain the gateway. Write \"0660\", and a group if that is for others than the gateway's own.")
	}
	return mode
}

// decodeGroup reads the group of a unix socket, a name or a number.
func decodeGroup(b *block) int {
	return parsed(b, "group", -1, "the name of a group", func(text string) (int, error) {
		if text == "" {
			return -1, nil
		}
		if n, err := strconv.ParseUint(text, 10, 31); err == nil {
			return int(n), nil
		}
		group, err := user.LookupGroup(text)
		if err != nil {
			return -1, errors.New("is no group of this machine: write the name of one that is, or its number")
		}
		n, err := strconv.ParseUint(group.Gid, 10, 31)
		if err != nil {
			return -1, errors.New("has no number: write the name of a group that has one")
		}
		return int(n), nil
	})
}

// decodeToken reads the token, or gives nil when there is none.
func decodeToken(b *block) *Token {
	path := b.file("token_file")
	if path == "" {
		return nil
	}
	at := b.attrs["token_file"].Expr.Range()
	name := shown(path, b.hidden)
	unusable := func(format string, args ...any) *Token {
		b.errorf(at, "Unusable token file", format, args...)
		return nil
	}
	text, err := ReadRegularFile(path)
	if err != nil {
		return unusable("%s: %v. Write a random token into it, for instance with \"openssl rand -hex 32\", and make it readable for the gateway alone.", name, reasonOf(err))
	}
	token := strings.TrimRight(string(text), "\r\n")
	switch {
	case len(token) < minToken:
		return unusable("%s: the token has %d characters, which may be guessed. Write at least %d random ones, for instance with \"openssl rand -hex 32\".", name, len(token), minToken)
	case len(token) > maxToken:
		return unusable("%s: the token has %d characters. Write at most %d.", name, len(token), maxToken)
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return unusable("%s: the token has a character that cannot stand in a header. Write letters and digits in one line, for instance with \"openssl rand -hex 32\".", name)
	}
	if info, err := os.Stat(path); err == nil && info.Mode()&0o006 != 0 {
		b.warnf(at, "Token open to everybody", "Every user of this machine may read or change %s, and so do what the token allows. Take that away, with chmod o-rw.", name)
	}
	return newToken(token)
}

func decodeMetrics(b *block) (Metrics, ownPlace) {
	place := ownPlace{at: b.def, bad: true}
	if b.has("address") {
		place.at = b.attrs["address"].Expr.Range()
	}
	failures := b.failures
	s, ok := b.setting("address")
	if !ok {
		if b.failures == failures && b.complete() {
			b.errorf(b.def, "Missing address", "The metrics block needs an address: write address = \"127.0.0.1:9902\". Leave the block out for metrics on the admin address alone.")
		}
		return Metrics{}, place
	}
	address, ok := parseSetting(s, kindMetrics, func(text string) (Address, error) {
		if strings.HasPrefix(text, "unix:") {
			return Address{}, errors.New(`is a unix socket, which nothing scrapes: write an address such as "127.0.0.1:9902"`)
		}
		return parseListen(text, "")
	})
	if !ok {
		return Metrics{}, place
	}
	place.bad, place.hidden = false, s.secret
	return Metrics{Address: &address, AddressHidden: s.secret}, place
}
