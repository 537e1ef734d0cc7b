// Package audit reads what everyone did: the log of events that all rooms commit with their changes. It writes nothing but
// the end of what is older than the retention.
package audit

import (
	"context"
	"iter"
	"log/slog"
	"time"

	"odcm"
	"odcm/kit/eventlog"
	"odcm/kit/lease"
)

// ActionRead is what reading the log needs: of an administrator or an auditor.
const ActionRead odcm.Action = "audit.read"

// Log is what the room needs of kit/eventlog.
type Log interface {
	List(ctx context.Context, f eventlog.Filter) ([]odcm.Event, error)
	Prune(ctx context.Context, before time.Time) (deleted int64, err error)
}

// Leases let one replica at a time prune.
type Leases interface {
	Hold(ctx context.Context, name, owner string, ttl time.Duration, f func(ctx context.Context, l lease.Lease) error) error
}

// Options are what a [Service] needs. Log and Authorizer are required; without Leases nothing is pruned.
type Options struct {
	Log        Log
	Authorizer odcm.Authorizer
	Leases     Leases
	Replica    string           // name of this process among those that prune
	Retention  time.Duration    // how long events are kept; 400 days if zero
	Now        func() time.Time // time.Now if nil
	Logger     *slog.Logger     // slog.Default if nil
}

// Service is the room's door.
type Service struct{ o Options }

// New makes the service. Run [Service.Run] beside it.
func New(o Options) *Service {
	if o.Retention == 0 {
		o.Retention = 400 * 24 * time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &Service{o}
}

// Retention is how long events are kept.
func (s *Service) Retention() time.Duration { return s.o.Retention }

// maxText bounds what is searched for.
const maxText = 200

func validate(f eventlog.Filter) error {
	switch {
	case len(f.Text) > maxText:
		return odcm.E(odcm.Invalid, "audit.text-too-long", "Search for at most %d characters.", maxText).OnField("text")
	case len(f.Types) > 50:
		return odcm.E(odcm.Invalid, "audit.too-many-types", "Choose at most 50 types.").OnField("type")
	case !f.From.IsZero() && !f.To.IsZero() && !f.From.Before(f.To):
		return odcm.E(odcm.Invalid, "audit.empty-period", "The period ends before it begins.").OnField("to")
	}
	return nil
}

// List returns events that match, newest first. The identifier of the last is Before of the next page.
func (s *Service) List(ctx context.Context, p odcm.Principal, f eventlog.Filter) (_ []odcm.Event, err error) {
	defer odcm.Wrap(&err, "list events")
	if err := s.o.Authorizer.Authorize(ctx, p, ActionRead, ""); err != nil {
		return nil, err
	}
	if err := validate(f); err != nil {
		return nil, err
	}
	return s.o.Log.List(ctx, f)
}

// exportPage is how many events an export reads at once.
const exportPage = 500

// Export gives every event that matches, newest first, page by page as the caller takes them. What is refused is refused
// at once; an error on the way is given once and ends it. Events committed meanwhile do not join.
func (s *Service) Export(ctx context.Context, p odcm.Principal, f eventlog.Filter) (iter.Seq2[odcm.Event, error], error) {
	f.Limit = exportPage
	page, err := s.List(ctx, p, f)
	if err != nil {
		return nil, err
	}
	return func(yield func(odcm.Event, error) bool) {
		for {
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
			}
			if len(page) < exportPage {
				return
			}
			f.Before = page[len(page)-1].ID
			var err error
			if page, err = s.o.Log.List(ctx, f); err != nil {
				yield(odcm.Event{}, err)
				return
			}
		}
	}, nil
}

const (
	pruneEvery = 24 * time.Hour
	retryAfter = time.Minute
)

// Run deletes once a day what is older than the retention, on the replica that holds the lease, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	if s.o.Leases == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	for {
		err := s.o.Leases.Hold(ctx, "audit/prune", s.o.Replica, 30*time.Second, s.prune)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.o.Logger.Warn("events are not pruned at this moment", "error", err)
		if !pause(ctx, retryAfter) {
			return ctx.Err()
		}
	}
}

// prune prunes every day while the lease is held.
func (s *Service) prune(ctx context.Context, _ lease.Lease) error {
	for {
		n, err := s.o.Log.Prune(ctx, s.o.Now().Add(-s.o.Retention))
		if err != nil {
			return err
		}
		if n > 0 {
			s.o.Logger.Info("old events were deleted", "events", n, "older than", s.o.Retention)
		}
		if !pause(ctx, pruneEvery) {
			return ctx.Err()
		}
	}
}

// pause tells whether the time passed before ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
