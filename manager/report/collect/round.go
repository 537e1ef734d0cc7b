package collect

import (
	"context"
	"errors"
	"time"

	"odcm"
	"odcm/manager/report"
)

// Bounds of a round. Some hundred requests later another Space has its turn.
const (
	eventsPerPage = 500
	runsPerPage   = 100
	pagesPerRound = 20
	// overlap is how many numbers before the cursor are read again: a server's transactions commit out of order.
	overlap = 100
	// shared is how many items two pages of a list have in common, so that what is added or deleted meanwhile is noticed.
	shared = 5
	// recent is how far back the daily comparison goes, and slack how far before the time from which something is missing.
	recent     = 48 * time.Hour
	slack      = time.Hour
	openEvery  = 10 * time.Minute
	openAtOnce = 300
	namesEvery = time.Hour
	compare    = 24 * time.Hour
	// blindFor is how long events are left alone that cannot be followed, and again how soon after a resynchronisation another
	// one means that they cannot.
	blindFor = 24 * time.Hour
	again    = time.Hour
)

// round is one turn of one Space.
type round struct {
	*Collector
	space   Space
	source  Source
	state   State
	saved   State // as it was last committed
	counted int64 // requests that were committed
	page    *paging

	canceled bool // an event told that a task was canceled
	found    bool // facts were committed
}

// paging walks through a backlog of events from its oldest end, between numbers that stay, so that what comes meanwhile does
// not move the pages.
type paging struct {
	from, to   int64
	skip, take int
	idle       int // pages in a row that brought nothing new
}

// Round reads what is new in a Space, and tells whether more waits.
func (c *Collector) Round(ctx context.Context, space Space) (more bool, err error) {
	defer odcm.Wrap(&err, "collect from %s", space.ID)
	state, err := c.o.Store.State(ctx, space.ID)
	if err != nil {
		return false, err
	}
	r := &round{Collector: c, space: space, state: state, saved: state}
	if r.source, err = c.o.Connect(ctx, space.ID); err == nil {
		more, err = r.run(ctx)
	}
	if err != nil && ctx.Err() == nil && odcm.KindOf(err) != odcm.Conflict {
		r.state = r.saved
		return false, errors.Join(err, r.commit(ctx, Batch{Error: sentence(err)}))
	}
	return more, err
}

// sentence is what of an error may be shown.
func sentence(err error) string {
	var e *odcm.Error
	if errors.As(err, &e) && e.Kind != odcm.Internal {
		return e.Message
	}
	return "It could not be read: the log says why."
}

func (r *round) run(ctx context.Context) (more bool, err error) {
	if r.state.Since.IsZero() {
		if err := r.begin(ctx); err != nil {
			return false, err
		}
	}
	for page := 0; ; page++ {
		if page == pagesPerRound {
			return true, nil
		}
		switch more = false; {
		case r.state.Fill != nil:
			more, err = true, r.fill(ctx)
		case !r.state.Blind.IsZero() && !r.blind():
			more, err = true, r.reopen(ctx)
		case !r.blind():
			more, err = r.follow(ctx)
		}
		if err != nil {
			return false, err
		}
		if !more {
			break
		}
	}
	more, err = r.askOpen(ctx)
	if err != nil || more {
		return more, err
	}
	return r.finish(ctx)
}

// begin marks where the events end now: what was before is read from the lists, what comes is followed.
func (r *round) begin(ctx context.Context) error {
	r.state.Since, r.state.Compared = r.now(), r.now()
	if err := r.toNewest(ctx); err != nil {
		return err
	}
	r.state.Fill = &Fill{Kind: report.Deployments, Until: r.now().Add(-r.o.Keep)}
	return r.commit(ctx, Batch{})
}

// toNewest moves the cursor to the newest event.
func (r *round) toNewest(ctx context.Context) error {
	page, err := r.events(ctx, EventQuery{Take: 1})
	if err != nil {
		return err
	}
	r.state.Cursor, r.state.Anchor = 0, time.Time{}
	if len(page.Events) > 0 {
		r.state.Cursor, r.state.Anchor = page.Events[0].Number, page.Events[0].Occurred
	}
	return nil
}

// events asks for events. A key that may not see them is no fault: the lists tell as much, only later.
func (r *round) events(ctx context.Context, q EventQuery) (EventPage, error) {
	page, err := r.source.Events(ctx, q)
	if odcm.KindOf(err) == odcm.Denied {
		r.close()
		return EventPage{}, nil
	}
	return page, err
}

// close stops asking for events for a day.
func (r *round) close() {
	r.page, r.state.Cursor, r.state.Anchor = nil, 0, time.Time{}
	r.state.Blind = r.now().Add(blindFor)
}

// reopen gives events another chance, from where they end now; what was before is read from the lists.
func (r *round) reopen(ctx context.Context) error {
	r.state.Blind, r.state.Fill = time.Time{}, &Fill{Kind: report.Deployments, Until: r.state.Compared.Add(-slack)}
	if err := r.toNewest(ctx); err != nil {
		return err
	}
	return r.commit(ctx, Batch{})
}

func (r *round) blind() bool { return r.now().Before(r.state.Blind) }

// commit keeps the batch and the state.
func (r *round) commit(ctx context.Context, b Batch) error {
	b.Space, b.Next, b.Now = r.space, r.state, r.now()
	asked := r.counted
	if r.source != nil {
		asked = r.source.Asked()
	}
	b.Requests = asked - r.counted
	revision, err := r.o.Store.Commit(ctx, b)
	if err != nil {
		return err
	}
	r.state.Revision, r.counted = revision, asked
	r.saved = r.state
	r.found = r.found || len(b.Facts) > 0
	return nil
}

// askOpen looks after what was under way: its task may have been canceled, or its events may be lost.
func (r *round) askOpen(ctx context.Context) (more bool, err error) {
	before := r.now().Add(-openEvery)
	if r.canceled {
		before = r.now()
	}
	r.canceled = false
	open, err := r.o.Store.Open(ctx, r.space.ID, before, openAtOnce)
	if err != nil || len(open) == 0 {
		return false, err
	}
	facts, err := r.withTasks(ctx, open, true)
	if err != nil {
		return false, err
	}
	return len(open) == openAtOnce, r.commit(ctx, Batch{Facts: facts})
}

// finish reads names and samples where it is time for them, and notes that the Space is up to date.
func (r *round) finish(ctx context.Context) (more bool, err error) {
	now := r.now()
	b := Batch{}
	day := now.Truncate(24 * time.Hour)
	sample := day.After(r.state.Sampled)
	names := sample
	if r.found && now.Sub(r.state.Named) >= namesEvery {
		unnamed, err := r.o.Store.Unnamed(ctx, r.space.ID)
		if err != nil {
			return false, err
		}
		names = names || unnamed
	}
	if names {
		if b.Names, err = r.source.Names(ctx); err != nil {
			return false, err
		}
		r.state.Named = now
	}
	if sample {
		counts, err := r.source.Counts(ctx)
		if err != nil {
			return false, err
		}
		for metric, kind := range map[string]string{report.Projects: "project", report.Environments: "environment", report.Tenants: "tenant"} {
			counts[metric] = 0
			for _, n := range b.Names {
				if n.Kind == kind {
					counts[metric]++
				}
			}
		}
		for metric, n := range counts {
			b.Samples = append(b.Samples, report.Sample{Space: r.space.ID, Day: day, Metric: metric, N: n})
		}
		r.state.Sampled = day
	}
	every, until := compare, r.state.Compared.Add(-slack)
	if r.blind() || r.state.Cursor == 0 { // the lists tell as much as events, only later
		every = r.o.Every
	} else if at := now.Add(-recent); at.Before(until) {
		until = at
	}
	if now.Sub(r.state.Compared) >= every {
		r.state.Fill, r.state.Compared = &Fill{Kind: report.Deployments, Until: until}, now
		more = true
	}
	if !more {
		r.state.Checked = now
	}
	return more, r.commit(ctx, b)
}
