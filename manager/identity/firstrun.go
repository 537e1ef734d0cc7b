package identity

import (
	"context"
	"crypto/rand"

	"odcm"
	"odcm/manager/identity/person"
	"odcm/manager/identity/session"
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

// Bootstrap makes the local administrator where the username is not taken, and tells how to sign in (nil where he was there
// already, whose password then stays as it is). The fixed API key follows the option at every start: set, replaced, or
// revoked where the option is gone. Replicas may do it at the same time.
func (s *Service) Bootstrap(ctx context.Context, f FirstRun) (_ *FirstLogin, err error) {
	defer odcm.Wrap(&err, "first administrator")
	if f.Username == "" {
		f.Username = "admin"
	}
	if f.APIKey != "" {
		if err := session.CheckFixedKey(f.APIKey); err != nil {
			return nil, err
		}
	}
	shown, key, err := person.ParseUsername(f.Username)
	if err != nil {
		return nil, err
	}
	var login *FirstLogin
	u, _, err := s.store.UserByKey(ctx, key)
	if odcm.KindOf(err) == odcm.NotFound {
		login = &FirstLogin{Username: shown}
		secret := f.Password
		if secret == "" {
			secret = rand.Text()
			login.Password = secret
		}
		u, err = s.Create(ctx, odcm.System, NewUser{Username: f.Username, DisplayName: "Administrator", Password: secret,
			Roles: []odcm.Role{odcm.Administrator}})
		if odcm.KindOf(err) == odcm.Exists { // another replica was first, and told its operator
			login = nil
			u, _, err = s.store.UserByKey(ctx, key)
		}
	}
	if err != nil {
		return nil, err
	}
	return login, s.issuer.FixedKey(ctx, u.ID, f.APIKey)
}
