package groupsql

import (
	"context"
	"database/sql"
	"strconv"
	"strings"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/identity/group"
)

// change implements [group.Tx].
type change struct{ tx *sql.Tx }

func (c change) Group(ctx context.Context, id odcm.GroupID) (group.Group, error) {
	return one(ctx, c.tx, id)
}

func (c change) Groups(ctx context.Context, ids []odcm.GroupID) (map[odcm.GroupID]group.Group, error) {
	return groups(ctx, c.tx, ids)
}

func (c change) Users(ctx context.Context, ids []odcm.UserID) (map[odcm.UserID]group.User, error) {
	return users(ctx, c.tx, ids)
}

func (c change) External(ctx context.Context, provider odcm.ProviderID, ids []string) (map[string]group.Group, error) {
	return external(ctx, c.tx, provider, ids)
}

func (c change) Asserted(ctx context.Context, user odcm.UserID, provider odcm.ProviderID) ([]group.Group, error) {
	return asserted(ctx, c.tx, user, provider)
}

func (c change) In(ctx context.Context, id odcm.GroupID) ([]odcm.UserID, error) {
	return db.Collect(ctx, c.tx, text[odcm.UserID], `SELECT user_id FROM identity_group_user WHERE group_id = $1 ORDER BY user_id`, id)
}

func (c change) DirectlyIn(ctx context.Context, user odcm.UserID) ([]odcm.GroupID, error) {
	return db.Collect(ctx, c.tx, text[odcm.GroupID], `SELECT group_id FROM identity_group_user WHERE user_id = $1 ORDER BY group_id`, user)
}

func text[T ~string](r db.Row) (v T, err error) { return v, r.Scan(&v) }

func (c change) Put(ctx context.Context, g group.Group) error {
	if g.Revision == 0 {
		// ON CONFLICT and not an error, which would end the whole transaction on PostgreSQL.
		r, err := c.tx.ExecContext(ctx, `INSERT INTO identity_group (id, name, name_key, description, provider, external_id, created, revision)
			VALUES ($1, $2, $3, $4, $5, $6, $7, 1) ON CONFLICT DO NOTHING`,
			g.ID, g.Name, group.Fold(g.Name), g.Description, g.External.Provider, g.External.ID, db.Millis(g.Created))
		return touched(r, err, taken(g))
	}
	r, err := c.tx.ExecContext(ctx, `UPDATE identity_group SET name = $3, name_key = $4, description = $5, revision = revision + 1
		WHERE id = $1 AND revision = $2`, g.ID, g.Revision, g.Name, group.Fold(g.Name), g.Description)
	if db.IsUnique(err) {
		return taken(g)
	}
	return touched(r, err, odcm.E(odcm.Conflict, "group.changed", "%s was changed by someone else meanwhile: look at it again, then repeat.", g.Name))
}

func taken(g group.Group) error {
	return odcm.E(odcm.Exists, "group.name-taken", "There is a group %s already: choose another name.", g.Name).OnField("name")
}

// touched is an error unless the statement touched a row.
func touched(r sql.Result, err, none error) error {
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return none
}

func (c change) Delete(ctx context.Context, id odcm.GroupID) error {
	_, err := c.tx.ExecContext(ctx, `DELETE FROM identity_group WHERE id = $1`, id)
	return err
}

func (c change) Nesting(ctx context.Context) ([]group.Nested, error) {
	return db.Collect(ctx, c.tx, func(r db.Row) (n group.Nested, err error) { return n, r.Scan(&n.Parent, &n.Child) },
		`SELECT parent_id, child_id FROM identity_group_nested`)
}

func (c change) Nest(ctx context.Context, parent odcm.GroupID, ids []odcm.GroupID, in bool) ([]odcm.GroupID, error) {
	if !in {
		return each(ctx, c.tx, text[odcm.GroupID], `DELETE FROM identity_group_nested WHERE parent_id = $1 AND child_id IN ? RETURNING child_id`, ids, parent)
	}
	rows := make([][2]string, len(ids))
	for i, id := range ids {
		rows[i] = [2]string{string(parent), string(id)}
	}
	return insert(ctx, c.tx, text[odcm.GroupID], `INSERT INTO identity_group_nested (parent_id, child_id) VALUES ? ON CONFLICT DO NOTHING RETURNING child_id`, rows)
}

func (c change) Join(ctx context.Context, all []group.Membership, in bool) ([]group.Membership, error) {
	scan := func(r db.Row) (m group.Membership, err error) { return m, r.Scan(&m.Group, &m.User) }
	query := `DELETE FROM identity_group_user WHERE (group_id, user_id) IN (VALUES ?) RETURNING group_id, user_id`
	if in {
		query = `INSERT INTO identity_group_user (group_id, user_id) VALUES ? ON CONFLICT DO NOTHING RETURNING group_id, user_id`
	}
	rows := make([][2]string, len(all))
	for i, m := range all {
		rows[i] = [2]string{string(m.Group), string(m.User)}
	}
	return insert(ctx, c.tx, scan, query, rows)
}

// insert runs the query, which has "?" where the pairs stand, so many pairs at a time.
func insert[T any](ctx context.Context, q db.Querier, scan func(db.Row) (T, error), query string, rows [][2]string) ([]T, error) {
	var all []T
	for len(rows) > 0 {
		n := min(len(rows), chunk/2)
		var values strings.Builder
		args := make([]any, 0, 2*n)
		for i, row := range rows[:n] {
			if i > 0 {
				values.WriteByte(',')
			}
			values.WriteString("($" + strconv.Itoa(2*i+1) + ",$" + strconv.Itoa(2*i+2) + ")")
			args = append(args, row[0], row[1])
		}
		some, err := db.Collect(ctx, q, scan, strings.Replace(query, "?", values.String(), 1), args...)
		if err != nil {
			return nil, err
		}
		all, rows = append(all, some...), rows[n:]
	}
	return all, nil
}
