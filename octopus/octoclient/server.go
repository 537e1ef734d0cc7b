package octoclient

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"odcm"
	"odcm/octopus"
)

// Root reads what the server says of itself, for which it needs no key. It is how to find out whether an address is that
// of an Octopus server. Where the version is older than [MinimumVersion], it returns the root and an error.
func (c *Client) Root(ctx context.Context) (octopus.Root, error) {
	o, err := c.Get(ctx, octopus.RootRoute)
	root := octopus.Root{Object: o}
	switch {
	case err != nil:
		if odcm.KindOf(err) == odcm.NotFound {
			err = odcm.E(odcm.Invalid, "octopus.not-octopus", "%s has no Octopus API at /api. Is the URL that of the Octopus server?", c.base.Host).Because(err)
		}
		return octopus.Root{}, err
	case !root.Version().Valid() || !strings.HasPrefix(root.APIVersion(), "3."):
		return octopus.Root{}, odcm.E(odcm.Invalid, "octopus.not-octopus", "%s answers with JSON, but not as Octopus does. Is the URL that of the Octopus server?", c.base.Host)
	case !root.Version().AtLeast(MinimumVersion):
		return root, odcm.E(odcm.Unsupported, "octopus.version-too-old",
			"%s runs Octopus %s; ODCM needs %s or newer. Upgrade the server first.", c.base.Host, root.Version(), MinimumVersion)
	}
	return root, nil
}

// Pong is the answer to a ping.
type Pong struct {
	Status int           // of HTTP
	Took   time.Duration // to the end of the answer
}

// OK tells whether the node is up and takes tasks.
func (p Pong) OK() bool { return p.Status >= 200 && p.Status < 300 }

// Draining tells whether the node is up and takes no new tasks: Octopus says so with 418.
func (p Pong) Draining() bool { return p.Status == http.StatusTeapot }

// Ping asks the node behind the address whether it is there, without a key and outside the budget. It is made to be done
// for thousands of servers every few seconds: one attempt, no redirects, hardly anything allocated, on the connection that
// is open. Whatever the server answers is a Pong; an error means that there was no answer.
func (c *Client) Ping(ctx context.Context) (Pong, error) {
	start := time.Now()
	c.budget.Pinged()
	res, err := c.transport.RoundTrip(c.ping.WithContext(ctx))
	if err != nil {
		return Pong{}, c.unreachable(err)
	}
	_, err = io.CopyN(io.Discard, res.Body, 4<<10) // to the end, or the connection cannot be used again
	res.Body.Close()
	if err != nil && !errors.Is(err, io.EOF) {
		return Pong{}, c.unreachable(err)
	}
	return Pong{Status: res.StatusCode, Took: time.Since(start)}, nil
}

// Me returns the user whose key it is.
func (c *Client) Me(ctx context.Context) (octopus.User, error) {
	o, err := c.Get(ctx, octopus.MeRoute)
	return octopus.User{Object: o}, err
}

// Permissions returns what the user whose key it is may do, on the server and in all its spaces.
func (c *Client) Permissions(ctx context.Context) (octopus.PermissionSet, error) {
	me, err := c.Me(ctx)
	if err != nil {
		return octopus.PermissionSet{}, err
	}
	path := octopus.Route("users", me.ID(), "permissions") + "?spaces=all&includeSystem=true"
	o, err := c.Get(ctx, path)
	return octopus.PermissionSet{Object: o}, err
}

// Spaces returns the octopus.Spaces that the user may see.
func (c *Client) Spaces(ctx context.Context) ([]octopus.Space, error) {
	all, err := c.All(ctx, octopus.SpacesRoute)
	spaces := make([]octopus.Space, len(all))
	for i, o := range all {
		spaces[i] = octopus.Space{Object: o}
	}
	return spaces, err
}

// Nodes returns the processes of the server's cluster. It needs AdministerSystem.
func (c *Client) Nodes(ctx context.Context) (octopus.Nodes, error) {
	o, err := c.Get(ctx, octopus.NodesRoute)
	return octopus.Nodes{Object: o}, err
}

// LicenceStatus returns what is used against what is bought.
func (c *Client) LicenceStatus(ctx context.Context) (octopus.LicenceStatus, error) {
	o, err := c.Get(ctx, octopus.LicenceStatusRoute)
	return octopus.LicenceStatus{Object: o}, err
}

// Maintenance returns whether the server is in maintenance mode.
func (c *Client) Maintenance(ctx context.Context) (octopus.Maintenance, error) {
	o, err := c.Get(ctx, octopus.MaintenanceRoute)
	return octopus.Maintenance{Object: o}, err
}

// SetMaintenance turns maintenance mode on or off. It needs AdministerSystem.
func (c *Client) SetMaintenance(ctx context.Context, on bool) (octopus.Maintenance, error) {
	o, err := c.Update(ctx, octopus.MaintenanceRoute, func(o *octopus.Object) error {
		o.Set("IsInMaintenanceMode", on)
		return nil
	})
	return octopus.Maintenance{Object: o}, err
}

// Subscribe makes the subscription exist in the space as it is described, found by its name. It may be called again.
func (c *Client) Subscribe(ctx context.Context, space string, want octopus.Subscription) (octopus.Subscription, error) {
	route := octopus.SpaceRoute(space, "subscriptions")
	for o, err := range c.List(ctx, withQuery(route, "partialName", want.Name())) {
		if err != nil {
			return octopus.Subscription{}, err
		}
		if o.Name() != want.Name() {
			continue
		}
		o, err = c.Update(ctx, octopus.SpaceRoute(space, "subscriptions", o.ID()), func(o *octopus.Object) error {
			merge(o, want.Object)
			return nil
		})
		return octopus.Subscription{Object: o}, err
	}
	o, err := c.Post(ctx, route, want)
	return octopus.Subscription{Object: o}, err
}

// merge sets in o what want has, and leaves alone what only the server knows.
func merge(o *octopus.Object, want octopus.Object) {
	for name, value := range want.All() {
		if inner := o.Object(name); inner.Len() > 0 && value[0] == '{' {
			merge(&inner, want.Object(name))
			o.Set(name, inner)
		} else {
			o.Set(name, value)
		}
	}
}
