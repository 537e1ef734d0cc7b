package octotest

import (
	"net/http"
	"slices"
	"strings"

	"odcm/octopus"
)

// revoked: what takes a person's access away. Sessions end by PUT revoke-sessions (security/users-and-teams in Octopus's
// documentation); who is not active has neither session nor key that works, and may come back.
func (s *session) revoked() {
	body := s.kind("users").Body(s)
	user := s.create(s.kind("users"), body)
	route := octopus.Route("users", user.ID())
	defer s.delete(route)
	none := ""
	login := func() http.Header {
		a := s.want(s.send(request{method: "POST", path: "/api/users/login", key: &none, body: fields{"Username": body["Username"], "Password": body["Password"], "RememberMe": false,
			"State": fields{"UsingSecureConnection": false, "RedirectAfterLoginTo": "/"}}}), 200)
		var pairs []string
		for _, c := range (&http.Response{Header: a.header}).Cookies() {
			pairs = append(pairs, c.Name+"="+c.Value)
		}
		return http.Header{"Cookie": {strings.Join(pairs, "; ")}}
	}
	me := func(header http.Header, key string) request {
		return request{method: "GET", path: octopus.MeRoute, key: &key, header: header}
	}
	session := login()
	s.want(s.send(me(session, "")), 200)
	s.want(s.send(request{method: "PUT", path: route + "/revoke-sessions"}), 200)
	s.want(s.send(me(session, "")), 401)

	session = login()
	made := s.post(route+"/apikeys", fields{"Purpose": s.name("revoked")})
	key := made.Text("ApiKey")
	s.secrets = append(s.secrets, key)
	change := func(active bool) {
		o := s.get(route)
		o.Set("IsActive", active)
		s.put(route, o)
	}
	change(false)
	s.want(s.send(me(session, "")), 401)
	s.want(s.send(me(nil, key)), 401)
	change(true)
	if who := s.object(s.want(s.send(me(nil, key)), 200)); who.ID() != user.ID() {
		s.problemf("the key of who was let in again is that of %s", who.ID())
	}
	s.delete(route + "/apikeys/" + made.ID())
}

// chosen: lists of people and teams give those that are asked for by id, and teams those of a Space (mixed resources in
// administration/spaces of Octopus's documentation).
func (s *session) chosen() {
	user, team := s.id("users"), s.id("teams")
	for path, want := range map[string]string{
		octopus.Route("users") + "?ids=" + user:                                                         user,
		octopus.Route("teams") + "?includeSystem=false&spaces=" + s.server.Space + "&ids=" + team:       team,
		octopus.Route("teams") + "?includeSystem=true&spaces=" + s.server.Space + "&ids=teams-everyone": "teams-everyone",
	} {
		items := (octopus.Page{Object: s.get(path)}).Items()
		if len(items) != 1 || items[0].ID() != want {
			s.problemf("GET %s: %d items, want %s alone", path, len(items), want)
		}
	}
	teams := (octopus.Page{Object: s.get(octopus.Route("teams") + "?take=1000&includeSystem=false&spaces=" + s.server.Space)}).Items()
	if slices.ContainsFunc(teams, func(t octopus.Object) bool { return t.SpaceID() != s.server.Space }) {
		s.problemf("GET teams of one Space: others are among them")
	}
}

// peopleEvents: the newest event about users and teams tells whether anybody changed any.
func (s *session) peopleEvents() {
	path := octopus.Route("events") + "?documentTypes=Users,Teams&spaces=all&includeSystem=true&excludeDifference=true&take=1"
	newest := func() string {
		items := (octopus.Page{Object: s.get(path)}).Items()
		if len(items) != 1 {
			s.fatalf("GET %s: %d events, want one", path, len(items))
		}
		return items[0].ID()
	}
	before := newest()
	s.post(s.in("environments"), fields{"Name": s.name("aside")})
	if newest() != before {
		s.problemf("GET %s: an environment is among users and teams", path)
	}
	route := octopus.Route("teams", s.id("teams"))
	o := s.get(route)
	o.Set("Description", s.name("changed"))
	s.put(route, o)
	if newest() == before {
		s.problemf("GET %s: the change of a team is not the newest event", path)
	}
}

// signInValues: the settings of a provider go back as they came, and a secret that was set is gone with what was before.
func (s *session) signInValues() {
	for _, id := range []string{"authentication-od", "authentication-generic-oidc"} {
		route := octopus.Route("configuration", id, "values")
		if a := s.send(request{method: "GET", path: route}); a.status == http.StatusNotFound {
			continue // of a version that has no such slot
		}
		before := s.get(route)
		if before.Bool("IsEnabled") || before.Text("Issuer") != "" {
			continue // in use: not the suite's to change
		}
		changed := before.Clone()
		changed.Set("Issuer", "https://issuer.example.com")
		changed.Set("ClientId", "octotest")
		changed.Set("ClientSecret", octopus.Secret("a secret of octotest"))
		s.put(route, changed)
		if now := s.get(route); now.Text("Issuer") != "https://issuer.example.com" || !now.Object("ClientSecret").Bool("HasValue") || now.Object("ClientSecret").Text("NewValue") != "" {
			s.problemf("GET %s: %v", route, now)
		}
		s.put(route, before)
		s.compare("GET "+route+" after it was put back", s.get(route), before)
	}
}
