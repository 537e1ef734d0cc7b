package document_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/spaceserver/internal/document"
)

// each runs a conformance test on both databases.
func each(t *testing.T, f func(t *testing.T, s *document.Store)) {
	t.Helper()
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, err := document.Open(context.Background(), d)
		if err != nil {
			t.Fatal(err)
		}
		f(t, s)
	})
}

func tx(t *testing.T, s *document.Store, f func(tx *sql.Tx) error) error {
	t.Helper()
	return s.Tx(context.Background(), f)
}

func row(id, space, name string) document.Row {
	return document.Row{Kind: "Things", ID: id, Space: space, Name: name, Slug: name, Distinct: true, Body: []byte(`{"Id":"` + id + `"}`)}
}

func insert(t *testing.T, s *document.Store, rows ...document.Row) {
	t.Helper()
	err := tx(t, s, func(tx *sql.Tx) error {
		for i, r := range rows {
			if r.Sequence == 0 {
				r.Sequence = int64(i + 1)
			}
			if err := s.Insert(context.Background(), tx, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFindsByIDSlugAndName(t *testing.T) {
	each(t, func(t *testing.T, s *document.Store) {
		ctx, q := context.Background(), s.DB.Read()
		named := row("Things-2", "Spaces-1", "long name")
		named.Slug = "long-name"
		insert(t, s, row("Things-1", "Spaces-1", "a"), named, row("Things-1", "Spaces-2", "a"))
		if r, err := s.Get(ctx, q, "Things", "Things-1", "Spaces-2"); err != nil || r.Space != "Spaces-2" {
			t.Errorf("by id: %v, %v", r, err)
		}
		for _, key := range []string{"long-name", "Long Name"} {
			if r, err := s.Find(ctx, q, "Things", key, []string{"Spaces-1"}, ""); err != nil || r.ID != "Things-2" {
				t.Errorf("by %q: %v, %v", key, r, err)
			}
		}
		if _, err := s.Find(ctx, q, "Things", "a", []string{"Spaces-3"}, ""); !errors.Is(err, document.ErrNone) {
			t.Errorf("in another space: %v", err)
		}
		if _, err := s.Find(ctx, q, "Things", "a", []string{}, ""); !errors.Is(err, document.ErrNone) {
			t.Errorf("in no space: %v", err)
		}
	})
}

func TestNamesAreDistinctAmongAnOwners(t *testing.T) {
	each(t, func(t *testing.T, s *document.Store) {
		insert(t, s, row("Things-1", "Spaces-1", "a"))
		again := row("Things-2", "Spaces-1", "a")
		again.Slug = "b"
		err := tx(t, s, func(tx *sql.Tx) error { return s.Insert(context.Background(), tx, again) })
		if !db.IsUnique(err) {
			t.Errorf("the same name again: %v", err)
		}
		other := again
		other.Owner = "Owners-1"
		shared := again
		shared.ID, shared.Distinct = "Things-3", false
		insert(t, s, other, shared)
	})
}

func TestOldRevisionsAreRefused(t *testing.T) {
	each(t, func(t *testing.T, s *document.Store) {
		ctx := context.Background()
		insert(t, s, row("Things-1", "Spaces-1", "a"))
		r, err := s.Get(ctx, s.DB.Read(), "Things", "Things-1", "*")
		if err != nil {
			t.Fatal(err)
		}
		r.Body = []byte(`{"Id":"Things-1","n":1}`)
		r.Sealed = map[string]string{"/x": "sealed"}
		if err := tx(t, s, func(tx *sql.Tx) error { return s.Update(ctx, tx, r) }); err != nil {
			t.Fatal(err)
		}
		if err := tx(t, s, func(tx *sql.Tx) error { return s.Update(ctx, tx, r) }); !errors.Is(err, document.ErrChanged) {
			t.Errorf("an old revision: %v", err)
		}
		if err := tx(t, s, func(tx *sql.Tx) error { return s.Rewrite(ctx, tx, r) }); !errors.Is(err, document.ErrChanged) {
			t.Errorf("an old revision: %v", err)
		}
		if r, err = s.Get(ctx, s.DB.Read(), "Things", "Things-1", "Spaces-1"); err != nil {
			t.Fatal(err)
		}
		r.Body, r.Sealed, r.State, r.Name = []byte(`{"Id":"Things-1","n":2}`), map[string]string{"/x": "sealed"}, "open", "another"
		if err := tx(t, s, func(tx *sql.Tx) error { return s.Rewrite(ctx, tx, r) }); err != nil {
			t.Fatal(err)
		}
		open, _, err := s.List(ctx, s.DB.Read(), document.Query{Kind: "Things", States: []string{"open"}})
		if err != nil || len(open) != 1 || string(open[0].Body) != string(r.Body) || open[0].Name != "a" || open[0].Revision != r.Revision+1 {
			t.Errorf("rewritten: %v, %v", open, err)
		}
		sealed, err := s.Sealed(ctx, s.DB.Read(), "Things", "Things-1", "Spaces-1")
		if err != nil || sealed["/x"] != "sealed" {
			t.Errorf("sealed: %v, %v", sealed, err)
		}
		if any, err := s.AnySealed(ctx); err != nil || !any {
			t.Errorf("any sealed: %v, %v", any, err)
		}
	})
}

func TestListsInOrderAndPages(t *testing.T) {
	each(t, func(t *testing.T, s *document.Store) {
		ctx := context.Background()
		var rows []document.Row
		for i, name := range []string{"delta", "alpha", "charlie", "bravo", "100%_sure"} {
			r := row(fmt.Sprintf("Things-%d", i+1), "Spaces-1", name)
			r.Position = int64(10 - i)
			r.Project = []string{"Projects-1", "Projects-2"}[i%2]
			rows = append(rows, r)
		}
		insert(t, s, rows...)
		for name, c := range map[string]struct {
			q     document.Query
			ids   string
			total int
		}{
			"by name":     {document.Query{Order: document.ByName}, "5 2 4 3 1", 5},
			"by position": {document.Query{Order: document.ByPosition}, "5 4 3 2 1", 5},
			"newest":      {document.Query{Order: document.NewestFirst, Take: 2}, "5 4", 5},
			"a page":      {document.Query{Order: document.OldestFirst, Skip: 2, Take: 2}, "3 4", 5},
			"all":         {document.Query{Order: document.OldestFirst, Take: 2147483647}, "1 2 3 4 5", 5},
			"ids":         {document.Query{IDs: []string{"Things-1", "Things-3", "Things-9"}}, "3 1", 2},
			"no ids":      {document.Query{IDs: []string{}}, "", 0},
			"part":        {document.Query{Partial: "A%_"}, "", 0},
			"wild cards":  {document.Query{Partial: "%_s"}, "5", 1},
			"any case":    {document.Query{Partial: "RAV"}, "4", 1},
			"project":     {document.Query{Projects: []string{"Projects-2"}, Order: document.OldestFirst}, "2 4", 2},
			"contains":    {document.Query{Contains: `"Things-3"`}, "3", 1},
			"no space":    {document.Query{Spaces: []string{"Spaces-2"}}, "", 0},
		} {
			c.q.Kind = "Things"
			got, total, err := s.List(ctx, s.DB.Read(), c.q)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			ids := ""
			for i, r := range got {
				if i > 0 {
					ids += " "
				}
				ids += r.ID[len("Things-"):]
			}
			if ids != c.ids || total != c.total {
				t.Errorf("%s: %q of %d, want %q of %d", name, ids, total, c.ids, c.total)
			}
		}
	})
}

func TestBodiesOfThousands(t *testing.T) {
	each(t, func(t *testing.T, s *document.Store) {
		const many = 1000
		var rows []document.Row
		ids := []string{"Things-none"}
		for i := range many {
			r := row(fmt.Sprint("Things-", i), fmt.Sprint("Spaces-", i%2), fmt.Sprint(i))
			rows, ids = append(rows, r), append(ids, r.ID)
		}
		insert(t, s, rows...)
		found := map[string]string{}
		err := s.Bodies(context.Background(), s.DB.Read(), "Things", ids, func(id, space string, body []byte) { found[id] = space + string(body) })
		if err != nil || len(found) != many {
			t.Fatalf("%d bodies: %v", len(found), err)
		}
		for _, r := range rows {
			if found[r.ID] != r.Space+string(r.Body) {
				t.Errorf("%s is %s", r.ID, found[r.ID])
			}
		}
	})
}

func TestCountersNeverRepeat(t *testing.T) {
	each(t, func(t *testing.T, s *document.Store) {
		var mu sync.Mutex
		var all []int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 10 {
					err := s.DB.Tx(context.Background(), func(tx *sql.Tx) error {
						n, err := s.Next(context.Background(), tx, "c", 1)
						mu.Lock()
						all = append(all, n)
						mu.Unlock()
						return err
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		slices.Sort(all)
		if len(slices.Compact(all)) != 80 || all[79] != 80 {
			t.Errorf("numbers: %v", all)
		}
	})
}

// TestAFollowerMissesNoEvent reads from a cursor while many write: numbers become visible in their order.
func TestAFollowerMissesNoEvent(t *testing.T) {
	each(t, func(t *testing.T, s *document.Store) {
		ctx := context.Background()
		const writers, each = 4, 20
		var wg sync.WaitGroup
		for n := range writers {
			wg.Go(func() {
				for range each {
					err := s.DB.Tx(ctx, func(tx *sql.Tx) error {
						return s.Append(ctx, tx, document.Event{Space: "Spaces-1", Category: "Created", Occurred: time.Now(), Related: []string{fmt.Sprintf("Things-%d", n)}, Body: []byte(`{}`)},
							document.Event{Category: "Modified", Occurred: time.Now(), Body: []byte(`{}`)})
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		var last int64
		for deadline := time.Now().Add(20 * time.Second); last < writers*each*2 && time.Now().Before(deadline); {
			events, _, err := s.Events(ctx, s.DB.Read(), document.EventQuery{FromID: last + 1, OldestFirst: true, Take: 7})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				if e.AutoID != last+1 {
					t.Fatalf("event %d came after %d", e.AutoID, last)
				}
				last = e.AutoID
			}
		}
		wg.Wait()
		if last != writers*each*2 {
			t.Errorf("saw %d events", last)
		}
		about, total, err := s.Events(ctx, s.DB.Read(), document.EventQuery{Any: [][]string{{"Things-1"}}, Spaces: []string{"Spaces-1"}})
		if err != nil || total != each || len(about) != each {
			t.Errorf("%d events about one thing, %v", total, err)
		}
		if err := s.PruneEvents(ctx, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, total, _ := s.Events(ctx, s.DB.Read(), document.EventQuery{}); total != 0 {
			t.Errorf("%d events are left", total)
		}
	})
}

func TestASpaceGoesWhole(t *testing.T) {
	each(t, func(t *testing.T, s *document.Store) {
		ctx := context.Background()
		insert(t, s, row("Things-1", "Spaces-1", "a"), row("Things-2", "Spaces-2", "b"))
		if err := tx(t, s, func(tx *sql.Tx) error { return s.DeleteSpace(ctx, tx, "Spaces-1") }); err != nil {
			t.Fatal(err)
		}
		counts, err := s.Counts(ctx, s.DB.Read(), "Things")
		if err != nil || counts["Spaces-1"]["Things"] != 0 || counts["Spaces-2"]["Things"] != 1 {
			t.Errorf("counts: %v, %v", counts, err)
		}
	})
}

func TestSettingsAreKept(t *testing.T) {
	each(t, func(t *testing.T, s *document.Store) {
		ctx := context.Background()
		for _, value := range []string{"one", "two"} {
			if err := tx(t, s, func(tx *sql.Tx) error { return s.Set(ctx, tx, "x", value) }); err != nil {
				t.Fatal(err)
			}
			if got, err := s.Setting(ctx, s.DB.Read(), "x"); err != nil || got != value {
				t.Errorf("%q, %v", got, err)
			}
		}
		if got, err := s.Setting(ctx, s.DB.Read(), "none"); err != nil || got != "" {
			t.Errorf("%q, %v", got, err)
		}
	})
}

type refused struct{}

func (refused) Error() string { return "refused" }
func (refused) Refusal() bool { return true }

// TestChangesTogetherFailApart runs many changes at once: refusals, faults and panics among them undo their own rows and
// no others.
func TestChangesTogetherFailApart(t *testing.T) {
	each(t, func(t *testing.T, s *document.Store) {
		ctx := context.Background()
		canceled, cancel := context.WithCancel(ctx)
		cancel()
		var wg sync.WaitGroup
		const n = 60
		results := make([]error, n)
		for i := range n {
			wg.Go(func() {
				at := ctx
				if i%5 == 4 {
					at = canceled
				}
				results[i] = s.Tx(at, func(tx *sql.Tx) error {
					name := fmt.Sprintf("t%d", i)
					r := row("Things-"+name, "Spaces-1", name)
					if err := s.Insert(ctx, tx, r); err != nil {
						return err
					}
					switch i % 5 {
					case 1:
						return refused{}
					case 2:
						return s.Insert(ctx, tx, r) // twice the same key
					case 3:
						panic("a defect")
					}
					return nil
				})
			})
		}
		wg.Wait()
		_, total, err := s.List(ctx, s.DB.Read(), document.Query{Kind: "Things"})
		if err != nil || total != n/5 {
			t.Errorf("%d rows, want %d: %v", total, n/5, err)
		}
		for i, err := range results {
			if (err == nil) != (i%5 == 0) {
				t.Errorf("change %d: %v", i, err)
			}
		}
	})
}
