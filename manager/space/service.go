package space

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"odcm"
	"odcm/kit/task"
)

// Options are what the service needs. Store, Octopus, Host, Monitor, Access and Authorizer are required.
type Options struct {
	Store      Store
	Octopus    Octopus
	Host       Host
	Monitor    Monitor
	Access     Access
	Authorizer odcm.Authorizer
	SignOn     SignOn                // points servers at ODCM; none if nil
	Accounts   Accounts              // knows who their users are; nobody if nil
	Signals    Signals               // told which Spaces changed; nobody if nil
	PublicURL  func() string         // where Octopus servers reach ODCM, "" where they cannot; none if nil
	Heard      func(id odcm.SpaceID) // a Space's webhook has called: look at it soon; nobody if nil
	Now        func() time.Time      // time.Now if nil
	Logger     *slog.Logger          // slog.Default() if nil
	// LaunchWithin bounds how long a created server may take until it answers; 2 minutes if zero.
	LaunchWithin time.Duration
	// ProveWithin bounds how long proving a server may take while somebody waits for it; 30 seconds if zero.
	ProveWithin time.Duration
}

// Signals carries hints that something changed, such as "space/space-0198...". kit/signal.Bus is one.
type Signals interface{ Publish(topics ...string) }

// Tasks is where the room's kinds of task are registered. kit/task.Engine is one.
type Tasks interface {
	Register(kind string, run func(r *task.Run) error)
}

// Service is the rules of the room.
type Service struct {
	o     Options
	log   *slog.Logger
	board board
}

// New makes the service. Register its tasks before the task engine starts.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.PublicURL == nil {
		o.PublicURL = func() string { return "" }
	}
	if o.Heard == nil {
		o.Heard = func(odcm.SpaceID) {}
	}
	if o.LaunchWithin == 0 {
		o.LaunchWithin = 2 * time.Minute
	}
	if o.ProveWithin == 0 {
		o.ProveWithin = 30 * time.Second
	}
	return &Service{o: o, log: o.Logger.With("room", "space"), board: newBoard()}
}

// Kinds of the room's tasks.
const (
	kindCreate = "space.create"
	kindEnlist = "space.enlist"
	kindDelist = "space.delist"
)

// Register names the functions that run the room's tasks.
func (s *Service) Register(tasks Tasks) {
	tasks.Register(kindCreate, s.runCreate)
	tasks.Register(kindEnlist, s.runEnlist)
	tasks.Register(kindDelist, s.runDelist)
}

// Topic is the signal that a Space changed.
func Topic(id odcm.SpaceID) string { return "space/" + string(id) }

// TopicAll is the signal that a Space came, went or was renamed, so that lists are no longer what they were.
const TopicAll = "spaces/all"

// commit writes the change and tells who watches.
func (s *Service) commit(ctx context.Context, c Change) error {
	if err := s.o.Store.Commit(ctx, c); err != nil {
		return err
	}
	topics := []string{TopicAll}
	for _, sp := range c.Spaces {
		topics = append(topics, Topic(sp.ID))
	}
	for _, id := range c.Removed {
		topics = append(topics, Topic(id))
	}
	s.board.expire(topics...) // so that who changed it sees it, however late the hint comes
	if s.o.Signals != nil {
		s.o.Signals.Publish(topics...)
	}
	return nil
}

// edit changes a Space and its instance as they are now; f may run again where somebody else was faster. Where f
// returns false there is nothing to do, which is how a step that is repeated finds its work done.
func (s *Service) edit(ctx context.Context, id odcm.SpaceID, f func(sp *Space, in *Instance) (Change, bool)) error {
	for attempt := 1; ; attempt++ {
		sp, err := s.o.Store.Get(ctx, string(id))
		if err != nil {
			return err
		}
		in, err := s.o.Store.Instance(ctx, sp.Instance)
		if err != nil {
			return err
		}
		spBefore, inBefore := sp, in
		c, do := f(&sp, &in)
		if !do {
			return nil
		}
		if sp != spBefore {
			c.Spaces = append(c.Spaces, sp)
		}
		if in != inBefore {
			c.Instances = append(c.Instances, in)
		}
		err = s.commit(ctx, c)
		if attempt == 5 || !errors.Is(err, odcm.E(odcm.Conflict, "space.changed", "")) {
			return err
		}
	}
}

// see returns the Space if the principal may see it, and otherwise says that there is none: who may not enter a Space
// shall not learn that it exists.
func (s *Service) see(ctx context.Context, p odcm.Principal, ref string) (Space, error) {
	reach, err := s.o.Access.Reach(ctx, p)
	if err != nil {
		return Space{}, err
	}
	sp, err := s.o.Store.Get(ctx, ref)
	if err != nil {
		return Space{}, err
	}
	if !reach.Holds(sp.ID) {
		return Space{}, odcm.E(odcm.NotFound, "space.not-found", "There is no such Space, or you may not enter it.")
	}
	return sp, nil
}

// own returns the Space if the principal may see it and do the action to it.
func (s *Service) own(ctx context.Context, p odcm.Principal, action odcm.Action, ref string) (Space, error) {
	sp, err := s.see(ctx, p, ref)
	if err != nil {
		return Space{}, err
	}
	return sp, s.o.Authorizer.Authorize(ctx, p, action, string(sp.ID))
}

// May tells whether the principal may do the action, so that a page can leave out what would be refused.
func (s *Service) May(ctx context.Context, p odcm.Principal, action odcm.Action, resource string) bool {
	return s.o.Authorizer.Authorize(ctx, p, action, resource) == nil
}

// Sees tells whether the principal may see the Space.
func (s *Service) Sees(ctx context.Context, p odcm.Principal, id odcm.SpaceID) bool {
	reach, err := s.o.Access.Reach(ctx, p)
	return err == nil && reach.Holds(id)
}

// busy refuses to touch a Space that a task is still bringing somewhere.
func busy(sp Space) error {
	switch sp.State {
	case StateActive, StateFailed:
		return nil
	}
	return odcm.E(odcm.Conflict, "space.busy", "%s is %s just now: wait for its task to end, or cancel it.", sp.Name, sp.State)
}
