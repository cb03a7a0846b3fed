/*
Package handoff gives the listening sockets of a process to the one that takes
its place, so that not one connection attempt is refused or lost: a new binary
takes over while the old process finishes what it has begun. It knows nothing of
what the sockets are for; they have names.

	successor, err := handoff.Start(command, offer)   // the old process
	err = successor.AwaitReady(ctx)
	dropped, err := successor.Go(ctx)
	err = successor.Yours(ctx)

	predecessor, err := handoff.Inherit()             // the new one
	fds, ok := predecessor.Sockets.Take("tcp :443")
	err = predecessor.Ready(ctx)
	predecessor.Serving(dropped)
	<-predecessor.Owned()
	predecessor.Owner()

# What is said

Both talk over a socket pair that the new process is started with (its number is
in the environment). Each message is one packet of JSON with descriptors beside
it (SCM_RIGHTS):

	old   offer      versions, generation, process ID
	old   sockets    name, descriptors; as often as needed
	old   elder      a generation that still drains: its end of such a pair
	old   offered    that is all
	new   ready      everything that can fail has been done
	old   go         accept
	new   serving    it does; and which sockets it has no use for
	old   yours      it has lasted its first seconds: the old one drains now
	new   owner      it has said so to whom it concerns
	new   leaving    instead of the above: it goes, and why
	new   question   with a descriptor to write the answer to; at any time after

Nobody is let in by the new process before "go", so that ending it until then
harms nobody. Between "go" and "yours" both processes hold the sockets and only
the new one accepts: when it dies, the old one takes up where it was, and who
connected meanwhile is in the queue that both share. When the old process dies
after "offered", the new one goes on alone.

# Versions

Either binary may be older than the other. A message that is unknown and a field
that is unknown are passed over. "offer" and "ready" say the version that the
speaker speaks and the oldest that is enough to understand it; a process that does
not speak that one refuses in words, and then nothing has happened.

# Generations

A process that drains keeps its end of the pair and answers questions
(a [Question] and what the owner's function makes of it). Its successor is asked
to hand the other end on to its own successor, so that the newest can ask all
that still drain ([Elders]).

# systemd

[Activated] takes the sockets of socket units, [Notify] tells the service manager
what goes on.

Non-goals: handing over connections; changing users or namespaces on the way.
*/
package handoff
