package session

import (
	"strconv"
	"testing"
	"time"

	"odcm"
	"odcm/kit/signal"
	"odcm/manager/identity/person"
)

func granted(id odcm.UserID, epoch uint64) grant {
	return grant{user: person.User{ID: id}, session: Session{ID: "session-1"}, epoch: epoch}
}

// An answer that was on its way while somebody's access was taken away is not believed afterwards, whoever's it was.
func TestCacheKeepsNoAnswerFromBeforeARevocation(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1e12)
	for _, hint := range []string{"user/user-bob", "user/user-ann", signal.All} {
		s := &Service{cache: newCache()}
		asked := s.cache.now()
		s.Heed(hint)
		s.cache.put("late", granted("user-bob", asked), now)
		if _, ok := s.cache.get("late", now); ok {
			t.Errorf("after %s: an answer from before is believed", hint)
		}
		s.cache.put("new", granted("user-bob", s.cache.now()), now)
		if _, ok := s.cache.get("new", now); !ok {
			t.Errorf("after %s: an answer from afterwards is not believed", hint)
		}
	}
}

func TestHeed(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1e12)
	for hint, want := range map[string]string{ // who is still known
		"user/user-bob": "a", "user/user-ann": "b", "user/user-eve": "ab", "user/": "ab", "space/user-bob": "ab", "": "ab", signal.All: "",
	} {
		s := &Service{cache: newCache()}
		s.cache.put("a", granted("user-ann", 0), now)
		s.cache.put("b", granted("user-bob", 0), now)
		s.Heed(hint)
		got := ""
		for _, entry := range []string{"a", "b"} {
			if _, ok := s.cache.get(entry, now); ok {
				got += entry
			}
		}
		if got != want {
			t.Errorf("after %q %q are known, want %q", hint, got, want)
		}
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	c, now := newCache(), time.UnixMilli(1e12)
	for i := range cacheSize + 5 {
		c.put(strconv.Itoa(i), granted("user-bob", 0), now)
	}
	if n := len(c.grants); n != 5 {
		t.Errorf("%d answers are kept, want the 5 after it was full", n)
	}
	ending := granted("user-ann", 0)
	ending.until = now.Add(time.Second)
	c.put("ending", ending, now)
	if _, ok := c.get("ending", now.Add(time.Second)); ok {
		t.Error("a session is believed past its end")
	}
	if _, ok := c.get("7", now); ok {
		t.Error("what was forgotten is known")
	}
	last := strconv.Itoa(cacheSize + 4)
	if _, ok := c.get(last, now.Add(cacheFor-1)); !ok {
		t.Error("an answer is not believed for as long as it may be")
	}
	if _, ok := c.get(last, now.Add(cacheFor)); ok {
		t.Error("an answer is believed for too long")
	}
}

// Of many requests at the same moment one writes the last use.
func TestClaim(t *testing.T) {
	t.Parallel()
	c, now := newCache(), time.UnixMilli(1e12)
	c.put("a", granted("user-ann", 0), now)
	for i, want := range []bool{true, false, false} {
		if got := c.claim("a", now); got != want {
			t.Errorf("claim %d: %v", i, got)
		}
	}
	if !c.claim("a", now.Add(touchEvery)) {
		t.Error("nobody writes a minute later")
	}
}
