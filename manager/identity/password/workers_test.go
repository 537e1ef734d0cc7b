package password

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"odcm"
)

func TestHashingIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHashing(5) // two at once
		release := make(chan struct{})
		results := make(chan error, 100)
		var running, most atomic.Int64
		for range 2 + 32 {
			go func() {
				results <- h.do(t.Context(), func() error {
					most.Store(max(most.Load(), running.Add(1)))
					<-release
					running.Add(-1)
					return nil
				})
			}()
			synctest.Wait()
		}
		if n := running.Load(); n != 2 {
			t.Fatalf("%d run at once, want 2", n)
		}
		if err := h.do(t.Context(), func() error { return nil }); odcm.CodeOf(err) != "identity.busy" || odcm.KindOf(err) != odcm.Unavailable {
			t.Errorf("past the queue: %v", err)
		}
		for range 2 + 30 {
			release <- struct{}{}
			synctest.Wait()
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { results <- h.do(ctx, func() error { return nil }) }()
		synctest.Wait()
		cancel()
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("gone while waiting: %v", err)
		}
		start := time.Now()
		if err := h.do(t.Context(), func() error { return nil }); odcm.CodeOf(err) != "identity.busy" || time.Since(start) != h.patience {
			t.Errorf("after %v of waiting: %v", time.Since(start), err)
		}
		close(release)
		for range 2 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if most.Load() != 2 || h.waiting.Load() != 0 || len(h.slots) != 0 {
			t.Errorf("at most %d at once, %d waiting and %d running at the end", most.Load(), h.waiting.Load(), len(h.slots))
		}
	})
}
