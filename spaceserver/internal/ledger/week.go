package ledger

import (
	"context"
	"time"

	"odcm/kit/db"
)

// Cell is an environment in a week, which begins at the time in milliseconds.
type Cell struct {
	Environment string
	Week        int64
}

// A week, and how far the first Monday lies before 1970-01-01, a Thursday; both in milliseconds.
const (
	weekMillis = 7 * 24 * 60 * 60 * 1000
	toMonday   = 3 * 24 * 60 * 60 * 1000
)

// Week is the Monday, in UTC, on which the time's week begins.
func Week(t time.Time) time.Time {
	ms := t.UnixMilli() + toMonday
	return time.UnixMilli(ms - ms%weekMillis - toMonday).UTC()
}

// Weeks counts the deployments of a space since the time's week, by project.
func Weeks(ctx context.Context, q db.Querier, space string, from time.Time) (map[string]map[Cell]int, error) {
	type count struct {
		project string
		cell    Cell
		n       int
	}
	counts, err := db.Collect(ctx, q, func(r db.Row) (c count, err error) {
		err = r.Scan(&c.project, &c.cell.Environment, &c.cell.Week, &c.n)
		c.cell.Week = c.cell.Week*weekMillis - toMonday
		return c, err
	}, "SELECT project, environment, (created + 259200000) / 604800000 AS week, count(*) FROM spaceserver_deployment WHERE space = $1 AND kind = 'Deployments' AND created >= $2 GROUP BY project, environment, week",
		space, db.Millis(Week(from)))
	all := map[string]map[Cell]int{}
	for _, c := range counts {
		if all[c.project] == nil {
			all[c.project] = map[Cell]int{}
		}
		all[c.project][c.cell] = c.n
	}
	return all, err
}
