package status

import (
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var listeners = []Listener{
	{Name: "https", Addresses: []string{"0.0.0.0:443", "[::1]:8443"}, FilterChains: []FilterChain{
		{Name: "api", TLS: "terminated"}, {Name: "app", TLS: "passthrough"},
	}},
	{Name: "local", Addresses: []string{"unix:/run/x:1.sock"}, FilterChains: []FilterChain{{Name: "app", TLS: "passthrough"}}},
}

func TestFilterListeners(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		filter ListenerFilter
		want   string // listener/chain
	}{
		{"all", ListenerFilter{}, "https/api https/app local/app"},
		{"host", ListenerFilter{Address: "0.0.0.0"}, "https/api https/app"},
		{"IPv6 host", ListenerFilter{Address: "::1"}, "https/api https/app"},
		{"IPv6 host in brackets", ListenerFilter{Address: "[::1]"}, "https/api https/app"},
		{"host and port", ListenerFilter{Address: "[::1]:8443"}, "https/api https/app"},
		{"part of a host", ListenerFilter{Address: "0.0"}, ""},
		{"unix socket", ListenerFilter{Address: "unix:/run/x:1.sock"}, "local/app"},
		{"path of a unix socket", ListenerFilter{Address: "/run/x:1.sock"}, "local/app"},
		{"port", ListenerFilter{Port: "8443"}, "https/api https/app"},
		{"what looks like the port of a unix socket", ListenerFilter{Port: "1.sock"}, ""},
		{"type", ListenerFilter{Type: "Terminated"}, "https/api"},
		{"chain", ListenerFilter{Chain: "app"}, "https/app local/app"},
		{"all that is named", ListenerFilter{Port: "443", Chain: "app", Type: "terminated"}, ""},
	}
	for _, tc := range cases {
		var got []string
		for _, ln := range FilterListeners(listeners, tc.filter) {
			for _, c := range ln.FilterChains {
				got = append(got, ln.Name+"/"+c.Name)
			}
		}
		if s := strings.Join(got, " "); s != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, s, tc.want)
		}
	}
	if FilterListeners(nil, ListenerFilter{}) == nil {
		t.Error("a list is null")
	}
	if len(listeners[0].FilterChains) != 2 {
		t.Error("the filter has changed what it was given")
	}
}

// names gives what is left, joined by spaces.
func names[T any](list []T, name func(T) string) string {
	var got []string
	for _, v := range list {
		got = append(got, name(v))
	}
	return strings.Join(got, " ")
}

func TestFilterRoutes(t *testing.T) {
	t.Parallel()
	all := []Route{
		{Name: "api", Listener: "a", Domains: []string{"api.test", "*.api.test"}},
		{Name: "api", Listener: "b", Domains: []string{"x.test"}},
		{Name: "rest", Listener: "b", Domains: []string{"*"}},
	}
	cases := []struct {
		name   string
		filter RouteFilter
		want   string
	}{
		{"all", RouteFilter{}, "a/api b/api b/rest"},
		{"name", RouteFilter{Name: "api"}, "a/api b/api"},
		{"listener and name", RouteFilter{Name: "b/api"}, "b/api"},
		{"part of a name", RouteFilter{Name: "ap"}, ""},
		{"server name", RouteFilter{SNI: "API.test"}, "a/api b/rest"},
		{"below a wildcard", RouteFilter{SNI: "v1.b.api.test"}, "a/api b/rest"},
		{"beside a wildcard", RouteFilter{SNI: "xapi.test"}, "b/rest"},
		{"a domain as it is written", RouteFilter{SNI: "*.api.test"}, "a/api b/rest"},
	}
	for _, tc := range cases {
		if got := names(FilterRoutes(all, tc.filter), func(r Route) string { return r.Listener + "/" + r.Name }); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

func TestFilterClusters(t *testing.T) {
	t.Parallel()
	all := []Cluster{
		{Name: "api", Port: "8443", Discovery: []string{"dns a api.internal:8443"}},
		{Name: "api-canary", Port: "80"},
	}
	cases := []struct {
		name   string
		filter ClusterFilter
		want   string
	}{
		{"all", ClusterFilter{}, "api api-canary"},
		{"name", ClusterFilter{Name: "api"}, "api"},
		{"part of a name", ClusterFilter{FQDN: "api"}, "api api-canary"},
		{"part of what is looked up", ClusterFilter{FQDN: "internal"}, "api"},
		{"port", ClusterFilter{Port: "80"}, "api-canary"},
	}
	for _, tc := range cases {
		if got := names(FilterClusters(all, tc.filter), func(c Cluster) string { return c.Name }); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

func TestFilterEndpoints(t *testing.T) {
	t.Parallel()
	all := []Endpoint{
		{Name: "a", Address: "10.0.0.1:80", Cluster: "x", Status: "healthy", Outlier: "ok"},
		{Name: "b", Address: "10.0.0.1:81", Cluster: "x", Status: "healthy", Outlier: "ejected"},
		{Name: "c", Address: "unix:/run/c.sock", Cluster: "y", Status: "unhealthy", Outlier: "ok"},
	}
	cases := []struct {
		name   string
		filter EndpointFilter
		want   string
	}{
		{"all", EndpointFilter{}, "a b c"},
		{"host", EndpointFilter{Address: "10.0.0.1"}, "a b"},
		{"address", EndpointFilter{Address: "10.0.0.1:81"}, "b"},
		{"name", EndpointFilter{Address: "b"}, "b"},
		{"unix socket", EndpointFilter{Address: "/run/c.sock"}, "c"},
		{"port", EndpointFilter{Port: "80"}, "a"},
		{"cluster", EndpointFilter{Cluster: "y"}, "c"},
		{"status", EndpointFilter{Status: "HEALTHY"}, "a b"},
		{"ejected", EndpointFilter{Status: "ejected"}, "b"},
	}
	for _, tc := range cases {
		if got := names(FilterEndpoints(all, tc.filter), func(e Endpoint) string { return e.Name }); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

func TestFilterSecrets(t *testing.T) {
	t.Parallel()
	all := []Secret{{Name: "https/api"}, {Name: "https/app"}, {Name: "api"}}
	for filter, want := range map[string]string{
		"": "https/api https/app api", "https/api": "https/api", "https": "https/api https/app", "api": "https/api api",
	} {
		if got := names(FilterSecrets(all, SecretFilter{Name: filter}), func(s Secret) string { return s.Name }); got != want {
			t.Errorf("%q: %s, want %s", filter, got, want)
		}
	}
}

func TestFilterConnections(t *testing.T) {
	t.Parallel()
	all := []Connection{
		{ID: 1, SNI: "a.test", Source: "10.1.2.3:1000", Listener: "l", FilterChain: "c", Cluster: "x", Endpoint: "e", EndpointAddress: "10.0.0.1:80"},
		{ID: 2, SNI: "b.a.test", Source: "[2001:db8::1]:1000", Listener: "m", Cluster: "x"},
		{ID: 3, Source: "unix", Listener: "m"},
		{ID: 4, Source: "[::ffff:10.1.2.3]:1001", Listener: "m"},
	}
	cases := []struct {
		name   string
		filter ConnectionFilter
		want   string
		next   uint64
	}{
		{"all", ConnectionFilter{}, "1 2 3 4", 0},
		{"name", ConnectionFilter{SNI: "A.test"}, "1", 0},
		{"name with a dot at its end", ConnectionFilter{SNI: "a.test."}, "1", 0},
		{"names below", ConnectionFilter{SNI: "*.a.test"}, "2", 0},
		{"source", ConnectionFilter{Source: "10.1.2.3"}, "1 4", 0},
		{"another spelling", ConnectionFilter{Source: "2001:db8:0::1"}, "2", 0},
		{"prefix", ConnectionFilter{Source: "10.1.0.0/16"}, "1 4", 0},
		{"prefix with host bits", ConnectionFilter{Source: "10.1.2.3/16"}, "1 4", 0},
		{"everybody with an address", ConnectionFilter{Source: "::/0"}, "2", 0},
		{"listener", ConnectionFilter{Listener: "m"}, "2 3 4", 0},
		{"chain", ConnectionFilter{Chain: "c"}, "1", 0},
		{"cluster", ConnectionFilter{Cluster: "x"}, "1 2", 0},
		{"endpoint's name", ConnectionFilter{Endpoint: "e"}, "1", 0},
		{"endpoint's address", ConnectionFilter{Endpoint: "10.0.0.1:80"}, "1", 0},
		{"a page", ConnectionFilter{Limit: 2}, "1 2", 2},
		{"the next", ConnectionFilter{Limit: 2, After: 2}, "3 4", 0},
		{"a page that is full, with no more that are meant", ConnectionFilter{Limit: 1, Chain: "c"}, "1", 0},
	}
	for _, tc := range cases {
		page := FilterConnections(all, tc.filter)
		got := names(page.Connections, func(c Connection) string { return string(rune('0' + c.ID)) })
		if got != tc.want || page.Next != tc.next || page.Total != len(all) {
			t.Errorf("%s: %s, next %d, total %d, want %s, %d", tc.name, got, page.Next, page.Total, tc.want, tc.next)
		}
	}
}

// query is what all filters have.
type query interface {
	Query() url.Values
	SetQuery(url.Values) error
}

// Every field of every filter travels.
func TestQueryRoundTrip(t *testing.T) {
	t.Parallel()
	for _, f := range []query{
		&ListenerFilter{}, &RouteFilter{}, &ClusterFilter{}, &EndpointFilter{}, &SecretFilter{}, &ConnectionFilter{},
	} {
		v := reflect.ValueOf(f).Elem()
		for i := range v.NumField() {
			switch field := v.Field(i); field.Kind() {
			case reflect.String:
				field.SetString("10.0.0." + string(rune('0'+i)))
			case reflect.Uint64:
				field.SetUint(1 << 63)
			case reflect.Int:
				field.SetInt(MaxLimit)
			}
		}
		back := reflect.New(v.Type())
		q := f.Query()
		if len(q) != v.NumField() {
			t.Errorf("%v: %d fields, and %v", v.Type(), v.NumField(), q)
		}
		if err := back.Interface().(query).SetQuery(q); err != nil {
			t.Errorf("%v: %v", v.Type(), err)
		}
		if diff := cmp.Diff(v.Interface(), back.Elem().Interface()); diff != "" {
			t.Errorf("%v: %s", v.Type(), diff)
		}
		if empty := reflect.New(v.Type()).Interface().(query); len(empty.Query()) > 0 {
			t.Errorf("%v: nothing is asked for as %v", v.Type(), empty.Query())
		}
	}
}

func TestQueryThatIsWrong(t *testing.T) {
	t.Parallel()
	cases := []struct{ name, query, says string }{
		{"unknown filter", "snj=a.test", `no filter "snj" here: there are after, chain,`},
		{"twice", "sni=a&sni=b", `"sni" is there 2 times`},
		{"after", "after=x", "the ID of a connection"},
		{"limit of nothing", "limit=0", "from 1 to 10000"},
		{"limit above the most", "limit=10001", "from 1 to 10000"},
		{"source", "source=10.0.0", "write an address"},
		{"name as a source", "source=localhost", "write an address"},
		{"source with a port", "source=10.0.0.1:80", "write an address"},
	}
	for _, tc := range cases {
		q, err := url.ParseQuery(tc.query)
		if err != nil {
			t.Fatal(err)
		}
		var f ConnectionFilter
		if err := f.SetQuery(q); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: the error is %v, want %q", tc.name, err, tc.says)
		}
	}
}
