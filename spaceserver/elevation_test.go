package spaceserver_test

import (
	"net/http"
	"strings"
	"testing"

	"odcm/octopus"
	"odcm/spaceserver"
)

// TestNobodyRises: whoever may edit teams, roles or users gets no further with it than he is. Each attempt is refused with 403
// and changes nothing. System managers are "not able to change how Octopus is hosted" (security/users-and-teams), and roles of
// system permissions "can only be used for system only teams" (system-and-space-permissions); that nobody grants what he
// does not hold is said nowhere: the careful reading.
func TestNobodyRises(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{})
	id := func(p *world) string { return p.get("/api/users/me").Text("Id") }
	me := id(w)
	w.create("/api/spaces", fields{"Name": "Second", "SpaceManagersTeamMembers": []string{me}})
	project := w.project("Web").Text("Id")
	freeze := fields{"Name": "Mine", "Start": "2040-01-01T00:00:00Z", "End": "2040-01-02T00:00:00Z", "ProjectEnvironmentScope": fields{project: w.environments("Dev")}}
	role := func(name string, inSpace, onServer []string) string {
		return w.create("/api/userroles", fields{"Name": name, "GrantedSpacePermissions": inSpace, "GrantedSystemPermissions": onServer}).Text("Id")
	}
	teams := []string{"TeamView", "TeamCreate", "TeamEdit", "ProjectView"}
	editor := role("Team editor", teams, nil)
	mixed := role("Mixed", []string{"ProjectView"}, []string{"UserEdit"})
	inviter := role("Inviter", []string{"TeamEdit", "ProjectView"}, []string{"UserInvite"})
	helper := role("Helper", nil, []string{"UserView", "UserEdit"})

	manager := w.user("manager", fields{"UserRoleId": "userroles-spacemanager", "SpaceId": "Spaces-1"})
	narrow := w.user("narrow", fields{"UserRoleId": "userroles-spacemanager", "SpaceId": "Spaces-1", "ProjectIds": []string{project}})
	leader := w.user("leader", fields{"UserRoleId": editor, "SpaceId": "Spaces-1"})
	host := w.user("host", fields{"UserRoleId": inviter, "SpaceId": "Spaces-1"})
	system := w.user("system", fields{"UserRoleId": "userroles-systemmanager"})
	both := w.user("both", fields{"UserRoleId": "userroles-systemmanager"}, fields{"UserRoleId": editor, "SpaceId": "Spaces-1"})
	desk := w.user("desk", fields{"UserRoleId": helper})
	viewer := w.user("viewer", fields{"UserRoleId": "userroles-projectviewer", "SpaceId": "Spaces-1"})

	admins, managers, everyone, second := "teams-administrators", "teams-managers", "teams-everyone", "teams-spacemanagers-Spaces-2"
	strong := w.create(space+"teams", fields{"Name": "Strong", "SpaceId": "Spaces-1"}).Text("Id") // its members may deploy
	held := w.create("/api/scopeduserroles", fields{"TeamId": strong, "UserRoleId": "userroles-projectdeployer", "SpaceId": "Spaces-1"}).Text("Id")
	plain := w.create(space+"teams", fields{"Name": "Plain", "SpaceId": "Spaces-1"}).Text("Id")
	robot := w.create("/api/users", fields{"Username": "robot", "DisplayName": "Robot", "IsService": true}).Text("Id")
	w.create("/api/teams", fields{"Name": "Robots", "MemberUserIds": []string{robot}})
	team := w.get(space + "teams/" + strong)
	team.Set("MemberUserIds", []string{robot})
	w.want(http.StatusOK, http.MethodPut, space+"teams/"+strong, team)
	trust := w.create("/api/serviceaccounts/"+robot+"/oidcidentities/create/v1", fields{"Name": "ci", "Issuer": "https://example.com", "Subject": "repo"}).Text("Id")
	key := w.create("/api/users/"+robot+"/apikeys", fields{"Purpose": "x"}).Text("Id")

	// with is a document as it is, with some members changed.
	with := func(path string, changed fields) octopus.Object {
		o := w.get(path)
		for name, value := range changed {
			o.Set(name, value)
		}
		return o
	}
	join := func(p *world, team string) (string, any) {
		return "/api/teams/" + team, with("/api/teams/"+team, fields{"MemberUserIds": []string{me, id(p)}})
	}
	grant := func(team, role, where string) fields {
		return fields{"TeamId": team, "UserRoleId": role, "SpaceId": where}
	}
	type attempt struct {
		who    *world
		method string
		path   string
		body   any
	}
	attempts := map[string]attempt{
		"a viewer edits a team":                           {viewer, "PUT", space + "teams/" + plain, with(space+"teams/"+plain, fields{"MemberUserIds": []string{id(viewer)}})},
		"a viewer gives a role":                           {viewer, "POST", space + "scopeduserroles", grant(plain, "userroles-projectviewer", "Spaces-1")},
		"a viewer edits a role":                           {viewer, "PUT", "/api/userroles/userroles-projectviewer", with("/api/userroles/userroles-projectviewer", fields{"GrantedSpacePermissions": teams})},
		"a viewer makes a user":                           {viewer, "POST", "/api/users", fields{"Username": "x", "DisplayName": "x", "Password": "long enough for x"}},
		"a viewer makes a key of another":                 {viewer, "POST", "/api/users/" + me + "/apikeys", fields{"Purpose": "x"}},
		"a viewer reads the keys of another":              {viewer, "GET", "/api/users/" + me + "/apikeys", nil},
		"a viewer trusts an issuer for a service account": {viewer, "POST", "/api/serviceaccounts/" + robot + "/oidcidentities/create/v1", fields{"Name": "x", "Issuer": "https://evil.example", "Subject": "x"}},

		"a team editor gives a role that can do more":       {leader, "POST", space + "scopeduserroles", grant(plain, "userroles-projectdeployer", "Spaces-1")},
		"a team editor makes himself a space manager":       {leader, "POST", space + "scopeduserroles", grant(plain, "userroles-spacemanager", "Spaces-1")},
		"a team editor widens what a team holds":            {leader, "PUT", space + "scopeduserroles/" + held, with(space+"scopeduserroles/"+held, fields{"UserRoleId": "userroles-projectlead"})},
		"a team editor joins a team that can do more":       {leader, "PUT", space + "teams/" + strong, with(space+"teams/"+strong, fields{"MemberUserIds": []string{robot, id(leader)}})},
		"a team editor lets a group into such a team":       {leader, "PUT", space + "teams/" + strong, with(space+"teams/"+strong, fields{"ExternalSecurityGroups": []fields{{"Id": "all", "DisplayName": "All"}}})},
		"a team editor makes a team of the server":          {leader, "POST", "/api/teams", fields{"Name": "Mine"}},
		"an inviter invites into a team that can do more":   {host, "POST", "/api/users/invitations", fields{"AddToTeamIds": []string{strong}}},
		"a role for one project is given without that":      {narrow, "POST", space + "scopeduserroles", grant(plain, "userroles-projectviewer", "Spaces-1")},
		"a space manager gives a role with more outside":    {manager, "POST", space + "scopeduserroles", grant(plain, mixed, "Spaces-1")},
		"a space manager gives a role in another space":     {manager, "POST", "/api/scopeduserroles", grant(plain, "userroles-projectviewer", "Spaces-2")},
		"a space manager gives a role of the server":        {manager, "POST", "/api/scopeduserroles", grant(managers, "userroles-systemmanager", "")},
		"a space manager gives everyone a role there":       {manager, "POST", "/api/scopeduserroles", grant(everyone, "userroles-systemadministrator", "")},
		"a space manager edits a role":                      {manager, "PUT", "/api/userroles/userroles-projectviewer", with("/api/userroles/userroles-projectviewer", fields{"Description": "mine"})},
		"a space manager makes a user":                      {manager, "POST", "/api/users", fields{"Username": "x", "DisplayName": "x", "Password": "long enough for x"}},
		"a space manager makes a key of a service account":  {manager, "POST", "/api/users/" + robot + "/apikeys", fields{"Purpose": "x"}},
		"a space manager makes a space":                     {manager, "POST", "/api/spaces", fields{"Name": "Mine", "SpaceManagersTeamMembers": []string{me}}},
		"a system manager writes a role that administers":   {system, "POST", "/api/userroles", fields{"Name": "Root", "GrantedSystemPermissions": []string{"AdministerSystem"}}},
		"a system manager widens his own role":              {system, "PUT", "/api/userroles/userroles-systemmanager", with("/api/userroles/userroles-systemmanager", fields{"GrantedSystemPermissions": []string{"AdministerSystem"}})},
		"a system manager gives himself administration":     {system, "POST", "/api/scopeduserroles", grant(managers, "userroles-systemadministrator", "")},
		"a system manager gives his team a space":           {system, "POST", "/api/scopeduserroles", grant(managers, "userroles-spacemanager", "Spaces-1")},
		"a system manager makes a key of an administrator":  {system, "POST", "/api/users/" + me + "/apikeys", fields{"Purpose": "x"}},
		"a system manager makes a key of a service account": {system, "POST", "/api/users/" + robot + "/apikeys", fields{"Purpose": "x"}},
		"a system manager changes that one's password":      {system, "PUT", "/api/users/" + me, with("/api/users/"+me, fields{"Password": "long enough for me"})},
		"a system manager changes that one's address":       {system, "PUT", "/api/users/" + me, with("/api/users/"+me, fields{"EmailAddress": "system@example.com"})},
		"a system manager signs in as that one":             {system, "PUT", "/api/users/" + me, with("/api/users/"+me, fields{"Identities": []fields{{"IdentityProviderName": "Okta", "Claims": fields{}}}})},
		"a system manager trusts an issuer for an account":  {system, "POST", "/api/serviceaccounts/" + robot + "/oidcidentities/create/v1", fields{"Name": "x", "Issuer": "https://evil.example", "Subject": "x"}},
		"a system manager changes whom an account trusts":   {system, "PUT", "/api/serviceaccounts/" + robot + "/oidcidentities/" + trust + "/v1", fields{"Name": "ci", "Issuer": "https://evil.example", "Subject": "x"}},
		"a system manager invites an administrator":         {system, "POST", "/api/users/invitations", fields{"AddToTeamIds": []string{admins}}},
		"a system manager enters maintenance":               {system, "PUT", "/api/maintenanceconfiguration", fields{"IsInMaintenanceMode": true}},
		"a system manager freezes what he may not deploy":   {system, "POST", "/api/deploymentfreezes", freeze},
		"a role is widened by who holds it in a space":      {both, "PUT", "/api/userroles/" + editor, with("/api/userroles/"+editor, fields{"GrantedSpacePermissions": append(teams, "ProjectDelete")})},
		"a help desk changes a manager's password":          {desk, "PUT", "/api/users/" + id(manager), with("/api/users/"+id(manager), fields{"Password": "long enough for me"})},
		"a help desk makes a manager's key":                 {desk, "POST", "/api/users/" + id(manager) + "/apikeys", fields{"Purpose": "x"}},
	}
	for name, a := range map[string]struct {
		who  *world
		team string
	}{
		"a system manager joins the administrators":         {system, admins},
		"a space manager joins the system managers":         {manager, managers},
		"a space manager joins the managers of another":     {manager, second},
		"a team editor joins the managers of his space":     {leader, "teams-spacemanagers-Spaces-1"},
		"a system manager joins the managers of a space":    {system, "teams-spacemanagers-Spaces-1"},
		"a viewer joins the administrators":                 {viewer, admins},
		"a help desk joins the administrators":              {desk, admins},
		"both roles together join the space's own managers": {both, "teams-spacemanagers-Spaces-1"},
	} {
		path, body := join(a.who, a.team)
		attempts[name] = attempt{a.who, http.MethodPut, path, body}
	}
	w.want(http.StatusOK, http.MethodDelete, "/api/users/"+robot+"/apikeys/"+key, nil)
	for name, a := range attempts {
		before := w.get("/api/events?take=1").Int("TotalResults")
		status, text := a.who.send(a.method, a.path, a.body)
		// Teams of spaces that one does not enter are not there for one.
		if status != http.StatusForbidden && (status != http.StatusNotFound || !strings.Contains(a.path, "teams-spacemanagers") && !strings.Contains(a.path, "Spaces-2")) {
			t.Errorf("%s: %d: %.200s", name, status, text)
		}
		if after := w.get("/api/events?take=1").Int("TotalResults"); after != before {
			t.Errorf("%s: something changed", name)
		}
	}

	// What one holds one may give, as far as one holds it.
	manager.create(space+"scopeduserroles", grant(plain, "userroles-projectlead", "Spaces-1"))
	narrow.create(space+"scopeduserroles", fields{"TeamId": plain, "UserRoleId": "userroles-projectviewer", "SpaceId": "Spaces-1", "ProjectIds": []string{project}})
	manager.want(http.StatusOK, http.MethodPut, space+"teams/"+strong, with(space+"teams/"+strong, fields{"MemberUserIds": []string{robot, id(viewer)}}))
	leader.want(http.StatusOK, http.MethodPut, space+"teams/"+strong, with(space+"teams/"+strong, fields{"MemberUserIds": []string{}}))
	manager.create("/api/deploymentfreezes", freeze)
	system.create("/api/users", fields{"Username": "new", "DisplayName": "New", "Password": "long enough for new"})
	system.create("/api/users/"+robot+"/apikeys", fields{"Purpose": "it holds nothing any more"})
	system.create("/api/userroles", fields{"Name": "Deleter", "GrantedSpacePermissions": []string{"ProjectDelete"}})
	if got := id(viewer); !strings.HasPrefix(got, "Users-") {
		t.Errorf("who may not rise is still who he is: %s", got)
	}
}
