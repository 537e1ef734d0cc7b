package spacesql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/space"
)

const spaceColumns = `s.id, s.instance_id, s.octopus_space, s.slug, s.name, s.description, s.state, s.reason, s.task_id, s.created, s.revision`

// destinations are where spaceColumns go.
func destinations(sp *space.Space, created *int64) []any {
	return []any{&sp.ID, &sp.Instance, &sp.Octopus, &sp.Slug, &sp.Name, &sp.Description, &sp.State, &sp.Reason, &sp.Task, created, &sp.Revision}
}

func scanSpace(r db.Row) (sp space.Space, err error) {
	var created int64
	err = r.Scan(destinations(&sp, &created)...)
	sp.Created = db.Time(created)
	return sp, err
}

// Get implements [space.Inventory].
func (s *Store) Get(ctx context.Context, ref string) (_ space.Space, err error) {
	sp, err := scanSpace(s.db.Read().QueryRowContext(ctx, `SELECT `+spaceColumns+` FROM space s WHERE s.id = $1 OR s.slug = $1`, ref))
	if errors.Is(err, sql.ErrNoRows) {
		return space.Space{}, odcm.E(odcm.NotFound, "space.not-found", "There is no such Space, or you may not enter it.")
	}
	return sp, err
}

// Instance implements [space.Inventory].
func (s *Store) Instance(ctx context.Context, id odcm.InstanceID) (space.Instance, error) {
	return s.instance(ctx, `id = $1`, id)
}

// InstanceOf implements [space.Inventory].
func (s *Store) InstanceOf(ctx context.Context, installationID string) (space.Instance, error) {
	return s.instance(ctx, `installation_id = $1 AND installation_id <> ''`, installationID)
}

func (s *Store) instance(ctx context.Context, where string, arg any) (in space.Instance, err error) {
	defer odcm.Wrap(&err, "read instance")
	var created int64
	var key string
	err = s.db.Read().QueryRowContext(ctx, `SELECT id, url, api_key, ca, thumbprint, installation_id, version, origin, server_id, created, revision
		FROM space_instance WHERE `+where, arg).Scan(&in.ID, &in.URL, &key, &in.TLS.CA, &in.TLS.Thumbprint, &in.InstallationID, &in.Version,
		&in.Origin, &in.Server, &created, &in.Revision)
	if errors.Is(err, sql.ErrNoRows) {
		return in, odcm.E(odcm.NotFound, "space.instance-not-found", "ODCM knows no such server.")
	}
	if err != nil {
		return in, err
	}
	plain, err := s.sealer.Open(key, keyOf(in.ID))
	in.APIKey, in.Created = space.Secret(plain), db.Time(created)
	return in, err
}

// Taken implements [space.Inventory].
func (s *Store) Taken(ctx context.Context, names []string) (map[string]bool, error) {
	taken := make(map[string]bool, len(names))
	for len(names) > 0 {
		n := min(len(names), 500)
		keys := make([]string, n)
		for i, name := range names[:n] {
			keys[i] = space.Fold(name)
		}
		found, err := db.Collect(ctx, s.db.Read(), text, `SELECT name_key FROM space WHERE name_key IN `+db.In(1, n), db.Args(keys)...)
		if err != nil {
			return nil, err
		}
		for _, key := range found {
			taken[key] = true
		}
		names = names[n:]
	}
	return taken, nil
}

// On implements [space.Inventory].
func (s *Store) On(ctx context.Context, id odcm.InstanceID) ([]space.Space, error) {
	return db.Collect(ctx, s.db.Read(), scanSpace, `SELECT `+spaceColumns+` FROM space s WHERE s.instance_id = $1 ORDER BY s.created, s.id`, id)
}

// List implements [space.Inventory].
func (s *Store) List(ctx context.Context, q space.Query) (_ []space.Entry, err error) {
	defer odcm.Wrap(&err, "list Spaces")
	if q.Order != space.ByStar {
		return s.list(ctx, q, either)
	}
	// Two queries, each in the order of an index: one that sorts by the star first would sort all Spaces for each page.
	var page []space.Entry
	if q.After == (space.Position{}) || q.After.Starred {
		if page, err = s.list(ctx, q, starred); err != nil || len(page) == q.Limit {
			return page, err
		}
		q.After, q.Limit = space.Position{}, q.Limit-len(page)
	}
	if q.Starred {
		return page, nil
	}
	others, err := s.list(ctx, q, unstarred)
	return append(page, others...), err
}

// chunk bounds the parameters of one statement; SQLite takes 32,766.
const chunk = 1000

// Lines implements [space.Inventory].
func (s *Store) Lines(ctx context.Context, ids []odcm.SpaceID) (lines []space.Line, err error) {
	defer odcm.Wrap(&err, "read lines of Spaces")
	const query = `SELECT s.id, s.instance_id, i.server_id, s.slug, s.name, s.name_key, i.url, s.state, i.version, s.reason
		FROM space s JOIN space_instance i ON i.id = s.instance_id`
	if ids == nil {
		return db.Collect(ctx, s.db.Read(), scanLine, query)
	}
	for part := range slices.Chunk(ids, chunk) {
		some, err := db.Collect(ctx, s.db.Read(), scanLine, query+` WHERE s.id IN `+db.In(1, len(part)), db.Args(part)...)
		if err != nil {
			return nil, err
		}
		lines = append(lines, some...)
	}
	return lines, nil
}

func scanLine(r db.Row) (l space.Line, err error) {
	return l, r.Scan(&l.ID, &l.Instance, &l.Machine, &l.Slug, &l.Name, &l.Key, &l.URL, &l.State, &l.Version, &l.Reason)
}

func (s *Store) list(ctx context.Context, q space.Query, which stars) ([]space.Entry, error) {
	query, args, some := listing(q, which)
	if !some {
		return nil, nil
	}
	return db.Collect(ctx, s.db.Read(), scanEntry, query, args...)
}

// stars says which Spaces a listing has: of either kind, or of one.
type stars int

const (
	either stars = iota
	starred
	unstarred
)

func scanEntry(r db.Row) (e space.Entry, err error) {
	var created, visited int64
	var starred int
	err = r.Scan(append(destinations(&e.Space, &created), &e.URL, &e.Version, &e.Origin, &e.TLS.CA, &e.TLS.Thumbprint, &e.InstanceRevision, &starred, &visited)...)
	e.Created, e.Visited, e.Starred = db.Time(created), db.Time(visited), starred == 1
	return e, err
}

// listing writes the query; some is false where nothing can match.
func listing(q space.Query, which stars) (query string, args []any, some bool) {
	const visited = `COALESCE(v.visited, 0)`
	var where []string
	bind := func(v any) string { args = append(args, v); return fmt.Sprintf("$%d", len(args)) }
	in := func(column string, ids []any) {
		where = append(where, column+" IN "+db.In(len(args)+1, len(ids)))
		args = append(args, ids...)
	}
	user := bind(q.User)
	if !q.Reach.All {
		if len(q.Reach.Spaces) == 0 {
			return "", nil, false
		}
		in("s.id", db.Args(q.Reach.Spaces))
	}
	if q.Within != nil {
		if len(q.Within) == 0 {
			return "", nil, false
		}
		in("s.id", db.Args(q.Within))
	}
	if len(q.States) > 0 {
		in("s.state", db.Args(q.States))
	}
	if q.Text != "" {
		where = append(where, `s.name_key LIKE `+bind("%"+escapeLike.Replace(space.Fold(strings.TrimSpace(q.Text)))+"%")+` ESCAPE '\'`)
	}
	if q.Task != "" {
		where = append(where, `s.task_id = `+bind(q.Task))
	}
	if q.Starred || which == starred {
		where = append(where, `t.space_id IS NOT NULL`)
	}
	if which == unstarred {
		where = append(where, `t.space_id IS NULL`)
	}
	order, after := `s.name_key`, q.After != space.Position{}
	switch {
	case q.Order == space.ByVisit:
		order = visited + ` DESC, s.name_key`
		where = append(where, `v.space_id IS NOT NULL`)
		if after {
			a, b := bind(q.After.Visited), bind(q.After.Name)
			where = append(where, fmt.Sprintf(`(%s < %s OR %s = %s AND s.name_key > %s)`, visited, a, visited, a, b))
		}
	case after:
		where = append(where, `s.name_key > `+bind(q.After.Name))
	}
	query = `SELECT ` + spaceColumns + `, i.url, i.version, i.origin, i.ca, i.thumbprint, i.revision, CASE WHEN t.space_id IS NULL THEN 0 ELSE 1 END, ` + visited + `
		FROM space s JOIN space_instance i ON i.id = s.instance_id
		LEFT JOIN space_star t ON t.space_id = s.id AND t.user_id = ` + user + `
		LEFT JOIN space_visit v ON v.space_id = s.id AND v.user_id = ` + user
	if len(where) > 0 {
		query += ` WHERE ` + strings.Join(where, " AND ")
	}
	return query + ` ORDER BY ` + order + ` LIMIT ` + bind(max(q.Limit, 0)), args, true
}

var escapeLike = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// Serves implements [space.Inventory]. URLs are stored in their one form, so that an origin is a URL or the start of one.
func (s *Store) Serves(ctx context.Context, origin string) (bool, error) {
	n, err := s.count(ctx, `SELECT count(*) FROM space_instance i JOIN space s ON s.instance_id = i.id
		WHERE s.state = $1 AND (i.url = $2 OR substr(i.url, 1, length($2) + 1) = $2 || '/')`, space.StateActive, origin)
	return n > 0, err
}
