package space_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"odcm"
	"odcm/kit/task"
	"odcm/manager/space"
	"odcm/manager/space/spacetest"
)

func TestCreate(t *testing.T) {
	t.Parallel()
	m := start(t, nil)
	t.Run("refuses what cannot be", func(t *testing.T) {
		for _, c := range []struct {
			in          space.Creation
			code, field string
			kind        odcm.Kind
		}{
			{space.Creation{Name: " "}, "space.name-missing", "name", odcm.Invalid},
			{space.Creation{Name: "a\nb"}, "space.name-unprintable", "name", odcm.Invalid},
			{space.Creation{Name: "a\u202eb"}, "space.name-unprintable", "name", odcm.Invalid},
			{space.Creation{Name: "A", Description: "a\x00b"}, "space.description-unprintable", "description", odcm.Invalid},
			{space.Creation{Name: strings.Repeat("ä", 101)}, "space.name-too-long", "name", odcm.Invalid},
			{space.Creation{Name: "A", Description: strings.Repeat("x", 1001)}, "space.description-too-long", "description", odcm.Invalid},
			{space.Creation{Name: "A", Version: "1.0.0"}, "space.version-unknown", "version", odcm.Invalid},
			{space.Creation{Name: "A", Server: "server-none"}, "space.server-unknown", "server", odcm.Invalid},
			{space.Creation{Name: "A", Server: "server-2"}, "space.server-full", "server", odcm.Unavailable},
		} {
			_, err := m.Spaces.Create(t.Context(), spacetest.Barry, c.in)
			wantError(t, err, c.kind, c.code, c.field)
		}
		_, err := m.Spaces.Create(t.Context(), spacetest.Bob, space.Creation{Name: "A"})
		wantError(t, err, odcm.Denied, "access.denied", "")
	})
	t.Run("launches the default version and is found by its slug", func(t *testing.T) {
		m.Succeed(t, beginCreate(t, m))
		d := get(t, m, "shipping")
		if d.State != space.StateActive || d.Version != "2026.1.7" || d.Server != "server-1" || d.Octopus != "Spaces-1" || d.Origin != space.Created {
			t.Errorf("got %+v", d)
		}
		if got := types(t, m); !slices.Equal(got, []string{"space.created"}) {
			t.Errorf("events %v", got)
		}
	})
	t.Run("takes a name once", func(t *testing.T) {
		_, err := m.Spaces.Create(t.Context(), spacetest.Barry, space.Creation{Name: "SHIPPING"})
		wantError(t, err, odcm.Exists, "space.name-taken", "name")
	})
	t.Run("removes the server on delisting, when the name is confirmed", func(t *testing.T) {
		_, err := m.Spaces.Delist(t.Context(), spacetest.Barry, "shipping", space.Delisting{Confirm: "other"})
		wantError(t, err, odcm.Invalid, "space.not-confirmed", "confirm")
		id := get(t, m, "shipping").Instance
		sp, err := m.Spaces.Delist(t.Context(), spacetest.Barry, "shipping", space.Delisting{Confirm: "Shipping", KeepData: true})
		if err != nil {
			t.Fatal(err)
		}
		m.Succeed(t, sp.Task)
		if kept, was := m.Outside.Retired(id); !kept || !was {
			t.Errorf("retired %v, data kept %v", was, kept)
		}
		nothingLeft(t, m)
	})
}

func TestCreateCanceled(t *testing.T) {
	t.Parallel()
	m := start(t, nil)
	m.Outside.Stick("it takes its time")
	id := beginCreate(t, m)
	for len(m.Outside.Running()) == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := m.Tasks.Cancel(t.Context(), id, spacetest.Barry); err != nil {
		t.Fatal(err)
	}
	if done := m.Done(t, id); done.State != task.Canceled {
		t.Errorf("task is %s: %+v", done.State, done.Error)
	}
	nothingLeft(t, m)
}

// What cannot be rolled back stays visible, until somebody delists it.
func TestCreateThatCannotBeUndone(t *testing.T) {
	t.Parallel()
	m := start(t, func(o *space.Options) { o.LaunchWithin = 10 * time.Millisecond })
	m.Outside.Stick("its port is taken")
	m.Outside.Keep(odcm.E(odcm.Unavailable, "fleet.down", "The fleet cannot be told."))
	id := beginCreate(t, m)
	if done := m.Done(t, id); done.State != task.Failed {
		t.Errorf("task is %s", done.State)
	}
	if d := get(t, m, "shipping"); d.State != space.StateFailed || !strings.Contains(d.Reason, "The fleet cannot be told.") {
		t.Errorf("got %s: %s", d.State, d.Reason)
	}
	m.Outside.Keep(nil)
	sp, err := m.Spaces.Delist(t.Context(), spacetest.Barry, "shipping", space.Delisting{Confirm: "Shipping"})
	if err != nil {
		t.Fatal(err)
	}
	m.Succeed(t, sp.Task)
	nothingLeft(t, m)
}

func TestPlan(t *testing.T) {
	t.Parallel()
	m := start(t, nil)
	t.Run("says what enlisting would do and writes nothing", func(t *testing.T) {
		p, err := m.Spaces.Plan(t.Context(), spacetest.Barry, connection())
		if err != nil {
			t.Fatal(err)
		}
		if p.Server.InstallationID != "installation-theirs" || len(p.Spaces) != 2 || p.Spaces[0].Suggested != "Default" || p.Spaces[0].Changes[0].Code != "webhook.added" {
			t.Errorf("got %+v", p)
		}
		nothingLeft(t, m)
	})
	t.Run("refuses a server that is too old", func(t *testing.T) {
		m.Outside.Add("https://old.test", &spacetest.Server{InstallationID: "old", Version: "2018.9.1", Key: "K", Spaces: []space.OctopusSpace{{ID: "Spaces-1"}}})
		_, err := m.Spaces.Plan(t.Context(), spacetest.Barry, space.Connection{URL: "https://old.test", APIKey: "K"})
		wantError(t, err, odcm.Unsupported, "space.version-too-old", "url")
	})
	t.Run("refuses a key that sees nothing, and none at all", func(t *testing.T) {
		m.Outside.Add("https://blind.test", &spacetest.Server{InstallationID: "blind", Version: "2025.1.1", Key: "K"})
		_, err := m.Spaces.Plan(t.Context(), spacetest.Barry, space.Connection{URL: "https://blind.test", APIKey: "K"})
		wantError(t, err, odcm.Invalid, "space.key-lacks-permission", "apiKey")
		_, err = m.Spaces.Plan(t.Context(), spacetest.Barry, space.Connection{URL: theirURL})
		wantError(t, err, odcm.Invalid, "space.key-missing", "apiKey")
	})
	t.Run("warns of plain HTTP", func(t *testing.T) {
		m.Outside.Add("http://plain.test", &spacetest.Server{InstallationID: "plain", Version: "2025.1.1", Key: "K", Spaces: []space.OctopusSpace{{ID: "Spaces-1", Name: "Default"}}})
		p, err := m.Spaces.Plan(t.Context(), spacetest.Barry, space.Connection{URL: "http://plain.test", APIKey: "K"})
		if err != nil || len(p.Warnings) != 1 || p.Warnings[0].Code != "space.plain-http" {
			t.Errorf("got %+v, %v", p.Warnings, err)
		}
	})
	t.Run("tells conflicts and proposes names that are free", func(t *testing.T) {
		m.Succeed(t, enlist(t, m, space.Choice{Octopus: "Spaces-1"}))
		p, err := m.Spaces.Plan(t.Context(), spacetest.Barry, connection())
		if err != nil || !p.Server.Known || !p.Spaces[0].Enlisted || p.Spaces[1].Enlisted {
			t.Errorf("got %+v, %v", p, err)
		}
		p, err = m.Spaces.Plan(t.Context(), spacetest.Barry, space.Connection{URL: "http://plain.test", APIKey: "K"})
		if err != nil || p.Spaces[0].Suggested != "Default (plain.test)" || p.Spaces[0].Conflicts[0].Code != "space.name-taken" {
			t.Errorf("got %+v, %v", p.Spaces, err)
		}
	})
	t.Run("is for those who may enlist", func(t *testing.T) {
		_, err := m.Spaces.Plan(t.Context(), spacetest.Bob, connection())
		wantError(t, err, odcm.Denied, "access.denied", "")
	})
}

func TestEnlist(t *testing.T) {
	t.Parallel()
	m := start(t, nil)
	try := func(choices ...space.Choice) error {
		_, err := m.Spaces.Enlist(t.Context(), spacetest.Barry, space.Enlistment{Connection: connection(), Choices: choices})
		return err
	}
	t.Run("names the choice that is wrong", func(t *testing.T) {
		wantError(t, try(), odcm.Invalid, "space.none-chosen", "spaces")
		wantError(t, try(space.Choice{Octopus: "Spaces-9"}), odcm.Invalid, "space.choice-unknown", "spaces[0].octopusSpace")
		wantError(t, try(space.Choice{Octopus: "Spaces-1"}, space.Choice{Octopus: "Spaces-1", Name: "x"}), odcm.Invalid, "space.chosen-twice", "spaces[1].octopusSpace")
		wantError(t, try(space.Choice{Octopus: "Spaces-1", Name: "x"}, space.Choice{Octopus: "Spaces-2", Name: "X"}), odcm.Exists, "space.name-taken", "spaces[1].name")
		nothingLeft(t, m)
	})
	t.Run("joins a further Space to the server that is known", func(t *testing.T) {
		m.Succeed(t, enlist(t, m, space.Choice{Octopus: "Spaces-1", Name: "One"}))
		wantError(t, try(space.Choice{Octopus: "Spaces-1", Name: "Again"}), odcm.Exists, "space.already-enlisted", "spaces[0].octopusSpace")
		wantError(t, try(space.Choice{Octopus: "Spaces-2", Name: "ONE"}), odcm.Exists, "space.name-taken", "spaces[0].name")
		m.Succeed(t, enlist(t, m, space.Choice{Octopus: "Spaces-2", Name: "Two"}))
		one, two := get(t, m, "one"), get(t, m, "two")
		if one.Instance != two.Instance || one.Neighbours != 1 || two.Description != "the other one" {
			t.Errorf("got %+v and %+v", one, two)
		}
	})
	t.Run("hands back what it took", func(t *testing.T) {
		for _, ref := range []string{"one", "two"} {
			sp, err := m.Spaces.Delist(t.Context(), spacetest.Barry, ref, space.Delisting{})
			if err != nil {
				t.Fatal(err)
			}
			m.Succeed(t, sp.Task)
		}
		nothingLeft(t, m)
		want := []string{"space.enlisted", "space.enlisted", "space.delisted", "space.delisted"}
		if got := types(t, m); !slices.Equal(got, want) {
			t.Errorf("events %v, want %v", got, want)
		}
	})
	t.Run("keeps a Space whose server is offline, unless it is let go by force", func(t *testing.T) {
		m.Succeed(t, enlist(t, m, space.Choice{Octopus: "Spaces-1", Name: "Gone"}))
		m.Outside.Change(theirURL, func(s *spacetest.Server) { s.Fails = odcm.E(odcm.Unavailable, "space.unreachable", "Nothing answers.") })
		sp, err := m.Spaces.Delist(t.Context(), spacetest.Barry, "gone", space.Delisting{})
		if err != nil {
			t.Fatal(err)
		}
		if done := m.Done(t, sp.Task); done.Error == nil || done.Error.Code != "space.not-restored" {
			t.Errorf("got %+v", done)
		}
		if d := get(t, m, "gone"); d.State != space.StateActive {
			t.Errorf("it is %s", d.State)
		}
		if sp, err = m.Spaces.Delist(t.Context(), spacetest.Barry, "gone", space.Delisting{Force: true}); err != nil {
			t.Fatal(err)
		}
		m.Succeed(t, sp.Task)
		lines, err := m.Tasks.Log(t.Context(), sp.Task, 0, 100)
		if err != nil || !strings.Contains(fmt.Sprint(lines), "Left on the server: the event subscription ODCM") {
			t.Errorf("the log does not say what is left: %v, %v", lines, err)
		}
	})
}

func TestWhoSeesWhat(t *testing.T) {
	t.Parallel()
	m := start(t, nil)
	m.Succeed(t, beginEnlist(t, m))
	id := get(t, m, "theirs").ID
	m.Monitor.Tell(id, space.Health{Status: space.Offline, Reason: "no answer"})
	t.Run("a member without a grant learns nothing", func(t *testing.T) {
		_, missing := m.Spaces.Get(t.Context(), spacetest.Bob, "no-such-space")
		for _, err := range []error{
			func() error { _, err := m.Spaces.Get(t.Context(), spacetest.Bob, string(id)); return err }(),
			m.Spaces.Star(t.Context(), spacetest.Bob, string(id), true),
			func() error { _, err := m.Spaces.Visit(t.Context(), spacetest.Bob, string(id)); return err }(),
			func() error {
				_, err := m.Spaces.Delist(t.Context(), spacetest.Bob, string(id), space.Delisting{})
				return err
			}(),
		} {
			wantError(t, err, odcm.NotFound, "space.not-found", "")
			if got, want := err.Error(), missing.Error(); got[strings.LastIndex(got, ":"):] != want[strings.LastIndex(want, ":"):] {
				t.Errorf("%q tells that the Space exists: another is %q", got, want)
			}
		}
		page, _, err := m.Spaces.List(t.Context(), spacetest.Bob, space.Filter{})
		sw, err2 := m.Spaces.Switcher(t.Context(), spacetest.Bob, "")
		if err != nil || err2 != nil || len(page)+len(sw.Starred)+len(sw.Recent)+len(sw.Others) != 0 || m.Spaces.Sees(t.Context(), spacetest.Bob, id) {
			t.Errorf("got %v, %v, %v, %v", page, sw, err, err2)
		}
	})
	t.Run("the switcher shows each Space once", func(t *testing.T) {
		if err := m.Spaces.Star(t.Context(), spacetest.Barry, "theirs", true); err != nil {
			t.Fatal(err)
		}
		for _, ref := range []string{"theirs", "second"} {
			url, err := m.Spaces.Visit(t.Context(), spacetest.Barry, ref)
			if err != nil || !strings.HasPrefix(url, theirURL+"/app#/Spaces-") {
				t.Errorf("visit leads to %s, %v", url, err)
			}
		}
		sw, err := m.Spaces.Switcher(t.Context(), spacetest.Barry, "")
		if err != nil || len(sw.Starred) != 1 || sw.Starred[0].Name != "Theirs" || len(sw.Recent) != 1 || sw.Recent[0].Name != "Second" || len(sw.Others) != 0 {
			t.Errorf("got %+v, %v", sw, err)
		}
		if sw.Starred[0].Health.Status != space.Offline {
			t.Errorf("got %+v", sw.Starred[0].Health)
		}
	})
	t.Run("a list asks for health once", func(t *testing.T) {
		before := m.Monitor.Asked
		page, more, err := m.Spaces.List(t.Context(), spacetest.Barry, space.Filter{Limit: 1})
		if err != nil || !more || len(page) != 1 || m.Monitor.Asked != before+1 {
			t.Errorf("got %v, %v, %v; asked %d times", page, more, err, m.Monitor.Asked-before)
		}
		page, more, err = m.Spaces.List(t.Context(), spacetest.Barry, space.Filter{Statuses: []space.Status{space.Offline}})
		if err != nil || more || len(page) != 1 || page[0].ID != id {
			t.Errorf("offline ones: %v, %v, %v", page, more, err)
		}
	})
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	m := start(t, nil)
	m.Succeed(t, beginEnlist(t, m))
	d := get(t, m, "theirs")
	name := "Ours"
	if _, err := m.Spaces.Update(t.Context(), spacetest.Barry, "theirs", space.Update{Name: &name, Revision: d.Revision}); err != nil {
		t.Fatal(err)
	}
	if got := get(t, m, "theirs"); got.Name != "Ours" || got.Slug != "theirs" || got.Revision != d.Revision+1 {
		t.Errorf("got %+v", got)
	}
	_, err := m.Spaces.Update(t.Context(), spacetest.Barry, "theirs", space.Update{Name: &name, Revision: d.Revision})
	wantError(t, err, odcm.Conflict, "space.changed", "")
	taken := "second"
	_, err = m.Spaces.Update(t.Context(), spacetest.Barry, "theirs", space.Update{Name: &taken})
	wantError(t, err, odcm.Exists, "space.name-taken", "name")
	once(t, m, "space.renamed")
}

func TestRekey(t *testing.T) {
	t.Parallel()
	m := start(t, nil)
	m.Succeed(t, beginEnlist(t, m))
	err := m.Spaces.Rekey(t.Context(), spacetest.Barry, "theirs", "API-WRONG")
	wantError(t, err, odcm.Invalid, "space.key-refused", "apiKey")
	if c, _, _ := m.Spaces.Connection(t.Context(), get(t, m, "theirs").ID); c.APIKey != theirKey {
		t.Error("a key that was refused replaced the one that worked")
	}
	m.Outside.Change(theirURL, func(s *spacetest.Server) { s.Key, s.InstallationID = "API-NEW", "another" })
	err = m.Spaces.Rekey(t.Context(), spacetest.Barry, "theirs", "API-NEW")
	wantError(t, err, odcm.Invalid, "space.other-server", "url")
	m.Outside.Change(theirURL, func(s *spacetest.Server) { s.InstallationID, s.Spaces = "installation-theirs", s.Spaces[:1] })
	err = m.Spaces.Rekey(t.Context(), spacetest.Barry, "theirs", "API-NEW")
	wantError(t, err, odcm.Invalid, "space.key-lacks-permission", "apiKey")
	m.Outside.Change(theirURL, func(s *spacetest.Server) {
		s.Spaces = append(s.Spaces[:1:1], space.OctopusSpace{ID: "Spaces-2", Name: "Second"})
	})
	if err := m.Spaces.Rekey(t.Context(), spacetest.Barry, "theirs", " API-NEW\n"); err != nil {
		t.Fatal(err)
	}
	if c, o, err := m.Spaces.Connection(t.Context(), get(t, m, "second").ID); err != nil || c.APIKey != "API-NEW" || o != "Spaces-2" {
		t.Errorf("the other Space of the server: %s, %v", o, err)
	}
	once(t, m, "space.rekeyed")
}

func TestDraft(t *testing.T) {
	t.Parallel()
	m := start(t, nil)
	id, _, err := m.Spaces.Begin(t.Context(), spacetest.Barry, connection())
	if err != nil {
		t.Fatal(err)
	}
	other := spacetest.Barry
	other.User = "user-eve"
	_, err = m.Spaces.Resume(t.Context(), other, id)
	wantError(t, err, odcm.NotFound, "space.draft-not-found", "")
	if p, err := m.Spaces.Resume(t.Context(), spacetest.Barry, id); err != nil || len(p.Spaces) != 2 {
		t.Errorf("got %+v, %v", p, err)
	}
	made, err := m.Spaces.Finish(t.Context(), spacetest.Barry, id, space.Enlistment{Choices: []space.Choice{{Octopus: "Spaces-2"}}})
	if err != nil {
		t.Fatal(err)
	}
	m.Succeed(t, made[0].Task)
	_, err = m.Spaces.Resume(t.Context(), spacetest.Barry, id)
	wantError(t, err, odcm.NotFound, "space.draft-not-found", "")
}

func TestSecretNeverShows(t *testing.T) {
	t.Parallel()
	in := space.Instance{APIKey: "API-TOPSECRET"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if text := fmt.Sprintf(format, in); strings.Contains(text, "TOPSECRET") {
			t.Errorf("%s shows it: %s", format, text)
		}
	}
}

func TestSlug(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"Café Zürich!": "cafe-zurich", "  A -- B ": "a-b", "日本": "space", "New": "new-space", "x/../y": "x-y"} {
		if got := space.Slug(name); got != want {
			t.Errorf("Slug(%q) = %q, want %q", name, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		slug := space.Slug(rapid.String().Draw(t, "name"))
		if slug == "" || len(slug) > 46 || strings.Trim(slug, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || slug != space.Slug(slug) {
			t.Fatalf("slug %q", slug)
		}
	})
}
