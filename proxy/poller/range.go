package poller

// Some calls f for the owners of open slots among n places, from the first-th on,
// and gives the place behind them; it tells false when there are none. It is
// [Worker.Each] in parts that take a bounded time: a slot keeps its place for as
// long as it is open, so that who goes through all places from 0, however much
// happens in between, finds each slot that was open all the while exactly once.
// f may close slots, its own among them, and open others, which it may or may not
// get to see.
func (w *Worker) Some(first, n int, f func(Owner)) (next int, more bool) {
	end := min(first+n, len(w.slots))
	for i := first; i < end; i++ {
		if s := w.slots[i]; s != nil {
			f(s.owner)
		}
	}
	return end, end < len(w.slots)
}
