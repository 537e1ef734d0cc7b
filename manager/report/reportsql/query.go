package reportsql

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/report"
	"odcm/manager/report/collect"
)

// where collects conditions and their parameters.
type where struct {
	all  []string
	args []any
}

// add appends a condition in which each ? is the argument.
func (w *where) add(condition string, arg any) {
	w.args = append(w.args, arg)
	w.all = append(w.all, strings.ReplaceAll(condition, "?", "$"+strconv.Itoa(len(w.args))))
}

// spaces keeps to these Spaces; nil is all.
func (w *where) spaces(column string, spaces []odcm.SpaceID) {
	switch {
	case spaces == nil:
	case len(spaces) == 0:
		w.all = append(w.all, "1 = 0")
	default:
		w.all = append(w.all, column+" IN "+db.In(len(w.args)+1, len(spaces)))
		w.args = append(w.args, db.Args(spaces)...)
	}
}

func (w *where) String() string {
	if len(w.all) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.all, " AND ")
}

// scope adds the conditions on rows called t, where the columns of dimensions are called so.
func (w *where) scope(s report.Scope, columns map[report.Dimension]string) {
	w.spaces("t.space_id", s.Spaces)
	if s.Kind != "" {
		w.add("t.kind = ?", s.Kind)
	}
	const named = " IN (SELECT n.space_id, n.id FROM report_name n WHERE n.kind = "
	for _, of := range []struct {
		by   report.Dimension
		name string
	}{{report.ByProject, s.Project}, {report.ByEnvironment, s.Environment}, {report.ByTenant, s.Tenant}} {
		if of.name != "" {
			column := columns[of.by]
			w.add("("+column+" = ? OR (t.space_id, "+column+")"+named+"'"+string(of.by)+"' AND lower(n.name) = lower(?)))", of.name)
		}
	}
	if s.Production {
		w.all = append(w.all, "(t.space_id, "+columns[report.ByEnvironment]+")"+named+"'environment' AND lower(n.name) LIKE 'prod%')")
	}
}

// between keeps to a time; a bound that is zero is none.
func (w *where) between(from, to time.Time) {
	if !from.IsZero() {
		w.add("t.at >= ?", db.Millis(from))
	}
	if !to.IsZero() {
		w.add("t.at < ?", db.Millis(to))
	}
}

// facts are the conditions on rows of report_deployment or report_sum.
func facts(s report.Scope, timed bool) *where {
	w := &where{}
	w.scope(s, columns)
	if timed {
		w.between(s.From, s.To)
	}
	return w
}

type nameKey struct {
	space odcm.SpaceID
	id    string
}

// name adds names where groups are of things that have some.
func (s *Store) name(ctx context.Context, by []report.Dimension, spaces []odcm.SpaceID, counts []report.Count) error {
	var kinds []string
	for _, d := range by {
		if d == report.ByProject || d == report.ByEnvironment || d == report.ByTenant {
			kinds = append(kinds, string(d))
		}
	}
	if len(kinds) == 0 || len(counts) == 0 {
		return nil
	}
	names, err := s.names(ctx, spaces, kinds)
	for i := range counts {
		c := &counts[i]
		c.ProjectName, c.EnvironmentName, c.TenName = names[nameKey{c.Space, c.Project}], names[nameKey{c.Space, c.Environment}], names[nameKey{c.Space, c.Tenant}]
	}
	return err
}

func (s *Store) names(ctx context.Context, spaces []odcm.SpaceID, kinds []string) (map[nameKey]string, error) {
	w := &where{}
	w.spaces("space_id", spaces)
	w.all = append(w.all, "kind IN "+db.In(len(w.args)+1, len(kinds)))
	w.args = append(w.args, db.Args(kinds)...)
	type named struct {
		nameKey
		name string
	}
	rows, err := db.Collect(ctx, s.db.Read(), func(r db.Row) (n named, err error) { return n, r.Scan(&n.space, &n.id, &n.name) },
		`SELECT space_id, id, name FROM report_name`+w.String(), w.args...)
	names := make(map[nameKey]string, len(rows))
	for _, n := range rows {
		names[n.nameKey] = n.name
	}
	return names, err
}

// Changes implements [report.Store].
func (s *Store) Changes(ctx context.Context, sc report.Scope) iter.Seq2[report.Change, error] {
	return func(yield func(report.Change, error) bool) {
		w := facts(sc, true)
		w.all = append(w.all, "t.outcome IN ('succeeded', 'failed', 'timed-out')")
		rows, err := s.db.Read().QueryContext(ctx, `SELECT t.space_id, t.project_id, t.environment_id, t.tenant_id, t.outcome, t.at FROM report_deployment t`+w.String()+
			` ORDER BY t.space_id, t.project_id, t.environment_id, t.tenant_id, t.at, t.id`, w.args...)
		if err != nil {
			yield(report.Change{}, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var c report.Change
			var at int64
			err := rows.Scan(&c.Space, &c.Project, &c.Environment, &c.Tenant, &c.Outcome, &at)
			c.Ended = db.Time(at)
			if !yield(c, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(report.Change{}, err)
		}
	}
}

// Leads implements [report.Store].
func (s *Store) Leads(ctx context.Context, sc report.Scope) ([]report.Lead, error) {
	w := facts(sc, false) // a release that was there before the time has its lead time before it
	w.all = append(w.all, "t.outcome = 'succeeded'", "t.release_id <> ''", "t.released > 0")
	from, to := len(w.args)+1, len(w.args)+2
	return db.Collect(ctx, s.db.Read(), func(r db.Row) (l report.Lead, err error) {
		var released, deployed int64
		err = r.Scan(&l.Space, &l.Project, &released, &deployed)
		l.Released, l.Deployed = db.Time(released), db.Time(deployed)
		return l, err
	}, `SELECT t.space_id, t.project_id, min(t.released), min(t.at) FROM report_deployment t`+w.String()+
		` GROUP BY t.space_id, t.project_id, t.release_id HAVING min(t.at) >= $`+strconv.Itoa(from)+` AND min(t.at) < $`+strconv.Itoa(to),
		append(w.args, db.Millis(sc.From), db.Millis(sc.To))...)
}

// List implements [report.Store].
func (s *Store) List(ctx context.Context, sc report.Scope, after report.Position, limit int) ([]report.Listed, error) {
	w := facts(sc, true)
	if after != (report.Position{}) {
		n := len(w.args)
		w.all = append(w.all, fmt.Sprintf("(t.at < $%d OR t.at = $%d AND (t.space_id, t.kind, t.id) > ($%d, $%d, $%d))", n+1, n+1, n+2, n+3, n+4))
		w.args = append(w.args, after.At, after.Space, after.Kind, after.ID)
	}
	w.args = append(w.args, limit)
	name := func(column string) string {
		return `coalesce((SELECT n.name FROM report_name n WHERE n.space_id = t.space_id AND n.id = t.` + column + `), '')`
	}
	return db.Collect(ctx, s.db.Read(), func(r db.Row) (l report.Listed, err error) {
		var created, started, ended, released int64
		d := &l.Deployment
		err = r.Scan(&d.Space, &d.Kind, &d.ID, &d.Task, &d.Project, &d.Environment, &d.Tenant, &d.Channel, &d.Runbook, &d.Release, &d.Version, &d.By,
			&d.Outcome, &created, &started, &ended, &released, &d.Whole, &l.Position.At, &l.ProjectName, &l.EnvironmentName, &l.TenantName)
		d.Created, d.Started, d.Ended, d.Released = db.Time(created), db.Time(started), db.Time(ended), db.Time(released)
		l.Position.Space, l.Position.Kind, l.Position.ID = d.Space, d.Kind, d.ID
		return l, err
	}, `SELECT t.`+strings.ReplaceAll(strings.Join(strings.Fields(factColumns), " "), ", ", ", t.")+`, t.at, `+name("project_id")+`, `+name("environment_id")+`, `+name("tenant_id")+
		` FROM report_deployment t`+w.String()+` ORDER BY t.at DESC, t.space_id, t.kind, t.id LIMIT $`+strconv.Itoa(len(w.args)), w.args...)
}

// Samples implements [report.Store].
func (s *Store) Samples(ctx context.Context, spaces []odcm.SpaceID, metrics []string, from, to time.Time) ([]report.Sample, error) {
	w := &where{}
	w.spaces("space_id", spaces)
	w.add("day >= ?", db.Millis(from))
	w.add("day < ?", db.Millis(to))
	w.all = append(w.all, "metric IN "+db.In(len(w.args)+1, len(metrics)))
	w.args = append(w.args, db.Args(metrics)...)
	return db.Collect(ctx, s.db.Read(), func(r db.Row) (m report.Sample, err error) {
		var day int64
		err = r.Scan(&m.Space, &day, &m.Metric, &m.N)
		m.Day = db.Time(day)
		return m, err
	}, `SELECT space_id, day, metric, n FROM report_sample`+w.String()+` ORDER BY day, space_id, metric`, w.args...)
}

// SignIns implements [report.Store].
func (s *Store) SignIns(ctx context.Context, from, to time.Time) ([]report.SignIn, error) {
	return db.Collect(ctx, s.db.Read(), func(r db.Row) (in report.SignIn, err error) {
		var at int64
		err = r.Scan(&at, &in.User, &in.Name, &in.N)
		in.At = db.Time(at)
		return in, err
	}, `SELECT at, user_id, name, n FROM report_signin WHERE at >= $1 AND at < $2 ORDER BY at, user_id`, db.Millis(from), db.Millis(to))
}

// Readings implements [report.Store].
func (s *Store) Readings(ctx context.Context, from, to time.Time) ([]report.Reading, error) {
	return db.Collect(ctx, s.db.Read(), func(r db.Row) (v report.Reading, err error) {
		var at int64
		err = r.Scan(&v.Server, &at, &v.People, &v.Background, &v.Pings, &v.Retries, &v.Limited)
		v.At = db.Time(at)
		return v, err
	}, `SELECT server, at, people, background, pings, retries, limited FROM report_usage WHERE at >= $1 AND at < $2 ORDER BY at, server`, db.Millis(from), db.Millis(to))
}

// Standings implements [report.Store].
func (s *Store) Standings(ctx context.Context, spaces []odcm.SpaceID) ([]report.Standing, error) {
	w := &where{}
	w.spaces("space_id", spaces)
	return db.Collect(ctx, s.db.Read(), func(r db.Row) (v report.Standing, err error) {
		var text string
		if err := r.Scan(&v.Space, &v.Name, &text, &v.Requests, &v.Error); err != nil {
			return v, err
		}
		var state collect.State
		err = json.Unmarshal([]byte(text), &state)
		v.Since, v.Checked, v.Filling = state.Since, state.Checked, state.Fill != nil && state.Checked.IsZero()
		return v, err
	}, `SELECT space_id, name, state, requests, error FROM report_collection`+w.String()+` ORDER BY space_id`, w.args...)
}

// Gaps implements [report.Store].
func (s *Store) Gaps(ctx context.Context, spaces []odcm.SpaceID, from, to time.Time) ([]report.Gap, error) {
	w := &where{}
	w.spaces("space_id", spaces)
	w.add("gap_until >= ?", db.Millis(from))
	w.add("gap_from < ?", db.Millis(to))
	return db.Collect(ctx, s.db.Read(), func(r db.Row) (g report.Gap, err error) {
		var from, to int64
		err = r.Scan(&g.Space, &from, &to, &g.Reason)
		g.From, g.To = db.Time(from), db.Time(to)
		return g, err
	}, `SELECT space_id, gap_from, gap_until, reason FROM report_gap`+w.String()+` ORDER BY gap_from, space_id`, w.args...)
}

// Names implements [report.Store].
func (s *Store) Names(ctx context.Context, spaces []odcm.SpaceID, kind string, limit int) ([]string, error) {
	w := &where{}
	w.spaces("space_id", spaces)
	w.add("kind = ?", kind)
	w.args = append(w.args, limit)
	return db.Collect(ctx, s.db.Read(), func(r db.Row) (name string, err error) { return name, r.Scan(&name) },
		`SELECT DISTINCT name FROM report_name`+w.String()+` ORDER BY name LIMIT $`+strconv.Itoa(len(w.args)), w.args...)
}
