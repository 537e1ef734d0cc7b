package push

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"odcm"
	"odcm/manager/access"
	"odcm/manager/access/roster"
	"odcm/octopus"
)

// bringAccounts lets in whoever is wished for. It tells whether any account was made or found that had no record.
func (r *run) bringAccounts(ctx context.Context) (made bool, err error) {
	var late []roster.Account // records whose loss costs no more than a repetition
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
func (r *run) account(ctx context.Context, person access.Person) (string, error) {
	if match := r.resembling(person); match.user.Len() > 0 {
		u := match.user
		a := roster.Account{Instance: r.place.Instance, ID: u.ID(), Username: u.Text("Username"), Person: person.ID, Decision: roster.ByRule, Origin: roster.Found, Active: u.Bool("IsActive")}
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
	user, _ = roster.Shape(user, person, r.slot.Provider)
	user, err := r.server.CreateUser(ctx, user)
	if kind := odcm.KindOf(err); kind == odcm.Invalid || kind == odcm.Conflict || kind == odcm.Exists {
		r.failed[person.ID] = "The server takes no account for " + name + ": " + publicMessage(err)
		return "", nil
	}
	if err != nil {
		return "", err
	}
	r.users[user.ID()] = user
	return user.ID(), r.record(ctx, roster.Account{Instance: r.place.Instance, ID: user.ID(), Username: name, Person: person.ID,
		Decision: roster.ByRule, Origin: roster.Made, Managed: true, Active: true, Applied: r.print(person)})
}

// bringAccount writes the difference, if any.
func (r *run) bringAccount(ctx context.Context, a roster.Account, actual octopus.Object, person access.Person) (_ roster.Account, changed bool, err error) {
	print := r.print(person)
	if r.sacred(actual) {
		if a.Applied == print {
			return a, false, nil
		}
		a.Applied = print // nothing is written, and nothing is missing
		return a, true, nil
	}
	want, difference := roster.Shape(actual, person, r.slot.Provider)
	if name, other := r.renamed(a, actual, person); other {
		want.Set("Username", name)
		difference = append(difference, "Username")
	}
	if len(difference) > 0 {
		if a.Applied == print { // we had written exactly this: somebody else changed it
			what := fmt.Sprintf("%s of the account %s was changed on the server", strings.Join(difference, ", "), a.Username)
			r.o.Observer.Drifted(1)
			if r.state.Policy == roster.Leave {
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
		if name := written.Text("Username"); name != a.Username {
			a.Username, r.named = name, nil // made anew when it is asked next
		}
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
			if r.state.Policy == roster.Leave {
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
func (r *run) revoke(ctx context.Context, a roster.Account, actual octopus.Object) (err error) {
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

func (r *run) record(ctx context.Context, rows ...roster.Account) error {
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
