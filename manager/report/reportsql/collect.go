// Package reportsql keeps what package report counts in SQLite or PostgreSQL, by one SQL text.
package reportsql

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/report"
	"odcm/manager/report/collect"
)

//go:embed schema/*.sql
var schema embed.FS

// Store implements [report.Store], [report.Keeper] and [collect.Store].
type Store struct{ db *db.DB }

var (
	_ report.Store  = (*Store)(nil)
	_ report.Keeper = (*Store)(nil)
	_ collect.Store = (*Store)(nil)
)

// New brings the tables to their newest schema.
func New(ctx context.Context, d *db.DB) (*Store, error) {
	steps, err := fs.Sub(schema, "schema")
	if err != nil {
		return nil, err
	}
	return &Store{d}, d.Migrate(ctx, "report", steps)
}

// chunk bounds the parameters of one statement; SQLite takes 32,766.
const chunk = 1000

const factColumns = `space_id, kind, id, task_id, project_id, environment_id, tenant_id, channel_id, runbook_id, release_id, version, made_by,
	outcome, created, started, ended, released, whole`

// kept is a fact with the time at which it counts.
type kept struct {
	report.Deployment
	at int64
}

func scanKept(r db.Row) (k kept, err error) {
	d := &k.Deployment
	var created, started, ended, released int64
	err = r.Scan(&d.Space, &d.Kind, &d.ID, &d.Task, &d.Project, &d.Environment, &d.Tenant, &d.Channel, &d.Runbook, &d.Release, &d.Version, &d.By,
		&d.Outcome, &created, &started, &ended, &released, &d.Whole, &k.at)
	d.Created, d.Started, d.Ended, d.Released = db.Time(created), db.Time(started), db.Time(ended), db.Time(released)
	return k, err
}

// State implements [collect.Store].
func (s *Store) State(ctx context.Context, space odcm.SpaceID) (state collect.State, err error) {
	defer odcm.Wrap(&err, "state of collection")
	var text string
	var revision int64
	err = s.db.Read().QueryRowContext(ctx, `SELECT revision, state FROM report_collection WHERE space_id = $1`, space).Scan(&revision, &text)
	if errors.Is(err, sql.ErrNoRows) {
		return collect.State{}, nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), &state)
	}
	state.Revision = revision
	return state, err
}

// Commit implements [collect.Store].
func (s *Store) Commit(ctx context.Context, b collect.Batch) (revision int64, err error) {
	defer odcm.Wrap(&err, "commit what was collected")
	was := b.Next.Revision
	b.Next.Revision = was + 1
	text, err := json.Marshal(b.Next)
	if err != nil {
		return 0, err
	}
	err = s.db.Tx(ctx, func(tx *sql.Tx) error {
		horizon, err := advance(ctx, tx, b, was, string(text)) // first: its lock keeps out roll-ups and other replicas
		if err != nil {
			return err
		}
		if err := putFacts(ctx, tx, b, horizon); err != nil {
			return err
		}
		if b.Names != nil {
			if err := putNames(ctx, tx, b.Space.ID, b.Names); err != nil {
				return err
			}
		}
		for _, m := range b.Samples {
			if _, err := tx.ExecContext(ctx, `INSERT INTO report_sample (space_id, day, metric, n) VALUES ($1, $2, $3, $4)
				ON CONFLICT (space_id, day, metric) DO UPDATE SET n = excluded.n`, b.Space.ID, db.Millis(m.Day), m.Metric, m.N); err != nil {
				return err
			}
		}
		if b.Gap == nil {
			return nil
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO report_gap (space_id, gap_from, gap_until, reason) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
			b.Space.ID, db.Millis(b.Gap.From), db.Millis(b.Gap.To), b.Gap.Reason)
		return err
	})
	return b.Next.Revision, err
}

// advance writes the next state where the stored one is the one that was read.
func advance(ctx context.Context, tx *sql.Tx, b collect.Batch, was int64, text string) (horizon int64, err error) {
	query := `UPDATE report_collection SET revision = $2, name = $3, state = $4, requests = requests + $5, error = $6
		WHERE space_id = $1 AND revision = $7 RETURNING horizon`
	args := []any{b.Space.ID, b.Next.Revision, clean(b.Space.Name), text, b.Requests, clean(b.Error), was}
	if was == 0 {
		query, args = `INSERT INTO report_collection (space_id, revision, name, state, horizon, requests, error) VALUES ($1, $2, $3, $4, 0, $5, $6)
			ON CONFLICT (space_id) DO NOTHING RETURNING horizon`, args[:6]
	}
	err = tx.QueryRowContext(ctx, query, args...).Scan(&horizon)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, odcm.E(odcm.Conflict, "report.overtaken", "Another replica collects from this Space.")
	}
	return horizon, err
}

// putFacts merges facts with those that are known.
func putFacts(ctx context.Context, tx *sql.Tx, b collect.Batch, horizon int64) error {
	totals := totals{}
	for part := range slices.Chunk(b.Facts, chunk/2) {
		ids := make([]string, 0, len(part))
		for _, d := range part {
			ids = append(ids, d.ID)
		}
		rows, err := db.Collect(ctx, tx, scanKept, `SELECT `+factColumns+`, at FROM report_deployment WHERE space_id = $1 AND id IN `+db.In(2, len(ids)),
			append([]any{b.Space.ID}, db.Args(ids)...)...)
		if err != nil {
			return err
		}
		known := map[report.Kind]map[string]kept{report.Deployments: {}, report.RunbookRuns: {}}
		for _, d := range rows {
			known[d.Kind][d.ID] = d
		}
		for _, d := range part {
			d.Space = b.Space.ID
			for _, text := range []*string{&d.Task, &d.Project, &d.Environment, &d.Tenant, &d.Channel, &d.Runbook, &d.Release, &d.Version, &d.By} {
				*text = clean(*text)
			}
			old, ok := known[d.Kind][d.ID]
			counted := ok
			if ok && !old.Same(d) {
				earlier := old.Earlier(b.Now)
				before, err := db.Collect(ctx, tx, scanKept, `SELECT `+factColumns+`, at FROM report_deployment WHERE space_id = $1 AND kind = $2 AND id = $3`,
					earlier.Space, earlier.Kind, earlier.ID)
				if err != nil {
					return err
				}
				at, err := put(ctx, tx, earlier, b.Now)
				if err != nil {
					return err
				}
				for _, again := range before { // it was told of before, and takes that one's place
					totals.add(again, -1)
				}
				totals.add(kept{earlier, at}, 1)
				ok = false
			}
			if ok {
				d = old.Merge(d)
			} else {
				d = report.Deployment{Space: d.Space, Kind: d.Kind, ID: d.ID, Outcome: report.Queued}.Merge(d)
			}
			if !ok && d.Outcome.Ended() && d.At(b.Now).UnixMilli() < horizon {
				if counted { // what had its identifier before is kept as an earlier one
					if _, err := tx.ExecContext(ctx, `DELETE FROM report_deployment WHERE space_id = $1 AND kind = $2 AND id = $3`, old.Space, old.Kind, old.ID); err != nil {
						return err
					}
					totals.add(old, -1)
					delete(known[d.Kind], d.ID)
				}
				continue // it is in the sums
			}
			at, err := put(ctx, tx, d, b.Now)
			if err != nil {
				return err
			}
			if counted {
				totals.add(old, -1)
			}
			totals.add(kept{d, at}, 1)
			known[d.Kind][d.ID] = kept{d, at} // it may come twice
		}
	}
	return totals.put(ctx, tx)
}

// put writes a fact and returns the time at which it counts.
func put(ctx context.Context, tx *sql.Tx, d report.Deployment, now time.Time) (at int64, err error) {
	at = db.Millis(d.At(now))
	_, err = tx.ExecContext(ctx, `INSERT INTO report_deployment (`+factColumns+`, at, took, checked)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
		ON CONFLICT (space_id, kind, id) DO UPDATE SET task_id = excluded.task_id, project_id = excluded.project_id, environment_id = excluded.environment_id,
		tenant_id = excluded.tenant_id, channel_id = excluded.channel_id, runbook_id = excluded.runbook_id, release_id = excluded.release_id,
		version = excluded.version, made_by = excluded.made_by, outcome = excluded.outcome, created = excluded.created, started = excluded.started,
		ended = excluded.ended, released = excluded.released, whole = excluded.whole, at = excluded.at, took = excluded.took, checked = excluded.checked`,
		d.Space, d.Kind, d.ID, d.Task, d.Project, d.Environment, d.Tenant, d.Channel, d.Runbook, d.Release, d.Version, d.By, d.Outcome,
		db.Millis(d.Created), db.Millis(d.Started), db.Millis(d.Ended), db.Millis(d.Released), d.Whole, at, d.Took().Milliseconds(), db.Millis(now))
	return at, err
}

// putNames keeps the names; what is gone keeps the name that it had, for old figures.
func putNames(ctx context.Context, tx *sql.Tx, space odcm.SpaceID, names []report.Name) error {
	for _, n := range names {
		if _, err := tx.ExecContext(ctx, `INSERT INTO report_name (space_id, id, kind, name) VALUES ($1, $2, $3, $4)
			ON CONFLICT (space_id, id) DO UPDATE SET name = excluded.name WHERE report_name.name <> excluded.name`, space, clean(n.ID), n.Kind, clean(n.Name)); err != nil {
			return err
		}
	}
	return nil
}

// clean takes out what PostgreSQL refuses in a TEXT, since the words come from outside.
func clean(s string) string { return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "") }

// Known implements [collect.Store].
func (s *Store) Known(ctx context.Context, space odcm.SpaceID, kind report.Kind, ids []string) (map[string]report.Outcome, error) {
	known := map[string]report.Outcome{}
	for part := range slices.Chunk(ids, chunk) {
		rows, err := db.Collect(ctx, s.db.Read(), func(r db.Row) (f [2]string, err error) { return f, r.Scan(&f[0], &f[1]) },
			`SELECT id, outcome FROM report_deployment WHERE space_id = $1 AND kind = $2 AND id IN `+db.In(3, len(part)), append([]any{space, kind}, db.Args(part)...)...)
		if err != nil {
			return nil, err
		}
		for _, f := range rows {
			known[f[0]] = report.Outcome(f[1])
		}
	}
	return known, nil
}

// Open implements [collect.Store].
func (s *Store) Open(ctx context.Context, space odcm.SpaceID, before time.Time, limit int) ([]report.Deployment, error) {
	return db.Collect(ctx, s.db.Read(), func(r db.Row) (report.Deployment, error) {
		k, err := scanKept(r)
		return k.Deployment, err
	}, `SELECT `+factColumns+`, at FROM report_deployment WHERE space_id = $1 AND outcome IN ('queued', 'running') AND checked < $2 ORDER BY checked, id LIMIT $3`,
		space, db.Millis(before), limit)
}

// Unnamed implements [collect.Store].
func (s *Store) Unnamed(ctx context.Context, space odcm.SpaceID) (unnamed bool, err error) {
	err = s.db.Read().QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM report_deployment d WHERE d.space_id = $1 AND (
		NOT EXISTS (SELECT 1 FROM report_name n WHERE n.space_id = d.space_id AND n.id = d.project_id)
		OR NOT EXISTS (SELECT 1 FROM report_name n WHERE n.space_id = d.space_id AND n.id = d.environment_id)
		OR d.tenant_id <> '' AND NOT EXISTS (SELECT 1 FROM report_name n WHERE n.space_id = d.space_id AND n.id = d.tenant_id)))`, space).Scan(&unnamed)
	return unnamed, err
}
