package oidc_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"odcm"
	"odcm/manager/identity/provider"
	"odcm/test/upstream"
)

const (
	theirs = "22222222-2222-4222-8222-222222222222"
	object = "aaaaaaaa-0000-4000-8000-000000000001"
)

// several makes a provider in the shape of Entra ID for the people of many tenants.
func several(t *testing.T, keyIssuer string) (*issuer, provider.Source) {
	t.Helper()
	i := newIssuer(t)
	i.serve["/organizations/v2.0/.well-known/openid-configuration"] = func(w http.ResponseWriter, _ *http.Request) {
		write(w, map[string]any{"issuer": i.URL + "/{tenantid}/v2.0", "authorization_endpoint": i.URL + "/authorize",
			"token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys"})
	}
	i.serve["/keys"] = func(w http.ResponseWriter, _ *http.Request) {
		b, err := json.Marshal(jose.JSONWebKey{Key: &i.key.PublicKey, KeyID: i.kid, Use: "sig"})
		key := map[string]any{}
		if err == nil {
			err = json.Unmarshal(b, &key)
		}
		if err != nil {
			t.Error(err)
		}
		if keyIssuer != "" {
			key["issuer"] = i.URL + keyIssuer
		}
		write(w, map[string]any{"keys": []any{key}})
	}
	i.claims["oid"] = object
	s := must(t, provider.EntraID, map[string]string{"tenant": "organizations", "tenants": upstream.Tenant + "\n" + theirs, "clientId": "odcm",
		"authority": i.URL, "graph": "no"}, map[string]string{"clientSecret": "secret"}, nil)
	return i, s
}

func TestSeveralTenants(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tenant, issuer, keyIssuer string
		kind                      odcm.Kind
		code                      string
	}{
		"one of the list":               {upstream.Tenant, upstream.Tenant, "", "", ""},
		"another of the list":           {theirs, theirs, "/{tenantid}/v2.0", "", ""},
		"one that is not on it":         {object, object, "", odcm.Denied, "sign-in.tenant"},
		"none":                          {"", upstream.Tenant, "", odcm.Denied, "sign-in.tenant"},
		"one that its issuer is not":    {upstream.Tenant, theirs, "", odcm.Unauthenticated, "sign-in.issuer"},
		"the pattern itself":            {upstream.Tenant, "{tenantid}", "", odcm.Unauthenticated, "sign-in.issuer"},
		"signed with the key of theirs": {upstream.Tenant, upstream.Tenant, "/" + theirs + "/v2.0", odcm.Unauthenticated, "sign-in.issuer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i, s := several(t, c.keyIssuer)
			i.claims["tid"], i.claims["iss"] = c.tenant, i.URL+"/"+c.issuer+"/v2.0"
			a, err := i.signIn(s, nil)
			if c.code != "" {
				wantCode(t, err, c.kind, c.code)
				return
			}
			if err != nil || a.Subject != c.tenant+"/"+object {
				t.Errorf("%+v %v", a, err)
			}
		})
	}
}

func TestSettingsAreRefused(t *testing.T) {
	t.Parallel()
	entra := func(more map[string]string) map[string]string {
		m := map[string]string{"tenant": upstream.Tenant, "clientId": "odcm"}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	secret := map[string]string{"clientSecret": "secret"}
	for name, c := range map[string]struct {
		kind     provider.Kind
		settings map[string]string
		secrets  map[string]string
		field    string
	}{
		"no issuer":                  {provider.OpenID, map[string]string{"clientId": "odcm"}, nil, "issuer"},
		"issuer without TLS":         {provider.OpenID, map[string]string{"issuer": "http://login.example.com", "clientId": "odcm"}, nil, "issuer"},
		"issuer with a query":        {provider.OpenID, map[string]string{"issuer": "https://login.example.com?x=1", "clientId": "odcm"}, nil, "issuer"},
		"issuer with a user":         {provider.OpenID, map[string]string{"issuer": "https://user:pw@login.example.com", "clientId": "odcm"}, nil, "issuer"},
		"no client":                  {provider.OpenID, map[string]string{"issuer": "https://login.example.com"}, nil, "clientId"},
		"authority that is none":     {provider.OpenID, map[string]string{"issuer": "https://login.example.com", "clientId": "odcm", "ca": "no"}, nil, "ca"},
		"admission that is none":     {provider.OpenID, map[string]string{"issuer": "https://login.example.com", "clientId": "odcm", "admit": "all"}, nil, "admit"},
		"domain that is none":        {provider.OpenID, map[string]string{"issuer": "https://login.example.com", "clientId": "odcm", "domains": "*.com"}, nil, "domains"},
		"no secret for Entra ID":     {provider.EntraID, entra(nil), nil, "clientSecret"},
		"tenant by domain":           {provider.EntraID, entra(map[string]string{"tenant": "contoso.example"}), secret, "tenant"},
		"everybody's tenant":         {provider.EntraID, entra(map[string]string{"tenant": "common"}), secret, "tenants"},
		"list with a wrong tenant":   {provider.EntraID, entra(map[string]string{"tenant": "organizations", "tenants": "contoso"}), secret, "tenants"},
		"no hosted domain":           {provider.Google, map[string]string{"clientId": "odcm"}, secret, "hostedDomains"},
		"key that is none":           {provider.Google, map[string]string{"clientId": "odcm", "hostedDomains": "acme.example"}, map[string]string{"clientSecret": "secret", "serviceAccount": "{}"}, "serviceAccount"},
		"key without administrator":  {provider.Google, map[string]string{"clientId": "odcm", "hostedDomains": "acme.example"}, map[string]string{"clientSecret": "secret", "serviceAccount": `{"type":"service_account","client_email":"a","private_key":"b","token_uri":"https://x"}`}, "adminEmail"},
		"key with an unsafe address": {provider.Google, map[string]string{"clientId": "odcm", "hostedDomains": "acme.example"}, map[string]string{"clientSecret": "secret", "serviceAccount": `{"type":"service_account","client_email":"a","private_key":"b","token_uri":"http://x"}`}, "serviceAccount"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := open(t, c.kind, c.settings, c.secrets, nil)
			wantField(t, err, c.field)
		})
	}
}

func TestAdmission(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		settings map[string]string
		claims   map[string]any
		admitted bool
	}{
		"nobody by default":                 {nil, nil, false},
		"domain":                            {map[string]string{"domains": "other.example, Example.com"}, nil, true},
		"domain of an unverified address":   {map[string]string{"domains": "example.com"}, map[string]any{"email_verified": false}, false},
		"another domain":                    {map[string]string{"domains": "other.example"}, nil, false},
		"a domain that ends as the allowed": {map[string]string{"domains": "ample.com"}, nil, false},
		"two at signs":                      {map[string]string{"domains": "example.com"}, map[string]any{"email": "x@evil.example@example.com"}, false},
		"everyone":                          {map[string]string{"admit": "everyone"}, map[string]any{"email": nil}, true},
		"invited only":                      {map[string]string{"admit": "invited", "domains": "example.com"}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			if c.claims != nil {
				i.claims = c.claims
			}
			a, err := i.signIn(i.open(c.settings), nil)
			if err != nil || a.Admit != c.admitted {
				t.Errorf("admitted %v, %v", a.Admit, err)
			}
		})
	}
}

func TestGroupsThatWereNotSaidAreUnknown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		settings map[string]string
		groups   any
		known    bool
		want     string
	}{
		"list":                     {nil, []string{"b", "a", "a", ""}, true, "a b"},
		"one that looks alike":     {nil, []string{"admins\u200b", "admins\x00", strings.Repeat("x", 256)}, true, "admins\u200b"},
		"one":                      {nil, "a", true, "a"},
		"empty list":               {nil, []string{}, true, ""},
		"no claim":                 {nil, nil, false, ""},
		"no claim, which is none":  {map[string]string{"groupsAbsent": "none"}, nil, true, ""},
		"something else":           {nil, map[string]any{"a": true}, false, ""},
		"something else, not none": {map[string]string{"groupsAbsent": "none"}, []int{1}, false, ""},
		"another claim":            {map[string]string{"groupsClaim": "roles"}, []string{"a"}, false, ""},
		"nested claim":             {map[string]string{"groupsClaim": "groups.of.carol"}, map[string]any{"of": map[string]any{"carol": []string{"a"}}}, true, "a"},
		"nested in something else": {map[string]string{"groupsClaim": "groups.of"}, []string{"a"}, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			i.claims["groups"] = c.groups
			a, err := i.signIn(i.open(c.settings), nil)
			if err != nil || a.GroupsKnown != c.known || ids(a.Groups) != c.want {
				t.Errorf("known %v, %v, %v", a.GroupsKnown, a.Groups, err)
			}
		})
	}
}

func TestUserinfo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		userinfo http.HandlerFunc
		known    bool
		code     string
	}{
		"tells groups":           {jsonText(`{"sub":"carol-1","groups":["a"],"email":"carol@example.com"}`), true, ""},
		"is of somebody else":    {jsonText(`{"sub":"mallory","groups":["admins"]}`), false, "sign-in.subject-differs"},
		"does not answer":        {status(http.StatusBadGateway), false, ""},
		"is a signed token":      {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "application/jwt") }, false, ""},
		"claims of another kind": {jsonText(`{"sub":"carol-1","name":7}`), false, "sign-in.token-malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			i.metadata["userinfo_endpoint"] = i.URL + "/userinfo"
			i.claims["groups"] = nil
			i.serve["/userinfo"] = c.userinfo
			a, err := i.signIn(i.open(map[string]string{"groupsAbsent": "none"}), nil)
			if c.code != "" {
				if odcm.CodeOf(err) != c.code {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil || a.GroupsKnown != c.known {
				t.Errorf("known %v, %v", a.GroupsKnown, err)
			}
		})
	}
}
