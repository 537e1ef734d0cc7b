package collection

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"odcm/kit/db"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/problem"
)

// batch is what all changes of one transaction share.
type batch struct {
	events  []document.Event
	decides bool
	spaces  bool
	quiet   bool // no events: the first documents of a new server
	at      time.Time

	reserved map[string]int64 // ids that were taken in advance, with their numbers
}

// Transact runs f in a transaction; the events of its changes are committed with it, or nothing is.
func (s *Service) Transact(ctx context.Context, r Request, f func(c *Change) error) error {
	return s.transact(ctx, r, false, f)
}

// Quietly is [Service.Transact] without events, for the first documents of a server.
func (s *Service) Quietly(ctx context.Context, r Request, f func(c *Change) error) error {
	return s.transact(ctx, r, true, f)
}

func (s *Service) transact(ctx context.Context, r Request, quiet bool, f func(c *Change) error) error {
	var b *batch
	err := s.Store.Tx(ctx, func(tx *sql.Tx) error {
		b = &batch{quiet: quiet, at: s.Now()}
		c := &Change{Context: ctx, Service: s, Principal: r.Principal, Query: r.Query, Space: r.Space, Tx: tx, batch: b}
		if err := f(c); err != nil {
			return err
		}
		if len(b.events) > 0 && !b.quiet {
			if err := s.watch(c, slices.Clip(b.events)); err != nil {
				return err
			}
		}
		if b.decides {
			if _, err := s.Store.Next(ctx, tx, "security", 1); err != nil {
				return err
			}
		}
		// Last, so that the counter of events is locked for as short as can be, and always after all others.
		return s.Store.Append(ctx, tx, b.events...)
	})
	if err != nil {
		return explain(err)
	}
	if b.spaces {
		if err := s.ReadDirectory(context.WithoutCancel(ctx)); err != nil {
			return err
		}
	}
	if b.decides {
		s.decided()
	}
	if len(b.events) > 0 {
		s.noted(b.events)
	}
	return nil
}

// Decides says that the change, though it is none of a kind that [Kind.Decides], changes who may do what: every replica
// reads that again.
func (c *Change) Decides() { c.batch.decides = true }

// explain turns what the store says into what a client should read.
func explain(err error) error {
	switch {
	case errors.Is(err, document.ErrChanged):
		return problem.Conflict("resource").Because(err)
	case db.IsUnique(err):
		return problem.Invalid("The name or slug is already in use. Please choose another.").Because(err)
	case db.IsFull(err):
		return problem.New(507, "The server's disk is full: nothing was changed. Please tell your administrator.").Because(err)
	}
	return err
}
