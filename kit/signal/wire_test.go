package signal

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"odcm/kit/db/dbtest"
)

func TestPayloads(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		topics := rapid.SliceOf(rapid.StringMatching(`[a-z]{1,10}(/[a-z0-9-]{1,900})?`)).Draw(t, "topics")
		var got []string
		for _, p := range payloads("ORIGIN", topics) {
			if len(p) > payloadLimit {
				t.Fatalf("a payload of %d bytes", len(p))
			}
			origin, rest, _ := strings.Cut(p, "\n")
			if origin != "ORIGIN" {
				t.Fatalf("origin %q", origin)
			}
			got = append(got, strings.Split(rest, "\n")...)
		}
		if !slices.Equal(got, topics) {
			t.Fatalf("%d topics became %d", len(topics), len(got))
		}
	})
}

func TestPayloadsOfOddTopics(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", payloadLimit)
	if got, want := payloads("O", []string{"a", long, "b\nc"}), []string{"O\na\n*\n*"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if got := payloads("O", nil); got != nil {
		t.Errorf("nothing became %q", got)
	}
}

// What cannot be sent waits for the next attempt.
func TestFailedFlushKeepsItsTopics(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.PostgreSQL(t))
	w := &wire{pool: d.Pool, origin: "O", waiting: map[string]struct{}{}, kick: make(chan struct{}, 1)}
	w.send("a", "b", "a")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.flush(ended); err == nil || len(w.waiting) != 2 || len(w.kick) != 1 {
		t.Errorf("after a failure: %v, waiting %v", err, w.waiting)
	}
	if err := w.flush(t.Context()); err != nil || len(w.waiting) != 0 {
		t.Errorf("after success: %v, waiting %v", err, w.waiting)
	}
}

func TestTooManyTopicsToSendBecomeAll(t *testing.T) {
	t.Parallel()
	w := &wire{waiting: map[string]struct{}{}, kick: make(chan struct{}, 1)}
	for i := range queueLimit + 1 {
		w.send(strconv.Itoa(i))
	}
	if _, all := w.waiting[All]; !all || len(w.waiting) != 1 {
		t.Errorf("%d topics wait", len(w.waiting))
	}
}

func TestBackoffIsBounded(t *testing.T) {
	t.Parallel()
	for failures := range 100 {
		if d := backoff(failures); d <= 0 || d > 5_000_000_000 {
			t.Errorf("after %d failures: %v", failures, d)
		}
	}
}
