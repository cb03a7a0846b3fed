package proxy

import "syscall"

// attemptResult is how an attempt to connect to an endpoint went, as far as it is
// counted: the access record has the kernel's own words for what is seldom.
type attemptResult uint8

const (
	attemptOther attemptResult = iota
	attemptConnected
	attemptRefused
	attemptTimeout
	attemptReset
	attemptUnreachable
	attemptNoSuchSocket
	attemptSourceUnavailable // no such address here, or no port left for this endpoint
	attemptSourceFamily      // the source is of another family than the endpoint, or has none
	attemptTLSName
	attemptTLSCertificate
	attemptTLSHandshake
	attemptTLSOverload

	// Those had connected.
	attemptEarlyReset
	attemptEarlyClose
	attemptResults

	firstReplayed = attemptEarlyReset
)

var attemptWords = [attemptResults]string{
	attemptOther:             "other",
	attemptConnected:         "connected",
	attemptRefused:           "refused",
	attemptTimeout:           "timeout",
	attemptReset:             "reset",
	attemptUnreachable:       "unreachable",
	attemptNoSuchSocket:      "no_such_socket",
	attemptSourceUnavailable: "source_unavailable",
	attemptSourceFamily:      "source_family",
	attemptTLSName:           "tls_server_name",
	attemptTLSCertificate:    "tls_certificate",
	attemptTLSHandshake:      "tls_handshake",
	attemptTLSOverload:       "tls_overload",
	attemptEarlyReset:        "early_reset",
	attemptEarlyClose:        "early_close",
}

// attemptResultOf gives the result of an attempt that failed.
func attemptResultOf(errno syscall.Errno) attemptResult {
	switch errno {
	case errEarlyReset:
		return attemptEarlyReset
	case errEarlyClose:
		return attemptEarlyClose
	case errTLSName:
		return attemptTLSName
	case errTLSCertificate:
		return attemptTLSCertificate
	case errTLSHandshake:
		return attemptTLSHandshake
	case errTLSOverload:
		return attemptTLSOverload
	case syscall.ECONNREFUSED:
		return attemptRefused
	case syscall.ETIMEDOUT:
		return attemptTimeout
	case syscall.ECONNRESET, syscall.EPIPE:
		return attemptReset
	case syscall.EHOSTUNREACH, syscall.ENETUNREACH:
		return attemptUnreachable
	case syscall.ENOENT:
		return attemptNoSuchSocket
	case syscall.EADDRNOTAVAIL:
		return attemptSourceUnavailable
	case syscall.EAFNOSUPPORT:
		return attemptSourceFamily
	}
	return attemptOther
}

// attemptWord says how an attempt failed.
func attemptWord(errno syscall.Errno) string {
	if r := attemptResultOf(errno); r != attemptOther {
		return attemptWords[r]
	}
	return errno.Error()
}
