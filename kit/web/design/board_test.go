package design

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestFigure(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 7: "7", 999: "999", 1000: "1,000", 10_000: "10,000", 1_234_567: "1,234,567", -1000: "-1,000", -100: "-100"} {
		if got := Figure(n); got != want {
			t.Errorf("%d is written %s, want %s", n, got, want)
		}
	}
}

// TestSegments has every part that is there be seen, and all of them together fill the bar.
func TestSegments(t *testing.T) {
	t.Parallel()
	all := segments([]Part{{State: "offline", Count: 1}, {State: "draining"}, {State: "online", Count: 9_999}})
	if len(all) != 2 || all[0].x != "0.0" || all[0].width != "6.1" || all[1].x != "6.1" || all[1].width != "993.9" {
		t.Errorf("%+v", all)
	}
	if got := inWords([]Part{{State: "offline", Count: 1}, {State: "draining"}, {State: "online", Count: 9_999}}); got != "1 offline, 9,999 online" {
		t.Error(got)
	}
	if segments(nil) != nil || segments([]Part{{State: "online", Count: -1}}) != nil {
		t.Error("nothing is drawn as something")
	}
}

// TestRunsDrawEveryCell puts the runs back together.
func TestRunsDrawEveryCell(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cells := rapid.SliceOfN(rapid.SampledFrom([]string{"online", "online", "online", "offline"}), 0, 200).Draw(t, "cells")
		columns, rows := grid(len(cells), rapid.Float64Range(0.2, 8).Draw(t, "shape"))
		if columns*rows < len(cells) || (rows-1)*columns >= max(1, len(cells)) {
			t.Fatalf("%d by %d for %d cells", columns, rows, len(cells))
		}
		var drawn []string
		for _, r := range runs(cells, columns) {
			if r.x+r.length > columns || r.y*columns+r.x != len(drawn) {
				t.Fatalf("%+v after %d cells in %d columns", r, len(drawn), columns)
			}
			for range r.length {
				drawn = append(drawn, r.state)
			}
		}
		if strings.Join(drawn, " ") != strings.Join(cells, " ") {
			t.Fatalf("drawn %v of %v", drawn, cells)
		}
	})
}
