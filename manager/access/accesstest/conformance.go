package accesstest

import (
	"cmp"
	"context"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"odcm"
	"odcm/manager/access"
)

// Conformance is what every [access.Store] must do. Stored says which events were committed, by type.
func Conformance(t *testing.T, s access.Store, stored func() []string) {
	ctx := context.Background()
	now := time.Date(2026, 11, 24, 1, 2, 3, int(4*time.Millisecond), time.UTC)
	did := func(typ string) odcm.Event { return odcm.NewEvent(odcm.System, typ, "space-1", "Payments", nil, nil) }
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	load := func(after int64, want ...access.Content) int64 {
		t.Helper()
		got, revision, err := s.Load(ctx, after)
		ok(err)
		slices.SortFunc(got, func(a, b access.Content) int { return cmp.Compare(a.Space, b.Space) })
		if len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("after %d:\n%+v\nwant\n%+v", after, got, want)
		}
		if now, err := s.Revision(ctx); err != nil || now != revision {
			t.Fatalf("revision %d, loaded %d: %v", now, revision, err)
		}
		return revision
	}
	none := load(0)

	group := access.Grant{ID: "grant-1", Space: "space-1", Holder: access.Holder{Group: "group-1"}, Note: "why", By: "user-barry", Created: now}
	user := access.Grant{ID: "grant-2", Space: "space-1", Holder: access.Holder{User: "user-bob"}, Steward: true, Expires: now.Add(time.Hour), By: "user-barry", Created: now}
	other := access.Grant{ID: "grant-3", Space: "space-2", Holder: access.Holder{User: "user-bob"}, Expires: now.Add(2 * time.Hour), By: "user-barry", Created: now}
	ok(s.PutGrant(ctx, group, did("access.granted")))
	ok(s.PutGrant(ctx, user, did("access.granted")))
	first := load(none, access.Content{Space: "space-1", Grants: []access.Grant{group, user}})
	ok(s.PutGrant(ctx, other, did("access.granted")))
	second := load(first, access.Content{Space: "space-2", Grants: []access.Grant{other}})

	again := group
	again.ID, again.Note, again.Created, again.Expires = "grant-9", "another reason", now.Add(time.Hour), now.Add(3*time.Hour)
	ok(s.PutGrant(ctx, again, did("access.granted")))
	again.ID, again.Created = group.ID, group.Created
	load(second, access.Content{Space: "space-1", Grants: []access.Grant{again, user}})

	ok(s.Map(ctx, "space-1", access.Team{ID: "Teams-2", Name: "Deployers"}, "group-2", did("access.mapped")))
	ok(s.Map(ctx, "space-1", access.Team{ID: "Teams-2", Name: "Deployers to Dev"}, "group-1", did("access.mapped")))
	ok(s.Map(ctx, "space-1", access.Team{ID: "Teams-10", Name: "Viewers"}, "group-1", did("access.mapped")))
	ok(s.Map(ctx, "space-1", access.Team{ID: "Teams-10", Name: "Viewers"}, "group-1", did("access.mapped")))
	deployers := access.Mapping{Space: "space-1", Team: access.Team{ID: "Teams-2", Name: "Deployers to Dev"}, Groups: []odcm.GroupID{"group-1", "group-2"}}
	viewers := access.Mapping{Space: "space-1", Team: access.Team{ID: "Teams-10", Name: "Viewers"}, Groups: []odcm.GroupID{"group-1"}}
	third := load(second, access.Content{Space: "space-1", Grants: []access.Grant{again, user}, Mappings: []access.Mapping{viewers, deployers}})

	ok(s.Unmap(ctx, "space-1", "Teams-10", "group-1", did("access.unmapped")))
	if err := s.Unmap(ctx, "space-1", "Teams-10", "group-1", did("access.unmapped")); odcm.CodeOf(err) != "access.mapping-not-found" {
		t.Errorf("unmapped twice: %v", err)
	}
	load(third, access.Content{Space: "space-1", Grants: []access.Grant{again, user}, Mappings: []access.Mapping{deployers}})

	// Two replicas end what has expired at the same time.
	var wait sync.WaitGroup
	ended := make([][]access.Grant, 2)
	for i := range ended {
		wait.Go(func() {
			var err error
			if ended[i], err = s.EndGrants(ctx, now.Add(time.Hour), 10, func(access.Grant) odcm.Event { return did("access.expired") }); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	user.Ended = true
	if got := append(ended[0], ended[1]...); !reflect.DeepEqual(got, []access.Grant{user}) {
		t.Errorf("ended %+v", got)
	}
	load(third, access.Content{Space: "space-1", Grants: []access.Grant{again, user}, Mappings: []access.Mapping{deployers}})
	renewed := user
	renewed.Ended, renewed.Expires = false, now.Add(9*time.Hour)
	ok(s.PutGrant(ctx, renewed, did("access.granted")))

	ok(s.DeleteGrant(ctx, "grant-1", did("access.revoked")))
	if err := s.DeleteGrant(ctx, "grant-1", did("access.revoked")); odcm.CodeOf(err) != "access.grant-not-found" {
		t.Errorf("deleted twice: %v", err)
	}
	fourth := load(third, access.Content{Space: "space-1", Grants: []access.Grant{renewed}, Mappings: []access.Mapping{deployers}})

	ok(s.Forget(ctx, "space-1"))
	load(fourth, access.Content{Space: "space-1"})
	load(0, access.Content{Space: "space-1"}, access.Content{Space: "space-2", Grants: []access.Grant{other}})

	want := []string{"access.granted", "access.granted", "access.granted", "access.granted", "access.mapped", "access.mapped", "access.mapped", "access.mapped",
		"access.unmapped", "access.expired", "access.granted", "access.revoked"}
	if got := stored(); !slices.Equal(got, want) {
		t.Errorf("events %v\nwant   %v", got, want)
	}

	// Changes that come at once have each a revision, and none is lost to who reads between them.
	seen, spaces := int64(0), map[odcm.SpaceID]bool{}
	stop, read := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(read)
		for done := false; !done; {
			select {
			case <-stop:
				done = true
			default:
			}
			contents, revision, err := s.Load(ctx, seen)
			if err != nil {
				t.Error(err)
				return
			}
			for _, c := range contents {
				if len(c.Grants) == 1 {
					spaces[c.Space] = true
				}
			}
			seen = revision
		}
	}()
	const writers, each = 4, 8
	for i := range writers {
		wait.Go(func() {
			for j := range each {
				g := group
				g.ID, g.Space = odcm.NewID[string]("grant"), odcm.SpaceID("busy-"+string(rune('a'+i))+string(rune('a'+j)))
				if err := s.PutGrant(ctx, g, did("access.granted")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	close(stop)
	<-read
	delete(spaces, "space-2")
	if len(spaces) != writers*each {
		t.Errorf("a reader saw %d of %d Spaces", len(spaces), writers*each)
	}
}
