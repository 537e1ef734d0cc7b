// Package signin lets people in who are known to somebody else: an OpenID provider in one of the slots that Octopus has for
// them, and lets programs in that hold a token of an issuer that a service account trusts.
//
// The wire is Octopus's own (OpenIDConnectAuthenticationProviders, security/authentication in its documentation): with a
// client secret the authorization code flow with PKCE (RFC 7636), without one the hybrid flow with a form post. Where the
// two differ from what they do elsewhere, the comment at the place says so. What a provider sends is checked by
// github.com/coreos/go-oidc; every request goes out through kit/egress.
//
// What is under way is a row, sealed, that is taken once by whichever node the browser comes back to.
package signin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"odcm/kit/egress"
	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/configuration"
	"odcm/spaceserver/internal/entitlement"
	"odcm/spaceserver/internal/identity"
	"odcm/spaceserver/internal/problem"
)

// Options are what signing in needs.
type Options struct {
	Service  *collection.Service
	Identity *identity.Service
	// Egress guards the way to providers and issuers.
	Egress *egress.Guard
	// Installation is the server's id, in the tokens that it issues.
	Installation func() string
	// PlainIssuers lets a service account trust an issuer without TLS: for a computer that develops, and for tests.
	PlainIssuers bool
	// Companion tells which of the providers is an ODCM, and whether it answers; nil for none.
	Companion Companion
	Now       func() time.Time // time.Now if nil
	Logger    *slog.Logger
}

// Companion is the ODCM that signs people in here: package entitlement.
type Companion interface {
	Companion(ctx context.Context) (entitlement.Companion, error)
	Reachable(ctx context.Context) bool
}

// Service signs in.
type Service struct {
	Options
	key keyring

	mu     sync.Mutex
	client *http.Client
	known  map[string]discovered // by issuer
}

type discovered struct {
	provider *oidc.Provider
	at       time.Time
}

// New makes the service. It asks nobody anything before somebody signs in.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{Options: o, known: map[string]discovered{}}
}

// Provider is one way to sign in, as a page offers it. URL is where a link or a form with method GET starts; a page adds
// ?return= with where to come back to.
type Provider struct{ Name, Label, URL string }

// slot is one of the places that Octopus has for an OpenID provider.
type slot struct {
	route    string // in addresses: /users/authenticate/<route>
	name     string // in identities and in lists
	section  string
	scopes   string
	username []string // claims, the first that is there
	email    []string
}

var slots = []slot{
	{"Okta", "Okta", "authentication-od", "openid profile email groups", []string{"preferred_username", "email", "sub"}, []string{"email", "upn"}},
	{"AzureAD", "Azure AD", "authentication-aad", "openid profile email", []string{"upn", "email", "sub"}, []string{"email", "upn"}},
	{"GoogleApps", "Google Apps", "authentication-googleapps", "openid profile email", []string{"email", "sub"}, []string{"email"}},
	{"GenericOidc", "Generic OIDC", "authentication-generic-oidc", "openid profile email", []string{"preferred_username", "email", "sub"}, []string{"email"}},
}

// settings are a slot as it is configured.
type settings struct {
	slot
	issuer, client, secret  string
	create                  bool
	roles, hosted, resource string
	label                   string
}

func (s *Service) settings(ctx context.Context, route string) (settings, error) {
	i := slices.IndexFunc(slots, func(p slot) bool { return strings.EqualFold(p.route, route) })
	if i < 0 {
		return settings{}, problem.NotFound("AuthenticationProvider", route)
	}
	o, err := configuration.Read(ctx, s.Service.Store, slots[i].section)
	if err != nil {
		return settings{}, err
	}
	if !o.Bool("IsEnabled") {
		return settings{}, problem.Invalid("This authentication provider is disabled.")
	}
	secrets, err := s.Service.Revealed(ctx, configuration.Setting(slots[i].section))
	if err != nil {
		return settings{}, err
	}
	p := settings{slot: slots[i], issuer: o.Text("Issuer"), client: o.Text("ClientId"), secret: secrets["/ClientSecret"], create: o.Bool("AllowAutoUserCreation"),
		roles: o.Text("RoleClaimType"), hosted: o.Text("HostedDomain"), resource: o.Text("Resource"), label: label(slots[i], o)}
	if claim := o.Text("UsernameClaimType"); claim != "" {
		p.username = append([]string{claim}, p.username...)
	}
	if scopes := o.Texts("Scopes"); len(scopes) > 0 {
		p.scopes = strings.Join(scopes, " ")
	}
	return p, nil
}

func label(p slot, o octopus.Object) string {
	if name := o.Text("DisplayName"); name != "" {
		return name
	}
	return p.name
}

// Providers lists the enabled ways to sign in that need no form: those of OpenID, then the guest.
func (s *Service) Providers(ctx context.Context) ([]Provider, error) {
	all := []Provider{}
	for _, p := range slots {
		o, err := configuration.Read(ctx, s.Service.Store, p.section)
		if err != nil {
			return nil, err
		}
		if o.Bool("IsEnabled") {
			all = append(all, Provider{p.name, label(p, o), "/signin/" + p.route})
		}
	}
	guest, err := s.Enabled(ctx, configuration.Guest)
	if guest {
		all = append(all, Provider{"Guest", "Guest", "/signin/Guest"})
	}
	return all, err
}

// Sources lists the enabled OpenID providers with what this server is to them.
func (s *Service) Sources(ctx context.Context) ([]entitlement.Source, error) {
	var all []entitlement.Source
	for _, p := range slots {
		on, err := s.Enabled(ctx, p.section)
		if err != nil {
			return nil, err
		}
		if !on {
			continue
		}
		c, err := s.settings(ctx, p.route)
		if err != nil {
			return nil, err
		}
		all = append(all, entitlement.Source{Slot: p.name, Issuer: c.issuer, Client: c.client, Secret: c.secret})
	}
	return all, nil
}

// Enabled tells whether the provider of a configuration section is on.
func (s *Service) Enabled(ctx context.Context, section string) (bool, error) {
	o, err := configuration.Read(ctx, s.Service.Store, section)
	return o.Bool("IsEnabled"), err
}

// AutoLogin is where whoever has no session is sent at once: the only way to sign in, where AutoLoginEnabled says so and
// there is one and no form; "" else. Where that one is ODCM, a form may stay beside it as a way in for emergencies: it is
// shown while ODCM does not answer.
func (s *Service) AutoLogin(ctx context.Context) (string, error) {
	o, err := configuration.Read(ctx, s.Service.Store, configuration.Authentication)
	if err != nil || !o.Bool("AutoLoginEnabled") {
		return "", err
	}
	all, err := s.Providers(ctx)
	if err != nil || len(all) != 1 {
		return "", err
	}
	if s.Companion != nil {
		if c, err := s.Companion.Companion(ctx); err != nil || c.Slot == all[0].Name {
			if err != nil || !s.Companion.Reachable(ctx) {
				return "", err
			}
			return all[0].URL, nil
		}
	}
	if forms, err := s.Enabled(ctx, configuration.UsernamePassword); err != nil || forms {
		return "", err
	}
	return all[0].URL, nil
}

// Elements lists the enabled providers as /api/authentication does (AuthenticationProviderElement).
func (s *Service) Elements(ctx context.Context) ([]map[string]any, error) {
	all := []map[string]any{}
	add := func(name, typ string, forms bool, link string) {
		all = append(all, map[string]any{"Name": name, "IdentityType": typ, "FormsLoginEnabled": forms, "CSSLinks": []string{}, "JavascriptLinks": []string{},
			"Links": map[string]string{"Authenticate": link}})
	}
	if forms, err := s.Enabled(ctx, configuration.UsernamePassword); err != nil {
		return nil, err
	} else if forms {
		add("Octopus", "UsernamePassword", true, "/api/users/login")
	}
	providers, err := s.Providers(ctx)
	for _, p := range providers {
		if p.Name == "Guest" {
			add("Guest", "Guest", false, "/api/users/login")
			continue
		}
		add(p.Name, "OAuth", false, strings.Replace(p.URL, "/signin/", "/users/authenticate/", 1))
	}
	return all, err
}

// GroupProviders lists the enabled providers that name groups (AuthenticationProviderThatSupportsGroups). None of OpenID
// lets groups be looked up: their ids are typed.
func (s *Service) GroupProviders(ctx context.Context) ([]map[string]any, error) {
	all := []map[string]any{}
	for _, p := range slots {
		o, err := configuration.Read(ctx, s.Service.Store, p.section)
		if err != nil {
			return nil, err
		}
		if o.Bool("IsEnabled") && o.Text("RoleClaimType") != "" {
			all = append(all, map[string]any{"Id": p.section, "Name": p.name, "IsRoleBased": true, "SupportsGroupLookup": false, "LookupUri": nil})
		}
	}
	return all, nil
}

// IdentityMetadata tells which claims an identity of each enabled provider has (IdentityMetadataResource), for forms that
// edit a user's identities.
func (s *Service) IdentityMetadata(ctx context.Context) ([]map[string]any, error) {
	claim := func(name, label string, identifying bool) map[string]any {
		return map[string]any{"Type": name, "Label": label, "IsIdentifyingClaim": identifying, "Description": ""}
	}
	all := []map[string]any{}
	for _, p := range slots {
		on, err := s.Enabled(ctx, p.section)
		if err != nil {
			return nil, err
		}
		if on {
			all = append(all, map[string]any{"IdentityProviderName": p.name, "ClaimDescriptors": []map[string]any{
				claim(claimEmail, "Email address", true), claim(claimName, "Display name", false), claim(claimID, "External ID", true)}})
		}
	}
	return all, nil
}

// Local tells whether a browser may be sent to the address after it signed in: a path of this server, or below one of the
// addresses that the administrator trusts. Anything that a browser could read as another host is neither.
func (s *Service) Local(ctx context.Context, target string) (bool, error) {
	if strings.ContainsAny(target, "\\\r\n\t\x00") {
		return false, nil
	}
	if strings.HasPrefix(target, "/") {
		return !strings.HasPrefix(target, "//"), nil
	}
	o, err := configuration.Read(ctx, s.Service.Store, configuration.Authentication)
	if err != nil {
		return false, err
	}
	for _, trusted := range o.Texts("TrustedRedirectUrls") {
		trusted = strings.TrimSuffix(trusted, "/")
		if rest, ok := strings.CutPrefix(target, trusted); ok && (rest == "" || rest[0] == '/' || rest[0] == '?' || rest[0] == '#') {
			return true, nil
		}
	}
	return false, nil
}

// patience bounds one exchange with a provider.
const patience = 15 * time.Second

// outward is a context whose requests by go-oidc and oauth2 go out through the guard.
func (s *Service) outward(ctx context.Context) (context.Context, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client == nil {
		client, err := s.Egress.Client(egress.TLS{})
		if err != nil {
			return nil, err
		}
		client.Timeout = patience
		s.client = client
	}
	return oidc.ClientContext(ctx, s.client), nil
}

// remembered is how long what a provider says of itself is believed. Octopus keeps it until it is started again, which
// makes a provider that moves a reason to restart.
const remembered = time.Hour

// discover reads what an issuer says of itself (OpenID Connect Discovery 1.0), or remembers it.
func (s *Service) discover(ctx context.Context, issuer string) (*oidc.Provider, error) {
	s.mu.Lock()
	kept, ok := s.known[issuer]
	s.mu.Unlock()
	if ok && s.Now().Sub(kept.at) < remembered {
		return kept.provider, nil
	}
	// The keys are fetched when they are needed, in the context that is given here: not in that of the first request.
	out, err := s.outward(context.WithoutCancel(ctx))
	if err != nil {
		return nil, err
	}
	bounded, cancel := context.WithTimeout(out, patience)
	defer cancel()
	provider, err := oidc.NewProvider(bounded, issuer)
	var mismatch *oidc.IssuerMismatchError
	if errors.As(err, &mismatch) && strings.TrimSuffix(mismatch.Provided, "/") == strings.TrimSuffix(mismatch.Discovered, "/") {
		// People copy addresses with a slash at the end, or without.
		provider, err = oidc.NewProvider(bounded, mismatch.Discovered)
	}
	if err != nil {
		return nil, problem.New(http.StatusBadGateway, "The identity provider's description of itself could not be read at the issuer's address. Please tell your administrator.").Because(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= 64 {
		clear(s.known)
	}
	s.known[issuer] = discovered{provider, s.Now()}
	return provider, nil
}
