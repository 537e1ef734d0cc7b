package oidc_test

import (
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"odcm"
	"odcm/manager/identity/person"
	"odcm/manager/identity/provider"
	"odcm/test/upstream"
)

func client() upstream.Client {
	return upstream.Client{ID: "odcm", Secret: "the secret", Redirect: []string{returnURL}}
}

// visit signs a person in at a real provider.
func visit(t *testing.T, p *upstream.Provider, s provider.Source, f provider.Flow, username string) (person.Assertion, error) {
	t.Helper()
	target, err := s.(provider.Redirects).Begin(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	back := p.Visit(target, username, "pw")
	if !strings.HasPrefix(back.String(), returnURL+"?") {
		t.Fatalf("the browser was sent to %s", back)
	}
	return s.(provider.Redirects).Finish(t.Context(), f, back.Query())
}

func ids(groups []person.ExternalGroup) string {
	var all []string
	for _, g := range groups {
		all = append(all, g.ID)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func TestPlainProvider(t *testing.T) {
	t.Parallel()
	users := map[string]upstream.User{
		"carol": {Password: "pw", Claims: map[string]any{"sub": "carol-1", "name": "Carol Consultant", "preferred_username": "carol", "email": "carol@partner.example",
			"email_verified": true, "realm_access": map[string]any{"roles": []string{"deployers", "readers"}}}},
	}
	// What is asked for comes from userinfo: the provider keeps the token small.
	p := upstream.Start(t, upstream.Settings{Path: "/realms/staff", Clients: []upstream.Client{client()}, Users: users, Sparse: true})
	settings := map[string]string{"issuer": p.Issuer, "clientId": "odcm", "groupsClaim": "realm_access.roles", "domains": "partner.example"}
	s := must(t, provider.OpenID, settings, map[string]string{"clientSecret": "the secret"}, nil)
	for _, f := range findings(t, s) {
		if !f.OK {
			t.Errorf("%s: %s", f.Step, f.Message)
		}
	}
	f := newFlow()
	a, err := visit(t, p, s, f, "carol")
	if err != nil {
		t.Fatal(err)
	}
	if a.Subject != "carol-1" || a.DisplayName != "Carol Consultant" || !a.EmailVerified || !a.Admit || !a.GroupsKnown || ids(a.Groups) != "deployers readers" {
		t.Errorf("%+v", a)
	}

	t.Run("code works once", func(t *testing.T) {
		f := newFlow()
		target, err := s.(provider.Redirects).Begin(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		answer := p.Visit(target, "carol", "pw").Query()
		for n, want := range []string{"", "sign-in.code"} {
			if _, err := s.(provider.Redirects).Finish(t.Context(), f, answer); err != nil && odcm.CodeOf(err) != want || err == nil && want != "" {
				t.Errorf("time %d: %v", n+1, err)
			}
		}
	})
	t.Run("code is of no use with another verifier", func(t *testing.T) {
		f := newFlow()
		target, err := s.(provider.Redirects).Begin(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		answer := p.Visit(target, "carol", "pw").Query()
		f.Verifier = newFlow().Verifier
		_, err = s.(provider.Redirects).Finish(t.Context(), f, answer)
		wantCode(t, err, odcm.Unauthenticated, "sign-in.code")
	})
	t.Run("person says no", func(t *testing.T) {
		_, err := visit(t, p, s, newFlow(), "")
		wantCode(t, err, odcm.Denied, "sign-in.denied")
	})
	t.Run("groups are those of today", func(t *testing.T) {
		changed := map[string]upstream.User{"carol": {Password: "pw", Claims: map[string]any{"sub": "carol-1", "realm_access": map[string]any{"roles": []string{}}}}}
		p.SetUsers(changed)
		defer p.SetUsers(users)
		a, err := visit(t, p, s, newFlow(), "carol")
		if err != nil || !a.GroupsKnown || len(a.Groups) != 0 {
			t.Errorf("%+v %v", a, err)
		}
	})
	t.Run("wrong secret is told by the test", func(t *testing.T) {
		s := must(t, provider.OpenID, settings, map[string]string{"clientSecret": "wrong"}, nil)
		all := findings(t, s)
		if i := slices.IndexFunc(all, func(f provider.Finding) bool { return !f.OK }); i < 0 || all[i].Step != "Client ID and secret" {
			t.Errorf("%+v", all)
		}
		_, err := visit(t, p, s, newFlow(), "carol")
		wantCode(t, err, odcm.Unavailable, "provider.client-refused")
	})
}

const (
	alice = "aaaaaaaa-0000-4000-8000-000000000001"
	bob   = "bbbbbbbb-0000-4000-8000-000000000002"
	gone  = "cccccccc-0000-4000-8000-000000000003"
)

func TestEntraID(t *testing.T) {
	t.Parallel()
	groups := make([]upstream.GraphGroup, 250)
	for i := range groups {
		groups[i] = upstream.GraphGroup{ID: fmt.Sprintf("99999999-0000-4000-8000-%012d", i), Name: fmt.Sprintf("Group %d", i)}
	}
	graph := upstream.NewGraph(t, groups, upstream.GraphUser{ID: alice, Name: "Alice", UPN: "alice@contoso.example", Mail: "alice@contoso.example", Enabled: true},
		upstream.GraphUser{ID: bob, Name: "Bob", UPN: "bob@contoso.example", Enabled: false})
	graph.Put(alice, groups[0].ID, groups[1].ID)
	many := upstream.EntraClaims("bob", bob)
	many["_claim_names"] = map[string]string{"groups": "src1"}
	many["_claim_sources"] = map[string]any{"src1": map[string]string{"endpoint": "https://graph.windows.net/x/users/y/getMemberObjects"}}
	elsewhere := upstream.EntraClaims("mallory", gone)
	elsewhere["tid"] = "99999999-9999-4999-8999-999999999999"
	flagged := upstream.EntraClaims("dora", alice)
	flagged["hasgroups"], flagged["xms_edov"] = true, "1"
	users := map[string]upstream.User{
		"alice": {Password: "pw", Claims: upstream.EntraClaims("alice", alice, "g-admins", "g-ops")}, "bob": {Password: "pw", Claims: many},
		"mallory": {Password: "pw", Claims: elsewhere}, "dora": {Password: "pw", Claims: flagged},
	}
	p := upstream.Entra(t, graph, users, client())
	settings := func(more ...string) map[string]string {
		m := map[string]string{"tenant": upstream.Tenant, "clientId": "odcm", "authority": p.Origin, "graphUrl": graph.URL}
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	secrets := map[string]string{"clientSecret": "the secret"}
	s := must(t, provider.EntraID, settings(), secrets, nil)

	t.Run("test passes", func(t *testing.T) {
		all := findings(t, s)
		for _, f := range all {
			if !f.OK || f.Warning {
				t.Errorf("%s: %s", f.Step, f.Message)
			}
		}
		if len(all) < 7 {
			t.Errorf("%d findings: %+v", len(all), all)
		}
	})
	t.Run("groups of the token", func(t *testing.T) {
		a, err := visit(t, p, s, newFlow(), "alice")
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(graph.Asked(), "POST /v1.0/users/"+alice+"/getMemberObjects") {
			t.Error("Graph was asked for what is in the token")
		}
		if a.Subject != upstream.Tenant+"/"+alice || a.Marks["upn"] != "alice@contoso.example" || a.EmailVerified || a.Admit || !a.GroupsKnown || ids(a.Groups) != "g-admins g-ops" {
			t.Errorf("%+v", a)
		}
	})
	t.Run("overage asks Graph as the application", func(t *testing.T) {
		graph.Put(bob, groups[7].ID)
		a, err := visit(t, p, s, newFlow(), "bob")
		if err != nil || !a.GroupsKnown || ids(a.Groups) != groups[7].ID {
			t.Errorf("%+v %v", a, err)
		}
	})
	t.Run("hasgroups asks Graph, and a verified domain verifies the address", func(t *testing.T) {
		a, err := visit(t, p, must(t, provider.EntraID, settings("domains", "contoso.example"), secrets, nil), newFlow(), "dora")
		if err != nil || !a.GroupsKnown || len(a.Groups) != 2 || !a.EmailVerified || a.TrustEmail || !a.Admit {
			t.Errorf("%+v %v", a, err)
		}
	})
	t.Run("overage asks Graph as the user, page by page", func(t *testing.T) {
		a, err := visit(t, p, must(t, provider.EntraID, settings("graph", "user"), secrets, nil), newFlow(), "bob")
		if err != nil || !a.GroupsKnown || len(a.Groups) != len(groups) || a.Groups[249].Name != "Group 249" {
			t.Errorf("%d groups, known %v, %v", len(a.Groups), a.GroupsKnown, err)
		}
	})
	t.Run("another tenant is refused", func(t *testing.T) {
		_, err := visit(t, p, s, newFlow(), "mallory")
		wantCode(t, err, odcm.Denied, "sign-in.tenant")
	})
	t.Run("address of a trusted tenant", func(t *testing.T) {
		a, err := visit(t, p, must(t, provider.EntraID, settings("trustEmails", "true"), secrets, nil), newFlow(), "alice")
		if err != nil || !a.EmailVerified || !a.TrustEmail {
			t.Errorf("%+v %v", a, err)
		}
	})
	t.Run("directory tells who is disabled and who is gone", func(t *testing.T) {
		people := collect(t, s.(provider.Directory).People(t.Context(), []string{upstream.Tenant + "/" + alice, upstream.Tenant + "/" + bob, upstream.Tenant + "/" + gone}))
		a, b, g := people[upstream.Tenant+"/"+alice], people[upstream.Tenant+"/"+bob], people[upstream.Tenant+"/"+gone]
		if len(people) != 3 || a.Disabled || a.Gone || !a.GroupsKnown || len(a.Groups) != 2 || !b.Disabled || b.Gone || !g.Gone {
			t.Errorf("%+v", people)
		}
	})
	t.Run("directory tells what changed", func(t *testing.T) {
		graph.Set(upstream.GraphUser{ID: alice, Name: "Alice", UPN: "alice@contoso.example", Enabled: false})
		graph.Remove(bob)
		people := collect(t, s.(provider.Directory).People(t.Context(), []string{upstream.Tenant + "/" + alice, upstream.Tenant + "/" + bob, object + "/" + gone}))
		if a, b := people[upstream.Tenant+"/"+alice], people[upstream.Tenant+"/"+bob]; len(people) != 2 || !a.Disabled || !b.Gone || b.GroupsKnown {
			t.Errorf("%+v", people) // nothing is said of tenants that the settings do not name
		}
	})
	t.Run("directory finds by name", func(t *testing.T) {
		d := s.(provider.Directory)
		found, err := d.FindGroups(t.Context(), `group 24"9\`, 5)
		if err != nil || len(found) != 0 {
			t.Errorf("%+v %v", found, err)
		}
		if found, err = d.FindGroups(t.Context(), "group 24", 5); err != nil || len(found) != 5 || found[0].Name != "Group 24" {
			t.Errorf("%+v %v", found, err)
		}
		people, err := d.FindPeople(t.Context(), "alice", 5)
		if err != nil || len(people) != 1 || people[0].Subject != upstream.Tenant+"/"+alice {
			t.Errorf("%+v %v", people, err)
		}
	})
	// Graph fails from here on.
	graph.Fail(http.StatusForbidden)
	t.Run("Graph that refuses leaves groups unknown", func(t *testing.T) {
		a, err := visit(t, p, s, newFlow(), "bob")
		if err != nil || a.GroupsKnown || len(a.Groups) != 0 {
			t.Errorf("%+v %v", a, err)
		}
	})
	t.Run("Graph that refuses fails the reading", func(t *testing.T) {
		for one, err := range s.(provider.Directory).People(t.Context(), []string{upstream.Tenant + "/" + alice}) {
			if odcm.KindOf(err) != odcm.Unavailable {
				t.Errorf("%+v %v", one, err)
			}
		}
	})
	t.Run("test says which permission is missing", func(t *testing.T) {
		all := findings(t, s)
		if last := all[len(all)-1]; last.OK || !strings.Contains(last.Message, "User.Read.All") {
			t.Errorf("%+v", last)
		}
	})
}

func collect(t *testing.T, people iter.Seq2[provider.Person, error]) map[string]provider.Person {
	t.Helper()
	all := map[string]provider.Person{}
	for p, err := range people {
		if err != nil {
			t.Fatal(err)
		}
		all[p.Subject] = p
	}
	return all
}

func TestGoogleWorkspace(t *testing.T) {
	t.Parallel()
	workspace := upstream.NewWorkspace(t, upstream.WorkspaceUser{ID: "1001", Email: "gina@acme.example", Name: map[string]string{"fullName": "Gina"}},
		upstream.WorkspaceUser{ID: "1002", Email: "hans@acme.example", Name: map[string]string{"fullName": "Hans"}})
	team := upstream.WorkspaceGroup{ID: "g-team", Email: "team@acme.example", Name: "Team"}
	all := upstream.WorkspaceGroup{ID: "g-all", Email: "all@acme.example", Name: "Everybody"}
	ops := upstream.WorkspaceGroup{ID: "g-ops", Email: "ops@acme.example", Name: "Operations"}
	workspace.Put("1001", team, ops)
	workspace.Put("g-team", all)
	workspace.Put("g-all", team) // in a circle
	p := upstream.Google(t, map[string]upstream.User{
		"gina":    {Password: "pw", Claims: upstream.GoogleClaims("gina", "1001", "acme.example")},
		"private": {Password: "pw", Claims: upstream.GoogleClaims("private", "2001", "")},
		"other":   {Password: "pw", Claims: upstream.GoogleClaims("other", "3001", "evil.example")},
	}, client())
	settings := map[string]string{"hostedDomains": "Acme.example", "clientId": "odcm", "issuer": p.Issuer, "directoryUrl": workspace.URL, "adminEmail": workspace.Admin}
	secrets := map[string]string{"clientSecret": "the secret", "serviceAccount": workspace.ServiceAccount}
	s := must(t, provider.Google, settings, secrets, nil)
	for _, f := range findings(t, s) {
		if !f.OK || f.Warning {
			t.Errorf("%s: %s", f.Step, f.Message)
		}
	}
	t.Run("groups of the directory, nested in a circle", func(t *testing.T) {
		a, err := visit(t, p, s, newFlow(), "gina")
		if err != nil {
			t.Fatal(err)
		}
		if a.Subject != "1001" || !a.EmailVerified || !a.TrustEmail || a.Admit || !a.GroupsKnown || ids(a.Groups) != "g-all g-ops g-team" {
			t.Errorf("%+v", a)
		}
	})
	t.Run("the hosted domain is asked for and enforced", func(t *testing.T) {
		target, err := s.(provider.Redirects).Begin(t.Context(), newFlow())
		if u, _ := url.Parse(target); err != nil || u.Query().Get("hd") != "acme.example" {
			t.Errorf("%s %v", target, err)
		}
		for _, who := range []string{"private", "other"} {
			_, err := visit(t, p, s, newFlow(), who)
			wantCode(t, err, odcm.Denied, "sign-in.domain")
		}
	})
	t.Run("directory tells who is suspended and who is gone", func(t *testing.T) {
		workspace.Suspend("1002")
		people := collect(t, s.(provider.Directory).People(t.Context(), []string{"1001", "1002", "1003"}))
		if len(people) != 3 || people["1001"].Disabled || len(people["1001"].Groups) != 3 || !people["1002"].Disabled || !people["1003"].Gone {
			t.Errorf("%+v", people)
		}
		found, err := s.(provider.Directory).FindGroups(t.Context(), "oper", 10)
		if err != nil || len(found) != 1 || found[0] != (person.ExternalGroup{ID: "g-ops", Name: "Operations"}) {
			t.Errorf("%+v %v", found, err)
		}
		who, err := s.(provider.Directory).FindPeople(t.Context(), "gin", 10)
		if err != nil || len(who) != 1 || who[0].Subject != "1001" {
			t.Errorf("%+v %v", who, err)
		}
	})
	t.Run("an administrator who may not is told by the test", func(t *testing.T) {
		wrong := map[string]string{}
		for k, v := range settings {
			wrong[k] = v
		}
		wrong["adminEmail"] = "nobody@acme.example"
		all := findings(t, must(t, provider.Google, wrong, secrets, nil))
		if last := all[len(all)-1]; last.OK || !strings.Contains(last.Message, "domain-wide delegation") {
			t.Errorf("%+v", last)
		}
	})
	workspace.Fail(http.StatusForbidden)
	t.Run("a directory that refuses leaves groups unknown", func(t *testing.T) {
		a, err := visit(t, p, s, newFlow(), "gina")
		if err != nil || a.GroupsKnown || len(a.Groups) != 0 {
			t.Errorf("%+v %v", a, err)
		}
	})
	t.Run("without a service account groups are unknown", func(t *testing.T) {
		s := must(t, provider.Google, settings, map[string]string{"clientSecret": "the secret"}, nil)
		if _, ok := s.(provider.Directory); ok {
			t.Error("it says that it can read the directory")
		}
		a, err := visit(t, p, s, newFlow(), "gina")
		if err != nil || a.GroupsKnown {
			t.Errorf("%+v %v", a, err)
		}
	})
}
