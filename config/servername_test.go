package config

import (
	"strings"
	"testing"
)

func TestParseServerName(t *testing.T) {
	t.Parallel()
	good := func(in, want string) {
		t.Helper()
		got, err := parseServerName(in)
		if err != nil || got != want {
			t.Errorf("%q: got %q, %v; want %q", in, got, err, want)
		}
	}
	bad := func(in, want string) {
		t.Helper()
		_, err := parseServerName(in)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v; want an error with %q", in, err, want)
		}
	}
	good("a", "a")
	good("App.Example.COM", "app.example.com")
	good("app.example.com.", "app.example.com")
	good("*.example.com", "*.example.com")
	good("*.com", "*.com")
	good("_dns.example.com", "_dns.example.com")
	good("xn--bcher-kva.example", "xn--bcher-kva.example")
	good("1.2.3", "1.2.3") // not an address, so a client may send it
	good(strings.Repeat("a", 63)+".test", strings.Repeat("a", 63)+".test")
	good(strings.Repeat("abc.", 63)+"a", strings.Repeat("abc.", 63)+"a") // 253 bytes

	bad("", "is empty")
	bad(".", "is empty")
	bad("*", "would match every name")
	bad("*.", "would match every name")
	bad("**.example.com", "wildcard")
	bad("*.*.example.com", "wildcard")
	bad("a*", "wildcard")
	bad("example.com..", "two dots")
	bad("*..example.com", "two dots")
	bad("1.2.3.4", "IP address")
	bad("1.2.3.4.", "IP address")
	bad("::1", "IP address")
	bad("[::1]", "IP address")
	bad("1.2.3.4:443", "IP address")
	bad("*.1.2.3.4", "below an IP address")
	bad("a.test:443", `"a.test"`)
	bad("https://a.test:443/x", `"a.test"`)
	bad("a.test/", `"a.test"`)
	bad("a b.test", "character ' '")
	bad("a\x00.test", "character '\\x00'")
	bad("é.test", "punycode")
	bad(strings.Repeat("a", 64)+".test", "64 bytes")
	bad(strings.Repeat("abc.", 63)+"ab", "254 bytes")
}

// FuzzServerName holds that a name that was accepted is in the one form in
// which names are compared, and that errors never depend on it being valid.
func FuzzServerName(f *testing.F) {
	for _, seed := range []string{"a.test", "*.A.test.", "*", "1.2.3.4", "https://a/", "[::1]:1", "é", "a..b", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		name, err := parseServerName(in)
		if err != nil {
			if name != "" || err.Error() == "" {
				t.Errorf("%q: name %q beside the error %v", in, name, err)
			}
			return
		}
		again, err := parseServerName(name)
		if err != nil || again != name {
			t.Errorf("%q became %q, which becomes %q (%v)", in, name, again, err)
		}
		if strings.ToLower(name) != name || strings.HasSuffix(name, ".") || len(name) == 0 || len(name) > maxServerName ||
			strings.Contains(strings.TrimPrefix(name, "*."), "*") || !strings.EqualFold(name, strings.TrimSuffix(in, ".")) {
			t.Errorf("%q became %q", in, name)
		}
	})
}
