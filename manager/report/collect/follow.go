package collect

import (
	"cmp"
	"context"
	"slices"
	"time"

	"odcm"
	"odcm/manager/report"
)

// mostIdle is how many pages may bring nothing new before the server's paging is not believed any more.
const mostIdle = 10

// follow reads one page of events, the oldest that were not read, and tells whether there is more.
func (r *round) follow(ctx context.Context) (more bool, err error) {
	oldest := r.page == nil
	if oldest {
		from := max(1, r.state.Cursor-overlap)
		page, err := r.events(ctx, EventQuery{From: from, Take: eventsPerPage})
		if err != nil {
			return false, err
		}
		if len(page.Events) >= page.Total || len(page.Events) == 0 {
			return r.take(ctx, page.Events, true)
		}
		// What one page really holds is the server's to say.
		r.page = &paging{from: from, to: newest(page.Events).Number, skip: page.Total - len(page.Events), take: len(page.Events)}
	}
	skip, was := max(0, r.page.skip), r.state.Cursor
	page, err := r.events(ctx, EventQuery{From: r.page.from, To: r.page.to, Skip: skip, Take: r.page.take})
	if err != nil {
		return false, err
	}
	if r.blind() {
		return false, r.commit(ctx, Batch{})
	}
	r.page.skip -= r.page.take
	if r.page.idle++; r.page.idle > mostIdle {
		return false, odcm.E(odcm.Unavailable, "report.events-stuck", "The server's list of events has pages that do not fit together.")
	}
	if skip == 0 {
		r.page = nil
	}
	if len(page.Events) == 0 && oldest {
		// They were deleted between two requests, or the server counts wrong. Lists tell the truth.
		return true, r.resync(ctx, r.state.Anchor, "Events were deleted while they were read")
	}
	more, err = r.take(ctx, page.Events, oldest)
	if r.page != nil && r.state.Cursor > was {
		r.page.idle = 0
	}
	return more, err
}

func newest(events []Event) Event {
	return slices.MaxFunc(events, func(a, b Event) int { return cmp.Compare(a.Number, b.Number) })
}

// take keeps what a page of events tells. The oldest page must hold the event that was read last.
func (r *round) take(ctx context.Context, events []Event, oldest bool) (more bool, err error) {
	if r.blind() {
		return false, r.commit(ctx, Batch{})
	}
	if oldest && r.state.Cursor > 0 {
		i := slices.IndexFunc(events, func(e Event) bool { return e.Number == r.state.Cursor })
		switch {
		case i < 0:
			return r.lost(ctx)
		case !events[i].Occurred.Equal(r.state.Anchor):
			return true, r.restored(ctx)
		}
	}
	waiting := r.page != nil
	facts, err := r.facts(ctx, events)
	if err != nil {
		return false, err
	}
	if len(events) == 0 {
		return waiting, nil
	}
	if last := newest(events); last.Number > r.state.Cursor {
		if r.state.Cursor == 0 { // nothing says that these are the first: older ones may be deleted already
			r.state.Fill, r.state.Compared = &Fill{Kind: report.Deployments, Until: r.state.Compared.Add(-slack)}, r.now()
		}
		r.state.Cursor, r.state.Anchor = last.Number, last.Occurred
	} else if len(facts) == 0 {
		return waiting, nil // nothing is new
	}
	return waiting || r.state.Fill != nil, r.commit(ctx, Batch{Facts: facts})
}

// lost is what happens where the last event that was read is not there any more: the server deleted it for its age, or it was
// restored from a backup that is older.
func (r *round) lost(ctx context.Context) (more bool, err error) {
	was := r.state
	page, err := r.events(ctx, EventQuery{Take: 1})
	switch {
	case err != nil:
		return false, err
	case r.blind():
		return true, r.commit(ctx, Batch{})
	case len(page.Events) > 0 && page.Events[0].Number < was.Cursor:
		return true, r.restored(ctx)
	}
	return true, r.resync(ctx, was.Anchor, "The server had deleted its events before ODCM read them")
}

// restored reads everything anew from the lists: identifiers may have been given again since.
func (r *round) restored(ctx context.Context) error {
	return r.resync(ctx, r.now().Add(-r.o.Keep), "The server gave identifiers again, as after a restore from a backup")
}

// resync reads the lists back to a time, and goes on with the events from the newest.
func (r *round) resync(ctx context.Context, from time.Time, reason string) error {
	gap := &report.Gap{Space: r.space.ID, From: r.state.Anchor, To: r.now(), Reason: reason + ". Deployments were read from its list instead; what was deleted there as well is not counted."}
	r.page = nil
	if err := r.toNewest(ctx); err != nil {
		return err
	}
	if r.now().Sub(r.state.Resynced) < again {
		r.close()
		gap = nil // it was told the first time
	}
	r.state.Resynced, r.state.Fill = r.now(), &Fill{Kind: report.Deployments, Until: from.Add(-slack)}
	return r.commit(ctx, Batch{Gap: gap})
}

// facts reads the documents of the runs that events tell of. Runs of which all is known are not asked for again.
func (r *round) facts(ctx context.Context, events []Event) ([]report.Deployment, error) {
	var all []report.Deployment
	for _, kind := range []report.Kind{report.Deployments, report.RunbookRuns} {
		told := map[string]report.Deployment{}
		fresh := map[string]bool{}
		for _, e := range slices.Backward(events) { // the oldest first
			if e.Kind != kind {
				continue
			}
			if one, ok := told[e.Run]; ok {
				told[e.Run] = one.Merge(r.fact(e))
			} else {
				told[e.Run] = r.fact(e)
			}
			fresh[e.Run] = fresh[e.Run] || e.Number > r.state.Cursor
			r.canceled = r.canceled || e.Category == "TaskCanceled" && e.Number > r.state.Cursor
		}
		found, err := r.documents(ctx, kind, told, fresh)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// documents brings together what events tell and what documents say.
func (r *round) documents(ctx context.Context, kind report.Kind, told map[string]report.Deployment, fresh map[string]bool) ([]report.Deployment, error) {
	if len(told) == 0 {
		return nil, nil
	}
	ids := make([]string, 0, len(told))
	for id := range told {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	known, err := r.o.Store.Known(ctx, r.space.ID, kind, ids)
	if err != nil {
		return nil, err
	}
	ids = slices.DeleteFunc(ids, func(id string) bool {
		outcome, ok := known[id]
		// An event that tells of the making may be of another run under an identifier that is given again.
		return ok && (outcome.Ended() && told[id].Created.IsZero() || !fresh[id])
	})
	if len(ids) == 0 {
		return nil, nil
	}
	runs, err := r.source.Runs(ctx, kind, ids)
	if err != nil {
		return nil, err
	}
	runs, err = r.withTasks(ctx, runs, false)
	if err != nil {
		return nil, err
	}
	whole := map[string]report.Deployment{}
	for _, run := range runs {
		whole[run.ID] = run
	}
	facts := make([]report.Deployment, 0, len(ids))
	for _, id := range ids {
		fact := told[id]
		if run, ok := whole[id]; ok && run.Same(fact) {
			fact = fact.Merge(run)
		}
		facts = append(facts, fact)
	}
	return facts, nil
}

// fact is what an event alone tells.
func (r *round) fact(e Event) report.Deployment {
	d := report.Deployment{Space: r.space.ID, Kind: e.Kind, ID: e.Run, Task: e.Task, Project: e.Project, Environment: e.Environment, Tenant: e.Tenant,
		Channel: e.Channel, Runbook: e.Runbook, Release: e.Release}
	switch e.Category {
	case "DeploymentQueued", "RunbookRunQueued":
		d.Outcome, d.Created, d.By = report.Queued, e.Occurred, e.By
	case "DeploymentStarted", "RunbookRunStarted":
		d.Outcome, d.Started = report.Running, e.Occurred
	case "DeploymentSucceeded", "RunbookRunSucceeded":
		d.Outcome, d.Ended = report.Succeeded, e.Occurred
	case "DeploymentFailed", "RunbookRunFailed":
		d.Outcome, d.Ended = report.Failed, e.Occurred
	}
	return d
}

// mostUntold is how long a run of which only events told, and no task, may be under way.
const mostUntold = 7 * 24 * time.Hour

// withTasks adds outcomes and releases. What is known to have been under way, and whose task the server does not have, is lost.
func (r *round) withTasks(ctx context.Context, runs []report.Deployment, known bool) ([]report.Deployment, error) {
	var tasks, releases []string
	for _, d := range runs {
		tasks = appendNew(tasks, d.Task)
		if d.Version == "" {
			releases = appendNew(releases, d.Release)
		}
	}
	states, err := r.source.Tasks(ctx, tasks)
	if err != nil {
		return nil, err
	}
	versions, err := r.source.Releases(ctx, releases)
	if err != nil {
		return nil, err
	}
	for i := range runs {
		d := &runs[i]
		task, ok := states[d.Task]
		switch {
		case ok && (task.Run == "" || task.Run == d.ID):
			d.Outcome, d.Started, d.Ended = task.Outcome, task.Started, task.Ended
			if d.Outcome.Ended() && d.Ended.IsZero() {
				d.Ended = r.now()
			}
		case known && (d.Task != "" || r.now().Sub(d.Created) > mostUntold):
			d.Outcome, d.Ended = report.Lost, r.now()
		}
		if v, ok := versions[d.Release]; ok {
			d.Version, d.Released = v.Version, v.Released
		}
	}
	return runs, nil
}

func appendNew(all []string, id string) []string {
	if id == "" || slices.Contains(all, id) {
		return all
	}
	return append(all, id)
}
