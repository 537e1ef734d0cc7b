package monitorsql

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/monitor"
)

// Ballots implements [monitor.Ballots]: questions and answers are rows that live for a second or two.
type Ballots struct{ db *db.DB }

// Ballots are on the same database.
func (s *Store) Ballots() Ballots { return Ballots{s.db} }

const (
	// batch is how many rows one statement writes: with more, SQLite spends its time on the names of parameters.
	batch = 20
	// forgotten is when questions are deleted that nobody closed.
	forgotten = time.Minute
	// gone is when the row of a replica that did not leave is deleted. Until then its beat stands still, and everybody knows.
	gone = time.Hour
)

// Beat implements [monitor.Ballots].
func (b Ballots) Beat(ctx context.Context, me monitor.Member) (all []monitor.Member, err error) {
	defer odcm.Wrap(&err, "beat of %s", me.Replica)
	err = b.db.Tx(ctx, func(tx *sql.Tx) error {
		for _, s := range []struct {
			query string
			args  []any
		}{
			{`INSERT INTO monitor_vantage (replica, beat) VALUES ($1, $2) ON CONFLICT (replica) DO UPDATE SET beat = excluded.beat`, []any{me.Replica, me.Beat}},
			{`DELETE FROM monitor_vantage WHERE beat < $1`, []any{me.Beat - gone.Nanoseconds()}},
			{`DELETE FROM monitor_question WHERE asked < $1`, []any{time.Now().Add(-forgotten).UnixMilli()}},
			{`DELETE FROM monitor_answer WHERE question NOT IN (SELECT id FROM monitor_question)`, nil},
		} {
			if _, err := tx.ExecContext(ctx, s.query, s.args...); err != nil {
				return err
			}
		}
		all, err = db.Collect(ctx, tx, func(r db.Row) (m monitor.Member, err error) { return m, r.Scan(&m.Replica, &m.Beat) },
			`SELECT replica, beat FROM monitor_vantage ORDER BY replica`)
		return err
	})
	return all, err
}

// Leave implements [monitor.Ballots].
func (b Ballots) Leave(ctx context.Context, replica string) error {
	return b.db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM monitor_vantage WHERE replica = $1`, replica)
		return err
	})
}

// Ask implements [monitor.Ballots].
func (b Ballots) Ask(ctx context.Context, questions []monitor.Question) error {
	now := time.Now().UnixMilli()
	return insert(ctx, b.db, `INSERT INTO monitor_question (id, asker, instance_id, asked) VALUES `, ` ON CONFLICT (id) DO NOTHING`, questions,
		func(q monitor.Question) []any { return []any{q.ID, q.Asker, string(q.Instance), now} })
}

// Open implements [monitor.Ballots].
func (b Ballots) Open(ctx context.Context, replica string, limit int) ([]monitor.Question, error) {
	return db.Collect(ctx, b.db.Read(), func(r db.Row) (q monitor.Question, err error) { return q, r.Scan(&q.ID, &q.Asker, &q.Instance) },
		`SELECT id, asker, instance_id FROM monitor_question WHERE asker <> $1
		AND NOT EXISTS (SELECT 1 FROM monitor_answer a WHERE a.question = id AND a.replica = $1) ORDER BY id DESC LIMIT $2`, replica, limit)
}

// Answer implements [monitor.Ballots].
func (b Ballots) Answer(ctx context.Context, answers []monitor.Answer) error {
	return insert(ctx, b.db, `INSERT INTO monitor_answer (question, replica, up) VALUES `, ` ON CONFLICT (question, replica) DO NOTHING`, answers,
		func(a monitor.Answer) []any {
			up := 0
			if a.Up {
				up = 1
			}
			return []any{a.Question, a.Replica, up}
		})
}

// Answers implements [monitor.Ballots].
func (b Ballots) Answers(ctx context.Context, questions []string) (all []monitor.Answer, err error) {
	for part := range slices.Chunk(questions, chunk) {
		some, err := db.Collect(ctx, b.db.Read(), func(r db.Row) (a monitor.Answer, err error) {
			var up int
			err = r.Scan(&a.Question, &a.Replica, &up)
			a.Up = up != 0
			return a, err
		}, `SELECT question, replica, up FROM monitor_answer WHERE question IN `+db.In(1, len(part))+` ORDER BY question, replica`, db.Args(part)...)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// Close implements [monitor.Ballots].
func (b Ballots) Close(ctx context.Context, questions []string) error {
	return b.db.Tx(ctx, func(tx *sql.Tx) error {
		for part := range slices.Chunk(questions, chunk) {
			for _, query := range []string{`DELETE FROM monitor_question WHERE id IN `, `DELETE FROM monitor_answer WHERE question IN `} {
				if _, err := tx.ExecContext(ctx, query+db.In(1, len(part)), db.Args(part)...); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// insert writes rows in statements of a few, in one transaction.
func insert[T any](ctx context.Context, d *db.DB, into, conflict string, rows []T, values func(T) []any) error {
	return d.Tx(ctx, func(tx *sql.Tx) error { return insertTx(ctx, tx, into, conflict, rows, values) })
}

func insertTx[T any](ctx context.Context, tx *sql.Tx, into, conflict string, rows []T, values func(T) []any) error {
	for part := range slices.Chunk(rows, batch) {
		query, args := into, []any{}
		for i, r := range part {
			v := values(r)
			if i > 0 {
				query += ", "
			}
			query += db.In(len(args)+1, len(v))
			args = append(args, v...)
		}
		if _, err := tx.ExecContext(ctx, query+conflict, args...); err != nil {
			return err
		}
	}
	return nil
}
