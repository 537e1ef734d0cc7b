package identitysql

import (
	"context"
	"database/sql"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/identity/merge"
	"odcm/manager/identity/person"
)

// Alike implements [merge.Store].
func (s *Store) Alike(ctx context.Context, limit int) ([]merge.Alike, error) {
	return db.Collect(ctx, s.db.Read(), func(row db.Row) (merge.Alike, error) {
		var a merge.Alike
		return a, row.Scan(&a.One, &a.Other, &a.Sign, &a.Value)
	}, `SELECT one, other, sign, what FROM (
			SELECT DISTINCT lx.user_id AS one, ly.user_id AS other, 'account' AS sign, x.mark AS what, 1 AS weight
				FROM identity_mark x JOIN identity_mark y ON y.name = x.name AND y.mark_key = x.mark_key AND y.linked_id <> x.linked_id
				JOIN identity_linked lx ON lx.id = x.linked_id JOIN identity_linked ly ON ly.id = y.linked_id AND lx.user_id < ly.user_id
				WHERE x.name IN ('sid', 'upn', 'sam')
			UNION ALL SELECT x.user_id, y.user_id, 'subject', x.subject, 2
				FROM identity_linked x JOIN identity_linked y ON y.subject = x.subject AND x.user_id < y.user_id
				WHERE length(x.subject) >= 8 -- shorter ones are counted up anew by every provider
			UNION ALL SELECT x.user_id, y.user_id, CASE WHEN x.verified > 0 AND y.verified > 0 THEN 'verified-email' ELSE 'email' END, x.address,
				CASE WHEN x.verified > 0 AND y.verified > 0 THEN 3 ELSE 4 END
				FROM identity_email x JOIN identity_email y ON y.address_key = x.address_key AND x.user_id < y.user_id
		) alike WHERE NOT EXISTS (SELECT 1 FROM identity_distinct d WHERE d.one = alike.one AND d.other = alike.other)
		ORDER BY one, other, weight, what LIMIT $1`, limit)
}

// Distinguish implements [merge.Store].
func (s *Store) Distinguish(ctx context.Context, p merge.Pair, now time.Time, by string, e odcm.Event) error {
	return s.change(ctx, e, func(tx *sql.Tx) error {
		return exec(ctx, tx, `INSERT INTO identity_distinct (one, other, decided, by_name) VALUES ($1, $2, $3, $4) ON CONFLICT (one, other) DO NOTHING`,
			p.One, p.Other, db.Millis(now), by)
	})
}

// Merge implements [merge.Store].
func (s *Store) Merge(ctx context.Context, keep, gone person.User, now time.Time, e odcm.Event) error {
	return s.change(ctx, e, func(tx *sql.Tx) error {
		return keepAdministrator(ctx, tx, gone, func() error {
			r, err := tx.ExecContext(ctx, `UPDATE identity_user SET updated = $3, revision = revision + 1
				WHERE id = $1 AND revision = $2 AND deleted = 0`, keep.ID, keep.Revision, db.Millis(now))
			if err := one(r, err, changed(keep)); err != nil {
				return err
			}
			for _, statement := range []string{
				`UPDATE identity_linked SET user_id = $1 WHERE user_id = $2`,
				`UPDATE identity_key SET user_id = $1 WHERE user_id = $2`,
				`UPDATE identity_email SET verified = (SELECT g.verified FROM identity_email g WHERE g.user_id = $2 AND g.address_key = identity_email.address_key)
					WHERE user_id = $1 AND verified = 0 AND address_key IN (SELECT g.address_key FROM identity_email g WHERE g.user_id = $2)`,
				`UPDATE identity_email SET user_id = $1, main = FALSE WHERE user_id = $2
					AND address_key NOT IN (SELECT k.address_key FROM identity_email k WHERE k.user_id = $1)`,
				`UPDATE identity_password SET user_id = $1 WHERE user_id = $2 AND NOT EXISTS (SELECT 1 FROM identity_password k WHERE k.user_id = $1)`,
			} {
				if err := exec(ctx, tx, statement, keep.ID, gone.ID); err != nil {
					return err
				}
			}
			if err := mainEmail(ctx, tx, keep.ID); err != nil {
				return err
			}
			r, err = tx.ExecContext(ctx, `UPDATE identity_user SET disabled = TRUE, disabled_by = '' WHERE id = $1 AND revision = $2`, gone.ID, gone.Revision)
			if err := one(r, err, changed(gone)); err != nil {
				return err
			}
			return deleteUser(ctx, tx, gone, keep.ID, now)
		})
	})
}
