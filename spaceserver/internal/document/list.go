package document

import (
	"context"
	"database/sql"
	"errors"
	"iter"
	"slices"
	"strings"

	"odcm/kit/db"
)

// Order is how a list is sorted.
type Order int

// The orders of lists.
const (
	ByName Order = iota
	ByPosition
	NewestFirst
	OldestFirst
)

// Query says which documents to list. Nil slices mean any.
type Query struct {
	Kind     string
	Spaces   []string
	IDs      []string
	Owner    string // "" for any
	Projects []string
	Name     string   // the whole name, in any case
	States   []string // in any case
	Partial  string   // part of the name, in any case
	Contains string   // text that the body contains: finds candidates for references
	Order    Order
	Skip     int
	Take     int // 0 for all
}

// maxTake keeps LIMIT within what both databases take; clients ask for 2147483647 and mean "all".
const maxTake = 1 << 31

func (q Query) where() *where {
	w := &where{}
	w.add("kind = ?", q.Kind)
	w.in("space", q.Spaces)
	w.in("id", q.IDs)
	w.in("project", q.Projects)
	if q.Owner != "" {
		w.add("owner = ?", q.Owner)
	}
	if q.Name != "" {
		w.add("name = ?", strings.ToLower(q.Name))
	}
	if q.States != nil {
		lower := make([]string, len(q.States))
		for i, s := range q.States {
			lower[i] = strings.ToLower(s)
		}
		w.in("state", lower)
		w.conditions = append(w.conditions, "state <> ''") // of which there is an index
	}
	if q.Partial != "" {
		w.add(`name LIKE ? ESCAPE '\'`, "%"+escapeLike(strings.ToLower(q.Partial))+"%")
	}
	if q.Contains != "" {
		w.add(`body LIKE ? ESCAPE '\'`, "%"+escapeLike(q.Contains)+"%")
	}
	return w
}

func (q Query) order() string {
	switch q.Order {
	case ByPosition:
		return " ORDER BY position, name, sequence"
	case NewestFirst:
		return " ORDER BY sequence DESC"
	case OldestFirst:
		return " ORDER BY sequence"
	default:
		return " ORDER BY name, sequence"
	}
}

func escapeLike(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}

// List reads one page and counts all that fit.
func (s *Store) List(ctx context.Context, h db.Querier, q Query) (rows []Row, total int, err error) {
	w := q.where()
	text := "SELECT " + columns + " FROM spaceserver_document" + w.text() + q.order()
	paged := q.Skip > 0 || (q.Take > 0 && q.Take < maxTake-1)
	args := w.args
	if paged {
		take := q.Take
		if take <= 0 {
			take = maxTake
		}
		text += " LIMIT " + w.arg(take) + " OFFSET " + w.arg(q.Skip)
		args = w.args
	}
	if rows, err = db.Collect(ctx, h, scan, text, args...); err != nil {
		return nil, 0, err
	}
	if !paged || (q.Skip == 0 && len(rows) < q.Take) { // everything was read: no need to count
		return rows, len(rows), nil
	}
	w = q.where()
	err = h.QueryRowContext(ctx, "SELECT count(*) FROM spaceserver_document"+w.text(), w.args...).Scan(&total)
	return rows, total, err
}

// Bodies reads the bodies of documents by their ids, in no order and as little as can be: a dashboard tells a little of thousands.
// A body is good until each returns.
func (s *Store) Bodies(ctx context.Context, h db.Querier, kind string, ids []string, each func(id, space string, body []byte)) error {
	const many = 256 // parameters: a statement of that length is kept
	for some := range slices.Chunk(ids, many) {
		rows, err := h.QueryContext(ctx, "SELECT id, space, body FROM spaceserver_document WHERE kind = $1 AND id IN "+db.In(2, len(some)), append([]any{kind}, db.Args(some)...)...)
		if err != nil {
			return err
		}
		defer rows.Close() // also where a row cannot be read
		for rows.Next() {
			var id, space string
			var body sql.RawBytes
			if err := rows.Scan(&id, &space, &body); err != nil {
				return err
			}
			each(id, space, body)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
	}
	return nil
}

// LastPosition is the highest position among the documents of a kind in a space, -1 where there is none.
func (s *Store) LastPosition(ctx context.Context, h db.Querier, kind, space string) (last int64, err error) {
	err = h.QueryRowContext(ctx, "SELECT coalesce(max(position), -1) FROM spaceserver_document WHERE kind = $1 AND space = $2", kind, space).Scan(&last)
	return last, err
}

// Each yields every row that fits, in order, without holding them all. Skip and Take are not used. Inside a transaction
// on SQLite's one connection the loop's body must not query.
func (s *Store) Each(ctx context.Context, h db.Querier, q Query) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		w := q.where()
		rows, err := h.QueryContext(ctx, "SELECT "+columns+" FROM spaceserver_document"+w.text()+q.order(), w.args...)
		if err != nil {
			yield(Row{}, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			r, err := scan(rows)
			if !yield(r, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(Row{}, err)
		}
	}
}

// Count tells how many documents of a kind there are in a space, or in all with space "*".
func (s *Store) Count(ctx context.Context, h db.Querier, kind, space string) (n int, err error) {
	w := Query{Kind: kind}.where()
	if space != "*" {
		w.add("space = ?", space)
	}
	err = h.QueryRowContext(ctx, "SELECT count(*) FROM spaceserver_document"+w.text(), w.args...).Scan(&n)
	return n, err
}

// Existing returns those of the ids that there are, for checking references in one query.
func (s *Store) Existing(ctx context.Context, h db.Querier, kind string, ids []string) (map[string]string, error) {
	w := &where{}
	w.add("kind = ?", kind)
	w.in("id", ids)
	rows, err := h.QueryContext(ctx, "SELECT id, space FROM spaceserver_document"+w.text(), w.args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := map[string]string{}
	for rows.Next() {
		var id, space string
		if err := rows.Scan(&id, &space); err != nil {
			return nil, err
		}
		found[id] = space
	}
	return found, rows.Err()
}

// Owned returns the documents that go with the owner or the project.
func (s *Store) Owned(ctx context.Context, h db.Querier, id string) ([]Row, error) {
	return db.Collect(ctx, h, scan, "SELECT "+columns+" FROM spaceserver_document WHERE (owner = $1 AND owner <> '') OR (project = $1 AND project <> '' AND id <> $1)", id)
}

// Counts tells how many documents of each kind each space holds: space -> kind -> number.
func (s *Store) Counts(ctx context.Context, h db.Querier, kinds ...string) (map[string]map[string]int, error) {
	w := &where{}
	w.in("kind", kinds)
	rows, err := h.QueryContext(ctx, "SELECT space, kind, count(*) FROM spaceserver_document"+w.text()+" GROUP BY space, kind", w.args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	counts := map[string]map[string]int{}
	for rows.Next() {
		var space, kind string
		var n int
		if err := rows.Scan(&space, &kind, &n); err != nil {
			return nil, err
		}
		if counts[space] == nil {
			counts[space] = map[string]int{}
		}
		counts[space][kind] = n
	}
	return counts, rows.Err()
}
