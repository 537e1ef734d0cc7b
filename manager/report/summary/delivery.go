package summary

import (
	"context"
	"slices"
	"sort"
	"time"

	"odcm"
	"odcm/manager/report"
)

// pace is how a group delivers.
type pace struct {
	succeeded, failed int64
	leads, restores   []time.Duration
}

// delivery computes the four measures of software delivery (DORA) for production.
func (s *Service) delivery(ctx context.Context, v *view) error {
	r := v.Request
	scope := r.scope(v.spaces)
	scope.Kind = report.Deployments
	scope.Production = r.Environment == ""
	bounds := r.bounds()
	paces := map[odcm.SpaceID]*pace{}
	of := func(id odcm.SpaceID) *pace {
		if paces[id] == nil {
			paces[id] = &pace{}
		}
		return paces[id]
	}
	groups, err := s.o.Store.Counts(ctx, scope, []report.Dimension{report.BySpace}, nil)
	if err != nil {
		return err
	}
	for _, c := range groups {
		switch c.Outcome {
		case report.Succeeded:
			of(c.Space).succeeded += c.N
		case report.Failed, report.TimedOut:
			of(c.Space).failed += c.N
		}
	}
	leads, err := s.o.Store.Leads(ctx, scope)
	if err != nil {
		return err
	}
	byPeriod := make([][]time.Duration, len(bounds)-1)
	for _, l := range leads {
		took := max(0, l.Deployed.Sub(l.Released))
		of(l.Space).leads = append(of(l.Space).leads, took)
		if i := sort.Search(len(bounds), func(i int) bool { return bounds[i].After(l.Deployed) }) - 1; i >= 0 && i < len(byPeriod) {
			byPeriod[i] = append(byPeriod[i], took)
		}
	}
	if err := s.restores(ctx, scope, of); err != nil {
		return err
	}
	periods, err := s.o.Store.Counts(ctx, scope, []report.Dimension{report.ByPeriod}, bounds)
	if err != nil {
		return err
	}
	lines := Series{Name: "Median lead time in hours", Tone: "accent"}
	for _, all := range byPeriod {
		lines.Values = append(lines.Values, float64(int(median(all).Hours()*100))/100)
	}
	labels := r.labels(bounds)
	v.Charts = []Chart{outcomes("Deployments to production by "+r.Period, labels, len(bounds)-1, periods),
		{Title: "Lead time in hours by " + r.Period, Lines: true, Labels: labels, Series: []Series{lines}, Unit: Number}}
	s.paces(v, paces)
	environments := "environments whose name begins with \"prod\""
	if r.Environment != "" {
		environments = "the environment " + r.Environment
	}
	v.note("Production is %s.", environments)
	v.note("Frequency: deployments that succeeded. Lead time: median from the making of a release to its first deployment there that succeeded. " +
		"Failure rate: failed and timed out among those that ended either way. Time to restore: median from the first failure of a project in an environment, for a tenant, to its next success.")
	if oldest := s.o.Now().Add(-s.o.Keep); r.From.Before(oldest) {
		v.note("Lead time and time to restore are computed from single deployments, which are kept since %s.", oldest.In(r.Zone).Format("2 Jan 2006"))
	}
	if err := s.complete(ctx, v); err != nil {
		return err
	}
	return v.finish("frequency", true)
}

// restores measures how long what failed stayed so.
func (s *Service) restores(ctx context.Context, scope report.Scope, of func(odcm.SpaceID) *pace) error {
	type place struct {
		space                        odcm.SpaceID
		project, environment, tenant string
	}
	var at place
	var since time.Time
	for c, err := range s.o.Store.Changes(ctx, scope) {
		if err != nil {
			return err
		}
		if here := (place{c.Space, c.Project, c.Environment, c.Tenant}); here != at {
			at, since = here, time.Time{}
		}
		switch {
		case c.Outcome == report.Succeeded && !since.IsZero():
			of(c.Space).restores = append(of(c.Space).restores, c.Ended.Sub(since))
			since = time.Time{}
		case c.Outcome != report.Succeeded && since.IsZero():
			since = c.Ended
		}
	}
	return nil
}

func (s *Service) paces(v *view, paces map[odcm.SpaceID]*pace) {
	days := v.Request.To.Sub(v.Request.From).Hours() / 24
	if now := s.o.Now(); v.Request.To.After(now) && v.Request.From.Before(now) {
		days = max(1, now.Sub(v.Request.From).Hours()/24)
	}
	v.Columns = []Column{{"space", "Space", Text}, {"deployments", "Deployments", Number}, {"frequency", "Each day", Number}, {"lead", "Lead time", Seconds},
		{"failures", "Failure rate", Percent}, {"restore", "Time to restore", Seconds}}
	var all pace
	cells := func(p *pace) []Cell {
		return []Cell{number(p.succeeded), number(float64(int(float64(p.succeeded)/days*100)) / 100), seconds(p.leads), part(p.failed, p.succeeded+p.failed), seconds(p.restores)}
	}
	for id, p := range paces {
		all.succeeded, all.failed = all.succeeded+p.succeeded, all.failed+p.failed
		all.leads, all.restores = append(all.leads, p.leads...), append(all.restores, p.restores...)
		v.Rows = append(v.Rows, Row{Cells: append([]Cell{word(v.called(id))}, cells(p)...), Link: v.link(id)})
	}
	sums := cells(&all)
	v.figure("Deployments each day", v.Columns[2].Show(sums[1]), Thousands(float64(all.succeeded))+" that succeeded in production")
	v.figure("Lead time", v.Columns[3].Show(sums[2]), "median of "+plural(len(all.leads), "release", "releases"))
	v.figure("Change failure rate", v.Columns[4].Show(sums[3]), Thousands(float64(all.failed))+" failed")
	v.figure("Time to restore", v.Columns[5].Show(sums[4]), "median of "+plural(len(all.restores), "failure", "failures"))
}

func seconds(all []time.Duration) Cell {
	if len(all) == 0 {
		return none()
	}
	return number(median(all).Seconds())
}

func median(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	if middle := len(sorted) / 2; len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[len(sorted)/2-1] + sorted[len(sorted)/2]) / 2
}
