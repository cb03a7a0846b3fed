package status

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// A filter travels as the query of a URL. Each has the same two methods: Query
// gives it, without what means all, and SetQuery reads it. A word that there is
// none of is an error, so that nobody takes everything for what was asked for.

// parameter is a field of a filter under its name in a query.
type parameter struct {
	name  string
	value *string
}

func (f *ListenerFilter) parameters() []parameter {
	return []parameter{{"address", &f.Address}, {"port", &f.Port}, {"type", &f.Type}, {"chain", &f.Chain}}
}

func (f *RouteFilter) parameters() []parameter {
	return []parameter{{"name", &f.Name}, {"sni", &f.SNI}}
}

func (f *ClusterFilter) parameters() []parameter {
	return []parameter{{"name", &f.Name}, {"fqdn", &f.FQDN}, {"port", &f.Port}}
}

func (f *EndpointFilter) parameters() []parameter {
	return []parameter{{"address", &f.Address}, {"port", &f.Port}, {"cluster", &f.Cluster}, {"status", &f.Status}}
}

func (f *SecretFilter) parameters() []parameter {
	return []parameter{{"name", &f.Name}}
}

func (f *ConnectionFilter) parameters() []parameter {
	return []parameter{
		{"sni", &f.SNI}, {"source", &f.Source}, {"listener", &f.Listener},
		{"chain", &f.Chain}, {"cluster", &f.Cluster}, {"endpoint", &f.Endpoint},
	}
}

// Query gives the filter as the query of a URL.
func (f ListenerFilter) Query() url.Values { return queryOf(f.parameters()) }

// SetQuery reads what Query gives.
func (f *ListenerFilter) SetQuery(q url.Values) error { return setQuery(f.parameters(), q) }

// Query gives the filter as the query of a URL.
func (f RouteFilter) Query() url.Values { return queryOf(f.parameters()) }

// SetQuery reads what Query gives.
func (f *RouteFilter) SetQuery(q url.Values) error { return setQuery(f.parameters(), q) }

// Query gives the filter as the query of a URL.
func (f ClusterFilter) Query() url.Values { return queryOf(f.parameters()) }

// SetQuery reads what Query gives.
func (f *ClusterFilter) SetQuery(q url.Values) error { return setQuery(f.parameters(), q) }

// Query gives the filter as the query of a URL.
func (f EndpointFilter) Query() url.Values { return queryOf(f.parameters()) }

// SetQuery reads what Query gives.
func (f *EndpointFilter) SetQuery(q url.Values) error { return setQuery(f.parameters(), q) }

// Query gives the filter as the query of a URL.
func (f SecretFilter) Query() url.Values { return queryOf(f.parameters()) }

// SetQuery reads what Query gives.
func (f *SecretFilter) SetQuery(q url.Values) error { return setQuery(f.parameters(), q) }

// Query gives the filter as the query of a URL.
func (f ConnectionFilter) Query() url.Values {
	q := queryOf(f.parameters())
	if f.After != 0 {
		q.Set("after", strconv.FormatUint(f.After, 10))
	}
	if f.Limit != 0 {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	if f.Generation != 0 {
		q.Set("generation", strconv.Itoa(f.Generation))
	}
	return q
}

// SetQuery reads what Query gives. A limit above [MaxLimit] and a source that is
// neither an address nor a prefix are errors.
func (f *ConnectionFilter) SetQuery(q url.Values) error {
	if err := setQuery(f.parameters(), q, "after", "limit", "generation"); err != nil {
		return err
	}
	if s := q.Get("after"); s != "" {
		id, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return fmt.Errorf("after is %q: write the ID of a connection", s)
		}
		f.After = id
	}
	if s := q.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > MaxLimit {
			return fmt.Errorf("limit is %q: write a number from 1 to %d", s, MaxLimit)
		}
		f.Limit = n
	}
	if s := q.Get("generation"); s != "" {
		n, err := ParseGeneration(s)
		if err != nil {
			return err
		}
		f.Generation = n
	}
	return CheckSource(f.Source)
}

// ParseGeneration reads the number of a process.
func ParseGeneration(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("generation is %q: write the number of a process, as /server_info has them", s)
	}
	return n, nil
}

// CheckSource tells what is wrong with the source of a [ConnectionFilter].
func CheckSource(source string) error {
	if _, err := netip.ParsePrefix(source); err == nil || source == "" {
		return nil
	}
	if _, err := netip.ParseAddr(source); err == nil {
		return nil
	}
	return fmt.Errorf("source is %q: write an address (192.0.2.1) or a prefix (192.0.2.0/24)", source)
}

func queryOf(fields []parameter) url.Values {
	q := url.Values{}
	for _, p := range fields {
		if *p.value != "" {
			q.Set(p.name, *p.value)
		}
	}
	return q
}

// setQuery fills in the fields. The others are what else may be in q.
func setQuery(fields []parameter, q url.Values, others ...string) error {
	known := slices.Clone(others)
	for _, p := range fields {
		known = append(known, p.name)
		*p.value = q.Get(p.name)
	}
	for name, values := range q {
		switch {
		case !slices.Contains(known, name):
			slices.Sort(known)
			return fmt.Errorf("there is no filter %q here: there are %s", name, strings.Join(known, ", "))
		case len(values) > 1:
			return fmt.Errorf("the filter %q is there %d times: give it once", name, len(values))
		}
	}
	return nil
}
