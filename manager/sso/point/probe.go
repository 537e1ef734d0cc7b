package point

import (
	"context"
	"net/url"
	"strings"
	"time"

	"odcm"
	"odcm/manager/sso"
	"odcm/manager/sso/grant"
	"odcm/octopus"
)

// Authorizer answers authorization requests. [grant.Service] is one.
type Authorizer interface {
	Authorize(ctx context.Context, values url.Values, session string) (grant.Answer, error)
}

// A probe is a person who exists while a server's settings are tested, known to no room but this one. Its session opens
// nothing: no browser has its cookie, and the id cannot be guessed.
const (
	probeUser    = "user-probe-"
	probeSession = "probe-"
	probeName    = "odcm-sign-in-test-"
)

// username of the probe is short enough for every Octopus, and its own.
func (p Pointing) probeUsername() string { return probeName + p.Probe[len(p.Probe)-8:] }

// probeAddress cannot be anybody's: RFC 2606 reserves the name.
func (p Pointing) probeAddress() string { return p.probeUsername() + "@odcm.invalid" }

// test signs a probe in for real: the server sends it here, gets the token from here, and has a session of it in the end. The
// account is made before, since servers may not make any, and removed after.
func (p *Pointer) test(ctx context.Context, server Server, is *Pointing) (err error) {
	if err := p.removeProbe(ctx, server, is); err != nil { // of a test that was stopped
		return err
	}
	is.Probe = newProbe()
	if err := p.o.Store.SavePointing(ctx, *is); err != nil {
		return err
	}
	if err := server.AddUser(ctx, is.account()); err != nil {
		return err
	}
	username, err := server.Try(ctx, is.Slot, func(ctx context.Context, request *url.URL) (*grant.Reply, error) {
		if !strings.HasPrefix(request.String(), p.o.Provider.Issuer()+"/") {
			return nil, odcm.E(odcm.Conflict, "sso.test-elsewhere", "The server sends people who sign in to %s, not to ODCM.", request.Host)
		}
		answer, err := p.o.Provider.Authorize(ctx, request.Query(), probeSession+is.Probe)
		if err == nil && answer.Reply == nil {
			err = odcm.E(odcm.Conflict, "sso.test-not-known", "ODCM does not know its own test.")
		}
		return answer.Reply, err
	})
	if err == nil && !strings.EqualFold(username, is.probeUsername()) {
		err = odcm.E(odcm.Conflict, "sso.test-somebody-else", "The sign-in that tests the settings ended with the account of %q.", username)
	}
	if err != nil {
		return odcm.E(odcm.KindOf(err), "sso.test-failed", "The server was pointed at ODCM, but a sign-in that tests this fails: %s", publicMessage(err)).Because(err)
	}
	is.Tested = p.o.Now()
	return p.removeProbe(ctx, server, is)
}

// account is the probe's user on the server, with the identity that it will come with.
func (p Pointing) account() octopus.Object {
	var user, identity octopus.Object
	claim := func(value string) map[string]any { return map[string]any{"Value": value, "IsIdentifyingClaim": true} }
	identity.Set("IdentityProviderName", p.Slot.Provider)
	identity.Set("Claims", map[string]any{"email": claim(p.probeAddress()), "eid": claim(probeUser + p.Probe)})
	user.Set("Username", p.probeUsername())
	user.Set("DisplayName", "ODCM tests sign-in")
	user.Set("EmailAddress", p.probeAddress())
	user.Set("IsActive", true)
	user.Set("IsService", false)
	user.Set("Identities", []octopus.Object{identity})
	return user
}

func (p *Pointer) removeProbe(ctx context.Context, server Server, is *Pointing) error {
	if is.Probe == "" {
		return nil
	}
	if err := server.RemoveUser(ctx, is.probeUsername()); err != nil {
		return err
	}
	is.Probe = ""
	return p.o.Store.SavePointing(ctx, *is)
}

// Probing lets the OpenID Provider know probes beside the people and their access that it knows: give it to [grant.Options].
type Probing struct {
	Store  Store
	People sso.People
	Access sso.Access
	Now    func() time.Time // time.Now if nil
}

func (p Probing) now() time.Time {
	if p.Now == nil {
		return time.Now()
	}
	return p.Now()
}

// Person implements [sso.People].
func (p Probing) Person(ctx context.Context, id odcm.UserID) (sso.Person, error) {
	probe, is := strings.CutPrefix(string(id), probeUser)
	if !is {
		return p.People.Person(ctx, id)
	}
	at, err := p.Store.PointingOf(ctx, probe)
	if err != nil {
		return sso.Person{}, err
	}
	return sso.Person{ID: id, Username: at.probeUsername(), DisplayName: "ODCM tests sign-in", Email: at.probeAddress(), EmailVerified: true}, nil
}

// Session implements [sso.People].
func (p Probing) Session(ctx context.Context, id string) (sso.Session, error) {
	probe, is := strings.CutPrefix(id, probeSession)
	if !is {
		return p.People.Session(ctx, id)
	}
	if _, err := p.Store.PointingOf(ctx, probe); err != nil {
		return sso.Session{}, err
	}
	now := p.now()
	return sso.Session{ID: id, User: odcm.UserID(probeUser + probe), Authenticated: now, Method: "probe", Expires: now.Add(5 * time.Minute)}, nil
}

// Arrive implements [sso.Access]: a probe's account is made before it sets out.
func (p Probing) Arrive(ctx context.Context, user odcm.UserID, instance odcm.InstanceID) error {
	if strings.HasPrefix(string(user), probeUser) {
		return nil
	}
	return p.Access.Arrive(ctx, user, instance)
}

// Enter implements [sso.Access]: a probe enters the one server that it tests, in no group.
func (p Probing) Enter(ctx context.Context, user odcm.UserID, instance odcm.InstanceID) ([]string, error) {
	probe, is := strings.CutPrefix(string(user), probeUser)
	if !is {
		return p.Access.Enter(ctx, user, instance)
	}
	at, err := p.Store.PointingOf(ctx, probe)
	if err == nil && at.Instance != instance {
		err = odcm.E(odcm.Denied, "access.no-grant", "A test enters the server that it tests.")
	}
	return nil, err
}
