package space_test

import (
	"context"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/task"
	"odcm/manager/space"
	"odcm/manager/space/spacetest"
)

// TestCrash stops the manager at every passage of a task, before and after each of its effects, starts another one, and
// wants the task to end as if nothing had happened.
func TestCrash(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		given func(*testing.T, *spacetest.Manager) // before the crash is prepared
		begin func(*testing.T, *spacetest.Manager) odcm.TaskID
		want  task.State // Canceled: somebody cancels after the crash, unless the task ended before
		check func(*testing.T, *spacetest.Manager)
	}{
		{"create", nil, beginCreate, task.Succeeded, func(t *testing.T, m *spacetest.Manager) {
			d := get(t, m, "shipping")
			if d.State != space.StateActive || d.URL == "" || d.InstallationID == "" || len(m.Outside.Running()) != 1 {
				t.Errorf("got %+v, running %v", d, m.Outside.Running())
			}
			once(t, m, "space.created")
		}},
		{"create that fails", func(t *testing.T, m *spacetest.Manager) { m.Outside.Stick("its port is taken") }, beginCreate, task.Failed, nothingLeft},
		{"create that is canceled", nil, beginCreate, task.Canceled, nothingAnnounced},
		{"enlist that is canceled", nil, beginEnlist, task.Canceled, nothingAnnounced},
		{"enlist", nil, func(t *testing.T, m *spacetest.Manager) odcm.TaskID {
			return enlist(t, m, space.Choice{Octopus: "Spaces-1", Name: "Theirs"})
		}, task.Succeeded, func(t *testing.T, m *spacetest.Manager) {
			if d := get(t, m, "theirs"); d.State != space.StateActive || d.Hook.State != space.HookApplied {
				t.Errorf("got %+v", d)
			}
			if hooks := m.Outside.Hooks(theirURL, "Spaces-1"); len(hooks) != 1 {
				t.Errorf("%d subscriptions", len(hooks))
			}
			once(t, m, "space.enlisted")
		}},
		{"enlist that fails", func(t *testing.T, m *spacetest.Manager) {
			m.Outside.Change(theirURL, func(s *spacetest.Server) { s.Rejects = "Spaces-2" })
		}, beginEnlist, task.Failed, nothingLeft},
		{"delist", func(t *testing.T, m *spacetest.Manager) {
			m.Succeed(t, beginCreate(t, m))
		}, func(t *testing.T, m *spacetest.Manager) odcm.TaskID {
			sp, err := m.Spaces.Delist(spacetest.Request(t.Context()), spacetest.Barry, "shipping", space.Delisting{Confirm: "shipping"})
			if err != nil {
				t.Fatal(err)
			}
			return sp.Task
		}, task.Succeeded, func(t *testing.T, m *spacetest.Manager) {
			nothingLeft(t, m)
			once(t, m, "space.delisted")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dbtest.EachURL(t, func(t *testing.T, url string) {
				t.Parallel()
				d := dbtest.Open(t, url)
				stride := 1
				if d.Postgres() || testing.Short() { // the same rules and steps: every passage on one database is enough
					stride = 3
				}
				for at, reached := 1, true; reached; at += stride {
					o := spacetest.NewOutside()
					theirs(o)
					patience := func(so *space.Options) {
						if c.want == task.Failed {
							so.LaunchWithin = 150 * time.Millisecond // it waits in vain
						}
					}
					m := spacetest.Start(t, d, o, patience)
					if c.given != nil {
						c.given(t, m)
					}
					var id odcm.TaskID
					id, reached = crash(t, m, at, c.begin)
					if c.want == task.Canceled {
						if !reached {
							break
						}
						if err := m.Tasks.Cancel(t.Context(), id, spacetest.Barry); err != nil {
							t.Fatal(err)
						}
					}
					if reached {
						m = spacetest.Start(t, d, o, patience)
					}
					if done := m.Done(t, id); done.State != c.want {
						t.Errorf("crash at %d: task is %s: %+v", at, done.State, done.Error)
					}
					c.check(t, m)
					m.Crash()
					if t.Failed() {
						t.Fatalf("after a crash at passage %d", at)
					}
					forget(t, d)
				}
			})
		})
	}
}

// nothingAnnounced wants nothing left, and the end of each Space that was announced to be announced too.
func nothingAnnounced(t *testing.T, m *spacetest.Manager) {
	t.Helper()
	nothingLeft(t, m)
	coming, going := 0, 0
	for _, typ := range types(t, m) {
		switch typ {
		case "space.created", "space.enlisted":
			coming++
		case "space.delisted":
			going++
		}
	}
	if coming != going {
		t.Errorf("%d Spaces were announced and %d said to be gone", coming, going)
	}
}

// crash begins the task and ends the manager at the passage. It tells false where the task ended before.
func crash(t *testing.T, m *spacetest.Manager, at int, begin func(*testing.T, *spacetest.Manager) odcm.TaskID) (odcm.TaskID, bool) {
	t.Helper()
	reached := m.Outside.Gate.StopAt(at)
	id := begin(t, m)
	ended := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		defer close(ended)
		_, _ = m.Tasks.Wait(ctx, id)
	}()
	select {
	case <-ended:
		return id, false
	case <-reached:
		m.Crash()
		return id, true
	case <-time.After(10 * time.Second):
		t.Fatal("neither the passage nor the end of the task was reached")
		return id, false
	}
}

// forget empties the room, so that the next walk finds the world as the first did.
func forget(t *testing.T, d *db.DB) {
	t.Helper()
	for _, table := range []string{"space_hook", "space", "space_instance", "event"} {
		if _, err := d.Write().Exec("DELETE FROM " + table); err != nil {
			t.Fatal(err)
		}
	}
}
