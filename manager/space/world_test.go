package space_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"testing"

	"odcm"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/manager/space"
	"odcm/manager/space/spacetest"
)

const theirURL = "https://octopus.test"

var theirKey = space.Secret("API-THEIRS")

// theirs adds a server with two octopus.Spaces to the world.
func theirs(o *spacetest.Outside) {
	o.Add(theirURL, &spacetest.Server{InstallationID: "installation-theirs", Version: "2025.4.1", Key: string(theirKey), Spaces: []space.OctopusSpace{
		{ID: "Spaces-1", Name: "Default", Default: true}, {ID: "Spaces-2", Name: "Second", Description: "the other one"},
	}})
}

// start starts a manager on SQLite, beside one server of somebody else's.
func start(t *testing.T, adjust func(*space.Options)) *spacetest.Manager {
	t.Helper()
	o := spacetest.NewOutside()
	theirs(o)
	return spacetest.Start(t, dbtest.Open(t, dbtest.SQLite(t)), o, adjust)
}

func connection() space.Connection { return space.Connection{URL: theirURL, APIKey: theirKey} }

func beginCreate(t *testing.T, m *spacetest.Manager) odcm.TaskID {
	t.Helper()
	sp, err := m.Spaces.Create(spacetest.Request(t.Context()), spacetest.Barry, space.Creation{Name: "Shipping"})
	if err != nil {
		t.Fatal(err)
	}
	return sp.Task
}

func beginEnlist(t *testing.T, m *spacetest.Manager) odcm.TaskID {
	t.Helper()
	return enlist(t, m, space.Choice{Octopus: "Spaces-1", Name: "Theirs"}, space.Choice{Octopus: "Spaces-2"})
}

func enlist(t *testing.T, m *spacetest.Manager, choices ...space.Choice) odcm.TaskID {
	t.Helper()
	made, err := m.Spaces.Enlist(spacetest.Request(t.Context()), spacetest.Barry, space.Enlistment{Connection: connection(), Choices: choices})
	if err != nil {
		t.Fatal(err)
	}
	return made[0].Task
}

func get(t *testing.T, m *spacetest.Manager, ref string) space.Detail {
	t.Helper()
	d, err := m.Spaces.Get(t.Context(), spacetest.Barry, ref)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// types lists the types of the events of the room, oldest first.
func types(t *testing.T, m *spacetest.Manager) (all []string) {
	t.Helper()
	events, err := m.Events.List(context.Background(), eventlog.Filter{Limit: 500})
	if err != nil {
		t.Fatal(err)
	}
	for i := len(events) - 1; i >= 0; i-- {
		if len(events[i].Type) > 6 && events[i].Type[:6] == "space." {
			all = append(all, events[i].Type)
		}
	}
	return all
}

func once(t *testing.T, m *spacetest.Manager, want string) {
	t.Helper()
	n := 0
	for _, typ := range types(t, m) {
		if typ == want {
			n++
		}
	}
	if n != 1 {
		t.Errorf("event %s was committed %d times", want, n)
	}
}

// nothingLeft wants no Space, no instance and no webhook anywhere.
func nothingLeft(t *testing.T, m *spacetest.Manager) {
	t.Helper()
	page, _, err := m.Spaces.List(t.Context(), spacetest.Barry, space.Filter{})
	if err != nil || len(page) != 0 {
		t.Errorf("Spaces are left: %+v, %v", page, err)
	}
	if running := m.Outside.Running(); len(running) != 0 {
		t.Errorf("instances are orphaned: %v", running)
	}
	for _, octopusSpace := range []string{"Spaces-1", "Spaces-2"} {
		if hooks := m.Outside.Hooks(theirURL, octopusSpace); len(hooks) != 0 {
			t.Errorf("subscriptions are left in %s: %v", octopusSpace, hooks)
		}
	}
}

func wantError(t *testing.T, err error, kind odcm.Kind, code, field string) {
	t.Helper()
	var e *odcm.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Code != code {
		t.Fatalf("got error %v (%s %s), want %s %s", err, odcm.KindOf(err), odcm.CodeOf(err), kind, code)
	}
	if field != "" && (len(e.Fields) != 1 || e.Fields[0].Field != field) {
		t.Errorf("got fields %+v, want %s", e.Fields, field)
	}
}

// TestMain lets more tests run at once than there are processors: nearly all of their time is waiting for a crash to be
// over, and goes unused.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "12"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
