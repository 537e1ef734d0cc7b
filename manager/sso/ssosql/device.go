package ssosql

import (
	"context"
	"database/sql"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/sso/device"
)

const deviceColumns = "id, user_code, party, scopes, created, expires, polled, interval_ms, state, user_id, authenticated, method, session"

func scanDevice(r db.Row) (d device.Device, err error) {
	var created, expires, polled, interval, authenticated int64
	err = r.Scan(&d.ID, &d.UserCode, &d.Party, &d.Scopes, &created, &expires, &polled, &interval, &d.State, &d.User, &authenticated, &d.Method, &d.Session)
	d.Created, d.Expires, d.Polled, d.Authenticated = db.Time(created), db.Time(expires), db.Time(polled), db.Time(authenticated)
	d.Interval = time.Duration(interval) * time.Millisecond
	return d, err
}

func noDevice() error {
	return odcm.E(odcm.NotFound, "sso.device-unknown", "There is no such device, or not any more.")
}

// CreateDevice implements [device.Store].
func (s *Store) CreateDevice(ctx context.Context, d device.Device) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO sso_device (`+deviceColumns+`) VALUES `+db.In(1, 13), d.ID, d.UserCode, string(d.Party), d.Scopes, db.Millis(d.Created),
			db.Millis(d.Expires), db.Millis(d.Polled), d.Interval.Milliseconds(), d.State, string(d.User), db.Millis(d.Authenticated), d.Method, d.Session)
		if db.IsUnique(err) {
			return odcm.E(odcm.Unavailable, "sso.device-taken", "The code is taken: ask again.").Because(err)
		}
		return err
	})
}

// Device implements [device.Store].
func (s *Store) Device(ctx context.Context, id string) (device.Device, error) {
	d, err := scanDevice(s.db.Read().QueryRowContext(ctx, `SELECT `+deviceColumns+` FROM sso_device WHERE id = $1`, id))
	return d, one(err, noDevice())
}

// DeviceByCode implements [device.Store].
func (s *Store) DeviceByCode(ctx context.Context, userCode string, at time.Time) (device.Device, error) {
	d, err := scanDevice(s.db.Read().QueryRowContext(ctx, `SELECT `+deviceColumns+` FROM sso_device WHERE user_code = $1 AND expires > $2`, userCode, db.Millis(at)))
	return d, one(err, noDevice())
}

// DecideDevice implements [device.Store].
func (s *Store) DecideDevice(ctx context.Context, d device.Device, e odcm.Event) error {
	return s.change(ctx, e, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE sso_device SET state = $1, user_id = $2, authenticated = $3, method = $4, session = $5 WHERE id = $6 AND state = 'pending'`,
			d.State, string(d.User), db.Millis(d.Authenticated), d.Method, d.Session, d.ID)
		return touched(res, err, odcm.E(odcm.Conflict, "sso.device-decided", "Somebody has answered this device already."))
	})
}

// PollDevice implements [device.Store].
func (s *Store) PollDevice(ctx context.Context, id string, polled time.Time, interval time.Duration) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE sso_device SET polled = $1, interval_ms = $2 WHERE id = $3`, db.Millis(polled), interval.Milliseconds(), id)
		return err
	})
}

// TakeDevice implements [device.Store].
func (s *Store) TakeDevice(ctx context.Context, id string) (taken bool, err error) {
	err = s.db.Tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE sso_device SET state = 'used' WHERE id = $1 AND state = 'approved'`, id)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		taken = n == 1
		return err
	})
	return taken, err
}
