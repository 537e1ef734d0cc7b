package identity

import (
	"context"
	"regexp"
	"strings"
	"testing"
)

func TestPasswords(t *testing.T) {
	t.Parallel()
	h, ctx := newHasher(), context.Background()
	stored, err := h.hash(ctx, "correct horse")
	if err != nil || !strings.HasPrefix(stored, "$argon2id$v=19$m=19456,t=2,p=1$") || strings.Contains(stored, "horse") {
		t.Fatalf("stored %q, %v", stored, err)
	}
	for password, want := range map[string]bool{"correct horse": true, "Correct horse": false, "": false} {
		if got, err := h.matches(ctx, stored, password); err != nil || got != want {
			t.Errorf("%q: %v, %v", password, got, err)
		}
	}
	if got, err := h.matches(ctx, "", ""); err != nil || got {
		t.Errorf("a user without a password: %v, %v", got, err)
	}
	if _, err := h.matches(ctx, "$argon2id$v=19$m=99999999999,t=2,p=1$AAAA$AAAA", "x"); err == nil {
		t.Error("a stored cost beyond all bounds was used")
	}
}

func TestTooManyWaitersAreSentAway(t *testing.T) {
	t.Parallel()
	h := &hasher{running: make(chan struct{}, 1), waiting: make(chan struct{}, 1)}
	leave, err := h.enter(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	h.waiting <- struct{}{} // somebody waits already
	if _, err := h.enter(context.Background()); err == nil {
		t.Error("nobody was sent away")
	}
	<-h.waiting
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := h.enter(ctx); err == nil {
		t.Error("who gave up got in")
	}
	leave()
}

func TestKeysAreWhatClientsTake(t *testing.T) {
	t.Parallel()
	a, b := NewKey(), NewKey()
	if !regexp.MustCompile(`^API-[A-Z0-9]{32}$`).MatchString(a) || a == b {
		t.Errorf("keys %s, %s", a, b)
	}
}
