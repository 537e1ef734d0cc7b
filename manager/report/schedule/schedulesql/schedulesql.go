// Package schedulesql keeps schedules of reports in SQLite or PostgreSQL, by one SQL text.
package schedulesql

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"strconv"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/mail"
	"odcm/manager/report/schedule"
)

//go:embed schema/*.sql
var files embed.FS

// Events is the log into which a change's event goes, in the transaction of the change.
type Events interface {
	Append(ctx context.Context, tx *sql.Tx, events ...odcm.Event) error
}

// Outbox keeps a message in a transaction until it is sent.
type Outbox interface {
	Put(ctx context.Context, tx *sql.Tx, m mail.Message, until time.Time) error
}

// Store implements [schedule.Store].
type Store struct {
	db     *db.DB
	events Events
	outbox Outbox
}

var _ schedule.Store = (*Store)(nil)

// New brings the tables to their newest schema.
func New(ctx context.Context, d *db.DB, events Events, outbox Outbox) (*Store, error) {
	steps, err := fs.Sub(files, "schema")
	if err != nil {
		return nil, err
	}
	return &Store{d, events, outbox}, d.Migrate(ctx, "report_schedule", steps)
}

const columns = `id, owner, owner_name, plan, paused, reason, due, created, revision`

func scan(r db.Row) (s schedule.Schedule, err error) {
	var plan string
	var due, created int64
	if err := r.Scan(&s.ID, &s.Owner, &s.OwnerIs, &plan, &s.Paused, &s.Reason, &due, &created, &s.Revision); err != nil {
		return s, err
	}
	s.Due, s.Created = db.Time(due), db.Time(created)
	return s, json.Unmarshal([]byte(plan), &s.Plan)
}

// Create implements [schedule.Store].
func (s *Store) Create(ctx context.Context, c schedule.Schedule, most int, e odcm.Event) error {
	plan, err := json.Marshal(c.Plan)
	if err != nil {
		return err
	}
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM report_schedule WHERE owner = $1`, c.Owner).Scan(&n); err != nil {
			return err
		}
		if n >= most {
			return odcm.E(odcm.Conflict, "report.too-many-schedules", "You have %d schedules already: delete one first.", n)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO report_schedule (`+columns+`, name) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			c.ID, c.Owner, c.OwnerIs, string(plan), c.Paused, c.Reason, db.Millis(c.Due), db.Millis(c.Created), c.Revision, c.Name); err != nil {
			return err
		}
		return s.events.Append(ctx, tx, e)
	})
}

// Update implements [schedule.Store].
func (s *Store) Update(ctx context.Context, c schedule.Schedule, e odcm.Event) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		if changed, err := s.update(ctx, tx, c); err != nil {
			return err
		} else if !changed {
			return gone(ctx, tx, c.ID)
		}
		return s.events.Append(ctx, tx, e)
	})
}

func (s *Store) update(ctx context.Context, tx *sql.Tx, c schedule.Schedule) (bool, error) {
	plan, err := json.Marshal(c.Plan)
	if err != nil {
		return false, err
	}
	done, err := tx.ExecContext(ctx, `UPDATE report_schedule SET name = $3, plan = $4, paused = $5, reason = $6, due = $7, revision = revision + 1 WHERE id = $1 AND revision = $2`,
		c.ID, c.Revision, c.Name, string(plan), c.Paused, c.Reason, db.Millis(c.Due))
	if err != nil {
		return false, err
	}
	n, err := done.RowsAffected()
	return n == 1, err
}

// gone says why no row was touched.
func gone(ctx context.Context, tx *sql.Tx, id string) error {
	var one int
	err := tx.QueryRowContext(ctx, `SELECT 1 FROM report_schedule WHERE id = $1`, id).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return schedule.NotFound()
	}
	if err != nil {
		return err
	}
	return odcm.E(odcm.Conflict, "report.schedule-changed", "Somebody changed this schedule since you read it. Look at it again.")
}

// Delete implements [schedule.Store].
func (s *Store) Delete(ctx context.Context, id string, revision int64, e odcm.Event) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, `DELETE FROM report_schedule WHERE id = $1 AND revision = $2`, id, revision)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return gone(ctx, tx, id)
		}
		return s.events.Append(ctx, tx, e)
	})
}

// Get implements [schedule.Store].
func (s *Store) Get(ctx context.Context, id string) (schedule.Schedule, error) {
	found, err := scan(s.db.Read().QueryRowContext(ctx, `SELECT `+columns+` FROM report_schedule WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return found, schedule.NotFound()
	}
	return found, err
}

// List implements [schedule.Store].
func (s *Store) List(ctx context.Context, owner odcm.UserID, after schedule.Position, limit int) ([]schedule.Schedule, error) {
	query, args := `SELECT `+columns+` FROM report_schedule WHERE (name, id) > ($1, $2)`, []any{after.Name, after.ID, limit}
	if owner != "" {
		args = append(args, owner)
		query += ` AND owner = $` + strconv.Itoa(len(args))
	}
	return db.Collect(ctx, s.db.Read(), scan, query+` ORDER BY name, id LIMIT $3`, args...)
}

// Due implements [schedule.Store].
func (s *Store) Due(ctx context.Context, now time.Time, limit int) ([]schedule.Schedule, error) {
	return db.Collect(ctx, s.db.Read(), scan, `SELECT `+columns+` FROM report_schedule WHERE NOT paused AND due <= $1 ORDER BY due, id LIMIT $2`, db.Millis(now), limit)
}

// Sent implements [schedule.Store].
func (s *Store) Sent(ctx context.Context, c schedule.Schedule, sending schedule.Sending, next time.Time, messages []mail.Message, until time.Time, e odcm.Event) (done bool, err error) {
	defer odcm.Wrap(&err, "note that a report was sent")
	c.Due = next
	err = s.db.Tx(ctx, func(tx *sql.Tx) error {
		// Another replica that sends the same waits here, and finds another revision.
		if done, err = s.update(ctx, tx, c); err != nil || !done {
			return err
		}
		inserted, err := tx.ExecContext(ctx, `INSERT INTO report_sending (schedule_id, period, at, recipients, error) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
			sending.Schedule, sending.Period, db.Millis(sending.At), sending.To, sending.Error)
		if err != nil {
			return err
		}
		if n, err := inserted.RowsAffected(); err != nil || n == 0 { // the period was sent; what is due next is written all the same
			done = false
			return err
		}
		for _, m := range messages {
			if err := s.outbox.Put(ctx, tx, m, until); err != nil {
				return err
			}
		}
		return s.events.Append(ctx, tx, e)
	})
	return done && err == nil, err
}

// Sendings implements [schedule.Store].
func (s *Store) Sendings(ctx context.Context, id string, limit int) ([]schedule.Sending, error) {
	return db.Collect(ctx, s.db.Read(), func(r db.Row) (v schedule.Sending, err error) {
		var at int64
		err = r.Scan(&v.Schedule, &v.Period, &at, &v.To, &v.Error)
		v.At = db.Time(at)
		return v, err
	}, `SELECT schedule_id, period, at, recipients, error FROM report_sending WHERE schedule_id = $1 ORDER BY at DESC, period DESC LIMIT $2`, id, limit)
}
