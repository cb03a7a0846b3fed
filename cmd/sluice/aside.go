package main

import (
	"runtime"
	"runtime/debug"
	"syscall"
)

// aside runs f, which computes for a long time, so that the workers of the
// gateway hardly notice. Ten thousand chains take half a second to read and a
// few hundred megabytes of garbage. Where there are as many workers as Ps, that
// and the collector would take their Ps for up to 60 ms at a time; with all of
// this a worker that has something to do waited for 3.4 ms at most, with two
// workers on two cores:
//
//   - One P more, so that the workers keep theirs.
//   - f has a thread of its own with the lowest priority (setpriority(2)), so
//     that the kernel prefers theirs. The thread ends with f: raising a priority
//     again takes a privilege.
//   - The collector runs once, afterwards, and not several times over what is
//     still growing. A memory limit (GOMEMLIMIT) holds all the same. It is not
//     called by that thread: it stops all others for a moment, and the moment
//     lasts for as long as the kernel does not let that one run.
//
// It must not be called by several goroutines at a time.
func aside(f func()) {
	procs := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(procs + 1)
	defer runtime.GOMAXPROCS(procs)
	percent := debug.SetGCPercent(-1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked
		// Without it things only take turns less nicely.
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), lowestPriority)
		f()
	}()
	<-done
	debug.SetGCPercent(percent)
	runtime.GC()
}

// lowestPriority is that of nice(1).
const lowestPriority = 19
