package reportsql

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/report"
)

// columns are those of facts and sums.
var columns = map[report.Dimension]string{report.BySpace: "t.space_id", report.ByProject: "t.project_id", report.ByEnvironment: "t.environment_id", report.ByTenant: "t.tenant_id"}

// part is one table that a count is made from, with the time for which it serves.
type part struct {
	table, n  string
	dimension report.Dimension // of report_month; report.BySpace for the Space as a whole
	columns   map[report.Dimension]string
	from, to  time.Time
}

// Counts implements [report.Store]. Whole months come from sums by month where one dimension is asked for, and periods of all
// Spaces from sums by the quarter of an hour; what is left is counted from single deployments.
func (s *Store) Counts(ctx context.Context, sc report.Scope, by []report.Dimension, bounds []time.Time) (_ []report.Count, err error) {
	defer odcm.Wrap(&err, "count")
	c := cells{grain: 1}
	if slices.Contains(by, report.ByPeriod) {
		if len(bounds) < 2 {
			return nil, nil
		}
		c = within(&sc, bounds)
	}
	var selects []string
	w := &where{}
	for _, p := range parts(sc, by, c) {
		w.all = nil
		if p.dimension != "" {
			w.add("t.dimension = ?", p.dimension)
		}
		w.scope(sc, p.columns)
		w.between(p.from, p.to)
		fields, group := p.fields(by, c)
		selects = append(selects, `SELECT `+strings.Join(append(fields, "t.outcome"), ", ")+`, sum(`+p.n+`), sum(t.took) FROM `+p.table+` t`+w.String()+
			` GROUP BY `+strings.Join(append(group, "t.outcome"), ", "))
	}
	counts, err := db.Collect(ctx, s.db.Read(), func(r db.Row) (n report.Count, err error) {
		var took, cell int64
		err = r.Scan(&n.Space, &n.Project, &n.Environment, &n.Tenant, &cell, &n.Outcome, &n.N, &took)
		n.Took, n.Period = time.Duration(took)*time.Millisecond, c.period(cell)
		return n, err
	}, strings.Join(selects, " UNION ALL "), w.args...)
	if err != nil {
		return nil, err
	}
	counts = merged(counts)
	return counts, s.name(ctx, by, sc.Spaces, counts)
}

// cells part the time into equal pieces of which each period is a whole number: they are what the database groups by.
type cells struct {
	bounds []time.Time
	grain  int64 // milliseconds
}

// within narrows the scope to the periods, and parts them.
func within(sc *report.Scope, bounds []time.Time) cells {
	if last := bounds[len(bounds)-1]; sc.To.IsZero() || sc.To.After(last) {
		sc.To = last
	}
	if sc.From.Before(bounds[0]) {
		sc.From = bounds[0]
	}
	c := cells{bounds: bounds}
	for _, b := range bounds[1:] {
		for rest := b.Sub(bounds[0]).Milliseconds(); rest > 0; {
			c.grain, rest = rest, c.grain%rest // Euclid's
		}
	}
	return c
}

func (c cells) period(cell int64) int {
	if c.bounds == nil {
		return 0
	}
	at := c.bounds[0].Add(time.Duration(cell*c.grain) * time.Millisecond)
	return sort.Search(len(c.bounds), func(i int) bool { return c.bounds[i].After(at) }) - 1
}

func (p part) fields(by []report.Dimension, c cells) (fields, group []string) {
	for _, d := range []report.Dimension{report.BySpace, report.ByProject, report.ByEnvironment, report.ByTenant} {
		if !slices.Contains(by, d) {
			fields = append(fields, "''")
			continue
		}
		fields, group = append(fields, p.columns[d]), append(group, p.columns[d])
	}
	if c.bounds == nil {
		return append(fields, "0"), group
	}
	cell := fmt.Sprintf("(t.at - %d) / %d", c.bounds[0].UnixMilli(), c.grain)
	return append(fields, cell), append(group, cell)
}

// parts chooses the tables.
func parts(sc report.Scope, by []report.Dimension, c cells) []part {
	single := func(from, to time.Time) []part {
		return []part{{table: "report_deployment", n: "1", columns: columns, from: from, to: to}, {table: "report_sum", n: "t.n", columns: columns, from: from, to: to}}
	}
	var dimensions []report.Dimension
	for d, filtered := range map[report.Dimension]bool{report.ByProject: sc.Project != "", report.ByEnvironment: sc.Environment != "" || sc.Production, report.ByTenant: sc.Tenant != ""} {
		if filtered || slices.Contains(by, d) {
			dimensions = append(dimensions, d)
		}
	}
	if c.bounds != nil {
		whole := len(by) == 1 && len(dimensions) == 0 && sc.Spaces == nil && c.grain%quarter == 0
		for _, at := range []time.Time{sc.From, sc.To} {
			whole = whole && at.UnixMilli()%quarter == 0
		}
		if whole {
			return []part{{table: "report_total", n: "t.n", from: sc.From, to: sc.To}}
		}
		return single(sc.From, sc.To)
	}
	if len(dimensions) > 1 {
		return single(sc.From, sc.To)
	}
	sums := part{table: "report_month", n: "t.n", dimension: report.BySpace, columns: map[report.Dimension]string{report.BySpace: "t.space_id"}, from: sc.From, to: sc.To}
	if len(dimensions) == 1 {
		sums.dimension, sums.columns[dimensions[0]] = dimensions[0], "t.id"
	}
	all := []part{}
	if !sc.From.IsZero() {
		if sums.from = month(sc.From); sums.from.Before(sc.From) {
			sums.from = sums.from.AddDate(0, 1, 0)
			all = append(all, single(sc.From, sums.from)...)
		}
	}
	if !sc.To.IsZero() {
		if sums.to = month(sc.To); sums.to.Before(sc.To) {
			all = append(all, single(sums.to, sc.To)...)
		}
		if !sums.from.Before(sums.to) {
			return single(sc.From, sc.To)
		}
	}
	return append(all, sums)
}

// month is when the month of a time begins, in UTC.
func month(t time.Time) time.Time {
	y, m, _ := t.UTC().Date()
	return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
}

// merged adds up what facts and sums say of one group.
func merged(counts []report.Count) []report.Count {
	at := make(map[report.Count]int, len(counts))
	sums := counts[:0:0]
	for _, c := range counts {
		key := c
		key.N, key.Took = 0, 0
		if i, ok := at[key]; ok {
			sums[i].N += c.N
			sums[i].Took += c.Took
			continue
		}
		at[key] = len(sums)
		sums = append(sums, c)
	}
	return slices.DeleteFunc(sums, func(c report.Count) bool { return c.N == 0 }) // what was counted and has moved on
}
