// Package spaceoctopus talks to Octopus servers for package space, by way of octoclient. It turns what can go wrong into
// the errors that space.Octopus promises: the codes that people's scripts rely on, on the field that they typed in.
package spaceoctopus

import (
	"context"
	"errors"
	"strings"

	"odcm"
	"odcm/kit/egress"
	"odcm/manager/space"
	"odcm/octopus"
	"odcm/octopus/octoclient"
)

// Options are what every connection shares. The zero value has its own guard and budgets.
type Options struct {
	Guard   *egress.Guard
	Budgets *octoclient.Budgets
	// Client is what else to set on each client; its URL, APIKey, TLS, Guard and Budgets are replaced.
	Client octoclient.Options
}

// Adapter is a [space.Octopus] over the network.
type Adapter struct{ o Options }

var _ space.Octopus = (*Adapter)(nil)

// New makes an adapter.
func New(o Options) *Adapter {
	if o.Guard == nil {
		o.Guard = egress.New(egress.Policy{}, egress.Limits{})
	}
	if o.Budgets == nil {
		o.Budgets = octoclient.NewBudgets(octoclient.Limits{})
	}
	return &Adapter{o}
}

// Client returns a client of the server.
func (a *Adapter) Client(c space.Connection) (*octoclient.Client, error) {
	o := a.o.Client
	o.URL, o.APIKey, o.TLS = c.URL, string(c.APIKey), egress.TLS{CA: c.TLS.CA, Thumbprint: c.TLS.Thumbprint}
	o.Guard, o.Budgets = a.o.Guard, a.o.Budgets
	if o.URL != "" && !strings.Contains(o.URL, "://") {
		o.URL = "https://" + o.URL // what people type
	}
	return octoclient.New(o)
}

// Prove implements [space.Octopus].
func (a *Adapter) Prove(ctx context.Context, c space.Connection) (_ space.Proof, err error) {
	defer func() { err = translate(err) }()
	defer odcm.Wrap(&err, "prove %s", c.URL)
	client, err := a.Client(c)
	if err != nil {
		return space.Proof{}, err
	}
	root, err := client.Root(ctx) // needs no key, so what fails here is the address and what fails below the key
	if err != nil {
		return space.Proof{}, err
	}
	me, err := client.Me(ctx)
	if err != nil {
		return space.Proof{}, err
	}
	may, err := client.Permissions(ctx)
	if err != nil {
		return space.Proof{}, err
	}
	spaces, err := client.Spaces(ctx)
	if err != nil {
		return space.Proof{}, err
	}
	proof := space.Proof{URL: client.URL(), InstallationID: root.InstallationID(), Version: string(root.Version()), User: me.Username(),
		Administrator: may.Has("AdministerSystem", "")}
	for _, s := range spaces {
		o := space.OctopusSpace{ID: s.ID(), Name: s.Name(), Description: s.Description(), Default: s.IsDefault()}
		for _, wanted := range space.WantedPermissions() {
			if !proof.Administrator && !may.Has(wanted, o.ID) {
				o.Lacks = append(o.Lacks, wanted)
			}
		}
		proof.Spaces = append(proof.Spaces, o)
	}
	return proof, nil
}

// background is a client whose requests let people's requests pass.
func (a *Adapter) background(c space.Connection) (*octoclient.Client, error) {
	client, err := a.Client(c)
	if err != nil {
		return nil, err
	}
	return client.Background(), nil
}

// Subscriptions implements [space.Octopus].
func (a *Adapter) Subscriptions(ctx context.Context, c space.Connection, octopusSpace, name string) (found []octopus.Object, err error) {
	defer func() { err = translate(err) }()
	client, err := a.background(c)
	if err != nil {
		return nil, err
	}
	for o, err := range client.List(ctx, octopus.SpaceRoute(octopusSpace, "subscriptions")) {
		if err != nil {
			return nil, err
		}
		if o.Name() == name {
			found = append(found, o)
		}
	}
	return found, nil
}

// PutSubscription implements [space.Octopus].
func (a *Adapter) PutSubscription(ctx context.Context, c space.Connection, octopusSpace string, o octopus.Object) (_ octopus.Object, err error) {
	defer func() { err = translate(err) }()
	client, err := a.background(c)
	if err != nil {
		return octopus.Object{}, err
	}
	if id := o.ID(); id != "" {
		return client.Put(ctx, octopus.SpaceRoute(octopusSpace, "subscriptions", id), o)
	}
	return client.Post(ctx, octopus.SpaceRoute(octopusSpace, "subscriptions"), o)
}

// DeleteSubscription implements [space.Octopus].
func (a *Adapter) DeleteSubscription(ctx context.Context, c space.Connection, octopusSpace, id string) (err error) {
	defer func() { err = translate(err) }()
	client, err := a.background(c)
	if err != nil {
		return err
	}
	if _, err = client.Delete(ctx, octopus.SpaceRoute(octopusSpace, "subscriptions", id)); odcm.KindOf(err) == odcm.NotFound {
		return nil
	}
	return err
}

// meaning is what a code of octoclient or egress is to somebody who enlists.
type meaning struct {
	kind  odcm.Kind // "" keeps the kind
	code  string
	field string
}

var meanings = map[string]meaning{
	"octopus.url":             {"", "space.url-invalid", "url"},
	"octopus.key":             {"", "space.key-refused", "apiKey"},
	"octopus.unreachable":     {"", "space.unreachable", "url"},
	"octopus.tls":             {"", "space.tls-untrusted", "url"},
	"octopus.not-octopus":     {"", "space.not-octopus", "url"},
	"octopus.too-large":       {"", "space.not-octopus", "url"},
	"octopus.version-too-old": {"", "space.version-too-old", "url"},
	"octopus.unauthorized":    {odcm.Invalid, "space.key-refused", "apiKey"}, // the caller of ODCM is known well: the key is bad input
	"octopus.forbidden":       {"", "space.key-lacks-permission", "apiKey"},
	"octopus.limited":         {"", "space.server-failed", "url"},
	"octopus.maintenance":     {"", "space.server-failed", "url"},
	"octopus.unavailable":     {"", "space.server-failed", "url"},
	"octopus.failed":          {"", "space.server-failed", "url"},
	"egress.denied":           {"", "space.address-refused", "url"},
	"egress.redirect":         {"", "space.redirected", "url"},
	"egress.too-large":        {"", "space.not-octopus", "url"},
	"egress.ca":               {"", "space.ca-invalid", "ca"},
	"egress.thumbprint":       {"", "space.thumbprint-invalid", "thumbprint"},
}

// translate gives an error the code and field of this room. What it does not know stays as it is.
func translate(err error) error {
	var e *odcm.Error
	if !errors.As(err, &e) {
		return err
	}
	m, ok := meanings[e.Code]
	if !ok {
		return err
	}
	if m.kind == "" {
		m.kind = e.Kind
	}
	return odcm.E(m.kind, m.code, "%s", e.Message).OnField(m.field).Because(err)
}
