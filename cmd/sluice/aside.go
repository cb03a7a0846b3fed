package main

import (
	"runtime"
	"runtime/debug"
	"syscall"
)

// aside runs f, which computes for a long time, so that the workers of the
// gateway hardly notice. Ten thousand chains take half a second to read and a
// few hundred megabytes of garbage. Where nothing is done about it, that and the
// collector keep the workers from their CPUs for up to 60 ms at a time. There are
// Ps for both (giveWorkersTheirOwn), and with the rest of this a client waited
// for 4 to 6 ms at most, with two workers on two cores:
//
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
