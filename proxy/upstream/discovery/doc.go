// Package discovery finds out which endpoints a cluster has, from DNS or from
// a file, and goes on looking.
//
//	source := &discovery.DNS{Host: "api.internal", Port: 8443}
//	source.Run(ctx, sink)             // in a goroutine of the owner's
//
// A [Source] is one goroutine, its Run. It tells its [Sink] the whole set of
// endpoints each time it has read it, or why it could not. It never tells a set
// that it only guesses: what cannot be read changes nothing, so that the last
// good answer stays in force however long the trouble lasts.
//
// # DNS
//
// The queries are our own, made with the DNS library, because the standard
// library's resolver gives no TTL and no weight of a single SRV record's
// address, and asks only the system's servers. Names are asked for with A and
// AAAA at once. Where one of the two fails and the other does not, the addresses
// of the failed family stay as they were: servers that answer AAAA with an error
// are common, and a lost packet must not take half of a cluster away. That a
// name has addresses of one family only is an answer; that it has none at all,
// or does not exist, counts as a failure.
//
// Without resolvers of its own a name is looked up as the system would:
// /etc/hosts first, then the servers, search list and ndots of /etc/resolv.conf,
// both read anew each time; its other options do not count. A resolver that is
// given is asked for the name as it stands.
//
// The targets of SRV records are always asked for; the addresses that a server
// may send along with the records are not used, since they are left out when
// the message gets too long, and the set would change with its order. RFC 2782
// gives a record with weight 0 a very small chance; it has weight 1 here.
//
// An answer is taken only from the address and port that were asked, with the
// random number and the question that were sent, over a port that the kernel
// chose at random; anything else is dropped and waited on. What does not fit
// into a UDP message is asked for again over TCP. There is no DNSSEC: who needs
// it names a validating resolver on this machine.
//
// # File
//
// The directory is watched, not the file, so that a file that is replaced by
// renaming another over it, or by changing a symbolic link on the way to it, is
// noticed. Since notices get lost (on network file systems there are none), the
// file is looked at every few seconds as well.
//
// # Not here
//
// Health: that an address does not answer is no reason to take it out of the
// set; see package health.
package discovery
