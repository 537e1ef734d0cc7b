package roster

import (
	"context"
	"slices"
	"strings"

	"odcm"
	"odcm/manager/access"
	"odcm/octopus"
)

// Claims of a user's identity on an Octopus server (IdentityCreator of its OpenID Connect providers). The provider's own
// name for somebody is eid: with ODCM that is the person's id.
const (
	ClaimEmail = "email"
	ClaimName  = "dn"
	ClaimID    = "eid"
)

// PushedEmail is the address that a server may know: an Octopus server finds people by it, so only one that is proven goes out.
func PushedEmail(p access.Person) string {
	if !p.EmailVerified {
		return ""
	}
	return p.Email
}

// Shape is the user as it should be, made from what is there, and the names of what differs.
func Shape(actual octopus.Object, p access.Person, provider string) (octopus.Object, []string) {
	want := actual.Clone()
	var difference []string
	set := func(name string, value any, same bool) {
		if !same {
			want.Set(name, value)
			difference = append(difference, name)
		}
	}
	set("IsActive", true, actual.Bool("IsActive"))
	set("DisplayName", p.DisplayName, p.DisplayName == "" || actual.Text("DisplayName") == p.DisplayName)
	email := PushedEmail(p)
	set("EmailAddress", email, email == "" || strings.EqualFold(actual.Text("EmailAddress"), email))
	if provider == "" {
		return want, difference
	}
	identities, changed := identify(actual.Objects("Identities"), p, provider)
	set("Identities", identities, !changed)
	return want, difference
}

// identify puts the identity by which the person is known at sign-in among the others.
func identify(all []octopus.Object, p access.Person, provider string) ([]octopus.Object, bool) {
	claim := func(value string, identifies bool) map[string]any {
		return map[string]any{"Value": value, "IsIdentifyingClaim": identifies}
	}
	claims := map[string]any{ClaimID: claim(string(p.ID), true), ClaimName: claim(p.DisplayName, false)}
	if email := PushedEmail(p); email != "" {
		claims[ClaimEmail] = claim(email, true)
	}
	at := slices.IndexFunc(all, func(i octopus.Object) bool {
		return i.Text("IdentityProviderName") == provider && ClaimOf(i, ClaimID) == string(p.ID)
	})
	if at < 0 {
		var mine octopus.Object
		mine.Set("IdentityProviderName", provider)
		mine.Set("Claims", claims)
		return append(slices.Clone(all), mine), true
	}
	// What else is in the identity stays as the server has it; only what finds somebody is put right. The display name
	// there is the server's own note of the last sign-in.
	email := PushedEmail(p)
	if strings.EqualFold(ClaimOf(all[at], ClaimEmail), email) || email == "" {
		return all, false
	}
	mine := all[at].Clone()
	kept := mine.Object("Claims").Clone()
	kept.Set(ClaimEmail, claims[ClaimEmail])
	mine.Set("Claims", kept)
	all = slices.Clone(all)
	all[at] = mine
	return all, true
}

// ClaimOf is the value of a claim of an identity.
func ClaimOf(identity octopus.Object, claim string) string {
	return identity.Object("Claims").Object(claim).Text("Value")
}

// PutBack removes an account that ODCM made, or gives one back what ODCM wrote over. What its owner changed since stays.
func PutBack(ctx context.Context, server Server, a Account, u octopus.Object) error {
	if a.Origin == Made {
		if err := server.DeleteUser(ctx, u.ID()); odcm.KindOf(err) != odcm.NotFound {
			return err
		}
		return nil
	}
	if len(a.Previous) == 0 {
		return nil
	}
	before, err := octopus.ParseObject(a.Previous)
	if err != nil {
		return err
	}
	back := u.Clone()
	for _, name := range []string{"IsActive", "DisplayName", "EmailAddress", "Identities"} {
		if value, had := before.Get(name); had {
			back.Set(name, value)
		}
	}
	_, err = server.UpdateUser(ctx, back)
	return err
}
