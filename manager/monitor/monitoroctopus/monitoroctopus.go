// Package monitoroctopus asks Octopus servers how they are doing, for monitor. Each watched server has one line: a connection
// that is held open, over which pings and questions go, and whose loss is told at once. An idle line is a few hundred bytes: no
// goroutine waits on it and no buffer belongs to it.
//
// A line has no rules of its own about whom to trust: the guard dials, as for every request of ODCM. About once an hour the
// connection is made anew, so that what a name means and which certificate a server has are not believed for ever.
package monitoroctopus

import (
	"context"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/sync/semaphore"

	"odcm"
	"odcm/kit/egress"
	"odcm/manager/monitor"
	"odcm/octopus"
	"odcm/octopus/octoclient"
)

// perHost bounds the pings under way to one host and port, where many Spaces may live: whoever waits for a place as long as a ping
// may take has no answer either.
const perHost = 64

// Prober implements [monitor.Prober].
type Prober struct {
	guard   *egress.Guard
	budgets *octoclient.Budgets
	began   time.Time

	mu    sync.Mutex
	lines map[odcm.InstanceID]*line
	hosts map[string]*host
	hold  *holder // while Watch runs; nil: connections are not held
}

// host is what lines to the same host and port share.
type host struct {
	name   string
	lines  int
	places *semaphore.Weighted // nil while there is one line
}

// New makes a prober. Guard and budgets are those of the whole program.
func New(guard *egress.Guard, budgets *octoclient.Budgets) *Prober {
	return &Prober{guard: guard, budgets: budgets, began: time.Now(), lines: map[odcm.InstanceID]*line{}, hosts: map[string]*host{}}
}

// line returns the instance's, made for the target's revision, and the places at its host; nil where there are as many as one
// likes.
func (p *Prober) line(t monitor.Target) (*line, *semaphore.Weighted, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.lines[t.Instance]; l != nil && l.revision == t.Revision && l.url == t.URL {
		return l, l.at.places, nil
	}
	base, err := octoclient.ParseURL(t.URL)
	if err != nil {
		return nil, nil, err
	}
	name, err := httpguts.PunycodeHostPort(base.Host)
	if err != nil {
		return nil, nil, odcm.E(odcm.Invalid, "octopus.url", "The host %s is not a name that can be looked up.", base.Host).OnField("url").Because(err)
	}
	p.drop(t.Instance)
	at := p.hosts[name]
	if at == nil {
		at = &host{name: name}
		p.hosts[name] = at
	}
	if at.lines++; at.lines == 2 {
		at.places = semaphore.NewWeighted(perHost)
	}
	l := &line{prober: p, id: t.Instance, revision: t.Revision, url: t.URL, at: at, path: base.EscapedPath(), secure: base.Scheme == "https",
		trust: egress.TLS{CA: t.CA, Thumbprint: t.Thumbprint}, budget: p.budgets.For(base)}
	p.lines[t.Instance] = l
	return l, at.places, nil
}

// Forget implements [monitor.Prober].
func (p *Prober) Forget(id odcm.InstanceID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(id)
}

// drop wants the lock held.
func (p *Prober) drop(id odcm.InstanceID) {
	l := p.lines[id]
	if l == nil {
		return
	}
	delete(p.lines, id)
	if l.at.lines--; l.at.lines == 0 {
		delete(p.hosts, l.at.name)
	}
	go l.retire() // it may be in use
}

// Watch implements [monitor.Prober].
func (p *Prober) Watch(ctx context.Context, lost func(odcm.InstanceID)) error {
	h, err := newHolder(func(l *line) {
		if l.cut() {
			lost(l.id)
		}
	})
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.hold = h
	p.mu.Unlock()
	stop := context.AfterFunc(ctx, h.stop)
	defer stop()
	err = h.run()
	p.mu.Lock()
	p.hold = nil
	for id := range p.lines {
		p.drop(id)
	}
	p.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// holding is who watches idle connections; nil while nobody does.
func (p *Prober) holding() *holder {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hold
}

// Ping implements [monitor.Prober]: GET /api/octopusservernodes/ping.
func (p *Prober) Ping(ctx context.Context, t monitor.Target) (monitor.Pong, error) {
	l, places, err := p.line(t)
	if err != nil {
		return monitor.Pong{}, err
	}
	if places != nil {
		if err := places.Acquire(ctx, 1); err != nil {
			if ctx.Err() == context.Canceled {
				return monitor.Pong{}, ctx.Err()
			}
			return monitor.Pong{}, odcm.E(odcm.Unavailable, "octopus.unreachable",
				"%s does not answer: %d pings wait there already.", l.at.name, perHost).Because(err)
		}
		defer places.Release(1)
	}
	l.budget.Pinged()
	began := time.Now()
	res, err := l.send(ctx, http.MethodGet, l.path+octopus.PingRoute, nil, pingBody)
	if err != nil {
		return monitor.Pong{}, err
	}
	return l.pong(res, began, time.Since(began)), nil
}
