package ssosql

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/sso/point"
)

// Sealer encrypts what must not lie readable in the database. kit/seal.Sealer is one.
type Sealer interface {
	Seal(plain []byte, ad string) (string, error)
	Open(sealed, ad string) ([]byte, error)
}

// Pointings is an [point.Store] on a database.
type Pointings struct {
	db     *db.DB
	events Events
	sealer Sealer
}

var _ point.Store = (*Pointings)(nil)

//go:embed pointschema/*.sql
var pointSchema embed.FS

// NewPointings makes or updates the table and returns the store.
func NewPointings(ctx context.Context, d *db.DB, events Events, sealer Sealer) (*Pointings, error) {
	steps, err := fs.Sub(pointSchema, "pointschema")
	if err != nil {
		return nil, err
	}
	return &Pointings{d, events, sealer}, d.Migrate(ctx, "sso_pointing", steps)
}

func secretPlace(id odcm.InstanceID) string   { return "sso_pointing/" + string(id) + "/secret" }
func previousPlace(id odcm.InstanceID) string { return "sso_pointing/" + string(id) + "/previous" }

// Pointing implements [point.Store].
func (s *Pointings) Pointing(ctx context.Context, id odcm.InstanceID) (p point.Pointing, err error) {
	defer odcm.Wrap(&err, "read pointing of %s", id)
	return s.read(ctx, "instance_id = $1", id)
}

// PointingOf implements [point.Store].
func (s *Pointings) PointingOf(ctx context.Context, probe string) (p point.Pointing, err error) {
	defer odcm.Wrap(&err, "read pointing of a probe")
	if probe == "" {
		return p, notPointed()
	}
	return s.read(ctx, "probe = $1", probe)
}

func notPointed() error {
	return odcm.E(odcm.NotFound, "sso.not-pointed", "The server is not pointed at ODCM.")
}

func (s *Pointings) read(ctx context.Context, where string, arg any) (p point.Pointing, err error) {
	var id odcm.InstanceID
	var said, secret, previous string
	err = s.db.Read().QueryRowContext(ctx, "SELECT instance_id, said, secret, previous FROM sso_pointing WHERE "+where, arg).Scan(&id, &said, &secret, &previous)
	if errors.Is(err, sql.ErrNoRows) {
		return p, notPointed()
	}
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal([]byte(said), &p); err != nil {
		return p, err
	}
	opened, err := s.sealer.Open(secret, secretPlace(id))
	if err != nil {
		return p, err
	}
	before, err := s.sealer.Open(previous, previousPlace(id))
	if err != nil {
		return p, err
	}
	p.Secret = string(opened)
	return p, json.Unmarshal(before, &p.Previous)
}

// SavePointing implements [point.Store].
func (s *Pointings) SavePointing(ctx context.Context, p point.Pointing, events ...odcm.Event) (err error) {
	defer odcm.Wrap(&err, "save pointing of %s", p.Instance)
	secret, err := s.sealer.Seal([]byte(p.Secret), secretPlace(p.Instance))
	if err != nil {
		return err
	}
	before, err := json.Marshal(p.Previous)
	if err != nil {
		return err
	}
	previous, err := s.sealer.Seal(before, previousPlace(p.Instance))
	if err != nil {
		return err
	}
	p.Secret, p.Previous = "", nil
	said, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO sso_pointing (instance_id, probe, said, secret, previous) VALUES ($1,$2,$3,$4,$5)
			ON CONFLICT (instance_id) DO UPDATE SET probe = excluded.probe, said = excluded.said, secret = excluded.secret, previous = excluded.previous`,
			p.Instance, p.Probe, string(said), secret, previous)
		return errors.Join(err, s.append(ctx, tx, events))
	})
}

// DropPointing implements [point.Store].
func (s *Pointings) DropPointing(ctx context.Context, id odcm.InstanceID, events ...odcm.Event) (err error) {
	defer odcm.Wrap(&err, "drop pointing of %s", id)
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM sso_pointing WHERE instance_id = $1", id)
		return errors.Join(err, s.append(ctx, tx, events))
	})
}

func (s *Pointings) append(ctx context.Context, tx *sql.Tx, events []odcm.Event) error {
	if len(events) == 0 {
		return nil
	}
	return s.events.Append(ctx, tx, events...)
}
