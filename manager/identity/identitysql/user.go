package identitysql

import (
	"context"
	"database/sql"
	"time"

	"golang.org/x/text/cases"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/identity/person"
	"odcm/manager/identity/session"
)

const userColumns = `u.id, u.username, u.display_name, u.roles, u.disabled, u.disabled_by, u.deleted, u.merged_into, u.picture,
	u.created, u.updated, u.revision`

// userRow is where a row's userColumns are scanned into.
type userRow struct {
	user                      person.User
	roles                     string
	created, updated, deleted int64
}

func (r *userRow) dest() []any {
	u := &r.user
	return []any{&u.ID, &u.Username, &u.DisplayName, &r.roles, &u.Disabled, &u.DisabledBy, &r.deleted, &u.MergedInto, &u.Picture,
		&r.created, &r.updated, &u.Revision}
}

func (r *userRow) value() person.User {
	r.user.Roles, r.user.Created, r.user.Updated, r.user.Deleted = readRoles(r.roles), db.Time(r.created), db.Time(r.updated), db.Time(r.deleted)
	return r.user
}

// CreateUser implements [identity.Store].
func (s *Store) CreateUser(ctx context.Context, u person.User, key, hash string, e odcm.Event, emails ...person.Email) error {
	err := s.change(ctx, e, func(tx *sql.Tx) error {
		if err := insertUser(ctx, tx, u, key); err != nil {
			return err
		}
		for _, a := range emails {
			if err := insertEmail(ctx, tx, u.ID, a); err != nil {
				return err
			}
		}
		if hash == "" {
			return nil
		}
		return setHash(ctx, tx, u.ID, hash, u.Created)
	})
	return usernameTaken(u, err)
}

func insertUser(ctx context.Context, tx *sql.Tx, u person.User, key string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO identity_user
		(id, username, username_key, display_name, display_key, roles, disabled, created, updated, revision)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`, u.ID, u.Username, key, u.DisplayName, fold(u.DisplayName),
		writeRoles(u.Roles), u.Disabled, db.Millis(u.Created), db.Millis(u.Updated), u.Revision)
	return err
}

// fold is the form in which a name is looked for.
func fold(s string) string { return cases.Fold().String(s) }

func usernameTaken(u person.User, err error) error {
	if db.IsUnique(err) {
		return odcm.E(odcm.Exists, "identity.username-taken", "The username %s is taken: choose another.", u.Username).OnField("username").Because(err)
	}
	return err
}

func setHash(ctx context.Context, tx *sql.Tx, id odcm.UserID, hash string, now time.Time) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO identity_password (user_id, hash, changed) VALUES ($1, $2, $3)
		ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, changed = excluded.changed`, id, hash, db.Millis(now))
	return err
}

// User implements [identity.Store].
func (s *Store) User(ctx context.Context, id odcm.UserID) (person.User, error) {
	var r userRow
	err := s.db.Read().QueryRowContext(ctx, `SELECT `+userColumns+` FROM identity_user u WHERE u.id = $1`, id).Scan(r.dest()...)
	return r.value(), notFound("user", err)
}

// UserByKey implements [identity.Store].
func (s *Store) UserByKey(ctx context.Context, key string) (person.User, string, error) {
	var r userRow
	var hash string
	err := s.db.Read().QueryRowContext(ctx, `SELECT `+userColumns+`, coalesce(p.hash, '') FROM identity_user u
		LEFT JOIN identity_password p ON p.user_id = u.id WHERE u.username_key = $1`, key).Scan(append(r.dest(), &hash)...)
	return r.value(), hash, notFound("user", err)
}

// UpdateUser implements [identity.Store].
func (s *Store) UpdateUser(ctx context.Context, u person.User, e odcm.Event) error {
	_, key, err := person.ParseUsername(u.Username)
	if err != nil {
		return err
	}
	err = s.change(ctx, e, func(tx *sql.Tx) error {
		return keepAdministrator(ctx, tx, u, func() error {
			r, err := tx.ExecContext(ctx, `UPDATE identity_user SET username = $3, username_key = $4, display_name = $5, display_key = $6,
				roles = $7, disabled = $8, disabled_by = $9, updated = $10, revision = revision + 1
				WHERE id = $1 AND revision = $2 AND deleted = 0`, u.ID, u.Revision, u.Username, key, u.DisplayName, fold(u.DisplayName),
				writeRoles(u.Roles), u.Disabled, u.DisabledBy, db.Millis(u.Updated))
			if err := one(r, err, changed(u)); err != nil || !u.Disabled {
				return err
			}
			return exec(ctx, tx, `DELETE FROM identity_session WHERE user_id = $1`, u.ID)
		})
	})
	return usernameTaken(u, err)
}

func changed(u person.User) error {
	return odcm.E(odcm.Conflict, "identity.user-changed", "%s was changed by someone else: look again, then repeat.", u.Username)
}

// keepAdministrator refuses a change that would leave no enabled administrator.
func keepAdministrator(ctx context.Context, tx *sql.Tx, u person.User, change func() error) error {
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
	if err := change(); err != nil {
		return err
	}
	var left int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM identity_user WHERE `+administrators).Scan(&left); err != nil {
		return err
	}
	if before > 0 && left == 0 {
		return odcm.E(odcm.Conflict, "identity.last-administrator", "%s is the last administrator: make another one first.", u.Username)
	}
	return nil
}

// DeleteUser implements [identity.Store].
func (s *Store) DeleteUser(ctx context.Context, u person.User, now time.Time, e odcm.Event) error {
	return s.change(ctx, e, func(tx *sql.Tx) error { return deleteUser(ctx, tx, u, "", now) })
}

// deleteUser leaves of a disabled user the row, under a key that no username can be.
func deleteUser(ctx context.Context, tx *sql.Tx, u person.User, into odcm.UserID, now time.Time) error {
	r, err := tx.ExecContext(ctx, `UPDATE identity_user SET deleted = $3, merged_into = $4, username_key = 'deleted ' || id, picture = '',
		updated = $3, revision = revision + 1 WHERE id = $1 AND revision = $2 AND deleted = 0 AND disabled = TRUE`,
		u.ID, u.Revision, db.Millis(now), into)
	if err := one(r, err, changed(u)); err != nil {
		return err
	}
	for _, table := range []string{"identity_password", "identity_session", "identity_key", "identity_letter", "identity_email", "identity_linked",
		"identity_picture"} {
		if err := exec(ctx, tx, `DELETE FROM `+table+` WHERE user_id = $1`, u.ID); err != nil {
			return err
		}
	}
	return nil
}

// SetPassword implements [identity.Store].
func (s *Store) SetPassword(ctx context.Context, id odcm.UserID, hash string, keep session.ID, now time.Time, e odcm.Event) error {
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
