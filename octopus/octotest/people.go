package octotest

import (
	"net/http"
	"strings"

	"odcm/octopus"
)

// apiKeys: a key is shown once, works, has its user's permissions and ends with its deletion.
func (s *session) apiKeys() {
	user := s.id("users")
	route := octopus.Route("users", user, "apikeys")
	made := s.post(route, fields{"Purpose": s.name("key")})
	key := made.Text("ApiKey")
	if !strings.HasPrefix(key, "API-") || len(key) < 10 {
		s.fatalf("POST %s: ApiKey is not a key in clear", route)
	}
	if me := s.object(s.want(s.send(request{method: "GET", path: octopus.MeRoute, key: &key}), 200)); me.ID() != user {
		s.problemf("the new key is that of %s, not of %s", me.ID(), user)
	}
	s.secrets = append(s.secrets, key)
	s.forbidden(key)
	if list := (octopus.Page{Object: s.get(route)}); len(list.Items()) != 1 || list.Items()[0].ID() != made.ID() {
		s.problemf("GET %s: %d keys, want the one", route, len(list.Items()))
	}
	s.get(route + "/" + made.ID())
	s.delete(route + "/" + made.ID())
	s.want(s.send(request{method: "GET", path: octopus.MeRoute, key: &key}), 401)
}

// forbidden: who is in no team may change nothing, and is told which permission is missing (OctopusDeploy/Issues 7181).
func (s *session) forbidden(key string) {
	for _, r := range []request{
		{method: "POST", path: s.in("environments"), body: fields{"Name": s.name("never")}},
		{method: "POST", path: octopus.SpacesRoute, body: fields{"Name": s.name("Nev"), "SpaceManagersTeamMembers": []string{s.me.ID()}}},
		{method: "PUT", path: octopus.MaintenanceRoute, body: fields{"Id": "maintenance", "IsInMaintenanceMode": false}},
	} {
		r.key = &key
		a := s.send(r)
		if said, _ := octopus.ParseError(a.body); a.status != 403 || !strings.Contains(said.ErrorMessage, "ermission") {
			s.problemf("%s by a user without permission: status %d %q, want 403 and the permission's name", a.what, a.status, said.ErrorMessage)
		}
	}
}

// signIn: a session begins with name and password, reads with its cookie alone, and changes only with the token beside it.
func (s *session) signIn() {
	body := s.kind("users").Body(s)
	user := s.create(s.kind("users"), body)
	defer s.delete(octopus.Route("users", user.ID()))
	none := ""
	login := func(password any) reply {
		return s.send(request{method: "POST", path: "/api/users/login", key: &none, body: fields{"Username": body["Username"], "Password": password, "RememberMe": false,
			"State": fields{"UsingSecureConnection": false, "RedirectAfterLoginTo": "/"}}})
	}
	if a := login("wrong"); a.status != 400 && a.status != 401 {
		s.problemf("%s with a wrong password: status %d", a.what, a.status)
	}
	a := s.want(login(body["Password"]), 200)
	cookies := (&http.Response{Header: a.header}).Cookies()
	var session, token *http.Cookie
	for _, c := range cookies {
		switch {
		case strings.HasPrefix(c.Name, "OctopusIdentificationToken_"):
			session = c
		case strings.HasPrefix(c.Name, "Octopus-Csrf-Token_"):
			token = c
		}
	}
	if session == nil || token == nil {
		s.fatalf("%s: the cookies OctopusIdentificationToken_… and Octopus-Csrf-Token_… are not both set", a.what)
	}
	if !session.HttpOnly {
		s.problemf("%s: scripts can read the session's cookie", a.what)
	}
	with := func(method, path string, body any, csrf string) reply {
		header := http.Header{"Cookie": {session.Name + "=" + session.Value + "; " + token.Name + "=" + token.Value}}
		if csrf != "" {
			header.Set("X-Octopus-Csrf-Token", csrf)
		}
		return s.send(request{method: method, path: path, body: body, key: &none, header: header})
	}
	if me := s.object(s.want(with("GET", octopus.MeRoute, nil, ""), 200)); me.ID() != user.ID() {
		s.problemf("GET %s with the cookie: %s", octopus.MeRoute, me.ID())
	}
	change := octopus.Route("users", user.ID(), "apikeys")
	for _, csrf := range []string{"", "wrong"} {
		if a := with("POST", change, fields{"Purpose": "never"}, csrf); a.status < 400 {
			s.problemf("%s with the cookie and token %q: status %d, want a refusal", a.what, csrf, a.status)
		}
	}
	s.want(with("POST", change, fields{"Purpose": "mine"}, token.Value), 200, 201)
	s.want(with("POST", "/api/users/logout", nil, token.Value), 200)
	s.want(with("GET", octopus.MeRoute, nil, ""), 401)
}

func (s *session) invitations() {
	made := s.post(octopus.Route("users", "invitations"), fields{"AddToTeamIds": []string{s.id("teams")}, "SpaceId": s.server.Space})
	if made.Text("InvitationCode") == "" {
		s.problemf("POST invitations: no InvitationCode")
	}
	s.compare("GET the invitation", s.get(octopus.Route("users", "invitations", made.ID())), made)
}
