package proxy

import (
	"sync"
	"time"
)

// failures counts something that may go wrong thousands of times a second, and
// bounds what is logged of it. Any goroutine may use it.
type failures struct {
	mu    sync.Mutex // guards what follows
	count uint64
	told  time.Time
}

// add counts a failure, and tells whether to log it, which is once a second, and
// how many there were.
func (f *failures) add() (count uint64, tell bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	now := time.Now()
	if tell = now.Sub(f.told) >= time.Second; tell {
		f.told = now
	}
	return f.count, tell
}

func (f *failures) total() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count
}
