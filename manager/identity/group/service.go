package group

import (
	"context"
	"log/slog"
	"time"

	"odcm"
	"odcm/kit/signal"
	"odcm/manager/identity/group/graph"
)

// Bus carries hints that something changed, to and from all replicas. kit/signal.Bus is one.
type Bus interface {
	Publish(topics ...string)
	Subscribe(nouns ...string) *signal.Subscription
}

// Options are what a [Service] needs. Store, Log, Bus and Authorizer are required.
type Options struct {
	Store      Store
	Log        graph.Log
	Bus        Bus
	Authorizer odcm.Authorizer
	Pickers    Pickers // none if nil
	Uses       Uses    // none if nil
	Logger     *slog.Logger
	Now        func() time.Time // time.Now if nil
}

// Service is the door to groups: every rule about them, and the graph.
type Service struct {
	o      Options
	keeper *graph.Keeper
}

// New makes the service. Run [Service.Run] beside it.
func New(o Options) *Service {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Service{o: o, keeper: graph.NewKeeper(o.Log, o.Store, o.Now)}
}

// The actions that an [odcm.Authorizer] is asked about; the resource is the group's identifier, "" for the whole kind.
const (
	ActionList   odcm.Action = "group.list"
	ActionRead   odcm.Action = "group.read"
	ActionCreate odcm.Action = "group.create"
	ActionUpdate odcm.Action = "group.update"
	ActionEdit   odcm.Action = "group.edit" // members
	ActionDelete odcm.Action = "group.delete"
)

func (s *Service) may(ctx context.Context, p odcm.Principal, action odcm.Action, id odcm.GroupID) error {
	return s.o.Authorizer.Authorize(ctx, p, action, string(id))
}

// Permit returns nil where the principal may do the action, for a page that only asks.
func (s *Service) Permit(ctx context.Context, p odcm.Principal, action odcm.Action) error {
	return s.may(ctx, p, action, "")
}

// May tells whether the principal may do the action, for what a page offers.
func (s *Service) May(ctx context.Context, p odcm.Principal, action odcm.Action) bool {
	return s.may(ctx, p, action, "") == nil
}

// Graph returns who is in which group: see [graph.Keeper.Graph]. It asks no authorizer.
func (s *Service) Graph(ctx context.Context) (*graph.Graph, error) { return s.keeper.Graph(ctx) }

// Run listens for hints, so that changes by other replicas and of users are in the graph at once, until the context ends.
// Without it the graph is at most half a second behind.
func (s *Service) Run(ctx context.Context) error {
	hints := s.o.Bus.Subscribe("user", "group")
	defer hints.Close()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case _, open := <-hints.C:
			if !open {
				return nil
			}
			s.keeper.Hint()
		}
	}
}

// changed makes the next graph look, and hints to everyone else.
func (s *Service) changed(ids ...odcm.GroupID) {
	s.keeper.Hint()
	topics := make([]string, len(ids))
	for i, id := range ids {
		topics[i] = "group/" + string(id)
	}
	s.o.Bus.Publish(topics...)
}
