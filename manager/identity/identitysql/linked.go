package identitysql

import (
	"context"
	"database/sql"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/identity/person"
)

const linkedColumns = `l.id, l.user_id, l.provider, l.subject, l.username, l.display_name, l.email, l.email_verified, l.gone, l.linked, l.last_sign_in`

type linkedRow struct {
	identity           person.Identity
	linked, lastSignIn int64
}

func (r *linkedRow) dest() []any {
	i := &r.identity
	return []any{&i.ID, &i.User, &i.Provider, &i.Subject, &i.Username, &i.DisplayName, &i.Email, &i.EmailVerified, &i.Gone, &r.linked, &r.lastSignIn}
}

func (r *linkedRow) value() person.Identity {
	r.identity.Linked, r.identity.LastSignIn = db.Time(r.linked), db.Time(r.lastSignIn)
	return r.identity
}

func scanLinked(row db.Row) (person.Identity, error) {
	var r linkedRow
	err := row.Scan(r.dest()...)
	return r.value(), err
}

// IdentityBySubject implements [identity.Store].
func (s *Store) IdentityBySubject(ctx context.Context, provider odcm.ProviderID, subject string) (person.Identity, person.User, error) {
	var r linkedRow
	var u userRow
	err := s.db.Read().QueryRowContext(ctx, `SELECT `+linkedColumns+`, `+userColumns+` FROM identity_linked l
		JOIN identity_user u ON u.id = l.user_id WHERE l.provider = $1 AND l.subject = $2`, provider, subject).Scan(append(r.dest(), u.dest()...)...)
	if err != nil {
		return person.Identity{}, person.User{}, notFound("identity", err)
	}
	all := []person.Identity{r.value()}
	err = s.marks(ctx, all)
	return all[0], u.value(), err
}

// IdentitiesBySubject implements [identity.Store].
func (s *Store) IdentitiesBySubject(ctx context.Context, provider odcm.ProviderID, subjects []string) (found []person.Identity, err error) {
	const chunk = 1000
	for ; len(subjects) > 0; subjects = subjects[min(chunk, len(subjects)):] {
		part := subjects[:min(chunk, len(subjects))]
		all, err := db.Collect(ctx, s.db.Read(), scanLinked, `SELECT `+linkedColumns+` FROM identity_linked l
			WHERE l.provider = $1 AND l.subject IN `+db.In(2, len(part))+` ORDER BY l.id`, append([]any{provider}, db.Args(part)...)...)
		if err == nil {
			err = s.marks(ctx, all)
		}
		if err != nil {
			return nil, err
		}
		found = append(found, all...)
	}
	return found, nil
}

// marks reads those of at most 1,000 identities by one query.
func (s *Store) marks(ctx context.Context, all []person.Identity) error {
	if len(all) == 0 {
		return nil
	}
	ids := make([]person.IdentityID, len(all))
	at := make(map[person.IdentityID]*person.Identity, len(all))
	for i := range all {
		ids[i], at[all[i].ID] = all[i].ID, &all[i]
		all[i].Marks = map[string]string{}
	}
	_, err := db.Collect(ctx, s.db.Read(), func(row db.Row) (struct{}, error) {
		var id person.IdentityID
		var name, mark string
		err := row.Scan(&id, &name, &mark)
		if err == nil {
			at[id].Marks[name] = mark
		}
		return struct{}{}, err
	}, `SELECT linked_id, name, mark FROM identity_mark WHERE linked_id IN `+db.In(1, len(ids)), db.Args(ids)...)
	return err
}

// Subjects implements [identity.Store].
func (s *Store) Subjects(ctx context.Context, provider odcm.ProviderID, after string, limit int) ([]string, error) {
	return db.Collect(ctx, s.db.Read(), func(row db.Row) (subject string, err error) {
		return subject, row.Scan(&subject)
	}, `SELECT subject FROM identity_linked WHERE provider = $1 AND subject > $2 ORDER BY subject LIMIT $3`, provider, after, limit)
}

// CreateLinked implements [identity.Store].
func (s *Store) CreateLinked(ctx context.Context, u person.User, key string, i person.Identity, events ...odcm.Event) error {
	var linking bool // which of the two unique keys is broken
	err := s.changes(ctx, events, func(tx *sql.Tx) error {
		linking = false
		if err := insertUser(ctx, tx, u, key); err != nil {
			return err
		}
		linking = true
		return insertLinked(ctx, tx, i)
	})
	if linking {
		return linkedElsewhere(err)
	}
	return usernameTaken(u, err)
}

// Link implements [identity.Store].
func (s *Store) Link(ctx context.Context, i person.Identity, e odcm.Event) error {
	return linkedElsewhere(s.change(ctx, e, func(tx *sql.Tx) error { return insertLinked(ctx, tx, i) }))
}

func linkedElsewhere(err error) error {
	if db.IsUnique(err) {
		return odcm.E(odcm.Exists, "identity.linked-elsewhere",
			"This account belongs to another user of ODCM already: ask an administrator to merge the two.").Because(err)
	}
	return err
}

func insertLinked(ctx context.Context, tx *sql.Tx, i person.Identity) error {
	err := exec(ctx, tx, `INSERT INTO identity_linked
		(id, user_id, provider, subject, username, display_name, email, email_verified, gone, linked, last_sign_in)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`, i.ID, i.User, i.Provider, i.Subject, i.Username, i.DisplayName, i.Email,
		i.EmailVerified, i.Gone, db.Millis(i.Linked), db.Millis(i.LastSignIn))
	if err != nil {
		return err
	}
	return keepSaid(ctx, tx, i)
}

// Unlink implements [identity.Store].
func (s *Store) Unlink(ctx context.Context, user odcm.UserID, id person.IdentityID, e odcm.Event) error {
	return s.change(ctx, e, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `DELETE FROM identity_linked WHERE id = $1 AND user_id = $2`, id, user)
		if err := one(r, err, notFound("identity", sql.ErrNoRows)); err != nil {
			return err
		}
		if err := exec(ctx, tx, `DELETE FROM identity_email WHERE user_id = $1 AND source = $2`, user, id); err != nil {
			return err
		}
		return mainEmail(ctx, tx, user)
	})
}

// Saw implements [identity.Store].
func (s *Store) Saw(ctx context.Context, all []person.Identity) error {
	const chunk = 500 // a transaction of SQLite keeps all others waiting
	for ; len(all) > 0; all = all[min(chunk, len(all)):] {
		err := s.db.Tx(ctx, func(tx *sql.Tx) error {
			for _, i := range all[:min(chunk, len(all))] {
				r, err := tx.ExecContext(ctx, `UPDATE identity_linked SET username = $3, display_name = $4, email = $5, email_verified = $6, gone = $7,
					last_sign_in = CASE WHEN last_sign_in < $8 THEN $8 ELSE last_sign_in END WHERE id = $1 AND user_id = $2`,
					i.ID, i.User, i.Username, i.DisplayName, i.Email, i.EmailVerified, i.Gone, db.Millis(i.LastSignIn))
				if err != nil {
					return err
				}
				if n, err := r.RowsAffected(); err != nil || n == 0 { // unlinked meanwhile
					return err
				}
				if err := keepSaid(ctx, tx, i); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// keepSaid keeps marks and address of an identity. An address that the provider says no more goes, since it may be somebody
// else's by now; one that the user has by himself is only verified by it.
func keepSaid(ctx context.Context, tx *sql.Tx, i person.Identity) error {
	if err := exec(ctx, tx, `DELETE FROM identity_mark WHERE linked_id = $1`, i.ID); err != nil {
		return err
	}
	for name, mark := range i.Marks {
		err := exec(ctx, tx, `INSERT INTO identity_mark (linked_id, name, mark, mark_key) VALUES ($1, $2, $3, $4)`, i.ID, name, mark, fold(mark))
		if err != nil {
			return err
		}
	}
	key := person.EmailKey(i.Email)
	if err := exec(ctx, tx, `DELETE FROM identity_email WHERE user_id = $1 AND source = $2 AND address_key <> $3`, i.User, i.ID, key); err != nil {
		return err
	}
	if i.Email != "" {
		var verified int64
		if i.EmailVerified {
			verified = db.Millis(later(i))
		}
		err := exec(ctx, tx, `INSERT INTO identity_email (user_id, address, address_key, verified, main, source) VALUES ($1, $2, $3, $4, FALSE, $5)
			ON CONFLICT (user_id, address_key) DO UPDATE SET verified = CASE
				WHEN identity_email.source = excluded.source THEN excluded.verified
				WHEN identity_email.verified = 0 THEN excluded.verified ELSE identity_email.verified END`,
			i.User, i.Email, key, verified, i.ID)
		if err != nil {
			return err
		}
	}
	return mainEmail(ctx, tx, i.User)
}
