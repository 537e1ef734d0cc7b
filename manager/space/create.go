package space

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"odcm"
	"odcm/kit/task"
)

// Creation asks for a blank Space on a server that ODCM runs itself.
type Creation struct {
	Name        string
	Description string
	Version     string        // the default one, if empty
	Server      odcm.ServerID // the one with the most room, if empty
}

// createInput is the input of the task. It holds no secret: the key lies sealed in the instance's row.
type createInput struct {
	Space    odcm.SpaceID
	Instance odcm.InstanceID
	Version  string
	Server   odcm.ServerID
}

// Create reserves the name and begins the task that launches a server for it. Nothing is kept of a Space whose task
// fails or is canceled.
func (s *Service) Create(ctx context.Context, p odcm.Principal, c Creation) (_ Space, err error) {
	defer odcm.Wrap(&err, "create Space")
	if err := s.o.Authorizer.Authorize(ctx, p, ActionCreate, ""); err != nil {
		return Space{}, err
	}
	name, err := cleanName(c.Name, "name")
	if err != nil {
		return Space{}, err
	}
	description, err := cleanDescription(c.Description)
	if err != nil {
		return Space{}, err
	}
	versions, err := s.o.Host.Versions(ctx)
	if err != nil {
		return Space{}, err
	}
	version, err := pick(versions, c.Version)
	if err != nil {
		return Space{}, err
	}
	servers, err := s.o.Host.Servers(ctx)
	if err != nil {
		return Space{}, err
	}
	if _, err := place(servers, c.Server); err != nil { // now, while somebody is there to choose another
		return Space{}, err
	}
	in := Instance{ID: odcm.NewID[odcm.InstanceID]("instance"), APIKey: newAPIKey(), Version: version.Number, Origin: Created, Created: s.o.Now()}
	sp := Space{ID: odcm.NewID[odcm.SpaceID]("space"), Instance: in.ID, Slug: Slug(name), Name: name, Description: description,
		State: StateCreating, Task: odcm.NewID[odcm.TaskID]("task"), Created: in.Created}
	err = s.commit(ctx, Change{Instances: []Instance{in}, Spaces: []Space{sp}, Tasks: []task.Request{{
		ID: sp.Task, Kind: kindCreate, Title: "Create " + name, Subject: string(sp.ID), By: p,
		Input: createInput{Space: sp.ID, Instance: in.ID, Version: version.Number, Server: c.Server},
	}}})
	if err != nil {
		return Space{}, onName(err)
	}
	return s.reread(ctx, sp)
}

// reread returns a Space that was just added as it is now, or as it was where its task has rolled it back already.
func (s *Service) reread(ctx context.Context, sp Space) (Space, error) {
	now, err := s.o.Store.Get(ctx, string(sp.ID))
	if odcm.KindOf(err) == odcm.NotFound {
		sp.Revision = 1
		return sp, nil
	}
	return now, err
}

// onName points at the field, where the store found the name taken.
func onName(err error) error {
	var e *odcm.Error
	if errors.As(err, &e) && e.Code == "space.name-taken" && len(e.Fields) == 0 {
		return odcm.E(e.Kind, e.Code, "%s", e.Message).OnField("name").Because(e.Cause)
	}
	return err
}

// Launchable tells what a creation can choose from.
func (s *Service) Launchable(ctx context.Context, p odcm.Principal) (_ []Version, _ []Server, err error) {
	defer odcm.Wrap(&err, "what can be launched")
	if err := s.o.Authorizer.Authorize(ctx, p, ActionCreate, ""); err != nil {
		return nil, nil, err
	}
	versions, err := s.o.Host.Versions(ctx)
	if err != nil {
		return nil, nil, err
	}
	servers, err := s.o.Host.Servers(ctx)
	return versions, servers, err
}

// newAPIKey makes a key in the form that Octopus's own clients insist on: "API-" and upper-case letters and digits.
func newAPIKey() Secret { return Secret("API-" + rand.Text()) }

type none = struct{}

func (s *Service) runCreate(r *task.Run) error {
	var in createInput
	if err := r.Input(&in); err != nil {
		return err
	}
	err := s.create(r, in)
	if err == nil {
		return nil
	}
	r.Logf("Rolling back: %s", publicMessage(err))
	r.Progress(100, "rolling back")
	_, retireErr := task.Undo(r, "Remove the instance", func(ctx context.Context) (none, error) {
		if err := s.o.Host.Retire(ctx, in.Instance, false); err != nil {
			return none{}, err
		}
		return none{}, s.lose(ctx, in.Space, true)
	})
	if retireErr != nil {
		return errors.Join(err, s.undoFailed(r, in.Space, retireErr))
	}
	by := r.Task().By
	_, removeErr := task.Undo(r, "Give the name back", func(ctx context.Context) (none, error) {
		events, err := s.takenBack(ctx, by, in.Space)
		if err != nil {
			return none{}, err
		}
		return none{}, s.commit(ctx, Change{Removed: []odcm.SpaceID{in.Space}, Events: events})
	})
	return errors.Join(err, removeErr)
}

// undoFailed leaves the Space visible as failed, so that nothing is orphaned silently: it can be delisted by hand.
func (s *Service) undoFailed(r *task.Run, id odcm.SpaceID, cause error) error {
	_, err := task.Undo(r, "Mark as failed", func(ctx context.Context) (none, error) {
		return none{}, s.edit(ctx, id, func(sp *Space, _ *Instance) (Change, bool) {
			sp.State, sp.Reason = StateFailed, "Rolling back did not succeed: "+publicMessage(cause)
			return Change{}, true
		})
	})
	return errors.Join(cause, err)
}

func (s *Service) create(r *task.Run, in createInput) error {
	r.Progress(5, "choosing a server")
	server, err := task.Step(r, "Choose a server", func(ctx context.Context) (Server, error) { return s.place(ctx, in) })
	if err != nil {
		return err
	}
	r.Logf("It will run on %s, version %s", server.Name, in.Version)
	r.Progress(15, "launching on "+server.Name)
	if _, err := task.Step(r, "Launch", func(ctx context.Context) (none, error) { return none{}, s.launch(ctx, in) }); err != nil {
		return err
	}
	r.Progress(25, "waiting until it runs")
	url, err := task.Step(r, "Wait until it runs", func(ctx context.Context) (string, error) { return s.waitRunning(ctx, r, in.Instance) })
	if err != nil {
		return err
	}
	r.Progress(80, "proving it")
	proof, err := task.Step(r, "Prove", func(ctx context.Context) (Proof, error) { return s.proveCreated(ctx, in.Instance, url) })
	if err != nil {
		return err
	}
	r.Logf("It runs Octopus %s at %s", proof.Version, url)
	by := r.Task().By
	if s.o.SignOn != nil {
		r.Progress(90, "pointing sign-in at ODCM")
		// A server that does not reach ODCM, yet, runs all the same.
		if err := s.applySignIn(r, in.Instance, url, SignInOptions{LeadOn: true}, false); err != nil {
			return err
		}
	}
	_, err = task.Step(r, "Activate", func(ctx context.Context) (none, error) {
		return none{}, s.activateCreated(ctx, by, in.Space, url, proof)
	})
	if err == nil {
		r.Progress(100, "online")
	}
	return err
}

// place chooses the server and remembers it. A choice that was remembered stands.
func (s *Service) place(ctx context.Context, in createInput) (Server, error) {
	servers, err := s.o.Host.Servers(ctx)
	if err != nil {
		return Server{}, err
	}
	row, err := s.o.Store.Instance(ctx, in.Instance)
	if err != nil {
		return Server{}, err
	}
	for _, server := range servers {
		if server.ID == row.Server {
			return server, nil
		}
	}
	server, err := place(servers, in.Server)
	if err != nil {
		return Server{}, err
	}
	return server, s.edit(ctx, in.Space, func(_ *Space, i *Instance) (Change, bool) {
		i.Server = server.ID
		return Change{}, true
	})
}

func (s *Service) launch(ctx context.Context, in createInput) error {
	sp, row, err := s.both(ctx, in.Space)
	if err != nil {
		return err
	}
	return s.o.Host.Launch(ctx, Launch{Instance: row.ID, Name: sp.Name, Server: row.Server, Version: in.Version, APIKey: row.APIKey})
}

// How often a starting instance is looked at, and how long it may stay failed while its agent tries again.
const (
	lookEvery  = 100 * time.Millisecond
	failsAtMax = 20 * time.Second
)

// waitRunning waits until the agent reports that the instance answers, and says on the way what it is doing.
func (s *Service) waitRunning(ctx context.Context, r *task.Run, id odcm.InstanceID) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.LaunchWithin, errTooSlow)
	defer cancel()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var failing time.Time
	said, percent := "", 25
	for {
		seen, err := s.o.Host.Observe(ctx, id)
		if err != nil && odcm.KindOf(err) != odcm.NotFound && ctx.Err() == nil {
			return "", err
		}
		if seen.Phase == PhaseRuns && seen.URL != "" {
			return seen.URL, nil
		}
		if seen.Phase != PhaseFails {
			failing = time.Time{}
		} else if failing.IsZero() {
			failing = time.Now()
		} else if time.Since(failing) > failsAtMax {
			return "", odcm.E(odcm.Unavailable, "space.launch-failed", "The server does not start: %s", seen.Doing)
		}
		if line := seen.line(); line != "" && line != said {
			said, percent = line, min(percent+10, 75)
			r.Logf("%s", line)
			r.Progress(percent, line)
		}
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-tick.C:
		}
	}
}

var errTooSlow error = odcm.E(odcm.Unavailable, "space.launch-too-slow",
	"The server did not answer in time. Look at the agent's log on its machine, then try again.")

// proveCreated proves the server that was launched. It may need a moment between answering at all and answering this.
func (s *Service) proveCreated(ctx context.Context, id odcm.InstanceID, url string) (Proof, error) {
	row, err := s.o.Store.Instance(ctx, id)
	if err != nil {
		return Proof{}, err
	}
	row.URL = url
	for attempt := 1; ; attempt++ {
		proof, err := s.o.Octopus.Prove(ctx, row.Connection())
		if err == nil {
			err = proof.check()
		}
		if err == nil || attempt == 20 || ctx.Err() != nil {
			return proof, err
		}
		select {
		case <-ctx.Done():
			return Proof{}, ctx.Err()
		case <-time.After(time.Duration(attempt) * 25 * time.Millisecond):
		}
	}
}

func (s *Service) activateCreated(ctx context.Context, by odcm.Principal, id odcm.SpaceID, url string, proof Proof) error {
	theirs := proof.Spaces[0]
	for _, o := range proof.Spaces {
		if o.Default {
			theirs = o
		}
	}
	return s.edit(ctx, id, func(sp *Space, in *Instance) (Change, bool) {
		if sp.State == StateActive {
			return Change{}, false
		}
		in.URL, in.Version, in.InstallationID = url, proof.Version, proof.InstallationID
		sp.State, sp.Octopus = StateActive, theirs.ID
		return Change{Events: []odcm.Event{odcm.NewEvent(by, "space.created", string(sp.ID), sp.Name, nil, record(*sp, *in))}}, true
	})
}

// recorded is what events say of a Space.
type recorded struct {
	Name           string          `json:"name"`
	Description    string          `json:"description,omitempty"`
	URL            string          `json:"url,omitempty"`
	Version        string          `json:"version,omitempty"`
	InstallationID string          `json:"installationId,omitempty"`
	Octopus        string          `json:"octopusSpace,omitempty"`
	Instance       odcm.InstanceID `json:"instance"`
	Server         odcm.ServerID   `json:"server,omitempty"`
	Left           []string        `json:"left,omitempty"` // what delisting could not take away
	KeptData       bool            `json:"keptData,omitempty"`
}

func record(sp Space, in Instance) recorded {
	return recorded{Name: sp.Name, Description: sp.Description, URL: in.URL, Version: in.Version, InstallationID: in.InstallationID,
		Octopus: sp.Octopus, Instance: in.ID, Server: in.Server}
}
