package space_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"odcm"
	"odcm/kit/db/dbtest"
	"odcm/kit/task"
	"odcm/manager/space"
	"odcm/manager/space/spacetest"
)

// rooms stand in for those of sso and access: what they did to servers, behind the gate. They outlive the manager.
type rooms struct {
	gate *spacetest.Gate

	mu      sync.Mutex
	plan    space.SignInPlan
	fails   error
	pointed map[odcm.InstanceID]bool
	matched map[odcm.InstanceID][]space.AccountChoice
	undone  []odcm.SpaceID
}

func newRooms(o *spacetest.Outside) *rooms {
	return &rooms{gate: &o.Gate, plan: space.SignInPlan{Possible: true, Proposed: true}, pointed: map[odcm.InstanceID]bool{}, matched: map[odcm.InstanceID][]space.AccountChoice{}}
}

func (r *rooms) adjust(o *space.Options) { o.SignOn, o.Accounts = (*signing)(r), (*owning)(r) }

// through does the effect between two passages of the gate.
func (r *rooms) through(ctx context.Context, effect func()) error {
	if err := r.gate.Pass(ctx); err != nil {
		return err
	}
	r.mu.Lock()
	effect()
	r.mu.Unlock()
	return r.gate.Pass(ctx)
}

type signing rooms

func (s *signing) Plan(context.Context, space.Target) (space.SignInPlan, error) { return s.plan, nil }

func (s *signing) Apply(ctx context.Context, t space.Target, _ space.SignInOptions) ([]string, error) {
	if err := (*rooms)(s).through(ctx, func() { s.pointed[t.Instance] = true }); err != nil {
		return nil, err
	}
	return []string{"pointed"}, s.fails
}

func (s *signing) Undo(ctx context.Context, t space.Target) ([]string, error) {
	return nil, (*rooms)(s).through(ctx, func() { delete(s.pointed, t.Instance) })
}

func (s *signing) Forget(ctx context.Context, t space.Target) error {
	_, err := s.Undo(ctx, t)
	return err
}

type owning rooms

func (w *owning) Plan(context.Context, space.Target) (space.PeoplePlan, error) {
	return space.PeoplePlan{Matched: []space.PlannedAccount{{ID: "Users-1"}}}, nil
}

func (w *owning) Apply(ctx context.Context, t space.Target, _ odcm.Principal, choices []space.AccountChoice) ([]string, error) {
	return nil, (*rooms)(w).through(ctx, func() { w.matched[t.Instance] = append([]space.AccountChoice{}, choices...) })
}

func (w *owning) Undo(ctx context.Context, t space.Target, sp space.Space, last bool) error {
	return (*rooms)(w).through(ctx, func() {
		w.undone = append(w.undone, sp.ID)
		if last {
			delete(w.matched, t.Instance)
		}
	})
}

func (w *owning) Forget(ctx context.Context, t space.Target, sp space.Space, last bool) error {
	return w.Undo(ctx, t, sp, last)
}

// TestJoiningSurvivesCrashes stops the manager at every passage of an enlistment or a delisting that other rooms take part in.
func TestJoiningSurvivesCrashes(t *testing.T) {
	t.Parallel()
	refused := odcm.E(odcm.Conflict, "sso.test-failed", "The test failed.")
	for name, c := range map[string]struct {
		fails  error
		choice space.SignInChoice
		want   task.State
		points bool
	}{
		"enlist":                         {nil, space.SignInDefault, task.Succeeded, true},
		"enlist with a test that fails":  {refused, space.SignInDefault, task.Succeeded, false},
		"enlist that insists, and fails": {refused, space.SignInOn, task.Failed, false},
		"enlist without":                 {refused, space.SignInOff, task.Succeeded, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := dbtest.Open(t, dbtest.SQLite(t))
			for at, reached := 1, true; reached; at += 2 {
				o := spacetest.NewOutside()
				theirs(o)
				r := newRooms(o)
				r.fails = c.fails
				m := spacetest.Start(t, d, o, r.adjust)
				var id odcm.TaskID
				id, reached = crash(t, m, at, func(t *testing.T, m *spacetest.Manager) odcm.TaskID {
					made, err := m.Spaces.Enlist(spacetest.Request(t.Context()), spacetest.Barry, space.Enlistment{Connection: connection(), SignIn: c.choice,
						Choices: []space.Choice{{Octopus: "Spaces-1", Name: "Theirs"}}, People: []space.AccountChoice{{Account: "Users-1", Do: "local"}}})
					if err != nil {
						t.Fatal(err)
					}
					return made[0].Task
				})
				if reached {
					m = spacetest.Start(t, d, o, r.adjust)
				}
				if done := m.Done(t, id); done.State != c.want || (len(r.pointed) == 1) != c.points || (len(r.matched) == 1) != (c.want == task.Succeeded) {
					t.Fatalf("crash at %d: %s %+v, pointed %v, matched %v", at, done.State, done.Error, r.pointed, r.matched)
				}
				if c.want == task.Succeeded {
					sp := get(t, m, "theirs")
					if choices := r.matched[sp.Instance]; !slices.Contains(choices, space.AccountChoice{Account: "Users-1", Do: "local"}) {
						t.Fatalf("crash at %d: choices %v", at, choices)
					}
					_, stopped := crash(t, m, at, func(t *testing.T, m *spacetest.Manager) odcm.TaskID {
						sp, err := m.Spaces.Delist(spacetest.Request(t.Context()), spacetest.Barry, "theirs", space.Delisting{})
						if err != nil {
							t.Fatal(err)
						}
						id = sp.Task
						return sp.Task
					})
					if stopped {
						m = spacetest.Start(t, d, o, r.adjust)
					}
					m.Succeed(t, id)
					reached = reached || stopped
				}
				if len(r.pointed)+len(r.matched) != 0 {
					t.Fatalf("crash at %d: left %v %v", at, r.pointed, r.matched)
				}
				nothingLeft(t, m)
				m.Crash()
				forget(t, d)
			}
		})
	}
}

func TestASecondSpaceOfAPointedServer(t *testing.T) {
	t.Parallel()
	o := spacetest.NewOutside()
	theirs(o)
	r := newRooms(o)
	m := spacetest.Start(t, dbtest.Open(t, dbtest.SQLite(t)), o, r.adjust)
	m.Succeed(t, enlist(t, m, space.Choice{Octopus: "Spaces-1", Name: "One"}))
	r.plan.Pointed = true
	o.Change(theirURL, func(s *spacetest.Server) { s.Rejects = "Spaces-2" })
	if done := m.Done(t, enlist(t, m, space.Choice{Octopus: "Spaces-2", Name: "Two"})); done.State != task.Failed {
		t.Fatalf("%s", done.State)
	}
	if len(r.pointed) != 1 || len(r.matched) != 1 {
		t.Fatalf("rolling back took the first Space's away: %v %v", r.pointed, r.matched)
	}
	o.Change(theirURL, func(s *spacetest.Server) { s.Rejects = "" })
	m.Succeed(t, enlist(t, m, space.Choice{Octopus: "Spaces-2", Name: "Two"}))
	for i, name := range []string{"one", "two"} {
		sp, err := m.Spaces.Delist(spacetest.Request(t.Context()), spacetest.Barry, name, space.Delisting{})
		if err != nil {
			t.Fatal(err)
		}
		m.Succeed(t, sp.Task)
		if left := len(r.pointed) + len(r.matched); left != 2-2*i {
			t.Errorf("after %s: pointed %v, matched %v", name, r.pointed, r.matched)
		}
	}
}

func TestCreatedServersArePointed(t *testing.T) {
	t.Parallel()
	o := spacetest.NewOutside()
	r := newRooms(o)
	m := spacetest.Start(t, dbtest.Open(t, dbtest.SQLite(t)), o, r.adjust)
	m.Succeed(t, beginCreate(t, m))
	if len(r.pointed) != 1 {
		t.Error("the server was not pointed at ODCM")
	}
	sp, err := m.Spaces.Delist(spacetest.Request(t.Context()), spacetest.Barry, "shipping", space.Delisting{Confirm: "shipping"})
	if err != nil {
		t.Fatal(err)
	}
	m.Succeed(t, sp.Task)
	if len(r.pointed) != 0 {
		t.Error("what is kept of the server was not forgotten")
	}
}
