package web_test

import (
	"testing"

	"odcm/kit/web"
)

func TestMatches(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		label, query string
		want         bool
	}{
		"nothing typed":               {"Shipping", "", true},
		"part":                        {"Shipping", "PPI", true},
		"several words in any order":  {"EU Shipping, live", "live ship", true},
		"letters in order":            {"EU Shipping", "shpg", true},
		"letters of other scripts":    {"Zürich Straße", "zrch strasse", true},
		"letters in another order":    {"Shipping", "gs", false},
		"letters from inside a word":  {"Shipping", "hpg", false},
		"letters spread over words":   {"Shop pages", "spgs", false},
		"a word that is not there":    {"Shipping", "ship x", false},
		"letters that are not text":   {"Shipping", "\xff", false},
		"nothing to be found in":      {"", "a", false},
		"more letters than there are": {"Shipping", "shippings", false},
		"only space":                  {"Shipping", "  ", true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := web.Matches(c.label, c.query); got != c.want {
				t.Errorf("Matches(%q, %q) = %v", c.label, c.query, got)
			}
		})
	}
}
