package task_test

import (
	"context"
	"slices"
	"testing"

	"odcm"
	"odcm/kit/task"
	room "odcm/manager/task"
)

// fake is an engine with two tasks, one of Lisa's and one of Bob's.
type fake struct {
	asked    task.Filter
	counted  odcm.UserID
	canceled []odcm.TaskID
}

var (
	lisa    = odcm.Principal{User: "user-lisa", Name: "Lisa", Roles: []odcm.Role{odcm.SpaceAdministrator}}
	barry   = odcm.Principal{User: "user-barry", Name: "Barry", Roles: []odcm.Role{odcm.Administrator}}
	auditor = odcm.Principal{User: "user-ada", Name: "Ada", Roles: []odcm.Role{odcm.Auditor}}
)

var tasks = map[odcm.TaskID]task.Task{
	"task-lisa": {ID: "task-lisa", State: task.Running, By: lisa},
	"task-bob":  {ID: "task-bob", State: task.Running, By: odcm.Principal{User: "user-bob"}},
	"task-done": {ID: "task-done", State: task.Failed, By: lisa},
}

func (f *fake) Get(_ context.Context, id odcm.TaskID) (task.Task, error) {
	if t, ok := tasks[id]; ok {
		return t, nil
	}
	return task.Task{}, odcm.E(odcm.NotFound, "task.not-found", "there is no task %s", id)
}
func (f *fake) List(_ context.Context, by task.Filter) ([]task.Task, error) {
	f.asked = by
	return []task.Task{{}}, nil
}
func (f *fake) Count(_ context.Context, by odcm.UserID) (map[task.State]int, error) {
	f.counted = by
	return nil, nil
}
func (f *fake) Steps(context.Context, odcm.TaskID) ([]task.StepInfo, error) {
	return []task.StepInfo{{}}, nil
}
func (f *fake) Log(context.Context, odcm.TaskID, int64, int) ([]task.Line, error) {
	return []task.Line{{}}, nil
}
func (f *fake) Cancel(_ context.Context, id odcm.TaskID, _ odcm.Principal) error {
	f.canceled = append(f.canceled, id)
	return nil
}

// roles is an authorizer that knows administrators, who may do all, and auditors, who may read all.
type roles struct{}

func (roles) Authorize(_ context.Context, p odcm.Principal, a odcm.Action, _ string) error {
	if p.Has(odcm.Administrator) || p.Has(odcm.Auditor) && a == room.ActionRead {
		return nil
	}
	return odcm.E(odcm.Denied, "", "no")
}

func TestWhoSeesAndCancelsWhat(t *testing.T) {
	t.Parallel()
	const yes, hidden, no = odcm.Kind(""), odcm.NotFound, odcm.Denied
	for _, c := range []struct {
		p           odcm.Principal
		id          odcm.TaskID
		see, cancel odcm.Kind
	}{
		{lisa, "task-lisa", yes, yes},
		{lisa, "task-bob", hidden, hidden},
		{lisa, "task-none", hidden, hidden},
		{barry, "task-bob", yes, yes},
		{auditor, "task-bob", yes, no},
		{odcm.Principal{}, "task-bob", odcm.Unauthenticated, odcm.Unauthenticated},
	} {
		t.Run(c.p.Name+" "+string(c.id), func(t *testing.T) {
			t.Parallel()
			f := &fake{}
			s := room.New(f, roles{})
			_, err := s.Get(t.Context(), c.p, c.id)
			_, stepsErr := s.Steps(t.Context(), c.p, c.id)
			_, _, logErr := s.Log(t.Context(), c.p, c.id, 0, 0)
			for _, err := range []error{err, stepsErr, logErr} {
				if odcm.KindOf(err) != c.see {
					t.Errorf("see: %v, want %q", err, c.see)
				}
			}
			if s.MaySee(t.Context(), c.p, c.id) != (c.see == yes) {
				t.Error("MaySee differs from Get")
			}
			if err := s.Cancel(t.Context(), c.p, c.id); odcm.KindOf(err) != c.cancel {
				t.Errorf("cancel: %v, want %q", err, c.cancel)
			}
			if canceled := slices.Contains(f.canceled, c.id); canceled != (c.cancel == yes) {
				t.Errorf("canceled: %v", canceled)
			}
			if got := tasks[c.id]; got.ID != "" && s.MayCancel(t.Context(), c.p, got) != (c.cancel == yes) {
				t.Error("the offer to cancel differs from the permission")
			}
		})
	}
}

func TestFinishedTaskIsNotOfferedForCanceling(t *testing.T) {
	t.Parallel()
	if room.New(&fake{}, roles{}).MayCancel(t.Context(), barry, tasks["task-done"]) {
		t.Error("offered")
	}
}

func TestListIsOfOnesOwn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		p        odcm.Principal
		by, want odcm.UserID
		none     bool
	}{
		{"member sees his own", lisa, "", lisa.User, false},
		{"member asks for his own", lisa, lisa.User, lisa.User, false},
		{"member asks for another's", lisa, "user-bob", "", true},
		{"auditor sees all", auditor, "", "", false},
		{"administrator asks for one's", barry, "user-bob", "user-bob", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := &fake{}
			got, err := room.New(f, roles{}).List(t.Context(), c.p, task.Filter{By: c.by})
			if err != nil || f.asked.By != c.want || (len(got) == 0) != c.none {
				t.Errorf("asked for %q, got %d, %v", f.asked.By, len(got), err)
			}
		})
	}
	f := &fake{}
	if _, err := room.New(f, roles{}).Count(t.Context(), lisa); err != nil || f.counted != lisa.User {
		t.Errorf("counted those of %q, %v", f.counted, err)
	}
}
