package password

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

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
