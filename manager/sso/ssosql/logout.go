package ssosql

import (
	"context"
	"database/sql"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/sso/logout"
)

// Logouts implements [logout.Store]. Replicas that look at the same time get different ones: whoever writes due first has it.
func (s *Store) Logouts(ctx context.Context, at, hide time.Time, limit int) (due []logout.Logout, next time.Time, err error) {
	var waits sql.NullInt64
	if err := s.db.Read().QueryRowContext(ctx, `SELECT MIN(due) FROM sso_logout`).Scan(&waits); err != nil || !waits.Valid {
		return nil, next, err
	}
	if waits.Int64 > db.Millis(at) { // nothing to take: no transaction
		return nil, db.Time(waits.Int64), nil
	}
	err = s.db.Tx(ctx, func(tx *sql.Tx) (err error) {
		due, err = db.Collect(ctx, tx, func(r db.Row) (l logout.Logout, err error) {
			var expires int64
			err = r.Scan(&l.ID, &l.Party, &l.User, &l.Session, &l.Attempts, &expires)
			l.Expires = db.Time(expires)
			return l, err
		}, `UPDATE sso_logout SET due = $1, attempts = attempts + 1 WHERE due <= $2 AND id IN (SELECT id FROM sso_logout WHERE due <= $2 ORDER BY due LIMIT $3)
RETURNING id, party, user_id, session, attempts, expires`, db.Millis(hide), db.Millis(at), limit)
		if err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, `SELECT MIN(due) FROM sso_logout`).Scan(&waits)
	})
	return due, db.Time(waits.Int64), err
}

// RetryLogout implements [logout.Store].
func (s *Store) RetryLogout(ctx context.Context, id string, at time.Time) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE sso_logout SET due = $1 WHERE id = $2`, db.Millis(at), id)
		return err
	})
}

// EndLogout implements [logout.Store].
func (s *Store) EndLogout(ctx context.Context, id string, e *odcm.Event) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM sso_logout WHERE id = $1`, id)
		if err != nil || e == nil {
			return err
		}
		return s.events.Append(ctx, tx, *e)
	})
}
