package main

import (
	"cmp"
	"runtime"
)

// procsOfOurs is what GOMAXPROCS was when the process began: how many CPUs it may
// use.
var procsOfOurs = runtime.GOMAXPROCS(0)

// giveWorkersTheirOwn raises GOMAXPROCS by the number of workers, which it
// returns: what the configuration says, or one for every CPU that the process may
// use. While there is traffic a worker holds a P (see package poller), and
// handshakes, the admin server and the collector need others; which thread runs
// then is the kernel's choice.
func giveWorkersTheirOwn(configured int) (workers int) {
	workers = cmp.Or(configured, procsOfOurs)
	runtime.GOMAXPROCS(procsOfOurs + workers)
	return workers
}
