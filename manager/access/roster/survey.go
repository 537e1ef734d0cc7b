package roster

import (
	"context"
	"slices"
	"strings"

	"odcm"
	"odcm/manager/access"
	"odcm/octopus"
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
	Person    access.Person // zero where nobody, or more than one
	Rule      Rule          // by which the person was found, "" for a decision that was kept
	Decision  Decided       // that was kept, "" if none
	Conflict  Conflict
	Between   []access.Person // whom the conflict is between
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
func (r *Roster) Survey(ctx context.Context, server Server, instance odcm.InstanceID) (_ []Seen, err error) {
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
		kept, err := r.o.Store.Accounts(ctx, instance)
		if err != nil {
			return nil, err
		}
		for _, a := range kept {
			rows[a.ID] = a
		}
	}
	everybody, known := Finder[odcm.UserID]{}, map[odcm.UserID]access.Person{}
	if r.o.Everybody != nil {
		for person, err := range r.o.Everybody.Everybody(ctx) {
			if err != nil {
				return nil, err
			}
			known[person.ID] = person
			everybody.Add(CluesTo(person), person.ID)
		}
	}
	return recognise(users, me.ID(), rows, known, everybody), nil
}

// recognise says who the users are: by the decisions that were kept, else by the rules.
func recognise(users []octopus.Object, me string, rows map[string]Account, known map[odcm.UserID]access.Person, everybody Finder[odcm.UserID]) []Seen {
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
			found, by := everybody.Find(CluesOf(u), SameSubject, SameAccount, SameEmail)
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
		s.Between, s.Person = []access.Person{s.Person}, access.Person{}
	}
	return all
}

// AccountsOf surveys the server of a Space.
func (r *Roster) AccountsOf(ctx context.Context, by odcm.Principal, ref string) (_ access.Place, _ []Seen, err error) {
	defer odcm.Wrap(&err, "accounts of %s", ref)
	place, err := r.shared(ctx, by, access.ActionAccounts, ref)
	if err != nil {
		return place, nil, err
	}
	server, err := r.o.Servers.Server(ctx, place.Instance)
	if err != nil {
		return place, nil, err
	}
	seen, err := r.Survey(ctx, server, place.Instance)
	return place, seen, err
}

// shared finds a Space for somebody who may do the action there. The accounts are those of the whole server, so the action must
// be his in each Space that is on it.
func (r *Roster) shared(ctx context.Context, by odcm.Principal, action odcm.Action, ref string) (access.Place, error) {
	place, err := r.o.Gate.Find(ctx, by, action, ref)
	if err != nil {
		return place, err
	}
	on, err := r.o.Places.On(ctx, place.Instance)
	if err != nil {
		return place, err
	}
	for _, other := range on {
		if r.o.Gate.Authorize(ctx, by, action, other.Space) != nil {
			return place, odcm.E(odcm.Denied, "account.shared-server", "The server of %s has other Spaces too: their administrators would have to agree, so ask an administrator of ODCM.", place.Name)
		}
	}
	return place, nil
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
