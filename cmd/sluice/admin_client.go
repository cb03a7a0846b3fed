package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"
)

const (
	// adminConnectTimeout is for a machine that does not answer at all.
	adminConnectTimeout = 5 * time.Second
	// adminPatience is how long an answer may take to begin. A reload reads and
	// compiles a configuration first.
	adminPatience = time.Minute
	// maxAnswer bounds an answer, in bytes: the page of most connections has 6 MB.
	maxAnswer = 256 << 20
)

// adminClient asks a running gateway over its admin API.
type adminClient struct {
	http  http.Client
	base  string // URL without a path
	name  string // what the user calls it
	token string
}

// newAdminClient makes a client of an address as --admin has it.
func newAdminClient(address, token, caFile string) (*adminClient, error) {
	scheme, host, err := splitAdmin(address)
	if err != nil {
		return nil, fmt.Errorf("the admin address %q: %w", address, err)
	}
	if scheme == "" {
		scheme = "http"
		if caFile != "" {
			scheme = "https" // what else would the authority be for
		}
	}
	if scheme == "http" && token != "" && !isLoopback(host) {
		return nil, fmt.Errorf("the token would go to %s in the clear: write --admin https://%s", host, host)
	}
	dialer := net.Dialer{Timeout: adminConnectTimeout}
	transport := &http.Transport{ // no proxy: who is asked is who is named
		DialContext:           dialer.DialContext,
		ResponseHeaderTimeout: adminPatience,
		TLSHandshakeTimeout:   adminConnectTimeout,
	}
	if caFile != "" {
		pool, err := readAuthorities(caFile)
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	c := &adminClient{base: scheme + "://" + host, name: host, token: token}
	if scheme == "unix" {
		c.base, c.name = "http://localhost", address
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", host)
		}
	}
	c.http.Transport = transport
	// A redirect is not the admin API's, and would carry the token elsewhere.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

func readAuthorities(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("there is no certificate in %s: it is to be PEM", path)
	}
	return pool, nil
}

// isLoopback tells whether what is sent to host:port stays on this machine.
func isLoopback(hostPort string) bool {
	host, _, _ := net.SplitHostPort(hostPort)
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// get reads a JSON answer into a value. Of an object, it must have the fields
// that are named, or it is somebody else's.
func (c *adminClient) get(ctx context.Context, path string, query url.Values, into any, fields ...string) error {
	body, err := c.do(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return err
	}
	return c.decode(body, into, fields...)
}

// post changes something, and gives what the gateway says about it.
func (c *adminClient) post(ctx context.Context, path string, query url.Values) (string, error) {
	body, err := c.do(ctx, http.MethodPost, path, query, nil)
	if err != nil {
		return "", err
	}
	var answer struct {
		Result string `json:"result"`
	}
	return answer.Result, c.decode(body, &answer, "result")
}

// ask reads a JSON answer to a JSON question, which changes nothing.
func (c *adminClient) ask(ctx context.Context, path string, question, into any, fields ...string) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	answer, err := c.do(ctx, http.MethodPost, path, nil, body)
	if err != nil {
		return err
	}
	return c.decode(answer, into, fields...)
}

// do gives the body of an answer that is good. question is JSON; nil: there is
// none.
func (c *adminClient) do(ctx context.Context, method, path string, query url.Values, question []byte) ([]byte, error) {
	response, err := c.send(ctx, method, path, query, question, "application/json")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the answer of %s broke off: %w", c.name, cmp.Or(context.Cause(ctx), err))
	case len(body) > maxAnswer:
		return nil, fmt.Errorf("the answer of %s has more than %d MiB: is it a sluice?", c.name, maxAnswer>>20)
	}
	return body, nil
}

// send makes a request, and turns an answer that is not good into an error.
func (c *adminClient) send(ctx context.Context, method, path string, query url.Values, question []byte, accept string) (*http.Response, error) {
	target := c.base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(question))
	if err != nil {
		return nil, fmt.Errorf("the admin address %s: %w", c.name, err)
	}
	if question != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	request.Header.Set("Accept", accept)
	request.Header.Set("User-Agent", "sluice/"+readBuild().Version)
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.explain(err)
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		return nil, c.refusal(response)
	}
	if kind := response.Header.Get("Content-Type"); !strings.HasPrefix(kind, accept) {
		response.Body.Close()
		return nil, c.stranger(fmt.Sprintf("it sent %s", cmp.Or(kind, "something without a type")))
	}
	return response, nil
}

// decode reads an answer.
func (c *adminClient) decode(body []byte, into any, fields ...string) error {
	var wrongType *json.UnmarshalTypeError
	switch err := json.Unmarshal(body, into); {
	case errors.As(err, &wrongType):
		return fmt.Errorf("%s answers in a form that this sluice (%s) does not know (%s): use the sluice that runs there", c.name, readBuild().Version, wrongTypeText(wrongType))
	case err != nil:
		return c.stranger("its JSON cannot be read")
	}
	if missing := missingField(body, fields); missing != "" {
		return c.stranger(fmt.Sprintf("there is no %q in its answer", missing))
	}
	return nil
}

// wrongTypeText says which field is not what it should be.
func wrongTypeText(e *json.UnmarshalTypeError) string {
	return fmt.Sprintf("%s is a %s", cmp.Or(e.Field, "the whole"), e.Value)
}

// missingField gives the first of the fields that a JSON object has not, or "".
func missingField(body []byte, fields []string) string {
	if len(fields) == 0 {
		return ""
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(body, &object) != nil {
		return fields[0]
	}
	for _, f := range fields {
		if _, ok := object[f]; !ok {
			return f
		}
	}
	return ""
}

// errorBody gives the words of an answer that is not good, or "" when it has
// none in the admin API's form.
func errorBody(body []byte) string {
	var answer struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(bytes.TrimSpace(body), &answer) != nil {
		return ""
	}
	return answer.Error
}
