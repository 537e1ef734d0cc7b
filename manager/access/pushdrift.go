package access

import (
	"context"
	"time"

	"odcm"
)

// Pushed is how it stands with pushing to a Space.
type Pushed struct {
	PushState
	Teams []TeamState
	Open  []Acknowledgement // what is not applied
}

// PushedTo tells how it stands with a Space.
func (p *Push) PushedTo(ctx context.Context, by odcm.Principal, ref string) (_ Place, s Pushed, err error) {
	defer odcm.Wrap(&err, "what was pushed to %s", ref)
	place, err := p.at(ctx, by, ActionAccounts, ref)
	if err != nil {
		return place, s, err
	}
	if s.PushState, err = p.o.Store.PushOf(ctx, place.Space); err != nil {
		return place, s, err
	}
	if s.Teams, err = p.o.Store.TeamStates(ctx, place.Space); err != nil {
		return place, s, err
	}
	s.Open, err = p.o.Store.Unarrived(ctx, place.Space)
	return place, s, err
}

// SetPolicy chooses what is done in a Space about what somebody else changes there. With Repair, what was left is put right
// by the next run.
func (p *Push) SetPolicy(ctx context.Context, by odcm.Principal, ref string, policy DriftPolicy) (err error) {
	defer odcm.Wrap(&err, "choose what is done about drift in %s", ref)
	if policy != Repair && policy != Leave {
		return odcm.E(odcm.Invalid, "account.policy", "Choose repair or leave.").OnField("policy")
	}
	place, err := p.at(ctx, by, ActionPolicy, ref)
	if err != nil {
		return err
	}
	release, err := p.hold(ctx, place.Instance)
	if err != nil {
		return err
	}
	defer release()
	state, err := p.o.Store.PushOf(ctx, place.Space)
	if err != nil || state.Policy == policy {
		return err
	}
	state.Instance, state.Policy, state.Looked = place.Instance, policy, time.Time{} // looked at anew
	if err := p.o.Store.SavePush(ctx, state, odcm.NewEvent(by, "account.policy", string(place.Space), place.Name, nil, map[string]DriftPolicy{"drift": policy})); err != nil {
		return err
	}
	p.tell(place.Space)
	return nil
}

// Arrivals implements [Acknowledgements].
func (p *Push) Arrivals(ctx context.Context, space odcm.SpaceID, users []odcm.UserID) (map[odcm.UserID]Arrival, error) {
	if len(users) == 0 {
		return map[odcm.UserID]Arrival{}, nil
	}
	rows, err := p.o.Store.Acknowledgements(ctx, space, users)
	if err != nil {
		return nil, err
	}
	found := make(map[odcm.UserID]Arrival, len(rows))
	for _, a := range rows {
		since := a.Since
		if a.State == Applied {
			since = a.Applied
		}
		found[a.Person] = Arrival{State: a.State, Reason: a.Reason, Since: since}
	}
	return found, nil
}

// Standing implements [Acknowledgements].
func (p *Push) Standing(ctx context.Context, space odcm.SpaceID) (s Standing, err error) {
	state, err := p.o.Store.PushOf(ctx, space)
	if err != nil {
		return s, err
	}
	open, err := p.o.Store.Unarrived(ctx, space)
	if err != nil {
		return s, err
	}
	s.Checked, s.Revoke = state.Looked, state.Revoke
	for _, a := range open {
		switch a.State {
		case Pending:
			s.Pending++
		case Failed:
			s.Failed++
		case Drifted:
			s.Drifted++
		}
	}
	return s, nil
}
