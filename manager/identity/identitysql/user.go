package identitysql

import (
	"context"
	"database/sql"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/identity"
)

const userColumns = `u.id, u.username, u.display_name, u.roles, u.disabled, u.created, u.revision`

// userRow is where a row's userColumns are scanned into.
type userRow struct {
	user    identity.User
	roles   string
	created int64
}

func (r *userRow) dest() []any {
	u := &r.user
	return []any{&u.ID, &u.Username, &u.DisplayName, &r.roles, &u.Disabled, &r.created, &u.Revision}
}

func (r *userRow) value() identity.User {
	r.user.Roles, r.user.Created = readRoles(r.roles), db.Time(r.created)
	return r.user
}

// CreateUser implements [identity.Store].
func (s *Store) CreateUser(ctx context.Context, u identity.User, key, hash string, e odcm.Event) error {
	err := s.change(ctx, e, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO identity_user (id, username, username_key, display_name, roles, disabled, created, revision)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			u.ID, u.Username, key, u.DisplayName, writeRoles(u.Roles), u.Disabled, db.Millis(u.Created), u.Revision)
		if err != nil || hash == "" {
			return err
		}
		return setHash(ctx, tx, u.ID, hash, u.Created)
	})
	if db.IsUnique(err) {
		return odcm.E(odcm.Exists, "identity.username-taken", "The username %s is taken: choose another.", u.Username).OnField("username")
	}
	return err
}

func setHash(ctx context.Context, tx *sql.Tx, id odcm.UserID, hash string, now time.Time) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO identity_password (user_id, hash, changed) VALUES ($1, $2, $3)
		ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, changed = excluded.changed`, id, hash, db.Millis(now))
	return err
}

// User implements [identity.Store].
func (s *Store) User(ctx context.Context, id odcm.UserID) (identity.User, error) {
	var r userRow
	err := s.db.Read().QueryRowContext(ctx, `SELECT `+userColumns+` FROM identity_user u WHERE u.id = $1`, id).Scan(r.dest()...)
	return r.value(), notFound("user", err)
}

// UserByKey implements [identity.Store].
func (s *Store) UserByKey(ctx context.Context, key string) (identity.User, string, error) {
	var r userRow
	var hash string
	err := s.db.Read().QueryRowContext(ctx, `SELECT `+userColumns+`, coalesce(p.hash, '') FROM identity_user u
		LEFT JOIN identity_password p ON p.user_id = u.id WHERE u.username_key = $1`, key).Scan(append(r.dest(), &hash)...)
	return r.value(), hash, notFound("user", err)
}

// UpdateUser implements [identity.Store].
func (s *Store) UpdateUser(ctx context.Context, u identity.User, e odcm.Event) error {
	return s.change(ctx, e, func(tx *sql.Tx) error {
		// Taking the rows of all administrators makes two changes of administrators take turns on PostgreSQL, so that each
		// of two cannot take away the other's last colleague.
		const administrators = `disabled = FALSE AND roles LIKE '%,administrator,%'`
		taken, err := tx.ExecContext(ctx, `UPDATE identity_user SET revision = revision WHERE `+administrators)
		if err != nil {
			return err
		}
		before, err := taken.RowsAffected()
		if err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, `UPDATE identity_user SET display_name = $3, roles = $4, disabled = $5, revision = revision + 1
			WHERE id = $1 AND revision = $2`, u.ID, u.Revision, u.DisplayName, writeRoles(u.Roles), u.Disabled)
		changed := odcm.E(odcm.Conflict, "identity.user-changed", "%s was changed by someone else: look again, then repeat.", u.Username)
		if err := one(r, err, changed); err != nil {
			return err
		}
		var left int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM identity_user WHERE `+administrators).Scan(&left); err != nil {
			return err
		}
		if before > 0 && left == 0 {
			return odcm.E(odcm.Conflict, "identity.last-administrator", "%s is the last administrator: make another one first.", u.Username)
		}
		if u.Disabled {
			_, err = tx.ExecContext(ctx, `DELETE FROM identity_session WHERE user_id = $1`, u.ID)
		}
		return err
	})
}

// SetPassword implements [identity.Store].
func (s *Store) SetPassword(ctx context.Context, id odcm.UserID, hash string, keep identity.SessionID, now time.Time, e odcm.Event) error {
	return s.change(ctx, e, func(tx *sql.Tx) error {
		if err := setHash(ctx, tx, id, hash, now); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM identity_session WHERE user_id = $1 AND id <> $2`, id, keep)
		return err
	})
}

// Rehash implements [identity.Store].
func (s *Store) Rehash(ctx context.Context, id odcm.UserID, old, new string) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE identity_password SET hash = $3 WHERE user_id = $1 AND hash = $2`, id, old, new)
		return err
	})
}
