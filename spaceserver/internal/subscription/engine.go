// Package subscription posts events to the webhooks of those who subscribed to them: one POST for each event, in order, at
// least once (administration/managing-infrastructure/subscriptions in Octopus's documentation).
//
// Each subscription that is enabled has a goroutine of its own, so that a receiver that is slow or down holds up nobody
// else; it sleeps until there are events. On one node it learns of them at the commit and nothing wakes it in between. With
// several nodes one leads, by a row that it renews, and looks every second whether others wrote events.
//
// What a receiver does not take is sent again, later and later. What it refuses as wrong is dropped after some attempts,
// for nothing behind it would ever be sent.
package subscription

import (
	"context"
	"crypto/rand"
	"database/sql"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/identity"
)

// Options are what the engine needs.
type Options struct {
	Service  *collection.Service
	Identity *identity.Service
	Client   func() (*http.Client, error) // guards the way out; asked for when the first event is posted
	URL      func() string                // of this server, where no other address is configured
	Now      func() time.Time             // time.Now if nil
	Logger   *slog.Logger
}

// Times of the engine.
const (
	gather   = 100 * time.Millisecond // events that come together are one batch
	follow   = time.Second            // how often the leading node looks for the events of others
	tenure   = 15 * time.Second       // how long a node leads that does not renew
	renewal  = 5 * time.Second
	retry    = time.Second // the first wait after a failure; it doubles
	retryMax = 5 * time.Minute
)

// mostPosts bounds how many receivers are posted to at a time.
const mostPosts = 8

// Engine posts. Make it with [New] and run it with [Engine.Run].
type Engine struct {
	Options
	node  string // this process, among those that could lead
	posts chan struct{}
	stale chan struct{} // the list of subscriptions changed

	mu    sync.Mutex
	pumps map[string]*pump // by space and id
}

// New makes the engine.
func New(o Options) *Engine {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Engine{Options: o, node: rand.Text(), posts: make(chan struct{}, mostPosts), stale: make(chan struct{}, 1), pumps: map[string]*pump{}}
}

// Noted tells the engine of events that were committed here. It does not block.
func (e *Engine) Noted(events []document.Event) {
	for _, event := range events {
		if event.Type == "Subscription" || event.Type == "Space" {
			hint(e.stale)
		}
		e.wake(event.Space)
	}
}

func hint(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// wake wakes the subscriptions of a space, "*" for all.
func (e *Engine) wake(space string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.pumps {
		if space == "*" || p.space == space {
			hint(p.woken)
		}
	}
}

// Run posts until the context ends, and returns when nothing is under way any more.
func (e *Engine) Run(ctx context.Context) {
	if !e.Service.Store.DB.Postgres() {
		e.serve(ctx, nil)
		return
	}
	for ctx.Err() == nil {
		if leads, err := e.lead(ctx); err != nil || !leads {
			e.complain(ctx, "the webhooks' leader is not known", err)
			wait(ctx, renewal)
			continue
		}
		leading, resign := context.WithCancel(ctx)
		renewed := make(chan struct{})
		go func() {
			defer close(renewed)
			defer resign()
			e.renew(leading)
		}()
		tick := time.NewTicker(follow)
		e.serve(leading, tick.C)
		tick.Stop()
		resign()
		<-renewed
	}
	e.resign(context.WithoutCancel(ctx))
}

// wait waits, or returns false when the context ends.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// leader is the setting that says which process leads and until when, on the clock of the database.
const (
	leader = "subscription-leader"
	clock  = "(extract(epoch from clock_timestamp()) * 1000)::bigint"
)

// lead takes or renews the lead. The row's lock decides between nodes that ask at once.
func (e *Engine) lead(ctx context.Context) (bool, error) {
	bounded, cancel := context.WithTimeout(ctx, tenure/3)
	defer cancel()
	var leads bool
	err := e.Service.Store.Tx(bounded, func(tx *sql.Tx) error {
		if _, err := e.Service.Store.SetOnce(bounded, tx, leader, "nobody 0"); err != nil {
			return err
		}
		result, err := tx.ExecContext(bounded, "UPDATE spaceserver_setting SET value = $1::text || ' ' || ("+clock+" + $2)::text WHERE name = $3 AND (split_part(value, ' ', 1) = $1::text OR split_part(value, ' ', 2)::bigint < "+clock+")",
			e.node, tenure.Milliseconds(), leader)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		leads = n == 1
		return err
	})
	return leads, err
}

// renew keeps the lead, and returns when it is lost.
func (e *Engine) renew(ctx context.Context) {
	last := e.Now()
	for wait(ctx, renewal) {
		leads, err := e.lead(ctx)
		switch {
		case err == nil && leads:
			last = e.Now()
		case err == nil || e.Now().Sub(last) > tenure-renewal:
			return
		}
	}
}

// resign lets another node lead at once.
func (e *Engine) resign(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	err := e.Service.Store.Tx(bounded, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(bounded, "UPDATE spaceserver_setting SET value = 'nobody 0' WHERE name = $1 AND split_part(value, ' ', 1) = $2", leader, e.node)
		return err
	})
	e.complain(ctx, "the lead could not be given back", err)
}

func (e *Engine) complain(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		e.Logger.ErrorContext(ctx, what, "error", err)
	}
}

// serve keeps a pump for each subscription until the context ends. Ticks say that other nodes may have written events.
func (e *Engine) serve(ctx context.Context, ticks <-chan time.Time) {
	var running sync.WaitGroup
	defer running.Wait()
	defer e.stop()
	seen := int64(-1)
	hint(e.stale)
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.stale:
			if err := e.list(ctx, &running); err != nil {
				e.complain(ctx, "subscriptions could not be read", err)
				if wait(ctx, retry) {
					hint(e.stale)
				}
			}
		case <-ticks:
			last, err := e.Service.Store.Counter(ctx, e.Service.Store.DB.Read(), "events")
			e.complain(ctx, "events could not be counted", err)
			if err == nil && last != seen {
				seen = last
				hint(e.stale)
				e.wake("*")
			}
		}
	}
}

// list starts pumps for subscriptions that are new or changed, and stops those of others.
func (e *Engine) list(ctx context.Context, running *sync.WaitGroup) error {
	rows, _, err := e.Service.Store.List(ctx, e.Service.Store.DB.Read(), document.Query{Kind: "Subscriptions", Order: document.OldestFirst})
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	there := map[string]bool{}
	for _, row := range rows {
		o, err := octopus.ParseObject(row.Body)
		if err != nil {
			return err
		}
		if o.Bool("IsDisabled") || o.Object("EventNotificationSubscription").Text("WebhookURI") == "" {
			continue
		}
		key := row.Space + "/" + row.ID
		there[key] = true
		old := e.pumps[key]
		if old != nil && old.revision == row.Revision {
			continue
		}
		p := newPump(e, row, o)
		before := make(chan struct{})
		close(before)
		if old != nil { // what it posts ends before its successor begins, so that the order stays
			old.cancel()
			before = old.done
		}
		e.pumps[key] = p
		pumping, cancel := context.WithCancel(ctx)
		p.cancel = cancel
		running.Go(func() {
			defer close(p.done)
			defer cancel()
			<-before
			p.run(pumping)
		})
	}
	for key, p := range e.pumps {
		if !there[key] {
			p.cancel()
			delete(e.pumps, key)
		}
	}
	return nil
}

func (e *Engine) stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.pumps {
		p.cancel()
	}
	clear(e.pumps)
}
