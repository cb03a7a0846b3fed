/*
Package relay moves the bytes of a connection both ways between two
descriptors, and passes their ends on truthfully.

A [Pair] is one connection. It is passive: its worker tells it of readiness
([Pair.Events]) and gives it turns ([Pair.Turn]); between turns it holds nothing
but its own hundred bytes, unless bytes wait in it for a slow side. What a
worker needs for all of its pairs, the scratch buffer and the caches of pipes
and buffers, is a [Mover].

	state.go   which side has ended, finished or reset, and what follows
	pair.go    a turn: both directions, then the ends
	copy.go    a direction through the scratch buffer
	splice.go  a direction through a pipe, without user memory
	pipe.go    the pipes: few, big, and only while they hold bytes
	buffer.go  the buffers of stalled directions
	wire.go    the socket as crypto/tls sees it
	stream.go  the encrypted sides of a connection, client's or endpoint's
	end.go     FIN, reset, and waiting until bytes are acknowledged
	sys.go     the system calls

# Copy or splice

Small and interactive traffic is copied: one read and one write through a
buffer that is hot in the cache costs less than two splices. A direction that
keeps filling its reads is bulk and goes through a pipe instead, and the bytes
never enter user memory. A pipe is borrowed for the time it holds bytes; idle
connections have none.

# Truth

FIN is passed on as FIN, after everything before it, and the other direction
goes on. A reset is passed on as a reset, but not before the bytes that came
ahead of it were acknowledged: closing at once would throw them away. Rules in
state.go; the kernel's behaviour that they rest on is described there.

Non-goals: deciding anything about time (the owner of a pair does), UDP, and
waiting: no call here blocks, except those of a [Wire] during a handshake.
*/
package relay
