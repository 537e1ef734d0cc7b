package test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"odcm/api"
	"odcm/apiclient"
	"odcm/manager"
)

// TestSpaceConverges changes a Space's team by hand, which is put right, and lets a Space miss that somebody loses it, which
// it has once it is back.
func TestSpaceConverges(t *testing.T) {
	t.Parallel()
	o := open(t, func(m *manager.Options) { m.ProveWithin, m.ProbeEvery = patience, time.Second })
	c, err := apiclient.New(apiclient.Options{URL: o.m.URL(), APIKey: adminKey})
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	s, stop := startTheirs(t, data, "127.0.0.1:0")
	defer func() { stop() }()
	team, _ := s.send(t, "POST", "/api/teams", map[string]any{"Name": "Deploy to Dev", "SpaceId": "Spaces-1", "MemberUserIds": []string{}})["Id"].(string)
	e, err := c.Enlist(t.Context(), api.Enlistment{Connection: api.Connection{URL: s.url, APIKey: theirKey},
		Spaces: []api.EnlistedSpace{{OctopusSpace: "Spaces-1", Name: "Shipping"}}}, "")
	if err != nil {
		t.Fatal(err)
	}
	o.ends(e.Task, "succeeded")
	space := e.Spaces[0].ID

	for _, done := range []error{
		second(c.CreateUser(t.Context(), api.NewUser{Username: "dora"})),
		second(c.CreateGroup(t.Context(), api.NewGroup{Name: "Developers"}, "")),
		second(c.EditGroup(t.Context(), "Developers", api.GroupEdit{Add: []string{"dora"}}, 0)),
		second(c.Grant(t.Context(), api.NewAccessGrant{Space: space, Group: "Developers"}, "")),
		c.Map(t.Context(), api.NewAccessMapping{Space: space, Team: team, Group: "Developers"}),
	} {
		if done != nil {
			t.Fatal(done)
		}
	}
	until(t, "she is in the team", func() bool { return len(s.members(t, team)) == 1 })
	dora := s.members(t, team)
	if !s.active(t, "dora") {
		t.Error("her account is shut")
	}

	emptied := time.Now()
	there := map[string]any{}
	s.get(t, "/api/teams/"+team, &there)
	there["MemberUserIds"] = []string{}
	s.send(t, "PUT", "/api/teams/"+team, there)
	until(t, "the team is put right", func() bool { return slices.Equal(s.members(t, team), dora) })
	t.Logf("a team edited by hand was put right after %s", time.Since(emptied).Round(time.Millisecond))
	until(t, "that is told", func() bool {
		is, err := c.Pushed(t.Context(), space)
		if err != nil {
			t.Fatal(err)
		}
		return len(is.Teams) == 1 && is.Teams[0].Repairs == 1 && len(is.Teams[0].Removed) == 1
	})

	stop()
	if _, err := c.EditGroup(t.Context(), "Developers", api.GroupEdit{Remove: []string{"dora"}}, 0); err != nil {
		t.Fatal(err)
	}
	until(t, "that she lost it is known to be open", func() bool {
		is, err := c.Pushed(t.Context(), space)
		if err != nil {
			t.Fatal(err)
		}
		return !is.InSync && is.Failure != ""
	})
	s, stop = startTheirs(t, data, strings.TrimPrefix(s.url, "http://"))
	back := time.Now()
	until(t, "she has lost it", func() bool { return len(s.members(t, team)) == 0 && !s.active(t, "dora") })
	t.Logf("a Space that missed a change had it %s after it was back", time.Since(back).Round(time.Millisecond))
	until(t, "that is acknowledged", func() bool {
		is, err := c.Pushed(t.Context(), space)
		if err != nil {
			t.Fatal(err)
		}
		return is.InSync && len(is.Open) == 0
	})
}

func second[T any](_ T, err error) error { return err }
