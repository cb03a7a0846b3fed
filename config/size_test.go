package config

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// manyNames is how many server names one list must be able to hold.
const manyNames = 100_000

// namesIn writes a configuration with one list of n names in one of the forms
// that a list may have.
func namesIn(form string, n int) []byte {
	var list strings.Builder
	for i := range n {
		if i > 0 {
			list.WriteByte(',')
		}
		switch form {
		case "split", "jsondecode":
			fmt.Fprintf(&list, "host-%d.example.com", i)
		default:
			fmt.Fprintf(&list, "\n%q", fmt.Sprintf("host-%d.example.com", i))
		}
	}
	names, before := list.String(), ""
	switch form {
	case "written":
		names = "[" + names + "]"
	case "local":
		before, names = "locals {\n names = ["+names+"]\n}\n", "local.names"
	case "variable":
		before, names = "variable \"names\" {\n type = list(string)\n default = ["+names+"]\n}\n", "var.names"
	case "split":
		names = `split(",", "` + names + `")`
	case "jsondecode":
		names = `jsondecode("[\"` + strings.ReplaceAll(names, ",", `\",\"`) + `\"]")`
	}
	return []byte(before + strings.Replace(minimal, "route", "match {\n server_names = "+names+"\n}\nroute", 1))
}

// maxLoad is how many bytes loading manyNames may allocate altogether, which
// is more than it can need at any one moment, and does not depend on when the
// garbage is collected.
const maxLoad = 64 << 20

// maxEscaped is maxLoad for names in one string full of escapes, of each of
// which HCL makes a token. Nobody writes that by hand; the bound holds that
// the cost is in proportion.
const maxEscaped = 600 << 20

// maxKept is how many bytes of that may still be there afterwards.
const maxKept = 16 << 20

// TestManyNames holds that a list of 100,000 names is loaded in little memory
// in whatever form it is written, and keeps less.
//
// The time, which is far below two seconds on an idle machine, is held only to
// a bound that a busy machine does not reach either, and a conversion that
// compares all elements with each other exceeds.
func TestManyNames(t *testing.T) {
	for _, form := range []string{"written", "local", "variable", "split", "jsondecode"} {
		t.Run(form, func(t *testing.T) {
			src := namesIn(form, manyNames)
			var before, after, kept runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			start := time.Now()
			c, diags := LoadSource("x.hcl", src, Options{Environ: []string{}})
			took := time.Since(start)
			if took > 40*time.Second {
				t.Errorf("took %v", took)
			}
			runtime.ReadMemStats(&after)
			runtime.GC()
			runtime.ReadMemStats(&kept)
			if c == nil || len(c.Listeners[0].Chains[0].Match.ServerNames) != manyNames {
				t.Fatal(textOf(t, diags))
			}
			limit := uint64(maxLoad)
			if form == "jsondecode" {
				limit = maxEscaped
			}
			allocated := after.TotalAlloc - before.TotalAlloc
			live := int64(kept.HeapAlloc) - int64(before.HeapAlloc)
			t.Logf("allocated %d KiB, kept %d KiB, took %v", allocated>>10, live>>10, took)
			if allocated > limit {
				t.Errorf("allocated %d MiB; want at most %d", allocated>>20, limit>>20)
			}
			if live > maxKept {
				t.Errorf("the configuration keeps %d MiB; want at most %d", live>>20, maxKept>>20)
			}
			runtime.KeepAlive(c)
			runtime.KeepAlive(src)
		})
	}
}

// TestManyErrors holds that the time goes with the number of errors, and not with
// its square, which would take minutes here. The bound is one that a busy
// machine does not reach.
func TestManyErrors(t *testing.T) {
	list := func(n int, element string) []byte {
		names := strings.TrimSuffix(strings.Repeat(element+",", n), ",")
		return []byte(strings.Replace(minimal, "route", "match {\n server_names = ["+names+"]\n}\nroute", 1))
	}
	references := func(n int) []byte {
		var src strings.Builder
		src.WriteString("listener \"a\" {\n  address = \":443\"\n")
		for i := range n {
			fmt.Fprintf(&src, "filter_chain \"c%d\" {\n  match {\n server_names = [\"h%d.test\"]\n }\n  route { cluster = \"no-such-%d\" }\n}\n", i, i, i)
		}
		src.WriteString("}\n")
		for i := range n {
			fmt.Fprintf(&src, "cluster \"not-such-%d\" {\n  endpoints = [\"10.0.0.1:1\"]\n}\n", i)
		}
		return []byte(src.String())
	}
	f := func(name string, src []byte, errors int) {
		t.Helper()
		start := time.Now()
		_, diags := LoadSource("x.hcl", src, Options{Environ: []string{}})
		if took := time.Since(start); took > 40*time.Second {
			t.Errorf("%s: took %v", name, took)
		} else {
			t.Logf("%s: took %v", name, took)
		}
		if diags.Len() != errors {
			t.Errorf("%s: %d diagnostics, want %d", name, diags.Len(), errors)
		}
	}
	f("names in one line", list(300_000, `"*x"`), 300_000)
	f("bare words in one line", list(200_000, "x"), 200_000)
	f("references", references(60_000), 60_000)
}

// BenchmarkManyNames is the time and memory for one list of 100,000 names.
func BenchmarkManyNames(b *testing.B) {
	for _, form := range []string{"written", "split"} {
		b.Run(form, func(b *testing.B) {
			src := namesIn(form, manyNames)
			b.ReportAllocs()
			for b.Loop() {
				if c, _ := LoadSource("x.hcl", src, Options{Environ: []string{}}); c == nil {
					b.Fatal("no configuration")
				}
			}
		})
	}
}

// chainsOf writes a listener with n chains of the given match.
func chainsOf(n int, match func(i int) string) []byte {
	var src strings.Builder
	src.WriteString("listener \"a\" {\n  address = \":443\"\n")
	for i := range n {
		fmt.Fprintf(&src, "filter_chain \"c%d\" {\n  match {\n %s\n }\n  route { cluster = \"c\" }\n}\n", i, match(i))
	}
	src.WriteString("}\ncluster \"c\" {\n  endpoints = [\"10.0.0.1:1\"]\n}\n")
	return []byte(src.String())
}

// TestManyChains holds that chains are not compared in pairs: among 10,000
// chains, those compared are the ones that share an element.
func TestManyChains(t *testing.T) {
	t.Parallel()
	f := func(name string, match func(i int) string, wantCompared int) {
		t.Helper()
		l := newLoader(Options{Environ: []string{}})
		l.parse("x.hcl", chainsOf(10_000, match))
		l.decodeAll()
		d := l.listeners[0]
		groups, compared := map[group][]*chainDecl{}, 0
		r := reachOf(d)
		for _, c := range d.chains {
			for _, g := range groupsOf(&c.Match, &r) {
				groups[g] = append(groups[g], c)
			}
		}
		for g, chains := range groups {
			least := -1
			for i := range listCriteria {
				if g.lists[i] {
					if _, pairs := bucketsOf(&listCriteria[i], chains); least < 0 || pairs < least {
						least = pairs
					}
				}
			}
			compared += least
		}
		l.checkTies(d)
		if len(l.list) > 0 || compared > wantCompared {
			t.Errorf("%s: %d pairs compared, want at most %d; %d diagnostics", name, compared, wantCompared, len(l.list))
		}
	}
	f("names", func(i int) string { return fmt.Sprintf("server_names = [\"h%d.test\"]", i) }, 0)
	f("sources of one name", func(i int) string {
		return fmt.Sprintf("server_names = [\"a.test\"]\nsource_prefix_ranges = [\"10.%d.%d.0/24\"]", i/256, i%256)
	}, 0)
	f("a grid of names and sources", func(i int) string {
		return fmt.Sprintf("server_names = [\"h%d.test\"]\nsource_prefix_ranges = [\"10.0.%d.0/24\"]", i/100, i%100)
	}, 100*100*99/2)
}

// BenchmarkManyChains is the time for 10,000 chains of one name each.
func BenchmarkManyChains(b *testing.B) {
	src := chainsOf(10_000, func(i int) string { return fmt.Sprintf("server_names = [\"h%d.test\"]", i) })
	b.ReportAllocs()
	for b.Loop() {
		if c, _ := LoadSource("x.hcl", src, Options{Environ: []string{}}); c == nil {
			b.Fatal("no configuration")
		}
	}
}
