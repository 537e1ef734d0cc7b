package audit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"odcm"
	"odcm/kit/eventlog"
	"odcm/kit/lease"
	"odcm/manager/audit"
)

// log holds events newest first and remembers what was asked of it.
type log struct {
	mu     sync.Mutex
	events []odcm.Event
	asked  []eventlog.Filter
	pruned []time.Time
	fail   error
}

func (l *log) List(_ context.Context, f eventlog.Filter) (page []odcm.Event, _ error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, f)
	if l.fail != nil && f.Before != 0 {
		return nil, l.fail
	}
	for _, e := range l.events {
		if (f.Before == 0 || e.ID < f.Before) && len(page) < f.Limit {
			page = append(page, e)
		}
	}
	return page, nil
}

func (l *log) Prune(_ context.Context, before time.Time) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pruned = append(l.pruned, before)
	return 1, l.fail
}

// prunings are when the log was pruned so far.
func (l *log) prunings() []time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.pruned)
}

// auditors lets only auditors in.
type auditors struct{}

func (auditors) Authorize(_ context.Context, p odcm.Principal, a odcm.Action, _ string) error {
	if p.Has(odcm.Auditor) && a == audit.ActionRead {
		return nil
	}
	return odcm.E(odcm.Denied, "identity.role-missing", "no")
}

var ann = odcm.Principal{User: "user-ann", Roles: []odcm.Role{odcm.Auditor}}

func filled(n int) *log {
	l := &log{}
	for i := n; i > 0; i-- {
		l.events = append(l.events, odcm.Event{ID: odcm.EventID(i)})
	}
	return l
}

func TestOnlyReadersRead(t *testing.T) {
	t.Parallel()
	l := filled(1)
	s := audit.New(audit.Options{Log: l, Authorizer: auditors{}})
	bob := odcm.Principal{User: "user-bob", Roles: []odcm.Role{odcm.Member}}
	if _, err := s.List(t.Context(), bob, eventlog.Filter{}); odcm.KindOf(err) != odcm.Denied {
		t.Errorf("List: %v", err)
	}
	if _, err := s.Export(t.Context(), bob, eventlog.Filter{}); odcm.KindOf(err) != odcm.Denied {
		t.Errorf("Export: %v", err)
	}
	if len(l.asked) != 0 {
		t.Error("the log was read all the same")
	}
	if got, err := s.List(t.Context(), ann, eventlog.Filter{Limit: 5}); err != nil || len(got) != 1 {
		t.Errorf("an auditor: %v, %v", got, err)
	}
}

func TestFilterIsChecked(t *testing.T) {
	t.Parallel()
	s := audit.New(audit.Options{Log: filled(1), Authorizer: auditors{}})
	now := time.Now()
	for code, f := range map[string]eventlog.Filter{
		"audit.text-too-long":  {Text: string(make([]byte, 201))},
		"audit.too-many-types": {Types: make([]string, 51)},
		"audit.empty-period":   {From: now, To: now},
	} {
		if _, err := s.List(t.Context(), ann, f); odcm.CodeOf(err) != code {
			t.Errorf("%v, want %s", err, code)
		}
	}
}

func TestExportGivesEachEventOnce(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 499, 500, 501, 1000, 1234} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			s := audit.New(audit.Options{Log: filled(n), Authorizer: auditors{}})
			all, err := s.Export(t.Context(), ann, eventlog.Filter{Limit: 3, Subject: "x"})
			if err != nil {
				t.Fatal(err)
			}
			next := odcm.EventID(n)
			for e, err := range all {
				if err != nil || e.ID != next {
					t.Fatalf("got %d, %v; want %d", e.ID, err, next)
				}
				next--
			}
			if next != 0 {
				t.Errorf("ended before %d", next)
			}
		})
	}
}

func TestExportTellsOfAFailureOnTheWay(t *testing.T) {
	t.Parallel()
	l := filled(600)
	l.fail = errors.New("disk is gone")
	all, err := audit.New(audit.Options{Log: l, Authorizer: auditors{}}).Export(t.Context(), ann, eventlog.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	var events, failures int
	for _, err := range all {
		if err != nil {
			failures++
		} else {
			events++
		}
	}
	if events != 500 || failures != 1 {
		t.Errorf("%d events, %d failures", events, failures)
	}
}

// leases give the lease to whoever asks, and take it away after a while.
type leases struct{ life time.Duration }

func (l leases) Hold(ctx context.Context, _, owner string, _ time.Duration, f func(context.Context, lease.Lease) error) error {
	ctx, cancel := context.WithTimeout(ctx, l.life)
	defer cancel()
	return f(ctx, lease.Lease{Owner: owner})
}

func TestPruneDailyUnderALease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &log{}
		s := audit.New(audit.Options{Log: l, Authorizer: auditors{}, Leases: leases{60 * time.Hour}, Logger: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		start := time.Now()
		time.Sleep(59 * time.Hour)
		synctest.Wait()
		if len(l.prunings()) != 3 {
			t.Errorf("pruned %d times in 59 hours, want 3", len(l.prunings()))
		}
		for i, before := range l.prunings() {
			if want := start.AddDate(0, 0, i-400); !before.Equal(want) {
				t.Errorf("pruned before %v, want %v", before, want)
			}
		}
		time.Sleep(90 * time.Minute) // the lease was lost, and won again
		synctest.Wait()
		if len(l.prunings()) != 4 {
			t.Errorf("pruned %d times, want 4", len(l.prunings()))
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestPruneTriesAgainAfterAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &log{fail: errors.New("database is away")}
		s := audit.New(audit.Options{Log: l, Authorizer: auditors{}, Leases: leases{time.Hour}, Logger: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute-time.Second)
		defer cancel()
		if err := s.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if len(l.prunings()) != 5 {
			t.Errorf("tried %d times in five minutes, want 5", len(l.prunings()))
		}
	})
}
