package space

import (
	"context"
	"errors"
	"slices"

	"odcm"
	"odcm/kit/task"
)

// Delisting says how to let go of a Space.
type Delisting struct {
	// Confirm is the Space's name, typed again. A created Space needs it, for its server is stopped and removed.
	Confirm string
	// KeepData leaves the data folder of a created Space where it is.
	KeepData bool
	// Force forgets an enlisted Space even if its server does not answer; what is left there is said in log and audit.
	Force bool
}

type delistInput struct {
	Space    odcm.SpaceID
	Instance odcm.InstanceID
	Origin   Origin
	KeepData bool
	Force    bool
}

// Delist hands an enlisted Space back as it was, or stops and removes the server of a created one, and forgets it. It
// begins a task and returns the Space that it works on.
func (s *Service) Delist(ctx context.Context, p odcm.Principal, ref string, d Delisting) (_ Space, err error) {
	defer odcm.Wrap(&err, "delist Space %s", ref)
	sp, err := s.own(ctx, p, ActionDelist, ref)
	if err != nil {
		return Space{}, err
	}
	if err := busy(sp); err != nil {
		return Space{}, err
	}
	in, err := s.o.Store.Instance(ctx, sp.Instance)
	if err != nil {
		return Space{}, err
	}
	if in.Origin == Created && Fold(d.Confirm) != Fold(sp.Name) {
		return Space{}, odcm.E(odcm.Invalid, "space.not-confirmed", "This stops the server of %s and removes it: type the name of the Space to confirm.",
			sp.Name).OnField("confirm")
	}
	sp.State, sp.Task, sp.Reason = StateDelisting, odcm.NewID[odcm.TaskID]("task"), ""
	err = s.commit(ctx, Change{Spaces: []Space{sp}, Tasks: []task.Request{{
		ID: sp.Task, Kind: kindDelist, Title: "Delist " + sp.Name, Subject: string(sp.ID), By: p,
		Input: delistInput{Space: sp.ID, Instance: in.ID, Origin: in.Origin, KeepData: d.KeepData, Force: d.Force},
	}}})
	sp.Revision++
	return sp, err
}

func (s *Service) runDelist(r *task.Run) error {
	var in delistInput
	if err := r.Input(&in); err != nil {
		return err
	}
	r.Progress(10, "taking ODCM out of it")
	last, err := task.Step(r, "Look around", func(ctx context.Context) (bool, error) { return s.last(ctx, in) })
	if err != nil {
		return s.reopen(r, in, err)
	}
	var left []string
	if in.Origin == Created && last {
		_, err = task.Step(r, "Remove the server", func(ctx context.Context) (none, error) {
			if err := s.o.Host.Retire(ctx, in.Instance, in.KeepData); err != nil {
				return none{}, err
			}
			return none{}, s.lose(ctx, in.Space, true)
		})
	} else {
		left, err = task.Step(r, "Restore the server", func(ctx context.Context) ([]string, error) { return s.handBack(ctx, in, last) })
	}
	if err != nil {
		return s.reopen(r, in, err)
	}
	for _, what := range left {
		r.Logf("Left on the server: %s", what)
	}
	// From here on there is no way back, so these steps run even where somebody cancels.
	r.Progress(80, "forgetting it")
	by := r.Task().By
	_, err = task.Undo(r, "Forget", func(ctx context.Context) (none, error) { return none{}, s.forget(ctx, by, in, left) })
	if err == nil {
		r.Progress(100, "delisted")
	}
	return err
}

// last tells whether no other Space lives on the instance. Two that are delisted at once are both the last: retiring
// twice is harmless, retiring never would leave the server running with nobody to know of it.
func (s *Service) last(ctx context.Context, in delistInput) (bool, error) {
	on, err := s.o.Store.On(ctx, in.Instance)
	for _, sp := range on {
		if sp.ID != in.Space && sp.State != StateDelisting {
			return false, err
		}
	}
	return true, err
}

// drop removes the Spaces, and before it the server that ODCM runs for them if no other Space lives there.
func (s *Service) drop(ctx context.Context, in Instance, keepData bool, c Change) error {
	if in.Origin == Created {
		on, err := s.o.Store.On(ctx, in.ID)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(on, func(sp Space) bool { return !slices.Contains(c.Removed, sp.ID) }) {
			if err := s.o.Host.Retire(ctx, in.ID, keepData); err != nil {
				return err
			}
		}
	}
	return s.commit(ctx, c)
}

// takenBack are the events of Spaces that a task rolls back after it made them active: their coming was announced, so their
// going is too. It happens where the result of the last step was lost, or one of several Spaces could not be activated.
func (s *Service) takenBack(ctx context.Context, by odcm.Principal, ids ...odcm.SpaceID) (events []odcm.Event, err error) {
	for _, id := range ids {
		sp, in, err := s.both(ctx, id)
		if odcm.KindOf(err) == odcm.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		if sp.State == StateActive {
			events = append(events, odcm.NewEvent(by, "space.delisted", string(id), sp.Name, record(sp, in), recorded{Name: sp.Name, Instance: in.ID}))
		}
	}
	return events, nil
}

// handBack restores the server. Where it cannot and may not matter, it returns what is left there.
func (s *Service) handBack(ctx context.Context, in delistInput, last bool) (left []string, err error) {
	if left, err = s.release(ctx, in.Space, last); err == nil {
		err = s.restore(ctx, in.Space)
	}
	if err == nil || ctx.Err() != nil {
		return left, err
	}
	if !in.Force {
		return nil, odcm.E(odcm.KindOf(err), "space.not-restored", "ODCM could not take its settings off the server (%s). "+
			"Try again when the server answers, or delist by force and remove the subscription %s there by hand.", publicMessage(err), hookName).Because(err)
	}
	left = append(left, "the event subscription "+hookName+" ("+publicMessage(err)+")")
	if s.o.SignOn != nil || s.o.Accounts != nil {
		left = append(left, "sign-in settings that lead to ODCM, and accounts that ODCM made")
	}
	return left, s.lose(ctx, in.Space, last)
}

// release puts back what other rooms did: sign-in first, so that people have their way in again before anything else ends.
func (s *Service) release(ctx context.Context, id odcm.SpaceID, last bool) (left []string, err error) {
	sp, in, err := s.both(ctx, id)
	if odcm.KindOf(err) == odcm.NotFound {
		return nil, nil
	}
	if err != nil || in.URL == "" {
		return nil, err
	}
	t := Target{Instance: in.ID, Name: hostOf(in.URL), Connection: in.Connection()}
	if last && s.o.SignOn != nil {
		if left, err = s.o.SignOn.Undo(ctx, t); err != nil {
			return nil, err
		}
	}
	if s.o.Accounts != nil {
		err = s.o.Accounts.Undo(ctx, t, sp, last)
	}
	return left, err
}

// lose forgets what other rooms keep of a server that is gone, or does not answer.
func (s *Service) lose(ctx context.Context, id odcm.SpaceID, last bool) error {
	sp, in, err := s.both(ctx, id)
	if odcm.KindOf(err) == odcm.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	t := Target{Instance: in.ID, Name: hostOf(in.URL), Connection: in.Connection()}
	if last && s.o.SignOn != nil {
		if err := s.o.SignOn.Forget(ctx, t); err != nil {
			return err
		}
	}
	if s.o.Accounts != nil {
		return s.o.Accounts.Forget(ctx, t, sp, last)
	}
	return nil
}

// reopen makes the Space active again after a delisting that could not begin.
func (s *Service) reopen(r *task.Run, in delistInput, cause error) error {
	_, err := task.Undo(r, "Reopen", func(ctx context.Context) (none, error) {
		return none{}, s.edit(ctx, in.Space, func(sp *Space, i *Instance) (Change, bool) {
			sp.State = StateActive
			if sp.Octopus == "" || i.URL == "" { // it had failed before it was ever running
				sp.State, sp.Reason = StateFailed, "Delisting did not succeed: "+publicMessage(cause)
			}
			return Change{}, true
		})
	})
	return errors.Join(cause, err)
}

func (s *Service) forget(ctx context.Context, by odcm.Principal, in delistInput, left []string) error {
	sp, row, err := s.both(ctx, in.Space)
	if odcm.KindOf(err) == odcm.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	was := record(sp, row)
	after := recorded{Name: sp.Name, Instance: row.ID, Left: left, KeptData: in.KeepData && in.Origin == Created}
	return s.drop(ctx, row, in.KeepData, Change{Removed: []odcm.SpaceID{sp.ID},
		Events: []odcm.Event{odcm.NewEvent(by, "space.delisted", string(sp.ID), sp.Name, was, after)}})
}
