package roster

import (
	"context"
	"slices"
	"strings"

	"odcm"
	"odcm/manager/access"
)

// Choice is what an administrator says of an account.
type Choice struct {
	Account string // its id on the server
	Do      Doing
	Person  odcm.UserID // with Link
}

// Doing is what becomes of an account.
type Doing string

// What becomes of an account.
const (
	Link   Doing = "link"   // it is that person's
	Local  Doing = "local"  // it stays the server's own and is never touched
	Invite Doing = "invite" // its address is invited to ODCM
	Create Doing = "create" // a person is made of it
	Undo   Doing = "undo"   // the decision is taken back
)

// DecideAt keeps what an administrator says of accounts of a Space's server.
func (r *Roster) DecideAt(ctx context.Context, by odcm.Principal, ref string, choices []Choice) (err error) {
	defer odcm.Wrap(&err, "decide about accounts of %s", ref)
	place, err := r.shared(ctx, by, access.ActionDecide, ref)
	if err != nil {
		return err
	}
	server, err := r.o.Servers.Server(ctx, place.Instance)
	if err != nil {
		return err
	}
	seen, err := r.Survey(ctx, server, place.Instance)
	if err != nil {
		return err
	}
	if !r.DecidesAnything(ctx, by) {
		if choices, err = ofSteward(seen, choices); err != nil {
			return err
		}
	}
	return r.Decide(ctx, by, place.Instance, seen, choices)
}

// DecidesAnything tells whether somebody may link any account to any person, and make people of accounts. Who administers
// a Space alone may not: what he is linked to may do more on the server than he.
func (r *Roster) DecidesAnything(ctx context.Context, by odcm.Principal) bool {
	return r.o.Gate.Authorize(ctx, by, access.ActionDecide, "") == nil
}

// ofSteward returns the choices of somebody who administers the Space alone.
func ofSteward(seen []Seen, choices []Choice) ([]Choice, error) {
	choices = slices.Clone(choices)
	for i, c := range choices {
		switch c.Do {
		case Link:
			var found bool
			if choices[i].Person, found = suggested(seen, c); !found {
				return nil, odcm.E(odcm.Denied, "account.link-any", "Nothing says that the account %s is that person's: only an administrator of ODCM may.", c.Account).OnField("person")
			}
		case Invite, Create:
			return nil, odcm.E(odcm.Denied, "account.newcomers", "Only an administrator of ODCM makes people of accounts.").OnField("do")
		}
	}
	return choices, nil
}

// suggested returns whom a choice names, if the rules found the person for the account, alone or among others.
func suggested(seen []Seen, c Choice) (odcm.UserID, bool) {
	for _, s := range seen {
		for _, p := range append(slices.Clone(s.Between), s.Person) {
			if s.ID == c.Account && p.ID != "" && (p.ID == c.Person || strings.EqualFold(p.Username, string(c.Person))) {
				return p.ID, true
			}
		}
	}
	return "", false
}

// Decide keeps what an administrator says of the accounts that a survey saw. It does not authorise: the enlistment that it is
// a part of has. Doing it again changes nothing.
func (r *Roster) Decide(ctx context.Context, by odcm.Principal, instance odcm.InstanceID, seen []Seen, choices []Choice) (err error) {
	defer odcm.Wrap(&err, "decide about accounts")
	kept, err := r.o.Store.Accounts(ctx, instance)
	if err != nil {
		return err
	}
	rows := map[string]Account{}
	for _, a := range kept {
		rows[a.ID] = a
	}
	var changed []Account
	var dropped []string
	var events []odcm.Event
	for _, c := range choices {
		i := slices.IndexFunc(seen, func(s Seen) bool { return s.ID == c.Account })
		if i < 0 {
			return odcm.E(odcm.Invalid, "account.unknown", "The server has no account %s: it may have been deleted meanwhile.", c.Account).OnField("account")
		}
		a, do, err := r.choose(ctx, by, instance, rows, seen[i], c)
		if err != nil {
			return err
		}
		if !do {
			continue
		}
		before := rows[a.ID]
		if c.Do == Undo {
			dropped = append(dropped, a.ID)
			delete(rows, a.ID)
		} else {
			rows[a.ID] = a
			changed = append(changed, a)
		}
		events = append(events, odcm.NewEvent(by, "account.decided", string(instance), seen[i].Username, told(before), told(a)))
	}
	if len(dropped) > 0 {
		if err := r.o.Store.DropAccounts(ctx, instance, dropped); err != nil {
			return err
		}
	}
	if len(events) == 0 {
		return nil
	}
	if err := r.o.Store.SaveAccounts(ctx, changed, events...); err != nil {
		return err
	}
	on, err := r.o.Places.On(ctx, instance)
	for _, place := range on {
		r.Decided(place.Space)
	}
	return err
}

type toldAccount struct {
	Account  string      `json:"account"`
	Person   odcm.UserID `json:"person,omitempty"`
	Decision Decided     `json:"decision,omitempty"`
}

func told(a Account) any {
	if a.ID == "" {
		return nil
	}
	return toldAccount{a.ID, a.Person, a.Decision}
}

// choose makes the row that a choice asks for; false where it is so already.
func (r *Roster) choose(ctx context.Context, by odcm.Principal, instance odcm.InstanceID, rows map[string]Account, s Seen, c Choice) (a Account, do bool, err error) {
	a, known := rows[s.ID]
	if !known {
		a = Account{Instance: instance, ID: s.ID, Origin: Found, Active: s.Active}
	}
	a.Username, a.Changed = s.Username, r.o.Now()
	before := a
	if s.Untouched == "service" && c.Do != Local && c.Do != Undo {
		return a, false, odcm.E(odcm.Invalid, "account.service", "%s is a service account: it is no person's.", s.Username).OnField("account")
	}
	switch c.Do {
	case Undo:
		if a.Managed {
			return a, false, odcm.E(odcm.Conflict, "account.managed", "ODCM has written to the account %s: whose it is can be changed when its person may enter no Space of that server, and the server was handed back.",
				s.Username).OnField("account")
		}
		return a, known, nil
	case Local:
		if a.Managed && a.Active {
			return a, false, odcm.E(odcm.Conflict, "account.managed", "%s may enter a Space of that server by the account %s: take the grant away first.", a.Person, s.Username).OnField("account")
		}
		a.Person, a.Decision = "", AsLocal
	case Link:
		person, err := r.personOf(ctx, c.Person)
		if err != nil {
			return a, false, err
		}
		c.Person = person
		for _, other := range rows {
			if other.Person == c.Person && other.ID != s.ID {
				return a, false, odcm.E(odcm.Conflict, "account.owned", "The person has the account %s on that server already: take that decision back first.", other.Username).OnField("person")
			}
		}
		a.Person, a.Decision = c.Person, ByHand
	case Invite, Create:
		if r.o.Newcomers == nil {
			return a, false, odcm.E(odcm.Unsupported, "account.no-newcomers", "People cannot be made here.").OnField("do")
		}
		if a.Person != "" || a.Decision == Invited && c.Do == Invite {
			return a, false, nil
		}
		if c.Do == Invite {
			a.Decision = Invited
			err = r.o.Newcomers.Invite(ctx, by, s.Email, s.DisplayName)
		} else {
			a.Decision = ByHand
			a.Person, err = r.o.Newcomers.CreatePerson(ctx, by, s.Username, s.DisplayName, s.Email)
		}
		if err != nil {
			return a, false, err
		}
	default:
		return a, false, odcm.E(odcm.Invalid, "account.choice", "Choose link, local, invite, create or undo.").OnField("do")
	}
	return a, !known || a.Person != before.Person || a.Decision != before.Decision, nil
}

// personOf finds whom a choice names, by id or in any way that a person is known by.
func (r *Roster) personOf(ctx context.Context, ref odcm.UserID) (odcm.UserID, error) {
	found, err := r.o.People.People(ctx, []odcm.UserID{ref})
	if _, known := found[ref]; known || err != nil {
		return ref, err
	}
	person, err := r.o.People.FindPerson(ctx, string(ref))
	if odcm.KindOf(err) == odcm.NotFound {
		err = odcm.E(odcm.Invalid, "account.person-unknown", "There is no such person.").OnField("person")
	}
	return person.ID, err
}

// Accept keeps what a survey found without conflict, and what was chosen instead. It returns how many accounts are somebody's
// then. It does not authorise, and may be repeated.
func (r *Roster) Accept(ctx context.Context, by odcm.Principal, instance odcm.InstanceID, seen []Seen, chosen []Choice) (int, error) {
	all := slices.Clone(chosen)
	linked := 0
	for _, s := range seen {
		i := slices.IndexFunc(chosen, func(c Choice) bool { return c.Account == s.ID })
		if i < 0 && s.Person.ID != "" && s.Untouched == "" && s.Decision == "" {
			all = append(all, Choice{Account: s.ID, Do: Link, Person: s.Person.ID})
		}
		if i < 0 && s.Person.ID != "" || i >= 0 && (chosen[i].Do == Link || chosen[i].Do == Create) {
			linked++
		}
	}
	return linked, r.Decide(ctx, by, instance, seen, all)
}
