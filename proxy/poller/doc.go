/*
Package poller is one event loop per CPU: the [Worker]. It waits for readiness
of descriptors with epoll, runs the set-up of connections as straight-line code
in coroutines, keeps their timers, and takes messages from other goroutines.

A worker shares nothing: whatever belongs to a connection is touched only by
the worker that owns it, so nothing of it is locked. The pieces are

	worker.go     the loop: wait, dispatch, timers, inbox, ready list
	wait.go       epoll_wait, with the P held or let go
	slot.go       a connection's place in the loop: readiness, generation, timer
	coroutine.go  set-up code that may wait
	wheel.go      the timer wheel
	inbox.go      messages from other goroutines
	watch.go      descriptors that are no connection: listening sockets

# Why not a goroutine per connection

An idle connection then costs its goroutines' stacks and the runtime's poll
descriptors, about 10 KB, and every byte that moves costs a trip through the
scheduler. Here a connection that has been set up is a struct of a few hundred
bytes and nothing runs for it until its descriptors are ready.

# Why a worker holds its P while it waits

There are three ways for a goroutine to wait for an epoll descriptor of its own.
It can block in a system call that the scheduler knows of: then its P is handed
away and back. It can register the descriptor in the runtime's poller and park:
then a wait is up to four calls of epoll_wait, the worker's and the runtime's,
and a search for other work. Or it can block with its P in its hands: then it is
one call, as in a program in C. Beside parking that takes a quarter of the CPU
time off an echo over a single connection, 7% off one over 256, and 4 to 6% off a
short connection.

It is the third way while there is traffic, and the first after some milliseconds
without any (wait.go says how). What it asks for is a larger GOMAXPROCS, so that
there are Ps for the rest of the process: which of its threads runs is then
decided by the kernel. With no P to spare the rest waits until a worker has
nothing to do for a moment, or has had its P for yieldAfter.

# Staleness

Descriptor numbers are reused at once by the kernel, and a batch of events may
hold one for a descriptor that an earlier event of the same batch closed. Every
registration therefore has a number of its own that comes back in the event; an
event with another number is dropped (see [Worker.Register]).

Non-goals: other systems than Linux, descriptors that are not sockets, fairness
between workers.
*/
package poller
