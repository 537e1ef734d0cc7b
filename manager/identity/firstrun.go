package identity

import (
	"context"
	"crypto/rand"

	"odcm"
)

// FirstRun is what the command line says about the local administrator.
type FirstRun struct {
	Username string // "admin" if empty
	Password string // made at random if empty
	APIKey   string // a fixed API key of the administrator; none if empty
}

// FirstLogin is what to tell the operator, once.
type FirstLogin struct {
	Username string
	Password string // only where it was made here
}

// fixedKey is the identifier of the one API key that comes from the command line.
const fixedKey KeyID = "apikey-fixed"

// Bootstrap makes the local administrator where the username is not taken, and tells how to sign in (nil where he was there
// already, whose password then stays as it is). The fixed API key follows the option at every start: set, replaced, or
// revoked where the option is gone. Replicas may do it at the same time.
func (s *Service) Bootstrap(ctx context.Context, f FirstRun) (_ *FirstLogin, err error) {
	defer odcm.Wrap(&err, "first administrator")
	if f.Username == "" {
		f.Username = "admin"
	}
	if f.APIKey != "" && !wellFormed(f.APIKey, "api-key") {
		return nil, odcm.E(odcm.Invalid, "identity.api-key-invalid", "The administrator's API key must be %d to %d characters without spaces.", minKey, maxKey)
	}
	shown, key, err := ParseUsername(f.Username)
	if err != nil {
		return nil, err
	}
	var login *FirstLogin
	u, _, err := s.store.UserByKey(ctx, key)
	if odcm.KindOf(err) == odcm.NotFound {
		login = &FirstLogin{Username: shown}
		password := f.Password
		if password == "" {
			password = rand.Text()
			login.Password = password
		}
		u, err = s.Create(ctx, odcm.System, NewUser{Username: f.Username, DisplayName: "Administrator", Password: password,
			Roles: []odcm.Role{odcm.Administrator}})
		if odcm.KindOf(err) == odcm.Exists { // another replica was first, and told its operator
			login = nil
			u, _, err = s.store.UserByKey(ctx, key)
		}
	}
	if err != nil {
		return nil, err
	}
	return login, s.setFixedKey(ctx, u, f.APIKey)
}

func (s *Service) setFixedKey(ctx context.Context, u User, secret string) error {
	if secret != "" {
		k, owner, err := s.store.KeyByToken(ctx, tokenOf(secret))
		if err == nil && k.ID == fixedKey && owner.ID == u.ID {
			return nil
		}
	}
	gone := odcm.NewEvent(odcm.System, "identity.api-key-revoked", string(fixedKey), "set at start", nil, nil)
	if err := s.store.DeleteKey(ctx, "", fixedKey, gone); err != nil && odcm.KindOf(err) != odcm.NotFound {
		return err
	}
	if secret == "" {
		return nil
	}
	k := APIKey{ID: fixedKey, User: u.ID, Prefix: clip(secret, 6), Purpose: "set at start", Created: s.now()}
	err := s.store.CreateKey(ctx, k, tokenOf(secret), k.event(odcm.System, "identity.api-key-created"))
	if odcm.KindOf(err) == odcm.Exists {
		return nil // another replica was first
	}
	return err
}
