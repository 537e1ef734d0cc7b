package mail

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"odcm"
	"odcm/kit/db"
)

//go:embed schema/*.sql
var schema embed.FS

// Sealer seals messages at rest: they hold links that let people in.
type Sealer interface {
	Seal(plain []byte, place string) (string, error)
	Open(sealed, place string) ([]byte, error)
}

// Bus hints to all replicas that there is a message.
type Bus interface{ Publish(topics ...string) }

// Options are what an [Outbox] needs; all but Sender, Logger and Now are required.
type Options struct {
	DB     *db.DB
	Sealer Sealer
	Bus    Bus
	Sender *Sender // nil where no server is set up: nothing can be put then
	Logger *slog.Logger
	Now    func() time.Time
}

// Outbox keeps messages until the server took them. Several replicas may work on one: each message is taken by one at a
// time. One that was sent and whose replica was killed before it could note that is sent again, with the same Message-ID.
type Outbox struct{ o Options }

const (
	held     = 2 * time.Minute    // how long a replica has a message to itself; longer than sending may take
	keepBad  = 7 * 24 * time.Hour // how long it can be seen that one was refused
	firstGap = 30 * time.Second   // doubles with every try
	longest  = time.Hour          // the longest gap
	batch    = 20
)

// NewOutbox brings the table to its newest schema.
func NewOutbox(ctx context.Context, o Options) (*Outbox, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	steps, err := fs.Sub(schema, "schema")
	if err != nil {
		return nil, err
	}
	return &Outbox{o}, o.DB.Migrate(ctx, "mail", steps)
}

// Ready tells whether there is a server to send by.
func (b *Outbox) Ready() bool { return b.o.Sender != nil }

// Sender is what it sends by; nil where no server is set up.
func (b *Outbox) Sender() *Sender { return b.o.Sender }

// Put keeps a message in a transaction. It is not sent after until; what it says is of no use then.
func (b *Outbox) Put(ctx context.Context, tx *sql.Tx, m Message, until time.Time) error {
	if !b.Ready() {
		return odcm.E(odcm.Unavailable, "mail.not-set-up", "No mail server is set up here.")
	}
	if err := m.validate(); err != nil {
		return err
	}
	id := odcm.NewID[string]("mail")
	plain, err := json.Marshal(m)
	if err != nil {
		return err
	}
	sealed, err := b.o.Sealer.Seal(plain, place(id))
	if err != nil {
		return err
	}
	now := db.Millis(b.o.Now())
	_, err = tx.ExecContext(ctx, `INSERT INTO mail_message (id, recipient, subject, body, created, until, due, tries, error, failed)
		VALUES ($1, $2, $3, $4, $5, $6, $5, 0, '', FALSE)`, id, m.To, m.Subject, sealed, now, db.Millis(until))
	if err != nil {
		return err
	}
	b.o.DB.AfterCommit(tx, func() { b.o.Bus.Publish("mail/" + id) })
	return nil
}

func place(id string) string { return "mail_message/" + id + "/body" }

// Run sends what is due until ctx ends or hints (what Bus.Subscribe("mail") gives) closes: when a hint comes, and at the time
// at which something is to be tried again. Every replica knows that time, so that nothing waits for one that died.
func (b *Outbox) Run(ctx context.Context, hints <-chan string) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		case _, ok := <-hints:
			if !ok {
				return nil
			}
		}
		next, err := b.work(ctx)
		if err != nil && ctx.Err() == nil {
			b.o.Logger.Error("mail waits", "error", err)
			next = firstGap
		}
		if next > 0 {
			timer.Reset(next)
		}
	}
}

// work sends all that is due and tells when the next is; 0 for nothing.
func (b *Outbox) work(ctx context.Context) (time.Duration, error) {
	if !b.Ready() {
		return 0, nil
	}
	for {
		taken, err := b.take(ctx)
		if err != nil {
			return 0, err
		}
		for _, t := range taken {
			if err := b.send(ctx, t); err != nil {
				return 0, err
			}
		}
		if len(taken) < batch {
			return b.next(ctx)
		}
	}
}

func (b *Outbox) next(ctx context.Context) (time.Duration, error) {
	var due sql.NullInt64
	err := b.o.DB.Read().QueryRowContext(ctx, `SELECT min(due) FROM mail_message`).Scan(&due)
	if err != nil || !due.Valid {
		return 0, err
	}
	return max(db.Time(due.Int64).Sub(b.o.Now()), time.Second), nil
}

type taken struct {
	id, body string
	until    int64
	tries    int
	failed   bool
}

// take holds some that are due for this replica, and forgets those that are of no use any more.
func (b *Outbox) take(ctx context.Context) (mine []taken, err error) {
	now := b.o.Now()
	due, err := db.Collect(ctx, b.o.DB.Read(), func(row db.Row) (taken, error) {
		var t taken
		return t, row.Scan(&t.id, &t.body, &t.until, &t.tries, &t.failed)
	}, `SELECT id, body, until, tries, failed FROM mail_message WHERE due <= $1 ORDER BY due, id LIMIT $2`, db.Millis(now), batch)
	if err != nil || len(due) == 0 {
		return nil, err
	}
	err = b.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		mine = nil
		for _, t := range due {
			if t.failed || t.until <= db.Millis(now) {
				if _, err := tx.ExecContext(ctx, `DELETE FROM mail_message WHERE id = $1 AND due <= $2`, t.id, db.Millis(now)); err != nil {
					return err
				}
				continue
			}
			r, err := tx.ExecContext(ctx, `UPDATE mail_message SET due = $3, tries = tries + 1 WHERE id = $1 AND tries = $2 AND due <= $4`,
				t.id, t.tries, db.Millis(now.Add(held)), db.Millis(now))
			if err != nil {
				return err
			}
			if n, err := r.RowsAffected(); err != nil {
				return err
			} else if n == 1 {
				t.tries++
				mine = append(mine, t)
			}
		}
		return nil
	})
	return mine, err
}

// send tries one, and notes how it went.
func (b *Outbox) send(ctx context.Context, t taken) error {
	var m Message
	plain, err := b.o.Sealer.Open(t.body, place(t.id))
	if err == nil {
		err = json.Unmarshal(plain, &m)
	}
	if err == nil {
		err = b.o.Sender.Send(ctx, t.id, m)
	}
	if ctx.Err() != nil {
		return ctx.Err() // tried again when the hold ends
	}
	if err != nil {
		b.o.Logger.Warn("mail was not sent", "mail", t.id, "try", t.tries, "error", err)
	}
	return b.o.DB.Tx(ctx, func(tx *sql.Tx) (e error) {
		now := b.o.Now()
		switch odcm.KindOf(err) {
		case "":
			_, e = tx.ExecContext(ctx, `DELETE FROM mail_message WHERE id = $1`, t.id)
		case odcm.Invalid:
			_, e = tx.ExecContext(ctx, `UPDATE mail_message SET failed = TRUE, body = '', error = $2, due = $3 WHERE id = $1`,
				t.id, public(err), db.Millis(now.Add(keepBad)))
		default:
			gap := min(longest, firstGap<<min(t.tries-1, 10))
			_, e = tx.ExecContext(ctx, `UPDATE mail_message SET error = $2, due = $3 WHERE id = $1`, t.id, public(err), db.Millis(now.Add(gap)))
		}
		return e
	})
}

// public is what of an error may be shown.
func public(err error) string {
	var e *odcm.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return "It could not be sent: the log says why."
}

// Waiting is a message that was not sent yet, or was refused.
type Waiting struct {
	ID, To, Subject string
	Created, Next   time.Time
	Tries           int
	Error           string
	Refused         bool
}

// List returns what waits or was refused, the newest first.
func (b *Outbox) List(ctx context.Context, limit int) ([]Waiting, error) {
	return db.Collect(ctx, b.o.DB.Read(), func(row db.Row) (Waiting, error) {
		var w Waiting
		var created, due int64
		err := row.Scan(&w.ID, &w.To, &w.Subject, &created, &due, &w.Tries, &w.Error, &w.Refused)
		w.Created, w.Next = db.Time(created), db.Time(due)
		return w, err
	}, `SELECT id, recipient, subject, created, due, tries, error, failed FROM mail_message ORDER BY id DESC LIMIT $1`, limit)
}
