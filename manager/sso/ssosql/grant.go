package ssosql

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/sso/grant"
)

// rotation is a refresh token to be spent.
type rotation struct {
	id       string
	sequence int64
	at       time.Time
}

// rows bounds one statement of values: SQLite looks for the name of each parameter among all before it.
const rows = 16

// Open implements [grant.Store].
func (s *Store) Open(ctx context.Context, g grant.Grant, e odcm.Event) error {
	_, err := s.redeem.begin(redemption{g, 0, e})(ctx)
	return err
}

// Redeem implements [grant.Store].
func (s *Store) Redeem(g grant.Grant, e odcm.Event) (uses func(context.Context) (int, error)) {
	return s.redeem.begin(redemption{g, 1, e})
}

// Rotate implements [grant.Store].
func (s *Store) Rotate(id string, sequence int64, at time.Time) func(context.Context) (grant.Rotation, error) {
	rotated := s.rotates.begin(rotation{id, sequence, at})
	return func(ctx context.Context) (grant.Rotation, error) {
		r, err := rotated(ctx)
		if err == nil && r.Grant.ID == "" {
			err = noGrant()
		}
		return r, err
	}
}

func noGrant() error {
	return odcm.E(odcm.NotFound, "sso.grant-unknown", "There is no such sign-in, or not any more.")
}

// apart divides work into parts of at most so many, in order, so that no name is twice in one: a statement changes a row once.
func apart[T any](all []T, rows int, name func(T) string) (parts [][]int) {
	var part []int
	seen := map[string]bool{}
	for i, v := range all {
		if seen[name(v)] || len(part) == rows {
			parts, part = append(parts, part), nil
			clear(seen)
		}
		seen[name(v)] = true
		part = append(part, i)
	}
	return append(parts, part)
}

const grantColumns = "id, party, user_id, session, scopes, authenticated, method, created, used, expires, offline, revoked"

// rotateAll spends refresh tokens. One that is not the valid one of its grant ends it; in the answer Replayed tells that.
func (s *Store) rotateAll(ctx context.Context, all []rotation) (done []grant.Rotation, err error) {
	err = s.db.Tx(ctx, func(tx *sql.Tx) error {
		done = make([]grant.Rotation, len(all))
		for _, part := range apart(all, rows, func(r rotation) string { return r.id }) {
			var q strings.Builder
			q.WriteString("WITH spent (id, sequence, at) AS (VALUES ")
			args := make([]any, 0, len(part)*3)
			at := map[string]int{}
			for i, n := range part {
				if i > 0 {
					q.WriteByte(',')
				}
				p := func(k int) string { return "$" + strconv.Itoa(i*3+k) }
				q.WriteString("(CAST(" + p(1) + " AS TEXT),CAST(" + p(2) + " AS BIGINT),CAST(" + p(3) + " AS BIGINT))")
				args = append(args, all[n].id, all[n].sequence, db.Millis(all[n].at))
				at[all[n].id] = n
			}
			q.WriteString(`) UPDATE sso_grant SET
revoked = CASE WHEN sso_grant.sequence = spent.sequence THEN 0 ELSE spent.at END,
sequence = CASE WHEN sso_grant.sequence = spent.sequence THEN sso_grant.sequence + 1 ELSE sso_grant.sequence END,
used = spent.at
FROM spent WHERE sso_grant.id = spent.id AND sso_grant.revoked = 0 AND sso_grant.offline AND sso_grant.expires > spent.at
RETURNING sso_grant.id, sso_grant.revoked`)
			if err := each(ctx, tx, q.String(), args, func(rows *sql.Rows) error {
				var id string
				var revoked int64
				if err := rows.Scan(&id, &revoked); err != nil {
					return err
				}
				done[at[id]] = grant.Rotation{Grant: grant.Grant{ID: id}, Replayed: revoked > 0}
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	})
	return done, err
}

// each runs the query and gives every row to f.
func each(ctx context.Context, q db.Querier, query string, args []any, f func(*sql.Rows) error) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func scanGrant(r db.Row) (g grant.Grant, err error) {
	var authenticated, created, used, expires, revoked int64
	err = r.Scan(&g.ID, &g.Party, &g.User, &g.Session, &g.Scopes, &authenticated, &g.Method, &created, &used, &expires, &g.Offline, &revoked)
	g.Authenticated, g.Created, g.Used, g.Expires, g.Revoked = db.Time(authenticated), db.Time(created), db.Time(used), db.Time(expires), db.Time(revoked)
	return g, err
}

// Grant implements [grant.Store].
func (s *Store) Grant(ctx context.Context, id string) (grant.Grant, error) {
	g, err := scanGrant(s.db.Read().QueryRowContext(ctx, `SELECT `+grantColumns+` FROM sso_grant WHERE id = $1`, id))
	return g, one(err, noGrant())
}

// Grants implements [grant.Store].
func (s *Store) Grants(ctx context.Context, user odcm.UserID, at time.Time, before string, limit int) ([]grant.Grant, error) {
	return db.Collect(ctx, s.db.Read(), scanGrant, `SELECT `+grantColumns+` FROM sso_grant WHERE user_id = $1 AND revoked = 0 AND expires > $2
AND ($3 = '' OR created < (SELECT created FROM sso_grant WHERE id = $3) OR created = (SELECT created FROM sso_grant WHERE id = $3) AND id < $3)
ORDER BY created DESC, id DESC LIMIT $4`, string(user), db.Millis(at), before, limit)
}

// Revoke implements [grant.Store].
func (s *Store) Revoke(ctx context.Context, r grant.Revocation, e odcm.Event) (ended int, err error) {
	if r.ID == "" && r.User == "" {
		return 0, odcm.E(odcm.Internal, "", "a revocation of everything")
	}
	where, args := []string{"revoked = 0", "expires > $1"}, []any{db.Millis(r.At)}
	add := func(condition string, value any) {
		args = append(args, value)
		where = append(where, condition+" = $"+strconv.Itoa(len(args)))
	}
	if r.ID != "" {
		add("id", r.ID)
	}
	if r.User != "" {
		add("user_id", string(r.User))
	}
	if r.Party != "" {
		add("party", string(r.Party))
	}
	if len(r.Sessions) > 0 {
		where = append(where, "session IN "+db.In(len(args)+1, len(r.Sessions)))
		args = append(args, db.Args(r.Sessions)...)
	}
	told := strings.Join(where, " AND ") // those that outlive their session are told of its end all the same
	if !r.Offline {
		where = append(where, "NOT offline")
	}
	err = s.db.Tx(ctx, func(tx *sql.Tx) error {
		ended = 0
		var waiting int64
		if r.Tell {
			res, err := tx.ExecContext(ctx, `INSERT INTO sso_logout (id, party, user_id, session, attempts, due, expires)
SELECT MIN(id), party, user_id, session, 0, CAST($1 AS BIGINT), CAST($1 AS BIGINT) + 86400000 FROM sso_grant WHERE `+told+
				` AND party IN (SELECT id FROM sso_party WHERE settings LIKE '%"logoutUri":"_%') GROUP BY party, user_id, session ON CONFLICT (id) DO NOTHING`, args...)
			if err != nil {
				return err
			}
			if waiting, err = res.RowsAffected(); err != nil {
				return err
			}
		}
		res, err := tx.ExecContext(ctx, `UPDATE sso_grant SET revoked = $1 WHERE `+strings.Join(where, " AND "), args...)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if ended = int(max(n, waiting)); err != nil || ended == 0 {
			return err
		}
		return s.events.Append(ctx, tx, e)
	})
	return ended, err
}
