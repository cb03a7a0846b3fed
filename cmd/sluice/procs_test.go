package main

import (
	"runtime"
	"testing"
)

func TestWorkersHaveTheirOwnProcs(t *testing.T) {
	f := func(configured, workers, procs int) {
		t.Helper()
		if got := giveWorkersTheirOwn(configured); got != workers || runtime.GOMAXPROCS(0) != procs {
			t.Errorf("workers = %d gives %d and GOMAXPROCS %d, want %d and %d", configured, got, runtime.GOMAXPROCS(0), workers, procs)
		}
	}
	cpus := procsOfOurs
	f(3, 3, cpus+3)
	f(0, cpus, 2*cpus)
	f(0, cpus, 2*cpus) // which does not grow with every gateway of the process
}
