package space

import (
	"context"
	"time"

	"odcm"
)

// draftLife is how long the wizard remembers what was typed in.
const draftLife = 30 * time.Minute

// Begin plans, as [Service.Plan] does, and keeps the connection for the wizard's next page. It returns the draft's id.
func (s *Service) Begin(ctx context.Context, p odcm.Principal, c Connection) (id string, _ Plan, err error) {
	plan, err := s.Plan(ctx, p, c)
	if err != nil {
		return "", Plan{}, err
	}
	defer odcm.Wrap(&err, "keep draft")
	c.URL = plan.Server.URL
	d := Draft{ID: odcm.NewID[string]("draft"), Owner: p.User, Connection: c, Expires: s.o.Now().Add(draftLife)}
	if err := s.o.Store.DropDraft(ctx, d.ID, p.User, s.o.Now()); err != nil { // sweeps what others left to expire
		return "", Plan{}, err
	}
	return d.ID, plan, s.o.Store.SaveDraft(ctx, d)
}

// Resume plans again from a draft of the principal's own.
func (s *Service) Resume(ctx context.Context, p odcm.Principal, id string) (_ Plan, err error) {
	d, err := s.o.Store.Draft(ctx, id, p.User, s.o.Now())
	if err != nil {
		return Plan{}, err
	}
	return s.Plan(ctx, p, d.Connection)
}

// Finish enlists from a draft of the principal's own, whose connection it is, and forgets the draft.
func (s *Service) Finish(ctx context.Context, p odcm.Principal, id string, e Enlistment) (_ []Space, err error) {
	d, err := s.o.Store.Draft(ctx, id, p.User, s.o.Now())
	if err != nil {
		return nil, err
	}
	e.Connection = d.Connection
	made, err := s.Enlist(ctx, p, e)
	if err != nil {
		return nil, err
	}
	return made, s.o.Store.DropDraft(ctx, id, p.User, s.o.Now())
}
