package alertsql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/alert"
	"odcm/manager/alert/desk"
)

func itoa(n int) string { return strconv.Itoa(n) }

const incidentColumns = `body, acked_by, acked_at, ack_note`

func scanIncident(r db.Row) (i alert.Incident, err error) {
	var body string
	var ack alert.Ack
	var at int64
	if err = r.Scan(&body, &ack.By, &at, &ack.Note); err != nil {
		return i, err
	}
	err = json.Unmarshal([]byte(body), &i)
	ack.At = db.Time(at)
	i.Acked = ack
	return i, err
}

// Incidents implements [desk.Store].
func (s *Store) Incidents(ctx context.Context, f desk.IncidentFilter) ([]alert.Incident, error) {
	query, args, none := incidentWhere(f)
	if none {
		return nil, nil
	}
	args = append(args, f.Limit)
	return db.Collect(ctx, s.o.DB.Read(), scanIncident,
		`SELECT `+incidentColumns+` FROM alert_incident WHERE `+query+` ORDER BY since DESC, id DESC LIMIT $`+itoa(len(args)), args...)
}

// CountIncidents implements [desk.Store].
func (s *Store) CountIncidents(ctx context.Context, f desk.IncidentFilter) (n int, err error) {
	query, args, none := incidentWhere(f)
	if none {
		return 0, nil
	}
	err = s.o.DB.Read().QueryRowContext(ctx, `SELECT count(*) FROM alert_incident WHERE `+query, args...).Scan(&n)
	return n, err
}

// incidentWhere writes the filter as a condition; none tells that nothing can match.
func incidentWhere(f desk.IncidentFilter) (query string, args []any, none bool) {
	conditions := []string{"TRUE"}
	add := func(condition string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			condition = strings.Replace(condition, "?", "$"+itoa(len(args)), 1)
		}
		conditions = append(conditions, condition)
	}
	switch f.Phase {
	case "":
	case "open":
		add("phase <> 'resolved'")
	default:
		add("phase = ?", f.Phase)
	}
	if f.Rule != "" {
		add("rule = ?", f.Rule)
	}
	if f.Severity != "" {
		add("severity = ?", f.Severity)
	}
	if f.Subject != "" {
		add("subject = ?", f.Subject)
	}
	if f.Text != "" {
		like := "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(strings.ToLower(f.Text)) + "%"
		add(`lower(name) LIKE ? ESCAPE '\'`, like)
	}
	if !f.From.IsZero() {
		add("since >= ?", db.Millis(f.From))
	}
	if !f.To.IsZero() {
		add("since < ?", db.Millis(f.To))
	}
	if !f.Before.Since.IsZero() {
		add("(since < ? OR since = ? AND id < ?)", db.Millis(f.Before.Since), db.Millis(f.Before.Since), f.Before.ID)
	}
	if !f.All {
		if len(f.Subjects) == 0 {
			return "", nil, true
		}
		from := len(args) + 1
		args = append(args, db.Args(f.Subjects)...)
		conditions = append(conditions, "subject IN "+db.In(from, len(f.Subjects)))
	}
	return strings.Join(conditions, " AND "), args, false
}

// Incident implements [desk.Store].
func (s *Store) Incident(ctx context.Context, id string) (alert.Incident, error) {
	i, err := scanIncident(s.o.DB.Read().QueryRowContext(ctx, `SELECT `+incidentColumns+` FROM alert_incident WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return i, missing("incident")
	}
	return i, err
}

// Notes implements [desk.Store].
func (s *Store) Notes(ctx context.Context, incident string, limit int) ([]alert.Note, error) {
	return db.Collect(ctx, s.o.DB.Read(), func(r db.Row) (n alert.Note, err error) {
		var at int64
		err = r.Scan(&n.Incident, &at, &n.Kind, &n.Text)
		n.At = db.Time(at)
		return n, err
	}, `SELECT incident, at, kind, text FROM alert_note WHERE incident = $1 ORDER BY at DESC, id DESC LIMIT $2`, incident, limit)
}

// Acknowledge implements [desk.Store].
func (s *Store) Acknowledge(ctx context.Context, id string, a alert.Ack, event odcm.Event) error {
	return s.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, `UPDATE alert_incident SET acked_by = $2, acked_at = $3, ack_note = $4 WHERE id = $1 AND phase <> 'resolved' AND acked_at = 0`,
			id, a.By, db.Millis(a.At), a.Note)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return odcm.E(odcm.Conflict, "alert.not-open", "It is over, or somebody has taken it on already.")
		}
		text := a.By + " has taken it on."
		if a.Note != "" {
			text += " " + a.Note
		}
		if err := putNote(ctx, tx, alert.Note{Incident: id, At: a.At, Kind: "acknowledged", Text: text}); err != nil {
			return err
		}
		s.hint(tx, []string{id})
		return s.o.Events.Append(ctx, tx, event)
	})
}
