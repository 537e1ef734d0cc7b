package journal

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

// open opens a journal whose transactions come to what answer says.
func open(t *testing.T, answer func() error) (j *Journal, writes, lost *atomic.Int32) {
	writes, lost = new(atomic.Int32), new(atomic.Int32)
	j = Open(t.Context(), Options{Task: "task-1", Attempt: 1, Percent: 40, Log: slog.New(slog.DiscardHandler),
		Tx: func(context.Context, func(*sql.Tx) error) error { return answer() }, Written: func() { writes.Add(1) }, Lost: func() { lost.Add(1) },
	}, 7, []Step{{Number: 1, Name: "plan", State: Running, Attempts: 1}})
	return j, writes, lost
}

func TestABusyRunIsWrittenTenTimesASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j, writes, _ := open(t, func() error { return nil })
		for range 1000 {
			j.Line("plan", "x")
			time.Sleep(time.Millisecond)
		}
		j.Close()
		if n := writes.Load(); n < 9 || n > 11 {
			t.Errorf("%d transactions in a second, want about ten", n)
		}
		if j.last != 1007 {
			t.Errorf("the last line is %d, want 1007: after the seven of the last run", j.last)
		}
	})
}

func TestWhatCouldNotBeWrittenIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int32
		j, writes, _ := open(t, func() error {
			if tries.Add(1) < 3 {
				return errors.New("the database is away")
			}
			return nil
		})
		j.Line("", "x")
		time.Sleep(5 * time.Second)
		j.Close()
		if _, empty := j.waiting(); tries.Load() != 3 || writes.Load() != 1 || !empty {
			t.Errorf("%d tries, %d writes, nothing waits: %v", tries.Load(), writes.Load(), empty)
		}
	})
}

func TestALostRunIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j, writes, lost := open(t, func() error { return ErrLost })
		j.Line("", "x")
		synctest.Wait()
		j.Close()
		if lost.Load() != 1 || writes.Load() != 0 {
			t.Errorf("told %d times, written %d times", lost.Load(), writes.Load())
		}
	})
}

func TestAStepThatRunsAgainCountsItsAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j, _, _ := open(t, func() error { return nil })
		j.Close()
		j.StepBegan(1, "plan", false)
		j.StepEnded(1, "plan", false, Failed, "no")
		b, _ := j.waiting()
		if len(b.steps) != 1 || b.steps[0].Attempts != 2 || b.steps[0].State != Failed || b.steps[0].Error != "no" || b.steps[0].Ended.IsZero() {
			t.Errorf("%+v", b.steps)
		}
	})
}

func TestProgressNeverFalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j, _, _ := open(t, func() error { return nil })
		j.Close()
		for _, c := range []struct{ percent, want int }{{10, 40}, {60, 60}, {20, 60}, {900, 100}} {
			j.Progress(c.percent, "copying")
			if b, _ := j.waiting(); b.percent != c.want || b.doing != "copying" {
				t.Errorf("after %d: %+v, want %d", c.percent, b, c.want)
			}
		}
	})
}

func TestClean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"a\x00b": "a\uFFFDb", "a\xffb": "a\uFFFDb", "é": "é"} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got := Clean(strings.Repeat("é", textLimit)); len(got) > textLimit+10 || !utf8.ValidString(got) || !strings.HasSuffix(got, " …") {
		t.Errorf("%d bytes, valid %v", len(got), utf8.ValidString(got))
	}
}
