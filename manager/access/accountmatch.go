package access

import (
	"slices"
	"strings"

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

// clues are what an account or a person is recognised by, folded, by rule.
type clues map[Rule][]string

// providerKinds says which kinds of ODCM's providers know somebody by the same subject as a provider of Octopus does. Entra
// ID's subject differs for each application, but some servers are set to take the object's id.
var providerKinds = map[string]string{"Azure AD": "entra-id", "Google Apps": "google"}

func cluesOf(user octopus.Object) clues {
	c := clues{}
	add := func(rule Rule, prefix, value string) {
		if value != "" {
			c[rule] = append(c[rule], prefix+strings.ToLower(value))
		}
	}
	add(SameEmail, "", user.Text("EmailAddress"))
	for _, i := range user.Objects("Identities") {
		provider := i.Text("IdentityProviderName")
		add(SameEmail, "", claimOf(i, claimEmail))
		if id := claimOf(i, claimID); id != "" {
			add(SameSubject, "odcm:", id)
			add(SameSubject, providerKinds[provider]+":", id)
		}
		for claim, mark := range map[string]string{"upn": "upn:", "sam": "sam:", "uan": "sam:", "sid": "sid:"} {
			add(SameAccount, mark, claimOf(i, claim))
		}
	}
	return c
}

func (p Person) clues() clues {
	c := clues{SameSubject: {"odcm:" + strings.ToLower(string(p.ID))}}
	if email := pushedEmail(p); email != "" {
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

// register finds by clues.
type register[T comparable] map[string][]T

func (r register[T]) add(c clues, who T) {
	for rule, values := range c {
		for _, v := range values {
			key := string(rule) + "\n" + v
			if !slices.Contains(r[key], who) {
				r[key] = append(r[key], who)
			}
		}
	}
}

// find returns who has a clue in common, by the surest rule that finds anybody.
func (r register[T]) find(c clues, rules ...Rule) (found []T, by Rule) {
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

// resemblance is what the server has of somebody without an account on record.
type resemblance struct {
	user     octopus.Object
	conflict string // why no account can be made or taken, for people
}

// resembling looks for the person among the users that are nobody's.
func (r *run) resembling(p Person) resemblance {
	if r.free == nil {
		r.free = register[string]{}
		for _, id := range sortedKeys(r.users) {
			u := r.users[id]
			if a := r.accounts[id]; a.Person == "" && a.Decision != AsLocal && !r.sacred(u) {
				r.free.add(cluesOf(u), id)
			}
		}
	}
	found, _ := r.free.find(p.clues(), SameSubject, SameAccount)
	switch len(found) {
	case 0:
	case 1:
		return resemblance{user: r.users[found[0]]}
	default:
		return resemblance{conflict: "Several accounts on the server seem to be " + p.Username + "'s: choose one among the accounts of the Space."}
	}
	if found, _ := r.free.find(p.clues(), SameEmail); len(found) > 0 {
		return resemblance{conflict: "The account " + r.users[found[0]].Text("Username") + " on the server has the same e-mail address: decide among the accounts of the Space whether it is the person's."}
	}
	if _, taken := r.named[strings.ToLower(r.nameFor(p))]; taken {
		return resemblance{conflict: "The server has an account " + p.Username + " already, which is not known to be the person's: decide among the accounts of the Space."}
	}
	return resemblance{}
}

// nameFor is what an account of the person is to be called. A name that belongs to an account which is never the person's, such
// as the administrator "admin" whose key ODCM uses, is left to it: people come by their identity, so the name only has to differ.
func (r *run) nameFor(p Person) string {
	if r.named == nil {
		r.named = map[string]string{}
		for id, u := range r.users {
			r.named[strings.ToLower(u.Text("Username"))] = id
		}
	}
	if id, taken := r.named[strings.ToLower(p.Username)]; !taken || !r.sacred(r.users[id]) {
		return p.Username
	}
	if email := pushedEmail(p); email != "" {
		return email
	}
	return p.Username + "-odcm"
}
