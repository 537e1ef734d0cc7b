package spacesql_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db/dbtest"
	"odcm/manager/space"
)

// BenchmarkList reads pages of 60 of 10,000 Spaces, of which the user has starred 20.
func BenchmarkList(b *testing.B) {
	for _, open := range []struct {
		name string
		url  func(testing.TB) string
	}{{"SQLite", dbtest.SQLite}, {"PostgreSQL", dbtest.PostgreSQL}} {
		b.Run(open.name, func(b *testing.B) {
			ctx := context.Background()
			w := openStore(b, dbtest.Open(b, open.url(b)))
			const n = 10_000
			c := space.Change{Instances: []space.Instance{{ID: "instance-1", Origin: space.Enlisted}}}
			for i := range n {
				c.Spaces = append(c.Spaces, space.Space{ID: odcm.SpaceID(fmt.Sprintf("space-%05d", i)), Instance: "instance-1", Octopus: fmt.Sprint(i),
					Slug: fmt.Sprintf("slug-%d", i), Name: fmt.Sprintf("Space %05d", i*7919%n), State: space.StateActive, Created: time.Now()})
			}
			if err := w.store.Commit(ctx, c); err != nil {
				b.Fatal(err)
			}
			for i := range 20 {
				if err := w.store.Star(ctx, "u", odcm.SpaceID(fmt.Sprintf("space-%05d", i*97)), true); err != nil {
					b.Fatal(err)
				}
			}
			for name, q := range map[string]space.Query{
				"first page":  {},
				"deep page":   {After: space.Position{Name: "space 09000"}},
				"by text":     {Text: "0999"},
				"starred":     {Starred: true, Order: space.ByName},
				"for palette": {Order: space.ByName, States: []space.State{space.StateActive}},
			} {
				q.Reach, q.User, q.Limit = space.Reach{All: true}, "u", 60
				b.Run(name, func(b *testing.B) {
					for b.Loop() {
						if page, err := w.store.List(ctx, q); err != nil || len(page) == 0 {
							b.Fatal(len(page), err)
						}
					}
				})
			}
		})
	}
}
