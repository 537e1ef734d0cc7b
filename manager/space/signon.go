package space

import (
	"context"
	"errors"

	"odcm"
	"odcm/kit/task"
)

// Target is the server that is enlisted, created or delisted, as other rooms must know it.
type Target struct {
	Instance   odcm.InstanceID // "" while nothing is written: it is only planned
	Name       string          // for people
	Connection Connection
}

// SignOn points the sign-in settings of servers at ODCM. The roof fills it with the sso room. Every call may be repeated.
type SignOn interface {
	// Plan says what would change and writes nothing.
	Plan(ctx context.Context, t Target) (SignInPlan, error)
	// Apply writes the settings and tests them by a real sign-in. What it began and could not end, Undo takes back.
	Apply(ctx context.Context, t Target, o SignInOptions) (notes []string, err error)
	// Undo puts back what was there before and returns what it could not.
	Undo(ctx context.Context, t Target) (left []string, err error)
	// Forget drops what is kept of a server that is gone.
	Forget(ctx context.Context, t Target) error
}

// Accounts knows who the users of servers are. The roof fills it with the access room. Every call may be repeated.
type Accounts interface {
	// Plan says who was found and writes nothing.
	Plan(ctx context.Context, t Target) (PeoplePlan, error)
	// Apply keeps the matches of the plan, and what was chosen instead.
	Apply(ctx context.Context, t Target, by odcm.Principal, choices []AccountChoice) (notes []string, err error)
	// Undo takes out of the Space what was pushed to it, and with the server's last Space out of the server.
	Undo(ctx context.Context, t Target, sp Space, last bool) error
	// Forget drops what is kept of a Space that is gone, likewise.
	Forget(ctx context.Context, t Target, sp Space, last bool) error
}

// PeoplePlan says who the server's users are.
type PeoplePlan struct {
	Matched   []PlannedAccount // known to ODCM: they will be the same person
	Conflicts []PlannedAccount // somebody must say who they are; until then they stay as they are
	Unmatched []PlannedAccount // known to nobody: they stay accounts of that server alone
	Untouched int              // service accounts and the owner of the API key
	Notes     []Note
}

// Touched is how many accounts will belong to a person of ODCM.
func (p PeoplePlan) Touched() int { return len(p.Matched) }

// PlannedAccount is a user of the server.
type PlannedAccount struct {
	ID          string // on the server
	Username    string
	DisplayName string
	Email       string
	Active      bool
	Person      odcm.UserID // of ODCM, "" where none or several
	PersonName  string
	Because     string // by what it was found, or why it was not: for people
	Between     []Candidate
}

// Candidate is a person whom an account might be.
type Candidate struct {
	ID   odcm.UserID
	Name string
}

// AccountChoice is what an administrator says of an account: link (to Person), local, invite, create.
type AccountChoice struct {
	Account string
	Do      string
	Person  odcm.UserID `json:",omitempty"`
}

// SignInPlan says which sign-in settings change.
type SignInPlan struct {
	Pointed   bool   // people of ODCM sign in there already
	Provider  string // the place in the server's settings that is used, by its name there
	Possible  bool
	Proposed  bool // possible, and nothing of anybody's is replaced
	Settings  []SettingChange
	Passwords bool // people may sign in by the server's own passwords
	LeadsOn   bool // whoever has no session there is led on to a provider already
	Changes   []Note
}

// SettingChange is one setting. Secrets are dots.
type SettingChange struct{ Name, From, To string }

// SignInOptions say what is done about sign-in.
type SignInOptions struct {
	// ClosePasswords turns the server's own passwords off after the test. Delisting turns them on again.
	ClosePasswords bool `json:",omitempty"`
	// Replace takes settings over that somebody else uses.
	Replace bool `json:",omitempty"`
	// LeadOn has the server send whoever has no session there to ODCM at once, without a click.
	LeadOn bool `json:",omitempty"`
}

// SignInChoice is whether a server is pointed at ODCM.
type SignInChoice string

// The choices.
const (
	SignInDefault SignInChoice = ""    // where nothing of anybody's is replaced; that it cannot be is no failure
	SignInOn      SignInChoice = "on"  // or the task fails
	SignInOff     SignInChoice = "off" // people sign in as before
)

// planPeople fills in what other rooms plan. That the key may not see something is a note.
func (s *Service) planPeople(ctx context.Context, t Target, plan *Plan) (err error) {
	if s.o.Accounts != nil {
		plan.People, err = s.o.Accounts.Plan(ctx, t)
		if odcm.KindOf(err) == odcm.Denied {
			plan.People, err = PeoplePlan{Notes: []Note{{"people.unseen", "Nobody is matched, because the API key may not see users: " + publicMessage(err)}}}, nil
		}
		if err != nil {
			return err
		}
	}
	if s.o.SignOn == nil {
		return nil
	}
	plan.SignIn, err = s.planSignIn(ctx, t)
	return err
}

func (s *Service) planSignIn(ctx context.Context, t Target) (SignInPlan, error) {
	plan, err := s.o.SignOn.Plan(ctx, t)
	switch odcm.KindOf(err) {
	case odcm.Denied, odcm.Unsupported:
		return SignInPlan{Changes: []Note{{"signin.unseen", "Sign-in stays as it is, because its settings cannot be changed with this API key: " + publicMessage(err)}}}, nil
	}
	return plan, err
}

// targetOf is an instance for other rooms. The URL of one that was just launched is not in its row yet.
func (s *Service) targetOf(ctx context.Context, id odcm.InstanceID, url string) (Target, error) {
	in, err := s.o.Store.Instance(ctx, id)
	if url != "" {
		in.URL = url
	}
	return Target{Instance: id, Name: hostOf(in.URL), Connection: in.Connection()}, err
}

// wantsSignIn decides whether the server is to be pointed, and whether the task fails if it cannot be.
func (s *Service) wantsSignIn(ctx context.Context, t Target, choice SignInChoice) (wanted bool, err error) {
	switch {
	case choice != SignInDefault && choice != SignInOn && choice != SignInOff:
		return false, odcm.E(odcm.Invalid, "space.sign-in-choice", "Choose on or off for one sign-on, or nothing.").OnField("signIn")
	case s.o.SignOn == nil && choice == SignInOn:
		return false, odcm.E(odcm.Unsupported, "space.no-sign-on", "This ODCM points no servers at itself.").OnField("signIn")
	case s.o.SignOn == nil || choice == SignInOff:
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.ProveWithin)
	defer cancel()
	plan, err := s.planSignIn(ctx, t)
	if err != nil {
		return false, err
	}
	if plan.Pointed { // by the enlistment of another Space of the server, whose doing it stays
		return false, nil
	}
	if choice == SignInOn && !plan.Possible {
		return false, odcm.E(odcm.Invalid, "space.sign-in-impossible", "The server cannot be pointed at ODCM with this API key.").OnField("signIn")
	}
	return choice == SignInOn || plan.Proposed, nil
}

// applySignIn points the server. Where nobody asked for it by name, that it does not succeed is told and taken back.
func (s *Service) applySignIn(r *task.Run, id odcm.InstanceID, url string, o SignInOptions, asked bool) error {
	notes, err := task.Step(r, "Point sign-in", func(ctx context.Context) ([]string, error) {
		t, err := s.targetOf(ctx, id, url)
		if err != nil {
			return nil, err
		}
		notes, err := s.o.SignOn.Apply(ctx, t, o)
		if err == nil || asked || ctx.Err() != nil || odcm.KindOf(err) == odcm.Internal {
			return notes, err
		}
		if _, undo := s.o.SignOn.Undo(ctx, t); undo != nil {
			return nil, errors.Join(err, undo)
		}
		return []string{"Sign-in stays as it is: " + publicMessage(err)}, nil
	})
	for _, note := range notes {
		r.Logf("%s", note)
	}
	return err
}
