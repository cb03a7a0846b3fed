package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// The errors of the functions here continue a sentence that begins with the
// value, and say what to write instead.

const (
	kindDuration = `a duration such as "5s"`
	kindSize     = `a size such as "16KiB"`
)

// parseDuration reads "5s", "1h30m", "0s".
func parseDuration(s string) (time.Duration, error) {
	if n, err := strconv.ParseUint(s, 10, 32); err == nil {
		return 0, fmt.Errorf("has no unit: write \"%ds\" for seconds", n)
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return 0, fmt.Errorf("is in days, which are not a unit here: write \"%dh\"", 24*n)
		}
	}
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return 0, errors.New(`is not a duration: write a number and a unit (ms, s, m, h) such as "5s" or "1h30m"`)
	case d < 0:
		return 0, errors.New(`is negative: write a duration from "0s", which means none`)
	}
	return d, nil
}

// duration is a duration that may be zero.
func (b *block) duration(name string, absent time.Duration) time.Duration {
	return parsed(b, name, absent, kindDuration, parseDuration)
}

// seconds is a duration that the kernel takes in whole seconds.
func (b *block) seconds(name string, absent time.Duration) time.Duration {
	return parsed(b, name, absent, kindDuration, func(s string) (time.Duration, error) {
		d, err := parseDuration(s)
		if err == nil && (d < time.Second || d > longestKernelTime || d%time.Second != 0) {
			err = fmt.Errorf("is not possible: the kernel takes whole seconds from \"1s\" to \"%ds\"", longestKernelTime/time.Second)
		}
		return d, err
	})
}

// milliseconds is a duration that the kernel takes in milliseconds, in 32 bits
// with a sign. Zero leaves the matter to the kernel.
func (b *block) milliseconds(name string, absent time.Duration) time.Duration {
	const longest = math.MaxInt32 * time.Millisecond
	return parsed(b, name, absent, kindDuration, func(s string) (time.Duration, error) {
		d, err := parseDuration(s)
		if err == nil && d != 0 && (d < time.Millisecond || d > longest) {
			err = fmt.Errorf("is not possible: write \"0s\" for the kernel's own, or a duration from \"1ms\" to \"%dms\"", longest/time.Millisecond)
		}
		return d, err
	})
}

// longestKernelTime is the most that TCP_KEEPIDLE and TCP_KEEPINTVL take.
const longestKernelTime = 32767 * time.Second

// units of sizes, in bytes.
var units = []struct {
	name  string
	bytes int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"B", 1}}

// parseSize reads "16KiB" and gives bytes.
func parseSize(s string) (int64, error) {
	for _, unit := range units {
		digits, ok := strings.CutSuffix(s, unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/unit.bytes {
			break
		}
		return n * unit.bytes, nil
	}
	digits := strings.TrimRight(s, "kKmMgGiIbB ")
	n, err := strconv.ParseUint(digits, 10, 32)
	switch suffix := strings.ToUpper(strings.TrimSpace(s[len(digits):])); {
	case err != nil:
	case suffix == "":
		return 0, fmt.Errorf("has no unit: write \"%dB\", or a number of KiB or MiB", n)
	case suffix[0] != 'B' && suffix[0] != 'I':
		return 0, fmt.Errorf("has another unit than B, KiB, MiB, GiB: write \"%d%ciB\"", n, suffix[0])
	}
	return 0, errors.New(`is not a size: write a number and a unit (B, KiB, MiB, GiB) such as "16KiB"`)
}

// size is a size in bytes from lowest to highest.
func (b *block) size(name string, absent, lowest, highest int64) int {
	n := parsed(b, name, absent, kindSize, func(s string) (int64, error) {
		n, err := parseSize(s)
		if err == nil && (n < lowest || n > highest) {
			err = fmt.Errorf("is not possible: write a size from \"%s\" to \"%s\"", formatSize(lowest), formatSize(highest))
		}
		return n, err
	})
	return int(n)
}

func formatSize(n int64) string {
	if n >= 1<<10 && n%(1<<10) == 0 {
		return fmt.Sprintf("%dKiB", n>>10)
	}
	return fmt.Sprintf("%dB", n)
}
