package monitorsql

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/monitor"
)

// Count implements [monitor.Store].
func (s *Store) Count(ctx context.Context, tallies []monitor.Tally) (err error) {
	defer odcm.Wrap(&err, "count answers of %d Spaces", len(tallies))
	type key struct {
		day   monitor.Day
		space odcm.SpaceID
	}
	sums := map[key]monitor.Tally{} // one statement must not name a row twice
	for _, t := range tallies {
		k := key{t.Day, t.Space}
		sum := sums[k]
		sums[k] = monitor.Tally{Space: t.Space, Day: t.Day, Pings: sum.Pings + t.Pings, Slow: sum.Slow + t.Slow, Sum: sum.Sum + t.Sum, Max: max(sum.Max, t.Max)}
	}
	rows := make([]monitor.Tally, 0, len(sums))
	for _, t := range sums {
		rows = append(rows, t)
	}
	slices.SortFunc(rows, func(a, b monitor.Tally) int { // replicas lock rows in the same order
		if a.Day != b.Day {
			return int(a.Day - b.Day)
		}
		if a.Space < b.Space {
			return -1
		}
		return 1
	})
	for part := range slices.Chunk(rows, chunk) { // short transactions: others write too
		if err := insert(ctx, s.db, `INSERT INTO monitor_uptime (day, space_id, pings, slow, took, longest) VALUES `,
			` ON CONFLICT (day, space_id) DO UPDATE SET pings = monitor_uptime.pings + excluded.pings, slow = monitor_uptime.slow + excluded.slow,
			took = monitor_uptime.took + excluded.took,
			longest = CASE WHEN excluded.longest > monitor_uptime.longest THEN excluded.longest ELSE monitor_uptime.longest END`, part,
			func(t monitor.Tally) []any {
				return []any{int64(t.Day), string(t.Space), t.Pings, t.Slow, t.Sum.Microseconds(), t.Max.Microseconds()}
			}); err != nil {
			return err
		}
	}
	return nil
}

// Rolled implements [monitor.Store].
func (s *Store) Rolled(ctx context.Context) (next, oldest monitor.Day, some bool, err error) {
	defer odcm.Wrap(&err, "what is rolled up")
	next, _, err = s.rolled(ctx)
	if err != nil {
		return 0, 0, false, err
	}
	var at sql.NullInt64
	if err := s.db.Read().QueryRowContext(ctx, `SELECT min(at) FROM monitor_change`).Scan(&at); err != nil {
		return 0, 0, false, err
	}
	return next, monitor.DayAt(db.Time(at.Int64)), at.Valid, nil
}

// rolled returns the first day that is not rolled up, and before when transitions are deleted.
func (s *Store) rolled(ctx context.Context) (next monitor.Day, pruned time.Time, err error) {
	var before int64
	err = s.db.Read().QueryRowContext(ctx, `SELECT next, pruned FROM monitor_roll WHERE one = 1`).Scan(&next, &before)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return next, db.Time(before), err
}

// sum is a Space's time in a stretch, and the status at its end.
type sum struct {
	spent monitor.Spent
	last  monitor.Status
}

// RollUp implements [monitor.Store].
func (s *Store) RollUp(ctx context.Context, day monitor.Day) (err error) {
	defer odcm.Wrap(&err, "roll up day %d", day)
	next, _, err := s.rolled(ctx)
	if err != nil {
		return err
	}
	sums, err := s.stretch(ctx, nil, day.Begin(), (day + 1).Begin(), next)
	if err != nil {
		return err
	}
	ids := make([]odcm.SpaceID, 0, len(sums))
	for id, v := range sums {
		if len(v.spent) > 0 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for part := range slices.Chunk(ids, chunk) {
		if err := insert(ctx, s.db, `INSERT INTO monitor_uptime (day, space_id, last, online, draining, degraded, offline, maintenance) VALUES `,
			` ON CONFLICT (day, space_id) DO UPDATE SET last = excluded.last, online = excluded.online, draining = excluded.draining,
			degraded = excluded.degraded, offline = excluded.offline, maintenance = excluded.maintenance`, part,
			func(id odcm.SpaceID) []any {
				v := sums[id]
				args := []any{int64(day), string(id), string(v.last)}
				for _, status := range kept {
					args = append(args, v.spent[status].Milliseconds())
				}
				return args
			}); err != nil {
			return err
		}
	}
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE monitor_roll SET next = $1 WHERE next <= $2`, int64(day+1), int64(day))
		return err
	})
}

// kept are the statuses whose times are kept, in the order of the columns.
var kept = []monitor.Status{monitor.Online, monitor.Draining, monitor.Degraded, monitor.Offline, monitor.Maintenance}

// stretch sums up transitions in [from, to). It begins with the status that each Space had when the day of from began: from the
// row of the day before where that is rolled up, else from the last transition before.
func (s *Store) stretch(ctx context.Context, spaces []odcm.SpaceID, from, to time.Time, next monitor.Day) (map[odcm.SpaceID]sum, error) {
	day := monitor.DayAt(from)
	begin := day.Begin()
	carry, args := `SELECT c.space_id, c.last FROM monitor_uptime c WHERE c.day = $1 AND c.last IS NOT NULL`, []any{int64(day - 1)}
	if day > next { // the day before is not rolled up
		carry, args = `SELECT c.space_id, c.status FROM monitor_change c JOIN
			(SELECT space_id, max(at) AS at FROM monitor_change WHERE at < $1 GROUP BY space_id) l ON l.space_id = c.space_id AND l.at = c.at
			WHERE 1 = 1`, []any{db.Millis(begin)}
	}
	carried, err := collect(ctx, s.db.Read(), spaces, func(r db.Row) (place, error) {
		p := place{at: begin}
		err := r.Scan(&p.space, &p.status)
		return p, err
	}, carry, ``, args...)
	if err != nil {
		return nil, err
	}
	changes, err := collect(ctx, s.db.Read(), spaces, func(r db.Row) (place, error) {
		var p place
		var at int64
		err := r.Scan(&p.space, &at, &p.status)
		p.at = db.Time(at)
		return p, err
	}, `SELECT c.space_id, c.at, c.status FROM monitor_change c WHERE c.at >= $1 AND c.at < $2`, ` ORDER BY c.space_id, c.at`, db.Millis(begin), db.Millis(to))
	if err != nil {
		return nil, err
	}
	sums := map[odcm.SpaceID]sum{}
	since := map[odcm.SpaceID]time.Time{}
	end := func(id odcm.SpaceID, at time.Time) sum {
		v := sums[id]
		if v.spent == nil {
			v.spent = monitor.Spent{}
		}
		start := since[id]
		if start.Before(from) {
			start = from
		}
		v.spent.Add(v.last, start, at)
		return v
	}
	for _, p := range append(carried, changes...) {
		v := end(p.space, p.at)
		v.last = p.status
		sums[p.space], since[p.space] = v, p.at
	}
	for id := range sums {
		sums[id] = end(id, to)
	}
	return sums, nil
}

// place is a status that a Space was in from a time on.
type place struct {
	space  odcm.SpaceID
	at     time.Time
	status monitor.Status
}

// collect reads rows about the Spaces, or about all if none are named; the query calls its table c.
func collect[T any](ctx context.Context, q db.Querier, spaces []odcm.SpaceID, scan func(db.Row) (T, error), query, order string, args ...any) (all []T, err error) {
	if len(spaces) == 0 {
		return db.Collect(ctx, q, scan, query+order, args...)
	}
	for part := range slices.Chunk(spaces, chunk) {
		some, err := db.Collect(ctx, q, scan, query+` AND c.space_id IN `+db.In(len(args)+1, len(part))+order, append(slices.Clone(args), db.Args(part)...)...)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

const sums = `CAST(sum(c.online) AS BIGINT), CAST(sum(c.draining) AS BIGINT), CAST(sum(c.degraded) AS BIGINT), CAST(sum(c.offline) AS BIGINT),
	CAST(sum(c.maintenance) AS BIGINT), CAST(sum(c.pings) AS BIGINT), CAST(sum(c.slow) AS BIGINT), CAST(sum(c.took) AS BIGINT), max(c.longest)`

// total is what rows of days add up to.
type total struct {
	space odcm.SpaceID
	monitor.DayOf
	rolled bool
}

// scanTotal reads what begins with a Space and a day and whether it is rolled up.
func scanTotal(r db.Row) (v total, err error) {
	var ms [5]int64
	var took, longest int64
	err = r.Scan(&v.space, &v.Day, &v.rolled, &ms[0], &ms[1], &ms[2], &ms[3], &ms[4], &v.Pings, &v.Slow, &took, &longest)
	v.Spent = monitor.Spent{}
	for i, status := range kept {
		if ms[i] > 0 {
			v.Spent[status] = time.Duration(ms[i]) * time.Millisecond
		}
	}
	if v.Pings > 0 {
		v.Mean = time.Duration(took/v.Pings) * time.Microsecond
	}
	v.Max = time.Duration(longest) * time.Microsecond
	return v, err
}

// Days implements [monitor.Store].
func (s *Store) Days(ctx context.Context, space odcm.SpaceID, from, to monitor.Day) ([]monitor.DayOf, error) {
	rows, err := db.Collect(ctx, s.db.Read(), scanTotal, `SELECT space_id, day, last IS NOT NULL, online, draining, degraded, offline, maintenance,
		pings, slow, took, longest FROM monitor_uptime WHERE space_id = $1 AND day >= $2 AND day < $3 ORDER BY day`, space, int64(from), int64(to))
	days := make([]monitor.DayOf, len(rows))
	for i, r := range rows {
		if days[i] = r.DayOf; !r.rolled {
			days[i].Spent = nil
		}
	}
	return days, err
}

// Spent implements [monitor.Store].
func (s *Store) Spent(ctx context.Context, spaces []odcm.SpaceID, from, to time.Time) (_ map[odcm.SpaceID]monitor.Uptime, err error) {
	defer odcm.Wrap(&err, "sum up times")
	next, pruned, err := s.rolled(ctx)
	if err != nil {
		return nil, err
	}
	all := map[odcm.SpaceID]monitor.Uptime{}
	add := func(id odcm.SpaceID, spent monitor.Spent, share float64) {
		u, ok := all[id]
		if !ok {
			u = monitor.Uptime{From: from, To: to, Spent: monitor.Spent{}}
		}
		for status, d := range spent {
			u.Spent[status] += time.Duration(float64(d) * share)
		}
		all[id] = u
	}
	// Whole days that are rolled up, and how pings were answered on each day that has a part in it.
	first, end := monitor.DayAt(from.Add(24*time.Hour-1)), min(monitor.DayAt(to), next)
	counted, err := collect(ctx, s.db.Read(), spaces, scanTotal, `SELECT c.space_id, 0, 1 = 1, `+sums+` FROM monitor_uptime c WHERE c.day >= $1 AND c.day <= $2`,
		` GROUP BY c.space_id`, int64(monitor.DayAt(from)), int64(monitor.DayAt(to.Add(-1))))
	if err != nil {
		return nil, err
	}
	for _, v := range counted {
		all[v.space] = monitor.Uptime{From: from, To: to, Spent: monitor.Spent{}, Pings: v.Pings, Slow: v.Slow, Mean: v.Mean, Max: v.Max}
	}
	if first < end {
		whole, err := collect(ctx, s.db.Read(), spaces, scanTotal, `SELECT c.space_id, 0, 1 = 1, `+sums+` FROM monitor_uptime c WHERE c.day >= $1 AND c.day < $2`,
			` GROUP BY c.space_id`, int64(first), int64(end))
		if err != nil {
			return nil, err
		}
		for _, v := range whole {
			add(v.space, v.Spent, 1)
		}
	}
	for _, part := range edges(from, to, first, end) {
		if err := s.edge(ctx, spaces, part[0], part[1], next, pruned, add); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// edges are the parts of [from, to) that are not whole days from first to end.
func edges(from, to time.Time, first, end monitor.Day) (parts [][2]time.Time) {
	if first >= end {
		return [][2]time.Time{{from, to}}
	}
	if from.Before(first.Begin()) {
		parts = append(parts, [2]time.Time{from, first.Begin()})
	}
	if end.Begin().Before(to) {
		parts = append(parts, [2]time.Time{end.Begin(), to})
	}
	return parts
}

// edge sums up a part: by transitions, or where those are deleted as a share of its days.
func (s *Store) edge(ctx context.Context, spaces []odcm.SpaceID, from, to time.Time, next monitor.Day, pruned time.Time,
	add func(odcm.SpaceID, monitor.Spent, float64)) error {
	for from.Before(pruned) && from.Before(to) {
		day := monitor.DayAt(from)
		until := (day + 1).Begin()
		if to.Before(until) {
			until = to
		}
		rows, err := collect(ctx, s.db.Read(), spaces, scanTotal, `SELECT c.space_id, c.day, 1 = 1, c.online, c.draining, c.degraded, c.offline, c.maintenance,
			c.pings, c.slow, c.took, c.longest FROM monitor_uptime c WHERE c.day = $1`, ``, int64(day))
		if err != nil {
			return err
		}
		for _, v := range rows {
			add(v.space, v.Spent, float64(until.Sub(from))/float64(24*time.Hour))
		}
		from = until
	}
	if !from.Before(to) {
		return nil
	}
	parts, err := s.stretch(ctx, spaces, from, to, next)
	for id, v := range parts {
		if len(v.spent) > 0 {
			add(id, v.spent, 1)
		}
	}
	return err
}

// Prune implements [monitor.Store].
func (s *Store) Prune(ctx context.Context, before time.Time, days monitor.Day) error {
	next, _, err := s.rolled(ctx)
	if err != nil {
		return err
	}
	if whole := monitor.DayAt(before); whole > next {
		before = next.Begin() // what is not rolled up stays
	} else {
		before = whole.Begin()
	}
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM monitor_change WHERE at < $1
			AND at < (SELECT max(later.at) FROM monitor_change later WHERE later.space_id = monitor_change.space_id)`, db.Millis(before)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM monitor_uptime WHERE day < $1`, int64(days)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE monitor_roll SET pruned = $1 WHERE pruned < $1`, db.Millis(before))
		return err
	})
}
