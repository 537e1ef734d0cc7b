package access

import (
	"context"
	"slices"
	"strings"

	"odcm"
	"odcm/octopus"
)

// Actions on the accounts of Spaces; the resource is the Space's id, "" before it is enlisted.
const (
	ActionAccounts odcm.Action = "account.read"
	ActionDecide   odcm.Action = "account.decide"
	ActionPolicy   odcm.Action = "account.policy"
)

// Seen is a user of an Octopus server beside whom it may be in ODCM.
type Seen struct {
	ID          string
	Username    string
	DisplayName string
	Email       string
	Active      bool
	Providers   []string // through which it signs in there; none: by a password of that server
	// Untouched says why ODCM never writes to the account: "service", "key" (ODCM uses its API key), "local" (so decided).
	Untouched string
	Person    Person  // zero where nobody, or more than one
	Rule      Rule    // by which the person was found, "" for a decision that was kept
	Decision  Decided // that was kept, "" if none
	Conflict  Conflict
	Between   []Person // whom the conflict is between
}

// Conflict is why the administrator has to say who an account is.
type Conflict string

// The conflicts.
const (
	NoConflict     Conflict = ""
	SeveralPeople  Conflict = "people"   // the account looks like several people's
	SeveralUsers   Conflict = "accounts" // several accounts look like one person's
	SharedAddress  Conflict = "address"  // several accounts have one e-mail address
	OwnedElsewhere Conflict = "owned"    // the person has another account there already
)

// Survey reads the server's users and says who they are. The instance is "" for a server that is not enlisted yet.
func (p *Push) Survey(ctx context.Context, server Server, instance odcm.InstanceID) (_ []Seen, err error) {
	defer odcm.Wrap(&err, "survey accounts")
	users, err := server.Users(ctx, nil)
	if err != nil {
		return nil, err
	}
	me, err := server.Me(ctx)
	if err != nil {
		return nil, err
	}
	rows := map[string]Account{}
	if instance != "" {
		kept, err := p.o.Store.Accounts(ctx, instance)
		if err != nil {
			return nil, err
		}
		for _, a := range kept {
			rows[a.ID] = a
		}
	}
	everybody, known := register[odcm.UserID]{}, map[odcm.UserID]Person{}
	if p.o.Everybody != nil {
		for person, err := range p.o.Everybody.Everybody(ctx) {
			if err != nil {
				return nil, err
			}
			known[person.ID] = person
			everybody.add(person.clues(), person.ID)
		}
	}
	return recognise(users, me.ID(), rows, known, everybody), nil
}

// recognise says who the users are: by the decisions that were kept, else by the rules.
func recognise(users []octopus.Object, me string, rows map[string]Account, known map[odcm.UserID]Person, everybody register[odcm.UserID]) []Seen {
	owner := map[odcm.UserID]int{} // how many accounts seem to be the person's
	address := map[string]int{}
	owned := map[odcm.UserID]bool{}
	for _, a := range rows {
		if a.Person != "" {
			owned[a.Person] = true
		}
	}
	all := make([]Seen, len(users))
	for i, u := range users {
		s := Seen{ID: u.ID(), Username: u.Text("Username"), DisplayName: u.Text("DisplayName"), Email: u.Text("EmailAddress"), Active: u.Bool("IsActive")}
		for _, identity := range u.Objects("Identities") {
			s.Providers = append(s.Providers, identity.Text("IdentityProviderName"))
		}
		row := rows[s.ID]
		s.Decision = row.Decision
		switch {
		case u.Bool("IsService"):
			s.Untouched = "service"
		case row.Decision == AsLocal:
			s.Untouched = string(AsLocal)
		case s.ID == me:
			s.Untouched = "key"
		}
		if s.Email != "" {
			address[strings.ToLower(s.Email)]++
		}
		switch {
		case s.Untouched == "service" || row.Decision == AsLocal:
		case row.Person != "":
			s.Person = known[row.Person]
			s.Person.ID = row.Person
		default:
			found, by := everybody.find(cluesOf(u), SameSubject, SameAccount, SameEmail)
			switch {
			case len(found) > 1:
				s.Conflict, s.Rule = SeveralPeople, by
				slices.Sort(found)
				for _, id := range found {
					s.Between = append(s.Between, known[id])
				}
			case len(found) == 1:
				s.Person, s.Rule = known[found[0]], by
				owner[found[0]]++
			}
		}
		all[i] = s
	}
	for i := range all {
		s := &all[i]
		if s.Person.ID == "" || s.Rule == "" {
			continue
		}
		switch {
		case owned[s.Person.ID]:
			s.Conflict = OwnedElsewhere
		case owner[s.Person.ID] > 1:
			s.Conflict = SeveralUsers
		case s.Rule == SameEmail && address[strings.ToLower(s.Email)] > 1:
			s.Conflict = SharedAddress
		default:
			continue
		}
		s.Between, s.Person = []Person{s.Person}, Person{}
	}
	return all
}

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

// AccountsOf surveys the server of a Space.
func (p *Push) AccountsOf(ctx context.Context, by odcm.Principal, ref string) (_ Place, _ []Seen, err error) {
	defer odcm.Wrap(&err, "accounts of %s", ref)
	place, err := p.at(ctx, by, ActionAccounts, ref)
	if err != nil {
		return place, nil, err
	}
	server, err := p.o.Servers.Server(ctx, place.Instance)
	if err != nil {
		return place, nil, err
	}
	seen, err := p.Survey(ctx, server, place.Instance)
	return place, seen, err
}

// DecideAt keeps what an administrator says of accounts of a Space's server.
func (p *Push) DecideAt(ctx context.Context, by odcm.Principal, ref string, choices []Choice) (err error) {
	defer odcm.Wrap(&err, "decide about accounts of %s", ref)
	place, err := p.at(ctx, by, ActionDecide, ref)
	if err != nil {
		return err
	}
	server, err := p.o.Servers.Server(ctx, place.Instance)
	if err != nil {
		return err
	}
	seen, err := p.Survey(ctx, server, place.Instance)
	if err != nil {
		return err
	}
	return p.Decide(ctx, by, place.Instance, seen, choices)
}

// Decide keeps what an administrator says of the accounts that a survey saw. It does not authorise: the enlistment that it is
// a part of has. Doing it again changes nothing.
func (p *Push) Decide(ctx context.Context, by odcm.Principal, instance odcm.InstanceID, seen []Seen, choices []Choice) (err error) {
	defer odcm.Wrap(&err, "decide about accounts")
	kept, err := p.o.Store.Accounts(ctx, instance)
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
		a, do, err := p.choose(ctx, by, instance, rows, seen[i], c)
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
		if err := p.o.Store.DropAccounts(ctx, instance, dropped); err != nil {
			return err
		}
	}
	if len(events) == 0 {
		return nil
	}
	if err := p.o.Store.SaveAccounts(ctx, changed, events...); err != nil {
		return err
	}
	on, err := p.o.Places.On(ctx, instance)
	for _, place := range on {
		p.tell(place.Space)
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
func (p *Push) choose(ctx context.Context, by odcm.Principal, instance odcm.InstanceID, rows map[string]Account, s Seen, c Choice) (a Account, do bool, err error) {
	a, known := rows[s.ID]
	if !known {
		a = Account{Instance: instance, ID: s.ID, Origin: Found, Active: s.Active}
	}
	a.Username, a.Changed = s.Username, p.o.Now()
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
		person, err := p.personOf(ctx, c.Person)
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
		if p.o.Newcomers == nil {
			return a, false, odcm.E(odcm.Unsupported, "account.no-newcomers", "People cannot be made here.").OnField("do")
		}
		if a.Person != "" || a.Decision == Invited && c.Do == Invite {
			return a, false, nil
		}
		if c.Do == Invite {
			a.Decision = Invited
			err = p.o.Newcomers.Invite(ctx, by, s.Email, s.DisplayName)
		} else {
			a.Decision = ByHand
			a.Person, err = p.o.Newcomers.CreatePerson(ctx, by, s.Username, s.DisplayName, s.Email)
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
func (p *Push) personOf(ctx context.Context, ref odcm.UserID) (odcm.UserID, error) {
	found, err := p.o.People.People(ctx, []odcm.UserID{ref})
	if _, known := found[ref]; known || err != nil {
		return ref, err
	}
	person, err := p.o.People.FindPerson(ctx, string(ref))
	if odcm.KindOf(err) == odcm.NotFound {
		err = odcm.E(odcm.Invalid, "account.person-unknown", "There is no such person.").OnField("person")
	}
	return person.ID, err
}

// at finds a Space for somebody who may do the action there.
func (p *Push) at(ctx context.Context, by odcm.Principal, action odcm.Action, ref string) (Place, error) {
	place, err := p.o.Places.FindPlace(ctx, ref)
	if odcm.KindOf(err) == odcm.NotFound {
		return place, noPlace()
	}
	if err != nil {
		return place, err
	}
	if p.o.Authorizer.Authorize(ctx, by, action, string(place.Space)) != nil {
		if seen := p.o.Authorizer.Authorize(ctx, by, ActionAccounts, string(place.Space)); seen != nil {
			return Place{}, noPlace()
		}
		return Place{}, odcm.E(odcm.Denied, "account.denied", "Only an administrator of ODCM may do this.")
	}
	return place, nil
}

// Called is how people call the person.
func (p Person) Called() string {
	if p.DisplayName != "" {
		return p.DisplayName
	}
	return p.Username
}

// Because says how the account was recognised, or why not, for people; "" where there is nothing to say.
func (s Seen) Because() string {
	by := map[Rule]string{SameSubject: "the same user of the same provider", SameAccount: "the same account of a directory", SameEmail: "the same e-mail address, which is verified here"}
	switch {
	case s.Conflict == SeveralPeople:
		return "Several people might be meant: " + by[s.Rule] + "."
	case s.Conflict == SeveralUsers:
		return s.Between[0].Called() + " seems to have several accounts there: " + by[s.Rule] + "."
	case s.Conflict == SharedAddress:
		return "Several accounts there have this e-mail address."
	case s.Conflict == OwnedElsewhere:
		return s.Between[0].Called() + " has another account there already."
	case s.Rule != "":
		text := by[s.Rule]
		return strings.ToUpper(text[:1]) + text[1:] + "."
	case s.Decision == ByHand || s.Decision == ByRule:
		return "Decided before."
	case s.Decision == Invited:
		return "Invited; to be matched when the invitation is accepted."
	}
	return ""
}

// Accept keeps what a survey found without conflict, and what was chosen instead. It returns how many accounts are somebody's
// then. It does not authorise, and may be repeated.
func (p *Push) Accept(ctx context.Context, by odcm.Principal, instance odcm.InstanceID, seen []Seen, chosen []Choice) (int, error) {
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
	return linked, p.Decide(ctx, by, instance, seen, all)
}
