package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"sluice/config"
)

// newLog makes the service log, what the gateway says about itself.
func newLog(spec config.Log, w io.Writer) zerolog.Logger {
	log, _ := newLogWithLevel(spec, w)
	return log
}

// newLogWithLevel is newLog with the means to change the level later.
func newLogWithLevel(spec config.Log, w io.Writer) (zerolog.Logger, *logLevel) {
	level := &logLevel{}
	if err := level.set(spec.Level); err != nil {
		panic("BUG: the configuration has let a level through: " + err.Error())
	}
	if spec.Format == "console" || spec.Format == "auto" && isTerminal(w) {
		w = zerolog.ConsoleWriter{Out: w, NoColor: !hasColor(w), TimeFormat: time.DateTime, TimeLocation: time.Local}
	}
	return zerolog.New(w).Sample(level).Hook(clock{}), level
}

// logLevels are the words of the log block.
func logLevels() []string { return []string{"trace", "debug", "info", "warn", "error"} }

// logLevel is the level from which on lines are written. Loggers are passed on by
// value, and with them their own level, so that it could not be changed; the
// sampler is one for all. It is asked before anything is formatted. Its methods
// may be called by any goroutine.
type logLevel struct{ lowest atomic.Int32 }

// Sample implements [zerolog.Sampler].
func (l *logLevel) Sample(level zerolog.Level) bool { return level >= zerolog.Level(l.lowest.Load()) }

// String gives the word of the level.
func (l *logLevel) String() string { return zerolog.Level(l.lowest.Load()).String() }

// set changes the level.
func (l *logLevel) set(word string) error {
	level, err := zerolog.ParseLevel(word)
	if err != nil || !slices.Contains(logLevels(), word) {
		return fmt.Errorf("%q is no level: there are %s", word, strings.Join(logLevels(), ", "))
	}
	l.lowest.Store(int32(level))
	return nil
}

// clock adds the time to a log line: in UTC with milliseconds, as the access
// records have it.
type clock struct{}

// Run implements [zerolog.Hook].
func (clock) Run(e *zerolog.Event, _ zerolog.Level, _ string) {
	e.Str(zerolog.TimestampFieldName, time.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00"))
}
