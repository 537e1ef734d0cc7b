package execution

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

func TestALockIsHeldByOneAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l locks
		release, err := l.take(t.Context(), "web01")
		if err != nil {
			t.Fatal(err)
		}
		other, err := l.take(t.Context(), "web02")
		if err != nil {
			t.Fatal(err)
		}
		other()
		got := make(chan func(), 3)
		for range 3 {
			go func() {
				release, err := l.take(t.Context(), "web01")
				if err != nil {
					t.Error(err)
				}
				got <- release
			}()
		}
		for range 3 {
			synctest.Wait()
			if len(got) != 0 {
				t.Fatal("two hold it")
			}
			release()
			release = <-got
		}
		canceled, cancel := context.WithCancelCause(t.Context())
		why := errors.New("canceled")
		cancel(why)
		if _, err := l.take(canceled, "web01"); !errors.Is(err, why) {
			t.Errorf("got %v", err)
		}
		release()
		if len(l.held) != 0 {
			t.Errorf("there is left %v", l.held)
		}
	})
}
