package ssosql

import (
	"context"
	"database/sql"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/sso/ssokey"
)

// Keys implements [ssokey.Store].
func (s *Store) Keys(ctx context.Context) ([]ssokey.Row, error) {
	return db.Collect(ctx, s.db.Read(), func(r db.Row) (k ssokey.Row, err error) {
		var created, starts int64
		err = r.Scan(&k.ID, &k.Algorithm, &k.Generation, &k.Sealed, &k.Certificate, &created, &starts)
		k.Created, k.Starts = db.Time(created), db.Time(starts)
		return k, err
	}, `SELECT id, algorithm, generation, sealed, certificate, created, starts FROM sso_key ORDER BY algorithm, generation`)
}

// AddKey implements [ssokey.Store].
func (s *Store) AddKey(ctx context.Context, k ssokey.Row, e odcm.Event) error {
	return s.change(ctx, e, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `INSERT INTO sso_key (id, algorithm, generation, sealed, certificate, created, starts) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (algorithm, generation) DO NOTHING`, k.ID, string(k.Algorithm), k.Generation, k.Sealed, k.Certificate, db.Millis(k.Created), db.Millis(k.Starts))
		return touched(res, err, odcm.E(odcm.Exists, "sso.key-exists", "Another replica made the key."))
	})
}

// DeleteKeys implements [ssokey.Store].
func (s *Store) DeleteKeys(ctx context.Context, ids []string) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM sso_key WHERE id IN `+db.In(1, len(ids)), db.Args(ids)...)
		return err
	})
}
