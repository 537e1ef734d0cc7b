package ssosql

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/sso"
	"odcm/manager/sso/grant"
)

// settings are what is neither looked for nor secret.
type settings struct {
	Kind           sso.Kind      `json:"kind"`
	RedirectURIs   []string      `json:"redirectUris,omitempty"`
	PostLogoutURIs []string      `json:"postLogoutUris,omitempty"`
	LogoutURI      string        `json:"logoutUri,omitempty"`
	Algorithm      sso.Algorithm `json:"algorithm"`
	Auth           sso.Auth      `json:"auth"`
	Keys           string        `json:"keys,omitempty"`
	PlainHTTP      bool          `json:"plainHttp,omitempty"`
	Front          bool          `json:"front,omitempty"`
	Device         bool          `json:"device,omitempty"`
	Consent        bool          `json:"consent,omitempty"`
	Disabled       bool          `json:"disabled,omitempty"`
}

func settingsOf(p sso.Party) (string, error) {
	b, err := json.Marshal(settings{p.Kind, p.RedirectURIs, p.PostLogoutURIs, p.LogoutURI, p.Algorithm, p.Auth, p.Keys, p.PlainHTTP, p.Front, p.Device, p.Consent, p.Disabled})
	return string(b), err
}

const partyColumns = "id, COALESCE(instance, ''), name, settings, secret, old_secret, secret_made, old_secret_until, created, revision"

type kept struct {
	sso.Party
	sso.Secrets
}

func scanParty(r db.Row) (k kept, err error) {
	var text string
	var made, until, created int64
	if err := r.Scan(&k.ID, &k.Instance, &k.Name, &text, &k.Current, &k.Old, &made, &until, &created, &k.Revision); err != nil {
		return k, err
	}
	var v settings
	err = json.Unmarshal([]byte(text), &v)
	k.SecretMade, k.OldSecretUntil, k.Created = db.Time(made), db.Time(until), db.Time(created)
	k.Kind, k.RedirectURIs, k.PostLogoutURIs, k.LogoutURI, k.Algorithm, k.Auth, k.Keys = v.Kind, v.RedirectURIs, v.PostLogoutURIs, v.LogoutURI, v.Algorithm, v.Auth, v.Keys
	k.PlainHTTP, k.Front, k.Device, k.Consent, k.Disabled = v.PlainHTTP, v.Front, v.Device, v.Consent, v.Disabled
	return k, err
}

func noParty() error {
	return odcm.E(odcm.NotFound, "party.unknown", "There is no such relying party.")
}

// CreateParty implements [sso.PartyStore].
func (s *Store) CreateParty(ctx context.Context, p sso.Party, secrets sso.Secrets, e odcm.Event) error {
	text, err := settingsOf(p)
	if err != nil {
		return err
	}
	return s.change(ctx, e, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO sso_party (id, instance, name, settings, secret, old_secret, secret_made, old_secret_until, created, revision)
VALUES ($1, $2, $3, $4, $5, '', $6, 0, $7, 1)`, string(p.ID), sql.NullString{String: string(p.Instance), Valid: p.Instance != ""}, p.Name, text, secrets.Current,
			db.Millis(p.SecretMade), db.Millis(p.Created))
		if db.IsUnique(err) {
			return odcm.E(odcm.Exists, "party.exists", "The server has a relying party already.").Because(err)
		}
		return err
	})
}

// UpdateParty implements [sso.PartyStore].
func (s *Store) UpdateParty(ctx context.Context, p sso.Party, e odcm.Event) error {
	text, err := settingsOf(p)
	if err != nil {
		return err
	}
	return s.change(ctx, e, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE sso_party SET name = $1, settings = $2, revision = revision + 1 WHERE id = $3 AND revision = $4`,
			p.Name, text, string(p.ID), p.Revision)
		return touched(res, err, odcm.E(odcm.Conflict, "party.changed", "Somebody else changed the relying party: load it again."))
	})
}

// SetSecret implements [sso.PartyStore].
func (s *Store) SetSecret(ctx context.Context, id sso.PartyID, hash string, made, oldUntil time.Time, e odcm.Event) error {
	return s.change(ctx, e, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE sso_party SET old_secret = secret, old_secret_until = CASE WHEN secret = '' THEN 0 ELSE CAST($1 AS BIGINT) END, secret = $2,
secret_made = $3, revision = revision + 1 WHERE id = $4`, db.Millis(oldUntil), hash, db.Millis(made), string(id))
		return touched(res, err, noParty())
	})
}

// DeleteParty implements [sso.PartyStore].
func (s *Store) DeleteParty(ctx context.Context, id sso.PartyID, e odcm.Event) error {
	return s.change(ctx, e, func(tx *sql.Tx) error {
		for _, table := range []string{"sso_grant", "sso_logout"} {
			if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE party = $1`, string(id)); err != nil {
				return err
			}
		}
		res, err := tx.ExecContext(ctx, `DELETE FROM sso_party WHERE id = $1`, string(id))
		return touched(res, err, noParty())
	})
}

// Party implements [sso.PartyStore].
func (s *Store) Party(ctx context.Context, id sso.PartyID) (sso.Party, sso.Secrets, error) {
	k, err := scanParty(s.db.Read().QueryRowContext(ctx, `SELECT `+partyColumns+` FROM sso_party WHERE id = $1`, string(id)))
	return k.Party, k.Secrets, one(err, noParty())
}

// PartyOf implements [sso.PartyStore].
func (s *Store) PartyOf(ctx context.Context, instance odcm.InstanceID) (sso.Party, error) {
	k, err := scanParty(s.db.Read().QueryRowContext(ctx, `SELECT `+partyColumns+` FROM sso_party WHERE instance = $1`, string(instance)))
	return k.Party, one(err, noParty())
}

// Parties implements [sso.PartyStore].
func (s *Store) Parties(ctx context.Context, after sso.PartyID, limit int) ([]sso.Party, error) {
	return db.Collect(ctx, s.db.Read(), func(r db.Row) (sso.Party, error) {
		k, err := scanParty(r)
		return k.Party, err
	}, `SELECT `+partyColumns+` FROM sso_party WHERE id > $1 ORDER BY id LIMIT $2`, string(after), limit)
}

// Consent implements [grant.Store].
func (s *Store) Consent(ctx context.Context, user odcm.UserID, party sso.PartyID) (grant.Consent, error) {
	c, err := scanConsent(s.db.Read().QueryRowContext(ctx, `SELECT user_id, party, scopes, given FROM sso_consent WHERE user_id = $1 AND party = $2`, string(user), string(party)))
	return c, one(err, odcm.E(odcm.NotFound, "sso.no-consent", "Nothing was allowed."))
}

func scanConsent(r db.Row) (c grant.Consent, err error) {
	var given int64
	err = r.Scan(&c.User, &c.Party, &c.Scopes, &given)
	c.Given = db.Time(given)
	return c, err
}

// Consents implements [grant.Store].
func (s *Store) Consents(ctx context.Context, user odcm.UserID) ([]grant.Consent, error) {
	return db.Collect(ctx, s.db.Read(), scanConsent, `SELECT user_id, party, scopes, given FROM sso_consent WHERE user_id = $1 ORDER BY party`, string(user))
}

// SaveConsent implements [grant.Store]; without scopes it takes the consent back.
func (s *Store) SaveConsent(ctx context.Context, c grant.Consent, e odcm.Event) error {
	return s.change(ctx, e, func(tx *sql.Tx) error {
		if c.Scopes == "" {
			_, err := tx.ExecContext(ctx, `DELETE FROM sso_consent WHERE user_id = $1 AND party = $2`, string(c.User), string(c.Party))
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO sso_consent (user_id, party, scopes, given) VALUES ($1, $2, $3, $4)
ON CONFLICT (user_id, party) DO UPDATE SET scopes = excluded.scopes, given = excluded.given`, string(c.User), string(c.Party), c.Scopes, db.Millis(c.Given))
		return err
	})
}
