// Package monitorsql keeps the health of Spaces and its history in SQLite or PostgreSQL, by one SQL text.
package monitorsql

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"io/fs"
	"slices"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/monitor"
)

//go:embed schema/*.sql
var schema embed.FS

// Events is the log into which a change's event goes, in the transaction of the change.
type Events interface {
	Append(ctx context.Context, tx *sql.Tx, events ...odcm.Event) error
}

// Store implements [monitor.Store].
type Store struct {
	db     *db.DB
	events Events
}

// New brings the tables to their newest schema.
func New(ctx context.Context, d *db.DB, events Events) (*Store, error) {
	steps, err := fs.Sub(schema, "schema")
	if err != nil {
		return nil, err
	}
	return &Store{db: d, events: events}, d.Migrate(ctx, "monitor", steps)
}

// chunk bounds the parameters of one statement; SQLite takes 32,766.
const chunk = 1000

const (
	columns = `space_id, status, reason, since, checked, detail`
	brief   = `space_id, status, reason, since, checked, ''`
)

type row struct {
	id     odcm.SpaceID
	health monitor.Health
	detail string
}

func scan(r db.Row) (v row, err error) {
	var since, checked int64
	if err := r.Scan(&v.id, &v.health.Status, &v.health.Reason, &since, &checked, &v.detail); err != nil {
		return v, err
	}
	v.health.Since, v.health.Checked = db.Time(since), db.Time(checked)
	if v.detail != "" {
		err = json.Unmarshal([]byte(v.detail), &v.health.Detail)
	}
	return v, err
}

func read(ctx context.Context, q db.Querier, ids []odcm.SpaceID, columns string) (map[odcm.SpaceID]row, error) {
	found := make(map[odcm.SpaceID]row, len(ids))
	for part := range slices.Chunk(ids, chunk) {
		rows, err := db.Collect(ctx, q, scan, `SELECT `+columns+` FROM monitor_status WHERE space_id IN `+db.In(1, len(part)), db.Args(part)...)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			found[r.id] = r
		}
	}
	return found, nil
}

// state is what an event tells of a status. Since is when it truly began: the event is committed a little later.
type state struct {
	Status monitor.Status `json:"status"`
	Reason string         `json:"reason,omitempty"`
	Since  time.Time      `json:"since,omitzero"`
}

func stateOf(h monitor.Health) state { return state{h.Status, h.Reason, h.Since} }

// Save implements [monitor.Store].
func (s *Store) Save(ctx context.Context, changes []monitor.Change) (different []monitor.Change, err error) {
	defer odcm.Wrap(&err, "save health of %d Spaces", len(changes))
	ids := make([]odcm.SpaceID, len(changes))
	for i, c := range changes {
		ids[i] = c.Space.ID
	}
	err = s.db.Tx(ctx, func(tx *sql.Tx) error {
		different = nil // the transaction may run again
		stored, err := read(ctx, tx, ids, columns)
		if err != nil {
			return err
		}
		var events []odcm.Event
		for _, c := range changes {
			detail, err := json.Marshal(c.Health.Detail)
			if err != nil {
				return err
			}
			was, known := stored[c.Space.ID]
			moved := !known || was.health.Status != c.Health.Status
			told := moved || was.health.Reason != c.Health.Reason
			if !told && was.detail == string(detail) {
				continue
			}
			if moved && known && !c.Health.Since.After(was.health.Since) { // by another clock, or by one that was set back
				c.Health.Since = was.health.Since.Add(time.Millisecond)
			}
			if c.Health.Checked.Before(c.Health.Since) {
				c.Health.Checked = c.Health.Since
			}
			different = append(different, c)
			stored[c.Space.ID] = row{c.Space.ID, c.Health, string(detail)}
			if err := put(ctx, tx, c, string(detail)); err != nil {
				return err
			}
			at := c.Health.Checked
			if moved {
				at = c.Health.Since
				events = append(events, odcm.NewEvent(odcm.System, "monitor.status-changed", string(c.Space.ID), c.Space.Name,
					stateOf(was.health), stateOf(c.Health)))
			}
			if !told {
				continue
			}
			if err := remember(ctx, tx, c.Space.ID, at, c.Health.Status, c.Health.Reason); err != nil {
				return err
			}
		}
		return s.events.Append(ctx, tx, events...)
	})
	return different, err
}

// late is how old a change may be before days that are rolled up are looked at: sums of a day are made an hour after its end.
const late = 30 * time.Minute

// remember makes a place in the history.
func remember(ctx context.Context, tx *sql.Tx, space odcm.SpaceID, at time.Time, status monitor.Status, reason string) error {
	if time.Since(at) > late {
		if _, err := tx.ExecContext(ctx, `UPDATE monitor_roll SET next = $1 WHERE next > $1`, int64(monitor.DayAt(at))); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO monitor_change (space_id, at, status, reason) VALUES ($1, $2, $3, $4)
		ON CONFLICT (space_id, at) DO UPDATE SET status = excluded.status, reason = excluded.reason`, space, db.Millis(at), status, reason)
	return err
}

func put(ctx context.Context, tx *sql.Tx, c monitor.Change, detail string) error {
	h := c.Health
	_, err := tx.ExecContext(ctx, `INSERT INTO monitor_status (`+columns+`) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (space_id) DO UPDATE SET status = excluded.status, reason = excluded.reason, since = excluded.since,
		checked = excluded.checked, detail = excluded.detail`,
		c.Space.ID, h.Status, h.Reason, db.Millis(h.Since), db.Millis(h.Checked), detail)
	return err
}

// Touch implements [monitor.Store].
func (s *Store) Touch(ctx context.Context, spaces []odcm.SpaceID, checked time.Time) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		for part := range slices.Chunk(spaces, chunk) {
			if _, err := tx.ExecContext(ctx, `UPDATE monitor_status SET checked = $1 WHERE checked < $1 AND space_id IN `+db.In(2, len(part)),
				append([]any{db.Millis(checked)}, db.Args(part)...)...); err != nil {
				return err
			}
		}
		return nil
	})
}

// Forget implements [monitor.Store].
func (s *Store) Forget(ctx context.Context, spaces []odcm.SpaceID, at time.Time) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		known, err := read(ctx, tx, spaces, brief)
		if err != nil {
			return err
		}
		for id, r := range known {
			end := at
			if !end.After(r.health.Since) {
				end = r.health.Since.Add(time.Millisecond)
			}
			if err := remember(ctx, tx, id, end, monitor.Unknown, "It is not watched any more."); err != nil {
				return err
			}
		}
		for part := range slices.Chunk(spaces, chunk) {
			if _, err := tx.ExecContext(ctx, `DELETE FROM monitor_status WHERE space_id IN `+db.In(1, len(part)), db.Args(part)...); err != nil {
				return err
			}
		}
		return nil
	})
}

// HealthOf implements [monitor.Store].
func (s *Store) HealthOf(ctx context.Context, spaces []odcm.SpaceID) (map[odcm.SpaceID]monitor.Health, error) {
	return s.healths(ctx, spaces, columns)
}

// Brief implements [monitor.Store].
func (s *Store) Brief(ctx context.Context, spaces []odcm.SpaceID) (map[odcm.SpaceID]monitor.Health, error) {
	return s.healths(ctx, spaces, brief)
}

func (s *Store) healths(ctx context.Context, spaces []odcm.SpaceID, columns string) (map[odcm.SpaceID]monitor.Health, error) {
	rows, err := read(ctx, s.db.Read(), spaces, columns)
	if err != nil {
		return nil, err
	}
	all := make(map[odcm.SpaceID]monitor.Health, len(rows))
	for id, r := range rows {
		all[id] = r.health
	}
	return all, nil
}

// All implements [monitor.Store].
func (s *Store) All(ctx context.Context) (map[odcm.SpaceID]monitor.Health, error) {
	all := map[odcm.SpaceID]monitor.Health{}
	_, err := db.Collect(ctx, s.db.Read(), func(r db.Row) (none struct{}, err error) { // thousands: not kept twice
		v, err := scan(r)
		all[v.id] = v.health
		return none, err
	}, `SELECT `+brief+` FROM monitor_status`)
	return all, err
}

// InStatus implements [monitor.Store].
func (s *Store) InStatus(ctx context.Context, statuses []monitor.Status) ([]odcm.SpaceID, error) {
	if len(statuses) == 0 {
		return nil, nil
	}
	return db.Collect(ctx, s.db.Read(), func(r db.Row) (id odcm.SpaceID, err error) { return id, r.Scan(&id) },
		`SELECT space_id FROM monitor_status WHERE status IN `+db.In(1, len(statuses))+` ORDER BY space_id`, db.Args(statuses)...)
}

// History implements [monitor.Store].
func (s *Store) History(ctx context.Context, space odcm.SpaceID, from, to time.Time, limit int) ([]monitor.Transition, error) {
	return db.Collect(ctx, s.db.Read(), func(r db.Row) (t monitor.Transition, err error) {
		var at int64
		err = r.Scan(&at, &t.Status, &t.Reason)
		t.Time = db.Time(at)
		return t, err
	}, `SELECT at, status, reason FROM monitor_change WHERE space_id = $1 AND at < $3
		AND at >= coalesce((SELECT max(at) FROM monitor_change WHERE space_id = $1 AND at < $2), 0) ORDER BY at LIMIT $4`,
		space, db.Millis(from), db.Millis(to), limit)
}
