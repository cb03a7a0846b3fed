package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// nearest returns the candidate that name was probably meant to be, or "".
// Candidates must be in a fixed order: the first of equally near ones wins.
func nearest(name string, candidates []string) string {
	// Two letters exchanged are two edits, and in a name of four letters or
	// fewer two edits make another word.
	best, limit := "", min(max((len(name)+1)/3, 1), 3)+1
	for _, c := range candidates {
		if c == name || max(len(c)-len(name), len(name)-len(c)) >= limit {
			continue
		}
		if d := levenshtein.Distance(strings.ToLower(name), strings.ToLower(c), nil); d < limit {
			best, limit = c, d
		}
	}
	return best
}

// Nearest gives the candidate that a name which is not among them was probably
// meant to be, or "", as the diagnostics do.
func Nearest(name string, candidates []string) string { return nearest(name, candidates) }

// maxCompared is with how many names of the user's own the unknown ones of one
// load are compared. Whoever has more mistakes than that sees from the first
// ones what is the matter.
const maxCompared = 300_000

// nearestOf is [nearest] among names that the user gave, in a fixed order. It
// gives "" once too many were compared.
func (r *report) nearestOf(name string, sorted func() []string) string {
	if r.compared > maxCompared {
		return ""
	}
	candidates := sorted()
	r.compared += len(candidates)
	return nearest(name, candidates)
}

// orList ends an error about an unknown name: with what was probably meant,
// or else with everything that is known.
func orList(name string, known []string) string {
	if near := nearest(name, known); near != "" {
		return fmt.Sprintf("Did you mean %q?", near)
	}
	if len(known) == 0 {
		return "Nothing is known there."
	}
	return fmt.Sprintf("Known there: %s.", strings.Join(known, ", "))
}

// orWords is [orList] for the words that one attribute takes.
func orWords(word string, words []string) string {
	if near := nearest(word, words); near != "" {
		return fmt.Sprintf("Did you mean %q?", near)
	}
	return fmt.Sprintf("Write %s.", quotedOr(words))
}

// quotedOr gives `"a", "b" or "c"`.
func quotedOr(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = fmt.Sprintf("%q", w)
	}
	if len(quoted) == 1 {
		return quoted[0]
	}
	last := len(quoted) - 1
	return strings.Join(slices.Clone(quoted[:last]), ", ") + " or " + quoted[last]
}
