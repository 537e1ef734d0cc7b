package explain_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"odcm"
	"odcm/manager/access"
	"odcm/manager/access/accesstest"
	"odcm/manager/access/admit"
	"odcm/manager/access/explain"
)

// state is who may enter and who is in which team, one line each.
func state(s accesstest.Rooms, users []odcm.UserID, spaces []odcm.SpaceID) map[string]bool {
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
	people, groups, places := []string{"p-0", "p-1", "p-2", "p-3"}, []string{"g-0", "g-1", "g-2", "g-3", "g-4"}, []string{"s-0", "s-1"}
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
	s, err := w.Open(ctx, w.Options(nil, nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		if err != nil && odcm.KindOf(err) != odcm.NotFound {
			t.Fatal(err)
		}
	}
	do := func(c explain.Change) {
		switch c.Kind {
		case explain.ToGrant:
			_, err := s.Grants.Grant(ctx, accesstest.Barry, admit.NewGrant{Space: c.Space, Group: c.Group, User: c.User})
			must(err)
		case explain.ToRevoke:
			held, _, err := s.Grants.Grants(ctx, accesstest.Barry, admit.Filter{Space: c.Space, Group: c.Group, User: c.User})
			must(err)
			for _, g := range held {
				must(s.Grants.Revoke(ctx, accesstest.Barry, g.ID))
			}
		case explain.ToMap:
			must(s.Grants.Map(ctx, accesstest.Barry, c.Space, access.Team{ID: c.Team}, c.Group))
		case explain.ToUnmap:
			must(s.Grants.Unmap(ctx, accesstest.Barry, c.Space, c.Team, c.Group))
		case explain.ToAdd, explain.ToRemove:
			if c.User != "" {
				w.Join(odcm.UserID("user-"+c.User), odcm.GroupID("group-"+c.Group), c.Kind == explain.ToAdd)
			} else {
				w.Nest(odcm.GroupID("group-"+c.Member), odcm.GroupID("group-"+c.Group), c.Kind == explain.ToAdd)
			}
		case explain.ToDisable:
			w.Disable(odcm.UserID("user-" + c.User))
		}
		must(s.Refresh(ctx))
	}
	kinds := []explain.ChangeKind{explain.ToGrant, explain.ToAdd, explain.ToAdd, explain.ToMap, explain.ToRevoke, explain.ToUnmap, explain.ToRemove, explain.ToDisable}
	change := func(kinds []explain.ChangeKind) explain.Change {
		c := explain.Change{Kind: kinds[r.IntN(len(kinds))]}
		lower := r.IntN(len(groups) - 1)
		upper := lower + 1 + r.IntN(len(groups)-1-lower)
		person, place, one := people[r.IntN(len(people))], places[r.IntN(len(places))], r.IntN(2) == 0
		switch c.Kind {
		case explain.ToGrant, explain.ToRevoke:
			if c.Space = place; one {
				c.User = person
			} else {
				c.Group = groups[lower]
			}
		case explain.ToMap, explain.ToUnmap:
			c.Space, c.Team, c.Group = place, []string{"t1", "t2"}[r.IntN(2)], groups[lower]
		case explain.ToAdd, explain.ToRemove:
			if c.Group = groups[upper]; one {
				c.User = person
			} else {
				c.Member = groups[lower]
			}
		case explain.ToDisable:
			c.User = person
		}
		return c
	}
	for range 30 {
		do(change(kinds[:4]))
	}
	var changes []explain.Change
	for range 1 + r.IntN(5) {
		changes = append(changes, change(kinds))
	}
	before := state(s, users, spaces)
	foretold, d := map[string]bool{}, explain.Difference{}
	for from := 0; ; from = d.Next {
		if d, err = s.Explain.WhatIf(ctx, accesstest.Barry, changes, from, 3); err != nil {
			t.Fatal(err)
		}
		for _, e := range d.Effects {
			line := fmt.Sprint(e.Person, " enters ", e.Place.Space)
			if e.Team.ID != "" {
				line = fmt.Sprint(e.Person, " is in ", e.Team.ID, " of ", e.Place.Space)
			}
			foretold[line] = e.Kind == explain.GainsEntry || e.Kind == explain.JoinsTeam
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
	_, _, s := accesstest.Company(t, nil)
	for _, changes := range [][]explain.Change{
		nil, slices.Repeat([]explain.Change{{Kind: explain.ToDisable, User: "bob"}}, 101), {{Kind: "explode"}}, {{Kind: explain.ToGrant, Space: "payments"}},
		{{Kind: explain.ToMap, Space: "payments", Group: "Developers"}},
	} {
		if _, err := s.Explain.WhatIf(context.Background(), accesstest.Barry, changes, 0, 0); odcm.KindOf(err) != odcm.Invalid {
			t.Errorf("%v: %v", changes, err)
		}
	}
	d, err := s.Explain.WhatIf(context.Background(), accesstest.Barry, []explain.Change{{Kind: explain.ToDisable, User: "bob"}}, 99, 5)
	if err != nil || d.Lose != 2 || len(d.Effects) != 0 || d.Next != 0 {
		t.Errorf("behind the end: %+v, %v", d, err)
	}
}
