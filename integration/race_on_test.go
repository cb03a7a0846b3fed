//go:build race

package integration

// raceEnabled tells whether the tests run with the race detector: the gateway
// is then built with it too, and everything takes five to ten times as long.
const raceEnabled = true
