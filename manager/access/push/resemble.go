package push

import (
	"strings"

	"odcm/manager/access"
	"odcm/manager/access/roster"
	"odcm/octopus"
)

// resemblance is what the server has of somebody without an account on record.
type resemblance struct {
	user     octopus.Object
	conflict string // why no account can be made or taken, for people
}

// resembling looks for the person among the users that are nobody's.
func (r *run) resembling(p access.Person) resemblance {
	if r.free == nil {
		r.free = roster.Finder[string]{}
		for _, id := range sortedKeys(r.users) {
			u := r.users[id]
			if a := r.accounts[id]; a.Person == "" && a.Decision != roster.AsLocal && !r.sacred(u) {
				r.free.Add(roster.CluesOf(u), id)
			}
		}
	}
	found, _ := r.free.Find(roster.CluesTo(p), roster.SameSubject, roster.SameAccount)
	switch len(found) {
	case 0:
	case 1:
		return resemblance{user: r.users[found[0]]}
	default:
		return resemblance{conflict: "Several accounts on the server seem to be " + p.Username + "'s: choose one among the accounts of the Space."}
	}
	if found, _ := r.free.Find(roster.CluesTo(p), roster.SameEmail); len(found) > 0 {
		return resemblance{conflict: "The account " + r.users[found[0]].Text("Username") + " on the server has the same e-mail address: decide among the accounts of the Space whether it is the person's."}
	}
	if _, taken := r.named[strings.ToLower(r.nameFor(p))]; taken {
		return resemblance{conflict: "The server has an account " + p.Username + " already, which is not known to be the person's: decide among the accounts of the Space."}
	}
	return resemblance{}
}

// renamed tells what an account that ODCM made is to be called now, if that is something else. While another account has the
// name, it keeps the one that it has: people come by their identity.
func (r *run) renamed(a roster.Account, actual octopus.Object, p access.Person) (string, bool) {
	if a.Origin != roster.Made {
		return "", false
	}
	name := r.nameFor(p)
	other, taken := r.named[strings.ToLower(name)]
	return name, name != actual.Text("Username") && (!taken || other == a.ID)
}

// nameFor is what an account of the person is to be called. A name that belongs to an account which is never the person's, such
// as the administrator "admin" whose key ODCM uses, is left to it: people come by their identity, so the name only has to differ.
func (r *run) nameFor(p access.Person) string {
	if r.named == nil {
		r.named = map[string]string{}
		for id, u := range r.users {
			r.named[strings.ToLower(u.Text("Username"))] = id
		}
	}
	if id, taken := r.named[strings.ToLower(p.Username)]; !taken || !r.sacred(r.users[id]) {
		return p.Username
	}
	if email := roster.PushedEmail(p); email != "" {
		return email
	}
	return p.Username + "-odcm"
}
