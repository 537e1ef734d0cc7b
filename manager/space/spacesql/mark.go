package spacesql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/space"
)

// Star implements [space.Marks].
func (s *Store) Star(ctx context.Context, user odcm.UserID, id odcm.SpaceID, on bool) error {
	query := `DELETE FROM space_star WHERE user_id = $1 AND space_id = $2`
	if on {
		query = `INSERT INTO space_star (user_id, space_id) SELECT $1, id FROM space WHERE id = $2 ON CONFLICT DO NOTHING`
	}
	_, err := s.db.Write().ExecContext(ctx, query, user, id)
	return err
}

// Starred implements [space.Marks].
func (s *Store) Starred(ctx context.Context, user odcm.UserID, id odcm.SpaceID) (bool, error) {
	n, err := s.count(ctx, `SELECT count(*) FROM space_star WHERE user_id = $1 AND space_id = $2`, user, id)
	return n > 0, err
}

// Visit implements [space.Marks].
func (s *Store) Visit(ctx context.Context, user odcm.UserID, id odcm.SpaceID, at time.Time) error {
	_, err := s.db.Write().ExecContext(ctx, `INSERT INTO space_visit (user_id, space_id, visited) SELECT $1, id, CAST($2 AS BIGINT) FROM space WHERE id = $3
		ON CONFLICT (user_id, space_id) DO UPDATE SET visited = excluded.visited`, user, db.Millis(at), id)
	return err
}

// Hook implements [space.Hooks].
func (s *Store) Hook(ctx context.Context, id odcm.SpaceID) (h space.Hook, err error) {
	defer odcm.Wrap(&err, "read hook of %s", id)
	var secret, previous string
	var checked, applied, drifted int64
	err = s.db.Read().QueryRowContext(ctx, `SELECT space_id, subscription, secret, previous, url, state, reason, checked, applied, drift, drifted, repairs
		FROM space_hook WHERE space_id = $1`, id).Scan(&h.Space, &h.Subscription, &secret, &previous, &h.URL, &h.State, &h.Reason,
		&checked, &applied, &h.Drift, &drifted, &h.Repairs)
	if errors.Is(err, sql.ErrNoRows) {
		return h, odcm.E(odcm.NotFound, "space.hook-not-found", "The Space has no webhook.")
	}
	if err != nil {
		return h, err
	}
	h.Checked, h.Applied, h.Drifted = db.Time(checked), db.Time(applied), db.Time(drifted)
	plain, err := s.sealer.Open(secret, secretOf(id))
	if err != nil {
		return h, err
	}
	h.Secret = space.Secret(plain)
	if previous != "" {
		h.Previous, err = s.sealer.Open(previous, previousOf(id))
	}
	return h, err
}

// SaveHook implements [space.Hooks].
func (s *Store) SaveHook(ctx context.Context, h space.Hook) (err error) {
	defer odcm.Wrap(&err, "save hook of %s", h.Space)
	secret, err := s.sealer.Seal([]byte(h.Secret), secretOf(h.Space))
	if err != nil {
		return err
	}
	previous := ""
	if h.Previous != nil {
		if previous, err = s.sealer.Seal(h.Previous, previousOf(h.Space)); err != nil {
			return err
		}
	}
	_, err = s.db.Write().ExecContext(ctx, `INSERT INTO space_hook (space_id, subscription, secret, previous, url, state, reason, checked, applied, drift, drifted, repairs)
		SELECT id, $2, $3, $4, $5, $6, $7, CAST($8 AS BIGINT), CAST($9 AS BIGINT), $10, CAST($11 AS BIGINT), CAST($12 AS BIGINT) FROM space WHERE id = $1
		ON CONFLICT (space_id) DO UPDATE SET subscription = excluded.subscription, secret = excluded.secret, previous = excluded.previous,
			url = excluded.url, state = excluded.state, reason = excluded.reason, checked = excluded.checked, applied = excluded.applied,
			drift = excluded.drift, drifted = excluded.drifted, repairs = excluded.repairs`,
		h.Space, h.Subscription, secret, previous, h.URL, h.State, h.Reason, db.Millis(h.Checked), db.Millis(h.Applied), h.Drift, db.Millis(h.Drifted), h.Repairs)
	return err
}

// sealedConnection is a connection in the form that is sealed: here, and only here, the key is written out.
type sealedConnection struct {
	URL string    `json:"url"`
	Key string    `json:"key"`
	TLS space.TLS `json:"tls"`
}

// SaveDraft implements [space.Drafts].
func (s *Store) SaveDraft(ctx context.Context, d space.Draft) (err error) {
	defer odcm.Wrap(&err, "save draft")
	plain, err := json.Marshal(sealedConnection{d.Connection.URL, string(d.Connection.APIKey), d.Connection.TLS})
	if err != nil {
		return err
	}
	sealed, err := s.sealer.Seal(plain, connectionOf(d.ID))
	if err != nil {
		return err
	}
	_, err = s.db.Write().ExecContext(ctx, `INSERT INTO space_draft (id, owner, sealed, expires) VALUES ($1,$2,$3,$4)`,
		d.ID, d.Owner, sealed, db.Millis(d.Expires))
	return err
}

// Draft implements [space.Drafts].
func (s *Store) Draft(ctx context.Context, id string, owner odcm.UserID, now time.Time) (d space.Draft, err error) {
	defer odcm.Wrap(&err, "read draft")
	var sealed string
	var expires int64
	err = s.db.Read().QueryRowContext(ctx, `SELECT id, owner, sealed, expires FROM space_draft WHERE id = $1 AND owner = $2 AND expires > $3`,
		id, owner, db.Millis(now)).Scan(&d.ID, &d.Owner, &sealed, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return d, odcm.E(odcm.NotFound, "space.draft-not-found", "What you had typed in is no longer kept: begin again with URL and API key.")
	}
	if err != nil {
		return d, err
	}
	plain, err := s.sealer.Open(sealed, connectionOf(d.ID))
	if err != nil {
		return d, err
	}
	var c sealedConnection
	err = json.Unmarshal(plain, &c)
	d.Connection, d.Expires = space.Connection{URL: c.URL, APIKey: space.Secret(c.Key), TLS: c.TLS}, db.Time(expires)
	return d, err
}

// DropDraft implements [space.Drafts].
func (s *Store) DropDraft(ctx context.Context, id string, owner odcm.UserID, now time.Time) error {
	_, err := s.db.Write().ExecContext(ctx, `DELETE FROM space_draft WHERE id = $1 AND owner = $2 OR expires <= $3`, id, owner, db.Millis(now))
	return err
}
