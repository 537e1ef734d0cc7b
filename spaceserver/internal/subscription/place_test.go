package subscription

import (
	"testing"
	"testing/quick"
	"time"
)

func TestTimesAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"00:00:10": 10 * time.Second, "00:01:00.5": time.Minute + 500*time.Millisecond, "00:05:00": 5 * time.Minute,
		"": 0, "10": 0, "00:00:00": 0, "00:05:01": 0, "01:00:00": 0, "-1:00:00": 0, "a:b:c": 0, "00:00:NaN": 0, "1e9:0:0": 0} {
		got, err := duration(text)
		if got != want && err == nil || (want == 0) != (err != nil) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestACursorIsWhatWasWritten(t *testing.T) {
	t.Parallel()
	same := func(event int64, seconds uint32) bool {
		c := cursor{event, time.Unix(int64(seconds), 5000).UTC()}
		got, err := readCursor(c.text())
		return err == nil && got.event == c.event && got.at.Equal(c.at)
	}
	if err := quick.Check(same, nil); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "x", "1 yesterday"} {
		if _, err := readCursor(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func FuzzDuration(f *testing.F) {
	f.Add("00:00:10")
	f.Add("99:99:99")
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := duration(text); err == nil && (d <= 0 || d > 5*time.Minute) {
			t.Errorf("%q: %v", text, d)
		}
	})
}

func TestWhatIsFinal(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bool{400: true, 410: true, 422: true, 401: false, 403: false, 404: false, 408: false, 425: false, 429: false, 500: false, 503: false, 302: false} {
		if got := (&refusal{status}).final(); got != want {
			t.Errorf("%d: %v", status, got)
		}
	}
}
