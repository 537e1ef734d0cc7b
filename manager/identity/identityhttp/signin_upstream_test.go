package identityhttp_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"odcm/kit/egress"
	"odcm/manager/identity/oidc"
	"odcm/manager/identity/provider"
	"odcm/test/upstream"
)

// TestSignInWithAnotherCompanysEntraID goes from the sign-in page to a real provider and back.
func TestSignInWithAnotherCompanysEntraID(t *testing.T) {
	t.Parallel()
	const back = "http://127.0.0.1:9/sign-in/callback/provider-contoso"
	object := "aaaaaaaa-0000-4000-8000-000000000001"
	p := upstream.Entra(t, nil, map[string]upstream.User{"geoff": {Password: "pw", Claims: upstream.EntraClaims("geoff", object, "g-consultants")}},
		upstream.Client{ID: "odcm", Secret: "the secret", Redirect: []string{back}})
	b := setupSignIn(t)
	for _, c := range oidc.Connectors(oidc.Options{Guard: egress.New(egress.Policy{}, egress.Limits{})}) {
		if c.Kind() != provider.EntraID {
			continue
		}
		s, err := c.Open(provider.Provider{ID: "provider-contoso", Kind: c.Kind(), Name: "Contoso",
			Settings: map[string]string{"tenant": upstream.Tenant, "clientId": "odcm", "authority": p.Origin, "graph": "no", "admit": "everyone"},
			Secrets:  map[string]string{"clientSecret": "the secret"}}, back)
		if err != nil {
			t.Fatal(err)
		}
		b.ways.sources["provider-contoso"] = s
	}
	w := b.get("/sign-in/with/provider-contoso?return=" + url.QueryEscape("/?tab=mine"))
	want(t, w, http.StatusSeeOther)
	if !strings.HasPrefix(location(w), p.Issuer) {
		t.Fatalf("sent to %s", location(w))
	}
	answer := p.Visit(location(w), "geoff", "pw")
	w = b.get(answer.RequestURI())
	want(t, w, http.StatusSeeOther)
	if location(w) != "/?tab=mine" {
		t.Errorf("led on to %s", location(w))
	}
	b.signedInAs("geoff@contoso.example")
	want(t, b.get(answer.RequestURI()), http.StatusUnprocessableEntity, "Begin again")

	// The person says no there, and finds the other ways in.
	b.cookies = map[string]string{}
	w = b.get("/sign-in/with/provider-contoso")
	want(t, b.get(p.Visit(location(w), "", "").RequestURI()), http.StatusForbidden, "did not let you in", "Contoso", `name="password"`)
}
