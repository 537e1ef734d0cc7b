package reportsql

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/report"
)

// hour is the grain of what was asked of servers, quarter that of sums in milliseconds.
const (
	hour    = time.Hour
	quarter = int64(report.Quarter / time.Millisecond)
)

// RollUp implements [report.Keeper]. It goes Space by Space, each in a transaction of its own: its row of report_collection is
// locked first, as by a commit of the collection, so that nothing comes between the sum and the deletion. The horizon says that
// the time is closed: a fact that is read again from there is not counted again.
func (s *Store) RollUp(ctx context.Context, before time.Time, limit int) (total int, err error) {
	defer odcm.Wrap(&err, "roll up")
	before = before.Truncate(report.Quarter)
	spaces, err := db.Collect(ctx, s.db.Read(), func(r db.Row) (id odcm.SpaceID, err error) { return id, r.Scan(&id) },
		`SELECT DISTINCT space_id FROM report_deployment WHERE at < $1 AND outcome NOT IN ('queued', 'running') ORDER BY space_id`, db.Millis(before))
	if err != nil {
		return 0, err
	}
	for _, space := range spaces {
		n, err := s.rollUp(ctx, space, before, limit-total)
		if total += n; err != nil || total >= limit {
			return total, err
		}
	}
	return total, nil
}

func (s *Store) rollUp(ctx context.Context, space odcm.SpaceID, before time.Time, limit int) (n int, err error) {
	err = s.db.Tx(ctx, func(tx *sql.Tx) error {
		n = 0
		until := db.Millis(before)
		// Only as far as the limit reaches, and whole quarters of an hour.
		var last sql.NullInt64
		err := tx.QueryRowContext(ctx, `SELECT at FROM report_deployment WHERE space_id = $1 AND at < $2 AND outcome NOT IN ('queued', 'running')
			ORDER BY at LIMIT 1 OFFSET $3`, space, until, max(limit, 1)).Scan(&last)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if last.Valid {
			until = min(until, (last.Int64/quarter+1)*quarter)
		}
		if _, err := tx.ExecContext(ctx, `UPDATE report_collection SET horizon = CASE WHEN horizon < $2 THEN $2 ELSE horizon END, revision = revision + 1
			WHERE space_id = $1`, space, until); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO report_sum (space_id, kind, project_id, environment_id, tenant_id, outcome, at, n, took)
			SELECT space_id, kind, project_id, environment_id, tenant_id, outcome, at - at % $3, count(*), sum(took) FROM report_deployment
			WHERE space_id = $1 AND at < $2 AND outcome NOT IN ('queued', 'running')
			GROUP BY space_id, kind, project_id, environment_id, tenant_id, outcome, at - at % $3
			ON CONFLICT (space_id, at, kind, project_id, environment_id, tenant_id, outcome) DO UPDATE SET n = report_sum.n + excluded.n, took = report_sum.took + excluded.took`,
			space, until, quarter); err != nil {
			return err
		}
		done, err := tx.ExecContext(ctx, `DELETE FROM report_deployment WHERE space_id = $1 AND at < $2 AND outcome NOT IN ('queued', 'running')`, space, until)
		if err != nil {
			return err
		}
		deleted, err := done.RowsAffected()
		n = int(deleted)
		return err
	})
	return n, err
}

// Read implements [report.Keeper].
func (s *Store) Read(ctx context.Context, at time.Time, used map[string]report.Usage) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		for server, u := range used {
			if _, err := tx.ExecContext(ctx, `INSERT INTO report_usage (server, at, people, background, pings, retries, limited) VALUES ($1, $2, $3, $4, $5, $6, $7)
				ON CONFLICT (server, at) DO UPDATE SET people = report_usage.people + excluded.people, background = report_usage.background + excluded.background,
				pings = report_usage.pings + excluded.pings, retries = report_usage.retries + excluded.retries, limited = report_usage.limited + excluded.limited`,
				server, db.Millis(at.Truncate(hour)), u.People, u.Background, u.Pings, u.Retries, u.Limited); err != nil {
				return err
			}
		}
		return nil
	})
}

const signIns = "sign-ins"

// SignInsAfter implements [report.Keeper].
func (s *Store) SignInsAfter(ctx context.Context) (after odcm.EventID, err error) {
	err = s.db.Read().QueryRowContext(ctx, `SELECT coalesce(max(value), 0) FROM report_mark WHERE name = $1`, signIns).Scan(&after)
	return after, err
}

// CountSignIns implements [report.Keeper].
func (s *Store) CountSignIns(ctx context.Context, from, to odcm.EventID, all []report.SignIn) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		query, args := `UPDATE report_mark SET value = $2 WHERE name = $1 AND value = $3`, []any{signIns, to, from}
		if from == 0 {
			query, args = `INSERT INTO report_mark (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`, args[:2]
		}
		done, err := tx.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return err
		}
		for _, in := range all {
			if _, err := tx.ExecContext(ctx, `INSERT INTO report_signin (at, user_id, name, n) VALUES ($1, $2, $3, $4)
				ON CONFLICT (at, user_id) DO UPDATE SET name = excluded.name, n = report_signin.n + excluded.n`,
				db.Millis(in.At.Truncate(report.Quarter)), in.User, in.Name, in.N); err != nil {
				return err
			}
		}
		return nil
	})
}
