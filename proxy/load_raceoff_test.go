//go:build !race

package proxy

// raceEnabled tells whether the race detector runs, under which everything
// takes about ten times as long.
const raceEnabled = false
