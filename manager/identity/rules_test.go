package identity

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

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

// The wait never exceeds the limit's most, never shrinks as failures grow, and is over once it has passed.
func TestWait(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := rapid.SampledFrom([]limit{userLimit(), addressLimit()}).Draw(t, "limit")
		now := time.UnixMilli(rapid.Int64Range(1e12, 2e12).Draw(t, "now"))
		f := Failures{Count: rapid.IntRange(0, 1<<40).Draw(t, "count"), Last: now.Add(time.Duration(rapid.Int64Range(-1e13, 1e13).Draw(t, "ago")))}
		w := l.wait(f, now)
		if w < 0 || w > l.most {
			t.Fatalf("wait %v", w)
		}
		if f.Count < l.free && w != 0 {
			t.Fatalf("wait %v after %d failures", w, f.Count)
		}
		if more := l.wait(Failures{f.Count + 1, f.Last}, now); more < w {
			t.Fatalf("%v after one more failure, %v before", more, w)
		}
		if !f.Last.After(now) && l.wait(f, now.Add(w)) != 0 {
			t.Fatalf("still waiting after %v", w)
		}
	})
}

func TestUnknownUserCostsTheSame(t *testing.T) {
	t.Parallel()
	real, none := makeHash("password", currentCost()), noHash(currentCost())
	if real.cost != none.cost || len(real.salt) != len(none.salt) || len(real.key) != len(none.key) {
		t.Errorf("real %v, none %v", real.cost, none.cost)
	}
	if !real.matches("password") || real.matches("Password") || none.matches("") {
		t.Error("hashes match wrongly")
	}
}

func FuzzParseHash(f *testing.F) {
	f.Add(hash{cost: currentCost(), salt: make([]byte, 16), key: make([]byte, 32)}.String())
	f.Add("$argon2id$v=19$m=4294967295,t=2,p=1$c2FsdHNhbHQ$a2V5")
	f.Add("$argon2id$v=19$m=64,t=0,p=0$$")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := parseHash(s)
		if err != nil {
			return
		}
		if h.memory > 1<<20 || h.time > 16 || h.threads == 0 {
			t.Fatalf("accepted %+v", h.cost)
		}
		if again, err := parseHash(h.String()); err != nil || again.String() != h.String() {
			t.Fatalf("%q becomes %q: %v", s, h, err)
		}
	})
}

func FuzzParseUsername(f *testing.F) {
	for _, s := range []string{"bob", "BOB", "ｂｏｂ", "DOMAIN\\bob", "bob@example.com", "ⅷ", "ß", "\u202ebob", "é", "e\u0301"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		shown, key, err := ParseUsername(s)
		if err != nil {
			if odcm.KindOf(err) != odcm.Invalid {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		if key == "" || strings.ContainsAny(key, " \r\n\t\x00") {
			t.Fatalf("%q has the key %q", s, key)
		}
		if _, again, err := ParseUsername(shown); err != nil || again != key {
			t.Fatalf("%q is shown as %q, whose key is %q (%v), not %q", s, shown, again, err, key)
		}
	})
}

func TestAuthorizer(t *testing.T) {
	t.Parallel()
	a := NewAuthorizer()
	for action, want := range map[odcm.Action]string{ // who may: Administrator, aUditor, Space administrator, Member
		"space.enlist":     "A",
		"space.read":       "AUSM",
		"task.read":        "AU", // a task tells of any Space
		"task.cancel":      "A",
		"audit.read":       "AU",
		"apikey.create":    "AUSM",
		"user.create":      "A",
		"user.read":        "AU",
		"whatever.unheard": "A",
		"whatever.list":    "AU",
		"read":             "A",
		"":                 "A",
	} {
		got := ""
		for i, role := range Roles() {
			err := a.Authorize(t.Context(), odcm.Principal{User: "user-1", Roles: []odcm.Role{role}}, action, "")
			switch {
			case err == nil:
				got += "AUSM"[i : i+1]
			case odcm.KindOf(err) != odcm.Denied || !strings.Contains(err.Error(), "administrator"):
				t.Errorf("%s as %s: %v", action, role, err)
			}
		}
		if got != want {
			t.Errorf("%s: %s may, want %s", action, got, want)
		}
		if err := a.Authorize(t.Context(), odcm.Principal{Roles: Roles()}, action, ""); odcm.KindOf(err) != odcm.Unauthenticated {
			t.Errorf("%s as nobody: %v", action, err)
		}
	}
}
