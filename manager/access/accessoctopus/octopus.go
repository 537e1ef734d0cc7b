// Package accessoctopus lets package access see and change people and teams of Octopus servers, by way of octoclient: in the
// background, where a server's budget lets people's requests pass.
package accessoctopus

import (
	"context"
	"slices"
	"strings"

	"odcm"
	"odcm/manager/access"
	"odcm/manager/access/roster"
	"odcm/octopus"
	"odcm/octopus/octoclient"
)

// Connect returns a client of an instance's server. The roof fills it with the space room.
type Connect func(ctx context.Context, id odcm.InstanceID) (*octoclient.Client, error)

// Servers is an [roster.Servers] and, with the Spaces' places, an [access.Teams].
type Servers struct {
	connect Connect
	places  access.Places
}

var (
	_ roster.Servers = (*Servers)(nil)
	_ access.Teams   = (*Servers)(nil)
)

// New makes it.
func New(connect Connect, places access.Places) *Servers { return &Servers{connect, places} }

// Server implements [roster.Servers].
func (s *Servers) Server(ctx context.Context, id odcm.InstanceID) (roster.Server, error) {
	client, err := s.connect(ctx, id)
	if err != nil {
		return nil, err
	}
	return Of(client.Background()), nil
}

// Teams implements [access.Teams].
func (s *Servers) Teams(ctx context.Context, space odcm.SpaceID) ([]access.Team, error) {
	place, err := s.places.Place(ctx, space)
	if err != nil {
		return nil, err
	}
	client, err := s.connect(ctx, place.Instance)
	if err != nil {
		return nil, err
	}
	found, err := Of(client).Teams(ctx, place.Octopus, nil)
	teams := make([]access.Team, len(found))
	for i, t := range found {
		teams[i] = access.Team{ID: t.ID(), Name: t.Name()}
	}
	return teams, err
}

// Of is the server that a client talks to.
func Of(client *octoclient.Client) roster.Server { return server{client} }

type server struct{ client *octoclient.Client }

func (s server) Me(ctx context.Context) (octopus.Object, error) {
	me, err := s.client.Me(ctx)
	return me.Object, err
}

// atOnce is how many ids go into one address: it stays below 2,000 characters, which every proxy takes.
const atOnce = 100

// list reads a list, or those of it that have the ids.
func (s server) list(ctx context.Context, route string, ids []string) (all []octopus.Object, err error) {
	read := func(path string) error {
		for o, err := range s.client.List(ctx, path) {
			if err != nil {
				return err
			}
			all = append(all, o)
		}
		return nil
	}
	if ids == nil {
		return all, read(route)
	}
	sep := "?"
	if strings.Contains(route, "?") {
		sep = "&"
	}
	for batch := range slices.Chunk(ids, atOnce) {
		if err := read(route + sep + "ids=" + strings.Join(batch, ",")); err != nil {
			return nil, err
		}
	}
	// A server that does not know the parameter gives all.
	return slices.DeleteFunc(all, func(o octopus.Object) bool { return !slices.Contains(ids, o.ID()) }), nil
}

func (s server) Users(ctx context.Context, ids []string) ([]octopus.Object, error) {
	return s.list(ctx, octopus.Route("users"), ids)
}

func (s server) CreateUser(ctx context.Context, user octopus.Object) (octopus.Object, error) {
	return s.client.Post(ctx, octopus.Route("users"), user)
}

func (s server) UpdateUser(ctx context.Context, user octopus.Object) (octopus.Object, error) {
	return s.client.Put(ctx, octopus.Route("users", user.ID()), user)
}

func (s server) DeleteUser(ctx context.Context, id string) error {
	_, err := s.client.Delete(ctx, octopus.Route("users", id))
	return err
}

func (s server) RevokeSessions(ctx context.Context, user string) error {
	_, err := s.client.Put(ctx, octopus.Route("users", user, "revoke-sessions"), nil)
	// Servers before 2020.4 do not know it; there a session of a user who is not active is refused all the same.
	if kind := odcm.KindOf(err); kind == odcm.Unsupported || kind == odcm.NotFound {
		return nil
	}
	return err
}

func (s server) APIKeys(ctx context.Context, user string) ([]octopus.Object, error) {
	return s.list(ctx, octopus.Route("users", user, "apikeys"), nil)
}

func (s server) DeleteAPIKey(ctx context.Context, user, key string) error {
	_, err := s.client.Delete(ctx, octopus.Route("users", user, "apikeys", key))
	return err
}

func (s server) Teams(ctx context.Context, space string, ids []string) ([]octopus.Object, error) {
	all, err := s.list(ctx, octopus.Route("teams")+"?includeSystem=false&spaces="+space, ids)
	return slices.DeleteFunc(all, func(t octopus.Object) bool { return t.SpaceID() != space }), err
}

func (s server) UpdateTeam(ctx context.Context, team octopus.Object) (octopus.Object, error) {
	return s.client.Put(ctx, octopus.Route("teams", team.ID()), team)
}

// Latest asks for the one newest event about users and teams of all Spaces and of the whole server.
func (s server) Latest(ctx context.Context) (string, error) {
	page, err := s.client.Get(ctx, octopus.Route("events")+"?documentTypes=Users,Teams&spaces=all&includeSystem=true&excludeDifference=true&take=1")
	switch odcm.KindOf(err) {
	case odcm.Denied, odcm.NotFound, odcm.Unsupported, odcm.Invalid:
		return "", nil // the key may not see events, or the server does not know the filter: look at everything
	}
	if err != nil {
		return "", err
	}
	if items := (octopus.Page{Object: page}).Items(); len(items) > 0 {
		return items[0].ID(), nil
	}
	return "", nil // pruned, or a filter that this version takes otherwise
}
