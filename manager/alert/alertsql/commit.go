package alertsql

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/alert"
	"odcm/manager/alert/watch"
)

// Load implements [watch.Store].
func (s *Store) Load(ctx context.Context) ([]alert.Part, error) {
	return db.Collect(ctx, s.o.DB.Read(), func(r db.Row) (p alert.Part, err error) { return p, r.Scan(&p.Part, &p.Key, &p.Body) },
		`SELECT part, key, body FROM alert_state`)
}

// Commit implements [watch.Store].
func (s *Store) Commit(ctx context.Context, c watch.Change) (err error) {
	defer odcm.Wrap(&err, "commit what alerts found")
	return s.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		if err := s.o.Leases.Check(ctx, tx, c.Lease); err != nil {
			return err
		}
		for _, p := range c.Drop {
			if _, err := tx.ExecContext(ctx, `DELETE FROM alert_state WHERE part = $1 AND key = $2`, p.Part, p.Key); err != nil {
				return err
			}
		}
		for _, p := range c.Put {
			if _, err := tx.ExecContext(ctx, `INSERT INTO alert_state (part, key, body) VALUES ($1, $2, $3)
				ON CONFLICT (part, key) DO UPDATE SET body = excluded.body`, p.Part, p.Key, p.Body); err != nil {
				return err
			}
		}
		if err := putIncidents(ctx, tx, c.Outcome); err != nil {
			return err
		}
		if err := s.putDeliveries(ctx, tx, c); err != nil {
			return err
		}
		var ids []string
		for _, i := range c.Outcome.Incidents {
			ids = append(ids, i.ID)
		}
		s.hint(tx, append(ids, c.Outcome.Gone...))
		return s.o.Events.Append(ctx, tx, events(c.Outcome)...)
	})
}

func putIncidents(ctx context.Context, tx *sql.Tx, o alert.Outcome) error {
	for _, i := range o.Incidents {
		body, err := json.Marshal(i)
		if err != nil {
			return err
		}
		// The acknowledgement is people's to write.
		if _, err := tx.ExecContext(ctx, `INSERT INTO alert_incident (id, rule, severity, subject, name, phase, since, resolved, body, acked_by, acked_at, ack_note)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', 0, '')
			ON CONFLICT (id) DO UPDATE SET severity = excluded.severity, name = excluded.name, phase = excluded.phase, resolved = excluded.resolved, body = excluded.body`,
			i.ID, i.Rule, i.Severity, i.Subject, i.Name, i.Phase, db.Millis(i.Since), db.Millis(i.Resolved), string(body)); err != nil {
			return err
		}
	}
	for _, n := range o.Notes {
		if err := putNote(ctx, tx, n); err != nil {
			return err
		}
	}
	for part := range slices.Chunk(o.Gone, chunk) {
		for _, table := range []string{"alert_incident WHERE id", "alert_note WHERE incident"} {
			if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` IN `+db.In(1, len(part)), db.Args(part)...); err != nil {
				return err
			}
		}
	}
	return nil
}

func putNote(ctx context.Context, tx *sql.Tx, n alert.Note) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO alert_note (id, incident, at, kind, text) VALUES ($1, $2, $3, $4, $5)`,
		odcm.NewID[string]("note"), n.Incident, db.Millis(n.At), n.Kind, n.Text)
	return err
}

// events are what the log says: that something began to fire, and that it is over.
func events(o alert.Outcome) (all []odcm.Event) {
	said := map[string]string{"firing": "alert.fired", "resolved": "alert.resolved", "flapping": "alert.flapped"}
	byID := map[string]alert.Incident{}
	for _, i := range o.Incidents {
		byID[i.ID] = i
	}
	for _, n := range o.Notes {
		i, ok := byID[n.Incident]
		if typ := said[n.Kind]; ok && typ != "" {
			e := odcm.NewEvent(odcm.System, typ, i.ID, i.RuleName+": "+i.Name, nil, map[string]any{
				"rule": i.Rule, "subject": i.Subject, "severity": i.Severity, "summary": i.Summary, "at": n.At.UTC()})
			all = append(all, e)
		}
	}
	return all
}

func (s *Store) putDeliveries(ctx context.Context, tx *sql.Tx, c watch.Change) error {
	if len(c.Deliveries) == 0 {
		return nil
	}
	var seq int64
	if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(seq), 0) FROM alert_delivery`).Scan(&seq); err != nil {
		return err
	}
	for _, d := range c.Deliveries {
		seq++
		body, err := json.Marshal(d.Notice)
		if err != nil {
			return err
		}
		state, problem := "queued", ""
		if d.Mails != nil {
			state = "handed-over"
		}
		done, err := tx.ExecContext(ctx, `INSERT INTO alert_delivery (id, seq, receiver, kind, title, body, state, attempts, due, held, unsure, error, created, finished)
			VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, 0, FALSE, $9, $8, 0) ON CONFLICT (id) DO NOTHING`,
			d.Notice.ID, seq, d.Notice.Receiver, d.Notice.Kind, d.Title, string(body), state, db.Millis(c.Wall), problem)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			if err != nil {
				return err
			}
			continue // told already
		}
		for _, i := range d.Notice.Incidents {
			if _, err := tx.ExecContext(ctx, `INSERT INTO alert_delivery_incident (incident, delivery) VALUES ($1, $2) ON CONFLICT DO NOTHING`, i.ID, d.Notice.ID); err != nil {
				return err
			}
		}
		if err := s.mail(ctx, tx, d, c.Wall); err != nil {
			return err
		}
	}
	s.o.DB.AfterCommit(tx, func() { s.o.Bus.Publish("notification/new") })
	return nil
}

// mailFor is how long the outbox tries.
const mailFor = 4 * 24 * time.Hour

// mail hands messages to the outbox, and notes where it takes none.
func (s *Store) mail(ctx context.Context, tx *sql.Tx, d watch.Delivery, now time.Time) error {
	var refused []string
	for _, m := range d.Mails {
		switch err := s.o.Outbox.Put(ctx, tx, m, now.Add(mailFor)); odcm.KindOf(err) {
		case "":
		case odcm.Unavailable, odcm.Invalid:
			refused = append(refused, fmt.Sprintf("%s: %s", m.To, odcm.CodeOf(err)))
		default:
			return err
		}
	}
	if d.Mails == nil {
		return nil
	}
	state, problem := "handed-over", ""
	if len(refused) > 0 {
		state, problem = "parked", "The mail could not be handed over: "+refused[0]
	}
	_, err := tx.ExecContext(ctx, `UPDATE alert_delivery SET state = $2, error = $3, attempts = 1, finished = $4 WHERE id = $1`, d.Notice.ID, state, problem, db.Millis(now))
	return err
}

// Prune implements [watch.Store].
func (s *Store) Prune(ctx context.Context, before time.Time) error {
	return s.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		for _, query := range []string{
			`DELETE FROM alert_note WHERE incident IN (SELECT id FROM alert_incident WHERE phase = 'resolved' AND resolved < $1)`,
			`DELETE FROM alert_delivery_incident WHERE incident IN (SELECT id FROM alert_incident WHERE phase = 'resolved' AND resolved < $1)`,
			`DELETE FROM alert_incident WHERE phase = 'resolved' AND resolved < $1`,
			`DELETE FROM alert_delivery WHERE state <> 'queued' AND created < $1`,
			`DELETE FROM alert_setting WHERE kind = 'silence' AND ends > 0 AND ends < $1`,
		} {
			if _, err := tx.ExecContext(ctx, query, db.Millis(before)); err != nil {
				return err
			}
		}
		return nil
	})
}
