package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"syscall"
)

// Whoever asks a running gateway and gets no answer is to read what to do. This
// file turns what went wrong into that.

// explain is for a request that no answer came to.
func (c *adminClient) explain(err error) error {
	var (
		op           *net.OpError
		timeout      net.Error
		unknown      x509.UnknownAuthorityError
		wrongName    x509.HostnameError
		notTLS       tls.RecordHeaderError
		verification *tls.CertificateVerificationError
	)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens on %s: %s", c.name, whereToLook)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no socket %s: %s", c.name, whereToLook)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s may not be used by this user: mode and group of the socket are in the admin block of the gateway's configuration", c.name)
	case errors.As(err, &unknown):
		return fmt.Errorf("the certificate of %s is of an authority that is not trusted: give the authority with --ca-file", c.name)
	case errors.As(err, &wrongName):
		return fmt.Errorf("the certificate of %s is for another name (%w): write that one in --admin", c.name, wrongName)
	case errors.As(err, &verification):
		return fmt.Errorf("the certificate of %s is not good: %w", c.name, verification.Err)
	case errors.As(err, &notTLS), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fmt.Errorf("%s speaks no TLS: write --admin %s", c.name, c.name)
	case strings.Contains(err.Error(), `malformed HTTP response "\x15\x03`): // a TLS alert
		return c.wantsTLS()
	case strings.Contains(err.Error(), "malformed HTTP"):
		return c.stranger("it speaks no HTTP")
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%s does not answer: %s", c.name, whereToLook)
	case errors.As(err, &op):
		return fmt.Errorf("connecting to %s: %w: %s", c.name, op.Err, whereToLook)
	}
	return fmt.Errorf("asking %s: %w", c.name, errors.Unwrap(err))
}

const whereToLook = "is the gateway running there? Its address stands in the admin block of its configuration; give it with --admin, or the configuration with -c"

func (c *adminClient) wantsTLS() error {
	return fmt.Errorf("%s speaks TLS: write --admin https://%s", c.name, c.name)
}

// stranger is for an answer that is not the admin API's.
func (c *adminClient) stranger(why string) error {
	return fmt.Errorf("what answers on %s is no sluice, or one of another version: %s; name the gateway's admin address with --admin", c.name, why)
}

// refusalLength is how much of an answer that is not good is read.
const refusalLength = 64 << 10

// refusal is for an answer that is not good.
func (c *adminClient) refusal(response *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(response.Body, refusalLength)) // its status alone says enough
	words := errorBody(body)
	switch {
	case response.StatusCode == http.StatusUnauthorized && c.token == "":
		return fmt.Errorf("%s wants a token for this: give the file that has it with --token-file, or the token in %s", c.name, tokenVariable)
	case response.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("%s does not take this token: the right one stands in the token_file of the gateway's admin block", c.name)
	case words != "":
		return errors.New(words)
	case strings.Contains(string(body), "HTTP request to an HTTPS server"): // Go's words
		return c.wantsTLS()
	}
	return c.stranger("its answer is " + response.Status)
}
