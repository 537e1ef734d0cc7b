package cli

import (
	"strings"
	"testing"
	"time"

	"odcm/api"
)

func TestParseChange(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]api.AccessChange{
		"grant space=payments group=Developers":                    {Kind: "grant", Space: "payments", Group: "Developers"},
		` map  space="Web shop" team='Deploy to Dev' group=Dev's'`: {Kind: "map", Space: "Web shop", Team: "Deploy to Dev", Group: "Devs"},
		"add-member group=Developers member='Contractors abroad'":  {Kind: "add-member", Group: "Developers", Member: "Contractors abroad"},
		"disable-user user=bob@example.com":                        {Kind: "disable-user", User: "bob@example.com"},
	} {
		if got, err := parseChange(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "  ", "grant payments", "grant space=", "grant place=payments", `grant space="payments`} {
		if got, err := parseChange(text); err == nil || !strings.Contains(err.Error(), "--help") {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add(`grant space='Web shop' "user"=bob`)
	f.Fuzz(func(t *testing.T, text string) {
		words, err := split(text)
		if err == nil && strings.ContainsAny(text, `'"`) == false && strings.Join(words, "") != strings.NewReplacer(" ", "", "\t", "").Replace(text) && strings.ToValidUTF8(text, "") == text {
			t.Errorf("%q became %q", text, words)
		}
	})
}

func TestEnd(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 1, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2026-12-31":           time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
		"2026-12-31T18:00:00Z": time.Date(2026, 12, 31, 18, 0, 0, 0, time.UTC),
		"36h":                  now.Add(36 * time.Hour),
		"14d":                  now.AddDate(0, 0, 14),
	} {
		if got, err := end(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	if got, err := end("", now); got != nil || err != nil {
		t.Errorf("no end: %v, %v", got, err)
	}
	for _, text := range []string{"tomorrow", "-3h", "0d", "-1d", "3d2", "2026-13-01"} {
		if got, err := end(text, now); err == nil {
			t.Errorf("%s: %v", text, got)
		}
	}
}
