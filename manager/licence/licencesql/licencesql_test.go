package licencesql_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/manager/licence"
	"odcm/manager/licence/licencesql"
)

// witness keeps events in a table of its own, in the same transactions.
type witness struct{ refuse error }

func (w *witness) Append(ctx context.Context, tx *sql.Tx, events ...odcm.Event) error {
	for _, e := range events {
		if _, err := tx.ExecContext(ctx, `INSERT INTO witness (type) VALUES ($1)`, e.Type); err != nil {
			return err
		}
	}
	return w.refuse
}

func open(t *testing.T, d *db.DB) (*licencesql.Store, *witness) {
	t.Helper()
	if _, err := d.Write().ExecContext(t.Context(), `CREATE TABLE witness (type TEXT NOT NULL)`); err != nil {
		t.Fatal(err)
	}
	w := &witness{}
	s, err := licencesql.New(t.Context(), d, w)
	if err != nil {
		t.Fatal(err)
	}
	return s, w
}

func count(t *testing.T, d *db.DB) (n int) {
	t.Helper()
	if err := d.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM witness`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func yes(*licence.Installed) (*odcm.Event, error) { return &odcm.Event{Type: "licence.installed"}, nil }

func TestSwap(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		s, w := open(t, d)
		at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
		first, second := &licence.Installed{File: "one\x00\xff", At: at, By: "Barry"}, &licence.Installed{File: "two", At: at.Add(time.Hour), By: "Ann"}
		want := func(want *licence.Installed, events int) {
			t.Helper()
			got, err := s.Installed(t.Context())
			if err != nil || (got == nil) != (want == nil) || got != nil && *got != *want || count(t, d) != events {
				t.Errorf("installed %+v with %d events, %v; want %+v with %d", got, count(t, d), err, want, events)
			}
		}
		want(nil, 0)
		swap := func(next *licence.Installed, decide func(*licence.Installed) (*odcm.Event, error)) error {
			return s.Swap(t.Context(), next, decide)
		}
		no := errors.New("no")
		if err := swap(first, func(before *licence.Installed) (*odcm.Event, error) { return nil, no }); !errors.Is(err, no) {
			t.Error(err)
		}
		want(nil, 0)
		if err := swap(first, yes); err != nil {
			t.Error(err)
		}
		want(first, 1)
		err := swap(second, func(before *licence.Installed) (*odcm.Event, error) {
			if before == nil || *before != *first {
				t.Errorf("before: %+v", before)
			}
			return yes(before)
		})
		if err != nil {
			t.Error(err)
		}
		want(second, 2)
		if err := swap(first, func(*licence.Installed) (*odcm.Event, error) { return nil, nil }); err != nil {
			t.Error(err)
		}
		want(second, 2)
		w.refuse = no // an event that cannot be kept keeps the change from being made
		if err := swap(nil, yes); !errors.Is(err, no) {
			t.Error(err)
		}
		w.refuse = nil
		want(second, 2)
		if err := swap(nil, yes); err != nil {
			t.Error(err)
		}
		want(nil, 3)
	})
}

// Of those who install at once each sees what the one before it left.
func TestSwapsTakeTurns(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		s, _ := open(t, d)
		var mu sync.Mutex
		after := map[string]int{} // what was before -> how often
		var all sync.WaitGroup
		const n = 8
		for i := range n {
			all.Go(func() {
				var saw string
				err := s.Swap(t.Context(), &licence.Installed{File: fmt.Sprint(i), At: time.UnixMilli(1)}, func(before *licence.Installed) (*odcm.Event, error) {
					saw = ""
					if before != nil {
						saw = before.File
					}
					return yes(before)
				})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				after[saw]++
			})
		}
		all.Wait()
		if len(after) != n || count(t, d) != n {
			t.Errorf("seen before: %v, %d events", after, count(t, d))
		}
	})
}
