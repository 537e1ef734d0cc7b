package spacetest

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"odcm"
	"odcm/manager/space"
	"odcm/octopus"
)

// Gate is where a test stops the program in the midst of a step. Every effect of a fake passes it before and after.
type Gate struct {
	mu      sync.Mutex
	passed  int
	stopAt  int
	reached chan struct{}
}

// StopAt arms the gate: the n-th passage, from 1, ends only with its context. The channel is closed when it is reached.
func (g *Gate) StopAt(n int) <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.passed, g.stopAt, g.reached = 0, n, make(chan struct{})
	return g.reached
}

type requestKey struct{}

// Request marks what a request does by itself, which passes the gate uncounted: only tasks are to be stopped there.
func Request(ctx context.Context) context.Context { return context.WithValue(ctx, requestKey{}, true) }

// Pass counts a passage.
func (g *Gate) Pass(ctx context.Context) error {
	if ctx.Value(requestKey{}) != nil {
		return ctx.Err()
	}
	g.mu.Lock()
	g.passed++
	stop := g.stopAt > 0 && g.passed == g.stopAt
	reached := g.reached
	g.mu.Unlock()
	if !stop {
		return ctx.Err()
	}
	close(reached)
	<-ctx.Done()
	return ctx.Err()
}

// through does the effect between two passages.
func (g *Gate) through(ctx context.Context, effect func() error) error {
	if err := g.Pass(ctx); err != nil {
		return err
	}
	if err := effect(); err != nil {
		return err
	}
	return g.Pass(ctx)
}

// Server is an Octopus server of the [Outside].
type Server struct {
	InstallationID, Version, Key string
	Spaces                       []space.OctopusSpace
	Subscriptions                map[string][]octopus.Object // by octopus.Space
	Fails                        error                       // what every call answers, such as that it is offline
	Forbids                      error                       // what every call about subscriptions answers
	Rejects                      string                      // an octopus.Space in which it takes no subscription
	HidesHeader                  bool                        // keeps the value of a webhook's header to itself
}

// Outside is the world that a manager acts on: Octopus servers by URL, and a host that launches more. It outlives the
// manager. It is a [space.Octopus]; [Outside.Host] is a [space.Host].
type Outside struct {
	Gate Gate

	mu       sync.Mutex
	servers  map[string]*Server
	launched map[odcm.InstanceID]*instance
	retired  map[odcm.InstanceID]bool // and whether its data was kept
	serial   int
	stuck    string // why launched instances do not start, "" if they do
	keeps    error  // why instances cannot be retired
	onPut    func() // called before a subscription is written
}

type instance struct {
	launch   space.Launch
	url      string
	observed int
}

// NewOutside makes a world with no server and one machine.
func NewOutside() *Outside {
	return &Outside{servers: map[string]*Server{}, launched: map[odcm.InstanceID]*instance{}, retired: map[odcm.InstanceID]bool{}}
}

// Add adds a server.
func (o *Outside) Add(url string, s *Server) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s.Subscriptions == nil {
		s.Subscriptions = map[string][]octopus.Object{}
	}
	o.servers[url] = s
}

// Change changes a server.
func (o *Outside) Change(url string, f func(*Server)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f(o.servers[url])
}

// Hooks returns the subscriptions of an octopus.Space.
func (o *Outside) Hooks(url, octopusSpace string) []octopus.Object {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.servers[url].Subscriptions[octopusSpace])
}

// Running lists the instances that were launched and not retired.
func (o *Outside) Running() (ids []odcm.InstanceID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for id := range o.launched {
		ids = append(ids, id)
	}
	return ids
}

// Retired tells whether the instance was retired, and whether its data was kept.
func (o *Outside) Retired(id odcm.InstanceID) (kept, was bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	kept, was = o.retired[id]
	return kept, was
}

// Stick keeps launched instances from starting, for the reason; "" lets them.
func (o *Outside) Stick(why string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stuck = why
}

// Keep keeps instances from being retired, for the reason; nil lets them go.
func (o *Outside) Keep(why error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.keeps = why
}

// OnPut has f called once, before the next subscription is written.
func (o *Outside) OnPut(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.onPut = f
}

func (o *Outside) server(c space.Connection) (*Server, error) {
	s := o.servers[strings.TrimRight(c.URL, "/")]
	switch {
	case s == nil:
		return nil, odcm.E(odcm.Unavailable, "space.unreachable", "Nothing answers at %s.", c.URL).OnField("url")
	case s.Fails != nil:
		return nil, s.Fails
	case s.Key != string(c.APIKey):
		return nil, odcm.E(odcm.Invalid, "space.key-refused", "The server does not accept the key.").OnField("apiKey")
	}
	return s, nil
}

// Prove implements [space.Octopus].
func (o *Outside) Prove(ctx context.Context, c space.Connection) (p space.Proof, err error) {
	return p, o.Gate.through(ctx, func() error {
		o.mu.Lock()
		defer o.mu.Unlock()
		s, err := o.server(c)
		if err != nil {
			return err
		}
		p = space.Proof{URL: strings.TrimRight(c.URL, "/"), InstallationID: s.InstallationID, Version: s.Version, User: "admin",
			Administrator: true, Spaces: slices.Clone(s.Spaces)}
		return nil
	})
}

// hooks lets f work on the subscriptions of an octopus.Space.
func (o *Outside) hooks(ctx context.Context, c space.Connection, octopusSpace string, f func(s *Server, all *[]octopus.Object) error) error {
	return o.Gate.through(ctx, func() error {
		o.mu.Lock()
		defer o.mu.Unlock()
		s, err := o.server(c)
		if err != nil {
			return err
		}
		if s.Forbids != nil {
			return s.Forbids
		}
		all := s.Subscriptions[octopusSpace]
		err = f(s, &all)
		s.Subscriptions[octopusSpace] = all
		return err
	})
}

// Subscriptions implements [space.Octopus].
func (o *Outside) Subscriptions(ctx context.Context, c space.Connection, octopusSpace, name string) (found []octopus.Object, err error) {
	return found, o.hooks(ctx, c, octopusSpace, func(s *Server, all *[]octopus.Object) error {
		for _, x := range *all {
			if x.Name() == name {
				found = append(found, s.shown(x))
			}
		}
		return nil
	})
}

// shown is the subscription as the server gives it out.
func (s *Server) shown(x octopus.Object) octopus.Object {
	if !s.HidesHeader {
		return x
	}
	x = x.Clone()
	hook := x.Object("EventNotificationSubscription").Clone()
	hook.Set("WebhookHeaderValue", octopus.SensitiveValue{HasValue: true})
	x.Set("EventNotificationSubscription", hook)
	return x
}

// PutSubscription implements [space.Octopus].
func (o *Outside) PutSubscription(ctx context.Context, c space.Connection, octopusSpace string, x octopus.Object) (out octopus.Object, err error) {
	o.mu.Lock()
	before := o.onPut
	o.onPut = nil
	o.mu.Unlock()
	if before != nil {
		before()
	}
	return out, o.hooks(ctx, c, octopusSpace, func(s *Server, all *[]octopus.Object) error {
		if s.Rejects == octopusSpace {
			return odcm.E(odcm.Invalid, "octopus.invalid", "The server refused it.")
		}
		x = x.Clone()
		if x.ID() == "" {
			o.serial++
			x.Set("Id", fmt.Sprintf("Subscriptions-%d", o.serial))
			*all = append(*all, x)
		} else if i := slices.IndexFunc(*all, func(y octopus.Object) bool { return y.ID() == x.ID() }); i < 0 {
			return odcm.E(odcm.NotFound, "octopus.not-found", "There is no subscription %s.", x.ID())
		} else {
			(*all)[i] = x
		}
		out = s.shown(x)
		return nil
	})
}

// DeleteSubscription implements [space.Octopus].
func (o *Outside) DeleteSubscription(ctx context.Context, c space.Connection, octopusSpace, id string) error {
	return o.hooks(ctx, c, octopusSpace, func(_ *Server, all *[]octopus.Object) error {
		*all = slices.DeleteFunc(slices.Clone(*all), func(x octopus.Object) bool { return x.ID() == id })
		return nil
	})
}

// Host returns the machines of this world: one, with room for a hundred instances.
func (o *Outside) Host() space.Host { return (*host)(o) }

type host Outside

func (h *host) Servers(context.Context) ([]space.Server, error) {
	return []space.Server{{ID: "server-1", Name: "here", Online: true, Capacity: 100}, {ID: "server-2", Name: "there", Reason: "its disk is full"}}, nil
}

func (h *host) Versions(context.Context) ([]space.Version, error) {
	return []space.Version{{Number: "2026.2.1", Product: "Space server"}, {Number: "2026.1.7", Product: "Space server", Default: true}}, nil
}

func (h *host) Launch(ctx context.Context, l space.Launch) error {
	return h.Gate.through(ctx, func() error {
		h.mu.Lock()
		defer h.mu.Unlock()
		if _, again := h.launched[l.Instance]; !again {
			h.launched[l.Instance] = &instance{launch: l}
		}
		return nil
	})
}

// Observe finds an instance starting at first, and running when it is looked at again.
func (h *host) Observe(ctx context.Context, id odcm.InstanceID) (seen space.Observed, err error) {
	if err := h.Gate.Pass(ctx); err != nil {
		return seen, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	i := h.launched[id]
	switch {
	case i == nil:
		return seen, odcm.E(odcm.NotFound, "fleet.instance-not-found", "There is no such instance.")
	case h.stuck != "":
		return space.Observed{Phase: space.PhaseFails, Doing: h.stuck}, nil
	}
	if i.observed++; i.observed == 1 {
		return space.Observed{Phase: space.PhaseStarts, Doing: "making its database"}, nil
	}
	if i.url == "" {
		h.serial++
		i.url = fmt.Sprintf("http://127.0.0.1:%d", 9000+h.serial)
		h.servers[i.url] = &Server{InstallationID: "installation-" + string(id), Version: i.launch.Version, Key: string(i.launch.APIKey),
			Spaces: []space.OctopusSpace{{ID: "Spaces-1", Name: "Default", Default: true}}, Subscriptions: map[string][]octopus.Object{}}
	}
	return space.Observed{Phase: space.PhaseRuns, URL: i.url, Server: i.launch.Server}, nil
}

func (h *host) Retire(ctx context.Context, id odcm.InstanceID, keepData bool) error {
	return h.Gate.through(ctx, func() error {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.keeps != nil {
			return h.keeps
		}
		if i := h.launched[id]; i != nil {
			delete(h.servers, i.url)
			delete(h.launched, id)
			h.retired[id] = keepData
		}
		return nil
	})
}

// Bound is a sealer without a key: it hides nothing, and opens only what was sealed with the same associated data.
type Bound struct{}

// Seal encodes the text with its associated data.
func (Bound) Seal(plain []byte, ad string) (string, error) {
	return base64.StdEncoding.EncodeToString([]byte(ad + "\x00" + string(plain))), nil
}

// Open decodes it.
func (Bound) Open(sealed, ad string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(sealed)
	got, plain, ok := strings.Cut(string(b), "\x00")
	if err != nil || !ok || got != ad {
		return nil, errors.New("sealed for something else")
	}
	return []byte(plain), nil
}
