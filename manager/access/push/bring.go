package push

import (
	"context"
	"errors"
	"slices"
	"strings"

	"odcm"
	"odcm/manager/access"
	"odcm/manager/access/roster"
	"odcm/octopus"
)

// work is what differs between wish and records.
type work struct {
	make   []odcm.UserID // people without an account
	write  []string      // accounts
	revoke []string      // accounts
	teams  []string
}

func (w work) none() bool { return len(w.make)+len(w.write)+len(w.revoke)+len(w.teams) == 0 }

// differs compares wish and records, without asking the server.
func (r *run) differs() (w work) {
	for _, id := range sortedKeys(r.wanted) {
		account, has := r.owned[id]
		switch {
		case !has:
			w.make = append(w.make, id)
		case r.accounts[account].Applied != r.print(r.people[id]):
			w.write = append(w.write, account)
		}
	}
	for _, id := range sortedKeys(r.accounts) {
		if r.gone(r.accounts[id]) {
			w.revoke = append(w.revoke, id)
		}
	}
	for _, t := range r.teams {
		if !r.asWritten(t) {
			w.teams = append(w.teams, t.Team)
		}
	}
	for _, t := range r.written {
		if t.Mapped && !slices.ContainsFunc(r.teams, func(d access.DesiredTeam) bool { return d.Team == t.Team }) {
			w.teams = append(w.teams, t.Team)
		}
	}
	return w
}

// gone tells whether the account is to be shut. One that ODCM never wrote to is shut only when its person is disabled or
// deleted: that nobody granted anything yet shuts nobody out of a server that was just enlisted.
func (r *run) gone(a roster.Account) bool {
	if a.Person == "" || a.Decision == roster.AsLocal || r.wanted[a.Person] {
		return false
	}
	person, known := r.people[a.Person]
	return a.Active && (a.Managed || !known || person.Disabled)
}

// print is the fingerprint of an account that lets the person in.
func (r *run) print(p access.Person) string {
	return digest(r.slot.Provider + "\n" + string(p.ID) + "\n" + p.Username + "\n" + p.DisplayName + "\n" + roster.PushedEmail(p))
}

// bring makes the server as it is wished.
func (r *run) bring(ctx context.Context) (err error) {
	w := r.differs()
	if r.server, err = r.o.Servers.Server(ctx, r.place.Instance); err != nil {
		return err
	}
	now := r.o.Now()
	latest := ""
	r.full = len(w.make)+len(r.state.Making) > 0 || r.state.Looked.IsZero() || now.Sub(r.state.Looked) >= r.o.LookEvery || r.state.Looked.After(now)
	if w.none() || r.full { // with a difference at hand, the look that somebody's changes need waits for the next run
		if latest, err = r.server.Latest(ctx); err != nil {
			return err
		}
		r.full = r.full || latest == "" || latest != r.state.Latest
	}
	if w.none() && !r.full {
		return r.acknowledge(ctx)
	}
	teams, err := r.read(ctx, w)
	if err != nil {
		return err
	}
	// Out of the teams first, then the account itself: whoever is to go can do nothing from the first write on.
	if err := r.bringTeams(ctx, teams); err != nil {
		return err
	}
	if err := r.revokeAll(ctx); err != nil {
		return err
	}
	made, err := r.bringAccounts(ctx)
	if err != nil {
		return err
	}
	if made { // those who are new can be members now
		if err := r.bringTeams(ctx, teams); err != nil {
			return err
		}
	}
	if r.full {
		r.state.Looked, r.state.Latest, r.saw = now, latest, true
	}
	return r.acknowledge(ctx)
}

// read gets what is to be compared from the server: everything, or what the records say is different.
func (r *run) read(ctx context.Context, w work) (map[string]octopus.Object, error) {
	me, err := r.server.Me(ctx)
	if err != nil {
		return nil, err
	}
	r.me = me.ID()
	ids := append(slices.Clone(w.write), w.revoke...)
	if !r.full && len(ids) > 0 {
		if err := r.readUsers(ctx, ids); err != nil {
			return nil, err
		}
		// One that is no longer there must be made again, and one that is to be called otherwise may find its name taken: both
		// need a look at all.
		r.full = slices.ContainsFunc(ids, func(id string) bool {
			u, there := r.users[id]
			a := r.accounts[id]
			return !there || a.Origin == roster.Made && r.wanted[a.Person] && u.Text("Username") != r.people[a.Person].Username
		})
	}
	var only []string
	if r.full {
		if err := r.readUsers(ctx, nil); err != nil {
			return nil, err
		}
		if err := errors.Join(r.dropMissing(ctx), r.adopt(ctx)); err != nil {
			return nil, err
		}
	} else if only = w.teams; len(only) == 0 {
		return nil, nil
	}
	if r.full && len(r.teams)+len(r.written) == 0 {
		return nil, nil
	}
	list, err := r.server.Teams(ctx, r.place.Octopus, only)
	if err != nil {
		return nil, err
	}
	teams := make(map[string]octopus.Object, len(list))
	for _, t := range list {
		teams[t.ID()] = t
	}
	return teams, nil
}

func (r *run) readUsers(ctx context.Context, ids []string) error {
	list, err := r.server.Users(ctx, ids)
	if err != nil {
		return err
	}
	for _, u := range list {
		r.users[u.ID()] = u
	}
	return nil
}

// dropMissing forgets the accounts that somebody deleted on the server.
func (r *run) dropMissing(ctx context.Context) error {
	var missing []string
	for id, a := range r.accounts {
		if _, there := r.users[id]; !there {
			missing = append(missing, id)
			delete(r.accounts, id)
			if r.owned[a.Person] == id {
				delete(r.owned, a.Person)
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return r.o.Store.DropAccounts(ctx, r.place.Instance, missing)
}

// adopt records accounts that ODCM or a sign-in through it made and that are on no record: a run that ended at the wrong moment
// must not leave somebody in who is no longer wished for.
func (r *run) adopt(ctx context.Context) error {
	found := map[odcm.UserID]octopus.Object{}
	making := map[string]odcm.UserID{}
	if len(r.state.Making) > 0 {
		people, err := r.o.People.People(ctx, r.state.Making)
		if err != nil {
			return err
		}
		for id, person := range people {
			making[strings.ToLower(r.nameFor(person))] = id
			r.people[id] = person
		}
	}
	for _, u := range r.users {
		if a := r.accounts[u.ID()]; a.Person != "" || r.sacred(u) {
			continue
		}
		if id, is := making[strings.ToLower(u.Text("Username"))]; is {
			found[id] = u
		}
		for _, i := range u.Objects("Identities") {
			if id := roster.ClaimOf(i, roster.ClaimID); r.slot.Provider != "" && i.Text("IdentityProviderName") == r.slot.Provider && id != "" {
				found[odcm.UserID(id)] = u
			}
		}
	}
	if len(found) == 0 {
		return nil
	}
	people, err := r.o.People.People(ctx, sortedKeys(found))
	if err != nil {
		return err
	}
	var rows []roster.Account
	for _, id := range sortedKeys(people) {
		r.people[id] = people[id]
		if _, has := r.owned[id]; has {
			continue
		}
		u := found[id]
		a := roster.Account{Instance: r.place.Instance, ID: u.ID(), Username: u.Text("Username"), Person: id, Decision: roster.ByRule, Origin: roster.Made, Managed: true, Active: u.Bool("IsActive")}
		if len(u.Objects("Identities")) > 1 { // it was somebody's before
			a.Origin, a.Managed = roster.Found, false
		}
		rows = append(rows, a)
	}
	return r.record(ctx, rows...)
}

// sacred tells whether ODCM may not write to the user: service accounts, the user whose key it uses itself, and whom an
// administrator left to the server.
func (r *run) sacred(u octopus.Object) bool {
	return octopus.User{Object: u}.IsService() || u.ID() == r.me || r.accounts[u.ID()].Decision == roster.AsLocal
}

// acknowledge records what the server has now.
func (r *run) acknowledge(ctx context.Context) error {
	now := r.o.Now()
	var rows []roster.Acknowledgement
	open := false
	for _, id := range sortedKeys(r.waiting) {
		a := r.waiting[id]
		before := a
		failed, drifted := r.failed[id], r.drifted[id]
		switch {
		case failed != "":
			a.State, a.Reason, open = access.Failed, failed, true
		case drifted != "":
			a.State, a.Reason = access.Drifted, drifted
		case a.State == access.Drifted && !r.full: // nobody looked
		default:
			a.State, a.Reason, a.Applied, a.Revision = access.Applied, "", now, r.state.Revision
			if !a.Enter {
				r.state.Revoke, r.saw = a.Lag(now), true
				r.o.Observer.Revoked(r.state.Revoke)
			}
		}
		if a != before {
			rows = append(rows, a)
		}
	}
	late, err := r.lateDrift(ctx)
	if err != nil {
		return err
	}
	rows = append(rows, late...)
	if len(rows) > 0 {
		if err := r.o.Store.SaveAcknowledgements(ctx, rows); err != nil {
			return err
		}
		r.o.Roster.Tell(r.place.Space)
	}
	if !open && len(r.state.Making) > 0 {
		r.state.Making, r.saw = nil, true
	}
	if !open && r.state.Done != r.state.Revision {
		r.state.Done, r.state.Applied, r.saw, r.again = r.state.Revision, now, true, !r.full
	}
	return nil
}

// lateDrift marks those who had arrived and whom somebody took something since.
func (r *run) lateDrift(ctx context.Context) ([]roster.Acknowledgement, error) {
	var ids []odcm.UserID
	for _, id := range sortedKeys(r.drifted) {
		if _, is := r.waiting[id]; !is {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := r.o.Store.Acknowledgements(ctx, r.place.Space, ids)
	for i := range rows {
		rows[i].State, rows[i].Reason = access.Drifted, r.drifted[rows[i].Person]
	}
	return rows, err
}
