package provider

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"odcm"
)

// Actions on providers. Reading is the auditor's too; ActionFind, looking for groups and people in a directory, is needed
// by whoever may map groups.
const (
	ActionRead odcm.Action = "provider.read"
	ActionEdit odcm.Action = "provider.edit"
	ActionFind odcm.Action = "provider.find"
)

// Options are what a [Service] needs. Store, Sealer, Authorizer, Bus, People and Connectors are required.
type Options struct {
	Store      Store
	Sealer     Sealer
	Authorizer odcm.Authorizer
	Bus        Bus
	People     People
	Connectors []Connector
	// ReturnURL is where a provider sends people back to after they signed in there.
	ReturnURL func(id odcm.ProviderID) string
	Leases    Leases // without, directories are not read in the background
	Replica   string // name of this process among those that read
	Logger    *slog.Logger
	Now       func() time.Time
}

// Service is the door to all providers. Run [Service.Run] beside it.
type Service struct {
	o          Options
	connectors map[Kind]Connector
	background sync.WaitGroup // tests under way

	mu     sync.Mutex
	loaded loaded
	down   map[odcm.ProviderID]time.Time // did not answer then
}

// New makes the service.
func New(o Options) *Service {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.ReturnURL == nil {
		o.ReturnURL = func(odcm.ProviderID) string { return "" }
	}
	s := &Service{o: o, connectors: map[Kind]Connector{}, down: map[odcm.ProviderID]time.Time{}}
	for _, c := range o.Connectors {
		s.connectors[c.Kind()] = c
	}
	return s
}

// now is the time as it is stored: UTC, in milliseconds.
func (s *Service) now() time.Time { return s.o.Now().UTC().Truncate(time.Millisecond) }

// Topic is the hint that a provider changed, or what is known of it.
func Topic(id odcm.ProviderID) string { return "provider/" + string(id) }

// Kinds lists the kinds that can be added, in the order of the connectors.
func (s *Service) Kinds() []Kind {
	kinds := make([]Kind, len(s.o.Connectors))
	for i, c := range s.o.Connectors {
		kinds[i] = c.Kind()
	}
	return kinds
}

// Fields lists the settings of a kind; nil where there is no such kind.
func (s *Service) Fields(k Kind) []Field {
	if c, ok := s.connectors[k]; ok {
		return c.Fields()
	}
	return nil
}

// MayRead tells whether providers of the kind can be directories that are read in the background.
func MayRead(k Kind) bool { return k != OpenID }

// Reads tells whether the provider is a directory that is read in the background: with some kinds the settings decide.
func (s *Service) Reads(ctx context.Context, p Provider) bool {
	if !p.Enabled {
		return !p.Sync.Tried.IsZero()
	}
	source, err := s.Source(ctx, p.ID)
	if err != nil {
		return p.Kind == ActiveDirectory || p.Kind == LDAP || !p.Sync.Tried.IsZero()
	}
	_, ok := source.(Directory)
	return ok
}

// ReturnURL is what the other side must be told where people are to come back to.
func (s *Service) ReturnURL(id odcm.ProviderID) string { return s.o.ReturnURL(id) }

// May tells whether the principal may do the action, so that a page can leave out what would be refused.
func (s *Service) May(ctx context.Context, p odcm.Principal, action odcm.Action) bool {
	return s.o.Authorizer.Authorize(ctx, p, action, "") == nil
}

// List lists all providers by their order.
func (s *Service) List(ctx context.Context, p odcm.Principal) (_ []Provider, err error) {
	defer odcm.Wrap(&err, "list providers")
	if err := s.o.Authorizer.Authorize(ctx, p, ActionRead, ""); err != nil {
		return nil, err
	}
	records, err := s.o.Store.Providers(ctx)
	all := make([]Provider, len(records))
	for i, r := range records {
		all[i] = r.shown()
	}
	return all, err
}

// Get returns one provider.
func (s *Service) Get(ctx context.Context, p odcm.Principal, id odcm.ProviderID) (_ Provider, err error) {
	defer odcm.Wrap(&err, "get provider %s", id)
	if err := s.o.Authorizer.Authorize(ctx, p, ActionRead, string(id)); err != nil {
		return Provider{}, err
	}
	r, err := s.o.Store.Provider(ctx, id)
	return r.shown(), err
}

// shown has the names of the secrets alone.
func (r Record) shown() Provider {
	p := r.Provider
	p.Secrets = make(map[string]string, len(r.Sealed))
	for name := range r.Sealed {
		p.Secrets[name] = ""
	}
	return p
}

// Create adds a provider: its Kind, Name, Enabled, Order, Settings, Secrets and SyncEvery count.
func (s *Service) Create(ctx context.Context, p odcm.Principal, n Provider) (_ Provider, err error) {
	defer odcm.Wrap(&err, "create provider")
	if err := s.o.Authorizer.Authorize(ctx, p, ActionEdit, ""); err != nil {
		return Provider{}, err
	}
	n.ID, n.Created, n.Revision = odcm.NewID[odcm.ProviderID]("provider"), s.now(), 1
	n.Sync, n.Test = Sync{}, Test{}
	r, err := s.prepare(n, nil)
	if err != nil {
		return Provider{}, err
	}
	if err := s.o.Store.Create(ctx, r, odcm.NewEvent(p, "provider.created", string(n.ID), r.Name, nil, r.about())); err != nil {
		return Provider{}, err
	}
	s.changed(n.ID)
	return r.shown(), nil
}

// Update changes what Create takes, but the kind, which stays. Revision must be the one that was read; 0 changes whatever is there.
func (s *Service) Update(ctx context.Context, p odcm.Principal, n Provider) (_ Provider, err error) {
	defer odcm.Wrap(&err, "update provider %s", n.ID)
	if err := s.o.Authorizer.Authorize(ctx, p, ActionEdit, string(n.ID)); err != nil {
		return Provider{}, err
	}
	old, err := s.o.Store.Provider(ctx, n.ID)
	if err != nil {
		return Provider{}, err
	}
	if n.Revision == 0 {
		n.Revision = old.Revision
	}
	n.Kind, n.Created, n.Sync, n.Test = old.Kind, old.Created, old.Sync, old.Test
	r, err := s.prepare(n, old.Sealed)
	if err != nil {
		return Provider{}, err
	}
	e := odcm.NewEvent(p, "provider.changed", string(n.ID), r.Name, old.about(), r.about())
	if err := s.o.Store.Update(ctx, r, e); err != nil {
		return Provider{}, err
	}
	r.Revision++
	s.changed(n.ID)
	return r.shown(), nil
}

// changed makes this and every other replica read the providers again.
func (s *Service) changed(id odcm.ProviderID) {
	s.forget()
	s.o.Bus.Publish(Topic(id))
}

// about is what an event tells of a provider: everything but the secrets, of which the names.
func (r Record) about() map[string]any {
	secrets := make([]string, 0, len(r.Sealed))
	for name := range r.Sealed {
		secrets = append(secrets, name)
	}
	slices.Sort(secrets)
	return map[string]any{"kind": r.Kind, "name": r.Name, "enabled": r.Enabled, "order": r.Order, "settings": r.Settings, "secrets": secrets,
		"syncEvery": r.SyncEvery.String()}
}

const (
	maxName  = 60
	maxValue = 4000
)

// prepare checks what an administrator gave, seals the secrets, and keeps those of before that are to stay.
func (s *Service) prepare(n Provider, sealed map[string]string) (Record, error) {
	connector, ok := s.connectors[n.Kind]
	if !ok {
		return Record{}, odcm.E(odcm.Invalid, "provider.kind-unknown", "There is no kind of provider named %q.", n.Kind).OnField("kind")
	}
	n.Name = strings.TrimSpace(n.Name)
	switch {
	case n.Name == "" || utf8.RuneCountInString(n.Name) > maxName || !utf8.ValidString(n.Name) || strings.ContainsFunc(n.Name, unicode.IsControl):
		return Record{}, odcm.E(odcm.Invalid, "provider.name-invalid", "Give the provider a name, of at most %d characters, as people shall see it on the sign-in page.", maxName).OnField("name")
	case n.Order < 0 || n.Order > 1000:
		return Record{}, odcm.E(odcm.Invalid, "provider.order-invalid", "The order is a number from 0 to 1000.").OnField("order")
	case n.SyncEvery != 0 && (n.SyncEvery < time.Minute || n.SyncEvery > 7*24*time.Hour):
		return Record{}, odcm.E(odcm.Invalid, "provider.interval-invalid", "The directory is read at most once a minute, and at least once a week.").OnField("syncEvery")
	}
	if err := clean(&n, connector.Fields()); err != nil {
		return Record{}, err
	}
	r := Record{Provider: n, Sealed: map[string]string{}}
	r.Secrets = map[string]string{}
	for name, value := range n.Secrets {
		kept, have := sealed[name]
		switch {
		case value != "":
			var err error
			if r.Sealed[name], err = s.o.Sealer.Seal([]byte(value), place(n.ID, name)); err != nil {
				return Record{}, err
			}
		case have:
			r.Sealed[name] = kept
		}
	}
	for _, f := range connector.Fields() {
		if f.Secret && f.Required && r.Sealed[f.Name] == "" {
			return Record{}, missing(f)
		}
	}
	opened, err := s.unseal(r)
	if err != nil {
		return Record{}, err
	}
	source, err := connector.Open(opened, s.o.ReturnURL(n.ID))
	if err != nil {
		return Record{}, err
	}
	return r, source.Close()
}

func missing(f Field) error {
	return odcm.E(odcm.Invalid, "provider.setting-missing", "%s is missing.", f.Label).OnField(f.Name)
}

// clean takes the settings that the kind has, trims them, and refuses what is missing or none of the choices.
func clean(n *Provider, fields []Field) error {
	settings, secrets := map[string]string{}, map[string]string{}
	for name := range n.Settings {
		if !slices.ContainsFunc(fields, func(f Field) bool { return f.Name == name && !f.Secret }) {
			return odcm.E(odcm.Invalid, "provider.setting-unknown", "There is no setting named %q.", name).OnField(name)
		}
	}
	for name := range n.Secrets {
		if !slices.ContainsFunc(fields, func(f Field) bool { return f.Name == name && f.Secret }) {
			return odcm.E(odcm.Invalid, "provider.setting-unknown", "There is no secret setting named %q.", name).OnField(name)
		}
	}
	for _, f := range fields {
		from, to := n.Settings, settings
		if f.Secret {
			from, to = n.Secrets, secrets
		}
		value, have := from[f.Name]
		if !f.Secret { // a password may begin with a space
			value = strings.TrimSpace(value)
		}
		limit := f.Max
		if limit == 0 {
			limit = maxValue
		}
		switch {
		case len(value) > limit || !utf8.ValidString(value) || strings.ContainsRune(value, 0):
			return odcm.E(odcm.Invalid, "provider.setting-invalid", "%s is longer than %d bytes, or no text.", f.Label, limit).OnField(f.Name)
		case value == "" && f.Required && !f.Secret && f.Default == "":
			return missing(f)
		case value != "" && len(f.Options) > 0 && !slices.Contains(f.Options, value):
			return odcm.E(odcm.Invalid, "provider.setting-invalid", "%s is one of %s.", f.Label, strings.Join(f.Options, ", ")).OnField(f.Name)
		case !f.Multi && !f.Secret && strings.ContainsAny(value, "\r\n"):
			return odcm.E(odcm.Invalid, "provider.setting-invalid", "%s is one line.", f.Label).OnField(f.Name)
		}
		if value != "" || f.Secret && have {
			to[f.Name] = value
		}
	}
	n.Settings, n.Secrets = settings, secrets
	return nil
}

// place is what a sealed secret is bound to.
func place(id odcm.ProviderID, name string) string {
	return "identity_provider/" + string(id) + "/" + name
}

// unseal fills the values of the secrets.
func (s *Service) unseal(r Record) (Provider, error) {
	p := r.Provider
	p.Secrets = make(map[string]string, len(r.Sealed))
	for name, sealed := range r.Sealed {
		plain, err := s.o.Sealer.Open(sealed, place(p.ID, name))
		if err != nil {
			return Provider{}, err
		}
		p.Secrets[name] = string(plain)
	}
	return p, nil
}
