package alertsql

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"time"

	"odcm/kit/db"
	"odcm/manager/alert"
	"odcm/manager/alert/delivery"
	"odcm/manager/alert/desk"
)

// far is how far ahead a time that a replica wrote may lie: what lies beyond was written by a clock that was wrong.
const far = 2 * time.Hour

type queued struct {
	id, body, receiver string
	seq, attempts      int64
	created, held      int64
	unsure             bool
}

// Claim implements [delivery.Store].
func (s *Store) Claim(ctx context.Context, now, until time.Time, busy []string, limit int) (jobs []delivery.Job, err error) {
	// The oldest of each receiver alone: what comes after it waits, so that nobody hears of the end before the beginning.
	args := []any{db.Millis(now), db.Millis(now.Add(far)), limit}
	query := `SELECT d.id, d.seq, d.receiver, d.body, d.attempts, d.created, d.held, d.unsure, r.body FROM alert_delivery d
		JOIN alert_setting r ON r.kind = 'receiver' AND r.id = d.receiver
		WHERE d.state = 'queued' AND (d.due <= $1 OR d.due > $2) AND (d.held <= $1 OR d.held > $2)
		AND NOT EXISTS (SELECT 1 FROM alert_delivery e WHERE e.receiver = d.receiver AND e.state = 'queued' AND e.seq < d.seq)`
	if len(busy) > 0 {
		query += ` AND d.receiver NOT IN ` + db.In(4, len(busy))
		args = append(args, db.Args(busy)...)
	}
	type found struct {
		queued
		receiver string
	}
	heads, err := db.Collect(ctx, s.o.DB.Read(), func(r db.Row) (f found, err error) {
		return f, r.Scan(&f.id, &f.seq, &f.queued.receiver, &f.body, &f.attempts, &f.created, &f.held, &f.unsure, &f.receiver)
	}, query+` ORDER BY d.due, d.id LIMIT $3`, args...)
	if err != nil || len(heads) == 0 {
		return nil, err
	}
	err = s.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		jobs = nil
		for _, h := range heads {
			done, err := tx.ExecContext(ctx, `UPDATE alert_delivery SET attempts = attempts + 1, unsure = (unsure OR held > 0), held = $3 WHERE id = $1 AND attempts = $2 AND state = 'queued'`,
				h.id, h.attempts, db.Millis(until))
			if err != nil {
				return err
			}
			if n, err := done.RowsAffected(); err != nil {
				return err
			} else if n == 0 {
				continue // another replica was faster
			}
			j := delivery.Job{ID: h.id, Attempt: h.attempts + 1, Created: db.Time(h.created)}
			if err := json.Unmarshal([]byte(h.body), &j.Notice); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(h.receiver), &j.Receiver); err != nil {
				return err
			}
			if err := s.merge(ctx, tx, h.queued, &j); err != nil {
				return err
			}
			jobs = append(jobs, j)
		}
		return nil
	})
	return jobs, err
}

// merge lets a message that something fires say too that it is over, where that waits behind it. It does not where the message
// may have arrived already: it would be told twice, because with other words it has another key.
func (s *Store) merge(ctx context.Context, tx *sql.Tx, q queued, j *delivery.Job) error {
	if j.Notice.Kind == alert.Resolves || q.unsure || q.held > 0 {
		return nil
	}
	waiting, err := db.Collect(ctx, tx, func(r db.Row) (w queued, err error) { return w, r.Scan(&w.id, &w.body) },
		`SELECT id, body FROM alert_delivery WHERE receiver = $1 AND state = 'queued' AND kind = 'resolved' AND seq > $2 ORDER BY seq LIMIT 100`, q.receiver, q.seq)
	if err != nil {
		return err
	}
	merged := false
	for _, w := range waiting {
		var n alert.Notice
		if err := json.Unmarshal([]byte(w.body), &n); err != nil {
			return err
		}
		if !covers(j.Notice, n) {
			continue
		}
		for _, over := range n.Incidents {
			at := slices.IndexFunc(j.Notice.Incidents, func(i alert.Incident) bool { return i.ID == over.ID })
			j.Notice.Incidents[at] = over
		}
		if _, err := tx.ExecContext(ctx, `UPDATE alert_delivery SET state = 'merged', finished = due WHERE id = $1`, w.id); err != nil {
			return err
		}
		merged = true
	}
	if !merged {
		return nil
	}
	j.Notice.ID += "-over"
	body, err := json.Marshal(j.Notice)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE alert_delivery SET body = $2 WHERE id = $1`, j.ID, string(body))
	return err
}

// covers tells whether all incidents of the second are in the first.
func covers(first, second alert.Notice) bool {
	return !slices.ContainsFunc(second.Incidents, func(i alert.Incident) bool {
		return !slices.ContainsFunc(first.Incidents, func(j alert.Incident) bool { return i.ID == j.ID })
	})
}

// Finish implements [delivery.Store].
func (s *Store) Finish(ctx context.Context, j delivery.Job, r delivery.Result) error {
	return s.o.DB.Tx(ctx, func(tx *sql.Tx) (err error) {
		switch r.State {
		case delivery.Sent: // whoever holds it now: it arrived
			_, err = tx.ExecContext(ctx, `UPDATE alert_delivery SET state = 'sent', error = '', finished = $2, held = 0 WHERE id = $1 AND state = 'queued'`, j.ID, db.Millis(r.At))
		case delivery.Queued:
			_, err = tx.ExecContext(ctx, `UPDATE alert_delivery SET error = $3, due = $4, held = 0, unsure = (unsure OR $5) WHERE id = $1 AND attempts = $2 AND state = 'queued'`,
				j.ID, j.Attempt, r.Error, db.Millis(r.Due), r.Unsure)
		default:
			_, err = tx.ExecContext(ctx, `UPDATE alert_delivery SET state = $3, error = $4, finished = $5, held = 0 WHERE id = $1 AND attempts = $2 AND state = 'queued'`,
				j.ID, j.Attempt, r.State, r.Error, db.Millis(r.At))
		}
		if err == nil {
			var ids []string
			for _, i := range j.Notice.Incidents {
				ids = append(ids, i.ID)
			}
			s.hint(tx, ids)
		}
		return err
	})
}

// Next implements [delivery.Store].
func (s *Store) Next(ctx context.Context, now time.Time) (time.Time, error) {
	var due sql.NullInt64
	err := s.o.DB.Read().QueryRowContext(ctx, `SELECT min(CASE WHEN held > $1 THEN held ELSE due END) FROM alert_delivery d WHERE state = 'queued'
		AND NOT EXISTS (SELECT 1 FROM alert_delivery e WHERE e.receiver = d.receiver AND e.state = 'queued' AND e.seq < d.seq)`, db.Millis(now)).Scan(&due)
	return db.Time(due.Int64), err
}

const deliveryColumns = `id, receiver, kind, title, state, attempts, due, error, created, finished`

func scanDelivery(r db.Row) (d desk.Delivery, err error) {
	var due, created, finished int64
	err = r.Scan(&d.ID, &d.Receiver, &d.Kind, &d.Title, &d.State, &d.Attempts, &due, &d.Error, &created, &finished)
	d.Due, d.Created, d.Finished = db.Time(due), db.Time(created), db.Time(finished)
	return d, err
}

// Deliveries implements [desk.Store].
func (s *Store) Deliveries(ctx context.Context, f desk.DeliveryFilter) ([]desk.Delivery, error) {
	query, args := `SELECT `+deliveryColumns+` FROM alert_delivery WHERE TRUE`, []any{f.Limit}
	where := func(condition string, value any) {
		args = append(args, value)
		query += " AND " + condition + " $" + itoa(len(args))
	}
	if f.State != "" {
		where("state =", f.State)
	}
	if f.Receiver != "" {
		where("receiver =", f.Receiver)
	}
	if f.Incident != "" {
		args = append(args, f.Incident)
		query += ` AND id IN (SELECT delivery FROM alert_delivery_incident WHERE incident = $` + itoa(len(args)) + `)`
	}
	if !f.Before.Created.IsZero() {
		args = append(args, db.Millis(f.Before.Created), f.Before.ID)
		query += ` AND (created < $` + itoa(len(args)-1) + ` OR created = $` + itoa(len(args)-1) + ` AND id < $` + itoa(len(args)) + `)`
	}
	return db.Collect(ctx, s.o.DB.Read(), scanDelivery, query+` ORDER BY created DESC, id DESC LIMIT $1`, args...)
}

// Retry implements [desk.Store].
func (s *Store) Retry(ctx context.Context, id string, now time.Time) error {
	return s.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, `UPDATE alert_delivery SET state = 'queued', due = $2, held = 0, created = $2, finished = 0
			WHERE id = $1 AND (state = 'queued' OR state IN ('parked', 'expired') AND receiver IN (SELECT id FROM alert_setting WHERE kind = 'receiver'))`, id, db.Millis(now))
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			if err != nil {
				return err
			}
			return missing("delivery")
		}
		s.o.DB.AfterCommit(tx, func() { s.o.Bus.Publish("notification/" + id) })
		return nil
	})
}
