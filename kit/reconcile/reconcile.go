package reconcile

import (
	"container/heap"
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Aspect is one side of a thing that is brought to its desired state. Reconcile reads what is desired and what is, and
// writes the difference; it does nothing where there is none, because it runs again and again. It returns soon after its
// context ends.
type Aspect interface {
	Name() string
	Reconcile(ctx context.Context, key string) error
}

// Options of a reconciler. Keys is needed, the rest may be zero.
type Options struct {
	// Keys lists every key, owned by this replica or not.
	Keys func(context.Context) ([]string, error)
	// Owns tells whether this replica works on the key; nil owns every key. It is asked often and must be cheap.
	Owns func(key string) bool
	// Changed returns a channel that is closed when answers of Owns change, as lease.Shards.Changed does. Without it
	// they are noticed within a second for keys that run, and at the next listing for the others.
	Changed func() <-chan struct{}
	// Workers bounds how many keys run at once; 8 where zero.
	Workers int
	// Resync is the time between two runs of an aspect that nothing woke, and between two listings of the keys; 5 minutes
	// where zero. A tenth of jitter more or less spreads them.
	Resync time.Duration
	// MinBackoff and MaxBackoff bound the wait after a failure; 1 second and 5 minutes where zero.
	MinBackoff, MaxBackoff time.Duration
	// Logger gets failures; nil for none.
	Logger *slog.Logger
	// Observe is told of every finished run of an aspect, for metrics.
	Observe func(key, aspect string, took time.Duration, err error)
}

// Reconciler runs aspects over keys.
type Reconciler struct {
	o       Options
	aspects []Aspect
	kick    chan struct{} // the dispatcher should look again

	mu      sync.Mutex
	items   map[string]*item
	queue   queue // the items that do not run, by when they are due
	running int
}

// item is what is known of a key.
type item struct {
	key     string
	aspects []AspectState
	next    time.Time
	index   int                // in the queue; -1 while it runs
	woken   bool               // since its last run began: every aspect is due
	touched time.Time          // last woken or run
	cancel  context.CancelFunc // of the run
}

// New makes a reconciler. The aspects of a key run one after another in the order given, also after one that fails.
func New(o Options, aspects ...Aspect) *Reconciler {
	if o.Owns == nil {
		o.Owns = func(string) bool { return true }
	}
	if o.Changed == nil {
		o.Changed = func() <-chan struct{} { return nil }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Observe == nil {
		o.Observe = func(string, string, time.Duration, error) {}
	}
	if o.Workers == 0 {
		o.Workers = 8
	}
	if o.Resync == 0 {
		o.Resync = 5 * time.Minute
	}
	if o.MinBackoff == 0 {
		o.MinBackoff = time.Second
	}
	if o.MaxBackoff == 0 {
		o.MaxBackoff = 5 * time.Minute
	}
	return &Reconciler{o: o, aspects: aspects, kick: make(chan struct{}, 1), items: map[string]*item{}}
}

// Wake asks for a run of all aspects of the key now, whatever they wait for. It never blocks and does nothing for a key of
// another replica. Wakes that come before the run begins are one.
func (r *Reconciler) Wake(key string) {
	if !r.o.Owns(key) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	it := r.items[key]
	if it == nil {
		it = r.add(key)
	}
	it.woken, it.touched = true, time.Now()
	if it.index >= 0 && it.next.After(it.touched) {
		it.next = it.touched
		heap.Fix(&r.queue, it.index)
	}
	r.poke()
}

// add makes an item that is due now. The mutex must be held, as for all that follows but the loops.
func (r *Reconciler) add(key string) *item {
	it := &item{key: key, next: time.Now()}
	for _, a := range r.aspects {
		it.aspects = append(it.aspects, AspectState{Name: a.Name()})
	}
	r.items[key] = it
	heap.Push(&r.queue, it)
	return it
}

func (r *Reconciler) drop(it *item) {
	delete(r.items, it.key)
	if it.index >= 0 {
		heap.Remove(&r.queue, it.index)
	}
}

func (r *Reconciler) poke() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// Run works until the context ends and every run has returned. Run it once.
func (r *Reconciler) Run(ctx context.Context) error {
	var all sync.WaitGroup
	all.Go(func() { r.list(ctx) })
	for checked := time.Now(); ctx.Err() == nil; {
		timer := time.NewTimer(r.dispatch(ctx, &all))
		select {
		case <-ctx.Done():
		case <-r.kick:
		case <-timer.C:
		}
		timer.Stop()
		if time.Since(checked) >= time.Second {
			r.disown()
			checked = time.Now()
		}
	}
	all.Wait()
	return ctx.Err()
}

// dispatch begins what is due and returns how long to wait for more.
func (r *Reconciler) dispatch(ctx context.Context, all *sync.WaitGroup) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.running < r.o.Workers && len(r.queue) > 0 && !r.queue[0].next.After(time.Now()) {
		it := heap.Pop(&r.queue).(*item)
		if !r.o.Owns(it.key) {
			r.drop(it)
			continue
		}
		run, cancel := context.WithCancel(ctx)
		everything := it.woken
		it.cancel, it.woken, it.touched = cancel, false, time.Now()
		r.running++
		all.Go(func() { r.work(run, it, everything) })
	}
	pause := r.o.Resync
	if len(r.queue) > 0 && r.running < r.o.Workers {
		pause = min(pause, time.Until(r.queue[0].next))
	}
	if r.running > 0 {
		pause = min(pause, time.Second) // to see whether running keys are still owned
	}
	return pause
}

// disown ends the runs of keys that belong to another replica now and forgets those that do not run.
func (r *Reconciler) disown() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, it := range r.items {
		switch {
		case r.o.Owns(it.key):
		case it.index < 0:
			it.cancel()
		default:
			r.drop(it)
		}
	}
}

// list learns of keys that nobody woke: at the start, when ownership changes, and now and then.
func (r *Reconciler) list(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		changed := r.o.Changed() // before Owns is asked
		r.disown()
		began := time.Now()
		keys, err := r.o.Keys(ctx)
		pause := jitter(r.o.Resync)
		if err != nil {
			failures++
			pause = r.backoff(failures)
			if ctx.Err() == nil {
				r.o.Logger.Warn("keys to reconcile cannot be listed", "error", err, "attempt", failures, "again", pause)
			}
		} else {
			failures = 0
			r.adopt(keys, began)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// adopt adds the keys that are new and forgets those that are gone: neither listed, nor running, nor touched since the
// listing began, for a key that was woken meanwhile may be newer than the list.
func (r *Reconciler) adopt(keys []string, began time.Time) {
	listed := make(map[string]bool, len(keys))
	for _, key := range keys {
		listed[key] = r.o.Owns(key)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, owned := range listed {
		if owned && r.items[key] == nil {
			r.add(key)
		}
	}
	for key, it := range r.items {
		if !listed[key] && it.index >= 0 && it.touched.Before(began) {
			r.drop(it)
		}
	}
	r.poke()
}

func (r *Reconciler) backoff(failures int) time.Duration {
	d := r.o.MaxBackoff
	if shift := failures - 1; shift < 30 && r.o.MinBackoff<<shift < d {
		d = r.o.MinBackoff << shift
	}
	return d/2 + rand.N(d/2+1)
}

func jitter(d time.Duration) time.Duration { return d - d/10 + rand.N(d/5+1) }

// Len returns how many keys this replica knows to be its own.
func (r *Reconciler) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.items)
}

// State returns what is known of the key; false where this replica does not work on it.
func (r *Reconciler) State(key string) (State, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	it := r.items[key]
	if it == nil {
		return State{}, false
	}
	return State{Running: it.index < 0, Next: it.next, Aspects: slices.Clone(it.aspects)}, true
}
