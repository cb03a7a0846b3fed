package health

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
)

// failure is why a check failed, in words for the log.
type failure struct {
	text  string
	cause error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.cause }

// failed says what went wrong while something was done. Addresses and the names
// of system calls are left out: the log has the endpoint beside it.
func (c *Check) failed(doing string, err error) error {
	var errno syscall.Errno
	text := ""
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		text = doing + " took longer than " + c.Timeout.String()
	case errors.Is(err, syscall.ECONNREFUSED):
		text = "the connection was refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		text = doing + ": the endpoint reset the connection"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		text = doing + ": the endpoint closed the connection"
	case errors.As(err, &errno):
		text = doing + ": " + errno.Error()
	default:
		if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
			text = "the certificate is not good: " + strings.TrimPrefix(bad.Err.Error(), "x509: ")
			break
		}
		text = doing + ": " + err.Error()
	}
	return &failure{text, err}
}

// ownTrouble tells failures of the gateway's own machine from an endpoint's.
func ownTrouble(err error) bool {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return false
	}
	switch errno {
	case syscall.EADDRNOTAVAIL, syscall.EADDRINUSE, syscall.EAFNOSUPPORT, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EACCES, syscall.EPERM:
		return true
	}
	return false
}
