package identitysql

import (
	"context"
	"database/sql"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/mail"
	"odcm/manager/identity/letter"
)

// Outbox takes a message in the transaction of its letter.
type Outbox interface {
	Put(ctx context.Context, tx *sql.Tx, m mail.Message, until time.Time) error
}

// Letters implements [letter.Store].
type Letters struct {
	*Store
	outbox Outbox
}

// Letters returns the store of letters, which share their transaction with the outbox.
func (s *Store) Letters(outbox Outbox) *Letters { return &Letters{s, outbox} }

const letterColumns = `id, purpose, user_id, address, created, expires`

func scanLetter(row db.Row) (letter.Letter, error) {
	var l letter.Letter
	var created, expires int64
	err := row.Scan(&l.ID, &l.Purpose, &l.User, &l.Address, &created, &expires)
	l.Created, l.Expires = db.Time(created), db.Time(expires)
	return l, err
}

// CreateLetter implements [letter.Store].
func (s *Letters) CreateLetter(ctx context.Context, l letter.Letter, token string, m *mail.Message, since time.Time, most int, e odcm.Event) error {
	return s.change(ctx, e, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `INSERT INTO identity_letter (token, `+letterColumns+`)
			SELECT $1, $2, $3, $4, $5, $6, $7 WHERE (SELECT count(*) FROM identity_letter WHERE user_id = $4 AND purpose = $3 AND created > $8) < $9`,
			token, l.ID, string(l.Purpose), string(l.User), l.Address, db.Millis(l.Created), db.Millis(l.Expires), db.Millis(since), most)
		err = one(r, err, odcm.E(odcm.Unavailable, "letter.too-many", "Too many letters were written for this already: wait an hour."))
		if err != nil || m == nil {
			return err
		}
		return s.outbox.Put(ctx, tx, *m, l.Expires)
	})
}

// Letter implements [letter.Store].
func (s *Letters) Letter(ctx context.Context, p letter.Purpose, token string, now time.Time) (letter.Letter, error) {
	l, err := scanLetter(s.db.Read().QueryRowContext(ctx, `SELECT `+letterColumns+` FROM identity_letter
		WHERE token = $1 AND purpose = $2 AND expires > $3`, token, p, db.Millis(now)))
	return l, notFound("letter", err)
}

// UseLetter implements [letter.Store]. The one statement that takes it away is what makes it work once.
func (s *Letters) UseLetter(ctx context.Context, p letter.Purpose, token string, now time.Time) (l letter.Letter, err error) {
	err = s.db.Tx(ctx, func(tx *sql.Tx) error {
		l, err = scanLetter(tx.QueryRowContext(ctx, `DELETE FROM identity_letter WHERE token = $1 AND purpose = $2 AND expires > $3
			RETURNING `+letterColumns, token, p, db.Millis(now)))
		if err != nil {
			return notFound("letter", err)
		}
		if p == letter.Verification { // one address's link is not another's
			return nil
		}
		return exec(ctx, tx, `DELETE FROM identity_letter WHERE user_id = $1 AND purpose = $2`, l.User, p)
	})
	return l, err
}

// Open implements [letter.Store].
func (s *Letters) Open(ctx context.Context, user odcm.UserID, now time.Time) ([]letter.Letter, error) {
	return db.Collect(ctx, s.db.Read(), scanLetter, `SELECT `+letterColumns+` FROM identity_letter
		WHERE user_id = $1 AND expires > $2 ORDER BY created DESC, id DESC LIMIT 100`, user, db.Millis(now))
}
