package accesssql

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/access"
)

// Store is an [access.Store] on a database.
type Store struct {
	db     *db.DB
	events Appender
}

var _ access.Store = (*Store)(nil)

//go:embed schema/*.sql
var schema embed.FS

// New makes or updates the tables of grants and mappings and returns the store.
func New(ctx context.Context, d *db.DB, events Appender) (*Store, error) {
	steps, err := fs.Sub(schema, "schema")
	if err != nil {
		return nil, err
	}
	return &Store{d, events}, d.Migrate(ctx, "access", steps)
}

// change runs f, gives the Space that it returns a new revision, and appends the events, in one transaction.
func (s *Store) change(ctx context.Context, f func(tx *sql.Tx) (odcm.SpaceID, error), events ...odcm.Event) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		space, err := f(tx)
		if err != nil {
			return err
		}
		if err := touch(ctx, tx, space); err != nil || len(events) == 0 {
			return err
		}
		return s.events.Append(ctx, tx, events...)
	})
}

func touch(ctx context.Context, tx *sql.Tx, spaces ...odcm.SpaceID) error {
	var revision int64
	err := tx.QueryRowContext(ctx, `UPDATE access_revision SET revision = revision + 1 RETURNING revision`).Scan(&revision)
	for _, space := range spaces {
		if err == nil {
			_, err = tx.ExecContext(ctx, `INSERT INTO access_space (space_id, revision) VALUES ($1, $2)
				ON CONFLICT (space_id) DO UPDATE SET revision = excluded.revision`, space, revision)
		}
	}
	return err
}

// Revision implements [access.Store].
func (s *Store) Revision(ctx context.Context) (revision int64, err error) {
	defer odcm.Wrap(&err, "read the revision of access")
	return revision, s.db.Read().QueryRowContext(ctx, `SELECT revision FROM access_revision`).Scan(&revision)
}

// Load implements [access.Store]. The revision is read first: what commits while the rest is read may be in the answer, and
// is in the next one again.
func (s *Store) Load(ctx context.Context, after int64) (_ []access.Content, revision int64, err error) {
	defer odcm.Wrap(&err, "read access")
	if revision, err = s.Revision(ctx); err != nil {
		return nil, 0, err
	}
	const since = ` WHERE space_id IN (SELECT space_id FROM access_space WHERE revision > $1) ORDER BY `
	contents := map[odcm.SpaceID]*access.Content{}
	spaces, err := db.Collect(ctx, s.db.Read(), func(r db.Row) (id odcm.SpaceID, err error) { return id, r.Scan(&id) },
		`SELECT space_id FROM access_space WHERE revision > $1 ORDER BY space_id`, after)
	if err != nil {
		return nil, 0, err
	}
	for _, id := range spaces {
		contents[id] = &access.Content{Space: id}
	}
	grants, err := db.Collect(ctx, s.db.Read(), scanGrant, `SELECT `+grantColumns+` FROM access_grant`+since+`id`, after)
	if err != nil {
		return nil, 0, err
	}
	for _, g := range grants {
		if c := contents[g.Space]; c != nil { // else it changed just now, and comes next time
			c.Grants = append(c.Grants, g)
		}
	}
	rows, err := db.Collect(ctx, s.db.Read(), func(r db.Row) (m access.Mapping, err error) {
		m.Groups = make([]odcm.GroupID, 1)
		return m, r.Scan(&m.Space, &m.Team.ID, &m.Team.Name, &m.Groups[0])
	}, `SELECT space_id, team_id, name, group_id FROM access_team JOIN access_team_group USING (space_id, team_id)`+since+`space_id, team_id, group_id`, after)
	if err != nil {
		return nil, 0, err
	}
	for _, m := range rows {
		c := contents[m.Space]
		if c == nil {
			continue
		}
		if last := len(c.Mappings) - 1; last >= 0 && c.Mappings[last].Team.ID == m.Team.ID {
			c.Mappings[last].Groups = append(c.Mappings[last].Groups, m.Groups...)
		} else {
			c.Mappings = append(c.Mappings, m)
		}
	}
	all := make([]access.Content, 0, len(spaces))
	for _, id := range spaces {
		c := *contents[id]
		// The order is by code point, whatever that of the database is.
		slices.SortFunc(c.Mappings, func(a, b access.Mapping) int { return strings.Compare(a.Team.ID, b.Team.ID) })
		for _, m := range c.Mappings {
			slices.Sort(m.Groups)
		}
		all = append(all, c)
	}
	return all, revision, nil
}

const grantColumns = `id, space_id, group_id, user_id, steward, expires, ended, note, granted_by, created`

func scanGrant(r db.Row) (g access.Grant, err error) {
	var expires, created int64
	err = r.Scan(&g.ID, &g.Space, &g.Holder.Group, &g.Holder.User, &g.Steward, &expires, &g.Ended, &g.Note, &g.By, &created)
	g.Expires, g.Created = db.Time(expires), db.Time(created)
	return g, err
}

// PutGrant implements [access.Store].
func (s *Store) PutGrant(ctx context.Context, g access.Grant, e odcm.Event) (err error) {
	defer odcm.Wrap(&err, "put grant %s", g.ID)
	return s.change(ctx, func(tx *sql.Tx) (odcm.SpaceID, error) {
		_, err := tx.ExecContext(ctx, `INSERT INTO access_grant (`+grantColumns+`) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)
			ON CONFLICT (space_id, group_id, user_id) DO UPDATE SET steward = excluded.steward, expires = excluded.expires,
			ended = excluded.ended, note = excluded.note, granted_by = excluded.granted_by`,
			g.ID, g.Space, g.Holder.Group, g.Holder.User, g.Steward, db.Millis(g.Expires), g.Ended, g.Note, g.By, db.Millis(g.Created))
		return g.Space, err
	}, e)
}

// DeleteGrant implements [access.Store].
func (s *Store) DeleteGrant(ctx context.Context, id string, e odcm.Event) (err error) {
	defer odcm.Wrap(&err, "delete grant %s", id)
	return s.change(ctx, func(tx *sql.Tx) (space odcm.SpaceID, err error) {
		err = tx.QueryRowContext(ctx, `DELETE FROM access_grant WHERE id = $1 RETURNING space_id`, id).Scan(&space)
		if errors.Is(err, sql.ErrNoRows) {
			err = odcm.E(odcm.NotFound, "access.grant-not-found", "There is no such grant.")
		}
		return space, err
	}, e)
}

// EndGrants implements [access.Store]. A second replica waits for the rows of the first and then finds them ended.
func (s *Store) EndGrants(ctx context.Context, now time.Time, limit int, event func(access.Grant) odcm.Event) (ended []access.Grant, err error) {
	defer odcm.Wrap(&err, "end grants")
	err = s.db.Tx(ctx, func(tx *sql.Tx) error {
		ended, err = db.Collect(ctx, tx, scanGrant, `UPDATE access_grant SET ended = TRUE WHERE NOT ended AND id IN
			(SELECT id FROM access_grant WHERE expires > 0 AND expires <= $1 AND NOT ended ORDER BY expires, id LIMIT $2)
			RETURNING `+grantColumns, db.Millis(now), limit)
		if err != nil || len(ended) == 0 {
			return err
		}
		spaces, events := make([]odcm.SpaceID, len(ended)), make([]odcm.Event, len(ended))
		for i, g := range ended {
			spaces[i], events[i] = g.Space, event(g)
		}
		if err := touch(ctx, tx, spaces...); err != nil {
			return err
		}
		return s.events.Append(ctx, tx, events...)
	})
	return ended, err
}

// Map implements [access.Store].
func (s *Store) Map(ctx context.Context, space odcm.SpaceID, team access.Team, group odcm.GroupID, e odcm.Event) (err error) {
	defer odcm.Wrap(&err, "map group %s to team %s", group, team.ID)
	return s.change(ctx, func(tx *sql.Tx) (odcm.SpaceID, error) {
		_, err := tx.ExecContext(ctx, `INSERT INTO access_team (space_id, team_id, name) VALUES ($1, $2, $3)
			ON CONFLICT (space_id, team_id) DO UPDATE SET name = excluded.name`, space, team.ID, team.Name)
		if err == nil {
			_, err = tx.ExecContext(ctx, `INSERT INTO access_team_group (space_id, team_id, group_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
				space, team.ID, group)
		}
		return space, err
	}, e)
}

// Unmap implements [access.Store].
func (s *Store) Unmap(ctx context.Context, space odcm.SpaceID, team string, group odcm.GroupID, e odcm.Event) (err error) {
	defer odcm.Wrap(&err, "take group %s out of team %s", group, team)
	return s.change(ctx, func(tx *sql.Tx) (odcm.SpaceID, error) {
		r, err := tx.ExecContext(ctx, `DELETE FROM access_team_group WHERE space_id = $1 AND team_id = $2 AND group_id = $3`, space, team, group)
		if err != nil {
			return space, err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return space, errors.Join(err, odcm.E(odcm.NotFound, "access.mapping-not-found", "The group is not mapped to that team."))
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM access_team WHERE space_id = $1 AND team_id = $2
			AND NOT EXISTS (SELECT 1 FROM access_team_group WHERE space_id = $1 AND team_id = $2)`, space, team)
		return space, err
	}, e)
}

// Forget implements [access.Store].
func (s *Store) Forget(ctx context.Context, space odcm.SpaceID) (err error) {
	defer odcm.Wrap(&err, "forget access to Space %s", space)
	return s.change(ctx, func(tx *sql.Tx) (odcm.SpaceID, error) {
		for _, table := range []string{"access_grant", "access_team_group", "access_team"} {
			if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE space_id = $1`, space); err != nil {
				return space, err
			}
		}
		return space, nil
	})
}
