package fleetsql

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/fleet"
)

// Authority keeps the given one where there is none yet: of replicas that start together, one wins.
func (s *Store) Authority(ctx context.Context, a fleet.Authority) (kept fleet.Authority, err error) {
	err = s.d.Tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO fleet_authority (one, certificate, sealed_key, created_at) VALUES (1, $1, $2, $3)
			ON CONFLICT (one) DO NOTHING`, base64.StdEncoding.EncodeToString(a.Certificate), a.SealedKey, db.Millis(a.Created)); err != nil {
			return err
		}
		kept, err = authority(ctx, tx)
		return err
	})
	return kept, err
}

// KeptAuthority returns the kept one, or NotFound.
func (s *Store) KeptAuthority(ctx context.Context) (fleet.Authority, error) {
	return authority(ctx, s.d.Read())
}

func authority(ctx context.Context, q db.Querier) (a fleet.Authority, err error) {
	var certificate string
	var created int64
	err = q.QueryRowContext(ctx, `SELECT certificate, sealed_key, created_at FROM fleet_authority WHERE one = 1`).Scan(&certificate, &a.SealedKey, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return a, odcm.E(odcm.NotFound, "fleet.authority-unknown", "The fleet has no certificate authority yet.")
	}
	if err != nil {
		return a, err
	}
	a.Created = db.Time(created)
	a.Certificate, err = base64.StdEncoding.DecodeString(certificate)
	return a, err
}

// CreateToken keeps the token, and forgets those that nobody can use any more.
func (s *Store) CreateToken(ctx context.Context, t fleet.Token, e odcm.Event) error {
	return s.d.Tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM fleet_token WHERE expires_at < $1`, db.Millis(t.Created)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO fleet_token (hash, note, created_at, expires_at) VALUES ($1, $2, $3, $4)`,
			t.Hash, t.Note, db.Millis(t.Created), db.Millis(t.Expires)); err != nil {
			return err
		}
		return s.events.Append(ctx, tx, e)
	})
}

// Enrol lets f decide about the token and commits the server that it makes.
func (s *Store) Enrol(ctx context.Context, hash string, f func(fleet.Token) (fleet.Enrolment, error)) (enrolled fleet.Server, err error) {
	err = s.d.Tx(ctx, func(tx *sql.Tx) error {
		// The row is taken by a write that changes nothing, so that two machines with one token take turns on PostgreSQL too.
		var t fleet.Token
		var created, expires, used int64
		row := tx.QueryRowContext(ctx, `UPDATE fleet_token SET note = note WHERE hash = $1
			RETURNING hash, note, created_at, expires_at, used_at, key, server_id`, hash)
		if err := row.Scan(&t.Hash, &t.Note, &created, &expires, &used, &t.Key, &t.Server); errors.Is(err, sql.ErrNoRows) {
			return odcm.E(odcm.NotFound, "fleet.token-unknown", "There is no such token.")
		} else if err != nil {
			return err
		}
		t.Created, t.Expires, t.Used = db.Time(created), db.Time(expires), db.Time(used)
		decided, err := f(t)
		if err != nil {
			return err
		}
		if enrolled = decided.Server; decided.Again {
			enrolled, err = server(ctx, tx, enrolled.ID)
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE fleet_token SET used_at = $2, key = $3, server_id = $4 WHERE hash = $1`,
			hash, db.Millis(enrolled.Enrolled), enrolled.Key, string(enrolled.ID)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO fleet_server (id, name, key, agent_version, enrolled_at, desired_revision, revision)
			VALUES ($1, $2, $3, $4, $5, $6, $7)`, string(enrolled.ID), enrolled.Name, enrolled.Key, enrolled.AgentVersion,
			db.Millis(enrolled.Enrolled), enrolled.DesiredRevision, enrolled.Revision); err != nil {
			return err
		}
		return s.events.Append(ctx, tx, decided.Event)
	})
	return enrolled, err
}
