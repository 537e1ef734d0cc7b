package document_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"odcm/spaceserver/internal/document"
)

type refusal struct{}

func (refusal) Error() string { return "refused" }
func (refusal) Refusal() bool { return true }

// TestReadersSeeWhatIsCommitted reads documents while they are changed, together and with changes that are taken back: nobody
// sees less than what was committed before, or more than will be.
func TestReadersSeeWhatIsCommitted(t *testing.T) {
	each(t, func(t *testing.T, s *document.Store) {
		ctx := context.Background()
		const documents, writers, changes = 3, 4, 40
		var committed [documents]atomic.Int64
		for i := range documents {
			insert(t, s, row(fmt.Sprint("Things-", i), "Spaces-1", fmt.Sprint(i)))
			committed[i].Store(1)
		}
		var writing, reading sync.WaitGroup
		for range writers {
			writing.Go(func() {
				for range changes {
					i, back := rand.IntN(documents), rand.IntN(3)
					var revision int64
					err := s.Tx(ctx, func(tx *sql.Tx) error {
						r, err := s.Get(ctx, tx, "Things", fmt.Sprint("Things-", i), "Spaces-1")
						if err != nil {
							return err
						}
						r.Body = fmt.Appendf(nil, `{"Revision":%d,"Committed":%t}`, r.Revision+1, back == 0)
						if err := s.Update(ctx, tx, r); err != nil {
							return err
						}
						o, err := s.Object(ctx, tx, "Things", r.ID, "Spaces-1")
						if err != nil {
							return err
						}
						if revision = o.Int("Revision"); revision != r.Revision+1 {
							t.Errorf("a transaction that wrote revision %d reads %d", r.Revision+1, revision)
						}
						switch back {
						case 1:
							return refusal{}
						case 2:
							return sql.ErrConnDone
						}
						return nil
					})
					for err == nil {
						if was := committed[i].Load(); was >= revision || committed[i].CompareAndSwap(was, revision) {
							break
						}
					}
				}
			})
		}
		done := make(chan struct{})
		for range 2 {
			reading.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					i := rand.IntN(documents)
					before := committed[i].Load()
					o, err := s.Object(ctx, s.DB.Read(), "Things", fmt.Sprint("Things-", i), "Spaces-1")
					if err != nil {
						t.Error(err)
						return
					}
					if revision := max(1, o.Int("Revision")); revision < before || revision > 1 && !o.Bool("Committed") {
						t.Errorf("revision %d was read after %d was committed: %v", revision, before, o)
					}
				}
			})
		}
		writing.Wait()
		close(done)
		reading.Wait()
	})
}

func TestWhatIsReadCanBeChanged(t *testing.T) {
	each(t, func(t *testing.T, s *document.Store) {
		ctx, q := context.Background(), s.DB.Read()
		insert(t, s, row("Things-1", "Spaces-1", "a"))
		for range 3 {
			o, err := s.Object(ctx, q, "Things", "Things-1", "Spaces-1")
			if err != nil || o.Len() != 1 || o.Text("Id") != "Things-1" {
				t.Fatalf("%v: %v", o, err)
			}
			o.Set("Id", "other")
			o.Set("More", true)
		}
	})
}

func TestWhatIsDeletedIsGone(t *testing.T) {
	each(t, func(t *testing.T, s *document.Store) {
		ctx, q := context.Background(), s.DB.Read()
		for name, remove := range map[string]func(tx *sql.Tx) error{
			"alone":          func(tx *sql.Tx) error { return s.Delete(ctx, tx, "Things", "Things-1", "Spaces-1") },
			"with its space": func(tx *sql.Tx) error { return s.DeleteSpace(ctx, tx, "Spaces-1") },
		} {
			insert(t, s, row("Things-1", "Spaces-1", "a"))
			if _, err := s.Object(ctx, q, "Things", "Things-1", "Spaces-1"); err != nil {
				t.Fatal(err)
			}
			if err := tx(t, s, remove); err != nil {
				t.Fatal(err)
			}
			if o, err := s.Object(ctx, q, "Things", "Things-1", "Spaces-1"); !errors.Is(err, document.ErrNone) {
				t.Errorf("deleted %s it is still there: %v, %v", name, o, err)
			}
		}
	})
}

// TestMoreDocumentsThanAreKept reads more than a cache holds, some of them long.
func TestMoreDocumentsThanAreKept(t *testing.T) {
	each(t, func(t *testing.T, s *document.Store) {
		ctx, q := context.Background(), s.DB.Read()
		var rows []document.Row
		for i := range 60 {
			r := row(fmt.Sprint("Things-", i), "Spaces-1", fmt.Sprint(i))
			r.Body = fmt.Appendf(nil, `{"Id":"%s","Text":"%s"}`, r.ID, strings.Repeat("x", i<<11))
			rows = append(rows, r)
		}
		insert(t, s, rows...)
		for range 3 {
			for _, r := range rows {
				if o, err := s.Object(ctx, q, "Things", r.ID, "Spaces-1"); err != nil || o.Text("Id") != r.ID {
					t.Fatalf("%s is %s: %v", r.ID, o.Text("Id"), err)
				}
			}
		}
	})
}
