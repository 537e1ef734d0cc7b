// Package ledger keeps where releases and runbook snapshots went and what came of it: one row for each deployment and each
// runbook run, with marks on those that a dashboard shows. The marks are kept when something is queued, ends or is deleted,
// in the same transaction, so that reading what is where costs the same after the hundred-thousandth deployment as after
// the first.
package ledger

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"
	"time"

	"odcm/kit/db"
)

// The kinds of entries, as the documents are called.
const (
	Deployments = "Deployments"
	RunbookRuns = "RunbookRuns"
)

// Entry is one deployment or runbook run.
type Entry struct {
	ID, Kind, Space, Project string
	Line                     string // what follows one another: the project, the runbook
	Source                   string // the release, the runbook's snapshot
	Channel                  string // "" for runbook runs
	Environment, Tenant      string // Tenant "" for none
	Task, State              string
	Number                   int64 // order of creation
	Created, Completed       time.Time
	Newest                   bool // of its line, channel, environment and tenant
	Good                     bool // the newest of these that succeeded: what is there now
}

// Ended tells whether the entry's task has come to its end.
func (e Entry) Ended() bool { return !e.Completed.IsZero() }

const columns = "id, kind, space, project, line, source, channel, environment, tenant, task, state, number, created, completed, newest, good"

const place = "line = $1 AND environment = $2 AND tenant = $3 AND channel = $4"

func scan(r db.Row) (e Entry, err error) {
	var created, completed int64
	err = r.Scan(&e.ID, &e.Kind, &e.Space, &e.Project, &e.Line, &e.Source, &e.Channel, &e.Environment, &e.Tenant, &e.Task, &e.State, &e.Number, &created, &completed, &e.Newest, &e.Good)
	e.Created, e.Completed = db.Time(created), db.Time(completed)
	return e, err
}

// Add enters what was queued: it is the newest of its place from now on.
func Add(ctx context.Context, tx *sql.Tx, e Entry) error {
	if _, err := tx.ExecContext(ctx, "UPDATE spaceserver_deployment SET newest = false WHERE "+place+" AND newest", e.Line, e.Environment, e.Tenant, e.Channel); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO spaceserver_deployment ("+columns+") VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,true,false)",
		e.ID, e.Kind, e.Space, e.Project, e.Line, e.Source, e.Channel, e.Environment, e.Tenant, e.Task, e.State, e.Number, db.Millis(e.Created), 0); err != nil {
		return err
	}
	return note(ctx, tx, e, false)
}

// Of finds the entry of a task; false where the task is of another kind.
func Of(ctx context.Context, q db.Querier, task string) (Entry, bool, error) {
	return one(q.QueryRowContext(ctx, "SELECT "+columns+" FROM spaceserver_deployment WHERE task = $1", task))
}

// Get finds an entry by the id of its document.
func Get(ctx context.Context, q db.Querier, id string) (Entry, bool, error) {
	return one(q.QueryRowContext(ctx, "SELECT "+columns+" FROM spaceserver_deployment WHERE id = $1", id))
}

func one(row *sql.Row) (Entry, bool, error) {
	e, err := scan(row)
	if errors.Is(err, sql.ErrNoRows) {
		return e, false, nil
	}
	return e, err == nil, err
}

// Began records that the entry's task runs.
func Began(ctx context.Context, tx *sql.Tx, id, state string) error {
	_, err := tx.ExecContext(ctx, "UPDATE spaceserver_deployment SET state = $1 WHERE id = $2", state, id)
	return err
}

// End records how the entry, as it was read in the transaction, ended. What succeeded is what is there now, unless something
// newer succeeded before it.
func End(ctx context.Context, tx *sql.Tx, e Entry, state string, at time.Time) error {
	succeeded := state == "Success"
	good := succeeded && e.Newest
	if good {
		if _, err := tx.ExecContext(ctx, "UPDATE spaceserver_deployment SET good = false WHERE "+place+" AND good", e.Line, e.Environment, e.Tenant, e.Channel); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, "UPDATE spaceserver_deployment SET state = $1, completed = $2, good = $3 WHERE id = $4", state, db.Millis(at), good, e.ID); err != nil || !succeeded {
		return err
	}
	if !good {
		if err := mark(ctx, tx, e); err != nil {
			return err
		}
	}
	return note(ctx, tx, e, true)
}

// note keeps the outcome of an entry that was added, or that succeeded. Where nothing is to be written the row is locked on
// PostgreSQL nevertheless (its manual: INSERT, conflict_action), so that [recount] waits for the entry and counts it.
func note(ctx context.Context, tx *sql.Tx, e Entry, succeeded bool) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO spaceserver_outcome (source, tenant, environment, space, succeeded) VALUES ($1,$2,$3,$4,$5)
		ON CONFLICT (source, tenant, environment) DO UPDATE SET succeeded = true WHERE excluded.succeeded AND NOT spaceserver_outcome.succeeded`,
		e.Source, e.Tenant, e.Environment, e.Space, succeeded)
	return err
}

// mark finds again which entry of a place is the newest and which the newest good one.
func mark(ctx context.Context, tx *sql.Tx, e Entry) error {
	if _, err := tx.ExecContext(ctx, "UPDATE spaceserver_deployment SET newest = false, good = false WHERE "+place+" AND (newest OR good)", e.Line, e.Environment, e.Tenant, e.Channel); err != nil {
		return err
	}
	for _, m := range []struct{ column, which string }{{"newest", ""}, {"good", " AND state = 'Success'"}} {
		if _, err := tx.ExecContext(ctx, "UPDATE spaceserver_deployment SET "+m.column+" = true WHERE id = (SELECT id FROM spaceserver_deployment WHERE "+place+m.which+" ORDER BY number DESC LIMIT 1)",
			e.Line, e.Environment, e.Tenant, e.Channel); err != nil {
			return err
		}
	}
	return nil
}

// Remove forgets an entry whose document is deleted.
func Remove(ctx context.Context, tx *sql.Tx, id string) error {
	e, ok, err := Get(ctx, tx, id)
	if err != nil || !ok {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM spaceserver_deployment WHERE id = $1", id); err != nil {
		return err
	}
	if e.Newest || e.Good {
		if err := mark(ctx, tx, e); err != nil {
			return err
		}
	}
	return recount(ctx, tx, e)
}

// recount finds again what became of an entry's release or snapshot in its place, from the entries that are left. It locks the
// outcome first, so that no entry is added or succeeds there meanwhile.
func recount(ctx context.Context, tx *sql.Tx, e Entry) error {
	if err := note(ctx, tx, e, false); err != nil {
		return err
	}
	const left = " (SELECT 1 FROM spaceserver_deployment WHERE source = $1 AND tenant = $2 AND environment = $3"
	for _, query := range []string{
		"DELETE FROM spaceserver_outcome WHERE source = $1 AND tenant = $2 AND environment = $3 AND NOT EXISTS" + left + ")",
		"UPDATE spaceserver_outcome SET succeeded = EXISTS" + left + " AND state = 'Success') WHERE source = $1 AND tenant = $2 AND environment = $3",
	} {
		if _, err := tx.ExecContext(ctx, query, e.Source, e.Tenant, e.Environment); err != nil {
			return err
		}
	}
	return nil
}

// Query narrows a list; empty members mean any.
type Query struct {
	ID, Kind, Space, Project, Line, Source string
	Sources, Projects, Environments        []string
	Tenants, Channels, Lines               []string
	Environment, Tenant                    string
	Untenanted                             bool // only what was for no tenant
	States                                 []string
	Shown                                  bool // only the newest and the good ones
	Open                                   bool // only what has not ended
	From, To                               time.Time
	Skip, Take                             int // the newest so many after the first so many; all if Take is 0
}

// List lists entries, the newest first.
func List(ctx context.Context, q db.Querier, w Query) ([]Entry, error) {
	text, args := w.where()
	text = "SELECT " + columns + " FROM spaceserver_deployment" + text + " ORDER BY number DESC"
	if w.Take > 0 {
		args = append(args, w.Take, w.Skip)
		text += " LIMIT $" + strconv.Itoa(len(args)-1) + " OFFSET $" + strconv.Itoa(len(args))
	}
	return db.Collect(ctx, q, scan, text, args...)
}

// Count tells how many entries there are, whatever Skip and Take say.
func Count(ctx context.Context, q db.Querier, w Query) (n int, err error) {
	text, args := w.where()
	err = q.QueryRowContext(ctx, "SELECT count(*) FROM spaceserver_deployment"+text, args...).Scan(&n)
	return n, err
}

// Outcome is what became of a release or snapshot in an environment, for a tenant or for none.
type Outcome struct {
	Environment, Tenant string
	Succeeded           bool
}

// Outcomes tell where a release or snapshot was deployed or run, once for each place: however often it went there.
func Outcomes(ctx context.Context, q db.Querier, source string) ([]Outcome, error) {
	return db.Collect(ctx, q, func(r db.Row) (o Outcome, err error) {
		err = r.Scan(&o.Environment, &o.Tenant, &o.Succeeded)
		return o, err
	}, "SELECT environment, tenant, succeeded FROM spaceserver_outcome WHERE source = $1", source)
}

func (w Query) where() (string, []any) {
	var conditions []string
	var args []any
	add := func(condition string, value any) {
		args = append(args, value)
		conditions = append(conditions, condition+" $"+strconv.Itoa(len(args)))
	}
	for _, c := range []struct{ column, value string }{{"id", w.ID}, {"kind", w.Kind}, {"space", w.Space}, {"project", w.Project}, {"line", w.Line}, {"source", w.Source}, {"environment", w.Environment}, {"tenant", w.Tenant}} {
		if c.value != "" {
			add(c.column+" =", c.value)
		}
	}
	if w.Untenanted {
		add("tenant =", "")
	}
	for _, c := range []struct {
		column string
		values []string
	}{{"state", w.States}, {"source", w.Sources}, {"project", w.Projects}, {"environment", w.Environments}, {"tenant", w.Tenants}, {"channel", w.Channels}, {"line", w.Lines}} {
		if len(c.values) > 0 {
			from := len(args) + 1
			args = append(args, db.Args(c.values)...)
			conditions = append(conditions, c.column+" IN "+db.In(from, len(c.values)))
		}
	}
	if w.Shown {
		conditions = append(conditions, "(newest OR good)")
	}
	if w.Open {
		conditions = append(conditions, "completed = 0")
	}
	if !w.From.IsZero() {
		add("created >=", db.Millis(w.From))
	}
	if !w.To.IsZero() {
		add("created <", db.Millis(w.To))
	}
	if len(conditions) == 0 {
		return "", args
	}
	return " WHERE " + strings.Join(conditions, " AND "), args
}
