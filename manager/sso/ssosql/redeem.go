package ssosql

import (
	"context"
	"database/sql"
	"strings"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/sso/grant"
)

// redemption is a grant to be written, with how often its code was used by that: 0 or 1.
type redemption struct {
	grant grant.Grant
	uses  int
	event odcm.Event
}

const (
	insertGrants = "INSERT INTO sso_grant (" + grantColumns + ", uses, sequence) "
	// usedAgain: a code that comes again finds its row used, and ends the grant by that.
	usedAgain = ` ON CONFLICT (id) DO UPDATE SET
revoked = CASE WHEN sso_grant.uses > 0 AND sso_grant.revoked = 0 THEN excluded.used ELSE sso_grant.revoked END,
uses = sso_grant.uses + 1, used = excluded.used, offline = excluded.offline, expires = excluded.expires
RETURNING id, uses, revoked`
	// insertArrays is one text for any number of grants, an array for each column, so that PostgreSQL plans it once. SQLite has no
	// arrays.
	insertArrays = insertGrants + `SELECT id, party, user_id, session, scopes, authenticated, method, created, used, expires, offline, 0, uses, 0
FROM unnest(CAST($1 AS TEXT[]), CAST($2 AS TEXT[]), CAST($3 AS TEXT[]), CAST($4 AS TEXT[]), CAST($5 AS TEXT[]), CAST($6 AS BIGINT[]), CAST($7 AS TEXT[]),
CAST($8 AS BIGINT[]), CAST($9 AS BIGINT[]), CAST($10 AS BIGINT[]), CAST($11 AS BOOLEAN[]), CAST($12 AS BIGINT[]))
AS g (id, party, user_id, session, scopes, authenticated, method, created, used, expires, offline, uses)` + usedAgain
)

// arrays are the parameters of insertArrays.
func arrays(all []redemption, part []int) []any {
	texts, numbers, offline := [6][]string{}, [5][]int64{}, make([]bool, 0, len(part))
	for i := range texts {
		texts[i] = make([]string, 0, len(part))
	}
	for i := range numbers {
		numbers[i] = make([]int64, 0, len(part))
	}
	for _, n := range part {
		g := &all[n].grant
		for i, t := range [...]string{g.ID, string(g.Party), string(g.User), g.Session, g.Scopes, g.Method} {
			texts[i] = append(texts[i], t)
		}
		for i, v := range [...]int64{db.Millis(g.Authenticated), db.Millis(g.Created), db.Millis(g.Used), db.Millis(g.Expires), int64(all[n].uses)} {
			numbers[i] = append(numbers[i], v)
		}
		offline = append(offline, g.Offline)
	}
	return []any{texts[0], texts[1], texts[2], texts[3], texts[4], numbers[0], texts[5], numbers[1], numbers[2], numbers[3], offline, numbers[4]}
}

// values is the same for SQLite, row by row.
func values(all []redemption, part []int) (query string, args []any) {
	const width = 13
	var q strings.Builder
	q.WriteString(insertGrants + "VALUES ")
	args = make([]any, 0, len(part)*width)
	for i, n := range part {
		if i > 0 {
			q.WriteByte(',')
		}
		q.WriteString(strings.TrimSuffix(db.In(i*width+1, width), ")") + ",0)")
		g := &all[n].grant
		args = append(args, g.ID, string(g.Party), string(g.User), g.Session, g.Scopes, db.Millis(g.Authenticated), g.Method, db.Millis(g.Created),
			db.Millis(g.Used), db.Millis(g.Expires), g.Offline, 0, all[n].uses)
	}
	q.WriteString(usedAgain)
	return q.String(), args
}

// redeemAll writes grants.
func (s *Store) redeemAll(ctx context.Context, all []redemption) (uses []int, err error) {
	most := rows
	if s.db.Postgres() {
		most = together
	}
	err = s.db.Tx(ctx, func(tx *sql.Tx) error {
		uses = make([]int, len(all))
		events := make([]odcm.Event, 0, len(all))
		for _, part := range apart(all, most, func(r redemption) string { return r.grant.ID }) {
			at := make(map[string]int, len(part))
			for _, n := range part {
				at[all[n].grant.ID] = n
			}
			var q string
			var args []any
			if s.db.Postgres() {
				q, args = insertArrays, arrays(all, part)
			} else {
				q, args = values(all, part)
			}
			if err := each(ctx, tx, q, args, func(rows *sql.Rows) error {
				var id string
				var n int
				var revoked int64
				if err := rows.Scan(&id, &n, &revoked); err != nil {
					return err
				}
				if revoked > 0 { // ended before its code came, or by this
					n = max(n, 2)
				}
				i := at[id]
				if uses[i] = n; n == all[i].uses && all[i].event.Type != "" {
					events = append(events, all[i].event)
				}
				return nil
			}); err != nil {
				return err
			}
		}
		return s.events.Append(ctx, tx, events...)
	})
	return uses, err
}
