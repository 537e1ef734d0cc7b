package collect

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"odcm"
)

// Owner tells which Spaces this replica collects from (lease.Shards).
type Owner interface {
	Owns(key string) bool
	Changed() <-chan struct{} // closed when Owns changes next
}

// Options are what a [Collector] needs. Store, Connect, Spaces and Owner are required.
type Options struct {
	Store   Store
	Connect Connect
	Spaces  Spaces
	Owner   Owner
	Logger  *slog.Logger
	Now     func() time.Time

	Every  time.Duration // between two looks at a Space of which nothing was heard; 5 minutes if zero
	Keep   time.Duration // how far back it reads when it begins; 400 days if zero
	AtOnce int           // Spaces that are read at a time; 8 if zero
	Within time.Duration // bounds a round; 5 minutes if zero
}

// Collector collects from the Spaces that this replica owns.
type Collector struct {
	o Options

	mu     sync.Mutex
	spaces map[odcm.SpaceID]*turn
	change chan struct{} // something may be due
	fresh  bool          // a Space was named that is not known: look which there are
}

// turn is when a Space is due.
type turn struct {
	space  Space
	due    time.Time
	failed int // rounds in a row
	busy   bool
	woken  bool // while it was busy
}

const (
	// rest is the least time between two rounds of a Space.
	rest = 5 * time.Second
	// listEvery is how often it is looked which Spaces there are.
	listEvery = 30 * time.Second
	listAgain = time.Second // after it failed
	// farthest bounds the wait after failures.
	farthest = time.Hour
	// spread is over what time the first rounds are strewn where there are many.
	spread = time.Minute
)

// New makes a collector. It does nothing until [Collector.Run].
func New(o Options) *Collector {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Every == 0 {
		o.Every = 5 * time.Minute
	}
	if o.Keep == 0 {
		o.Keep = 400 * 24 * time.Hour
	}
	if o.AtOnce == 0 {
		o.AtOnce = 8
	}
	if o.Within == 0 {
		o.Within = 5 * time.Minute
	}
	return &Collector{o: o, spaces: map[odcm.SpaceID]*turn{}, change: make(chan struct{}, 1)}
}

func (c *Collector) now() time.Time { return c.o.Now().UTC().Truncate(time.Millisecond) }

// Wake says that something happened in a Space: it is read soon, on the replica that owns it.
func (c *Collector) Wake(id odcm.SpaceID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, ok := c.spaces[id]
	if !ok {
		c.fresh = c.fresh || c.o.Owner.Owns(string(id))
		c.hint()
		return
	}
	if t.busy {
		t.woken = true
		return
	}
	if soon := time.Now().Add(rest); t.failed == 0 && t.due.After(soon) {
		t.due = soon
	}
	c.hint()
}

// named tells, once, whether a Space was named that is not known.
func (c *Collector) named() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	fresh := c.fresh
	c.fresh = false
	return fresh
}

func (c *Collector) hint() {
	select {
	case c.change <- struct{}{}:
	default:
	}
}

// Run collects until ctx ends. Spaces that fail have places of their own, so that servers which hang keep nobody else waiting.
func (c *Collector) Run(ctx context.Context) error {
	healthy, failing := make(chan struct{}, c.o.AtOnce), make(chan struct{}, max(1, c.o.AtOnce/2))
	var rounds sync.WaitGroup
	defer rounds.Wait()
	list := time.NewTimer(0)
	defer list.Stop()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		changed := c.o.Owner.Changed()
		timer.Reset(c.start(ctx, &rounds, healthy, failing))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			continue
		case <-c.change:
			if !c.named() {
				continue
			}
		case <-changed:
		case <-list.C:
		}
		if err := c.refresh(ctx); err != nil && ctx.Err() == nil {
			c.o.Logger.Error("read which Spaces to collect from", "error", err)
			list.Reset(listAgain)
			continue
		}
		list.Reset(listEvery)
	}
}

// refresh takes in which Spaces there are.
func (c *Collector) refresh(ctx context.Context) error {
	all, err := c.o.Spaces.Spaces(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	there := make(map[odcm.SpaceID]bool, len(all))
	for _, s := range all {
		if !c.o.Owner.Owns(string(s.ID)) {
			continue
		}
		there[s.ID] = true
		if t, ok := c.spaces[s.ID]; ok {
			t.space = s
			continue
		}
		due := time.Now()
		if len(all) > c.o.AtOnce {
			due = due.Add(rand.N(spread)) // spreads load, keeps no secret
		}
		c.spaces[s.ID] = &turn{space: s, due: due}
	}
	for id := range c.spaces {
		if !there[id] {
			delete(c.spaces, id)
		}
	}
	return nil
}

// start begins the rounds that are due and for which there is a place, and returns when to look again.
func (c *Collector) start(ctx context.Context, rounds *sync.WaitGroup, healthy, failing chan struct{}) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, next := time.Now(), time.Now().Add(listEvery)
	for {
		t := c.longest(now, len(healthy) < cap(healthy), len(failing) < cap(failing))
		if t == nil {
			break
		}
		places := healthy
		if t.failed > 0 {
			places = failing
		}
		places <- struct{}{}
		t.busy = true
		space := t.space // refresh writes it
		rounds.Go(func() {
			defer c.hint()
			defer func() { <-places }()
			c.turn(ctx, t, space)
		})
	}
	for _, t := range c.spaces {
		if !t.busy && t.due.After(now) && t.due.Before(next) {
			next = t.due
		}
	}
	return next.Sub(now)
}

// longest is the Space that has been due for the longest among those for which there is a place.
func (c *Collector) longest(now time.Time, healthy, failing bool) (found *turn) {
	for _, t := range c.spaces {
		free := healthy
		if t.failed > 0 {
			free = failing
		}
		if free && !t.busy && !t.due.After(now) && (found == nil || t.due.Before(found.due)) {
			found = t
		}
	}
	return found
}

func (c *Collector) turn(ctx context.Context, t *turn, space Space) {
	more, err := false, error(nil)
	if c.o.Owner.Owns(string(space.ID)) {
		bounded, cancel := context.WithTimeout(ctx, c.o.Within)
		more, err = c.Round(bounded, space)
		cancel()
	}
	if err != nil && ctx.Err() == nil {
		c.o.Logger.Warn("Space not read for reports", "space", space.ID, "error", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t.busy = false
	wait := c.o.Every
	switch {
	case err != nil && odcm.KindOf(err) != odcm.Conflict: // a conflict is another replica that works on it
		t.failed++
		wait = min(farthest, c.o.Every<<min(t.failed-1, 10))
	case more, t.woken:
		t.failed, wait = 0, rest
	default:
		t.failed = 0
	}
	t.woken = false
	t.due = time.Now().Add(wait - wait/10 + rand.N(wait/5+1)) // spreads load, keeps no secret
}
