// Package ssooctopus lets package sso see and change the sign-in settings of Octopus servers, by way of octoclient, and sign in
// there as a browser does.
package ssooctopus

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"odcm"
	"odcm/manager/sso/point"
	"odcm/octopus"
	"odcm/octopus/octoclient"
)

// Connection is a way to a server: as the user of an API key, and as nobody.
type Connection struct {
	Client *octoclient.Client
	// Transport sends single requests without a key, through the guard and with the trust of the server's connection.
	Transport http.RoundTripper
}

// Connect returns the connection to an instance's server. The roof fills it with the space room.
type Connect func(ctx context.Context, id odcm.InstanceID) (Connection, error)

// Server implements [point.Servers].
func (c Connect) Server(ctx context.Context, id odcm.InstanceID) (point.Server, error) {
	connection, err := c(ctx, id)
	if err != nil {
		return nil, err
	}
	connection.Client = connection.Client.Background()
	return Of(connection), nil
}

var _ point.Servers = Connect(nil)

// Of is the server that a connection leads to.
func Of(c Connection) point.Server { return server{c.Client, c.Transport} }

type server struct {
	client    *octoclient.Client
	transport http.RoundTripper
}

func (s server) Values(ctx context.Context, id string) (octopus.Object, error) {
	return s.client.Get(ctx, octopus.Route("configuration", id, "values"))
}

func (s server) SetValues(ctx context.Context, id string, values octopus.Object) (octopus.Object, error) {
	return s.client.Put(ctx, octopus.Route("configuration", id, "values"), values)
}

// Addresses adds to ODCM's own address what the server says of itself.
func (s server) Addresses(ctx context.Context) ([]string, error) {
	all := []string{s.client.URL()}
	said, err := s.client.Get(ctx, octopus.Route("serverconfiguration"))
	switch odcm.KindOf(err) {
	case odcm.Denied, odcm.NotFound, odcm.Unsupported:
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	if text := said.Text("ServerUri"); text != "" {
		if u, err := octoclient.ParseURL(text); err == nil && !slices.Contains(all, u.String()) {
			all = append(all, u.String())
		}
	}
	return all, nil
}

// ProviderName finds the slot among the providers by where it signs in: their names are the server's.
func (s server) ProviderName(ctx context.Context, slot point.Slot) (string, error) {
	said, err := s.client.Get(ctx, octopus.Route("authentication"))
	if err != nil {
		return "", err
	}
	for _, p := range said.Objects("AuthenticationProviders") {
		if strings.EqualFold(lastPart(p.Object("Links").Text("Authenticate")), slot.Route) && !relabelled(p) {
			return p.Name(), nil
		}
	}
	return "", nil
}

// relabelled tells a generic provider, which is listed by the name that was chosen for its button.
func relabelled(p octopus.Object) bool { return p.Name() == "ODCM" }

func lastPart(link string) string {
	link, _, _ = strings.Cut(strings.TrimRight(link, "/"), "{")
	return link[strings.LastIndex(link, "/")+1:]
}

func (s server) AddUser(ctx context.Context, user octopus.Object) error {
	_, err := s.client.Post(ctx, octopus.Route("users"), user)
	return err
}

func (s server) RemoveUser(ctx context.Context, username string) error {
	for u, err := range s.client.List(ctx, octopus.Route("users")+"?filter="+url.QueryEscape(username)) {
		if err != nil {
			return err
		}
		if !strings.EqualFold(u.Text("Username"), username) {
			continue
		}
		if _, err := s.client.Put(ctx, octopus.Route("users", u.ID(), "revoke-sessions"), nil); err != nil && odcm.KindOf(err) != odcm.NotFound && odcm.KindOf(err) != odcm.Unsupported {
			return err
		}
		if _, err := s.client.Delete(ctx, octopus.Route("users", u.ID())); odcm.KindOf(err) != odcm.NotFound {
			return err
		}
		return nil
	}
	return nil
}

var errMissing = errors.New("not in the server's answer")
