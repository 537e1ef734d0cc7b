package signin

import (
	"context"
	"errors"
	"slices"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/identity"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

// Claims of a user's identity. Those that identify find the user when it comes again.
const (
	claimEmail = "email"
	claimName  = "dn"
	claimID    = "eid"
)

// admit finds the user that a candidate is, or makes one where the slot lets it; keeps the identity and the groups; and
// refuses whoever may not sign in. It returns the user's id.
func (s *Service) admit(ctx context.Context, p settings, c claims, address string) (string, error) {
	who := p.candidate(c)
	if who.username == "" || who.id == "" {
		return "", failed("the token names no user: it needs the claims sub and " + strings.Join(p.username, " or "))
	}
	principal := permission.System()
	principal.Address = address
	request := collection.Request{Principal: principal}
	var id string
	err := s.Service.Transact(ctx, request, func(change *collection.Change) error {
		var err error
		id, err = place(change, p, who)
		return err
	})
	var refused *problem.Error
	if errors.As(err, &refused) && refused.Status < 500 {
		// Whoever it was is known to the provider, so an administrator may want to know of it.
		note := s.Service.Transact(ctx, request, func(change *collection.Change) error {
			change.Note("LoginFailed", "", "sign-in of "+who.username+" through "+p.name+" was refused: "+refused.Message, who.username, []string{p.section}, collection.ChangeDetails{})
			return nil
		})
		return "", errors.Join(err, note)
	}
	return id, err
}

// place does what [Service.admit] says, in its transaction.
func place(c *collection.Change, p settings, who candidate) (string, error) {
	id, o, err := find(c, p, who)
	if err != nil {
		return "", err
	}
	if id == "" && !p.create {
		return "", failed("user could not be located and auto user creation is not enabled")
	}
	if id != "" && !o.Bool("IsActive") {
		return "", failed("the user account '" + o.Text("Username") + "' has been disabled by an administrator")
	}
	if id != "" && o.Bool("IsService") {
		return "", failed("the user account '" + o.Text("Username") + "' is a service account, which signs in with API keys or tokens only")
	}
	identities, changed := who.identities(o, p.name)
	switch {
	case id == "":
		made, err := c.Create("Users", newUser(who, identities))
		if err != nil {
			return "", err
		}
		id = made.Text("Id")
	case changed:
		err = c.Edit("Users", id, func(o *octopus.Object) error {
			o.Set("Identities", identities)
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	regrouped, err := identity.SetGroups(c.Context, c.Tx, id, p.name, who.groups)
	if regrouped {
		c.Decides()
	}
	return id, err
}

func newUser(who candidate, identities []octopus.Object) octopus.Object {
	var o octopus.Object
	o.Set("Username", who.username)
	o.Set("DisplayName", who.display)
	o.Set("EmailAddress", who.email)
	o.Set("Identities", identities)
	return o
}

// find returns the one user with the provider's identity or, where there is none, with the e-mail address. Two are an error:
// nobody could tell whose session it would be.
func find(c *collection.Change, p settings, who candidate) (string, octopus.Object, error) {
	rows, err := c.List(document.Query{Kind: "Users", Spaces: []string{""}, Order: document.OldestFirst})
	if err != nil {
		return "", octopus.Object{}, err
	}
	var byID, byIdentity, byEmail []octopus.Object
	for _, row := range rows {
		o, err := octopus.ParseObject(row.Body)
		if err != nil {
			return "", o, err
		}
		for _, i := range o.Objects("Identities") {
			if i.Text("IdentityProviderName") != p.name {
				continue
			}
			if value(i, claimID) == who.id {
				byID = append(byID, o)
			}
			if who.email != "" && who.proven && strings.EqualFold(value(i, claimEmail), who.email) {
				byIdentity = append(byIdentity, o)
			}
		}
		if who.email != "" && who.proven && strings.EqualFold(o.Text("EmailAddress"), who.email) {
			byEmail = append(byEmail, o)
		}
	}
	for _, found := range [][]octopus.Object{byID, byIdentity, byEmail} {
		found = slices.CompactFunc(found, func(a, b octopus.Object) bool { return a.Text("Id") == b.Text("Id") })
		switch len(found) {
		case 0:
		case 1:
			return found[0].Text("Id"), found[0], nil
		default:
			return "", octopus.Object{}, failed("there are multiple users with this identity or e-mail address. An administrator must make the addresses unique")
		}
	}
	return "", octopus.Object{}, nil
}

func value(i octopus.Object, claim string) string {
	return i.Object("Claims").Object(claim).Text("Value")
}

// identities are a user's, with that of the provider as it is now; and whether that changes anything.
func (who candidate) identities(user octopus.Object, provider string) ([]octopus.Object, bool) {
	mine := octopus.Object{}
	mine.Set("IdentityProviderName", provider)
	mine.Set("Claims", map[string]any{
		claimEmail: map[string]any{"Value": who.email, "IsIdentifyingClaim": true},
		claimName:  map[string]any{"Value": who.display, "IsIdentifyingClaim": false},
		claimID:    map[string]any{"Value": who.id, "IsIdentifyingClaim": true},
	})
	all := user.Objects("Identities")
	at := slices.IndexFunc(all, func(i octopus.Object) bool {
		return i.Text("IdentityProviderName") == provider && (value(i, claimID) == who.id || value(i, claimID) == "" || strings.EqualFold(value(i, claimEmail), who.email))
	})
	if at < 0 {
		return append(all, mine), true
	}
	old := all[at]
	same := value(old, claimID) == who.id && value(old, claimEmail) == who.email && value(old, claimName) == who.display
	all[at] = mine
	return all, !same
}
