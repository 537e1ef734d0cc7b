package password

import (
	"context"
	"sync/atomic"
	"time"

	"odcm"
)

// hashing bounds how many passwords are hashed at once, and how many wait. Each hash takes a core for tens of
// milliseconds and 19 MiB.
type hashing struct {
	slots    chan struct{}
	waiting  atomic.Int64
	queue    int64
	patience time.Duration
}

func newHashing(cores int) *hashing {
	return &hashing{slots: make(chan struct{}, max(1, cores/2)), queue: 32, patience: 5 * time.Second}
}

// do runs f when its turn comes. It answers odcm.Unavailable "identity.busy" where too many wait already, or the turn does
// not come soon.
func (h *hashing) do(ctx context.Context, f func() error) error {
	busy := func() error {
		return odcm.E(odcm.Unavailable, "identity.busy", "Too many people sign in at this moment: try again in a few seconds.").
			Because(retryAfter(h.patience))
	}
	select {
	case h.slots <- struct{}{}:
	default:
		if h.waiting.Add(1) > h.queue {
			h.waiting.Add(-1)
			return busy()
		}
		timer := time.NewTimer(h.patience)
		defer timer.Stop()
		select {
		case h.slots <- struct{}{}:
			h.waiting.Add(-1)
		case <-timer.C:
			h.waiting.Add(-1)
			return busy()
		case <-ctx.Done():
			h.waiting.Add(-1)
			return ctx.Err()
		}
	}
	defer func() { <-h.slots }()
	return f()
}
