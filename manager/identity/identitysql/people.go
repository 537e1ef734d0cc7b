package identitysql

import (
	"context"
	"database/sql"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/identity/person"
)

// later is when the provider last said it.
func later(i person.Identity) time.Time {
	if i.LastSignIn.After(i.Linked) {
		return i.LastSignIn
	}
	return i.Linked
}

// List implements [identity.Store].
func (s *Store) List(ctx context.Context, f person.Filter, after string, limit int) ([]person.Person, error) {
	text := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(fold(strings.TrimSpace(f.Text)))
	users, err := db.Collect(ctx, s.db.Read(), scanUser, `SELECT `+userColumns+` FROM identity_user u
		WHERE u.username_key > $1
		AND CASE $2 WHEN 'active' THEN u.disabled = FALSE WHEN 'disabled' THEN u.disabled = TRUE AND u.deleted = 0
			WHEN 'deleted' THEN u.deleted > 0 ELSE u.deleted = 0 END
		AND ($3 = '' OR u.username_key LIKE '%' || $3 || '%' ESCAPE '\' OR u.display_key LIKE '%' || $3 || '%' ESCAPE '\'
			OR EXISTS (SELECT 1 FROM identity_email e WHERE e.user_id = u.id AND e.address_key LIKE '%' || $3 || '%' ESCAPE '\'))
		AND ($4 = '' OR $4 = 'local' AND EXISTS (SELECT 1 FROM identity_password p WHERE p.user_id = u.id)
			OR EXISTS (SELECT 1 FROM identity_linked l WHERE l.user_id = u.id AND l.provider = $4))
		AND ($5 = '' OR u.roles LIKE '%,' || $5 || ',%')
		ORDER BY u.username_key LIMIT $6`, after, string(f.State), text, string(f.Provider), string(f.Role), limit)
	if err != nil || len(users) == 0 {
		return nil, err
	}
	return s.details(ctx, users)
}

// People implements [identity.Store].
func (s *Store) People(ctx context.Context, ids []odcm.UserID) ([]person.Person, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	users, err := db.Collect(ctx, s.db.Read(), scanUser, `SELECT `+userColumns+` FROM identity_user u WHERE u.id IN `+db.In(1, len(ids))+
		` ORDER BY u.username_key`, db.Args(ids)...)
	if err != nil || len(users) == 0 {
		return nil, err
	}
	return s.details(ctx, users)
}

// details adds what belongs to the users, by one query of each sort.
func (s *Store) details(ctx context.Context, users []person.User) ([]person.Person, error) {
	people := make([]person.Person, len(users))
	ids := make([]odcm.UserID, len(users))
	at := make(map[odcm.UserID]*person.Person, len(users))
	for i, u := range users {
		people[i].User, ids[i], at[u.ID] = u, u.ID, &people[i]
	}
	in, args := db.In(1, len(ids)), db.Args(ids)
	linked, err := db.Collect(ctx, s.db.Read(), scanLinked, `SELECT `+linkedColumns+` FROM identity_linked l WHERE l.user_id IN `+in+` ORDER BY l.id`, args...)
	if err == nil {
		for part := range slices.Chunk(linked, 1000) {
			if err = s.marks(ctx, part); err != nil {
				break
			}
		}
	}
	if err != nil {
		return nil, err
	}
	for _, i := range linked {
		at[i.User].Identities = append(at[i.User].Identities, i)
	}
	_, err = db.Collect(ctx, s.db.Read(), func(row db.Row) (none struct{}, err error) {
		var id odcm.UserID
		var a person.Email
		var verified int64
		if err := row.Scan(&id, &a.Address, &verified, &a.Main, &a.Source); err != nil {
			return none, err
		}
		a.Verified = db.Time(verified)
		at[id].Emails = append(at[id].Emails, a)
		return none, nil
	}, `SELECT user_id, address, verified, main, source FROM identity_email WHERE user_id IN `+in+` ORDER BY main DESC, address_key`, args...)
	if err != nil {
		return nil, err
	}
	_, err = db.Collect(ctx, s.db.Read(), func(row db.Row) (none struct{}, err error) {
		var id odcm.UserID
		if err := row.Scan(&id); err != nil {
			return none, err
		}
		at[id].HasPassword = true
		return none, nil
	}, `SELECT user_id FROM identity_password WHERE user_id IN `+in, args...)
	return people, err
}

// SetPicture implements [identity.Store].
func (s *Store) SetPicture(ctx context.Context, id odcm.UserID, tag string, jpeg []byte, e odcm.Event) error {
	return s.change(ctx, e, func(tx *sql.Tx) error {
		if err := exec(ctx, tx, `DELETE FROM identity_picture WHERE user_id = $1`, id); err != nil {
			return err
		}
		if jpeg != nil {
			err := exec(ctx, tx, `INSERT INTO identity_picture (user_id, jpeg) VALUES ($1, $2)`, id, base64.StdEncoding.EncodeToString(jpeg))
			if err != nil {
				return err
			}
		}
		r, err := tx.ExecContext(ctx, `UPDATE identity_user SET picture = $2 WHERE id = $1 AND deleted = 0`, id, tag)
		return one(r, err, notFound("user", sql.ErrNoRows))
	})
}

// Picture implements [identity.Store].
func (s *Store) Picture(ctx context.Context, id odcm.UserID) (tag string, jpeg []byte, err error) {
	var text string
	err = s.db.Read().QueryRowContext(ctx, `SELECT u.picture, p.jpeg FROM identity_picture p JOIN identity_user u ON u.id = p.user_id
		WHERE p.user_id = $1`, id).Scan(&tag, &text)
	if err != nil {
		return "", nil, notFound("picture", err)
	}
	jpeg, err = base64.StdEncoding.DecodeString(text)
	return tag, jpeg, err
}
