package identitysql

import (
	"context"
	"database/sql"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/identity/person"
)

func insertEmail(ctx context.Context, tx *sql.Tx, user odcm.UserID, a person.Email) error {
	return exec(ctx, tx, `INSERT INTO identity_email (user_id, address, address_key, verified, main, source) VALUES ($1, $2, $3, $4, $5, $6)`,
		user, a.Address, person.EmailKey(a.Address), db.Millis(a.Verified), a.Main, a.Source)
}

// AddEmail implements [identity.Store].
func (s *Store) AddEmail(ctx context.Context, user odcm.UserID, a person.Email, most int, e odcm.Event) error {
	err := s.change(ctx, e, func(tx *sql.Tx) error {
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM identity_email WHERE user_id = $1`, user).Scan(&n); err != nil {
			return err
		}
		if n >= most {
			return odcm.E(odcm.Invalid, "identity.emails-full", "A user has at most %d addresses: remove one first.", most).OnField("email")
		}
		a.Main = n == 0
		return insertEmail(ctx, tx, user, a)
	})
	if db.IsUnique(err) {
		return odcm.E(odcm.Exists, "identity.email-exists", "The user has this address already.").OnField("email").Because(err)
	}
	return err
}

// RemoveEmail implements [identity.Store].
func (s *Store) RemoveEmail(ctx context.Context, user odcm.UserID, key string, e odcm.Event) error {
	return s.change(ctx, e, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `DELETE FROM identity_email WHERE user_id = $1 AND address_key = $2`, user, key)
		if err := one(r, err, notFound("e-mail address", sql.ErrNoRows)); err != nil {
			return err
		}
		return mainEmail(ctx, tx, user)
	})
}

// mainEmail makes another address the main one where the main one went: the one that was verified first, if any was.
func mainEmail(ctx context.Context, tx *sql.Tx, user odcm.UserID) error {
	return exec(ctx, tx, `UPDATE identity_email SET main = TRUE WHERE user_id = $1
		AND NOT EXISTS (SELECT 1 FROM identity_email m WHERE m.user_id = $1 AND m.main = TRUE)
		AND address_key = (SELECT o.address_key FROM identity_email o WHERE o.user_id = $1
			ORDER BY CASE WHEN o.verified = 0 THEN 1 ELSE 0 END, o.verified, o.address_key LIMIT 1)`, user)
}

// UseEmail implements [identity.Store].
func (s *Store) UseEmail(ctx context.Context, user odcm.UserID, key string, e odcm.Event) error {
	return s.change(ctx, e, func(tx *sql.Tx) error {
		if err := exec(ctx, tx, `UPDATE identity_email SET main = FALSE WHERE user_id = $1`, user); err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, `UPDATE identity_email SET main = TRUE WHERE user_id = $1 AND address_key = $2 AND verified > 0`, user, key)
		return one(r, err, odcm.E(odcm.Conflict, "identity.email-not-verified", "Verify the address first."))
	})
}

// VerifyEmail implements [identity.Store].
func (s *Store) VerifyEmail(ctx context.Context, user odcm.UserID, key string, now time.Time, e odcm.Event) error {
	return s.change(ctx, e, func(tx *sql.Tx) error {
		// It is his own from now on, whatever a provider says later.
		r, err := tx.ExecContext(ctx, `UPDATE identity_email SET source = '', verified = CASE WHEN verified = 0 THEN $3 ELSE verified END
			WHERE user_id = $1 AND address_key = $2`, user, key, db.Millis(now))
		return one(r, err, notFound("e-mail address", sql.ErrNoRows))
	})
}

// UsersByEmail implements [identity.Store].
func (s *Store) UsersByEmail(ctx context.Context, key string) ([]person.User, error) {
	return db.Collect(ctx, s.db.Read(), scanUser, `SELECT `+userColumns+` FROM identity_user u JOIN identity_email e ON e.user_id = u.id
		WHERE e.address_key = $1 AND e.verified > 0 AND u.disabled = FALSE ORDER BY u.id`, key)
}

func scanUser(row db.Row) (person.User, error) {
	var r userRow
	err := row.Scan(r.dest()...)
	return r.value(), err
}
