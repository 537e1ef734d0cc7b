package watch

import (
	"context"
	"encoding/json"
	"time"

	"golang.org/x/sync/errgroup"

	"odcm"
	"odcm/kit/lease"
	"odcm/manager/alert"
	"odcm/manager/alert/receiver"
)

// turn is one replica's time of evaluating.
type turn struct {
	*Watcher
	lease lease.Lease
	state *alert.State
	kept  map[[2]string]string // the parts as they are in the database
	trust bool                 // the next level is to be believed at once
	last  time.Time            // when the step before was, by the clock that does not jump
	seen  time.Time            // the same on the engine's clock: what is new happened since
	look  chan struct{}        // read everything now

	// What happened before this turn is taken in at once: of what began and ended meanwhile nobody is to be told that it lasts.
	until   int64 // the last event then
	backlog []alert.Reading

	// The last level, until the events that it may know of are taken in, and the subjects of those since the level before.
	level *level
	newer map[string]int64

	pruned time.Time
}

// level is everything that was read: it may not know of events after first, and knows of none after last.
type level struct {
	readings    []alert.Reading
	first, last int64
}

// anew is the cursor of one who must begin at the end of the log.
const anew = -1

func (w *Watcher) load(ctx context.Context, l lease.Lease) (*turn, error) {
	parts, err := w.o.Store.Load(ctx)
	if err != nil {
		return nil, err
	}
	t := &turn{Watcher: w, lease: l, kept: map[[2]string]string{}, last: time.Now(), look: make(chan struct{}, 1), newer: map[string]int64{}}
	if t.state, err = alert.ReadState(parts); err != nil {
		return nil, err
	}
	for _, p := range parts {
		t.kept[[2]string{p.Part, p.Key}] = p.Body
	}
	last, err := w.o.Log.Last(ctx)
	if err != nil {
		return nil, err
	}
	t.until = int64(last)
	if len(parts) == 0 || t.state.Cursor == anew { // what was before is nobody's alert; what is now is read
		t.state.Cursor, t.trust = t.until, true
	}
	if t.seen = t.state.Clock; !t.seen.IsZero() { // what passed since the last commit is known from the machines' clocks alone
		t.state.Clock = t.state.Clock.Add(max(w.o.Now().Sub(t.state.Wall), 0))
	}
	return t, nil
}

// evaluate runs until the lease is lost or something fails; what was not committed is worked out again by whoever is next.
func (w *Watcher) evaluate(ctx context.Context, l lease.Lease, hints <-chan string) error {
	t, err := w.load(ctx, l)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	events, levels := make(chan odcm.Event, 1000), make(chan level)
	after := odcm.EventID(t.state.Cursor)
	g.Go(func() error { return w.follow(ctx, after, events) })
	g.Go(func() error { return t.read(ctx, levels) })
	g.Go(func() error { return t.loop(ctx, events, levels, hints) })
	err = g.Wait()
	if code := odcm.CodeOf(err); code == "event.pruned" || code == "event.unknown" {
		w.o.Logger.Warn("alerts begin anew at the end of the log of events", "error", err)
		last, stop := context.WithTimeout(context.WithoutCancel(ctx), w.o.LeaseFor)
		defer stop()
		if t, err = w.load(last, l); err != nil { // as it was committed: a step may be half done
			return err
		}
		t.state.Cursor = anew
		return t.commit(last, alert.Outcome{})
	}
	return err
}

// follow passes on what the log tells after an event.
func (w *Watcher) follow(ctx context.Context, after odcm.EventID, to chan<- odcm.Event) error {
	for e, err := range w.o.Log.Follow(ctx, after) {
		if err != nil {
			return err
		}
		select {
		case to <- e:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}

// read reads everything again and again. What cannot be read is no reason to miss what the log tells.
func (t *turn) read(ctx context.Context, to chan<- level) error {
	for {
		asked, cancel := context.WithTimeout(ctx, max(t.o.PollEvery, 10*time.Second))
		all, first, last, err := t.all(asked)
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				t.o.Logger.Warn("alerts could not read everything", "error", err)
			}
		} else {
			select {
			case to <- level{all, int64(first), int64(last)}:
			case <-ctx.Done():
			}
		}
		timer := time.NewTimer(t.o.PollEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		case <-t.look:
			timer.Stop()
		}
	}
}

// all reads everything, and where the log of events was before and after.
func (t *turn) all(ctx context.Context) (all []alert.Reading, first, last odcm.EventID, err error) {
	if first, err = t.o.Log.Last(ctx); err != nil {
		return nil, 0, 0, err
	}
	if all, err = t.o.Source.Readings(ctx); err != nil {
		return nil, 0, 0, err
	}
	if all == nil { // nothing is watched
		all = []alert.Reading{}
	}
	last, err = t.o.Log.Last(ctx)
	return all, first, last, err
}

// loop takes a step when something is new, when something is due, and now and then.
func (t *turn) loop(ctx context.Context, events <-chan odcm.Event, levels <-chan level, hints <-chan string) error {
	due := time.NewTimer(0)
	defer due.Stop()
	for {
		var batch []odcm.Event
		only := false // nothing but events woke it
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e := <-events:
			batch, only = append(batch, e), true
		case l := <-levels:
			t.level = &l
		case _, open := <-hints:
			if !open {
				hints = nil
			}
		case <-due.C:
		}
		batch = gather(batch, events)
		changes := t.changes(batch)
		if t.until > 0 {
			if t.backlog = append(t.backlog, changes...); t.state.Cursor < t.until {
				continue
			}
			changes, t.backlog, t.until, only = t.backlog, nil, 0, false
		}
		var readings []alert.Reading
		newer := map[string]bool{}
		if t.level != nil && t.state.Cursor >= t.level.last {
			// What is read lags behind the log a little: of what changed since the last look, events alone tell.
			for subject, event := range t.newer {
				newer[subject] = true
				if event <= t.level.first {
					delete(t.newer, subject)
				}
			}
			readings, t.level = t.level.readings, nil
		}
		if only && len(changes) == 0 && readings == nil {
			continue // what happened is nothing to alerts; the cursor is committed with the next step
		}
		next, err := t.step(ctx, alert.Input{Changes: changes, Level: readings, Newer: newer})
		if err != nil {
			return err
		}
		due.Reset(next)
	}
}

// gather takes what else is there; a step takes thousands as well as one.
func gather(batch []odcm.Event, events <-chan odcm.Event) []odcm.Event {
	for len(batch) < 5000 {
		select {
		case e := <-events:
			batch = append(batch, e)
		default:
			return batch
		}
	}
	return batch
}

// changes picks the events that tell of a status, and moves the cursor.
func (t *turn) changes(batch []odcm.Event) (all []alert.Reading) {
	for _, e := range batch {
		t.state.Cursor = int64(e.ID)
		if e.Type != StatusChanged {
			continue
		}
		var now struct{ Status, Reason string }
		if err := json.Unmarshal(e.After, &now); err != nil {
			t.o.Logger.Error("an event about a status cannot be read", "event", e.ID, "error", err)
			continue
		}
		if !t.state.Knows(e.Subject) {
			select {
			case t.look <- struct{}{}:
			default:
			}
		}
		t.newer[e.Subject] = int64(e.ID)
		all = append(all, alert.Reading{Signal: alert.Status, Subject: e.Subject, Kind: alert.KindSpace, Name: e.Name, Text: now.Status, Reason: now.Reason, At: e.Time})
	}
	return all
}

// step takes one step and commits it, and tells when the next is due.
func (t *turn) step(ctx context.Context, in alert.Input) (time.Duration, error) {
	now := time.Now()
	t.state.Tick(now.Sub(t.last), t.o.Now())
	t.last = now
	config, err := t.o.Store.Config(ctx, t.state.Wall)
	if err != nil {
		return 0, err
	}
	config.ProbeEvery, config.PollEvery = t.o.ProbeEvery, t.o.PollEvery
	for i := range in.Changes {
		t.seen = t.state.Place(in.Changes[i].At, t.seen)
		in.Changes[i].At = t.seen
	}
	t.seen = t.state.Clock
	in.Trust = t.trust && in.Level != nil
	out := t.state.Step(&config, in)
	if in.Level != nil {
		t.trust = false
	}
	if err := t.commit(ctx, out); err != nil {
		return 0, err
	}
	t.firing.Reset()
	for c, n := range out.Counts {
		t.firing.WithLabelValues(c.Rule, string(c.Severity)).Set(float64(n))
	}
	if now.Sub(t.pruned) > 24*time.Hour {
		t.pruned = now
		if err := t.o.Store.Prune(ctx, t.state.Wall.Add(-t.o.Retention)); err != nil && ctx.Err() == nil {
			t.o.Logger.Error("old alerts were not deleted", "error", err)
		}
	}
	if out.Next.IsZero() {
		return t.o.PollEvery, nil
	}
	return min(max(out.Next.Sub(t.state.Clock), 10*time.Millisecond), t.o.PollEvery), nil
}

// commit writes what is different from what is kept.
func (t *turn) commit(ctx context.Context, out alert.Outcome) error {
	parts, err := t.state.Parts()
	if err != nil {
		return err
	}
	c := Change{Lease: t.lease, Outcome: out, Wall: t.state.Wall}
	now := make(map[[2]string]string, len(parts))
	for _, p := range parts {
		k := [2]string{p.Part, p.Key}
		now[k] = p.Body
		if t.kept[k] != p.Body {
			c.Put = append(c.Put, p)
		}
	}
	for k := range t.kept {
		if _, still := now[k]; !still {
			c.Drop = append(c.Drop, alert.Part{Part: k[0], Key: k[1]})
		}
	}
	if len(out.Notices) > 0 {
		known, err := t.o.Store.Receivers(ctx)
		if err != nil {
			return err
		}
		for _, n := range out.Notices {
			m := receiver.Say(n, t.o.Root())
			d := Delivery{Notice: n, Title: m.Title}
			if r := known[n.Receiver]; r.Kind == receiver.Email {
				if d.Mails, err = m.Mails(r.To); err != nil {
					return err
				}
			}
			c.Deliveries = append(c.Deliveries, d)
		}
	}
	if err := t.o.Store.Commit(ctx, c); err != nil {
		return err
	}
	t.kept = now
	return nil
}
