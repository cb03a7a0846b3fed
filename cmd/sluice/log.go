package main

import (
	"io"
	"time"

	"github.com/rs/zerolog"

	"sluice/config"
)

// newLog makes the service log, what the gateway says about itself.
func newLog(spec config.Log, w io.Writer) zerolog.Logger {
	level, err := zerolog.ParseLevel(spec.Level)
	if err != nil {
		panic("BUG: the configuration has let a level through: " + err.Error())
	}
	if spec.Format == "console" || spec.Format == "auto" && isTerminal(w) {
		w = zerolog.ConsoleWriter{Out: w, NoColor: !hasColor(w), TimeFormat: time.DateTime, TimeLocation: time.Local}
	}
	return zerolog.New(w).Level(level).Hook(clock{})
}

// clock adds the time to a log line: in UTC with milliseconds, as the access
// records have it.
type clock struct{}

// Run implements [zerolog.Hook].
func (clock) Run(e *zerolog.Event, _ zerolog.Level, _ string) {
	e.Str(zerolog.TimestampFieldName, time.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00"))
}
