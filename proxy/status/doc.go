// Package status has the shapes in which a gateway says what it runs: its
// listeners with their filter chains, routes, clusters, endpoints, certificates
// and live connections, and where a connection would go and why.
//
// They are inert, with nothing behind them: package proxy fills them in, the
// admin API sends them as JSON, the command line prints them as tables, and a
// saved answer is read back into them. The JSON names are an interface that
// people write scripts against; a field is added, but none is renamed or given
// another meaning.
//
// Units are in the names: _ms is milliseconds, and what ends in neither is a
// count or, for bytes, a number of bytes. Durations that stand in the
// configuration are spelled as they would be there ("5s"). Times are RFC 3339
// in UTC. A list is never null; a text that there is none of is left out.
package status
