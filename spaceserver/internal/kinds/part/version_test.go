package part

import (
	"slices"
	"testing"
)

func TestVersionsAreOrdered(t *testing.T) {
	t.Parallel()
	// Semantic Versioning, clause 11, with a fourth number.
	ordered := []string{"1", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.1", "1.0.1.1", "1.2", "1.10", "2.0.0-1", "2.0.0", "2.0.0+build"}
	ordered = append(ordered[1:7], append([]string{"1"}, ordered[7:]...)...) // 1 is 1.0.0: behind its pre-releases
	for i, a := range ordered {
		for j, b := range ordered {
			v, ok := ParseVersion(a)
			w, also := ParseVersion(b)
			if !ok || !also {
				t.Fatalf("%s or %s is not read", a, b)
			}
			if got, want := v.Compare(w), sign(i-j); got != want {
				t.Errorf("%s next to %s: %d, want %d", a, b, got, want)
			}
		}
	}
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

func TestVersionRanges(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text    string
		has, no []string
	}{
		{"", []string{"0.0.1", "9"}, nil},
		{"1.0", []string{"1.0", "1.0.1", "7"}, []string{"0.9", "1.0-rc.1"}},
		{"[1.0,2.0)", []string{"1.0", "1.9.9", "2.0-rc.1"}, []string{"2.0", "0.9"}},
		{"(1.0, 2.0]", []string{"1.0.1", "2.0"}, []string{"1.0", "2.0.1"}},
		{"[1.2.3]", []string{"1.2.3", "1.2.3.0"}, []string{"1.2.4"}},
		{"(,3]", []string{"0.1", "3"}, []string{"3.0.1"}},
		{"[2,)", []string{"2", "99"}, []string{"1.9"}},
	} {
		r, err := ParseRange(test.text)
		if err != nil {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		for _, text := range append(slices.Clone(test.has), test.no...) {
			v, _ := ParseVersion(text)
			if got, want := r.Has(v), slices.Contains(test.has, text); got != want {
				t.Errorf("%q has %s: %v", test.text, text, got)
			}
		}
	}
	for _, text := range []string{"(1.0)", "[1.0", "[a,b]", "]1,2[", "[", "x"} {
		if _, err := ParseRange(text); err == nil {
			t.Errorf("%q was taken for a range", text)
		}
	}
}

func FuzzVersion(f *testing.F) {
	for _, s := range []string{"1.2.3.4-a.b+c", "[1,2)", "(,)", "1..2", "", "999999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if v, ok := ParseVersion(s); ok && v.Compare(v) != 0 {
			t.Errorf("%q is not itself", s)
		}
		if r, err := ParseRange(s); err == nil {
			r.Has(Version{})
		}
	})
}
