// Package document keeps the Space server's documents, events, counters and settings as rows, on SQLite or PostgreSQL.
//
// A document is its JSON text, exactly as it is answered but for its links, beside the few columns that are looked up.
// Secrets are never in the text: they lie sealed in a column of their own that no list reads.
package document

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"strconv"
	"strings"

	"odcm/kit/db"
	"odcm/octopus"
)

//go:embed schema/*.sql
var schema embed.FS

// ErrNone says that there is no such document.
var ErrNone = errors.New("no such document")

// ErrChanged says that the document was changed since it was read.
var ErrChanged = errors.New("the document was changed meanwhile")

// Row is a document.
type Row struct {
	Kind, ID, Space, Owner, Project string

	Name     string // lower case
	Slug     string
	State    string // lower case; written, and narrows lists, but is not read: it is in the body
	Distinct bool   // Name must be unique among the owner's
	Position int64
	Sequence int64
	Revision int64
	Body     []byte            // a JSON object without links and secrets
	Sealed   map[string]string // only read by Sealed
}

// Store reads and writes rows. Reads take the handle or transaction to use; writes take a transaction of [Store.Tx].
type Store struct {
	DB *db.DB

	commits committer
	cache   cache
}

const (
	insertDocument = "INSERT INTO spaceserver_document (" + columns + ", distinct_name, sealed, state) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,1,$10,$11,$12,$13)"
	updateDocument = `UPDATE spaceserver_document SET owner=$1, project=$2, name=$3, slug=$4, distinct_name=$5,
		position=$6, body=$7, sealed=$8, state=$9, revision=revision+1 WHERE kind=$10 AND id=$11 AND space=$12 AND revision=$13`
	rewriteDocument = `UPDATE spaceserver_document SET body=$1, sealed=$2, state=$3, revision=revision+1
		WHERE kind=$4 AND id=$5 AND space=$6 AND revision=$7`
	nextNumber = `INSERT INTO spaceserver_counter (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET value = spaceserver_counter.value + $2 RETURNING value`
	insertEvent = `INSERT INTO spaceserver_event (auto_id, space, category, document_type, user_id, occurred, related, body)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8)`
	savepoint, rollback, release = "SAVEPOINT change", "ROLLBACK TO change", "RELEASE change"

	slugTaken = "SELECT count(*) FROM spaceserver_document WHERE kind=$1 AND space=$2 AND owner=$3 AND slug=$4 AND slug<>'' AND id<>$5"
)

// Open makes the tables where they are missing.
func Open(ctx context.Context, d *db.DB) (*Store, error) {
	steps, err := fs.Sub(schema, "schema")
	if err != nil {
		return nil, err
	}
	if err := d.Migrate(ctx, "spaceserver", steps); err != nil {
		return nil, err
	}
	return &Store{DB: d}, nil
}

const columns = "kind, id, space, owner, project, name, slug, position, sequence, revision, body"

func scan(r db.Row) (Row, error) {
	var v Row
	err := r.Scan(&v.Kind, &v.ID, &v.Space, &v.Owner, &v.Project, &v.Name, &v.Slug, &v.Position, &v.Sequence, &v.Revision, &v.Body)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNone
	}
	return v, err
}

// Get reads one document by its id. Space "*" takes it from whichever space holds it.
func (s *Store) Get(ctx context.Context, q db.Querier, kind, id, space string) (Row, error) {
	const byID = "SELECT " + columns + " FROM spaceserver_document WHERE kind = $1 AND id = $2"
	if space == "*" {
		return scan(q.QueryRowContext(ctx, byID, kind, id))
	}
	return scan(q.QueryRowContext(ctx, byID+" AND space = $3", kind, id, space))
}

// Object is what one document says, for reading only: what is to be written is read by [Store.Get], with its revision.
func (s *Store) Object(ctx context.Context, q db.Querier, kind, id, space string) (octopus.Object, error) {
	p, caches := place{kind, id, space}, space != "*" && !s.DB.Postgres()
	since := 0
	if caches {
		var o octopus.Object
		var ok bool
		if o, ok, since = s.cache.find(p); ok {
			return o, nil
		}
	}
	r, err := s.Get(ctx, q, kind, id, space)
	if err != nil {
		return octopus.Object{}, err
	}
	o, err := octopus.ParseObject(r.Body)
	if err == nil && caches {
		s.cache.keep(p, o, len(r.Body), since)
	}
	return o, err
}

// changes notes what a transaction changes.
func (s *Store) changes(tx *sql.Tx, p place) {
	if !s.DB.Postgres() {
		s.cache.change(tx, p)
	}
}

// tx is [db.DB.Tx], after which the cache knows that the transaction has ended.
func (s *Store) tx(ctx context.Context, f func(tx *sql.Tx) error) error {
	var begun *sql.Tx
	defer func() { s.cache.end(begun) }()
	return s.DB.Tx(ctx, func(tx *sql.Tx) error {
		s.cache.end(begun)
		begun = tx
		return f(tx)
	})
}

// Find reads one document by its slug or, where no slug fits, its name.
func (s *Store) Find(ctx context.Context, q db.Querier, kind, key string, spaces []string, owner string) (Row, error) {
	w := where{}
	w.add("kind = ?", kind)
	w.in("space", spaces)
	if owner != "" {
		w.add("owner = ?", owner)
	}
	w.add("(slug = ? OR name = ?)", strings.ToLower(key), strings.ToLower(key))
	text := "SELECT " + columns + " FROM spaceserver_document" + w.text() +
		" ORDER BY CASE WHEN slug = " + w.arg(strings.ToLower(key)) + " THEN 0 ELSE 1 END, sequence LIMIT 1"
	return scan(q.QueryRowContext(ctx, text, w.args...))
}

// Sealed reads a document's sealed secrets by their paths.
func (s *Store) Sealed(ctx context.Context, q db.Querier, kind, id, space string) (map[string]string, error) {
	var text string
	err := q.QueryRowContext(ctx, "SELECT sealed FROM spaceserver_document WHERE kind = $1 AND id = $2 AND space = $3",
		kind, id, space).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) || (err == nil && text == "") {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var sealed map[string]string
	return sealed, json.Unmarshal([]byte(text), &sealed)
}

// AnySealed tells whether any document holds a secret.
func (s *Store) AnySealed(ctx context.Context) (bool, error) {
	var n int
	err := s.DB.Read().QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM spaceserver_document WHERE sealed <> '' LIMIT 1) AS t").Scan(&n)
	return n > 0, err
}

// Insert adds a document. A name or slug that is taken gives an error for which [db.IsUnique] holds.
func (s *Store) Insert(ctx context.Context, tx *sql.Tx, r Row) error {
	s.changes(tx, place{r.Kind, r.ID, r.Space})
	_, err := tx.ExecContext(ctx, insertDocument,
		r.Kind, r.ID, r.Space, r.Owner, r.Project, r.Name, r.Slug, r.Position, r.Sequence, string(r.Body), r.distinct(), sealedText(r.Sealed), r.State)
	return err
}

// Update replaces a document that still has the revision, or returns [ErrChanged].
func (s *Store) Update(ctx context.Context, tx *sql.Tx, r Row) error {
	return s.replace(ctx, tx, r, updateDocument, r.Owner, r.Project, r.Name, r.Slug, r.distinct(), r.Position, string(r.Body), sealedText(r.Sealed), r.State, r.Kind, r.ID, r.Space, r.Revision)
}

// Rewrite is [Store.Update] for a document that is found as before: only its text and its state are new. The database writes
// every index anew whose columns a statement names, and most changes are of this kind.
func (s *Store) Rewrite(ctx context.Context, tx *sql.Tx, r Row) error {
	return s.replace(ctx, tx, r, rewriteDocument, string(r.Body), sealedText(r.Sealed), r.State, r.Kind, r.ID, r.Space, r.Revision)
}

// Found tells whether two rows are looked up by the same.
func (r Row) Found(like Row) bool {
	return r.Owner == like.Owner && r.Project == like.Project && r.Name == like.Name && r.Slug == like.Slug && r.Position == like.Position
}

func (s *Store) replace(ctx context.Context, tx *sql.Tx, r Row, statement string, args ...any) error {
	s.changes(tx, place{r.Kind, r.ID, r.Space})
	result, err := tx.ExecContext(ctx, statement, args...)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, ErrChanged)
	}
	return nil
}

// Delete removes a document.
func (s *Store) Delete(ctx context.Context, tx *sql.Tx, kind, id, space string) error {
	s.changes(tx, place{kind, id, space})
	_, err := tx.ExecContext(ctx, "DELETE FROM spaceserver_document WHERE kind=$1 AND id=$2 AND space=$3", kind, id, space)
	return err
}

// DeleteSpace removes every document of a space, its tasks from the queue with their logs, and what is known of its
// deployments and triggers. Its events stay: audit outlives what it tells of.
func (s *Store) DeleteSpace(ctx context.Context, tx *sql.Tx, space string) error {
	s.changes(tx, everything)
	for _, query := range []string{
		"DELETE FROM spaceserver_log WHERE task IN (SELECT id FROM spaceserver_document WHERE kind = 'ServerTasks' AND space=$1)",
		"DELETE FROM spaceserver_queue WHERE space=$1",
		"DELETE FROM spaceserver_deployment WHERE space=$1",
		"DELETE FROM spaceserver_outcome WHERE space=$1",
		"DELETE FROM spaceserver_trigger WHERE space=$1",
		"DELETE FROM spaceserver_occasion WHERE space=$1",
		"DELETE FROM spaceserver_document WHERE space=$1",
	} {
		if _, err := tx.ExecContext(ctx, query, space); err != nil {
			return err
		}
	}
	return nil
}

// SlugTaken tells whether a sibling has the slug.
func (s *Store) SlugTaken(ctx context.Context, tx *sql.Tx, r Row, slug string) (bool, error) {
	var n int
	err := tx.QueryRowContext(ctx, slugTaken,
		r.Kind, r.Space, r.Owner, slug, r.ID).Scan(&n)
	return n > 0, err
}

// Next takes the next number of a counter. Whoever takes one later commits later, or not at all.
func (s *Store) Next(ctx context.Context, tx *sql.Tx, counter string, by int64) (last int64, err error) {
	err = tx.QueryRowContext(ctx, nextNumber, counter, by).Scan(&last)
	return last, err
}

// Counter reads a counter, 0 where it never counted.
func (s *Store) Counter(ctx context.Context, q db.Querier, counter string) (n int64, err error) {
	err = q.QueryRowContext(ctx, "SELECT value FROM spaceserver_counter WHERE name = $1", counter).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return n, err
}

// Setting reads a setting of the whole server, "" where it was never set.
func (s *Store) Setting(ctx context.Context, q db.Querier, name string) (value string, err error) {
	err = q.QueryRowContext(ctx, "SELECT value FROM spaceserver_setting WHERE name = $1", name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return value, err
}

// Set changes a setting of the whole server.
func (s *Store) Set(ctx context.Context, tx *sql.Tx, name, value string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO spaceserver_setting (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
	return err
}

// SetOnce sets a setting that was never set, and returns what it is: of replicas that start together, one decides.
func (s *Store) SetOnce(ctx context.Context, tx *sql.Tx, name, value string) (string, error) {
	_, err := tx.ExecContext(ctx, "INSERT INTO spaceserver_setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING", name, value)
	if err != nil {
		return "", err
	}
	return s.Setting(ctx, tx, name)
}

func (r Row) distinct() any {
	if !r.Distinct {
		return nil
	}
	return r.Name
}

func sealedText(sealed map[string]string) string {
	if len(sealed) == 0 {
		return ""
	}
	b, _ := json.Marshal(sealed) // a map of strings always marshals
	return string(b)
}

// where collects conditions; ? stands for the next parameter.
type where struct {
	conditions []string
	args       []any
}

func (w *where) add(condition string, args ...any) {
	for _, a := range args {
		condition = strings.Replace(condition, "?", w.arg(a), 1)
	}
	w.conditions = append(w.conditions, condition)
}

func (w *where) arg(a any) string {
	w.args = append(w.args, a)
	return "$" + strconv.Itoa(len(w.args))
}

// in keeps the rows whose column is one of the values; nil keeps all, an empty list none.
func (w *where) in(column string, values []string) {
	switch {
	case values == nil:
	case len(values) == 0:
		w.conditions = append(w.conditions, "1 = 0")
	case len(values) == 1:
		w.add(column+" = ?", values[0])
	default:
		from := len(w.args) + 1
		w.args = append(w.args, db.Args(values)...)
		w.conditions = append(w.conditions, column+" IN "+db.In(from, len(values)))
	}
}

func (w *where) text() string {
	if len(w.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conditions, " AND ")
}
