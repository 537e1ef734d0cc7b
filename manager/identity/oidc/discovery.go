package oidc

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"odcm"
	"odcm/manager/identity/oidc/wire"
)

// metadata is what a provider says about itself (OpenID Connect Discovery 1.0 section 3, RFC 9207 section 3).
type metadata struct {
	Issuer        string   `json:"issuer"`
	Authorization string   `json:"authorization_endpoint"`
	Token         string   `json:"token_endpoint"`
	Userinfo      string   `json:"userinfo_endpoint"`
	Keys          string   `json:"jwks_uri"`
	Algorithms    []string `json:"id_token_signing_alg_values_supported"`
	ClientAuth    []string `json:"token_endpoint_auth_methods_supported"`
	NamesIssuer   bool     `json:"authorization_response_iss_parameter_supported"`
}

// algorithms are those that ODCM believes: asymmetric ones. An HS256 token would be signed with the client secret, which
// ODCM shares with whoever learns it, and "none" with nothing (RFC 8725 sections 3.1 and 3.2).
func algorithms() []string {
	return []string{
		oidc.RS256, oidc.ES256, oidc.PS256, oidc.EdDSA, oidc.RS384, oidc.ES384, oidc.PS384, oidc.RS512, oidc.ES512, oidc.PS512,
	}
}

// discover reads the provider's description at the well-known place below base, which must name issuer exactly.
func discover(ctx context.Context, w wire.Client, base, issuer string) (*metadata, error) {
	m := &metadata{}
	err := w.Do(ctx, wire.Call{Method: http.MethodGet, URL: strings.TrimSuffix(base, "/") + "/.well-known/openid-configuration"}, m)
	if err != nil {
		return nil, wire.Unavailable("The provider's description", err)
	}
	if m.Issuer != issuer {
		return nil, odcm.E(odcm.Invalid, "provider.issuer-differs", "The provider calls itself %q, and the settings %q: they must be the same to the letter, a slash at the end among them.",
			wire.Clean(m.Issuer, 200), issuer)
	}
	return m, m.check()
}

func (m *metadata) check() error {
	base, err := url.Parse(m.Issuer)
	if err != nil {
		return odcm.E(odcm.Invalid, "provider.issuer-differs", "The provider's name for itself is no address.").Because(err)
	}
	for _, e := range []struct {
		what, address string
		required      bool
	}{
		{"authorization_endpoint", m.Authorization, true}, {"token_endpoint", m.Token, true},
		{"jwks_uri", m.Keys, true}, {"userinfo_endpoint", m.Userinfo, false},
	} {
		if e.address == "" && !e.required {
			continue
		}
		u, err := url.Parse(e.address)
		if err != nil || !wire.Safe(u) || u.Scheme != "https" && base.Scheme == "https" || u.User != nil || u.Fragment != "" {
			return odcm.E(odcm.Invalid, "provider.endpoint-unsafe", "The provider's %s is missing, or is not an address that begins with https://.", e.what)
		}
	}
	if m.Algorithms = slices.DeleteFunc(m.Algorithms, func(a string) bool { return !slices.Contains(algorithms(), a) }); len(m.Algorithms) == 0 {
		m.Algorithms = []string{oidc.RS256} // what every provider must have (Core section 15.1)
	}
	return nil
}

// endpoint tells x/oauth2 where to go and how the client proves who it is. Trying one way after another, as x/oauth2 would by
// itself, may cost the code, which works once.
func (m *metadata) endpoint(clientAuth string, secret bool) oauth2.Endpoint {
	style := oauth2.AuthStyleInHeader // the default of OpenID Connect Core section 9
	if !secret || clientAuth == authPost || clientAuth == authAutomatic && len(m.ClientAuth) > 0 && !slices.Contains(m.ClientAuth, authBasic) {
		style = oauth2.AuthStyleInParams
	}
	return oauth2.Endpoint{AuthURL: m.Authorization, TokenURL: m.Token, AuthStyle: style}
}

// Values of the setting "clientAuth".
const (
	authAutomatic = "automatic"
	authBasic     = "client_secret_basic"
	authPost      = "client_secret_post"
)
