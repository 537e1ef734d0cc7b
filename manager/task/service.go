package task

import (
	"context"

	"odcm"
	"odcm/kit/task"
)

// The actions that the room asks the [odcm.Authorizer] about. Without them people act on their own tasks only.
const (
	ActionRead   odcm.Action = "task.read"   // every task
	ActionCancel odcm.Action = "task.cancel" // every task
)

// Engine is what the room needs of the engine that runs tasks: [task.Engine].
type Engine interface {
	Get(ctx context.Context, id odcm.TaskID) (task.Task, error)
	List(ctx context.Context, f task.Filter) ([]task.Task, error)
	Count(ctx context.Context, by odcm.UserID) (map[task.State]int, error)
	Steps(ctx context.Context, id odcm.TaskID) ([]task.StepInfo, error)
	Log(ctx context.Context, id odcm.TaskID, after int64, limit int) ([]task.Line, error)
	Cancel(ctx context.Context, id odcm.TaskID, by odcm.Principal) error
}

// Service is the room's rules.
type Service struct {
	engine Engine
	auth   odcm.Authorizer
}

// New makes the service.
func New(engine Engine, auth odcm.Authorizer) *Service { return &Service{engine, auth} }

// List returns the tasks that the principal may see and the filter chooses, newest first. Of somebody else's tasks one
// who may see only his own gets none.
func (s *Service) List(ctx context.Context, p odcm.Principal, f task.Filter) ([]task.Task, error) {
	own, err := s.onlyOwn(ctx, p)
	switch {
	case err != nil:
		return nil, err
	case own && f.By != "" && f.By != p.User:
		return nil, nil
	case own:
		f.By = p.User
	}
	return s.engine.List(ctx, f)
}

// Count returns how many tasks that the principal may see are in each state.
func (s *Service) Count(ctx context.Context, p odcm.Principal) (map[task.State]int, error) {
	own, err := s.onlyOwn(ctx, p)
	if err != nil {
		return nil, err
	}
	if own {
		return s.engine.Count(ctx, p.User)
	}
	return s.engine.Count(ctx, "")
}

// Get returns a task; [odcm.NotFound] where there is none or the principal may not see it.
func (s *Service) Get(ctx context.Context, p odcm.Principal, id odcm.TaskID) (task.Task, error) {
	own, err := s.onlyOwn(ctx, p)
	if err != nil {
		return task.Task{}, err
	}
	t, err := s.engine.Get(ctx, id)
	if err != nil {
		return task.Task{}, err
	}
	if own && t.By.User != p.User {
		return task.Task{}, odcm.E(odcm.NotFound, "task.not-found", "there is no task %s", id)
	}
	return t, nil
}

// Steps returns what a task has done so far.
func (s *Service) Steps(ctx context.Context, p odcm.Principal, id odcm.TaskID) ([]task.StepInfo, error) {
	if _, err := s.Get(ctx, p, id); err != nil {
		return nil, err
	}
	return s.engine.Steps(ctx, id)
}

// Log returns lines of a task's log as the engine does, and the state that the task had before they were read: where that
// was final and no line came, no more will.
func (s *Service) Log(ctx context.Context, p odcm.Principal, id odcm.TaskID, after int64, limit int) ([]task.Line, task.State, error) {
	t, err := s.Get(ctx, p, id)
	if err != nil {
		return nil, "", err
	}
	lines, err := s.engine.Log(ctx, id, after, limit)
	return lines, t.State, err
}

// Cancel asks a task to end and roll back.
func (s *Service) Cancel(ctx context.Context, p odcm.Principal, id odcm.TaskID) error {
	t, err := s.Get(ctx, p, id)
	if err != nil {
		return err
	}
	if t.By.User != p.User {
		if err := s.auth.Authorize(ctx, p, ActionCancel, string(id)); err != nil {
			return err
		}
	}
	return s.engine.Cancel(ctx, id, p)
}

// MaySee tells whether the principal may see the task.
func (s *Service) MaySee(ctx context.Context, p odcm.Principal, id odcm.TaskID) bool {
	if own, err := s.onlyOwn(ctx, p); err == nil && !own {
		return true // without a look for the task: a page of a list asks for each of its rows
	}
	_, err := s.Get(ctx, p, id)
	return err == nil
}

// MayCancel tells whether it makes sense to offer the principal to cancel the task.
func (s *Service) MayCancel(ctx context.Context, p odcm.Principal, t task.Task) bool {
	return (t.State == task.Queued || t.State == task.Running) &&
		(t.By.User == p.User || s.auth.Authorize(ctx, p, ActionCancel, string(t.ID)) == nil)
}

// onlyOwn tells whether the principal sees his own tasks only.
func (s *Service) onlyOwn(ctx context.Context, p odcm.Principal) (bool, error) {
	if p.User == "" {
		return false, odcm.E(odcm.Unauthenticated, "task.unauthenticated", "sign in to see tasks")
	}
	switch err := s.auth.Authorize(ctx, p, ActionRead, ""); odcm.KindOf(err) {
	case "":
		return false, nil
	case odcm.Denied:
		return true, nil
	default:
		return false, err
	}
}
