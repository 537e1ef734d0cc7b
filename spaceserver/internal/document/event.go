package document

import (
	"context"
	"database/sql"
	"iter"
	"strings"
	"time"

	"odcm/kit/db"
)

// Event is a row of the audit trail.
type Event struct {
	AutoID   int64
	Space    string
	Category string // Created, Modified, Deleted, ...
	Type     string // of the document: Environment, Project
	User     string
	Occurred time.Time
	Related  []string // ids of what it is about
	Body     []byte   // the rest of the event as JSON, without Id, Category, SpaceId, Occurred
}

// Append numbers the events and adds them, in the transaction of what they tell of.
func (s *Store) Append(ctx context.Context, tx *sql.Tx, events ...Event) error {
	if len(events) == 0 {
		return nil
	}
	last, err := s.Next(ctx, tx, "events", int64(len(events)))
	if err != nil {
		return err
	}
	first := last - int64(len(events)) + 1
	for i, e := range events {
		if _, err := tx.ExecContext(ctx, insertEvent, first+int64(i), e.Space, e.Category, e.Type, e.User, db.Millis(e.Occurred),
			" "+strings.Join(e.Related, " ")+" ", string(e.Body)); err != nil {
			return err
		}
	}
	return nil
}

// EventQuery says which events to list. Nil and zero mean any.
type EventQuery struct {
	Spaces       []string
	AutoIDs      []int64
	Categories   []string
	Types        []string
	Users        []string
	Any          [][]string // of each list, at least one id must be related
	From, To     time.Time
	FromID, ToID int64 // both included
	Skip, Take   int
	OldestFirst  bool
}

func (q EventQuery) where() *where {
	w := &where{}
	w.in("space", q.Spaces)
	w.in("category", q.Categories)
	w.in("document_type", q.Types)
	w.in("user_id", q.Users)
	if q.AutoIDs != nil {
		from := len(w.args) + 1
		w.args = append(w.args, db.Args(q.AutoIDs)...)
		w.conditions = append(w.conditions, "auto_id IN "+db.In(from, len(q.AutoIDs)))
	}
	for _, ids := range q.Any {
		var any []string
		for _, id := range ids {
			any = append(any, "related LIKE "+w.arg("% "+escapeLike(id)+" %")+` ESCAPE '\'`)
		}
		if len(any) > 0 {
			w.conditions = append(w.conditions, "("+strings.Join(any, " OR ")+")")
		}
	}
	if !q.From.IsZero() {
		w.add("occurred >= ?", db.Millis(q.From))
	}
	if !q.To.IsZero() {
		w.add("occurred <= ?", db.Millis(q.To))
	}
	if q.FromID > 0 {
		w.add("auto_id >= ?", q.FromID)
	}
	if q.ToID > 0 {
		w.add("auto_id <= ?", q.ToID)
	}
	return w
}

// Events reads one page, newest first unless the query says otherwise, and counts all that fit.
func (s *Store) Events(ctx context.Context, h db.Querier, q EventQuery) (events []Event, total int, err error) {
	w := q.where()
	if err := h.QueryRowContext(ctx, "SELECT count(*) FROM spaceserver_event"+w.text(), w.args...).Scan(&total); err != nil {
		return nil, 0, err
	}
	order := " ORDER BY auto_id DESC"
	if q.OldestFirst {
		order = " ORDER BY auto_id"
	}
	take := q.Take
	if take <= 0 {
		take = maxTake
	}
	text := "SELECT " + eventColumns + " FROM spaceserver_event" + w.text() + order + " LIMIT " + w.arg(take) + " OFFSET " + w.arg(q.Skip)
	events, err = db.Collect(ctx, h, scanEvent, text, w.args...)
	return events, total, err
}

const eventColumns = "auto_id, space, category, document_type, user_id, occurred, related, body"

func scanEvent(r db.Row) (Event, error) {
	var e Event
	var occurred int64
	var related string
	err := r.Scan(&e.AutoID, &e.Space, &e.Category, &e.Type, &e.User, &occurred, &related, &e.Body)
	e.Occurred, e.Related = db.Time(occurred), strings.Fields(related)
	return e, err
}

// EachEvent yields all events that fit, newest first, for what SQL cannot ask: Skip and Take are for the caller.
func (s *Store) EachEvent(ctx context.Context, h db.Querier, q EventQuery) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		w := q.where()
		rows, err := h.QueryContext(ctx, "SELECT "+eventColumns+" FROM spaceserver_event"+w.text()+" ORDER BY auto_id DESC", w.args...)
		if err != nil {
			yield(Event{}, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			e, err := scanEvent(rows)
			if !yield(e, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(Event{}, err)
		}
	}
}

// PruneEvents removes what is older than the time.
func (s *Store) PruneEvents(ctx context.Context, before time.Time) error {
	return s.DB.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM spaceserver_event WHERE occurred < $1", db.Millis(before))
		return err
	})
}
