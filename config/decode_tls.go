package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"

	"sluice/tlsutil"
)

// decodeTLS decodes the tls block of a chain and loads what it names.
func decodeTLS(b *block) *TLS {
	failures := b.failures
	t := &TLS{
		MinVersion:   named(b, "min_version", tls.VersionTLS12, tlsutil.VersionNames(), tlsutil.ParseVersion),
		MaxVersion:   named(b, "max_version", tls.VersionTLS13, tlsutil.VersionNames(), tlsutil.ParseVersion),
		CipherSuites: namedList(b, "cipher_suites", tlsutil.CipherSuiteNames(), tlsutil.ParseCipherSuite),
		Curves:       namedList(b, "ecdh_curves", tlsutil.CurveNames(), tlsutil.ParseCurve),
		ALPN:         parsedList(b, "alpn_protocols", kindALPN, parseALPN),
	}
	switch {
	case t.MinVersion > t.MaxVersion:
		at := b.attrs["max_version"]
		if at == nil {
			at = b.attrs["min_version"]
		}
		b.errorf(at.Expr.Range(), "No TLS version left", "min_version is above max_version, so that no version is between them. Exchange them, or leave one out.")
	case t.MinVersion == tls.VersionTLS13 && len(t.CipherSuites) > 0:
		b.warnf(b.attrs["cipher_suites"].NameRange, "Unused cipher_suites", "cipher_suites are those of TLS 1.2, which min_version excludes. Leave one of the two out.")
	}
	if b.failures == failures {
		checkCurves(b, t)
	}
	certificates := b.all("certificate")
	if len(certificates) == 0 && b.complete() {
		b.errorf(b.def, "Missing certificate", "To terminate TLS takes a certificate: add certificate { cert_file = \"...\" key_file = \"...\" }. To pass TLS through, leave out the tls block.")
	}
	for _, c := range certificates {
		if cert := decodeCertificate(c, "clients"); cert != nil {
			t.Certificates = append(t.Certificates, cert)
		}
		t.PathsHidden = t.PathsHidden || c.hidden
	}
	if auth, ok := b.one("client_auth"); ok {
		t.ClientAuth = decodeClientAuth(auth)
		t.PathsHidden = t.PathsHidden || auth.hidden
	}
	if tickets, ok := b.one("session_tickets"); ok {
		t.TicketKeys, t.TicketKeyFiles = decodeTicketKeys(tickets)
	}
	if b.failures == failures && b.complete() {
		b.checkServer(t)
	}
	return t
}

// checkCurves reports ecdh_curves of which clients of TLS 1.2 can use none.
func checkCurves(b *block, t *TLS) {
	if t.MinVersion != tls.VersionTLS12 || len(t.Curves) == 0 || slices.ContainsFunc(t.Curves, tlsutil.CurveForTLS12) {
		return
	}
	at := b.attrs["ecdh_curves"].Expr.Range()
	if t.MaxVersion == tls.VersionTLS12 {
		b.errorf(at, "No curve for TLS 1.2", "All of these curves are for TLS 1.3, which max_version excludes, so no handshake would succeed. Add X25519 or P-256, or leave max_version out.")
		return
	}
	b.warnf(at, "No curve for TLS 1.2", "All of these curves are for TLS 1.3, so every handshake with TLS 1.2 would fail. Add X25519 or P-256, or write min_version = \"1.3\".")
}

// checkServer reports what the gateway would refuse when it starts: parts that
// are good by themselves and contradict each other. The errors name the attribute
// that they are about.
func (b *block) checkServer(t *TLS) {
	_, err := tlsutil.NewServerConfig(t.ServerOptions())
	if err == nil {
		return
	}
	at := b.def
	for _, part := range append([]*block{b}, b.all("client_auth")...) {
		for _, name := range part.schema.attrs {
			if attr := part.attrs[name]; attr != nil && strings.Contains(err.Error(), name) {
				at = attr.Expr.Range()
			}
		}
	}
	b.errorf(at, "Contradiction in tls", "%s", stopped(err.Error()))
}

// decodeCertificate loads a pair, or gives nil after an error. peers are who
// will see it.
func decodeCertificate(b *block, peers string) *tlsutil.Certificate {
	certFile, keyFile := b.required("cert_file"), b.required("key_file")
	if certFile == "" || keyFile == "" {
		return nil
	}
	cert, err := b.material.certificate(certFile, keyFile)
	if err != nil {
		name := "cert_file"
		if blames(err, keyFile) && !blames(err, certFile) {
			name = "key_file"
		}
		b.unusable(name, err)
		return nil
	}
	b.checkDates(b.attrs["cert_file"].Expr.Range(), cert, peers)
	return cert
}

// required is a file that must be named.
func (b *block) required(name string) string {
	failures := b.failures
	file := b.file(name)
	if file == "" && b.failures == failures && b.complete() {
		b.errorf(b.def, "Missing "+name, "The %s block needs %s = \"...\".", b.kind, name)
	}
	return file
}

func decodeClientAuth(b *block) *ClientAuth {
	a := &ClientAuth{Required: b.word("mode", "require", "require", "optional") == "require"}
	a.AllowedSANs, _ = listOf(b, "allowed_sans", readSAN)
	caFile, crlFile := b.required("ca_file"), b.file("crl_file")
	if caFile == "" {
		return a
	}
	var err error
	a.CAFile, a.CRLFile = caFile, crlFile
	if a.CAs, a.Authorities, err = b.material.cas(caFile); err != nil {
		b.unusable("ca_file", err)
		return a
	}
	b.checkAuthorities(b.attrs["ca_file"].Expr.Range(), a.Authorities, "clients")
	if crlFile == "" {
		return a
	}
	if a.CRLs, err = b.material.crls(crlFile, caFile); err != nil {
		b.unusable("crl_file", err)
		return a
	}
	b.checkRevocation(b.attrs["crl_file"].Expr.Range(), a.CRLs)
	return a
}

func readSAN(s setting) (string, bool) {
	const kind = `a name such as "*.clients.example.com" or "spiffe://prod/billing"`
	text, ok := s.text(kind)
	if !ok {
		return "", false
	}
	if err := tlsutil.CheckSANPattern(text); err != nil {
		s.invalidSentence(kind, err)
		return "", false
	}
	return text, true
}

func decodeTicketKeys(b *block) (keys [][32]byte, files []string) {
	var places []hcl.Range
	b.elements("key_files", func(s setting) {
		file, ok := s.text("the path of a file")
		switch {
		case !ok:
		case file == "":
			s.errorf(s.at, "Invalid key_files", "The path is empty: write the path of a file, or leave it out.")
		default:
			files = append(files, b.resolve("key_files", file))
			places = append(places, s.at)
		}
	})
	if len(files) == 0 {
		return nil, nil
	}
	keys, err := tlsutil.LoadTicketKeys(files)
	if err != nil {
		at := b.attrs["key_files"].Expr.Range()
		for i, file := range files {
			if blames(err, file) {
				at = places[i]
			}
		}
		b.unusableAt(at, err)
	}
	return keys, files
}

// blames reports whether err is about a file.
func blames(err error, file string) bool {
	load, ok := errors.AsType[*tlsutil.LoadError](err)
	return ok && load.File == file
}

// unusable reports why the file that an attribute names cannot be used.
func (b *block) unusable(name string, err error) { b.unusableAt(b.attrs[name].Expr.Range(), err) }

func (b *block) unusableAt(at hcl.Range, err error) {
	summary, detail := "Unusable file", err.Error()
	if load, ok := errors.AsType[*tlsutil.LoadError](err); ok {
		summary, detail = sentence(load.Problem), load.File+": "+load.Fix
	}
	if b.hidden {
		detail = "The path of the file is not shown, because it comes from env() or file()"
	}
	b.errorf(at, summary, "%s", stopped(detail))
}

// named reads a word that tlsutil knows the meaning of.
func named[T any](b *block, name string, absent T, words []string, parse func(string) (T, error)) T {
	if s, ok := b.setting(name); ok {
		if v, ok := namedSetting(s, words, parse); ok {
			return v
		}
	}
	return absent
}

// namedList reads a list of such words, which are long enough to be misspelt.
func namedList[T comparable](b *block, name string, words []string, parse func(string) (T, error)) []T {
	list, _ := listOf(b, name, func(s setting) (T, bool) {
		return namedSetting(s, words, func(text string) (T, error) {
			v, err := parse(text)
			if near := nearest(text, words); err != nil && near != "" {
				err = fmt.Errorf("%q is not known. Did you mean %q?", text, near)
			}
			return v, err
		})
	})
	return list
}

func namedSetting[T any](s setting, words []string, parse func(string) (T, error)) (T, bool) {
	text, ok := s.text(quotedOr(words))
	if !ok {
		var zero T
		return zero, false
	}
	v, err := parse(text)
	if err != nil {
		s.invalidSentence(quotedOr(words), err)
	}
	return v, err == nil
}

// errUnknownWord continues a sentence that begins with the word.
func errUnknownWord(word string, words []string) error {
	return errors.New("is not known. " + orWords(word, words))
}

// invalidSentence is [setting.invalid] for an error that names the value itself.
func (s setting) invalidSentence(kind string, err error) {
	if s.secret {
		s.invalid(kind, err)
		return
	}
	s.errorf(s.at, "Invalid "+s.name, "%s", stopped(sentence(err.Error())))
}

// sentence begins text with a capital.
func sentence(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}
