package provider

import (
	"context"
	"errors"
	"sync"
	"time"

	"odcm"
	"odcm/kit/lease"
)

const (
	leaseName  = "identity/providers"
	leaseLife  = 10 * time.Second
	lookEvery  = time.Minute     // at providers whose hints were lost
	watchEvery = 5 * time.Second // what changed in a directory that can tell
	retryFirst = 10 * time.Second
	retryLast  = 5 * time.Minute
)

// Run reads directories on the one replica that holds the lease, and takes hints about changed settings (what
// Bus.Subscribe("provider") gives), until ctx ends or hints closes.
func (s *Service) Run(ctx context.Context, hints <-chan string) error {
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{s: s, pokes: make(chan odcm.ProviderID)}
	var held sync.WaitGroup
	defer held.Wait()
	defer cancel()
	if s.o.Leases != nil {
		held.Go(func() { w.hold(ctx) })
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case topic, ok := <-hints:
			if !ok {
				return nil
			}
			w.poke(s.heard(topic))
		}
	}
}

// watch is the reading of directories, where this replica does it.
type watch struct {
	s     *Service
	pokes chan odcm.ProviderID

	mu    sync.Mutex
	loops map[odcm.ProviderID]*loop // nil where another replica reads
	look  chan struct{}             // something changed: see which loops there should be
}

// loop reads one directory, apart from all others.
type loop struct {
	poke chan struct{}
	stop context.CancelFunc
}

func (w *watch) hold(ctx context.Context) {
	for ctx.Err() == nil {
		err := w.s.o.Leases.Hold(ctx, leaseName, w.s.o.Replica, leaseLife, w.lead)
		if ctx.Err() != nil {
			return
		}
		w.s.o.Logger.Warn("directories are not read at this moment", "error", err)
		pause(ctx, leaseLife)
	}
}

// lead keeps a loop for every directory that is to be read, while the lease is held.
func (w *watch) lead(ctx context.Context, _ lease.Lease) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	look := make(chan struct{}, 1)
	w.mu.Lock()
	w.loops, w.look = map[odcm.ProviderID]*loop{}, look
	w.mu.Unlock()
	defer running.Wait()
	defer func() {
		w.mu.Lock()
		w.loops, w.look = nil, nil
		w.mu.Unlock()
		cancel()
	}()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := w.arrange(ctx, &running); err != nil && ctx.Err() == nil {
			w.s.o.Logger.Warn("providers could not be listed", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look:
		case <-tick.C:
		}
	}
}

// arrange starts loops for directories that are new and stops those of directories that are gone or disabled.
func (w *watch) arrange(ctx context.Context, running *sync.WaitGroup) error {
	records, err := w.s.o.Store.Providers(ctx)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	wanted := map[odcm.ProviderID]bool{}
	for _, r := range records {
		if _, known := w.s.connectors[r.Kind]; !r.Enabled || !known || !MayRead(r.Kind) {
			continue
		}
		wanted[r.ID] = true
		if w.loops[r.ID] == nil {
			its, stop := context.WithCancel(ctx)
			l := &loop{poke: make(chan struct{}, 1), stop: stop}
			w.loops[r.ID] = l
			running.Go(func() { w.s.follow(its, r.ID, l.poke) })
		}
	}
	for id, l := range w.loops {
		if !wanted[id] {
			l.stop()
			delete(w.loops, id)
		}
	}
	return nil
}

// poke has the loops look again; "" pokes all.
func (w *watch) poke(id odcm.ProviderID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.look == nil {
		return
	}
	nudge(w.look)
	for other, l := range w.loops {
		if id == "" || other == id {
			nudge(l.poke)
		}
	}
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// follow reads one directory for as long as ctx lasts: everything when it begins, when somebody asks and when the interval
// is over, and in between what changed, where the directory can tell.
func (s *Service) follow(ctx context.Context, id odcm.ProviderID, poke <-chan struct{}) {
	f := follower{s: s, id: id, full: true, retry: retryFirst}
	for ctx.Err() == nil {
		wait := f.step(ctx)
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-poke:
		case <-t.C:
		}
		t.Stop()
	}
}

// follower is what a loop remembers. What it forgets with a restart costs one full reading.
type follower struct {
	s        *Service
	id       odcm.ProviderID
	full     bool   // read everything next
	mark     string // of the changes that were seen
	revision int64
	rest     time.Time     // no reading of everything because of changes before that
	after    time.Time     // not before: it failed
	retry    time.Duration // how long after the next failure
}

// step does what is due and says how long nothing will be.
func (f *follower) step(ctx context.Context) time.Duration {
	r, err := f.s.o.Store.Provider(ctx, f.id)
	if err != nil {
		return retryFirst
	}
	if r.Revision != f.revision { // other settings: another directory, perhaps
		f.revision, f.full, f.mark, f.after, f.retry = r.Revision, true, "", time.Time{}, retryFirst
	}
	every := r.SyncEvery
	if every == 0 {
		every = DefaultSyncEvery
	}
	now := f.s.now()
	asked := r.Sync.Asked.After(r.Sync.Tried)
	if wait := f.after.Sub(now); wait > 0 && !asked {
		return wait
	}
	source, err := f.s.open(r)
	if err != nil {
		_ = f.s.failed(ctx, r, now, err) // shown with the provider
		f.after = now.Add(every)         // or until the settings change
		return every
	}
	d, ok := source.(Directory)
	if !ok {
		return every
	}
	watched, _ := source.(Watched)
	whole := f.full || asked || now.Sub(r.Sync.Tried) >= every
	if err := f.read(ctx, r, d, watched, whole); err != nil {
		f.full = true
		f.after = f.s.now().Add(f.retry)
		wait := f.retry
		f.retry = min(2*f.retry, retryLast)
		return wait
	}
	f.retry = retryFirst
	switch {
	case watched != nil:
		return watchEvery
	case whole:
		return every
	}
	return every - now.Sub(r.Sync.Tried)
}

func (f *follower) read(ctx context.Context, r Record, d Directory, watched Watched, whole bool) error {
	var changes Changes
	if watched != nil { // the mark is taken before the reading: what changes meanwhile is seen again
		var err error
		if changes, err = watched.Changes(ctx, f.mark); err != nil {
			return f.s.failed(ctx, r, f.s.now(), err)
		}
	}
	var err error
	switch now := f.s.now(); {
	case whole || changes.All && !now.Before(f.rest):
		err = f.s.syncAll(ctx, r, d)
		done := f.s.now()
		f.rest = done.Add(4 * done.Sub(now)) // a busy directory is read a fifth of the time at most
	case changes.All:
		return nil // the mark stays: it is told again
	case len(changes.People) > 0:
		err = f.s.syncSome(ctx, r, d, changes.People)
	}
	if errors.Is(err, odcm.E(odcm.Conflict, "provider.sync-held", "")) {
		err = nil // it is shown; there is no use in asking again at once
	}
	if err == nil {
		f.full, f.mark = false, changes.Mark
	}
	return err
}

// syncSome reads those of the people who are linked, and applies it. That somebody is gone is left for the reading of
// everything to say: among a few it cannot be told from a directory that lost everybody.
func (s *Service) syncSome(ctx context.Context, r Record, d Directory, changed []string) error {
	linked, err := s.linked(ctx, r.ID, changed)
	if err != nil || len(linked) == 0 {
		return err
	}
	for from := 0; from < len(linked); from += readBatch {
		seen, err := s.read(ctx, d, linked[from:min(from+readBatch, len(linked))])
		if err != nil {
			return s.failed(ctx, r, s.now(), err)
		}
		present := seen[:0]
		for _, o := range seen {
			if !o.Gone {
				present = append(present, o)
			}
		}
		if err := s.observe(ctx, r.ID, present); err != nil {
			return err
		}
	}
	return nil
}

// linked takes those of the subjects that are linked to the provider.
func (s *Service) linked(ctx context.Context, id odcm.ProviderID, subjects []string) (found []string, err error) {
	wanted := make(map[string]bool, len(subjects))
	for _, subject := range subjects {
		wanted[subject] = true
	}
	for after := ""; ; {
		page, err := s.o.People.Linked(ctx, id, after, linkedPage)
		if err != nil {
			return nil, err
		}
		for _, subject := range page {
			if wanted[subject] {
				found = append(found, subject)
			}
		}
		if len(page) < linkedPage {
			return found, nil
		}
		after = page[len(page)-1]
	}
}
