package collect

import (
	"context"
	"slices"

	"odcm/manager/report"
)

// fill reads one page of a list, from the newest back.
func (r *round) fill(ctx context.Context) error {
	f := *r.state.Fill
	runs, total, err := r.source.List(ctx, f.Kind, f.Skip, runsPerPage)
	if err != nil {
		return err
	}
	if f.Tail != "" && len(runs) > 0 && !slices.ContainsFunc(runs, func(d report.Deployment) bool { return d.ID == f.Tail }) && !runs[0].Created.After(f.TailAt) {
		// Some were deleted since the page before, and those after them moved up past where this page begins.
		f.Skip = max(0, f.Skip-runsPerPage)
		if f.Skip == 0 {
			f.Tail = ""
		}
		r.state.Fill = &f
		return r.commit(ctx, Batch{})
	}
	wanted := slices.DeleteFunc(slices.Clone(runs), func(d report.Deployment) bool { return d.Created.Before(f.Until) })
	facts, err := r.listed(ctx, f.Kind, wanted)
	if err != nil {
		return err
	}
	ended := len(runs) == 0 || len(wanted) == 0 || f.Skip+len(runs) >= total || len(runs) <= shared
	switch {
	case !ended:
		last := runs[len(runs)-1]
		f.Skip, f.Tail, f.TailAt = f.Skip+len(runs)-shared, last.ID, last.Created
		r.state.Fill = &f
	case f.Kind == report.Deployments:
		r.state.Fill = &Fill{Kind: report.RunbookRuns, Until: f.Until}
	default:
		r.state.Fill = nil
	}
	return r.commit(ctx, Batch{Facts: facts})
}

// listed makes facts of what a list gave, without asking for what is known to have ended.
func (r *round) listed(ctx context.Context, kind report.Kind, runs []report.Deployment) ([]report.Deployment, error) {
	if len(runs) == 0 {
		return nil, nil
	}
	ids := make([]string, len(runs))
	for i, d := range runs {
		ids[i] = d.ID
	}
	known, err := r.o.Store.Known(ctx, r.space.ID, kind, ids)
	if err != nil {
		return nil, err
	}
	var ask, rest []report.Deployment
	for _, d := range runs {
		if known[d.ID].Ended() {
			rest = append(rest, d) // merged all the same: under this identifier may be another deployment
			continue
		}
		ask = append(ask, d)
	}
	if ask, err = r.withTasks(ctx, ask, false); err != nil {
		return nil, err
	}
	return append(ask, rest...), nil
}
