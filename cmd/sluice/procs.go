package main

import (
	"cmp"
	"runtime"
)

// giveWorkersTheirOwn raises GOMAXPROCS by the number of workers, which it
// returns: what the configuration says, or one for every CPU that the process may
// use. While there is traffic a worker holds a P (see package poller), and
// handshakes, the admin server and the collector need others; which thread runs
// then is the kernel's choice. It may be called once.
func giveWorkersTheirOwn(configured int) (workers int) {
	procs := runtime.GOMAXPROCS(0)
	workers = cmp.Or(configured, procs)
	runtime.GOMAXPROCS(procs + workers)
	return workers
}
