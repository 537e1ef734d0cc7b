package provider

import (
	"context"
	"errors"
	"time"

	"odcm"
	"odcm/manager/identity/person"
	"odcm/manager/identity/provider/reading"
)

// SyncNow has the directory read at once, on the replica that reads. With accept, the reading counts whatever it takes away:
// that is how an administrator answers [Sync.Held].
func (s *Service) SyncNow(ctx context.Context, p odcm.Principal, id odcm.ProviderID, accept bool) (err error) {
	defer odcm.Wrap(&err, "synchronise provider %s", id)
	if err := s.o.Authorizer.Authorize(ctx, p, ActionEdit, string(id)); err != nil {
		return err
	}
	r, err := s.o.Store.Provider(ctx, id)
	if err != nil {
		return err
	}
	switch {
	case !r.Enabled:
		return odcm.E(odcm.Conflict, "provider.disabled", "%s is switched off: enable it first.", r.Name)
	case !s.Reads(ctx, r.Provider):
		return odcm.E(odcm.Unsupported, "provider.no-directory", "%s is no directory: there is nothing to read in the background.", r.Name)
	}
	e := odcm.NewEvent(p, "provider.sync-asked", string(id), r.Name, nil, map[string]any{"accept": accept})
	if err := s.o.Store.Ask(ctx, id, s.now(), accept, e); err != nil {
		return err
	}
	s.o.Bus.Publish(Topic(id))
	return nil
}

const (
	linkedPage = 500 // subjects that are read from the database at once
	readBatch  = 200 // people that a directory is asked about at once
	readWithin = time.Minute
)

// readAll asks the directory about everybody who is linked. Nothing is applied before all is read: only the whole tells
// whether a directory can be believed.
func (s *Service) readAll(ctx context.Context, id odcm.ProviderID, d Directory) (r reading.Reading, err error) {
	for after := ""; ; {
		subjects, err := s.o.People.Linked(ctx, id, after, linkedPage)
		if err != nil {
			return r, err
		}
		r.Linked += len(subjects)
		for from := 0; from < len(subjects); from += readBatch {
			seen, err := s.read(ctx, d, subjects[from:min(from+readBatch, len(subjects))])
			if err != nil {
				return r, err
			}
			r.Add(seen)
		}
		if len(subjects) < linkedPage {
			return r, nil
		}
		after = subjects[len(subjects)-1]
	}
}

// read asks about one batch. A directory must answer about each: whom it leaves out, it could not read.
func (s *Service) read(ctx context.Context, d Directory, subjects []string) (seen []person.Observation, err error) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	for p, err := range d.People(ctx, subjects) {
		if err != nil {
			return nil, err
		}
		seen = append(seen, person.Observation{Subject: p.Subject, Gone: p.Gone, Disabled: p.Disabled, Username: p.Username,
			DisplayName: p.DisplayName, Email: p.Email, Marks: p.Marks, Groups: p.Groups, GroupsKnown: p.GroupsKnown && !p.Gone})
	}
	return seen, nil
}

// observe hands what was read to those who act on it, in batches, who lost something first: that must not wait.
func (s *Service) observe(ctx context.Context, id odcm.ProviderID, seen []person.Observation) error {
	lost := make([]person.Observation, 0, len(seen))
	var rest []person.Observation
	for _, o := range seen {
		if o.Gone || o.Disabled {
			lost = append(lost, o)
		} else {
			rest = append(rest, o)
		}
	}
	seen = append(lost, rest...)
	for from := 0; from < len(seen); from += readBatch {
		if _, err := s.o.People.Observe(ctx, id, seen[from:min(from+readBatch, len(seen))]); err != nil {
			return err
		}
	}
	return nil
}

// syncAll reads everything and applies it, if it can be believed. The error is what keeps the reading from counting; it is
// written already.
func (s *Service) syncAll(ctx context.Context, r Record, d Directory) error {
	now := s.now()
	found, err := s.readAll(ctx, r.ID, d)
	if err != nil {
		return s.failed(ctx, r, now, err)
	}
	if why := found.Doubt(r.Sync.People, r.Sync.Memberships); why != "" && !r.Sync.Accepted {
		return s.held(ctx, r, now, found, why)
	}
	if err := s.observe(ctx, r.ID, found.Seen); err != nil {
		return s.failed(ctx, r, now, err)
	}
	next := Sync{Succeeded: now, Tried: now, People: found.People(), Groups: found.Groups(), Memberships: found.Memberships}
	return s.saveSync(ctx, r, next)
}

// failed keeps what was known: it is stale from now on, and says why.
func (s *Service) failed(ctx context.Context, r Record, at time.Time, cause error) error {
	if ctx.Err() != nil {
		return ctx.Err() // this replica stops, or another reads from now on
	}
	next := r.Sync
	next.Tried, next.Error = at, publicText(cause)
	s.o.Logger.WarnContext(ctx, "a directory could not be read", "provider", r.ID, "name", r.Name, "error", cause)
	var events []odcm.Event
	if r.Sync.Error == "" {
		events = append(events, odcm.NewEvent(odcm.System, "provider.sync-failed", string(r.ID), r.Name, nil, map[string]any{"error": next.Error}))
	}
	if err := s.saveSync(ctx, r, next, events...); err != nil {
		return err
	}
	return cause
}

// held applies nothing of the reading but who is disabled: of those accounts the directory said so, one by one.
func (s *Service) held(ctx context.Context, r Record, at time.Time, found reading.Reading, why string) error {
	var disabled []person.Observation
	for _, o := range found.Seen {
		if o.Disabled && !o.Gone {
			o.Groups, o.GroupsKnown = nil, false
			disabled = append(disabled, o)
		}
	}
	if err := s.observe(ctx, r.ID, disabled); err != nil {
		return s.failed(ctx, r, at, err)
	}
	next := r.Sync
	next.Tried, next.Error, next.Held = at, "", why
	var events []odcm.Event
	if r.Sync.Held == "" {
		events = append(events, odcm.NewEvent(odcm.System, "provider.sync-held", string(r.ID), r.Name, nil, map[string]any{"reason": why}))
	}
	if err := s.saveSync(ctx, r, next, events...); err != nil {
		return err
	}
	return odcm.E(odcm.Conflict, "provider.sync-held", "%s", why)
}

func (s *Service) saveSync(ctx context.Context, r Record, next Sync, events ...odcm.Event) error {
	if err := s.o.Store.SetSync(ctx, r.ID, next, events...); err != nil {
		return err
	}
	s.o.Bus.Publish(Topic(r.ID))
	return nil
}

// publicText is what people may read of an error.
func publicText(err error) string {
	if e := (*odcm.Error)(nil); errors.As(err, &e) && e.Kind != odcm.Internal && e.Message != "" {
		return e.Message
	}
	return "It could not be read; the log says why."
}
