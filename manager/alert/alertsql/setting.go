package alertsql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/alert"
	"odcm/manager/alert/desk"
	"odcm/manager/alert/receiver"
)

func scanSetting(r db.Row) (v desk.Setting, err error) {
	var ends int64
	err = r.Scan(&v.Kind, &v.ID, &v.Body, &ends, &v.Revision)
	v.Ends = db.Time(ends)
	return v, err
}

const settingColumns = `kind, id, body, ends, revision`

// Settings implements [desk.Store].
func (s *Store) Settings(ctx context.Context, kind string, f desk.SettingFilter) ([]desk.Setting, error) {
	query := `SELECT ` + settingColumns + ` FROM alert_setting WHERE kind = $1 AND id > $2`
	args := []any{kind, f.After, f.Limit}
	switch {
	case !f.EndsAfter.IsZero():
		query += ` AND (ends = 0 OR ends > $4)`
		args = append(args, db.Millis(f.EndsAfter))
	case !f.EndedBy.IsZero():
		query += ` AND ends > 0 AND ends <= $4`
		args = append(args, db.Millis(f.EndedBy))
	}
	return db.Collect(ctx, s.o.DB.Read(), scanSetting, query+` ORDER BY id LIMIT $3`, args...)
}

// Setting implements [desk.Store].
func (s *Store) Setting(ctx context.Context, kind, id string) (desk.Setting, error) {
	v, err := scanSetting(s.o.DB.Read().QueryRowContext(ctx, `SELECT `+settingColumns+` FROM alert_setting WHERE kind = $1 AND id = $2`, kind, id))
	if errors.Is(err, sql.ErrNoRows) {
		return v, missing(kind)
	}
	return v, err
}

func missing(kind string) error {
	return odcm.E(odcm.NotFound, "alert."+kind+"-not-found", "There is no such %s.", kind)
}

func changed(kind string) error {
	return odcm.E(odcm.Conflict, "alert."+kind+"-changed", "Somebody else changed the %s meanwhile: load it again.", kind)
}

// Save implements [desk.Store].
func (s *Store) Save(ctx context.Context, v desk.Setting, event odcm.Event) (desk.Setting, error) {
	err := s.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		if v.Revision == 0 {
			if _, err := tx.ExecContext(ctx, `INSERT INTO alert_setting (`+settingColumns+`) VALUES ($1, $2, $3, $4, 1)`,
				v.Kind, v.ID, v.Body, db.Millis(v.Ends)); err != nil {
				return err
			}
		} else if err := s.touch(ctx, tx, v.Kind, `UPDATE alert_setting SET body = $4, ends = $5, revision = revision + 1 WHERE kind = $1 AND id = $2 AND revision = $3`,
			v.Kind, v.ID, v.Revision, v.Body, db.Millis(v.Ends)); err != nil {
			return err
		}
		s.o.DB.AfterCommit(tx, func() { s.o.Bus.Publish("alert-setting/" + v.ID) })
		return s.o.Events.Append(ctx, tx, event)
	})
	v.Revision++
	return v, err
}

// touch runs a change that must meet its row.
func (s *Store) touch(ctx context.Context, tx *sql.Tx, kind, query string, args ...any) error {
	done, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 1 {
		return err
	}
	var one int
	if err := tx.QueryRowContext(ctx, `SELECT 1 FROM alert_setting WHERE kind = $1 AND id = $2`, args[0], args[1]).Scan(&one); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return missing(kind)
		}
		return err
	}
	return changed(kind)
}

// Delete implements [desk.Store].
func (s *Store) Delete(ctx context.Context, kind, id string, revision int64, event odcm.Event) error {
	return s.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		if err := s.touch(ctx, tx, kind, `DELETE FROM alert_setting WHERE kind = $1 AND id = $2 AND ($3 = 0 OR revision = $3)`, kind, id, revision); err != nil {
			return err
		}
		if kind == desk.KindReceiver {
			if _, err := tx.ExecContext(ctx, `UPDATE alert_delivery SET state = 'expired', error = 'The receiver was deleted.', finished = due
				WHERE receiver = $1 AND state IN ('queued', 'parked')`, id); err != nil {
				return err
			}
		}
		s.o.DB.AfterCommit(tx, func() { s.o.Bus.Publish("alert-setting/" + id) })
		return s.o.Events.Append(ctx, tx, event)
	})
}

// Config implements [watch.Store].
func (s *Store) Config(ctx context.Context, at time.Time) (c alert.Config, err error) {
	defer odcm.Wrap(&err, "read the settings of alerts")
	all, err := db.Collect(ctx, s.o.DB.Read(), scanSetting, `SELECT `+settingColumns+` FROM alert_setting WHERE ends = 0 OR ends > $1 ORDER BY kind, id`, db.Millis(at))
	if err != nil {
		return c, err
	}
	for _, v := range all {
		switch v.Kind {
		case desk.KindRule:
			err = decode(v, &c.Rules)
		case desk.KindSilence:
			err = decode(v, &c.Silences)
		case desk.KindWindow:
			err = decode(v, &c.Windows)
		case desk.KindReceiver:
			err = decode(v, &c.Receivers)
		}
		if err != nil {
			return c, err
		}
	}
	c.Acks = map[string]alert.Ack{}
	_, err = db.Collect(ctx, s.o.DB.Read(), func(r db.Row) (struct{}, error) {
		var id string
		var at int64
		var a alert.Ack
		err := r.Scan(&id, &a.By, &at, &a.Note)
		a.At = db.Time(at)
		c.Acks[id] = a
		return struct{}{}, err
	}, `SELECT id, acked_by, acked_at, ack_note FROM alert_incident WHERE phase <> 'resolved' AND acked_at > 0`)
	return c, err
}

func decode[T any](v desk.Setting, to *[]T) error {
	var one T
	if err := json.Unmarshal([]byte(v.Body), &one); err != nil {
		return fmt.Errorf("read %s %s: %w", v.Kind, v.ID, err)
	}
	*to = append(*to, one)
	return nil
}

// Receivers implements [watch.Store].
func (s *Store) Receivers(ctx context.Context) (map[string]receiver.Receiver, error) {
	all, err := db.Collect(ctx, s.o.DB.Read(), scanSetting, `SELECT `+settingColumns+` FROM alert_setting WHERE kind = 'receiver'`)
	if err != nil {
		return nil, err
	}
	known := make(map[string]receiver.Receiver, len(all))
	for _, v := range all {
		var one []receiver.Receiver
		if err := decode(v, &one); err != nil {
			return nil, err
		}
		known[v.ID] = one[0]
	}
	return known, nil
}
