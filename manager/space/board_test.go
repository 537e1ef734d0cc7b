package space

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"odcm"
)

// rows is a Store and a Monitor of lines; reading fails while broken is set.
type rows struct {
	Store
	mu     sync.Mutex
	lines  map[odcm.SpaceID]Line
	broken bool
	whole  int // how often all were read
}

func (r *rows) Lines(_ context.Context, ids []odcm.SpaceID) (found []Line, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken {
		return nil, errors.New("the database is away")
	}
	if ids == nil {
		r.whole++
	}
	for id, l := range r.lines {
		if ids == nil || slices.Contains(ids, id) {
			l.Status, l.Since = "", time.Time{}
			found = append(found, l)
		}
	}
	return found, nil
}

func (r *rows) HealthOf(_ context.Context, ids []odcm.SpaceID) (map[odcm.SpaceID]Health, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := map[odcm.SpaceID]Health{}
	for _, id := range ids {
		found[id] = Health{Status: r.lines[id].Status}
	}
	return found, nil
}

func (r *rows) InStatus(context.Context, []Status) ([]odcm.SpaceID, error) { return nil, nil }

func (r *rows) set(id odcm.SpaceID, status Status) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if status == "gone" {
		delete(r.lines, id)
		return
	}
	r.lines[id] = Line{ID: id, Key: string(id), Name: string(id), State: StateActive, Status: status, URL: "https://octopus.example:8443"}
}

var boss = odcm.Principal{User: "user-1", Roles: []odcm.Role{odcm.Administrator}}

// said is the board in words, in order.
func said(t interface{ Fatal(...any) }, s *Service) (all []string) {
	v, err := s.Survey(context.Background(), boss, Sight{})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range v.Lines {
		all = append(all, l.Name+" "+l.Shown())
	}
	return all
}

// truth is what a board says that follows nothing, and so reads all.
func (r *rows) truth(t interface{ Fatal(...any) }) []string {
	return said(t, New(Options{Store: r, Monitor: r, Access: ByRole{}}))
}

// TestTheBoardIsAsTheDatabase has Spaces change, come and go at random, with hints for each and now and then for everything: the
// board that follows is always as one that is read anew.
func TestTheBoardIsAsTheDatabase(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := &rows{lines: map[odcm.SpaceID]Line{}}
		s := New(Options{Store: r, Monitor: r, Access: ByRole{}})
		s.board.follow(true)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			id := odcm.SpaceID(fmt.Sprintf("space-%d", rapid.IntRange(0, 8).Draw(t, "space")))
			r.set(id, rapid.SampledFrom([]Status{Online, Offline, Degraded, Unknown, "gone"}).Draw(t, "status"))
			if hint := rapid.SampledFrom([]string{Topic(id), Topic(id), Topic(id), "*"}).Draw(t, "hint"); rapid.Bool().Draw(t, "here") {
				s.board.expire(Topic(id), TopicAll)
			} else {
				s.board.hint(hint)
			}
			if rapid.Bool().Draw(t, "look") {
				if err := s.readHinted(context.Background()); err != nil {
					t.Fatal(err)
				}
				if got, want := said(t, s), r.truth(t); !slices.Equal(got, want) {
					t.Fatalf("the board says %v, the database %v", got, want)
				}
			}
			if rapid.IntRange(0, 9).Draw(t, "whole") == 0 {
				if err := s.readBoard(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

func TestFollowBoard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r := &rows{lines: map[odcm.SpaceID]Line{}}
		for i := range 50 {
			r.set(odcm.SpaceID(fmt.Sprintf("space-%02d", i)), Online)
		}
		s := New(Options{Store: r, Monitor: r, Access: ByRole{}})
		hints := make(chan string)
		var told atomic.Int64
		done := make(chan error)
		go func() { done <- s.FollowBoard(ctx, hints, func() { told.Add(1) }) }()
		time.Sleep(2 * boardRest)
		if told.Load() != 1 || r.whole != 1 {
			t.Fatalf("told %d times, read %d times", told.Load(), r.whole)
		}
		for i := range 50 {
			id := odcm.SpaceID(fmt.Sprintf("space-%02d", i))
			r.set(id, Offline)
			hints <- Topic(id)
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(2 * boardRest)
		if got := said(t, s); told.Load() < 2 || told.Load() > 3 || r.whole != 1 || got[0] != "space-00 offline" {
			t.Errorf("told %d times, read all %d times: %v", told.Load(), r.whole, got[0])
		}
		before := told.Load()
		hints <- Topic("space-00") // nothing is different
		time.Sleep(2 * boardRest)
		if told.Load() != before {
			t.Error("told of nothing")
		}
		r.mu.Lock()
		r.broken = true
		r.mu.Unlock()
		r.set("space-00", Online)
		hints <- Topic("space-00")
		time.Sleep(boardRest / 2)
		r.mu.Lock()
		r.broken = false
		r.mu.Unlock()
		time.Sleep(2 * boardRest) // it tries again by itself
		if got := said(t, s); got[len(got)-1] != "space-00 online" {
			t.Errorf("%v", got)
		}
		r.set("space-07", Online) // and the hint is lost
		time.Sleep(boardFor + boardRest)
		if got := said(t, s); got[len(got)-1] != "space-07 online" {
			t.Errorf("%v", got)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestSurvey(t *testing.T) {
	t.Parallel()
	r := &rows{lines: map[odcm.SpaceID]Line{}}
	add := func(id odcm.SpaceID, status Status, version, url, reason string) {
		r.lines[id] = Line{ID: id, Key: Fold(string(id)), Name: string(id), State: StateActive, Status: status, Version: version, URL: url, Reason: reason}
	}
	add("a", Online, "1", "https://one:1", "")
	add("b", Offline, "2", "https://one:2", "Nobody listens.")
	add("c", Degraded, "2", "https://two:1", "")
	add("d", Online, "2", "", "")
	s := New(Options{Store: r, Monitor: r, Access: ByRole{}})
	for _, c := range []struct {
		sight Sight
		want  string
	}{
		{Sight{}, "[b c a d] [] 4"},
		{Sight{ByName: true}, "[a b c d] [] 4"},
		{Sight{Shown: []string{"online"}}, "[a d] [] 4"},
		{Sight{Text: " B "}, "[b] [] 1"},
		{Sight{Text: "two:"}, "[c] [] 1"},
		{Sight{Versions: []string{"2"}, Servers: []string{"one"}}, "[b] [] 1"},
		{Sight{Instances: []string{"one:1", "two:1"}}, "[c a] [] 2"},
		{Sight{Group: ByServer}, "[b c a d] [one/2 two/1 /1] 4"},
		{Sight{Group: ByInstance}, "[b c a d] [one:2/1 two:1/1 /1 one:1/1] 4"},
		{Sight{Group: ByVersion}, "[b c a d] [2/3 1/1] 4"},
		{Sight{Group: ByState, Shown: []string{"online"}}, "[a d] [online/2] 4"},
	} {
		v, err := s.Survey(t.Context(), boss, c.sight)
		if err != nil {
			t.Fatal(err)
		}
		var ids, groups []string
		for _, l := range v.Lines {
			ids = append(ids, string(l.ID))
		}
		for _, g := range v.Groups {
			groups = append(groups, fmt.Sprintf("%s/%d", g.Name, len(g.Lines)))
		}
		if got := fmt.Sprint(ids, groups, v.Total); got != c.want {
			t.Errorf("%+v: %s, want %s", c.sight, got, c.want)
		}
	}
	nobody, err := s.Survey(t.Context(), odcm.Principal{User: "bob"}, Sight{Group: ByServer})
	if err != nil || nobody.Total != 0 || len(nobody.Lines)+len(nobody.Groups)+len(nobody.Counts) != 0 || nobody.All {
		t.Errorf("%+v, %v", nobody, err)
	}
}
