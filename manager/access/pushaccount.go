package access

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"odcm"
	"odcm/octopus"
)

// Claims of a user's identity on an Octopus server (IdentityCreator of its OpenID Connect providers). The provider's own
// name for somebody is eid: with ODCM that is the person's id.
const (
	claimEmail = "email"
	claimName  = "dn"
	claimID    = "eid"
)

// pushedEmail is the address that a server may know: an Octopus server finds people by it, so only one that is proven goes out.
func pushedEmail(p Person) string {
	if !p.EmailVerified {
		return ""
	}
	return p.Email
}

// shape is the user as it should be, made from what is there, and the names of what differs.
func shape(actual octopus.Object, p Person, slot Slot) (octopus.Object, []string) {
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
	email := pushedEmail(p)
	set("EmailAddress", email, email == "" || strings.EqualFold(actual.Text("EmailAddress"), email))
	if slot.Provider == "" {
		return want, difference
	}
	identities, changed := identify(actual.Objects("Identities"), p, slot)
	set("Identities", identities, !changed)
	return want, difference
}

// identify puts the identity by which the person is known at sign-in among the others.
func identify(all []octopus.Object, p Person, slot Slot) ([]octopus.Object, bool) {
	claim := func(value string, identifies bool) map[string]any {
		return map[string]any{"Value": value, "IsIdentifyingClaim": identifies}
	}
	claims := map[string]any{claimID: claim(string(p.ID), true), claimName: claim(p.DisplayName, false)}
	if email := pushedEmail(p); email != "" {
		claims[claimEmail] = claim(email, true)
	}
	at := slices.IndexFunc(all, func(i octopus.Object) bool {
		return i.Text("IdentityProviderName") == slot.Provider && claimOf(i, claimID) == string(p.ID)
	})
	if at < 0 {
		var mine octopus.Object
		mine.Set("IdentityProviderName", slot.Provider)
		mine.Set("Claims", claims)
		return append(slices.Clone(all), mine), true
	}
	// What else is in the identity stays as the server has it; only what finds somebody is put right. The display name
	// there is the server's own note of the last sign-in.
	email := pushedEmail(p)
	if strings.EqualFold(claimOf(all[at], claimEmail), email) || email == "" {
		return all, false
	}
	mine := all[at].Clone()
	kept := mine.Object("Claims").Clone()
	kept.Set(claimEmail, claims[claimEmail])
	mine.Set("Claims", kept)
	all = slices.Clone(all)
	all[at] = mine
	return all, true
}

func claimOf(identity octopus.Object, claim string) string {
	return identity.Object("Claims").Object(claim).Text("Value")
}

// bringAccounts lets in whoever is wished for. It tells whether any account was made or found that had no record.
func (r *run) bringAccounts(ctx context.Context) (made bool, err error) {
	var late []Account // records whose loss costs no more than a repetition
	if err := r.announce(ctx); err != nil {
		return false, err
	}
	for _, id := range sortedKeys(r.wanted) {
		person := r.people[id]
		account, has := r.owned[id]
		if !has && r.failed[id] == "" {
			if account, err = r.account(ctx, person); err != nil {
				return made, err
			}
			made = made || account != ""
		}
		actual, seen := r.users[account]
		if !seen {
			continue // not read because nothing differs
		}
		a, changed, err := r.bringAccount(ctx, r.accounts[account], actual, person)
		if err != nil {
			return made, err
		}
		if changed {
			late = append(late, a)
		}
	}
	return made, r.record(ctx, late...)
}

// announce records whose accounts will be made, and says of whom a conflict stands in the way.
func (r *run) announce(ctx context.Context) error {
	making := slices.Clone(r.state.Making)
	for _, id := range sortedKeys(r.wanted) {
		if _, has := r.owned[id]; has {
			continue
		}
		switch match := r.resembling(r.people[id]); {
		case match.conflict != "":
			r.failed[id] = match.conflict
		case match.user.Len() == 0 && !slices.Contains(making, id):
			making = append(making, id)
		}
	}
	if len(making) == len(r.state.Making) {
		return nil
	}
	r.state.Making = making
	return r.o.Store.SavePush(ctx, r.state)
}

// account finds or makes the account of somebody who has none on record; "" where the server refuses.
func (r *run) account(ctx context.Context, person Person) (string, error) {
	if match := r.resembling(person); match.user.Len() > 0 {
		u := match.user
		a := Account{Instance: r.place.Instance, ID: u.ID(), Username: u.Text("Username"), Person: person.ID, Decision: ByRule, Origin: Found, Active: u.Bool("IsActive")}
		return u.ID(), r.record(ctx, a)
	}
	user := octopus.Object{}
	name := r.nameFor(person)
	user.Set("Username", name)
	user.Set("DisplayName", person.DisplayName)
	if person.DisplayName == "" {
		user.Set("DisplayName", person.Username)
	}
	user.Set("IsService", false)
	user, _ = shape(user, person, r.slot)
	user, err := r.server.CreateUser(ctx, user)
	if kind := odcm.KindOf(err); kind == odcm.Invalid || kind == odcm.Conflict || kind == odcm.Exists {
		r.failed[person.ID] = "The server takes no account for " + name + ": " + publicMessage(err)
		return "", nil
	}
	if err != nil {
		return "", err
	}
	r.users[user.ID()] = user
	return user.ID(), r.record(ctx, Account{Instance: r.place.Instance, ID: user.ID(), Username: name, Person: person.ID,
		Decision: ByRule, Origin: Made, Managed: true, Active: true, Applied: r.print(person)})
}

// bringAccount writes the difference, if any.
func (r *run) bringAccount(ctx context.Context, a Account, actual octopus.Object, person Person) (_ Account, changed bool, err error) {
	print := r.print(person)
	if r.sacred(actual) {
		if a.Applied == print {
			return a, false, nil
		}
		a.Applied = print // nothing is written, and nothing is missing
		return a, true, nil
	}
	want, difference := shape(actual, person, r.slot)
	if len(difference) > 0 {
		if a.Applied == print { // we had written exactly this: somebody else changed it
			what := fmt.Sprintf("%s of the account %s was changed on the server", strings.Join(difference, ", "), a.Username)
			r.o.Observer.Drifted(1)
			if r.state.Policy == Leave {
				r.drifted[person.ID] = what + ", and is left so."
				return a, false, nil
			}
			r.log.InfoContext(ctx, "an account was changed by somebody and is repaired", "space", r.place.Space, "account", a.ID, "difference", difference)
		}
		if !a.Managed {
			if a.Previous, err = actual.MarshalJSON(); err != nil {
				return a, false, err
			}
			a.Managed = true
			if err := r.record(ctx, a); err != nil { // before it is written: what was there must not be lost
				return a, false, err
			}
		}
		written, err := r.server.UpdateUser(ctx, want)
		if kind := odcm.KindOf(err); kind == odcm.Invalid || kind == odcm.Conflict {
			r.failed[person.ID] = "The server does not take the account of " + a.Username + " as it should be: " + publicMessage(err)
			return a, false, nil
		}
		if err != nil {
			return a, false, err
		}
		r.users[a.ID] = written
	}
	if a.Applied == print && a.Active && a.Managed {
		return a, false, nil
	}
	if !a.Managed && len(a.Previous) == 0 {
		if a.Previous, err = actual.MarshalJSON(); err != nil {
			return a, false, err
		}
	}
	a.Applied, a.Active, a.Managed = print, true, true
	return a, true, nil
}

// revokeAll shuts the accounts of those whom no Space of the instance lets in, and those that somebody opened again.
func (r *run) revokeAll(ctx context.Context) error {
	for _, id := range sortedKeys(r.accounts) {
		a := r.accounts[id]
		actual, seen := r.users[id]
		if !seen {
			continue
		}
		if r.sacred(actual) {
			if r.gone(a) {
				r.failed[a.Person] = "The account " + a.Username + " on the server is the one whose API key ODCM uses, or a service account: ODCM does not shut it."
			}
			continue
		}
		reopened := a.Person != "" && a.Managed && !a.Active && actual.Bool("IsActive") && !r.wanted[a.Person]
		if reopened {
			r.o.Observer.Drifted(1)
			if r.state.Policy == Leave {
				r.drifted[a.Person] = "Somebody opened the account " + a.Username + " on the server again, and that is left so."
				continue
			}
		}
		if !reopened && !r.gone(a) {
			continue
		}
		if err := r.revoke(ctx, a, actual); err != nil {
			return err
		}
	}
	return nil
}

// revoke shuts an account: no sign-in, no session, no key. Each of the writes may be repeated; the record comes last.
func (r *run) revoke(ctx context.Context, a Account, actual octopus.Object) (err error) {
	if !a.Managed {
		if a.Previous, err = actual.MarshalJSON(); err != nil {
			return err
		}
		a.Managed = true
		if err := r.record(ctx, a); err != nil {
			return err
		}
	}
	if actual.Bool("IsActive") {
		shut := actual.Clone()
		shut.Set("IsActive", false)
		if shut, err = r.server.UpdateUser(ctx, shut); err != nil {
			return err
		}
		r.users[a.ID] = shut
	}
	if err := r.server.RevokeSessions(ctx, a.ID); err != nil {
		return err
	}
	keys, err := r.server.APIKeys(ctx, a.ID)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := r.server.DeleteAPIKey(ctx, a.ID, key.ID()); err != nil && odcm.KindOf(err) != odcm.NotFound {
			return err
		}
	}
	a.Active, a.Applied = false, ""
	return r.record(ctx, a)
}

func (r *run) record(ctx context.Context, rows ...Account) error {
	if len(rows) == 0 {
		return nil
	}
	now := r.o.Now()
	for i := range rows {
		rows[i].Changed = now
		r.keep(rows[i])
	}
	return r.o.Store.SaveAccounts(ctx, rows)
}
