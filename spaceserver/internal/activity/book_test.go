package activity_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/document"
)

// kept is a book on a database, as a sink.
type kept struct {
	*activity.Book
	store *document.Store
}

func (k kept) Append(ctx context.Context, task string, chunk []byte) error {
	return k.store.Tx(ctx, func(tx *sql.Tx) error { return k.Book.Append(ctx, tx, task, chunk) })
}

func each(t *testing.T, f func(t *testing.T, k kept)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		store, err := document.Open(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		f(t, kept{activity.NewBook(d), store})
	})
}

func (k kept) record(t *testing.T, o activity.Options) *activity.Recorder {
	t.Helper()
	o.Sink, o.Task = k, "ServerTasks-1"
	return activity.Record(o)
}

func TestLogIsReadBackAsATree(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k kept) {
		at := time.Date(2026, 8, 1, 10, 0, 0, 0, time.UTC)
		now := func() time.Time { at = at.Add(time.Second); return at }
		first := k.record(t, activity.Options{Now: now})
		root := first.Root("Deploy Web")
		step := root.Child("step-1", "Step 1: Say")
		for i := range 10 {
			step.Write(activity.Info, fmt.Sprint("line ", i))
		}
		step.Write(activity.Verbose, "detail")
		step.Progress(50, "half")
		step.End(activity.Success)
		root.Child("step-2", "Step 2: Ask")
		if err := first.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		// The task was parked here, and goes on.
		again := k.record(t, activity.Options{Now: now})
		ask := again.Root("Deploy Web").Child("step-2", "Step 2: Ask")
		ask.Write(activity.Warning, "answered")
		if err := again.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		top, err := k.Tree(t.Context(), "ServerTasks-1", activity.Reading{Tail: 3, Over: activity.Canceled})
		if err != nil {
			t.Fatal(err)
		}
		if len(top) != 1 || len(top[0].Children) != 2 || top[0].Name != "Deploy Web" || top[0].Status != activity.Canceled || top[0].Ended == nil {
			t.Fatalf("the tree is %+v", top)
		}
		say, asked := top[0].Children[0], top[0].Children[1]
		if say.Status != activity.Success || say.ProgressPercentage != 100 || say.ProgressMessage != "half" || len(say.LogElements) != 3 || say.LogElements[2].MessageText != "line 9" || say.Ended == nil {
			t.Errorf("step 1 is %+v", say)
		}
		if asked.ID != ask.ID() || asked.Status != activity.Canceled || len(asked.LogElements) != 1 || asked.LogElements[0].Category != activity.Warning {
			t.Errorf("step 2 is %+v", asked)
		}
		var text strings.Builder
		if err := activity.WriteText(&text, top); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"| == Canceled: Deploy Web ==", "|   == Success: Step 1: Say ==", "   Info     |     line 9\n"} {
			if !strings.Contains(text.String(), want) {
				t.Errorf("%q is not in\n%s", want, text.String())
			}
		}
		if size, err := k.Size(t.Context(), "ServerTasks-1"); err != nil || size < 500 {
			t.Errorf("size %d: %v", size, err)
		}
	})
}

func TestFollowersSeeEveryRecordOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k kept) {
		const lines = 300
		seen := make(chan string, lines)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			defer close(seen)
			for after := int64(0); ; {
				entries, last, err := k.Follow(ctx, "ServerTasks-1", after)
				if err != nil {
					return
				}
				for _, e := range entries {
					if e.Line != "" {
						seen <- e.Text
					}
				}
				after = last
			}
		}()
		r := k.record(t, activity.Options{Flush: 3 * time.Millisecond})
		root := r.Root("Task")
		for i := range lines {
			root.Write(activity.Info, fmt.Sprint(i))
			if i%50 == 0 {
				<-time.After(5 * time.Millisecond)
			}
		}
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range lines {
			select {
			case got := <-seen:
				if got != fmt.Sprint(i) {
					t.Fatalf("line %d is %q", i, got)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("line %d was not seen", i)
			}
		}
		cancel()
	})
}
