package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"odcm"
	"odcm/api"
)

// FuzzPrintable: whatever a server elsewhere calls itself, it moves no cursor and rings no bell.
func FuzzPrintable(f *testing.F) {
	for _, s := range []string{"Shipping", "Ünïcode 漢字", "\x1b[2Jgone", "two\nlines\tone", "\u009b31m", "\xff\xfe"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range printable(s) {
			if unicode.IsControl(r) {
				t.Errorf("%q has a control character in %q", s, printable(s))
			}
		}
	})
}

func TestAgo(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s ago", 59 * time.Second: "59s ago", time.Minute: "1m ago", 59 * time.Minute: "59m ago", 47 * time.Hour: "47h ago", 72 * time.Hour: "3d ago",
	} {
		if got := ago(time.Now().Add(-d)); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
	far := time.Now().Add(time.Hour)
	if got := ago(far); got != far.Local().Format("2006-01-02 15:04") {
		t.Errorf("an hour from now: %q", got)
	}
	if got := ago(time.Time{}); got != "" {
		t.Errorf("never: %q", got)
	}
}

func TestFailTellsKindsApart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		code int
		says string
	}{
		{odcm.E(odcm.Invalid, "x.y", "Wrong.").OnField("name"), 2, "odcm: Wrong.\n  (x.y)\n"},
		{odcm.E(odcm.Unsupported, "", "Not here."), 2, "odcm: Not here.\n"},
		{odcm.E(odcm.NotFound, "", "None."), 3, ""},
		{odcm.E(odcm.Unauthenticated, "", "Who?"), 4, ""},
		{odcm.E(odcm.Denied, "", "No."), 4, ""},
		{odcm.E(odcm.Exists, "", "Taken."), 5, ""},
		{odcm.E(odcm.Conflict, "", "Changed."), 5, ""},
		{odcm.E(odcm.Unavailable, "", "Away."), 6, ""},
		{fmt.Errorf("%w: because", errTask), 7, "because"},
		{odcm.E(odcm.Internal, "", "Oops."), 1, ""},
		{errors.New("something"), 1, "odcm: something\n"},
		{fmt.Errorf("waiting: %w", context.Canceled), 130, "odcm: interrupted\n"},
	} {
		var w bytes.Buffer
		if code := Fail(&w, c.err); code != c.code || !strings.Contains(w.String(), c.says) {
			t.Errorf("%v: exit code %d, want %d; it says %q", c.err, code, c.code, w.String())
		}
	}
}

func TestSameURL(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"https://odcm.example.com", "HTTPS://odcm.Example.com/", true},
		{"https://odcm.example.com/odcm", "https://odcm.example.com/odcm/", true},
		{"https://odcm.example.com", "http://odcm.example.com", false},
		{"https://odcm.example.com", "https://odcm.example.com:444", false},
		{"https://odcm.example.com", "https://odcm.example.com@evil.example.com", false},
		{"https://odcm.example.com/a", "https://odcm.example.com/A", false},
	} {
		if sameURL(c.a, c.b) != c.same {
			t.Errorf("%s and %s: %v", c.a, c.b, !c.same)
		}
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	plan := api.EnlistPlan{Spaces: []api.PlannedSpace{
		{OctopusSpace: "Spaces-1", Name: "Default", Suggested: "Default"},
		{OctopusSpace: "Spaces-2", Name: "Shipping", Suggested: "Shipping 2"},
		{OctopusSpace: "Spaces-3", Name: "Known", Enlisted: true},
	}}
	for _, c := range []struct {
		chosen, names []string
		want, code    string
	}{
		{nil, nil, "Spaces-1=Default Spaces-2=Shipping 2", ""},
		{[]string{"shipping", "Spaces-1"}, nil, "Spaces-2=Shipping 2 Spaces-1=Default", ""},
		{[]string{"Spaces-2"}, []string{"Harbour"}, "Spaces-2=Harbour", ""},
		{nil, []string{"A", "B"}, "Spaces-1=A Spaces-2=B", ""},
		{nil, []string{"A"}, "", "cli.names"},
		{[]string{"Spaces-1"}, []string{"A", "B"}, "", "cli.names"},
		{[]string{"Spaces-9"}, nil, "", "cli.octopus-space"},
	} {
		found, err := choose(plan, c.chosen, c.names)
		var got []string
		for _, s := range found {
			got = append(got, s.OctopusSpace+"="+s.Name)
		}
		if err == nil && c.code != "" || err != nil && odcm.CodeOf(err) != c.code || strings.Join(got, " ") != c.want {
			t.Errorf("%v as %v: %v, %v; want %s%s", c.chosen, c.names, got, err, c.want, c.code)
		}
	}
}
