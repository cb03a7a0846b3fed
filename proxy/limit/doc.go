/*
Package limit decides whether one more connection may stay: how many there may
be at a time, how fast they may come, how much of both a single source may
have, and who may come at all.

	connections.go  [Connections]: a count and the most it may be
	rate.go         [Rate] and [Bucket]: so many a second, so many at once
	source.go       [Key]: what counts as one source
	sources.go      [Sources]: counts and buckets by source, in a bounded table
	shard.go        the part of that table under one lock
	access.go       [Access]: lists of who may come

What lives and what is configured are kept apart. Connections, Bucket and
Sources hold state, are shared by all workers, and know no limit: it is handed
in with every call. So a configuration can change while they stay, and no
connection is counted twice or lost over it.

Nothing here reads a clock, writes a log or opens a socket. Times are durations
since a moment that is the caller's choice, the same for everyone who shares a
Bucket or Sources. A call with a time that is somewhat behind is harmless: it
lets through no more than one with the right time.

# The table of sources

A source needs an entry while it has connections and, where there is a rate,
until its bucket is full again. An entry whose bucket is full and which has no
connection says nothing, so it may go: that is not noticed.

Entries with connections stay. There are never more of them than connections,
which the process limits, and beside what a connection costs an entry is small;
so the table takes all of them, and there is no such thing as a new source that
is refused, or let through uncounted, because the table is full.

Entries without connections are bounded: [MaxIdle] in a table. Beyond that one
is dropped early for each new one: of a few the one whose bucket is the nearest
to full. It takes more than MaxIdle sources that come and go within the time
that a bucket takes to fill; what is lost then is that a source that returns has
its whole burst once more. Limits on connections are exact in any case.

An entry takes 24 bytes, with the room that hashing needs 32 to 64 while the
table grows. It holds no pointers, so the garbage collector passes it over, and
entries are made and dropped without allocating; only doubling the table does.
*/
package limit
