package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"odcm"
	"odcm/manager/access"
	"odcm/manager/access/accesstest"
	"odcm/test/bench/estate"
)

// access measures what one decision costs in a large company, and what it costs to know which Spaces a change of one
// membership touches.
func (b *bench) access(users, groups, spaces int) error {
	ctx := context.Background()
	e := estate.New(users, groups, spaces)
	facts, s, err := employ(ctx, e)
	if err != nil {
		return err
	}
	var took [2][]float64
	allocations := 0.0
	for range b.rounds {
		out, err := exec.Command(b.control, "access", strconv.Itoa(users), strconv.Itoa(groups), strconv.Itoa(spaces)).Output()
		if err != nil {
			return fmt.Errorf("control: %w", err)
		}
		var c float64
		var want int
		if _, err := fmt.Sscan(string(out), &c, &want); err != nil {
			return err
		}
		o, entered, allocated := decide(s, e)
		if entered != want {
			return fmt.Errorf("%d decisions were for entering, the control says %d", entered, want)
		}
		took[0], took[1] = append(took[0], c), append(took[1], o)
		allocations = max(allocations, allocated)
	}
	c, o := median(took[0]), median(took[1])
	what := fmt.Sprintf("Access decision, %d users x %d groups x %d Spaces, %.0f allocations", users, groups, spaces, allocations)
	b.add(result{what, fmt.Sprintf("%.0f ns", c), fmt.Sprintf("%.0f ns", o), o / c, "≤ 3, no allocation", o/c <= 3 && allocations == 0})

	var waits []float64
	for i := range 20 {
		facts.Join(odcm.UserID(e.Users[i]), odcm.GroupID(e.Groups[groups-1-i]), true)
		if _, err := facts.Graph(ctx); err != nil { // flattening is not what is measured
			return err
		}
		began := time.Now()
		if err := s.Refresh(ctx); err != nil {
			return err
		}
		waits = append(waits, float64(time.Since(began).Microseconds())/1000)
	}
	b.notes = append(b.notes, fmt.Sprintf("There, one person joining one group is decided on, and the Spaces that it touches are named, in %.1f ms.", median(waits)))
	return nil
}

// employ makes ODCM's decisions for the estate.
func employ(ctx context.Context, e *estate.Estate) (*accesstest.Facts, *access.Service, error) {
	w, store := accesstest.NewWorld(), accesstest.NewMemory()
	for g, id := range e.Groups {
		w.Group(odcm.GroupID(id))
		if e.Parent[g] >= 0 {
			w.Nest(odcm.GroupID(id), odcm.GroupID(e.Groups[e.Parent[g]]), true)
		}
	}
	for u, id := range e.Users {
		w.User(odcm.UserID(id), true)
		for _, g := range e.Direct[u] {
			w.Join(odcm.UserID(id), odcm.GroupID(e.Groups[g]), true)
		}
	}
	for i, id := range e.Spaces {
		for _, g := range e.Granted[i] {
			grant := access.Grant{ID: fmt.Sprintf("grant-%d-%d", i, g), Space: odcm.SpaceID(id), Holder: access.Holder{Group: odcm.GroupID(e.Groups[g])}}
			if err := store.PutGrant(ctx, grant, odcm.Event{}); err != nil {
				return nil, nil, err
			}
		}
	}
	s, err := access.New(ctx, w.Options(store, nil))
	return w.Facts, s, err
}

// decide asks as the control does, and returns nanoseconds and allocations of a decision and how many were for entering.
func decide(s *access.Service, e *estate.Estate) (ns float64, entered int, allocations float64) {
	users, spaces := make([]odcm.UserID, len(e.Users)), make([]odcm.SpaceID, len(e.Spaces))
	for i, id := range e.Users {
		users[i] = odcm.UserID(id)
	}
	for i, id := range e.Spaces {
		spaces[i] = odcm.SpaceID(id)
	}
	const rounds = 20
	began := time.Now()
	for range rounds {
		for _, a := range e.Asked {
			if s.May(users[a[0]], spaces[a[1]]) {
				entered++
			}
		}
	}
	took := time.Since(began)
	allocations = testing.AllocsPerRun(1000, func() { s.May(users[0], spaces[0]) })
	return float64(took.Nanoseconds()) / float64(rounds*len(e.Asked)), entered / rounds, allocations
}
