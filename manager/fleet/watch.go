package fleet

import (
	"context"
	"sync"
	"time"

	"odcm"
	"odcm/kit/signal"
)

// watch shares one subscription among all who wait: with thousands of agents, each waiting for its own server, a hint
// must not wake them all.
type watch struct {
	sub  *signal.Subscription
	done chan struct{}

	mu      sync.Mutex
	waiting map[string]map[chan struct{}]struct{}
}

func newWatch(bus *signal.Bus) *watch {
	w := &watch{sub: bus.Subscribe("instance", "server"), done: make(chan struct{}), waiting: map[string]map[chan struct{}]struct{}{}}
	go w.run()
	return w
}

func (w *watch) run() {
	defer close(w.done)
	for topic := range w.sub.C {
		w.mu.Lock()
		if topic != signal.All {
			wake(w.waiting[topic])
		} else {
			for _, waiters := range w.waiting {
				wake(waiters)
			}
		}
		w.mu.Unlock()
	}
}

func wake(waiters map[chan struct{}]struct{}) {
	for c := range waiters {
		select {
		case c <- struct{}{}:
		default: // it has a hint already
		}
	}
}

// topic gives a channel that has a value after a change. Ask before the first look, so that none is missed.
func (w *watch) topic(topic string) (changed <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting[topic] == nil {
		w.waiting[topic] = map[chan struct{}]struct{}{}
	}
	w.waiting[topic][c] = struct{}{}
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if delete(w.waiting[topic], c); len(w.waiting[topic]) == 0 {
			delete(w.waiting, topic)
		}
	}
}

// wait returns nil after a change or when the time is over, an error when the context ends or the fleet closes.
func (w *watch) wait(ctx context.Context, changed <-chan struct{}, atMost time.Duration) error {
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	select {
	case <-changed:
		return nil
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-w.done:
		return odcm.E(odcm.Unavailable, "fleet.closing", "The manager is stopping: try again in a moment.")
	}
}

func (w *watch) close() {
	w.sub.Close()
	<-w.done
}
