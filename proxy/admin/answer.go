package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"sluice/proxy"
)

// failure is an answer that is an error: its words say what is wrong, and what
// to do.
type failure struct {
	status int
	text   string
}

func (f *failure) Error() string { return f.text }

func fail(status int, format string, args ...any) error {
	return &failure{status, fmt.Sprintf(format, args...)}
}

// statusOf is the status with which an error is told.
func statusOf(err error) int {
	var f *failure
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &f):
		return f.status
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, proxy.ErrNoConnection), errors.Is(err, proxy.ErrNoCluster), errors.Is(err, proxy.ErrNoEndpoint):
		return http.StatusNotFound
	case errors.Is(err, proxy.ErrFilter), errors.Is(err, proxy.ErrEndpointChange):
		return http.StatusBadRequest
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}

// writeError tells an error. Nothing may have been written before.
func writeError(w http.ResponseWriter, err error) {
	writeJSON(w, statusOf(err), map[string]string{"error": err.Error()})
}

// writeJSON answers with a value that can be encoded.
func writeJSON(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic("BUG: admin: an answer that is no JSON: " + err.Error())
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(text)+1))
	w.WriteHeader(status)
	// The error is that the client is gone.
	_, _ = w.Write(append(text, '\n'))
}

// readJSON reads the body into v. A field that there is none of is an error, so
// that nothing that was meant is left out in silence.
func readJSON(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			return fmt.Errorf("the body has more than %d KiB: %w", maxBody>>10, err)
		}
		return fail(http.StatusBadRequest, "the body is not the JSON object that is wanted here: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fail(http.StatusBadRequest, "the body has more than one JSON object")
	}
	return nil
}
