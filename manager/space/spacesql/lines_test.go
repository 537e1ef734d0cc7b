package spacesql_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/manager/space"
)

func TestLines(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		store := openStore(t, d).store
		none, err := store.Lines(ctx, nil)
		if err != nil || len(none) != 0 {
			t.Fatalf("%v, %v", none, err)
		}
		c := space.Change{Instances: []space.Instance{{ID: "instance-1", URL: "https://octopus.example:8443", Version: "2025.4", Origin: space.Created, Server: "server-1"}}}
		var ids []odcm.SpaceID
		const n = 1200 // more than one statement takes
		for i := range n {
			id := odcm.SpaceID(fmt.Sprintf("space-%04d", i))
			ids = append(ids, id)
			c.Spaces = append(c.Spaces, space.Space{ID: id, Instance: "instance-1", Octopus: fmt.Sprint(i), Slug: fmt.Sprintf("slug-%d", i), Name: fmt.Sprintf("Space %04d", i),
				State: space.StateFailed, Reason: "why", Created: time.Now()})
		}
		if err := store.Commit(ctx, c); err != nil {
			t.Fatal(err)
		}
		want := space.Line{ID: "space-0007", Instance: "instance-1", Machine: "server-1", Slug: "slug-7", Name: "Space 0007", Key: "space 0007",
			URL: "https://octopus.example:8443", State: space.StateFailed, Version: "2025.4", Reason: "why"}
		for name, asked := range map[string][]odcm.SpaceID{"all": nil, "these": append(ids, "space-none"), "one": {"space-0007"}} {
			got, err := store.Lines(ctx, asked)
			if err != nil {
				t.Fatal(err)
			}
			if wanted := map[bool]int{true: 1, false: n}[name == "one"]; len(got) != wanted {
				t.Errorf("%s: %d lines", name, len(got))
			}
			found := false
			for _, l := range got {
				found = found || l == want
			}
			if !found {
				t.Errorf("%s: no line is %+v", name, want)
			}
		}
		if got, err := store.Lines(ctx, []odcm.SpaceID{}); err != nil || len(got) != 0 {
			t.Errorf("none: %v, %v", got, err)
		}
	})
}
