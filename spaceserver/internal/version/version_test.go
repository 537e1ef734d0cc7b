package version

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// ordered fails unless the versions are given oldest first; those of one line, joined by "=", are equal.
func ordered(t *testing.T, s Scheme, lines ...string) {
	t.Helper()
	for i, a := range lines {
		for j, b := range lines {
			for _, x := range strings.Split(a, " = ") {
				for _, y := range strings.Split(b, " = ") {
					v, ok := s.Parse(x)
					w, also := s.Parse(y)
					if !ok || !also {
						t.Fatalf("%s or %s is not read", x, y)
					}
					if got, want := v.Compare(w), min(1, max(-1, i-j)); got != want {
						t.Errorf("%s next to %s: %d, want %d", x, y, got, want)
					}
				}
			}
		}
	}
}

func TestOrder(t *testing.T) {
	t.Parallel()
	t.Run("Semantic", func(t *testing.T) { // Semantic Versioning, clauses 10 and 11, with a fourth number
		t.Parallel()
		ordered(t, Semantic, "0", "1.0.0-alpha", "1.0.0-alpha.1 = 1-ALPHA.01", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-beta.20261231235959", "1.0.0-rc.1", "1 = 1.0 = 01.00 = 1.0.0.0 = 1.0.0+build",
			"1.0.0.1-a", "1.0.0.1", "1.0.1", "1.2", "1.10", "2.0.0-1", "2.0.0")
	})
	t.Run("Release", func(t *testing.T) { // OctopusVersionCompareTests.cs
		t.Parallel()
		ordered(t, Release, "whatever", "1.0-alpha", "1.0.0-alpha_1 = v1.0-alpha.1 = 1. 0-alpha-1", `1.0-alpha\beta`, "1.0beta = 1.0.0-BETA", "1.0-beta.2", "1.0-beta_11", "1.0", "1.0.0.1", "1.1.0-x", "1.1+a = 1.1+b")
	})
	t.Run("Maven", func(t *testing.T) { // ComparableVersionTest.java
		t.Parallel()
		ordered(t, Maven, "1-alpha2snapshot", "1-alpha2", "1-alpha-123", "1-beta-2", "1-beta123", "1-m2", "1-m11", "1-rc = 1-cr", "1-rc2", "1-rc123", "1-SNAPSHOT", "1 = 1.0 = 1-ga = 1.0.0-final = 1.final", "1-sp", "1-sp2", "1-sp123", "1-abc", "1-def",
			"1-pom-1", "1-1-snapshot", "1-1", "1-2", "1-123", "1.0.1-alpha", "1.0.1", "2.0.a", "2-1", "2.0.2", "2.0.123", "2.1.0", "2.1.1", "9.0.0.M22", "9.0.0.M25", "9.0.10.M27", "11.a2", "11.a11", "11.b2", "11.b11", "11.m2", "11.m11", "11", "11.a")
	})
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "1.2.3.4.5", "a", "1.", ".1", "-1", "1.0-", "1.0-a..b", "1.0+", "1.0-ü", "2147483648.0", "1 .0", strings.Repeat("1", 400)} {
		if v, ok := Parse(text); ok {
			t.Errorf("%q was read as %v", text, v)
		}
	}
	for _, text := range []string{"1.0-be ta", "1.0[3]", "1.0/2", "2147483648"} {
		if v, ok := Release.Parse(text); ok {
			t.Errorf("release %q was read as %v", text, v)
		}
	}
	for _, pre := range []string{"1.0.0-alpha", "1.0-a1", "1.0-SNAPSHOT", "22.0-rc1", "1.0.0-CR1", "1-4-SNAPSHOT"} { // MavenTests.cs
		if v, _ := Maven.Parse(pre); !v.IsPre() {
			t.Errorf("%s is a pre-release", pre)
		}
	}
	for _, released := range []string{"1.0.0", "1.0-jre", "1.0-sp1", "1.0-4"} {
		if v, _ := Maven.Parse(released); v.IsPre() {
			t.Errorf("%s is none", released)
		}
	}
}

func TestRange(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		scheme  Scheme
		text    string
		has, no []string
	}{
		{Semantic, "", []string{"0.0.1", "9"}, nil},
		{Semantic, "1.0", []string{"1.0", "1.0.1", "7"}, []string{"0.9", "1.0-rc.1"}},
		{Semantic, "[1.0,2.0)", []string{"1.0", "1.9.9", "2.0-rc.1"}, []string{"2.0", "0.9"}},
		{Semantic, "(1.0, 2.0]", []string{"1.0.1", "2.0", "2.0+a"}, []string{"1.0", "2.0.1"}},
		{Semantic, "[1.2.3]", []string{"1.2.3", "1.2.3.0"}, []string{"1.2.4"}},
		{Semantic, "(,3]", []string{"0.1", "3"}, []string{"3.0.1"}},
		{Semantic, "[2,)", []string{"2", "99"}, []string{"1.9"}},
		{Semantic, "(,)", []string{"2", "99"}, nil},
		{Maven, "(,9.0.1)", []string{"8.0.1", "9.0.0.M25"}, []string{"9.0.10.M27", "10.0.0.M22"}},
		{Maven, "(,1.0],[1.2,)", []string{"1.0", "1.2"}, []string{"1.1"}},
		{Maven, "1.0", []string{"0.1", "1.0", "2"}, nil},
	} {
		r, err := test.scheme.Range(test.text)
		if err != nil {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		for _, text := range append(slices.Clone(test.has), test.no...) {
			v, _ := test.scheme.Parse(text)
			if got, want := r.Has(v), slices.Contains(test.has, text); got != want {
				t.Errorf("%q has %s: %v", test.text, text, got)
			}
		}
	}
	for _, text := range []string{"(1.0)", "[1.0", "[a,b]", "]1,2[", "[", "x", "[]", "[2,1]", "(,1.0],[1.2,)", "[1,2],", "[1,2,3]"} {
		if r, err := ParseRange(text); err == nil {
			t.Errorf("%q was taken for %s", text, r)
		}
	}
}

func TestRule(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		versions, tag, version string
		want                   bool
	}{
		{"", "", "1.0-beta", true}, {"", "^$", "1.0", true}, {"", "^$", "1.0-beta", false}, {"", "^beta", "1.0-beta.2", true}, {"[1,2)", "^beta", "2.1-beta", false}, {"", "beta|alpha", "1.0-alpha1", true}, {"", ".+", "1.0", false},
	} {
		r, err := ParseRule(test.versions, test.tag)
		v, _ := Parse(test.version)
		if err != nil || r.Has(v) != test.want {
			t.Errorf("%q %q has %s: %v, %v", test.versions, test.tag, test.version, !test.want, err)
		}
	}
	if _, err := ParseRule("", "("); err == nil {
		t.Error("( is no expression")
	}
}

// TestNext has the cases of OctopusVersionMaskParserTests.cs.
func TestNext(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ mask, last, want string }{
		{"1.2.3-alpha.i", "", "1.2.3-alpha.0"}, {"1.2.i", "", "1.2.0"}, {"1.2.3-alpha.i", "1.2.3-alpha.25", "1.2.3-alpha.26"}, {"i.2.3-alpha.i", "1.2.3-alpha.25", "2.2.3-alpha.26"}, {"1.2.i-alpha.i", "1.2.3-alpha.25", "1.2.4-alpha.26"},
		{"i.i.i-alpha.i", "1.2.3-alpha.25", "2.0.0-alpha.26"}, {"c.c.i-alpha.c", "1.2.3-alpha.25", "1.2.4-alpha.25"}, {"i.c.c", "1.2.3-alpha.25", "2.0.3"}, {"c.i.c", "1.2.3", "1.3.0"}, {"c.c.i", "1.2.3-alpha.25", "1.2.4"}, {"c.c.c-test", "alpha.25", "0.0.0-test"},
		{"i.c.c-test", "0.0.0.0-alpha.25", "1.0.0.0-test"}, {"c.c.c.i-initial.i", "whatever", "0.0.0.1-initial.1"}, {"c.c.c-i", "whatever", "0.0.0-1"}, {"c.c.c_i", "whatever", "c.c.c_i"}, {"c.c.i", "1.2.3.4", "1.2.4.0"}, {"1.2.3.4-i.1", "1.2.3.4-25.2", "1.2.3.4-26.1"},
		{"1.2.3-i ", "1.2.3-4", "1.2.3-i"}, {"0.0.1-i", "0.0.1-blah", "0.0.1-1"}, {"2.1.c.i", "2.1.5.6", "2.1.5.7"}, {"v1.i", "1.4", "v1.5"}, {"2021.4.0-0.121.27.1183ec5i", "2021.4.0-121.50", "2021.4.0-0.121.27.1183ec5i"},
		{"2.0.i", "1.2.3", "2.0.0"}, // the newest of 2.0 counts, and there is none
	} {
		var versions []Version
		if test.last != "" {
			v, ok := Release.Parse(test.last)
			if !ok {
				t.Fatalf("%s is not read", test.last)
			}
			versions = append(versions, v)
		}
		if got := Next(test.mask, versions); got != test.want {
			t.Errorf("%s after %s: %s, want %s", test.mask, test.last, got, test.want)
		}
	}
	v, _ := Release.Parse("3.4.5-rc")
	if all := Variables("Octopus.Version.Channel", v); all["Octopus.Version.Channel.NextMinor"] != "5" || all["Octopus.Version.Channel.LastBuild"] != "5" || all["Octopus.Version.Channel.LastSuffix"] != "rc" {
		t.Errorf("variables: %v", all)
	}
}

// TestOrderIsTotal: whatever three versions are, their order is one.
func TestOrderIsTotal(t *testing.T) {
	t.Parallel()
	part := rapid.SampledFrom([]string{"0", "1", "00", "12", "alpha", "a", "ga", "sp", "SNAPSHOT", "x", "-", ".", ".", "_", "+"})
	rapid.Check(t, func(t *rapid.T) {
		scheme := rapid.SampledFrom([]Scheme{Semantic, Release, Maven}).Draw(t, "scheme")
		var v []Version
		for range 3 {
			one, ok := scheme.Parse(strings.Join(rapid.SliceOfN(part, 1, 8).Draw(t, "parts"), ""))
			if !ok {
				t.Skip()
			}
			v = append(v, one)
		}
		consistent(t, v[0], v[1], v[2])
	})
}

func consistent(t interface{ Errorf(string, ...any) }, a, b, c Version) {
	if a.Compare(b) != -b.Compare(a) || a.Compare(a) != 0 {
		t.Errorf("%s and %s have no order", a, b)
	}
	if a.Compare(b) <= 0 && b.Compare(c) <= 0 && (a.Compare(c) > 0 || a.Compare(c) == 0 && a.Compare(b)+b.Compare(c) != 0) {
		t.Errorf("%s, %s, %s go in a circle", a, b, c)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("1.2.3.4-a.b+c", "1..2", "")
	f.Add("999999999999999999999", "1-0.alpha", "1.0.1-sp")
	f.Add("v1. 2-x_y", "i.c.1-i.c", "1-ga-5")
	f.Fuzz(func(t *testing.T, x, y, z string) {
		for _, s := range []Scheme{Semantic, Release, Maven} {
			v, ok := s.Parse(x)
			if !ok {
				continue
			}
			if again, ok := s.Parse(v.String()); !ok || again.Compare(v) != 0 || again.Pre != v.Pre || again.Build != v.Build {
				t.Errorf("%q is read again as %v", x, again)
			}
			w, ok := s.Parse(y)
			u, also := s.Parse(z)
			if ok && also {
				consistent(t, v, w, u)
			}
			Next(y, []Version{v})
		}
	})
}

func FuzzRange(f *testing.F) {
	for _, s := range []string{"[1,2)", "(,)", "(,1.0],[1.2,)", "1.0", "[1.0-a]", "]"} {
		f.Add(s, "1.0")
	}
	f.Fuzz(func(t *testing.T, text, version string) {
		for _, s := range []Scheme{Semantic, Release, Maven} {
			r, err := s.Range(text)
			if err != nil {
				continue
			}
			again, err := s.Range(r.String())
			v, ok := s.Parse(version)
			if err != nil || ok && again.Has(v) != r.Has(v) {
				t.Errorf("%q is read again as %s from %s, %v", text, again, r, err)
			}
		}
	})
}
