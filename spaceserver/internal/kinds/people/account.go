package people

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/identity"
	"odcm/spaceserver/internal/kinds/host"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/permission"
)

// actions are what people do with their own account, and administrators with everyone's.
func (p *rules) actions() []collection.Action {
	on := func(method, path string, handle func(c *collection.Call) (any, error)) collection.Action {
		return collection.Action{Method: method, Path: path, Scope: collection.InBoth, Handle: handle}
	}
	return []collection.Action{
		on("GET", "users/me", func(c *collection.Call) (any, error) { return p.user(c, c.Principal.ID) }),
		on("GET", "users/{id}/apikeys", p.listKeys),
		on("GET", "users/{id}/apikeys/{key}", func(c *collection.Call) (any, error) { return p.key(c) }),
		on("POST", "users/{id}/apikeys", p.createKey),
		on("DELETE", "users/{id}/apikeys/{key}", p.deleteKey),
		on("PUT", "users/{id}/revoke-sessions", p.revokeSessions),
		on("GET", "users/{id}/spaces", p.spacesOf),
		on("GET", "users/{id}/teams", p.teamsOf),
		on("GET", "users/{id}/permissions", p.permissionsOf),
		on("GET", "users/{id}/permissions/configuration", p.permissionsOf),
		on("GET", "users/authentication", p.authentication),
		on("GET", "users/authentication/{id}", func(c *collection.Call) (any, error) {
			if _, err := p.user(c, c.Param("id")); err != nil {
				return nil, err
			}
			return p.authentication(c)
		}),
		on("GET", "users/identity-metadata", func(c *collection.Call) (any, error) {
			all, err := p.SignIn.IdentityMetadata(c.Context)
			return map[string]any{"Providers": all}, err
		}),
		on("GET", "users/external-search", func(c *collection.Call) (any, error) {
			return []any{}, part.Needs(c, "UserView")
		}),
		{Method: "POST", Path: "users/register", Scope: collection.InSystem, Anonymous: true, Handle: p.register},
	}
}

// user reads one user whom the caller may see: oneself always.
func (p *rules) user(c *collection.Call, id string) (collection.Document, error) {
	asked := c.Request
	if id == c.Principal.ID {
		asked.Principal.Set = permission.System().Set
	}
	return c.Service.Get(c.Context, asked, c.Service.Kind("Users"), id)
}

// self finds the user of the route and lets only the user or an administrator of users go on.
func (p *rules) self(c *collection.Call) (string, error) {
	id := c.Param("id")
	if strings.EqualFold(id, "me") {
		id = c.Principal.ID
	}
	if id != c.Principal.ID {
		if err := part.Needs(c, "UserEdit"); err != nil {
			return "", err
		}
	}
	d, err := p.user(c, id)
	return d.ID, err
}

func (p *rules) revokeSessions(c *collection.Call) (any, error) {
	id, err := p.self(c)
	if err != nil {
		return nil, err
	}
	return nil, c.Transact(func(change *collection.Change) error {
		return identity.DropSessions(c.Context, change.Tx, id)
	})
}

// subject loads the user of the route with its permissions; oneself, or anyone for those who may see users.
func (p *rules) subject(c *collection.Call) (*identity.User, error) {
	id := c.Param("id")
	if strings.EqualFold(id, "me") {
		id = c.Principal.ID
	}
	d, err := p.user(c, id)
	if err != nil {
		return nil, err
	}
	u, err := p.Identity.Load(c.Context, d.ID)
	if errors.Is(err, identity.ErrUnknown) { // not active: in no team, allowed nothing
		return &identity.User{ID: d.ID, Set: &permission.Set{}}, nil
	}
	return u, err
}

func (p *rules) spacesOf(c *collection.Call) (any, error) {
	u, err := p.subject(c)
	if err != nil {
		return nil, err
	}
	r := collection.Request{Principal: permission.Principal{ID: u.ID, Set: u.Set}, Query: map[string][]string{}}
	page, err := c.Service.List(c.Context, r, c.Service.Kind("Spaces"), collection.Listing{All: true})
	return page.Items, err
}

func (p *rules) teamsOf(c *collection.Call) (any, error) {
	u, err := p.subject(c)
	if err != nil {
		return nil, err
	}
	teams := []map[string]any{}
	for _, t := range u.Teams {
		teams = append(teams, map[string]any{"Id": t.ID, "Name": t.Name, "SpaceId": part.OrNull(t.Space), "IsDirectlyAssigned": t.Direct, "ExternalSecurityGroups": groupsOf(t)})
	}
	return teams, nil
}

// groupsOf are the external groups that make a user a member of the team (NamedReferenceItem).
func groupsOf(t identity.Team) []map[string]any {
	all := []map[string]any{}
	for _, id := range t.Groups {
		all = append(all, map[string]any{"Id": id, "DisplayName": id, "DisplayIdAndName": false})
	}
	return all
}

// memberships are the teams of a user as TeamMembership, the caller's own unless another is named.
func (p *rules) memberships(c *collection.Call) (any, error) {
	id := c.Query.Get("userId")
	if id == "" {
		id = c.Principal.ID
	}
	d, err := p.user(c, id)
	if err != nil {
		return nil, err
	}
	u, err := p.Identity.Load(c.Context, d.ID)
	if errors.Is(err, identity.ErrUnknown) {
		return []any{}, nil
	}
	if err != nil {
		return nil, err
	}
	all := []map[string]any{}
	for _, t := range u.Teams {
		all = append(all, map[string]any{"TeamId": t.ID, "TeamName": t.Name, "SpaceId": part.OrNull(t.Space), "UserId": u.ID, "IsDirectlyAssigned": t.Direct, "ExternalSecurityGroups": groupsOf(t)})
	}
	return all, nil
}

// previewTeam tells who would be in a team that is not saved yet.
func previewTeam(c *collection.Call) (any, error) {
	team, err := c.Object()
	if err != nil {
		return nil, err
	}
	all := []map[string]any{}
	for _, id := range team.Texts("MemberUserIds") {
		all = append(all, map[string]any{"TeamId": team.Text("Id"), "TeamName": team.Text("Name"), "SpaceId": part.OrNull(team.Text("SpaceId")), "UserId": id, "IsDirectlyAssigned": true, "ExternalSecurityGroups": []any{}})
	}
	return all, nil
}

// permissionsOf is UserPermissionSetResource: what a user may do, by permission, with what each grant is restricted to.
func (p *rules) permissionsOf(c *collection.Call) (any, error) {
	u, err := p.subject(c)
	if err != nil {
		return nil, err
	}
	teams, err := p.teamsOf(c)
	if err != nil {
		return nil, err
	}
	type restriction struct {
		SpaceID     string   `json:"SpaceId"`
		Project     []string `json:"RestrictedToProjectIds"`
		Environment []string `json:"RestrictedToEnvironmentIds"`
		Tenant      []string `json:"RestrictedToTenantIds"`
		Group       []string `json:"RestrictedToProjectGroupIds"`
	}
	wanted := collection.Split(c.Query, "spaces")
	if c.Named {
		wanted = []string{c.Space}
	}
	in := func(space string) bool {
		return len(wanted) == 0 || slices.Contains(wanted, "all") || slices.Contains(wanted, space)
	}
	spaces := map[permission.Name][]restriction{}
	if u.Set.Administers() { // everything, everywhere
		for _, d := range permission.All() {
			for _, space := range c.Service.Directory().Spaces {
				if d.Space && in(space.ID) {
					spaces[d.Name] = append(spaces[d.Name], restriction{space.ID, []string{}, []string{}, []string{}, []string{}})
				}
			}
		}
	} else {
		for name, grants := range u.Set.Spaces {
			for _, g := range grants {
				if in(g.Space) {
					spaces[name] = append(spaces[name], restriction{g.Space, part.Some(g.Projects), part.Some(g.Environments), part.Some(g.Tenants), part.Some(g.ProjectGroups)})
				}
			}
		}
	}
	system := []string{}
	if !strings.EqualFold(c.Query.Get("includeSystem"), "false") {
		system = u.Set.Names()
	}
	return map[string]any{"Id": u.ID, "SpacePermissions": spaces, "SystemPermissions": system, "Teams": teams,
		"IsTeamsComplete": true, "IsPermissionsComplete": true, "Links": map[string]string{"Self": "/api/users/" + u.ID + "/permissions"}}, nil
}

func (p *rules) authentication(c *collection.Call) (any, error) {
	elements, err := p.SignIn.Elements(c.Context)
	return map[string]any{"Id": "userauthentication", "CanCurrentUserEditIdentitiesForUser": c.Principal.Set.Holds("UserEdit", ""), "AuthenticationProviders": elements, "Links": map[string]string{"Self": "/api/users/authentication"}}, err
}

// Seed makes the first documents of a new server, in one transaction: its installation id, roles, teams, the first
// administrator with the API key, and the default space. On a server that has them it only adds the key
// where that is missing. It returns the administrator's id, "" where there is no longer one of that name.
func Seed(ctx context.Context, h *host.Host, service *collection.Service, admin, apiKey, installation string) (string, error) {
	var id string
	err := service.Quietly(ctx, collection.Request{Principal: permission.System()}, func(c *collection.Change) error {
		var err error
		if h.InstallationID, err = c.Setting("installation", installation); err != nil {
			return err
		}
		if h.InstallationID != installation {
			id, err = existing(c, admin)
		} else {
			id, err = seed(c, admin)
		}
		if err != nil || id == "" || apiKey == "" {
			return err
		}
		return seedKey(c, id, apiKey)
	})
	return id, err
}

func existing(c *collection.Change, admin string) (string, error) {
	row, err := c.Service.Store.Find(c.Context, c.Tx, "Users", admin, []string{""}, "")
	if errors.Is(err, document.ErrNone) {
		return "", nil // renamed or deleted since
	}
	return row.ID, err
}

func seedKey(c *collection.Change, user, key string) error {
	var n int
	if err := c.Tx.QueryRowContext(c.Context, "SELECT count(*) FROM spaceserver_credential WHERE hash = $1", identity.Hash(key)).Scan(&n); err != nil || n > 0 {
		return err
	}
	made, err := c.Create("ApiKeys", keyBody(c.Service, user, "First administrator", key, time.Time{}))
	if err != nil {
		return err
	}
	return identity.AddKey(c.Context, c.Tx, made.Text("Id"), user, key, time.Time{})
}

func seed(c *collection.Change, admin string) (string, error) {
	for _, role := range permission.BuiltIn() {
		if _, err := c.Create("UserRoles", part.Object(map[string]any{"Id": role.ID, "Name": role.Name, "Description": role.Description, "CanBeDeleted": false,
			"GrantedSpacePermissions": role.Space, "GrantedSystemPermissions": role.System})); err != nil {
			return "", err
		}
	}
	user, err := c.Create("Users", part.Object(map[string]any{"Username": admin, "DisplayName": admin}))
	if err != nil {
		return "", err
	}
	id := user.Text("Id")
	for _, t := range []struct {
		id, name, role string
		members        []string
	}{
		{"teams-administrators", "Octopus Administrators", permission.SystemAdministrator, []string{id}},
		{"teams-managers", "Octopus Managers", permission.SystemManager, []string{}},
		{"teams-everyone", "Everyone", "", []string{}},
	} {
		team := part.Object(map[string]any{"Id": t.id, "Name": t.name, "MemberUserIds": t.members, "CanBeDeleted": false, "CanBeRenamed": false,
			"CanChangeRoles": t.role == "", "CanChangeMembers": t.role != ""})
		if _, err := c.Create("Teams", team); err != nil {
			return "", err
		}
		if t.role == "" {
			continue
		}
		if _, err := c.Create("ScopedUserRoles", part.Object(map[string]any{"UserRoleId": t.role, "TeamId": t.id})); err != nil {
			return "", err
		}
	}
	_, err = c.Create("Spaces", part.Object(map[string]any{"Name": "Default", "IsDefault": true, "SpaceManagersTeams": []string{"teams-administrators"}}))
	return id, err
}
