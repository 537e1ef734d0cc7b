package roster

import (
	"context"
	"slices"
	"time"

	"odcm"
	"odcm/manager/access"
)

// Pushed is how it stands with pushing to a Space.
type Pushed struct {
	PushState
	Teams []TeamState
	Open  []Acknowledgement // what is not applied
}

// PushedTo tells how it stands with a Space.
func (r *Roster) PushedTo(ctx context.Context, by odcm.Principal, ref string) (_ access.Place, s Pushed, err error) {
	defer odcm.Wrap(&err, "what was pushed to %s", ref)
	place, err := r.o.Gate.Find(ctx, by, access.ActionAccounts, ref)
	if err != nil {
		return place, s, err
	}
	if s.PushState, err = r.o.Store.PushOf(ctx, place.Space); err != nil {
		return place, s, err
	}
	if s.Teams, err = r.o.Store.TeamStates(ctx, place.Space); err != nil {
		return place, s, err
	}
	s.Open, err = r.o.Store.Unarrived(ctx, place.Space)
	return place, s, err
}

// Arrivals implements [access.Acknowledgements].
func (r *Roster) Arrivals(ctx context.Context, space odcm.SpaceID, users []odcm.UserID) (map[odcm.UserID]access.Arrival, error) {
	if len(users) == 0 {
		return map[odcm.UserID]access.Arrival{}, nil
	}
	rows, err := r.o.Store.Acknowledgements(ctx, space, users)
	if err != nil {
		return nil, err
	}
	found := make(map[odcm.UserID]access.Arrival, len(rows))
	for _, a := range rows {
		since := a.Since
		if a.State == access.Applied {
			since = a.Applied
		}
		found[a.Person] = access.Arrival{State: a.State, Reason: a.Reason, Since: since}
	}
	return found, nil
}

// Arrived tells whether any of the Spaces lets the person in by now, or has refused the account and will say so itself.
func (r *Roster) Arrived(ctx context.Context, person odcm.UserID, spaces []odcm.SpaceID) (bool, error) {
	rows, err := r.o.Store.OfPerson(ctx, person, spaces)
	return slices.ContainsFunc(rows, func(a Acknowledgement) bool { return a.Enter && a.State != access.Pending }), err
}

// Standing implements [access.Acknowledgements].
func (r *Roster) Standing(ctx context.Context, space odcm.SpaceID) (s access.Standing, err error) {
	state, err := r.o.Store.PushOf(ctx, space)
	if err != nil {
		return s, err
	}
	open, err := r.o.Store.Unarrived(ctx, space)
	if err != nil {
		return s, err
	}
	s.Checked, s.Revoke = state.Looked, state.Revoke
	for _, a := range open {
		switch a.State {
		case access.Pending:
			s.Pending++
		case access.Failed:
			s.Failed++
		case access.Drifted:
			s.Drifted++
		}
	}
	return s, nil
}

// revokedLately is how long a revocation that was slow is told of.
const revokedLately = 10 * time.Minute

// Troubles lists the Spaces where pushing fails or a revocation takes, or took lately, its time; for other rooms.
func (r *Roster) Troubles(ctx context.Context, now time.Time) ([]Trouble, error) {
	return r.o.Store.Troubles(ctx, now.Add(-revokedLately), now)
}
