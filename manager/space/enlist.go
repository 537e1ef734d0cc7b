package space

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"odcm"
	"odcm/kit/task"
)

// Enlistment asks to take Spaces of a server under management.
type Enlistment struct {
	Connection
	Choices []Choice
	SignIn  SignInChoice
	SignInOptions
	// People are decisions about accounts beyond the matches of the plan.
	People []AccountChoice
}

// Choice is an octopus.Space to enlist and what it shall be called.
type Choice struct {
	Octopus     string // its id on the server
	Name        string // the name it has there, if empty
	Description string // likewise
}

// enlistInput is the input of the task; key and certificate lie in the instance's row.
type enlistInput struct {
	Instance       odcm.InstanceID
	InstallationID string
	Spaces         []enlisted
	SignIn         bool `json:",omitempty"` // point the server at ODCM
	Asked          bool `json:",omitempty"` // and fail if that does not succeed
	Options        SignInOptions
	People         []AccountChoice `json:",omitempty"`
}

type enlisted struct {
	ID   odcm.SpaceID
	Name string
}

func (in enlistInput) ids() (ids []odcm.SpaceID) {
	for _, sp := range in.Spaces {
		ids = append(ids, sp.ID)
	}
	return ids
}

// Enlist proves the server again, keeps rows for the chosen Spaces and begins the task that brings them under
// management. It returns them in the order of the choices.
func (s *Service) Enlist(ctx context.Context, p odcm.Principal, e Enlistment) (_ []Space, err error) {
	defer odcm.Wrap(&err, "enlist")
	if err := s.o.Authorizer.Authorize(ctx, p, ActionEnlist, ""); err != nil {
		return nil, err
	}
	if len(e.Choices) == 0 {
		return nil, odcm.E(odcm.Invalid, "space.none-chosen", "Choose at least one Space of the server.").OnField("spaces")
	}
	v, err := s.survey(ctx, e.Connection)
	if err != nil {
		return nil, err
	}
	in := Instance{ID: odcm.NewID[odcm.InstanceID]("instance"), URL: v.connection.URL, APIKey: v.connection.APIKey, TLS: v.connection.TLS,
		InstallationID: v.proof.InstallationID, Version: v.proof.Version, Origin: Enlisted, Created: s.o.Now()}
	change := Change{Instances: []Instance{in}}
	if v.known != nil {
		in, change.Instances = *v.known, nil
		for _, sp := range v.enlisted {
			if sp.State == StateDelisting {
				return nil, odcm.E(odcm.Conflict, "space.busy", "%s of the same server is being delisted just now: enlist when that is done.", sp.Name)
			}
		}
	}
	if err := s.free(ctx, v, e.Choices); err != nil {
		return nil, err
	}
	job := odcm.NewID[odcm.TaskID]("task")
	if change.Spaces, err = chosen(v, e.Choices, in, job); err != nil {
		return nil, err
	}
	input := enlistInput{Instance: in.ID, InstallationID: in.InstallationID, Asked: e.SignIn == SignInOn, Options: e.SignInOptions, People: e.People}
	if input.SignIn, err = s.wantsSignIn(ctx, v.target(), e.SignIn); err != nil {
		return nil, err
	}
	for _, sp := range change.Spaces {
		input.Spaces = append(input.Spaces, enlisted{sp.ID, sp.Name})
	}
	change.Tasks = []task.Request{{ID: job, Kind: kindEnlist, Title: "Enlist " + in.URL, Subject: string(input.Spaces[0].ID), Input: input, By: p}}
	if err := s.commit(ctx, change); err != nil {
		if taken := s.free(ctx, v, e.Choices); taken != nil { // somebody took a name meanwhile: say which
			return nil, taken
		}
		return nil, err
	}
	made := make([]Space, len(change.Spaces))
	for i, sp := range change.Spaces {
		if made[i], err = s.reread(ctx, sp); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// free says which of the chosen names belongs to another Space. The store has the last word; this names the field.
func (s *Service) free(ctx context.Context, v survey, choices []Choice) error {
	names := make([]string, len(choices))
	for i, c := range choices {
		if names[i] = c.Name; c.Name == "" {
			theirs, _ := v.proof.space(c.Octopus)
			names[i] = theirs.Name
		}
	}
	taken, err := s.o.Store.Taken(ctx, names)
	for i, name := range names {
		if taken[Fold(name)] && v.enlisted[choices[i].Octopus].ID == "" {
			return nameTaken(name).OnField(fmt.Sprintf("spaces[%d].name", i))
		}
	}
	return err
}

func nameTaken(name string) *odcm.Error {
	return odcm.E(odcm.Exists, "space.name-taken", "Another Space is called %s: choose another name.", name)
}

// chosen turns the choices into rows, or says which choice is wrong.
func chosen(v survey, choices []Choice, in Instance, job odcm.TaskID) ([]Space, error) {
	var rows []Space
	names := map[string]bool{}
	for i, c := range choices {
		field := fmt.Sprintf("spaces[%d]", i)
		theirs, ok := v.proof.space(c.Octopus)
		if !ok {
			return nil, odcm.E(odcm.Invalid, "space.choice-unknown", "The server has no Space %q that the key may see.", c.Octopus).OnField(field + ".octopusSpace")
		}
		if sp, is := v.enlisted[c.Octopus]; is {
			return nil, odcm.E(odcm.Exists, "space.already-enlisted", "%s is enlisted already, as %s.", theirs.Name, sp.Name).OnField(field + ".octopusSpace")
		}
		if slices.ContainsFunc(rows, func(sp Space) bool { return sp.Octopus == c.Octopus }) {
			return nil, odcm.E(odcm.Invalid, "space.chosen-twice", "%s is chosen twice.", theirs.Name).OnField(field + ".octopusSpace")
		}
		if c.Name == "" {
			c.Name = theirs.Name
		}
		if c.Description == "" {
			c.Description = theirs.Description
		}
		name, err := cleanName(c.Name, field+".name")
		if err != nil {
			return nil, err
		}
		if names[Fold(name)] {
			return nil, odcm.E(odcm.Exists, "space.name-taken", "Two of the chosen Spaces would be called %s.", name).OnField(field + ".name")
		}
		names[Fold(name)] = true
		description, err := cleanDescription(c.Description)
		if err != nil {
			return nil, err
		}
		rows = append(rows, Space{ID: odcm.NewID[odcm.SpaceID]("space"), Instance: in.ID, Octopus: theirs.ID, Slug: Slug(name), Name: name,
			Description: description, State: StateEnlisting, Task: job, Created: in.Created})
	}
	return rows, nil
}

func (s *Service) runEnlist(r *task.Run) error {
	var in enlistInput
	if err := r.Input(&in); err != nil {
		return err
	}
	err := s.enlist(r, in)
	if err == nil {
		return nil
	}
	r.Logf("Rolling back: %s", publicMessage(err))
	r.Progress(100, "rolling back")
	s.leave(r, in)
	for _, sp := range in.Spaces {
		_, undoErr := task.Undo(r, "Restore "+sp.Name, func(ctx context.Context) (none, error) { return none{}, s.restore(ctx, sp.ID) })
		if undoErr != nil {
			// The server does not answer, and what was not written needs no undoing: say what may be left and let go.
			r.Logf("Nothing could be taken back on the server (%s): remove the subscription %s there by hand, if it is there.",
				publicMessage(undoErr), hookName)
		}
	}
	by := r.Task().By
	_, undoErr := task.Undo(r, "Forget", func(ctx context.Context) (none, error) {
		row, err := s.o.Store.Instance(ctx, in.Instance)
		if odcm.KindOf(err) == odcm.NotFound {
			return none{}, nil
		}
		if err != nil {
			return none{}, err
		}
		events, err := s.takenBack(ctx, by, in.ids()...)
		if err != nil {
			return none{}, err
		}
		return none{}, s.drop(ctx, row, true, Change{Removed: in.ids(), Events: events})
	})
	return errors.Join(err, undoErr)
}

func (s *Service) enlist(r *task.Run, in enlistInput) error {
	r.Progress(5, "proving the server")
	proof, err := task.Step(r, "Prove", func(ctx context.Context) (Proof, error) { return s.reprove(ctx, in) })
	if err != nil {
		return err
	}
	r.Logf("It is Octopus %s, installation %s", proof.Version, proof.InstallationID)
	for i, sp := range in.Spaces {
		r.Progress(20+60*i/len(in.Spaces), "making the webhook")
		note, err := task.Step(r, "Apply to "+sp.Name, func(ctx context.Context) (string, error) { return s.applyTo(ctx, sp.ID) })
		if err != nil {
			return err
		}
		r.Logf("%s", note)
	}
	if err := s.join(r, in); err != nil {
		return err
	}
	r.Progress(80, "verifying")
	for _, sp := range in.Spaces {
		_, err := task.Step(r, "Verify "+sp.Name, func(ctx context.Context) (none, error) { return none{}, s.verify(ctx, sp.ID) })
		if err != nil {
			return err
		}
	}
	by := r.Task().By
	for _, sp := range in.Spaces {
		_, err := task.Step(r, "Activate "+sp.Name, func(ctx context.Context) (none, error) {
			return none{}, s.activateEnlisted(ctx, by, sp.ID, proof)
		})
		if err != nil {
			return err
		}
	}
	r.Progress(100, "enlisted")
	return nil
}

// join brings in what other rooms do to the server: whose accounts they are, and where people sign in.
func (s *Service) join(r *task.Run, in enlistInput) error {
	if s.o.Accounts != nil {
		r.Progress(60, "matching accounts")
		by := r.Task().By
		notes, err := task.Step(r, "Match accounts", func(ctx context.Context) ([]string, error) {
			t, err := s.targetOf(ctx, in.Instance, "")
			if err != nil {
				return nil, err
			}
			notes, err := s.o.Accounts.Apply(ctx, t, by, in.People)
			if odcm.KindOf(err) == odcm.Denied && len(in.People) == 0 {
				return []string{"Nobody is matched: " + publicMessage(err)}, nil
			}
			return notes, err
		})
		if err != nil {
			return err
		}
		for _, note := range notes {
			r.Logf("%s", note)
		}
	}
	if !in.SignIn {
		return nil
	}
	r.Progress(70, "pointing sign-in at ODCM")
	return s.applySignIn(r, in.Instance, "", in.Options, in.Asked)
}

// leave takes back what join did. What cannot be is said.
func (s *Service) leave(r *task.Run, in enlistInput) {
	_, err := task.Undo(r, "Leave sign-in and accounts", func(ctx context.Context) (none, error) {
		t, err := s.targetOf(ctx, in.Instance, "")
		if odcm.KindOf(err) == odcm.NotFound {
			return none{}, nil
		}
		if err != nil {
			return none{}, err
		}
		if in.SignIn && s.o.SignOn != nil {
			if _, err := s.o.SignOn.Undo(ctx, t); err != nil {
				return none{}, err
			}
		}
		if s.o.Accounts == nil {
			return none{}, nil
		}
		on, err := s.o.Store.On(ctx, in.Instance)
		if err != nil {
			return none{}, err
		}
		for _, sp := range on {
			if slices.Contains(in.ids(), sp.ID) {
				if err := s.o.Accounts.Undo(ctx, t, sp, len(on) == len(in.Spaces)); err != nil {
					return none{}, err
				}
			}
		}
		return none{}, nil
	})
	if err != nil {
		r.Logf("Sign-in settings and accounts could not be put back (%s): look at them on the server.", publicMessage(err))
	}
}

// reprove makes sure that the address still leads to the server that was planned for.
func (s *Service) reprove(ctx context.Context, in enlistInput) (Proof, error) {
	row, err := s.o.Store.Instance(ctx, in.Instance)
	if err != nil {
		return Proof{}, err
	}
	proof, err := s.o.Octopus.Prove(ctx, row.Connection())
	if err != nil {
		return Proof{}, err
	}
	return proof, sameServer(proof, in.InstallationID)
}

func sameServer(proof Proof, installationID string) error {
	if proof.InstallationID != installationID {
		return odcm.E(odcm.Invalid, "space.other-server", "Another Octopus server answers at this URL than before: its installation id is %s, not %s.",
			proof.InstallationID, installationID).OnField("url")
	}
	return nil
}

// applyTo brings the Space to its desired state and tells people what happened.
func (s *Service) applyTo(ctx context.Context, id odcm.SpaceID) (string, error) {
	sp, in, err := s.both(ctx, id)
	if err != nil {
		return "", err
	}
	h, err := s.applyHook(ctx, sp, in)
	if err != nil {
		return "", err
	}
	if h.State == HookSkipped {
		return sp.Name + ": no webhook. " + h.Reason, nil
	}
	return sp.Name + ": the webhook is there", nil
}

// verify reads back what was written.
func (s *Service) verify(ctx context.Context, id odcm.SpaceID) error {
	sp, in, err := s.both(ctx, id)
	if err != nil {
		return err
	}
	h, err := s.o.Store.Hook(ctx, id)
	if err != nil || h.State == HookSkipped {
		return err
	}
	actual, err := s.findHook(ctx, sp, in, h)
	if err != nil {
		return err
	}
	if _, difference := desiredHook(actual, sp.Octopus, h.URL, h.Secret, true); len(difference) > 0 {
		return odcm.E(odcm.Conflict, "space.webhook-differs", "The server does not keep the webhook as ODCM wrote it: %v differ.", difference)
	}
	return nil
}

func (s *Service) activateEnlisted(ctx context.Context, by odcm.Principal, id odcm.SpaceID, proof Proof) error {
	return s.edit(ctx, id, func(sp *Space, in *Instance) (Change, bool) {
		if sp.State == StateActive {
			return Change{}, false
		}
		sp.State, in.Version = StateActive, proof.Version
		return Change{Events: []odcm.Event{odcm.NewEvent(by, "space.enlisted", string(sp.ID), sp.Name, nil, record(*sp, *in))}}, true
	})
}

// restore takes everything of ODCM's out of the octopus.Space and puts back what was there before.
func (s *Service) restore(ctx context.Context, id odcm.SpaceID) error {
	sp, in, err := s.both(ctx, id)
	if odcm.KindOf(err) == odcm.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	h, err := s.o.Store.Hook(ctx, id)
	if odcm.KindOf(err) == odcm.NotFound {
		return nil // nothing was ever written
	}
	if err != nil {
		return err
	}
	if h.State == HookSkipped && h.Subscription == "" {
		return nil
	}
	return s.removeHook(ctx, sp, in, h)
}
