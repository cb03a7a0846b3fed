// Package route decides which filter chain of a listener takes a connection,
// and can say why. It is pure: plain values in, the index of a chain out, no
// sockets, no clock, no state that changes after [New].
//
// A chain is described by its [Criteria]. All of them must hold, the elements
// of one are alternatives, and an omitted one always holds. Among the chains
// that match, the most specific wins, compared criterion by criterion in this
// order:
//
//	destination port          given > omitted
//	destination prefixes      longer matching prefix > shorter > omitted
//	server names              exact > longer wildcard > shorter wildcard > omitted
//	transport protocol        given > omitted
//	application protocols     the one the client names earlier > later > omitted
//	direct source prefixes    longer matching prefix > shorter > omitted
//	source prefixes           longer matching prefix > shorter > omitted
//	source ports              given > omitted
//	ja4                       given > omitted
//
// Two chains rank equal for some connection only if, for every criterion,
// both omit it or both list the element that held. The configuration refuses
// such a pair; Lookup would give the one that was written first.
//
// # Complete, not bucketed
//
// Envoy compares in the same order, but narrows down: it takes the most
// specific bucket of one criterion, forgets the others, and ends in the
// default chain when a later criterion then fails. A chain for
// api.example.com from 10.0.0.0/8 thereby takes api.example.com away from a
// chain for *.example.com even for clients from elsewhere. Here every chain
// that matches competes, so adding a chain takes away only those connections
// that the chain matches itself.
//
// # How it works
//
// Every criterion that holds has a rank, 0 is the rank of an omitted one, and
// all ranks of a chain are packed into one integer with the first criterion
// in the highest bits, so that comparing two chains is comparing two
// integers (specificity.go). Lookup, NeedsHello and Explain share the
// function that ranks one criterion (chain.go, gate.go); Explain therefore
// cannot tell another story than Lookup.
//
// Server names are found through two hash maps, one of exact names and one of
// wildcard suffixes (names.go). Only suffixes of a number of labels that some
// wildcard has are probed, so the number of labels of a hostile name does not
// matter. Prefix lists are tries.
//
// # What it costs
//
// A chain with server names costs nothing until one of them is asked for: a
// lookup among a hundred thousand names differs from one among ten only by
// the cache misses, some 100 ns more. All chains that list the same name are
// evaluated, one after the other. Chains without server names are a list
// ordered by how specific they could be, evaluated from the front until the
// best match so far cannot be beaten any more: some 20 ns for each chain, so
// a listener with thousands of chains that have no server names pays tens of
// microseconds for each connection.
// The client's list of application protocols is walked once for each chain
// that names protocols, matches in everything else, and could still win: a
// hostile list that fills a hello of 16 KiB takes some 30 µs for each.
// Nothing allocates but New and Explain.
//
// # Not done here
//
// Names are compared byte for byte: lower-casing and dropping a trailing dot
// is the parser's task, and so is the fingerprint. The default chain is no entry of the table: -1 from
// Lookup is its cue.
package route
