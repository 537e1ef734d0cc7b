package session

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"odcm"
	"odcm/manager/identity/person"
)

// KeyID identifies an API key in lists; it lets nobody in.
type KeyID string

// APIKey is a secret with which a program acts as its user.
type APIKey struct {
	ID      KeyID
	User    odcm.UserID
	Prefix  string // the secret's first characters, to recognise it by
	Purpose string
	Created time.Time
	Expires time.Time // zero: never
	Used    time.Time // at most a minute old; zero: never
}

// KeyPrefix starts every API key that ODCM makes, so that scanners for leaked secrets know one when they see it.
const KeyPrefix = "odcm_"

const maxPurpose = 200

// NewKey is what an API key is made from. With a zero Expires it never expires.
type NewKey struct {
	Purpose string
	Expires time.Time
}

// Validate makes what was asked for fit to be kept.
func (n *NewKey) Validate(now time.Time) error {
	n.Purpose = strings.TrimSpace(n.Purpose)
	switch {
	case n.Purpose == "" || utf8.RuneCountInString(n.Purpose) > maxPurpose || !utf8.ValidString(n.Purpose):
		return odcm.E(odcm.Invalid, "identity.purpose-invalid", "Say what the key is for, in at most %d characters.", maxPurpose).OnField("purpose")
	case !n.Expires.IsZero() && !n.Expires.After(now):
		return odcm.E(odcm.Invalid, "identity.expiry-invalid", "The key would have expired already: choose a later time.").OnField("expires")
	}
	return nil
}

// CreateKey makes an API key of the principal's own. The secret is returned here and never again.
func (s *Service) CreateKey(ctx context.Context, p odcm.Principal, n NewKey) (secret string, _ APIKey, err error) {
	defer odcm.Wrap(&err, "create API key")
	if err := s.auth.Authorize(ctx, p, "apikey.create", string(p.User)); err != nil {
		return "", APIKey{}, err
	}
	if err := n.Validate(s.now()); err != nil {
		return "", APIKey{}, err
	}
	return (&Issuer{s}).Key(ctx, p, n)
}

// shown is the part of a key that people may see: enough to tell one from another.
func shown(secret string) string {
	return person.Clip(secret, len(KeyPrefix)+6)
}

func (k APIKey) event(p odcm.Principal, typ string) odcm.Event {
	about := map[string]any{"key": k.ID, "prefix": k.Prefix, "purpose": k.Purpose}
	if !k.Expires.IsZero() {
		about["expires"] = k.Expires
	}
	return odcm.NewEvent(p, typ, string(k.ID), k.Purpose, nil, about)
}

// Keys returns the principal's own API keys, expired ones too, newest first, older than before unless that is "".
func (s *Service) Keys(ctx context.Context, p odcm.Principal, before KeyID, limit int) (_ []APIKey, err error) {
	defer odcm.Wrap(&err, "list API keys")
	if err := s.auth.Authorize(ctx, p, "apikey.list", string(p.User)); err != nil {
		return nil, err
	}
	return s.store.Keys(ctx, p.User, before, limit)
}

// DeleteKey revokes one of the principal's own API keys (odcm.NotFound where it is not his).
func (s *Service) DeleteKey(ctx context.Context, p odcm.Principal, id KeyID) (err error) {
	defer odcm.Wrap(&err, "delete API key %s", id)
	if err := s.auth.Authorize(ctx, p, "apikey.delete", string(p.User)); err != nil {
		return err
	}
	e := odcm.NewEvent(p, "identity.api-key-revoked", string(id), "", map[string]any{"key": id}, nil)
	if err := s.store.DeleteKey(ctx, p.User, id, e); err != nil {
		return err
	}
	s.Forget(p.User)
	return nil
}
