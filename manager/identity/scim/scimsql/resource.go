package scimsql

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/identity/scim"
	"odcm/manager/identity/scim/attribute"
)

const columns = `r.id, r.provider, r.kind, r.external_id, r.name, r.subject, r.person, r.document, r.created, r.modified, r.revision`

func scan(row db.Row) (r scim.Resource, err error) {
	var created, modified int64
	var document string
	err = row.Scan(&r.ID, &r.Provider, &r.Kind, &r.External, &r.Name, &r.Subject, &r.Person, &document, &created, &modified, &r.Revision)
	r.Document, r.Created, r.Modified = []byte(document), db.Time(created), db.Time(modified)
	return r, err
}

func taken(r scim.Resource) error {
	return odcm.E(odcm.Exists, "scim.taken", "There is a %s with this name or externalId already.", strings.ToLower(string(r.Kind)))
}

func noResource() error { return odcm.E(odcm.NotFound, "scim.not-found", "There is no such resource.") }

func overtaken() error {
	return odcm.E(odcm.Conflict, "scim.changed", "It was changed by another request meanwhile: read it again.")
}

// Insert implements [scim.Store].
func (s *Store) Insert(ctx context.Context, r scim.Resource, members []string) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `INSERT INTO identity_scim_resource (id, provider, kind, external_id, name, name_key, subject, person, document, created, modified, revision)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING`,
			r.ID, r.Provider, r.Kind, r.External, r.Name, attribute.Fold(r.Name), r.Subject, r.Person, string(r.Document), db.Millis(r.Created), db.Millis(r.Modified), r.Revision)
		if err := touched(res, err, taken(r)); err != nil {
			return err
		}
		return join(ctx, tx, r.ID, members)
	})
}

// Update implements [scim.Store].
func (s *Store) Update(ctx context.Context, r scim.Resource, in, out []string) error {
	err := s.db.Tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE identity_scim_resource SET external_id = $3, name = $4, name_key = $5, person = $6, document = $7, modified = $8, revision = revision + 1
			WHERE id = $1 AND revision = $2`, r.ID, r.Revision, r.External, r.Name, attribute.Fold(r.Name), r.Person, string(r.Document), db.Millis(r.Modified))
		if err := touched(res, err, overtaken()); err != nil {
			return err
		}
		if _, err := each(ctx, tx, text, `DELETE FROM identity_scim_member WHERE group_id = $1 AND user_id IN ? RETURNING user_id`, out, r.ID); err != nil {
			return err
		}
		return join(ctx, tx, r.ID, in)
	})
	if db.IsUnique(err) {
		return taken(r)
	}
	return err
}

func text(r db.Row) (v string, err error) { return v, r.Scan(&v) }

// chunk bounds the parameters of one statement.
const chunk = 200

// each runs the query, which has "IN ?" for the values, so many at a time.
func each[T any](ctx context.Context, q db.Querier, scan func(db.Row) (T, error), query string, values []string, first ...any) ([]T, error) {
	var all []T
	for len(values) > 0 {
		n := min(len(values), chunk)
		rows, err := db.Collect(ctx, q, scan, strings.Replace(query, "?", db.In(len(first)+1, n), 1), append(append([]any{}, first...), db.Args(values[:n])...)...)
		if err != nil {
			return nil, err
		}
		all, values = append(all, rows...), values[n:]
	}
	return all, nil
}

func join(ctx context.Context, tx *sql.Tx, group string, users []string) error {
	for len(users) > 0 {
		n := min(len(users), chunk)
		rows := make([]string, n)
		args := []any{group}
		for i, id := range users[:n] {
			rows[i], args = "($1,$"+strconv.Itoa(i+2)+")", append(args, id)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO identity_scim_member (group_id, user_id) VALUES `+strings.Join(rows, ",")+` ON CONFLICT DO NOTHING`, args...); err != nil {
			return err
		}
		users = users[n:]
	}
	return nil
}

// Delete implements [scim.Store].
func (s *Store) Delete(ctx context.Context, r scim.Resource) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM identity_scim_resource WHERE id = $1 AND revision = $2`, r.ID, r.Revision)
		return touched(res, err, overtaken())
	})
}

// Resource implements [scim.Store].
func (s *Store) Resource(ctx context.Context, provider odcm.ProviderID, k scim.Kind, id string) (scim.Resource, error) {
	r, err := scan(s.db.Read().QueryRowContext(ctx, `SELECT `+columns+` FROM identity_scim_resource r WHERE r.id = $1 AND r.provider = $2 AND r.kind = $3`, id, provider, k))
	if errors.Is(err, sql.ErrNoRows) {
		err = noResource()
	}
	return r, err
}

// Find implements [scim.Store].
func (s *Store) Find(ctx context.Context, provider odcm.ProviderID, k scim.Kind, name, value string) ([]scim.Resource, error) {
	column := map[string]string{"id": "id", "externalid": "external_id"}[name]
	if column == "" {
		column, value = "name_key", attribute.Fold(value)
	}
	return db.Collect(ctx, s.db.Read(), scan, `SELECT `+columns+` FROM identity_scim_resource r WHERE r.provider = $1 AND r.kind = $2 AND r.`+column+` = $3 ORDER BY r.id`, provider, k, value)
}

// Count implements [scim.Store].
func (s *Store) Count(ctx context.Context, provider odcm.ProviderID, k scim.Kind) (n int, err error) {
	return n, s.db.Read().QueryRowContext(ctx, `SELECT count(*) FROM identity_scim_resource WHERE provider = $1 AND kind = $2`, provider, k).Scan(&n)
}

// Page implements [scim.Store].
func (s *Store) Page(ctx context.Context, provider odcm.ProviderID, k scim.Kind, skip, limit int) ([]scim.Resource, error) {
	return db.Collect(ctx, s.db.Read(), scan, `SELECT `+columns+` FROM identity_scim_resource r WHERE r.provider = $1 AND r.kind = $2 ORDER BY r.id LIMIT $3 OFFSET $4`, provider, k, limit, skip)
}

// Members implements [scim.Store].
func (s *Store) Members(ctx context.Context, provider odcm.ProviderID, groups []string) (map[string][]scim.Member, error) {
	type row struct {
		group string
		scim.Member
	}
	rows, err := each(ctx, s.db.Read(), func(r db.Row) (m row, err error) { return m, r.Scan(&m.group, &m.ID, &m.Name, &m.Person) },
		`SELECT m.group_id, r.id, r.name, r.person FROM identity_scim_member m JOIN identity_scim_resource r ON r.id = m.user_id
		WHERE r.provider = $1 AND m.group_id IN ? ORDER BY m.group_id, r.id`, groups, provider)
	all := map[string][]scim.Member{}
	for _, m := range rows {
		all[m.group] = append(all[m.group], m.Member)
	}
	return all, err
}

// Users implements [scim.Store].
func (s *Store) Users(ctx context.Context, provider odcm.ProviderID, ids []string) (map[string]scim.Member, error) {
	rows, err := each(ctx, s.db.Read(), func(r db.Row) (m scim.Member, err error) { return m, r.Scan(&m.ID, &m.Name, &m.Person) },
		`SELECT r.id, r.name, r.person FROM identity_scim_resource r WHERE r.provider = $1 AND r.kind = 'User' AND r.id IN ?`, ids, provider)
	all := map[string]scim.Member{}
	for _, m := range rows {
		all[m.ID] = m
	}
	return all, err
}

// MovePerson implements [scim.Store].
func (s *Store) MovePerson(ctx context.Context, from, to odcm.UserID) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE identity_scim_resource SET person = $2 WHERE person = $1`, from, to)
		return err
	})
}

// GroupsOf implements [scim.Store].
func (s *Store) GroupsOf(ctx context.Context, provider odcm.ProviderID, id string) ([]scim.Resource, error) {
	return db.Collect(ctx, s.db.Read(), scan, `SELECT `+columns+` FROM identity_scim_resource r JOIN identity_scim_member m ON m.group_id = r.id
		WHERE r.provider = $1 AND m.user_id = $2 ORDER BY r.id`, provider, id)
}
