package document

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

// committer lets changes that come at the same time share one commit on SQLite, where a commit is a write to the disk and
// costs more than the change. Whoever comes while nobody commits leads: it runs all that wait, each in a savepoint of its
// own, commits once, and hands the lead to the first that came meanwhile. PostgreSQL groups commits by itself.
type committer struct {
	mu      sync.Mutex
	waiting []*job
	leading bool
}

type job struct {
	ctx  context.Context
	f    func(tx *sql.Tx) error
	done chan error
	lead chan struct{}
}

// errApart says that the jobs of a group must run apart: one of them failed in a way after which SQLite may have given up
// the whole transaction.
var errApart = errors.New("run apart")

// Refusal is an error that a rule made: the transaction is as sound as before.
type Refusal interface{ Refusal() bool }

// Tx runs f in a transaction that writes, and returns when it is committed durably, or its error with nothing done. f may
// run again; it must do nothing but use tx.
func (s *Store) Tx(ctx context.Context, f func(tx *sql.Tx) error) error {
	c := &s.commits
	j := &job{ctx: ctx, f: f, done: make(chan error, 1), lead: make(chan struct{}, 1)}
	if s.DB.Postgres() {
		return s.alone(j)
	}
	c.mu.Lock()
	c.waiting = append(c.waiting, j)
	if !c.leading {
		c.leading = true
		j.lead <- struct{}{}
	}
	c.mu.Unlock()
	select {
	case err := <-j.done:
		return err
	case <-j.lead:
	}
	c.mu.Lock()
	group := c.waiting
	c.waiting = nil
	c.mu.Unlock()
	s.run(group)
	c.mu.Lock()
	if len(c.waiting) > 0 {
		c.waiting[0].lead <- struct{}{}
	} else {
		c.leading = false
	}
	c.mu.Unlock()
	return <-j.done
}

func (s *Store) run(group []*job) {
	results := make([]error, len(group))
	err := errApart
	if len(group) > 1 {
		err = s.tx(context.Background(), func(tx *sql.Tx) error { return s.together(tx, group, results) })
	}
	for i, j := range group {
		switch {
		case errors.Is(err, errApart):
			results[i] = s.alone(j)
		case err != nil:
			results[i] = err
		}
		j.done <- results[i]
	}
}

func (s *Store) alone(j *job) error {
	return s.tx(j.ctx, func(tx *sql.Tx) error { return guarded(j, tx) })
}

// together runs each job in a savepoint, so that one that is refused takes nothing from the others.
func (s *Store) together(tx *sql.Tx, group []*job, results []error) error {
	ctx := context.Background()
	for i, j := range group {
		if results[i] = j.ctx.Err(); results[i] != nil {
			continue // gave up while it waited
		}
		if _, err := tx.ExecContext(ctx, savepoint); err != nil {
			return err
		}
		results[i] = guarded(j, tx)
		if results[i] != nil {
			var refusal Refusal
			if !errors.As(results[i], &refusal) {
				return errApart
			}
			if _, err := tx.ExecContext(ctx, rollback); err != nil {
				return errApart
			}
		}
		if _, err := tx.ExecContext(ctx, release); err != nil {
			return err
		}
	}
	return nil
}

// guarded keeps a defect in one job from leaving the others waiting for ever.
func guarded(j *job, tx *sql.Tx) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("a change panicked: %v", v)
		}
	}()
	return j.f(tx)
}
