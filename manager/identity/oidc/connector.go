package oidc

import (
	"time"

	"odcm"
	"odcm/kit/egress"
	"odcm/manager/identity/oidc/wire"
	"odcm/manager/identity/provider"
)

// Options are what connectors need.
type Options struct {
	Guard *egress.Guard    // required: the way out
	Now   func() time.Time // time.Now if nil
}

// Connectors returns those of Entra ID, Google Workspace and any OpenID provider.
func Connectors(o Options) []provider.Connector {
	if o.Now == nil {
		o.Now = time.Now
	}
	return []provider.Connector{
		&connector{o, provider.EntraID, entraFields(), openEntra},
		&connector{o, provider.Google, googleFields(), openGoogle},
		&connector{o, provider.OpenID, plainFields(), openPlain},
	}
}

// connector is one kind: its settings, and how they make a source.
type connector struct {
	o      Options
	kind   provider.Kind
	fields []provider.Field
	open   func(*source, settings) (provider.Source, error)
}

func (c *connector) Kind() provider.Kind { return c.kind }

func (c *connector) Fields() []provider.Field { return c.fields }

// Open implements [provider.Connector].
func (c *connector) Open(p provider.Provider, returnURL string) (_ provider.Source, err error) {
	defer odcm.Wrap(&err, "open provider %s", p.ID)
	set, err := read(c.fields, p)
	if err != nil {
		return nil, err
	}
	client, err := c.o.Guard.Client(egress.TLS{CA: set.text("ca")})
	if err != nil {
		return nil, err
	}
	admission, err := readAdmission(set)
	if err != nil {
		return nil, err
	}
	s := &source{
		id: p.ID, now: c.o.Now, wire: wire.Client{HTTP: client}, returnURL: returnURL,
		clientID: set.text("clientId"), clientSecret: set.text("clientSecret"), clientAuth: set.text("clientAuth"), admission: admission,
	}
	return c.open(s, set)
}

// Fields that every kind has.

func clientFields(secretNeeded bool) []provider.Field {
	return []provider.Field{
		{Name: "clientId", Label: "Client ID", Help: "As the provider shows it where ODCM is registered.", Required: true},
		{Name: "clientSecret", Label: "Client secret", Secret: true, Required: secretNeeded},
	}
}

func admissionFields() []provider.Field {
	return []provider.Field{
		{Name: "admit", Label: "Admit new people", Default: admitDomains, Options: []string{admitDomains, admitEveryone, admitNobody},
			Help: "Who becomes a user of ODCM by signing in: those with a verified e-mail address of the domains below, everyone whom this provider signs in, or only those who were invited."},
		{Name: "domains", Label: "E-mail domains", Help: "One on a line, such as example.com. With none, nobody new is admitted by domain.", Multi: true},
	}
}
