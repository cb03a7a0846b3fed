package integration

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What is needed of PromQL to tell which metrics, labels and words an expression
// goes by. Whether it is one is promtool's to say. Prometheus' own parser would do
// for both, but has a module of a hundred and fifty others, and asks for a newer Go.

// promqlToken is a name, a string, a range, or any other character.
var promqlToken = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*|"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[0-9.]+[a-z]*|\S`)

// Words that are no metrics.
var (
	promqlFunctions = strings.Fields("sum min max count topk rate increase changes histogram_quantile time vector min_over_time")
	promqlGroupings = strings.Fields("by on group_left")
	promqlOperators = strings.Fields("and or")
)

// scrapeLabels are those that Prometheus gives every series.
var scrapeLabels = []string{"job", "instance"}

// expression is PromQL as it is read from left to right.
type expression struct {
	known    vocabulary
	tokens   []string // with empty ones behind
	at       int
	metrics  int
	labels   []string   // that its metrics have
	groups   [][]string // what it names behind by and on
	result   []string   // what it names behind by
	problems []string
}

// check gives what there is not of what an expression goes by, and the labels that
// its series may have.
func (v vocabulary) check(expr string) (labels, problems []string) {
	e := &expression{known: v, tokens: append(promqlToken.FindAllString(expr, -1), "", "", ""), labels: slices.Clone(scrapeLabels)}
	for ; e.tokens[e.at] != ""; e.at++ {
		word, next := e.tokens[e.at], e.tokens[e.at+1]
		switch {
		case !isName(word) || slices.Contains(promqlOperators, word):
		case slices.Contains(promqlGroupings, word):
			e.group(word, next)
		case slices.Contains(promqlFunctions, word):
		case next == "(":
			e.problem("is %s a function?", word)
		default:
			e.metric(word, next)
		}
	}
	if e.metrics == 0 {
		e.problem("it goes by no metric")
	}
	for _, l := range slices.Concat(e.groups...) {
		if !slices.Contains(e.labels, l) {
			e.problem("it goes by the label %s, which none of its metrics has", l)
		}
	}
	if e.result != nil {
		return e.result, e.problems
	}
	return e.labels, e.problems
}

func (e *expression) problem(format string, args ...any) {
	e.problems = append(e.problems, fmt.Sprintf(format, args...))
}

// group reads the labels behind by and on.
func (e *expression) group(word, next string) {
	if next != "(" {
		return
	}
	var group []string
	for e.at += 2; e.tokens[e.at] != ")" && e.tokens[e.at] != ""; e.at++ {
		if isName(e.tokens[e.at]) {
			group = append(group, e.tokens[e.at])
		}
	}
	e.groups = append(e.groups, group)
	if word == "by" {
		e.result = append(e.result, group...)
	}
}

// metric reads a metric and what stands in braces behind it.
func (e *expression) metric(name, next string) {
	e.metrics++
	of, ok := e.known[name]
	if !ok {
		e.problem("there is no metric %s", name)
	}
	e.labels = slices.AppendSeq(e.labels, maps.Keys(of))
	if next != "{" {
		return
	}
	for e.at += 2; e.tokens[e.at] != "}" && e.tokens[e.at] != ""; e.at++ {
		label := e.tokens[e.at]
		if !isName(label) {
			continue
		}
		for e.tokens[e.at] != "" && e.tokens[e.at][0] != '"' {
			e.at++
		}
		values, ok := of[label]
		switch pattern := strings.Trim(e.tokens[e.at], `"`); {
		case !ok && slices.Contains(scrapeLabels, label):
		case !ok:
			e.problem("%s has no label %s", name, label)
		case !strings.Contains(pattern, "$"):
			for word := range strings.SplitSeq(pattern, "|") {
				if !slices.Contains(values, word) {
					e.problem("%s is never %s=%q", name, label, word)
				}
			}
		}
	}
}

func isName(token string) bool {
	return token != "" && (token[0] == '_' || token[0] >= 'a' && token[0] <= 'z' || token[0] >= 'A' && token[0] <= 'Z')
}

// TestVocabularyIsStrict: a misspelt expression is found.
func TestVocabularyIsStrict(t *testing.T) {
	t.Parallel()
	known := vocabulary{
		"a_total": {"reason": {"x", "y"}, "listener": {"l"}},
		"b":       {"cluster": {"c"}},
	}
	for _, good := range []string{
		`sum by (reason) (rate(a_total{reason="x",job=~"$job"}[5m])) > 0.1`,
		`a_total{reason=~"x|y"} / on (listener) group_left sum by (listener) (rate(a_total[1h]))`,
		`count(b == 0) or vector(0)`, `min by (cluster, job) (b) - time() < 14 * 86400`,
	} {
		if _, problems := known.check(good); problems != nil {
			t.Errorf("%s: %q", good, problems)
		}
	}
	for _, bad := range []string{
		`sum by (reason) (rate(a_totl[5m]))`, `a_total{reson="x"}`, `a_total{reason="z"}`, `a_total{reason=~"x|z"}`, `sum by (cluster) (a_total)`,
		`som(b)`, `vector(0)`, `b{cluster="c"} + a_total{listener="m"}`,
	} {
		if _, problems := known.check(bad); problems == nil {
			t.Errorf("nothing is said of %s", bad)
		}
	}
}
