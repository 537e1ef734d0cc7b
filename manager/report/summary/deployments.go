package summary

import (
	"cmp"
	"context"
	"time"

	"odcm"
	"odcm/manager/report"
)

// tally is how the runs of a group ended.
type tally struct {
	total, succeeded, failed, canceled, open int64
	took                                     time.Duration // of those that ended well or badly
}

func (t *tally) add(c report.Count) {
	t.total += c.N
	switch c.Outcome {
	case report.Succeeded:
		t.succeeded += c.N
		t.took += c.Took
	case report.Failed, report.TimedOut:
		t.failed += c.N
		t.took += c.Took
	case report.Canceled, report.Lost:
		t.canceled += c.N
	default:
		t.open += c.N
	}
}

func (t tally) average() Cell {
	if n := t.succeeded + t.failed; n > 0 {
		return number(t.took.Seconds() / float64(n))
	}
	return none()
}

// group is what a row is about.
type group struct {
	space                        odcm.SpaceID
	project, environment, tenant string
}

// deployments counts how runs ended, by period and by group.
func (s *Service) deployments(ctx context.Context, v *view) error {
	r := v.Request
	bounds := r.bounds()
	scope := r.scope(v.spaces)
	by := []report.Dimension{report.BySpace}
	if r.By != report.BySpace {
		by = append(by, r.By)
	}
	groups, err := s.o.Store.Counts(ctx, scope, by, nil)
	if err != nil {
		return err
	}
	periods, err := s.o.Store.Counts(ctx, scope, []report.Dimension{report.ByPeriod}, bounds)
	if err != nil {
		return err
	}
	before := scope
	before.From, before.To = r.From.Add(-r.To.Sub(r.From)), r.From
	earlier, err := s.o.Store.Counts(ctx, before, nil, nil)
	if err != nil {
		return err
	}
	all, was := sum(groups), sum(earlier)
	v.figure("Deployments", Thousands(float64(all.total)), against(all.total, was.total))
	if r.Kind != report.Deployments {
		v.Figures[0].Label = "Runs"
	}
	v.figure("Succeeded", Thousands(float64(all.succeeded)), share(all.succeeded, all.succeeded+all.failed))
	v.figure("Failed", Thousands(float64(all.failed)), against(all.failed, was.failed))
	v.figure("Average duration", Column{Unit: Seconds}.Show(all.average()), "of those that ran to their end")
	v.Charts = []Chart{outcomes("Deployments by "+r.Period, r.labels(bounds), len(bounds)-1, periods)}
	v.tallies(groups)
	v.note("A run counts on the day on which it ended, by the clock of its server; one that has not, on the day on which it was asked for. Failed includes timed out.")
	if err := s.complete(ctx, v); err != nil {
		return err
	}
	return v.finish("total", true)
}

func sum(counts []report.Count) (t tally) {
	for _, c := range counts {
		t.add(c)
	}
	return t
}

// outcomes draws how runs ended in each period.
func outcomes(title string, labels []string, periods int, counts []report.Count) Chart {
	of := make([]tally, periods)
	for _, c := range counts {
		of[c.Period].add(c)
	}
	chart := Chart{Title: title, Labels: labels, Unit: Number, Series: []Series{{Name: "Succeeded", Tone: "success"}, {Name: "Failed", Tone: "danger"}, {Name: "Canceled", Tone: "neutral"}}}
	for _, t := range of {
		for i, n := range []int64{t.succeeded, t.failed, t.canceled} {
			chart.Series[i].Values = append(chart.Series[i].Values, float64(n))
		}
	}
	return chart
}

// tallies makes the table of groups.
func (v *view) tallies(counts []report.Count) {
	sums := map[group]*tally{}
	names := map[group]string{}
	var order []group
	for _, c := range counts {
		g := group{c.Space, c.Project, c.Environment, c.Tenant}
		if sums[g] == nil {
			sums[g] = &tally{}
			order = append(order, g)
		}
		sums[g].add(c)
		names[g] = cmp.Or(c.ProjectName, cmp.Or(c.EnvironmentName, c.TenName))
	}
	by := v.Request.By
	v.Columns = []Column{{"space", "Space", Text}}
	if by != report.BySpace {
		v.Columns = append([]Column{{string(by), map[report.Dimension]string{report.ByProject: "Project", report.ByEnvironment: "Environment", report.ByTenant: "Tenant"}[by], Text}}, v.Columns...)
	}
	v.Columns = append(v.Columns, Column{"total", "All", Number}, Column{"succeeded", "Succeeded", Number}, Column{"failed", "Failed", Number},
		Column{"canceled", "Canceled", Number}, Column{"open", "Under way", Number}, Column{"rate", "Success", Percent}, Column{"duration", "Average", Seconds})
	for _, g := range order {
		t := sums[g]
		row := Row{Link: v.link(g.space)}
		if by != report.BySpace {
			id := cmp.Or(g.project, cmp.Or(g.environment, g.tenant))
			name := cmp.Or(names[g], id)
			if name == "" {
				name = "none"
			}
			row.Cells = append(row.Cells, word(name))
		}
		row.Cells = append(row.Cells, word(v.called(g.space)), number(t.total), number(t.succeeded), number(t.failed), number(t.canceled), number(t.open),
			part(t.succeeded, t.succeeded+t.failed), t.average())
		v.Rows = append(v.Rows, row)
	}
}

// against compares with the time before, as long.
func against(now, was int64) string {
	switch {
	case was == 0:
		return "none in the time before"
	case now == was:
		return "as many as in the time before"
	case now > was:
		return Thousands(float64(now-was)) + " more than in the time before"
	}
	return Thousands(float64(was-now)) + " fewer than in the time before"
}

func share(of, all int64) string {
	if all == 0 {
		return ""
	}
	return percent(float64(of)/float64(all)) + " of those that ended"
}
