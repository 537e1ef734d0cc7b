package roster

import (
	"slices"
	"strings"

	"odcm/manager/access"
	"odcm/octopus"
)

// Rule says by what an account and a person were found to be the same.
type Rule string

// The rules, the surest first. The first two are enough to act on. An address is only proposed: on the server anybody may
// write any address into a profile, and who was matched by it would share the account with its password's owner.
const (
	SameSubject Rule = "subject" // the same user of the same provider, or of ODCM itself
	SameAccount Rule = "account" // the same account of a directory, by its names there
	SameEmail   Rule = "email"   // an address that is verified in ODCM
)

// Clues are what an account or a person is recognised by, folded, by rule.
type Clues map[Rule][]string

// providerKinds says which kinds of ODCM's providers know somebody by the same subject as a provider of Octopus does. Entra
// ID's subject differs for each application, but some servers are set to take the object's id.
var providerKinds = map[string]string{"Azure AD": "entra-id", "Google Apps": "google"}

// CluesOf are what a user of a server is recognised by.
func CluesOf(user octopus.Object) Clues {
	c := Clues{}
	add := func(rule Rule, prefix, value string) {
		if value != "" {
			c[rule] = append(c[rule], prefix+strings.ToLower(value))
		}
	}
	add(SameEmail, "", user.Text("EmailAddress"))
	for _, i := range user.Objects("Identities") {
		provider := i.Text("IdentityProviderName")
		add(SameEmail, "", ClaimOf(i, ClaimEmail))
		if id := ClaimOf(i, ClaimID); id != "" {
			add(SameSubject, "odcm:", id)
			add(SameSubject, providerKinds[provider]+":", id)
		}
		for claim, mark := range map[string]string{"upn": "upn:", "sam": "sam:", "uan": "sam:", "sid": "sid:"} {
			add(SameAccount, mark, ClaimOf(i, claim))
		}
	}
	return c
}

// CluesTo are what a person is recognised by.
func CluesTo(p access.Person) Clues {
	c := Clues{SameSubject: {"odcm:" + strings.ToLower(string(p.ID))}}
	if email := PushedEmail(p); email != "" {
		c[SameEmail] = []string{strings.ToLower(email)}
	}
	for _, i := range p.Identities {
		if i.Subject != "" {
			c[SameSubject] = append(c[SameSubject], i.Kind+":"+strings.ToLower(i.Subject))
		}
	}
	for _, mark := range []string{"upn", "sam", "sid"} {
		if value := p.Marks[mark]; value != "" {
			c[SameAccount] = append(c[SameAccount], mark+":"+strings.ToLower(value))
		}
	}
	return c
}

// Finder finds by clues.
type Finder[T comparable] map[string][]T

// Add makes somebody found by the clues.
func (r Finder[T]) Add(c Clues, who T) {
	for rule, values := range c {
		for _, v := range values {
			key := string(rule) + "\n" + v
			if !slices.Contains(r[key], who) {
				r[key] = append(r[key], who)
			}
		}
	}
}

// Find returns who has a clue in common, by the surest rule that finds anybody.
func (r Finder[T]) Find(c Clues, rules ...Rule) (found []T, by Rule) {
	for _, rule := range rules {
		for _, v := range c[rule] {
			for _, who := range r[string(rule)+"\n"+v] {
				if !slices.Contains(found, who) {
					found = append(found, who)
				}
			}
		}
		if len(found) > 0 {
			return found, rule
		}
	}
	return nil, ""
}
