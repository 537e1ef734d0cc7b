package eventlog

import (
	"context"
	"strconv"
	"strings"
	"time"

	"odcm"
	"odcm/kit/db"
)

// Filter says which events to list. Zero fields match everything.
type Filter struct {
	Before   odcm.EventID // older than this one; 0 starts at the newest
	Types    []string     // any of them
	Subject  string       // identifier of the thing that changed
	Actor    string       // identifier of who did it
	Text     string       // part of the name, the type or the actor's name, without regard to case
	From, To time.Time    // at or after From, before To
	Limit    int          // 50 where zero, at most 500
}

// List returns the newest events that match, newest first. The identifier of the last one is Before of the next page.
func (l *Log) List(ctx context.Context, f Filter) (_ []odcm.Event, err error) {
	defer odcm.Wrap(&err, "list events")
	query, args := f.query()
	return db.Collect(ctx, l.d.Read(), scan, query, args...)
}

// position turns a time into the first event at or after it, so that a page of an old day reads that day and not
// everything since: measured with a million events on SQLite, 0.3 ms and not 400. "time + 0" keeps planners from the
// index on time, from which they would have to read and sort the whole range.
const position = "COALESCE((SELECT id FROM event WHERE time >= ? ORDER BY time, id LIMIT 1), 9223372036854775807)"

func (f Filter) query() (string, []any) {
	var where []string
	var args []any
	add := func(cond string, arg any) {
		args = append(args, arg)
		where = append(where, strings.ReplaceAll(cond, "?", "$"+strconv.Itoa(len(args))))
	}
	if f.Before > 0 {
		add("id < ?", int64(f.Before))
	}
	if len(f.Types) > 0 {
		where = append(where, "type IN "+db.In(len(args)+1, len(f.Types)))
		args = append(args, db.Args(f.Types)...)
	}
	if f.Subject != "" {
		add("subject = ?", f.Subject)
	}
	if f.Actor != "" {
		add("actor = ?", f.Actor)
	}
	if f.Text != "" {
		add(`(lower(name) LIKE ? ESCAPE '\' OR type LIKE ? ESCAPE '\' OR lower(actor_name) LIKE ? ESCAPE '\')`, "%"+escapeLike(strings.ToLower(f.Text))+"%")
	}
	if !f.From.IsZero() {
		add("time + 0 >= ? AND id >= "+position, db.Millis(f.From))
	}
	if !f.To.IsZero() {
		add("time + 0 < ? AND id < "+position, db.Millis(f.To))
	}
	q := "SELECT id, " + columns + " FROM event"
	if len(where) > 0 {
		q += " WHERE " + strings.Join(where, " AND ")
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 50
	}
	return q + " ORDER BY id DESC LIMIT " + strconv.Itoa(min(limit, 500)), args
}

func escapeLike(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}
