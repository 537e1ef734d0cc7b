package octotest

import (
	"strings"
	"time"

	"odcm/octopus"
)

// providers: whoever is not signed in is told how to (AuthenticationResource).
func (s *session) providers() {
	none := ""
	listed := s.object(s.want(s.send(request{method: "GET", path: "/api/authentication", key: &none}), 200))
	all := listed.Objects("AuthenticationProviders")
	if len(all) == 0 {
		s.problemf("GET /api/authentication: nobody can sign in")
	}
	for _, p := range all {
		if p.Text("Name") == "" || p.Text("IdentityType") == "" || p.Object("Links").Text("Authenticate") == "" {
			s.problemf("GET /api/authentication: provider %v", p)
		}
	}
}

// keyDates: a key cannot end before it began, and tells when it ends.
func (s *session) keyDates() {
	user := s.create(s.kind("users"), s.kind("users").Body(s))
	defer s.delete(octopus.Route("users", user.ID()))
	route := octopus.Route("users", user.ID(), "apikeys")
	s.want(s.send(request{method: "POST", path: route, body: fields{"Purpose": s.name("past"), "Expires": "2020-01-01T00:00:00Z"}}), 400)
	ends := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Second)
	made := s.post(route, fields{"Purpose": s.name("dated"), "Expires": ends})
	s.secrets = append(s.secrets, made.Text("ApiKey"))
	if got := octopus.As[time.Time](s.get(route+"/"+made.ID()), "Expires"); !got.Equal(ends) {
		s.problemf("GET %s/%s: Expires %v, want %v", route, made.ID(), got, ends)
	}
}

// trusted: what a service account trusts instead of a key is kept with it, and none of it is for people
// (pkg/serviceaccounts in go-octopusdeploy; since 2023.4).
func (s *session) trusted() {
	if !(octopus.Root{Object: s.get(octopus.RootRoute)}).Version().AtLeast("2023.4.0") {
		return
	}
	body := s.kind("users").Body(s)
	body["IsService"] = true
	delete(body, "Password")
	account := s.create(s.kind("users"), body)
	defer s.delete(octopus.Route("users", account.ID()))
	route := octopus.Route("serviceaccounts", account.ID(), "oidcidentities")
	identity := fields{"Name": "Builds", "Issuer": "https://issuer.example.com", "Subject": "repo:acme/*", "ServiceAccountId": account.ID()}
	made := s.post(route+"/create/v1", identity)
	listed := s.get(route + "/v1")
	if found := listed.Objects("OidcIdentities"); listed.Int("Count") != 1 || len(found) != 1 || found[0].ID() != made.ID() || len(listed.Text("ExternalId")) != 36 {
		s.problemf("GET %s/v1: %v", route, listed)
	}
	identity["Issuer"] = "http://issuer.example.com"
	s.want(s.send(request{method: "POST", path: route + "/create/v1", body: identity}), 400)
	identity["Issuer"], identity["Subject"] = "https://issuer.example.com", "repo:other/*"
	s.put(route+"/"+made.ID()+"/v1", identity)
	if got := s.get(route + "/" + made.ID() + "/v1").Text("Subject"); got != "repo:other/*" {
		s.problemf("GET %s/%s/v1: Subject %q", route, made.ID(), got)
	}
	s.delete(route + "/" + made.ID() + "/v1")
	about := s.object(s.want(s.send(request{method: "GET", path: "/.well-known/openid-configuration"}), 200))
	for _, name := range []string{"issuer", "token_endpoint", "jwks_uri"} {
		if !strings.HasPrefix(about.Text(name), "http") {
			s.problemf("GET /.well-known/openid-configuration: %s is %q", name, about.Text(name))
		}
	}
}
