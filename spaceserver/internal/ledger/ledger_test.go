package ledger_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/ledger"
)

// TestMarksFollowTheHistory: whatever is queued, ends and is deleted, in whatever order, the marked entries are the newest of each
// place and the newest that succeeded, and the outcomes of each release are those of its entries.
func TestMarksFollowTheHistory(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url string) {
		ctx := context.Background()
		d, err := db.Open(ctx, url, db.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		if _, err := document.Open(ctx, d); err != nil {
			t.Fatal(err)
		}
		n := int64(0)
		rapid.Check(t, func(t *rapid.T) {
			// In one transaction that is taken back: thousands of commits would only wait for the disk.
			tx, err := d.Write().BeginTx(ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback()
			do := func(f func(tx *sql.Tx) error) {
				if err := f(tx); err != nil {
					t.Fatal(err)
				}
			}
			var model []ledger.Entry
			line := fmt.Sprint("Projects-", n)
			for range rapid.IntRange(1, 12).Draw(t, "steps") {
				open := slices.IndexFunc(model, func(e ledger.Entry) bool { return e.State == "Queued" })
				switch kind := rapid.IntRange(0, 3).Draw(t, "kind"); {
				case kind == 3 && len(model) > 0:
					at := rapid.IntRange(0, len(model)-1).Draw(t, "deleted")
					do(func(tx *sql.Tx) error { return ledger.Remove(ctx, tx, model[at].ID) })
					model = slices.Delete(model, at, at+1)
				case kind >= 1 && open >= 0:
					state := rapid.SampledFrom([]string{"Success", "Failed", "Canceled"}).Draw(t, "state")
					do(func(tx *sql.Tx) error {
						e, _, err := ledger.Get(ctx, tx, model[open].ID)
						return errors.Join(err, ledger.End(ctx, tx, e, state, time.Now()))
					})
					model[open].State = state
				default:
					n++
					source := fmt.Sprint(rapid.SampledFrom([]string{"Releases-1", "Releases-2"}).Draw(t, "source"), line)
					e := ledger.Entry{ID: fmt.Sprint("Deployments-", n), Kind: ledger.Deployments, Space: "Spaces-1", Project: line, Line: line, Source: source, Channel: rapid.SampledFrom([]string{"Channels-1", "Channels-2"}).Draw(t, "channel"),
						Environment: rapid.SampledFrom([]string{"Environments-1", "Environments-2"}).Draw(t, "environment"), Task: fmt.Sprint("ServerTasks-", n), State: "Queued", Number: n, Created: time.Now()}
					do(func(tx *sql.Tx) error { return ledger.Add(ctx, tx, e) })
					model = append(model, e)
				}
			}
			all, err := ledger.List(ctx, tx, ledger.Query{Line: line})
			if err != nil || len(all) != len(model) {
				t.Fatalf("%d entries, want %d: %v", len(all), len(model), err)
			}
			newest, good := map[string]int64{}, map[string]int64{}
			for _, e := range model {
				place := e.Environment + e.Channel
				newest[place] = max(newest[place], e.Number)
				if e.State == "Success" {
					good[place] = max(good[place], e.Number)
				}
			}
			for _, e := range all {
				place := e.Environment + e.Channel
				if e.Newest != (newest[place] == e.Number) || e.Good != (good[place] == e.Number) {
					t.Fatalf("marks of %+v: newest is %d, good is %d", e, newest[place], good[place])
				}
			}
			for _, source := range []string{"Releases-1" + line, "Releases-2" + line} {
				want := map[ledger.Outcome]bool{}
				for _, e := range model {
					if e.Source == source {
						want[ledger.Outcome{Environment: e.Environment}] = want[ledger.Outcome{Environment: e.Environment}] || e.State == "Success"
					}
				}
				got, err := ledger.Outcomes(ctx, tx, source)
				if err != nil || len(got) != len(want) {
					t.Fatalf("outcomes %+v, want %v: %v", got, want, err)
				}
				for _, o := range got {
					if succeeded, ok := want[ledger.Outcome{Environment: o.Environment, Tenant: o.Tenant}]; !ok || succeeded != o.Succeeded {
						t.Fatalf("outcomes %+v, want %v", got, want)
					}
				}
			}
			n++
		})
	})
}

// TestOutcomesOfWhatHappensAtOnce removes a release's entries from a place while others are added and end there, as replicas do.
func TestOutcomesOfWhatHappensAtOnce(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url string) {
		ctx := context.Background()
		d, err := db.Open(ctx, url, db.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		if _, err := document.Open(ctx, d); err != nil {
			t.Fatal(err)
		}
		do := func(f func(tx *sql.Tx) error) {
			if err := d.Tx(ctx, f); err != nil {
				t.Error(err)
			}
		}
		entry := func(source string, n int64) ledger.Entry {
			return ledger.Entry{ID: fmt.Sprint("Deployments-", n), Kind: ledger.Deployments, Space: "Spaces-1", Project: "Projects-1", Line: "Projects-1", Source: source,
				Environment: "Environments-1", Task: fmt.Sprint("ServerTasks-", n), State: "Queued", Number: n, Created: time.Now()}
		}
		for round := range int64(40) {
			source := fmt.Sprint("Releases-", round)
			old, running, next := entry(source, 3*round+1), entry(source, 3*round+2), entry(source, 3*round+3)
			do(func(tx *sql.Tx) error { return errors.Join(ledger.Add(ctx, tx, old), ledger.Add(ctx, tx, running)) })
			var all sync.WaitGroup
			all.Go(func() { do(func(tx *sql.Tx) error { return ledger.Remove(ctx, tx, old.ID) }) })
			succeeds := round%2 == 0
			all.Go(func() {
				do(func(tx *sql.Tx) error {
					if !succeeds {
						return ledger.Remove(ctx, tx, running.ID)
					}
					e, _, err := ledger.Get(ctx, tx, running.ID)
					return errors.Join(err, ledger.End(ctx, tx, e, "Success", time.Now()))
				})
			})
			if !succeeds {
				all.Go(func() { do(func(tx *sql.Tx) error { return ledger.Add(ctx, tx, next) }) })
			}
			all.Wait()
			got, err := ledger.Outcomes(ctx, d.Read(), source)
			if want := (ledger.Outcome{Environment: "Environments-1", Succeeded: succeeds}); err != nil || len(got) != 1 || got[0] != want {
				t.Fatalf("outcomes %+v, want %+v: %v", got, want, err)
			}
		}
	})
}

func TestWeeksBeginOnMonday(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"2026-03-02T00:00:00Z": "2026-03-02", "2026-03-08T23:59:59Z": "2026-03-02", "2026-03-09T00:00:00Z": "2026-03-09", "2024-12-31T12:00:00Z": "2024-12-30"} {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		if got := ledger.Week(at).Format("2006-01-02"); got != want {
			t.Errorf("%s is in the week of %s, want %s", text, got, want)
		}
	}
}
