/*
Package poller is one event loop per CPU: the [Worker]. It waits for readiness
of descriptors with epoll, runs the set-up of connections as straight-line code
in coroutines, keeps their timers, and takes messages from other goroutines.

A worker shares nothing: whatever belongs to a connection is touched only by
the worker that owns it, so nothing of it is locked. The pieces are

	worker.go     the loop: wait, dispatch, timers, inbox, ready list
	wait.go       epoll inside the runtime's own poller
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

# Why epoll inside the runtime's poller

A worker that blocked in epoll_wait would hold an OS thread and hand its P away
and back for every wait. Instead the worker's epoll descriptor is itself
registered in the runtime's poller, and the worker parks there like any other
goroutine. The zero-timeout epoll_wait runs inside the callback of
syscall.RawConn.Read: only so is no edge lost between looking and parking.

# Staleness

Descriptor numbers are reused at once by the kernel, and a batch of events may
hold one for a descriptor that an earlier event of the same batch closed. Every
registration therefore has a number of its own that comes back in the event; an
event with another number is dropped (see [Worker.Register]).

Non-goals: other systems than Linux, descriptors that are not sockets, fairness
between workers.
*/
package poller
