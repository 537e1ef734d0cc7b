// Package push brings people, their state and their teams to the Spaces that they may enter, and keeps them there.
package push

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"odcm"
	"odcm/manager/access"
	"odcm/manager/access/roster"
)

// Options are what a [Push] needs. Gate, Roster, Desires, People, Places, Store and Servers are required.
type Options struct {
	Gate     roster.Gate
	Roster   *roster.Roster
	Desires  Desires
	People   access.People
	Places   access.Places
	Store    roster.Store
	Servers  roster.Servers
	Slots    Slots // accounts get no identity if nil
	Observer Observer
	Again    func(odcm.SpaceID) // asks for another run; the next comes when it comes if nil
	Now      func() time.Time
	Logger   *slog.Logger
	// LookEvery is how long nothing is compared in full where the server says that nobody changed anything; 1 hour if zero.
	LookEvery time.Duration
}

// Push brings people, their state and their teams to the Spaces and keeps them there: an aspect of kit/reconcile, whose
// keys are Spaces. Accounts belong to the instance, which may hold several Spaces: an account is active while any of them
// lets the person in. Teams belong to the Space.
//
// Every write is one that may be repeated, and what is recorded follows it, so that a crash at any place leads to the same
// end. Where the records say that something differs from the wish, that alone is read and written; everything is compared
// when the server tells of changes that somebody made, and now and then.
type Push struct {
	o   Options
	log *slog.Logger

	mu      sync.Mutex
	busy    map[odcm.InstanceID]chan struct{} // held while an instance is written to
	touched map[odcm.SpaceID]time.Time        // when a wish arose that no run has seen yet
}

// New makes the aspect.
func New(o Options) *Push {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.LookEvery == 0 {
		o.LookEvery = time.Hour
	}
	if o.Observer == nil {
		o.Observer = unobserved{}
	}
	return &Push{o: o, log: o.Logger.With("room", "access"), busy: map[odcm.InstanceID]chan struct{}{}, touched: map[odcm.SpaceID]time.Time{}}
}

type unobserved struct{}

func (unobserved) Revoked(time.Duration) {}
func (unobserved) Drifted(int)           {}

// Name implements reconcile.Aspect.
func (p *Push) Name() string { return "access" }

// Touched notes when a change was committed that the Spaces are to be woken for, so that the time to revoke counts from
// there. Without it, it counts from the run that finds the change.
func (p *Push) Touched(at time.Time, spaces ...odcm.SpaceID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range spaces {
		if old, ok := p.touched[id]; !ok || at.Before(old) {
			p.touched[id] = at
		}
	}
}

func (p *Push) since(id odcm.SpaceID) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.touched[id]
	delete(p.touched, id)
	if !ok {
		return p.o.Now()
	}
	return at
}

// hold waits until nobody else of this replica writes to the instance: two of its Spaces would make the same account.
func (p *Push) hold(ctx context.Context, id odcm.InstanceID) (release func(), err error) {
	for {
		p.mu.Lock()
		wait, held := p.busy[id]
		if !held {
			mine := make(chan struct{})
			p.busy[id] = mine
			p.mu.Unlock()
			return func() {
				p.mu.Lock()
				delete(p.busy, id)
				p.mu.Unlock()
				close(mine)
			}, nil
		}
		p.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Reconcile implements reconcile.Aspect.
func (p *Push) Reconcile(ctx context.Context, key string) (err error) {
	defer odcm.Wrap(&err, "push people to %s", key)
	place, err := p.o.Places.Place(ctx, odcm.SpaceID(key))
	if odcm.KindOf(err) == odcm.NotFound || err == nil && !place.Active {
		return nil // a Space that comes or goes belongs to its task
	}
	if err != nil {
		return err
	}
	release, err := p.hold(ctx, place.Instance)
	if err != nil {
		return err
	}
	defer release()
	r, err := p.begin(ctx, place)
	if err != nil {
		return err
	}
	err = r.bring(ctx)
	if err != nil && ctx.Err() != nil {
		return err // stopped, not failed
	}
	if gone, late := r.undoLate(ctx); gone || late != nil {
		return errors.Join(err, late)
	}
	failure := ""
	if err != nil {
		failure = publicMessage(err)
	}
	if r.state.Failure != failure {
		r.state.Failure, r.saw = failure, true
	}
	if r.saw {
		if save := p.o.Store.SavePush(ctx, r.state); save != nil {
			return save
		}
		p.o.Roster.Tell(place.Space)
	}
	if r.again && p.o.Again != nil {
		p.o.Again(place.Space)
	}
	return err
}
