package manager

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"odcm"
	"odcm/kit/egress"
	"odcm/kit/lease"
	"odcm/kit/mail"
	"odcm/kit/seal"
	"odcm/manager/access"
	"odcm/manager/access/accessoctopus"
	"odcm/manager/access/accesssql"
	"odcm/manager/access/admit"
	"odcm/manager/access/explain"
	"odcm/manager/access/push"
	"odcm/manager/access/roster"
	"odcm/manager/identity"
	"odcm/manager/identity/breach"
	"odcm/manager/identity/group"
	"odcm/manager/identity/group/groupsql"
	"odcm/manager/identity/identitysql"
	"odcm/manager/identity/ldap"
	"odcm/manager/identity/letter"
	"odcm/manager/identity/merge"
	"odcm/manager/identity/oidc"
	"odcm/manager/identity/provider"
	"odcm/manager/identity/provider/providersql"
	"odcm/manager/identity/scim"
	"odcm/manager/identity/scim/scimsql"
	"odcm/manager/space"
	"odcm/manager/sso/device"
	"odcm/manager/sso/grant"
	"odcm/manager/sso/logout"
	"odcm/manager/sso/point"
	"odcm/manager/sso/ssohttp"
	"odcm/manager/sso/ssokey"
	"odcm/manager/sso/ssosql"
)

// openIdentity makes the identity room: people, how they sign in, and who belongs together.
func (m *Manager) openIdentity(ctx context.Context, sealer *seal.Sealer, authorizer odcm.Authorizer, leases *lease.Store, guard *egress.Guard) error {
	if err := m.openMail(ctx, sealer); err != nil {
		return err
	}
	store, err := identitysql.New(ctx, m.db, m.events)
	if err != nil {
		return err
	}
	groups, err := groupsql.New(ctx, m.db, m.events)
	if err != nil {
		return err
	}
	m.groups = group.New(group.Options{Store: groups, Log: m.events, Bus: m.bus, Authorizer: authorizer, Pickers: pickers{m}, Uses: uses{m}, Logger: m.log})
	o := identity.Options{Store: store, Bus: m.bus, Authorizer: authorizer, Directories: directories{m}, Groups: m.groups, Logger: m.log}
	if m.o.BreachedPasswords != "" {
		list, err := breach.Open(m.o.BreachedPasswords)
		if err != nil {
			return err
		}
		m.closers = append(m.closers, list.Close)
		o.Breached = list
	}
	m.identity = identity.New(o)

	settings, err := providersql.New(ctx, m.db, m.events)
	if err != nil {
		return err
	}
	m.providers = provider.New(provider.Options{Store: settings, Sealer: sealer, Authorizer: authorizer, Bus: m.bus, People: m.identity,
		Connectors: slices.Concat(ldap.Connectors(ldap.Options{Allow: m.o.Egress.Check, Logger: m.log}), oidc.Connectors(oidc.Options{Guard: guard})),
		ReturnURL:  func(id odcm.ProviderID) string { return m.o.PublicURL + "/sign-in/callback/" + string(id) },
		Leases:     leases, Replica: m.o.Replica, Logger: m.log})
	m.closers = append(m.closers, m.providers.Close)

	directories, err := scimsql.New(ctx, m.db, m.events)
	if err != nil {
		return err
	}
	m.scim = scim.New(scim.Options{Store: directories, People: scim.PeopleOf(m.identity), Groups: m.groups, Authorizer: authorizer,
		PublicURL: m.publicURL, Providers: m.providerNames, Logger: m.log})
	m.letters = letter.New(letter.Options{People: m.identity, Store: store.Letters(m.outbox), Authorizer: authorizer, Outbox: m.outbox, Sender: m.sender,
		Groups: joiner{m}, PublicURL: m.publicURL, Logger: m.log})
	m.merges = merge.New(merge.Options{People: m.identity, Store: store, Authorizer: authorizer, Bus: m.bus, Movers: []merge.Mover{m.groups, m.scim, grants{m}}})
	return nil
}

// openMail makes what sends e-mail; without a server nothing is sent, and who writes to somebody gets the link.
func (m *Manager) openMail(ctx context.Context, sealer *seal.Sealer) (err error) {
	if m.o.SMTP != "" {
		server, err := mail.Parse(m.o.SMTP, m.o.MailFrom)
		if err != nil {
			return err
		}
		m.sender = mail.NewSender(server, 0)
	}
	m.outbox, err = mail.NewOutbox(ctx, mail.Options{DB: m.db, Sealer: sealer, Bus: m.bus, Sender: m.sender, Logger: m.log})
	return err
}

func (m *Manager) publicURL() string { return m.o.PublicURL }

// openAccess makes the rooms that let people into Spaces: who may enter, and the OpenID Provider that says so.
func (m *Manager) openAccess(ctx context.Context, sealer *seal.Sealer, authorizer odcm.Authorizer, guard *egress.Guard) error {
	store, err := accesssql.New(ctx, m.db, m.events)
	if err != nil {
		return err
	}
	pushes, err := accesssql.NewPushes(ctx, m.db, m.events)
	if err != nil {
		return err
	}
	tokens, err := ssosql.New(ctx, m.db, m.events)
	if err != nil {
		return err
	}
	pointings, err := ssosql.NewPointings(ctx, m.db, m.events, sealer)
	if err != nil {
		return err
	}
	backchannel, err := guard.Client(egress.TLS{})
	if err != nil {
		return err
	}
	m.keys = ssokey.New(ssokey.Options{Store: tokens, Sealer: sealer, Bus: m.bus, Logger: m.log})
	probing := point.Probing{Store: pointings, People: subjects{m}, Access: subjects{m}}
	m.sso = grant.New(grant.Options{Store: tokens, Keys: m.keys, People: probing, Access: probing, Authorizer: authorizer, Bus: m.bus,
		Entrants: entrants{m}, Issuer: m.publicURL, Logger: m.log})
	m.logout = logout.New(logout.Options{Provider: m.sso, Store: tokens, Keys: m.keys, Backchannel: ssohttp.Backchannel{Client: backchannel}, Logger: m.log})
	m.devices = device.New(device.Options{Provider: m.sso, Store: tokens})
	on := signOn{octopus: m.octopus, guard: guard}
	// By way of a function: the space room comes to be after this one.
	m.pointer = point.New(point.Options{Store: pointings, Provider: m.sso, Instances: places{m}, Logger: m.log,
		Servers: on.connecting(func(ctx context.Context, id odcm.InstanceID) (space.Connection, error) {
			return m.space.InstanceConnection(ctx, id)
		})})
	on.pointer = m.pointer
	m.signOn = on

	servers := accessoctopus.New(places{m}.connect, places{m})
	if m.access, err = access.New(ctx, access.Options{Store: store, Directory: directory{m}, People: people{m}, Places: places{m}, Authorizer: authorizer,
		Bus: m.bus, Logger: m.log}); err != nil {
		return err
	}
	m.roster = roster.New(roster.Options{People: people{m}, Everybody: people{m}, Newcomers: people{m}, Places: places{m}, Store: pushes, Servers: servers,
		Gate: m.access, Signals: m.bus})
	m.push = push.New(push.Options{Gate: m.access, Roster: m.roster, Desires: m.access, People: people{m}, Places: places{m}, Store: pushes, Servers: servers, Slots: slots{m.pointer},
		Observer: accessoctopus.NewMetrics(m.metrics), Again: func(id odcm.SpaceID) { m.reconciler.Wake(string(id)) }, Logger: m.log})
	m.grants = admit.New(admit.Options{Access: m.access, Store: store, People: people{m}, Register: people{m}, Teams: servers, Arrived: m.roster})
	m.explain = explain.New(explain.Options{Access: m.access, Grants: m.grants, People: people{m}, Places: places{m}, Arrived: m.roster})
	return nil
}

// followAccess lets the reconciler look at each Space whose people, their names, teams or mappings changed. Only the replica
// that has the Space notes when: the time to revoke counts from there.
func (m *Manager) followAccess(ctx context.Context) error {
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error { return m.access.FollowPeople(ctx, m.events) })
	both.Go(func() error { return m.wakeChanged(ctx) })
	return both.Wait()
}

func (m *Manager) wakeChanged(ctx context.Context) error {
	for id := range m.access.Changed(ctx) {
		if m.shards.Owns(string(id)) {
			m.push.Touched(time.Now(), id)
			m.reconciler.Wake(string(id))
		}
	}
	return ctx.Err()
}

// followSessions ends at the relying parties what ended here: one replica tells, from where the log stands when it begins.
// What is missed while none does ends when the tokens do: no refresh outlives its session.
func (m *Manager) followSessions(ctx context.Context) error {
	for {
		err := m.leases.Hold(ctx, "sso.sessions", m.o.Replica, sessionLease, m.tellEnded)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		m.log.Warn("relying parties are not told who is signed out, at this moment", "error", err) // the database is away
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(sessionLease):
		}
	}
}

func (m *Manager) tellEnded(ctx context.Context, _ lease.Lease) error {
	after, err := m.events.Last(ctx)
	if err != nil {
		return err
	}
	for e, err := range m.events.Follow(ctx, after) {
		if err != nil {
			return err
		}
		if err := m.ended(ctx, e); err != nil {
			m.log.Error("relying parties were not told that somebody is signed out", "user", e.Subject, "error", err)
		}
	}
	return ctx.Err()
}

const sessionLease = 15 * time.Second

// ended signs a person out everywhere whose session ended, or who may not sign in any more.
func (m *Manager) ended(ctx context.Context, e odcm.Event) error {
	var before struct {
		Session string `json:"session"`
	}
	var after struct {
		Disabled bool `json:"disabled"`
	}
	switch e.Type {
	case "identity.signed-out", "identity.session-ended":
		if err := json.Unmarshal(e.Before, &before); err != nil || before.Session == "" {
			return err
		}
		return m.sso.SignedOut(ctx, odcm.UserID(e.Subject), before.Session)
	case "identity.user-updated":
		if err := json.Unmarshal(e.After, &after); err != nil || !after.Disabled {
			return err
		}
		return m.sso.SignedOut(ctx, odcm.UserID(e.Subject))
	case "identity.user-deleted", "identity.sessions-ended":
		return m.sso.SignedOut(ctx, odcm.UserID(e.Subject))
	}
	return nil
}
