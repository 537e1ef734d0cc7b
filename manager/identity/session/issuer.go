package session

import (
	"context"
	"time"

	"odcm"
	"odcm/manager/identity/person"
)

// Issuer starts sessions and makes API keys for whom it is told to. It asks no authorizer: only the rules that check who
// somebody is hold it.
type Issuer struct{ s *Service }

// Start starts a session of a user who proved by the method who he is.
func (i *Issuer) Start(ctx context.Context, u person.User, method string, from Client) (secret string, _ Session, err error) {
	secret, token := newSecret("")
	now := i.s.now()
	started := Session{ID: odcm.NewID[ID]("session"), User: u.ID, Method: method, Created: now, Seen: now,
		Expires: now.Add(i.s.life), Address: from.Address, UserAgent: person.Clip(from.UserAgent, 200)}
	e := odcm.NewEvent(u.Principal("session", from.Address), "identity.signed-in", string(u.ID), u.Username, nil,
		map[string]string{"method": method, "session": string(started.ID)})
	if err := i.s.store.CreateSession(ctx, started, token, e); err != nil {
		return "", Session{}, err
	}
	return secret, started, nil
}

// Of returns which of the user's sessions the secret is of; "" for none.
func (i *Issuer) Of(ctx context.Context, user odcm.UserID, secret string) ID {
	session, owner, err := i.s.store.SessionByToken(ctx, tokenOf(secret))
	if err != nil || owner.ID != user {
		return ""
	}
	return session.ID
}

// Key makes an API key of the principal, from what is validated already.
func (i *Issuer) Key(ctx context.Context, p odcm.Principal, n NewKey) (secret string, _ APIKey, err error) {
	secret, token := newSecret(KeyPrefix)
	k := APIKey{ID: odcm.NewID[KeyID]("apikey"), User: p.User, Prefix: shown(secret), Purpose: n.Purpose, Created: i.s.now(),
		Expires: n.Expires.UTC().Truncate(time.Millisecond)}
	if err := i.s.store.CreateKey(ctx, k, token, k.event(p, "identity.api-key-created")); err != nil {
		return "", APIKey{}, err
	}
	return secret, k, nil
}

// fixedKey is the identifier of the one API key that comes from the command line.
const fixedKey KeyID = "apikey-fixed"

// CheckFixedKey tells whether the secret may be an API key of the operator's own making: odcm.Invalid where not.
func CheckFixedKey(secret string) error {
	if !wellFormed(secret, "api-key") {
		return odcm.E(odcm.Invalid, "identity.api-key-invalid", "The administrator's API key must be %d to %d characters without spaces.", minKey, maxKey)
	}
	return nil
}

// FixedKey makes the secret the user's API key that follows the command line: set, replaced, or revoked where it is "".
// Replicas may do it at the same time.
func (i *Issuer) FixedKey(ctx context.Context, user odcm.UserID, secret string) error {
	if secret != "" {
		k, owner, err := i.s.store.KeyByToken(ctx, tokenOf(secret))
		if err == nil && k.ID == fixedKey && owner.ID == user {
			return nil
		}
	}
	gone := odcm.NewEvent(odcm.System, "identity.api-key-revoked", string(fixedKey), "set at start", nil, nil)
	if err := i.s.store.DeleteKey(ctx, "", fixedKey, gone); err != nil && odcm.KindOf(err) != odcm.NotFound {
		return err
	}
	if secret == "" {
		return nil
	}
	k := APIKey{ID: fixedKey, User: user, Prefix: person.Clip(secret, 6), Purpose: "set at start", Created: i.s.now()}
	err := i.s.store.CreateKey(ctx, k, tokenOf(secret), k.event(odcm.System, "identity.api-key-created"))
	if odcm.KindOf(err) == odcm.Exists {
		return nil // another replica was first
	}
	return err
}
