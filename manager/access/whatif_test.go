package access_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"odcm"
	"odcm/manager/access"
	"odcm/manager/access/accesstest"
)

// state is who may enter and who is in which team, one line each.
func state(s *access.Service, users []odcm.UserID, spaces []odcm.SpaceID) map[string]bool {
	all := map[string]bool{}
	for _, space := range spaces {
		for _, user := range users {
			if s.May(user, space) {
				all[fmt.Sprint(user, " enters ", space)] = true
			}
			for _, team := range s.TeamsOf(context.Background(), user, space) {
				all[fmt.Sprint(user, " is in ", team, " of ", space)] = true
			}
		}
	}
	return all
}

// TestWhatIfForesees does what was asked about, and compares what came of it with what was foretold, page by page.
func TestWhatIfForesees(t *testing.T) {
	t.Parallel()
	for seed := range uint64(600) {
		foresees(t, seed)
	}
}

func foresees(t *testing.T, seed uint64) {
	ctx, r := context.Background(), rand.New(rand.NewPCG(seed, 0))
	w := accesstest.NewWorld()
	var users []odcm.UserID
	var spaces []odcm.SpaceID
	people, groups, places := many[string]("p", 4), many[string]("g", 5), many[string]("s", 2)
	w.AddPeople(people...)
	for _, g := range groups {
		w.AddGroup(g)
	}
	for _, p := range places {
		w.AddPlace(p, "instance", access.Team{ID: "t1", Name: "t1"}, access.Team{ID: "t2", Name: "t2"})
		spaces = append(spaces, odcm.SpaceID("space-"+p))
	}
	for _, p := range people {
		users = append(users, odcm.UserID("user-"+p))
	}
	s, err := access.New(ctx, w.Options(nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		if err != nil && odcm.KindOf(err) != odcm.NotFound {
			t.Fatal(err)
		}
	}
	do := func(c access.Change) {
		switch c.Kind {
		case access.ToGrant:
			_, err := s.Grant(ctx, accesstest.Barry, access.NewGrant{Space: c.Space, Group: c.Group, User: c.User})
			must(err)
		case access.ToRevoke:
			held, _, err := s.Grants(ctx, accesstest.Barry, access.Filter{Space: c.Space, Group: c.Group, User: c.User})
			must(err)
			for _, g := range held {
				must(s.Revoke(ctx, accesstest.Barry, g.ID))
			}
		case access.ToMap:
			must(s.Map(ctx, accesstest.Barry, c.Space, access.Team{ID: c.Team}, c.Group))
		case access.ToUnmap:
			must(s.Unmap(ctx, accesstest.Barry, c.Space, c.Team, c.Group))
		case access.ToAdd, access.ToRemove:
			if c.User != "" {
				w.Join(odcm.UserID("user-"+c.User), odcm.GroupID("group-"+c.Group), c.Kind == access.ToAdd)
			} else {
				w.Nest(odcm.GroupID("group-"+c.Member), odcm.GroupID("group-"+c.Group), c.Kind == access.ToAdd)
			}
		case access.ToDisable:
			w.Disable(odcm.UserID("user-" + c.User))
		}
		must(s.Refresh(ctx))
	}
	kinds := []access.ChangeKind{access.ToGrant, access.ToAdd, access.ToAdd, access.ToMap, access.ToRevoke, access.ToUnmap, access.ToRemove, access.ToDisable}
	change := func(kinds []access.ChangeKind) access.Change {
		c := access.Change{Kind: kinds[r.IntN(len(kinds))]}
		lower := r.IntN(len(groups) - 1)
		upper := lower + 1 + r.IntN(len(groups)-1-lower)
		person, place, one := people[r.IntN(len(people))], places[r.IntN(len(places))], r.IntN(2) == 0
		switch c.Kind {
		case access.ToGrant, access.ToRevoke:
			if c.Space = place; one {
				c.User = person
			} else {
				c.Group = groups[lower]
			}
		case access.ToMap, access.ToUnmap:
			c.Space, c.Team, c.Group = place, []string{"t1", "t2"}[r.IntN(2)], groups[lower]
		case access.ToAdd, access.ToRemove:
			if c.Group = groups[upper]; one {
				c.User = person
			} else {
				c.Member = groups[lower]
			}
		case access.ToDisable:
			c.User = person
		}
		return c
	}
	for range 30 {
		do(change(kinds[:4]))
	}
	var changes []access.Change
	for range 1 + r.IntN(5) {
		changes = append(changes, change(kinds))
	}
	before := state(s, users, spaces)
	foretold, d := map[string]bool{}, access.Difference{}
	for from := 0; ; from = d.Next {
		if d, err = s.WhatIf(ctx, accesstest.Barry, changes, from, 3); err != nil {
			t.Fatal(err)
		}
		for _, e := range d.Effects {
			line := fmt.Sprint(e.Person, " enters ", e.Place.Space)
			if e.Team.ID != "" {
				line = fmt.Sprint(e.Person, " is in ", e.Team.ID, " of ", e.Place.Space)
			}
			foretold[line] = e.Kind == access.GainsEntry || e.Kind == access.JoinsTeam
		}
		if d.Next == 0 {
			break
		}
	}
	if now := state(s, users, spaces); fmt.Sprint(now) != fmt.Sprint(before) {
		t.Fatal("asking changed something")
	}
	for _, c := range changes {
		do(c)
	}
	after := state(s, users, spaces)
	came := map[string]bool{}
	for line := range before {
		if !after[line] {
			came[line] = false
		}
	}
	for line := range after {
		if !before[line] {
			came[line] = true
		}
	}
	if fmt.Sprint(came) != fmt.Sprint(foretold) || len(came) != d.Gain+d.Lose+d.Join+d.Leave {
		t.Fatalf("seed %d: %+v\nforetold %v (%+v)\ncame     %v", seed, changes, foretold, d, came)
	}
}

func TestWhatIfRefusesNonsense(t *testing.T) {
	t.Parallel()
	_, _, s := company(t, clock)
	for _, changes := range [][]access.Change{
		nil, slices.Repeat([]access.Change{{Kind: access.ToDisable, User: "bob"}}, 101), {{Kind: "explode"}}, {{Kind: access.ToGrant, Space: "payments"}},
		{{Kind: access.ToMap, Space: "payments", Group: "Developers"}},
	} {
		if _, err := s.WhatIf(context.Background(), accesstest.Barry, changes, 0, 0); odcm.KindOf(err) != odcm.Invalid {
			t.Errorf("%v: %v", changes, err)
		}
	}
	d, err := s.WhatIf(context.Background(), accesstest.Barry, []access.Change{{Kind: access.ToDisable, User: "bob"}}, 99, 5)
	if err != nil || d.Lose != 2 || len(d.Effects) != 0 || d.Next != 0 {
		t.Errorf("behind the end: %+v, %v", d, err)
	}
}
