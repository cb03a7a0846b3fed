package config

import (
	"strings"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	f := func(in string, want time.Duration, wantErr string) {
		t.Helper()
		got, err := parseDuration(in)
		checkParsed(t, in, got, err, want, wantErr)
	}
	f("5s", 5*time.Second, "")
	f("1h30m", 90*time.Minute, "")
	f("0s", 0, "")
	f("0", 0, `write "0s"`)
	f("10", 0, `write "10s"`)
	f("2d", 0, `write "48h"`)
	f("99999d", 0, "is not a duration")
	f("-1s", 0, "is negative")
	f("", 0, "is not a duration")
	f("300000h", 300000*time.Hour, "")
	f("3000000h", 0, "is not a duration") // more than an int64 of nanoseconds
}

func TestParseSize(t *testing.T) {
	t.Parallel()
	f := func(in string, want int64, wantErr string) {
		t.Helper()
		got, err := parseSize(in)
		checkParsed(t, in, got, err, want, wantErr)
	}
	f("0B", 0, "")
	f("16KiB", 16<<10, "")
	f("3MiB", 3<<20, "")
	f("1GiB", 1<<30, "")
	f("16384", 0, `write "16384B"`)
	f("16k", 0, `write "16KiB"`)
	f("16 KB", 0, `write "16KiB"`)
	f("2M", 0, `write "2MiB"`)
	f("-1KiB", 0, "is not a size")
	f("1.5KiB", 0, "is not a size")
	f("9223372036854775807GiB", 0, "is not a size")
	f("", 0, "is not a size")
	f("KiB", 0, "is not a size")
}

func checkParsed[T comparable](t *testing.T, in string, got T, err error, want T, wantErr string) {
	t.Helper()
	switch {
	case wantErr == "" && (err != nil || got != want):
		t.Errorf("%q: got %v, %v; want %v", in, got, err, want)
	case wantErr != "" && (err == nil || !strings.Contains(err.Error(), wantErr)):
		t.Errorf("%q: got %v, %v; want an error with %q", in, got, err, wantErr)
	}
}
