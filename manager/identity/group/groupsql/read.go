package groupsql

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/identity/group"
	"odcm/manager/identity/group/graph"
)

// Group implements [group.Store].
func (s *Store) Group(ctx context.Context, id odcm.GroupID) (group.Group, error) {
	return one(ctx, s.db.Read(), id)
}

// Groups implements [group.Store].
func (s *Store) Groups(ctx context.Context, ids []odcm.GroupID) (map[odcm.GroupID]group.Group, error) {
	return groups(ctx, s.db.Read(), ids)
}

// External implements [group.Store].
func (s *Store) External(ctx context.Context, provider odcm.ProviderID, ids []string) (map[string]group.Group, error) {
	return external(ctx, s.db.Read(), provider, ids)
}

// Asserted implements [group.Store].
func (s *Store) Asserted(ctx context.Context, user odcm.UserID, provider odcm.ProviderID) ([]group.Group, error) {
	return asserted(ctx, s.db.Read(), user, provider)
}

// Users implements [group.Store].
func (s *Store) Users(ctx context.Context, ids []odcm.UserID) (map[odcm.UserID]group.User, error) {
	return users(ctx, s.db.Read(), ids)
}

// Named implements [group.Store].
func (s *Store) Named(ctx context.Context, key string, limit int) ([]group.Group, error) {
	return db.Collect(ctx, s.db.Read(), scan, `SELECT `+columns+` FROM identity_group g WHERE g.name_key = $1
		ORDER BY CASE WHEN g.provider = '' THEN 0 ELSE 1 END, g.id LIMIT $2`, key, limit)
}

// UserNamed implements [group.Store].
func (s *Store) UserNamed(ctx context.Context, key string) (group.User, error) {
	u, err := scanUser(s.db.Read().QueryRowContext(ctx, `SELECT `+userColumns+` FROM identity_user u WHERE u.username_key = $1 AND u.deleted = 0`, key))
	if errors.Is(err, sql.ErrNoRows) {
		err = odcm.E(odcm.NotFound, "group.member-unknown", "There is no such user.")
	}
	return u, err
}

// FindUsers implements [group.Store].
func (s *Store) FindUsers(ctx context.Context, text string, limit int) ([]group.User, error) {
	return db.Collect(ctx, s.db.Read(), scanUser, `SELECT `+userColumns+` FROM identity_user u
		WHERE u.deleted = 0 AND (u.username_key LIKE $1 ESCAPE '\' OR u.display_key LIKE $1 ESCAPE '\') ORDER BY u.username_key LIMIT $2`,
		contains(text), limit)
}

// contains is the pattern of what contains the text.
func contains(text string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text) + "%"
}

// List implements [group.Store].
func (s *Store) List(ctx context.Context, q group.Query) ([]group.Entry, error) {
	var where []string
	var args []any
	add := func(cond string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			cond = strings.Replace(cond, "?", "$"+strconv.Itoa(len(args)), 1)
		}
		where = append(where, cond)
	}
	if q.Text != "" {
		add(`g.name_key LIKE ? ESCAPE '\'`, contains(q.Text))
	}
	switch q.Kind {
	case group.Own:
		add(`g.provider = ''`)
	case group.Foreign:
		add(`g.provider <> ''`)
	}
	if q.Provider != "" {
		add(`g.provider = ?`, q.Provider)
	}
	if q.After != (group.Position{}) {
		add(`(g.name_key, g.id) > (?, ?)`, q.After.Name, q.After.ID)
	}
	query := `SELECT ` + columns + `,
		(SELECT count(*) FROM identity_group_user m JOIN identity_user u ON u.id = m.user_id WHERE m.group_id = g.id AND u.deleted = 0),
		(SELECT count(*) FROM identity_group_nested n WHERE n.parent_id = g.id),
		(SELECT count(*) FROM identity_group_nested n WHERE n.child_id = g.id) FROM identity_group g`
	if len(where) > 0 {
		query += ` WHERE ` + strings.Join(where, ` AND `)
	}
	return db.Collect(ctx, s.db.Read(), func(r db.Row) (e group.Entry, err error) {
		var created int64
		err = r.Scan(append(dest(&e.Group, &created), &e.Users, &e.Groups, &e.Within)...)
		e.Created = db.Time(created)
		return e, err
	}, query+` ORDER BY g.name_key, g.id LIMIT `+strconv.Itoa(q.Limit), args...)
}

// Members implements [group.Store].
func (s *Store) Members(ctx context.Context, id odcm.GroupID, after group.Position, limit int) ([]group.Member, error) {
	var all []group.Member
	if after.Kind != "user" {
		children, err := db.Collect(ctx, s.db.Read(), scan, `SELECT `+columns+` FROM identity_group g JOIN identity_group_nested n ON n.child_id = g.id
			WHERE n.parent_id = $1 AND (g.name_key, g.id) > ($2, $3) ORDER BY g.name_key, g.id LIMIT $4`, id, after.Name, after.ID, limit)
		if err != nil {
			return nil, err
		}
		for i := range children {
			all = append(all, group.Member{Group: &children[i]})
		}
		after = group.Position{}
	}
	people, err := db.Collect(ctx, s.db.Read(), scanUser, `SELECT `+userColumns+` FROM identity_user u JOIN identity_group_user m ON m.user_id = u.id
		WHERE m.group_id = $1 AND u.deleted = 0 AND (u.username_key, u.id) > ($2, $3) ORDER BY u.username_key, u.id LIMIT $4`, id, after.Name, after.ID, limit-len(all))
	for i := range people {
		all = append(all, group.Member{User: &people[i]})
	}
	return all, err
}

// Within implements [group.Store].
func (s *Store) Within(ctx context.Context, id odcm.GroupID) ([]group.Group, error) {
	return db.Collect(ctx, s.db.Read(), scan, `SELECT `+columns+` FROM identity_group g JOIN identity_group_nested n ON n.parent_id = g.id
		WHERE n.child_id = $1 ORDER BY g.name_key, g.id`, id)
}

// Sources implements [group.Store].
func (s *Store) Sources(ctx context.Context) (map[odcm.ProviderID]int, error) {
	type source struct {
		id odcm.ProviderID
		n  int
	}
	all, err := db.Collect(ctx, s.db.Read(), func(r db.Row) (x source, err error) { return x, r.Scan(&x.id, &x.n) },
		`SELECT provider, count(*) FROM identity_group WHERE provider <> '' GROUP BY provider`)
	found := make(map[odcm.ProviderID]int, len(all))
	for _, x := range all {
		found[x.id] = x.n
	}
	return found, err
}

// link is one who may be in a group, and one group that he is in; "" for one who is in none.
type link struct{ of, in string }

func scanLink(r db.Row) (l link, err error) { return l, r.Scan(&l.of, &l.in) }

const (
	userLinks = `SELECT u.id, coalesce(m.group_id, '') FROM identity_user u LEFT JOIN identity_group_user m ON m.user_id = u.id
		WHERE u.disabled = FALSE AND u.deleted = 0`
	groupLinks = `SELECT g.id, coalesce(n.parent_id, '') FROM identity_group g LEFT JOIN identity_group_nested n ON n.child_id = g.id`
)

// Everything implements [graph.Store].
func (s *Store) Everything(ctx context.Context) (graph.Facts, error) {
	users, err := db.Collect(ctx, s.db.Read(), scanLink, userLinks)
	if err != nil {
		return graph.Facts{}, err
	}
	groups, err := db.Collect(ctx, s.db.Read(), scanLink, groupLinks)
	return facts(users, groups), err
}

// Some implements [graph.Store].
func (s *Store) Some(ctx context.Context, users []odcm.UserID, groups []odcm.GroupID) (graph.Facts, error) {
	u, err := each(ctx, s.db.Read(), scanLink, userLinks+` AND u.id IN ?`, users)
	if err != nil {
		return graph.Facts{}, err
	}
	g, err := each(ctx, s.db.Read(), scanLink, groupLinks+` WHERE g.id IN ?`, groups)
	return facts(u, g), err
}

func facts(users, groups []link) graph.Facts {
	return graph.Facts{Users: gather[odcm.UserID](users), Groups: gather[odcm.GroupID](groups)}
}

func gather[T ~string](all []link) map[T][]odcm.GroupID {
	m := map[T][]odcm.GroupID{}
	for _, l := range all {
		in := m[T(l.of)]
		if l.in != "" {
			in = append(in, odcm.GroupID(l.in))
		}
		m[T(l.of)] = in
	}
	return m
}
