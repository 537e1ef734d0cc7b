package web

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
)

// Matches tells whether somebody who types the query may mean the label: every word of the query stands in the label as it
// is, or its letters do in this order, the first of them at the beginning of a word ("shpg" finds "EU Shipping"). An
// empty query matches everything.
func Matches(label, query string) bool {
	fold := cases.Fold()
	label = fold.String(label)
	for _, word := range strings.Fields(fold.String(query)) {
		if !strings.Contains(label, word) && !abbreviates(label, word) {
			return false
		}
	}
	return true
}

func abbreviates(label, letters string) bool {
	first, n := utf8.DecodeRuneInString(letters)
	for _, word := range strings.Fields(label) {
		if rest, ok := strings.CutPrefix(word, string(first)); ok && inOrder(rest, letters[n:]) {
			return true
		}
	}
	return false
}

func inOrder(text, letters string) bool {
	for _, letter := range letters {
		i := strings.IndexRune(text, letter)
		if i < 0 {
			return false
		}
		text = text[i+utf8.RuneLen(letter):]
	}
	return true
}
