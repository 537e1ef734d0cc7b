package manager

import (
	"context"
	"database/sql"
	"iter"

	"odcm"
	"odcm/manager/access"
	"odcm/manager/access/accesstest"
)

// unheard takes events for which this test has no ear.
type unheard struct{}

func (unheard) Append(context.Context, *sql.Tx, ...odcm.Event) error { return nil }

// everyone yields the people of a test's world.
type everyone struct{ *accesstest.World }

func (e everyone) Everybody(ctx context.Context) iter.Seq2[access.Person, error] {
	return func(yield func(access.Person, error) bool) {
		found, err := e.People(ctx, []odcm.UserID{"user-ann", "user-bob"})
		if err != nil {
			yield(access.Person{}, err)
			return
		}
		for _, p := range found {
			if !yield(p, nil) {
				return
			}
		}
	}
}
