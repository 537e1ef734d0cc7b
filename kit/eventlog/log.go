package eventlog

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"io/fs"
	"strings"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/signal"
)

// Topic is what the bus says when events were committed.
const Topic = "event"

//go:embed schema/*.sql
var files embed.FS

// Log is the log of events of one house.
type Log struct {
	d   *db.DB
	bus *signal.Bus
}

// New makes the log's tables where they are missing and opens it.
func New(ctx context.Context, d *db.DB, bus *signal.Bus) (_ *Log, err error) {
	defer odcm.Wrap(&err, "open event log")
	schema, err := fs.Sub(files, "schema")
	if err != nil {
		return nil, err
	}
	if err := d.Migrate(ctx, "event", schema); err != nil {
		return nil, err
	}
	return &Log{d: d, bus: bus}, nil
}

const (
	columns = "time, type, subject, name, actor, actor_name, via, address, before_json, after_json"
	width   = 11 // parameters per event
	// chunk bounds one INSERT. SQLite looks for the name of each parameter among all before it: hundreds of rows in one
	// statement cost far more than in statements of twenty (measured).
	chunk = 20
)

// Append adds the events to the log in the caller's transaction and gives them their time and their identifiers, in the
// order given. Make it the last thing that the transaction does: from here to its end it holds the log's lock.
func (l *Log) Append(ctx context.Context, tx *sql.Tx, events ...odcm.Event) (err error) {
	if len(events) == 0 {
		return nil
	}
	defer odcm.Wrap(&err, "append events")
	if err := l.bus.PublishTx(ctx, tx, Topic); err != nil { // first, for the next statement takes the lock
		return err
	}
	// Times do not go back where clocks of replicas differ a little or are corrected a little, so that List can turn times
	// into positions. A clock that is set back by more than a minute was wrong before and is believed now.
	var last, at int64
	if err := tx.QueryRowContext(ctx, `UPDATE event_last SET id = id + $1,
time = CASE WHEN time > $2 AND time < $3 THEN time ELSE $2 END WHERE one = 1 RETURNING id, time`,
		len(events), time.Now().UnixMilli(), time.Now().Add(time.Minute).UnixMilli()).Scan(&last, &at); err != nil {
		return err
	}
	first := last - int64(len(events)) + 1
	for i := range events {
		events[i].ID, events[i].Time = odcm.EventID(first+int64(i)), db.Time(at)
	}
	for start := 0; start < len(events); start += chunk {
		if err := insert(ctx, tx, events[start:min(start+chunk, len(events))]); err != nil {
			return err
		}
	}
	return nil
}

func insert(ctx context.Context, tx *sql.Tx, events []odcm.Event) error {
	var b strings.Builder
	b.WriteString("INSERT INTO event (id, " + columns + ") VALUES ")
	args := make([]any, 0, len(events)*width)
	for i, e := range events {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(db.In(i*width+1, width))
		args = append(args, int64(e.ID), db.Millis(e.Time), clean(e.Type), clean(e.Subject), clean(e.Name), clean(string(e.Actor)),
			clean(e.By), clean(e.Via), clean(e.Address), clean(string(e.Before)), clean(string(e.After)))
	}
	_, err := tx.ExecContext(ctx, b.String(), args...)
	return err
}

// clean takes out what PostgreSQL refuses in a TEXT, NUL and broken UTF-8: names come from outside, and a change must not
// fail because its event cannot be told.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}

func scan(r db.Row) (e odcm.Event, err error) {
	var id, at int64
	var actor, before, after string
	if err := r.Scan(&id, &at, &e.Type, &e.Subject, &e.Name, &actor, &e.By, &e.Via, &e.Address, &before, &after); err != nil {
		return e, err
	}
	e.ID, e.Time, e.Actor = odcm.EventID(id), db.Time(at), odcm.UserID(actor)
	e.Before, e.After = raw(before), raw(after)
	return e, nil
}

func raw(s string) json.RawMessage {
	if s == "" {
		return nil
	}
	return json.RawMessage(s)
}

// Last returns the identifier of the newest committed event, 0 where there was none yet. It stays when events are pruned.
func (l *Log) Last(ctx context.Context) (odcm.EventID, error) {
	var id int64
	err := l.d.Read().QueryRowContext(ctx, `SELECT id FROM event_last WHERE one = 1`).Scan(&id)
	odcm.Wrap(&err, "last event")
	return odcm.EventID(id), err
}
