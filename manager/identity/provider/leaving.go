package provider

import (
	"context"
	"fmt"
	"strings"

	"odcm"
)

// Leaving is what goes with a provider that is deleted.
type Leaving struct {
	Accounts    []LeavingAccount
	Groups      []LeavingGroup
	Memberships int // of people in those groups
}

// LeavingAccount is an identity that a person signs in with by the provider.
type LeavingAccount struct {
	User             odcm.UserID
	Username         string // of the person, in ODCM
	Subject, Account string // at the provider
	Only             bool   // the person, who may sign in, has no password and no account at another provider
}

// LeavingGroup is a group that the provider told of.
type LeavingGroup struct {
	ID                          odcm.GroupID
	Name, Description, External string
}

// Stranded names the people who would have no way left to sign in, each once.
func (l Leaving) Stranded() (names []string) {
	seen := map[odcm.UserID]bool{}
	for _, a := range l.Accounts {
		if a.Only && !seen[a.User] {
			names, seen[a.User] = append(names, a.Username), true
		}
	}
	return names
}

// Summary says for people what goes.
func (l Leaving) Summary() string {
	return fmt.Sprintf("%s by which people sign in and %s with %s go with it; what was granted to those groups ends. The people keep their accounts in ODCM.",
		number(len(l.Accounts), "linked account"), number(len(l.Groups), "group"), number(l.Memberships, "membership"))
}

// Warning names those who are stranded; "" where nobody is.
func (l Leaving) Warning() string {
	names := l.Stranded()
	if len(names) == 0 {
		return ""
	}
	const most = 20
	list := strings.Join(names[:min(most, len(names))], ", ")
	if len(names) > most {
		list += fmt.Sprintf(" and %d more", len(names)-most)
	}
	return fmt.Sprintf("%s would have no way left to sign in: %s.", people(len(names)), list)
}

func people(n int) string {
	if n == 1 {
		return "1 person"
	}
	return fmt.Sprintf("%d people", n)
}

func number(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Leaving says what Delete would take away. It needs the action [ActionEdit].
func (s *Service) Leaving(ctx context.Context, p odcm.Principal, id odcm.ProviderID) (_ Leaving, err error) {
	defer odcm.Wrap(&err, "look what goes with provider %s", id)
	if err := s.o.Authorizer.Authorize(ctx, p, ActionEdit, string(id)); err != nil {
		return Leaving{}, err
	}
	if _, err := s.o.Store.Provider(ctx, id); err != nil {
		return Leaving{}, err
	}
	return s.o.Store.Leaving(ctx, id)
}

// Deletion says how to delete a provider. Confirmed deletes it though people would have no way left to sign in.
type Deletion struct{ Confirmed bool }

// Delete removes a provider, with all that people signed in with there and the groups that it told of; other groups keep
// their other members. Who signed in by it keeps the user. Where somebody would have no other way in it is odcm.Conflict
// "provider.last-way-in", which names them, until it is confirmed.
func (s *Service) Delete(ctx context.Context, p odcm.Principal, id odcm.ProviderID, d Deletion) (err error) {
	defer odcm.Wrap(&err, "delete provider %s", id)
	if err := s.o.Authorizer.Authorize(ctx, p, ActionEdit, string(id)); err != nil {
		return err
	}
	r, err := s.o.Store.Provider(ctx, id)
	if err != nil {
		return err
	}
	var gone Leaving
	err = s.o.Store.Delete(ctx, id, func(l Leaving) ([]odcm.Event, error) {
		if warning := l.Warning(); warning != "" && !d.Confirmed {
			return nil, odcm.E(odcm.Conflict, "provider.last-way-in", "%s Give them another way in first, or confirm that they lose theirs.", warning)
		}
		gone = l
		return l.events(p, r), nil
	})
	if err != nil {
		return err
	}
	s.changed(id)
	s.o.Bus.Publish(gone.topics()...)
	return nil
}

// events tell of everything that goes, since each user's and each group's history is read by itself.
func (l Leaving) events(p odcm.Principal, r Record) []odcm.Event {
	about := r.about()
	about["accounts"], about["groups"], about["stranded"] = len(l.Accounts), len(l.Groups), l.Stranded()
	events := []odcm.Event{odcm.NewEvent(p, "provider.deleted", string(r.ID), r.Name, about, nil)}
	for _, a := range l.Accounts {
		events = append(events, odcm.NewEvent(p, "identity.unlinked", string(a.User), a.Username,
			map[string]any{"provider": r.ID, "subject": a.Subject, "username": a.Account}, nil))
	}
	for _, g := range l.Groups {
		events = append(events, odcm.NewEvent(p, "group.deleted", string(g.ID), g.Name,
			map[string]any{"name": g.Name, "description": g.Description, "provider": r.ID, "external": g.External}, nil))
	}
	return events
}

// topics hint at what went. Whoever follows groups looks at the log then, so that one of each would do; pages that show one
// of the first hundred are drawn anew at once.
func (l Leaving) topics() (topics []string) {
	for _, g := range l.Groups[:min(100, len(l.Groups))] {
		topics = append(topics, "group/"+string(g.ID))
	}
	for _, a := range l.Accounts[:min(100, len(l.Accounts))] {
		topics = append(topics, "user/"+string(a.User))
	}
	return topics
}
