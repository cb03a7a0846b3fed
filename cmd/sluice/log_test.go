package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"sluice/config"
)

// TestLogLevelChanges for loggers that were passed on before, too.
func TestLogLevelChanges(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log, level := newLogWithLevel(config.Log{Level: "info", Format: "json"}, &out)
	passedOn := log.With().Str("part", "x").Logger()
	said := func() string {
		out.Reset()
		for _, l := range []zerolog.Logger{log, passedOn} {
			l.Trace().Msg("t")
			l.Debug().Msg("d")
			l.Info().Msg("i")
			l.Warn().Msg("w")
			l.Error().Msg("e")
		}
		var words strings.Builder
		for line := range strings.Lines(out.String()) {
			_, rest, _ := strings.Cut(line, `"message":"`)
			words.WriteString(rest[:1])
		}
		return words.String()
	}
	for _, step := range []struct{ level, want string }{
		{"", "iweiwe"}, {"error", "ee"}, {"trace", "tdiwetdiwe"}, {"debug", "diwediwe"}, {"warn", "wewe"},
	} {
		if step.level != "" {
			if err := level.set(step.level); err != nil {
				t.Fatal(err)
			}
			if level.String() != step.level {
				t.Errorf("the level is %s, want %s", level, step.level)
			}
		}
		if got := said(); got != step.want {
			t.Errorf("with level %q it says %q, want %q", step.level, got, step.want)
		}
	}
	for _, word := range []string{"", "loud", "fatal", "disabled", "INFO", "7"} {
		if level.set(word) == nil {
			t.Errorf("%q is taken for a level", word)
		}
	}
}

// TestLinesBelowTheLevelCostNothing: the sampler is asked first.
func TestLinesBelowTheLevelCostNothing(t *testing.T) {
	t.Parallel()
	log := newLog(config.Log{Level: "info", Format: "json"}, &bytes.Buffer{})
	if log.Debug() != nil {
		t.Error("a line is made that is not written")
	}
}
