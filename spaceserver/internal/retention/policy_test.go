package retention

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"odcm/octopus"
	"odcm/spaceserver/internal/ledger"
)

// TestTheExampleOfTheDocs is the project with fifteen releases of administration/retention-policies/retention-policies-lifecycle.
func TestTheExampleOfTheDocs(t *testing.T) {
	t.Parallel()
	var releases []Release
	for n := 15; n >= 1; n-- {
		r := Release{ID: fmt.Sprintf("0.0.%d", n), Phases: map[int]time.Time{}}
		if n <= 9 {
			r.Phases[0] = time.Now()
		}
		if n <= 6 {
			r.Phases[1] = time.Now()
		}
		r.Kept = slices.Contains([]int{9, 8, 6, 5}, n)
		releases = append(releases, r)
	}
	three := Policy{Quantity: 3}
	if got, want := ids(Expired(releases, three, []Policy{three, three}, time.Now())), "0.0.12 0.0.11 0.0.10 0.0.1"; got != want {
		t.Errorf("expired: %s, want %s", got, want)
	}
	if got := ids(Expired(releases, three, []Policy{three, {Forever: true}}, time.Now())); got != "0.0.12 0.0.11 0.0.10" {
		t.Errorf("with production kept for ever: %s", got)
	}
}

func ids(releases []Release) string {
	var all []string
	for _, r := range releases {
		all = append(all, r.ID)
	}
	return strings.Join(all, " ")
}

func TestDays(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	ago := func(days int) time.Time { return now.AddDate(0, 0, -days) }
	releases := []Release{
		{ID: "new", Made: ago(1)}, {ID: "old", Made: ago(8)},
		{ID: "old but deployed lately", Made: ago(30), Phases: map[int]time.Time{0: ago(2)}}, {ID: "deployed long ago", Made: ago(30), Phases: map[int]time.Time{0: ago(20)}},
	}
	week := Policy{Quantity: 7, Days: true}
	if got := ids(Expired(releases, week, []Policy{week}, now)); got != "old deployed long ago" {
		t.Errorf("expired: %s", got)
	}
}

func TestPoliciesAreReadAndInherited(t *testing.T) {
	t.Parallel()
	standard := Policy{Quantity: 30, Days: true}
	for text, want := range map[string]Policy{
		`{}`: standard,
		`{"Strategy":"Default","QuantityToKeep":0,"ShouldKeepForever":true,"Unit":"Items"}`:  standard,
		`{"Strategy":"Default","QuantityToKeep":5,"ShouldKeepForever":false,"Unit":"Items"}`: {Quantity: 5},
		`{"Strategy":"Forever","QuantityToKeep":3}`:                                          {Forever: true},
		`{"Strategy":"Count","QuantityToKeep":3,"Unit":"Days"}`:                              {Quantity: 3, Days: true},
		`{"QuantityToKeep":3,"ShouldKeepForever":false,"Unit":"Items"}`:                      {Quantity: 3},
		`{"QuantityToKeep":0,"ShouldKeepForever":true,"Unit":"Days"}`:                        {Forever: true},
		`{"QuantityToKeep":0,"ShouldKeepForever":false,"Unit":"Days"}`:                       {Forever: true, Days: true},
	} {
		o, err := octopus.ParseObject([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := read(o, standard); got != want {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
	five := Policy{Quantity: 5}
	if got := Inherited(Policy{Quantity: 3}, []*Policy{nil, nil, &five, nil}); !slices.Equal(got, []Policy{{Quantity: 3}, {Quantity: 3}, five, five}) {
		t.Errorf("inherited: %v", got)
	}
}

func TestRunsAreCountedByEnvironment(t *testing.T) {
	t.Parallel()
	runs := []Run{{ID: "5", Place: "Dev", Kept: true}, {ID: "4", Place: "Dev"}, {ID: "3", Place: "Prod"}, {ID: "2", Place: "Dev"}, {ID: "1", Place: "Prod", Kept: true}}
	var gone []string
	for _, r := range ExpiredRuns(runs, Policy{Quantity: 2}, time.Now()) {
		gone = append(gone, r.ID)
	}
	if !slices.Equal(gone, []string{"2"}) {
		t.Errorf("expired: %v", gone)
	}
}

// TestWhatIsThereNowStays: whatever the policies, what the dashboard shows, what is under way and what would be rolled back to is
// never deleted.
func TestWhatIsThereNowStays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var entries []ledger.Entry
		newest, good := map[string]bool{}, map[string]bool{}
		for n := rapid.IntRange(0, 30).Draw(t, "entries"); n > 0; n-- {
			e := ledger.Entry{Source: fmt.Sprint(rapid.IntRange(1, 8).Draw(t, "release")), Environment: rapid.SampledFrom([]string{"Dev", "Prod"}).Draw(t, "environment"),
				State: rapid.SampledFrom([]string{"Success", "Failed", "Executing"}).Draw(t, "state")}
			if e.State != "Executing" {
				e.Completed = time.Now()
			}
			e.Newest, newest[e.Environment] = !newest[e.Environment], true
			if e.State == "Success" {
				e.Good, good[e.Environment] = !good[e.Environment], true
			}
			entries = append(entries, e)
		}
		kept := Standing(entries, false)
		var releases []Release
		for n := 8; n > 0; n-- {
			releases = append(releases, Release{ID: fmt.Sprint(n), Kept: kept[fmt.Sprint(n)], Phases: map[int]time.Time{0: {}}})
		}
		gone := strings.Fields(ids(Expired(releases, Policy{}, []Policy{{}}, time.Now())))
		for _, e := range entries {
			if (e.Newest || e.Good || !e.Ended()) && slices.Contains(gone, e.Source) {
				t.Fatalf("release %s of %+v is deleted", e.Source, e)
			}
		}
	})
}
