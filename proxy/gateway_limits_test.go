package proxy

import "testing"

func TestDescriptorsAreSharedOut(t *testing.T) {
	t.Parallel()
	f := func(limit, addresses, workers int, wantConnections int64, wantPipes int) {
		t.Helper()
		connections, pipes := shareOut(limit, addresses, workers)
		if connections != wantConnections || pipes != wantPipes {
			t.Errorf("limit %d, %d addresses, %d workers: %d connections and %d pipes, want %d and %d",
				limit, addresses, workers, connections, pipes, wantConnections, wantPipes)
		}
		if used := int(2*connections) + 2*pipes; used > limit && connections > 16 {
			t.Errorf("limit %d: %d are given away", limit, used)
		}
	}
	f(20_000, 1, 2, 9822, 160)
	f(1_000_000, 10, 64, 499_060, 160)
	f(1024, 2, 4, 420, 64)
	f(200, 1, 2, 70, 12)
	f(40, 1, 2, 16, 2) // it serves a few, and sheds
}
