package manager

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"odcm"
	"odcm/manager/access"
	"odcm/manager/access/roster"
)

// door is what there is between somebody and two Spaces of one server.
type door struct {
	roster.Store // of which only OfPerson is asked
	in           []odcm.SpaceID
	mu           sync.Mutex
	rows         []roster.Acknowledgement
	fails        error
	asked        int
	woken        []string
	hints        chan string
	open         int // subscriptions
}

func (d *door) EnteredOn(context.Context, odcm.UserID, odcm.InstanceID) ([]odcm.SpaceID, error) {
	return d.in, nil
}

func (d *door) OfPerson(context.Context, odcm.UserID, []odcm.SpaceID) ([]roster.Acknowledgement, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	return d.rows, d.fails
}

func (d *door) arrivals() arrivals {
	subscribe := func() (<-chan string, func()) {
		d.open++
		return d.hints, func() { d.open-- }
	}
	return arrivals{d, roster.New(roster.Options{Store: d}), subscribe, func(space string) { d.woken = append(d.woken, space) }}
}

func TestArrivals(t *testing.T) {
	t.Parallel()
	state := func(enter bool, s access.ArrivalState) []roster.Acknowledgement {
		return []roster.Acknowledgement{{Space: "space-a", Enter: enter, State: s}}
	}
	both := []odcm.SpaceID{"space-a", "space-b"}
	away := errors.New("the database is away")
	for name, c := range map[string]struct {
		in     []odcm.SpaceID
		before []roster.Acknowledgement
		after  []roster.Acknowledgement // from one second on
		hint   string                   // that comes then
		gone   time.Duration            // when the browser is, if it is
		fails  error
		took   time.Duration
		err    error
	}{
		"there already":              {in: both, before: state(true, access.Applied)},
		"refused by the server":      {in: both, before: state(true, access.Failed)},
		"left so by the policy":      {in: both, before: state(true, access.Drifted)},
		"enters nothing":             {before: state(true, access.Pending)},
		"brought, and told":          {in: both, before: state(true, access.Pending), after: state(true, access.Applied), hint: "account/space-a", took: 1100 * time.Millisecond},
		"not noted yet, and told":    {in: both, after: state(true, access.Applied), hint: "account/space-b", took: 1100 * time.Millisecond},
		"all hints were lost":        {in: both, after: state(true, access.Applied), hint: "*", took: 1100 * time.Millisecond},
		"brought elsewhere, untold":  {in: both, after: state(true, access.Applied), took: 1500 * time.Millisecond},
		"another Space is told of":   {in: both, after: state(true, access.Applied), hint: "account/space-c", took: 1500 * time.Millisecond},
		"shut out before, and again": {in: both, before: state(false, access.Applied), after: state(true, access.Applied), took: 1500 * time.Millisecond},
		"refused after a while":      {in: both, after: state(true, access.Failed), took: 1500 * time.Millisecond},
		"no answer":                  {in: both, before: state(true, access.Pending), took: arriveWithin},
		"the browser goes away":      {in: both, gone: 2 * time.Second, took: 2 * time.Second, err: context.DeadlineExceeded},
		"the store fails":            {in: both, fails: away, err: away},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := &door{in: c.in, rows: c.before, fails: c.fails, hints: make(chan string, 1)}
				ctx := t.Context()
				if c.gone > 0 {
					limited, cancel := context.WithTimeout(ctx, c.gone)
					defer cancel()
					ctx = limited
				}
				if c.after != nil {
					time.AfterFunc(1100*time.Millisecond, func() {
						d.mu.Lock()
						d.rows = c.after
						d.mu.Unlock()
						if c.hint != "" {
							d.hints <- c.hint
						}
					})
				}
				began := time.Now()
				if err := d.arrivals().await(ctx, "user-bob", "instance-1"); !errors.Is(err, c.err) {
					t.Errorf("got %v, want %v", err, c.err)
				}
				if took := time.Since(began); took != c.took {
					t.Errorf("it waited %v, want %v", took, c.took)
				}
				if c.took > 0 && !slices.Equal(d.woken, []string{"space-a", "space-b"}) || c.took == 0 && (len(d.woken) > 0 || d.asked > 1) {
					t.Errorf("woken %v, asked %d times", d.woken, d.asked)
				}
				if d.open != 0 {
					t.Error("it listens still")
				}
			})
		})
	}
}
