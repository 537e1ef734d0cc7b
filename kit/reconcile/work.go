package reconcile

import (
	"container/heap"
	"context"
	"runtime/debug"
	"time"

	"odcm"
)

// State is what the reconciler knows of a key.
type State struct {
	Running bool
	Next    time.Time // of the next run; in the past where it waits for a worker
	Aspects []AspectState
}

// AspectState is what the runs of an aspect did.
type AspectState struct {
	Name     string
	Attempts int       // failures in a row; 0 after a success
	Err      error     // of the last run; nil after a success and before the first run
	Tried    time.Time // end of the last run
	Applied  time.Time // end of the last run that succeeded
	Next     time.Time // of the next run, unless the key is woken before
}

// work runs the aspects of the key that are due, or all of them.
func (r *Reconciler) work(ctx context.Context, it *item, everything bool) {
	defer it.cancel()
	stopped := false
	for i, a := range r.aspects {
		if stopped = ctx.Err() != nil; stopped {
			break
		}
		if !everything && it.aspects[i].Next.After(time.Now()) { // only this goroutine writes them
			continue
		}
		began := time.Now()
		err := attempt(ctx, a, it.key)
		if stopped = err != nil && ctx.Err() != nil; stopped {
			break // it was told to stop, and did: no failure, and it is still due
		}
		r.record(&it.aspects[i], it.key, err)
		r.o.Observe(it.key, a.Name(), time.Since(began), err)
	}
	r.finish(it, everything && stopped)
}

// attempt turns a panic into an error: a defect in one aspect of one thing must not end the manager of all.
func attempt(ctx context.Context, a Aspect, key string) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = odcm.E(odcm.Internal, "reconcile.panic", "%s of %s panicked: %v\n%s", a.Name(), key, v, debug.Stack())
		}
	}()
	return a.Reconcile(ctx, key)
}

func (r *Reconciler) record(s *AspectState, key string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	s.Tried, s.Err = now, err
	if err == nil {
		s.Attempts, s.Applied, s.Next = 0, now, now.Add(jitter(r.o.Resync))
		return
	}
	s.Attempts++
	wait := r.backoff(s.Attempts)
	s.Next = now.Add(wait)
	r.o.Logger.Warn("not reconciled", "key", key, "aspect", s.Name, "error", err, "attempt", s.Attempts, "again", wait)
}

// finish puts the item back into the queue, due at once where it was woken during the run or a run for a wake was stopped.
func (r *Reconciler) finish(it *item, again bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.poke()
	r.running--
	if !r.o.Owns(it.key) {
		delete(r.items, it.key)
		return
	}
	it.touched = time.Now()
	it.next = it.touched.Add(2 * r.o.Resync) // where there are no aspects
	for _, s := range it.aspects {
		if s.Next.Before(it.next) {
			it.next = s.Next
		}
	}
	if it.woken = it.woken || again; it.woken {
		it.next = it.touched
	}
	heap.Push(&r.queue, it)
}

// queue is a heap of items by the time of their next run.
type queue []*item

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].next.Before(q[j].next) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *queue) Push(x any) {
	it := x.(*item)
	it.index = len(*q)
	*q = append(*q, it)
}

func (q *queue) Pop() any {
	last := len(*q) - 1
	it := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	it.index = -1
	return it
}
