package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"
)

// Defaults and bounds of health checks.
const (
	defaultCheckInterval      = 5 * time.Second
	defaultCheckTimeout       = 2 * time.Second
	defaultCheckJitter        = 10 // percent
	defaultHealthyThreshold   = 2
	defaultUnhealthyThreshold = 3
	maxThreshold              = 1000

	// shortestInterval keeps a slip of the unit from becoming an attack.
	shortestInterval = 10 * time.Millisecond
	// maxCheckText bounds send and expect, which are a line or two.
	maxCheckText = 4 << 10
)

const (
	kindCheckText = `text, or bytes such as "hex:50494e47"`
	kindStatuses  = `a status such as "204" or a range such as "200-299"`
	kindPath      = `a path such as "/healthz"`
	kindPercent   = `a percentage such as "10%"`
)

// attributesOfCheck says which types the attributes are for that are not for
// all.
var attributesOfCheck = []struct {
	name  string
	types []string
}{
	{"send", []string{"tcp"}},
	{"expect", []string{"tcp"}},
	{"path", []string{"http"}},
	{"host", []string{"tls", "http"}},
	{"expected_statuses", []string{"http"}},
}

// decodeHealthCheck reads the health_check block of a cluster; nil when there is
// none.
func decodeHealthCheck(b *block) *HealthCheck {
	if h, there := b.one("health_check"); there {
		return readHealthCheck(h)
	}
	return nil
}

func readHealthCheck(h *block) *HealthCheck {
	c := &HealthCheck{
		Interval:           h.atLeast("interval", defaultCheckInterval, shortestInterval),
		Timeout:            h.positiveDuration("timeout", defaultCheckTimeout),
		Jitter:             parsed(h, "jitter", defaultCheckJitter, kindPercent, parsePercent),
		HealthyThreshold:   h.integer("healthy_threshold", defaultHealthyThreshold, 1, maxThreshold),
		UnhealthyThreshold: h.integer("unhealthy_threshold", defaultUnhealthyThreshold, 1, maxThreshold),
		Send:               parsed(h, "send", "", kindCheckText, parseCheckText),
		Expect:             parsed(h, "expect", "", kindCheckText, parseCheckText),
		Path:               parsed(h, "path", "", kindPath, parsePath),
		Host:               parsed(h, "host", "", kindHost, parseCheckHost),
		ExpectedStatuses:   decodeStatuses(h),
		Port:               uint16(h.integer("port", 0, 0, 65_535)),
	}
	failures := h.failures
	c.Type = h.word("type", "tcp", "tcp", "tls", "http")
	if h.failures != failures || !h.has("type") && !h.complete() {
		return c // what goes with another type cannot be told
	}
	for _, a := range attributesOfCheck {
		if h.has(a.name) && !slices.Contains(a.types, c.Type) {
			h.errorf(h.attrs[a.name].NameRange, "Unused "+a.name, "A check of type %q has no %s: write type = %s, or leave %s out.", c.Type, a.name, quotedOr(a.types), a.name)
		}
	}
	if c.Type == "http" {
		if c.Path == "" {
			c.Path = "/healthz"
		}
		if c.ExpectedStatuses == nil {
			c.ExpectedStatuses = []StatusRange{{200, 299}}
		}
	}
	return c
}

// atLeast is a duration of at least shortest.
func (b *block) atLeast(name string, absent, shortest time.Duration) time.Duration {
	return parsed(b, name, absent, kindDuration, func(s string) (time.Duration, error) {
		d, err := parseDuration(s)
		if err == nil && d < shortest {
			err = fmt.Errorf("is too short: write at least %q", shortest.String())
		}
		return d, err
	})
}

// parseCheckHost reads the name by which an endpoint is asked.
func parseCheckHost(s string) (string, error) {
	if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" {
		return ip.Unmap().String(), nil
	}
	switch {
	case s == "":
		return "", nil // the endpoint's
	case isLiteral(s):
		return "", errors.New("has more than the address in it: write the IP address alone, without port, zone and brackets")
	}
	host, err := parseHost(s)
	return strings.TrimSuffix(host, "."), err
}

// parsePercent reads "10%".
func parsePercent(s string) (int, error) {
	digits, ok := strings.CutSuffix(s, "%")
	n, err := strconv.ParseUint(digits, 10, 16)
	switch {
	case err != nil:
		return 0, errors.New(`is not a percentage: write one from "0%" to "100%"`)
	case !ok:
		return 0, fmt.Errorf("has no unit: write \"%d%%\"", n)
	case n > 100:
		return 0, errors.New(`is more than all of it: write a percentage from "0%" to "100%"`)
	}
	return int(n), nil
}

// parseCheckText reads text, or "hex:" and bytes.
func parseCheckText(s string) (string, error) {
	if digits, ok := strings.CutPrefix(s, "hex:"); ok {
		b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
		if err != nil {
			return "", errors.New(`is not hexadecimal behind "hex:": write two digits for each byte, such as "hex:50494e47"`)
		}
		if len(b) == 0 {
			return "", errors.New(`has no bytes behind "hex:": write two digits for each, such as "hex:50494e47", or leave it out`)
		}
		s = string(b)
	}
	if len(s) > maxCheckText {
		return "", fmt.Errorf("has %d bytes, more than the %d that a check may have", len(s), maxCheckText)
	}
	return s, nil
}

// parsePath reads the path of a request, with a query where there is one.
func parsePath(s string) (string, error) {
	switch _, err := url.ParseRequestURI(s); {
	case !strings.HasPrefix(s, "/"):
		return "", fmt.Errorf("does not begin with a slash: write %q", "/"+strings.TrimPrefix(s, "/"))
	case err != nil || strings.ContainsAny(s, " #"):
		return "", errors.New("cannot stand in a request: write blanks, # and what is not ASCII as %20 and the like")
	}
	for _, r := range s {
		if r >= 0x80 {
			return "", errors.New("cannot stand in a request: write blanks, # and what is not ASCII as %20 and the like")
		}
	}
	return s, nil
}

// decodeStatuses reads expected_statuses; nil when there are none.
func decodeStatuses(b *block) []StatusRange {
	list, there := listOf(b, "expected_statuses", func(s setting) (StatusRange, bool) {
		if s.value.Type() == cty.Number {
			n, ok := s.integer(100, 599)
			return StatusRange{n, n}, ok
		}
		return parseSetting(s, kindStatuses, parseStatuses)
	})
	if there && len(list) == 0 && b.complete() {
		b.errorf(b.attrs["expected_statuses"].Expr.Range(), "No status left", `No status would be good, so that every endpoint is unhealthy. Write ["200-299"], or leave expected_statuses out.`)
	}
	return list
}

// parseStatuses reads "200" or "200-299".
func parseStatuses(s string) (StatusRange, error) {
	low, high, isRange := strings.Cut(s, "-")
	if !isRange {
		high = low
	}
	first, err := strconv.ParseUint(strings.TrimSpace(low), 10, 16)
	last, err2 := strconv.ParseUint(strings.TrimSpace(high), 10, 16)
	switch {
	case strings.HasSuffix(s, "xx") && len(s) == 3:
		return StatusRange{}, fmt.Errorf("is not a range: write \"%c00-%c99\"", s[0], s[0])
	case err != nil, err2 != nil, first < 100, last > 599, first > last:
		return StatusRange{}, errors.New(`is not possible: write a status from 100 to 599, or a range of them such as "200-299"`)
	}
	return StatusRange{int(first), int(last)}, nil
}

// decodeHealth reads how endpoints are checked, and what becomes of the
// connections of those that are not well or not there any more.
func (c *Cluster) decodeHealth(b *block) {
	c.HealthCheck = decodeHealthCheck(b)
	c.OnEndpointUnhealthy = decodeFate(b, "on_endpoint_unhealthy", FateKeep)
	c.OnEndpointRemoved = decodeFate(b, "on_endpoint_removed", FateDrain)
	if c.HealthCheck == nil && c.OnEndpointUnhealthy != FateKeep && b.complete() {
		b.warnf(b.attrs["on_endpoint_unhealthy"].NameRange, "Unused on_endpoint_unhealthy", "Without a health_check no endpoint is ever unhealthy. Add health_check {}, or leave on_endpoint_unhealthy out.")
	}
}

// decodeFate reads what happens to the connections of what changed.
func decodeFate(b *block, name string, absent ConnectionFate) ConnectionFate {
	return ConnectionFate(b.word(name, string(absent), string(FateKeep), string(FateDrain), string(FateClose)))
}
