package manager

import (
	"context"
	"fmt"
	"strings"

	"odcm"
	"odcm/kit/egress"
	"odcm/manager/access/accessoctopus"
	"odcm/manager/access/push"
	"odcm/manager/access/roster"
	"odcm/manager/space"
	"odcm/manager/space/spaceoctopus"
	"odcm/manager/sso/point"
	"odcm/manager/sso/ssooctopus"
)

// signOn is the sso room's pointer for those who enlist, create and delist.
type signOn struct {
	pointer *point.Pointer
	octopus *spaceoctopus.Adapter
	guard   *egress.Guard
}

var _ space.SignOn = signOn{}

// settings reaches the sign-in settings of the server that a connection leads to.
func (s signOn) settings(c space.Connection) (ssooctopus.Connection, error) {
	client, err := s.octopus.Client(c)
	if err != nil {
		return ssooctopus.Connection{}, err
	}
	transport, err := s.guard.Transport(egress.TLS{CA: c.TLS.CA, Thumbprint: c.TLS.Thumbprint})
	return ssooctopus.Connection{Client: client, Transport: transport}, err
}

// Plan implements [space.SignOn].
func (s signOn) Plan(ctx context.Context, t space.Target) (out space.SignInPlan, err error) {
	c, err := s.settings(t.Connection)
	if err != nil {
		return out, err
	}
	plan, err := s.pointer.Plan(ctx, ssooctopus.Of(c))
	if err != nil {
		return out, err
	}
	_, pointed, err := s.pointer.ProviderOn(ctx, t.Instance)
	if err != nil {
		return out, err
	}
	out = space.SignInPlan{Pointed: pointed && plan.State == point.SlotOurs, Provider: plan.Slot.Label, Possible: plan.Slot.ID != "", Passwords: plan.Passwords, LeadsOn: plan.LeadsOn,
		Proposed: plan.Slot.ID != "" && plan.Free()}
	for _, c := range plan.Changes {
		out.Settings = append(out.Settings, space.SettingChange(c))
	}
	note := func(code, format string, args ...any) {
		out.Changes = append(out.Changes, space.Note{Code: code, Message: fmt.Sprintf(format, args...)})
	}
	switch {
	case !out.Possible:
		note("signin.no-slot", "Sign-in stays as it is: this version of Octopus has no settings for an OpenID provider that ODCM can stand in for.")
	case out.Pointed:
		note("signin.pointed", "The server sends people to this ODCM already.")
	case out.Proposed:
		note("signin.pointed-at-odcm", "%s in the server's settings is free: it is pointed at ODCM, and tested by a real sign-in before anything else is closed.", out.Provider)
	default:
		var taken []string
		for _, f := range plan.Slots {
			taken = append(taken, f.Label+" ("+f.Issuer+")")
		}
		note("signin.slot-taken", "No provider in the server's settings is free: %s. Sign-in stays as it is unless you say that ODCM may replace one.", strings.Join(taken, ", "))
	}
	return out, nil
}

// Apply implements [space.SignOn].
func (s signOn) Apply(ctx context.Context, t space.Target, o space.SignInOptions) ([]string, error) {
	c, err := s.settings(t.Connection)
	if err != nil {
		return nil, err
	}
	is, err := s.pointer.Point(ctx, t.Instance, t.Name, ssooctopus.Of(c), point.Choices{ClosePasswords: o.ClosePasswords, Replace: o.Replace, LeadOn: o.LeadOn})
	if err != nil {
		return nil, err
	}
	notes := []string{"People sign in there through ODCM, by way of " + is.Slot.Label + ": a sign-in that tests it succeeded"}
	if is.Closed {
		notes = append(notes, "The server's own passwords are closed")
	}
	return notes, nil
}

// Undo implements [space.SignOn].
func (s signOn) Undo(ctx context.Context, t space.Target) ([]string, error) {
	c, err := s.settings(t.Connection)
	if err != nil {
		return nil, err
	}
	return s.pointer.Undo(ctx, t.Instance, ssooctopus.Of(c))
}

// Forget implements [space.SignOn].
func (s signOn) Forget(ctx context.Context, t space.Target) error {
	return s.pointer.Forget(ctx, t.Instance)
}

// slots tells the access room by which name people of ODCM are known on a server.
type slots struct{ pointer *point.Pointer }

var _ push.Slots = slots{}

func (s slots) Slot(ctx context.Context, id odcm.InstanceID) (push.Slot, bool, error) {
	name, pointed, err := s.pointer.ProviderOn(ctx, id)
	return push.Slot{Provider: name}, pointed, err
}

// accounts is the access room's push for those who enlist and delist.
type accounts struct {
	roster  *roster.Roster
	push    *push.Push
	octopus *spaceoctopus.Adapter
}

var _ space.Accounts = accounts{}

func (a accounts) survey(ctx context.Context, t space.Target) ([]roster.Seen, error) {
	client, err := a.octopus.Client(t.Connection)
	if err != nil {
		return nil, err
	}
	return a.roster.Survey(ctx, accessoctopus.Of(client), t.Instance)
}

// Plan implements [space.Accounts].
func (a accounts) Plan(ctx context.Context, t space.Target) (out space.PeoplePlan, err error) {
	seen, err := a.survey(ctx, t)
	for _, s := range seen {
		planned := space.PlannedAccount{ID: s.ID, Username: s.Username, DisplayName: s.DisplayName, Email: s.Email, Active: s.Active,
			Person: s.Person.ID, PersonName: s.Person.Called(), Because: s.Because()}
		for _, p := range s.Between {
			planned.Between = append(planned.Between, space.Candidate{ID: p.ID, Name: p.Called()})
		}
		switch {
		case s.Untouched != "":
			out.Untouched++
		case s.Conflict != roster.NoConflict:
			out.Conflicts = append(out.Conflicts, planned)
		case s.Person.ID != "":
			out.Matched = append(out.Matched, planned)
		default:
			out.Unmatched = append(out.Unmatched, planned)
		}
	}
	return out, err
}

// Apply implements [space.Accounts].
func (a accounts) Apply(ctx context.Context, t space.Target, by odcm.Principal, choices []space.AccountChoice) ([]string, error) {
	seen, err := a.survey(ctx, t)
	if err != nil {
		return nil, err
	}
	chosen := make([]roster.Choice, len(choices))
	for i, c := range choices {
		chosen[i] = roster.Choice{Account: c.Account, Do: roster.Doing(c.Do), Person: c.Person}
	}
	linked, err := a.roster.Accept(ctx, by, t.Instance, seen, chosen)
	if err != nil || linked == 0 {
		return nil, err
	}
	return []string{fmt.Sprintf("Of %d accounts, %d belong to people whom ODCM knows", len(seen), linked)}, nil
}

// Undo implements [space.Accounts].
func (a accounts) Undo(ctx context.Context, t space.Target, sp space.Space, last bool) error {
	return a.push.Release(ctx, place(space.Location{Space: sp, URL: t.Connection.URL}), last)
}

// Forget implements [space.Accounts].
func (a accounts) Forget(ctx context.Context, t space.Target, sp space.Space, last bool) error {
	return a.push.Forget(ctx, place(space.Location{Space: sp, URL: t.Connection.URL}), last)
}

// connecting lets the aspects of the sso room reach the servers of instances.
func (s signOn) connecting(connection func(ctx context.Context, id odcm.InstanceID) (space.Connection, error)) ssooctopus.Connect {
	return func(ctx context.Context, id odcm.InstanceID) (ssooctopus.Connection, error) {
		c, err := connection(ctx, id)
		if err != nil {
			return ssooctopus.Connection{}, err
		}
		return s.settings(c)
	}
}
