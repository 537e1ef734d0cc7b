// Package people is who may do what: users, their API keys and invitations, teams, user roles and where they hold, the
// ways to sign in, and the first administrator of a new server.
package people

import (
	"context"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/elevation"
	"odcm/spaceserver/internal/identity"
	"odcm/spaceserver/internal/kinds/host"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

// hashed carries a password's hash from before the transaction into it, under a name that no client's JSON can have.
const hashed = "\x00password"

// Kinds are users, teams, user roles, and what links these.
func Kinds(s *host.Host) []*collection.Kind {
	p, grants := &rules{s}, elevation.Rules{Identity: s.Identity}
	return []*collection.Kind{
		{
			Name: "Users", Type: "User", Route: "users", Scope: collection.InSystem, Title: "Username", Decides: true,
			Template: `{"Username":"","DisplayName":"","EmailAddress":"","IsActive":true,"IsService":false,"IsRequestor":false,
				"CanPasswordBeEdited":true,"Password":null,"Identities":[{"IdentityProviderName":"","Claims":{}}]}`,
			Required: []string{"Username", "DisplayName"},
			Ours:     []string{"IsRequestor"},
			Query:    "skip,take,ids,filter",
			Filters:  map[string]string{"externalId": "ExternalId"},
			// Whoever is signed in may look up people of their teams, as on an Octopus server; the list needs UserView.
			Permission: collection.Verbs{View: "UserView", Create: "UserEdit", Edit: "UserEdit", Delete: "UserEdit"},
			Links: map[string]string{"Permissions": "/api/users/{Id}/permissions{?spaces,includeSystem}",
				"PermissionsConfiguration": "/api/users/{Id}/permissions/configuration{?spaces,includeSystem}", "ApiKeys": "/api/users/{Id}/apikeys{/id}{?skip,take}",
				"Spaces": "/api/users/{Id}/spaces", "Teams": "/api/users/{Id}/teams{?spaces,includeSystem}", "Avatar": "/avatar/{Id}"},
			Before: p.hash, Permit: func(c *collection.Change) error { return grants.Account(c, c.New.Text(hashed) != "") }, Prepare: p.prepareUser, Remove: p.removeUser, Present: presentUser,
			Actions: p.actions(),
		},
		{
			Name: "ApiKeys", Type: "ApiKey", Scope: collection.InSystem, Title: "Purpose", Shared: true, Owner: "UserId", Decides: true,
			Template:   `{"Purpose":"","UserId":"","Hint":"","Created":null,"Expires":null}`,
			Required:   []string{"UserId"},
			References: []collection.Reference{{Path: "UserId", Kind: "Users"}},
			RootLink:   "-",
			Links:      map[string]string{"Self": "/api/users/{Owner}/apikeys/{Id}"},
			Present:    p.presentKey,
			Remove: func(c *collection.Change) error {
				return identity.DropCredential(c.Context, c.Tx, c.ID)
			},
		},
		p.trusted(),
		{
			Name: "Teams", Type: "Team", Route: "teams", Scope: collection.InBoth, Slugged: true, Decides: true,
			Template: `{"Name":"","Slug":"","Description":"","MemberUserIds":[""],"ExternalSecurityGroups":[{"Id":"","DisplayName":"","DisplayIdAndName":false}],
				"CanBeDeleted":true,"CanBeRenamed":true,"CanChangeRoles":true,"CanChangeMembers":true,"SpaceId":null}`,
			Required:   []string{"Name"},
			Ours:       []string{"CanBeDeleted", "CanBeRenamed", "CanChangeRoles", "CanChangeMembers"},
			Permission: collection.Quartet("Team"),
			References: []collection.Reference{{Path: "MemberUserIds[]", Kind: "Users", Dropped: true}},
			Query:      "skip,take,ids,partialName,spaces,includeSystem",
			Links:      map[string]string{"ScopedUserRoles": "teams/{Id}/scopeduserroles{?skip,take,spaces,includeSystem}"},
			Permit:     grants.Members, Prepare: prepareTeam, Remove: removeTeam, Settle: settleTeam,
			Actions: []collection.Action{
				{Method: "GET", Path: "teammembership", Scope: collection.InBoth, Handle: p.memberships},
				{Method: "POST", Path: "teammembership/previewteam", Scope: collection.InBoth, Permission: "TeamView", Handle: previewTeam},
			},
		},
		{
			Name: "UserRoles", Type: "UserRole", Route: "userroles", Scope: collection.InSystem, Decides: true,
			Template: `{"Name":"","Description":"","CanBeDeleted":true,"GrantedSpacePermissions":[""],"GrantedSystemPermissions":[""],
				"SpacePermissionDescriptions":[""],"SystemPermissionDescriptions":[""],"SupportedRestrictions":[""]}`,
			Required:   []string{"Name"},
			Ours:       []string{"CanBeDeleted", "SpacePermissionDescriptions", "SystemPermissionDescriptions", "SupportedRestrictions"},
			Permission: collection.Verbs{View: "UserRoleView", Create: "UserRoleEdit", Edit: "UserRoleEdit", Delete: "UserRoleEdit"},
			Permit:     grants.Role, Prepare: prepareRole,
			Remove: func(c *collection.Change) error {
				if strings.HasPrefix(c.ID, "userroles-") {
					return problem.Invalid("Built-in user roles cannot be deleted.")
				}
				return nil
			},
		},
		{
			Name: "ScopedUserRoles", Type: "ScopedUserRole", Route: "scopeduserroles", Scope: collection.InBoth, Title: "-", Owner: "TeamId", Decides: true,
			Template:   `{"UserRoleId":"","TeamId":"","SpaceId":null,"ProjectIds":[""],"ProjectGroupIds":[""],"EnvironmentIds":[""],"TenantIds":[""]}`,
			Required:   []string{"UserRoleId", "TeamId"},
			Permission: collection.Verbs{View: "TeamView", Create: "TeamEdit", Edit: "TeamEdit", Delete: "TeamEdit"},
			References: []collection.Reference{{Path: "UserRoleId", Kind: "UserRoles"}, {Path: "TeamId", Kind: "Teams"}, {Path: "ProjectIds[]", Kind: "Projects", Loose: true},
				{Path: "EnvironmentIds[]", Kind: "Environments", Loose: true}, {Path: "TenantIds[]", Kind: "Tenants", Loose: true}, {Path: "ProjectGroupIds[]", Kind: "ProjectGroups", Loose: true}},
			Query:  "skip,take,ids,partialName,spaces,includeSystem",
			Under:  []string{"teams"},
			Permit: grants.Grant, Prepare: prepareScopedRole,
		},
		{
			Name: "Invitations", Type: "Invitation", Scope: collection.InBoth, Title: "-", RootLink: "-",
			Template:   `{"AddToTeamIds":[""],"InvitationCode":"","Expires":null,"SpaceId":null}`,
			Ours:       []string{"InvitationCode", "Expires"},
			References: []collection.Reference{{Path: "AddToTeamIds[]", Kind: "Teams", Dropped: true}},
			Permission: collection.Verbs{View: "UserInvite", Create: "UserInvite", Edit: "UserInvite", Delete: "UserInvite"},
			Links:      map[string]string{"Self": "/api/users/invitations/{Id}"},
			Permit:     grants.Invitation, Prepare: prepareInvitation,
			Actions: []collection.Action{
				{Method: "POST", Path: "users/invitations", Scope: collection.InBoth, Handle: invite},
				{Method: "GET", Path: "users/invitations/{id}", Scope: collection.InBoth, Handle: func(c *collection.Call) (any, error) { return c.Find("Invitations", c.Param("id")) }},
			},
		},
	}
}

// rules are what the routes of the server ask of it.
type rules struct{ *host.Host }

// hash takes the password out of what was sent, whatever its spelling, and puts its hash there instead: hashing takes too
// long to hold a transaction.
func (p *rules) hash(ctx context.Context, _ collection.Request, sent *octopus.Object) error {
	sent.Delete(hashed)
	password := sent.Text("Password")
	for sent.Has("Password") {
		sent.Delete("Password")
	}
	if password == "" {
		return nil
	}
	if n := len(password); n < 8 || n > 1024 {
		return problem.Invalid("The password must have 8 to 1,024 bytes.")
	}
	hash, err := p.Identity.HashPassword(ctx, password)
	if err != nil {
		return err
	}
	sent.Set(hashed, hash)
	return nil
}

func (p *rules) prepareUser(c *collection.Change) error {
	hash := c.New.Text(hashed)
	c.New.Delete(hashed)
	c.New.Set("Password", nil)
	if c.New.Bool("IsService") {
		c.New.Set("CanPasswordBeEdited", false)
		if hash != "" {
			return problem.Invalid("A service account has no password: it signs in with API keys.")
		}
	}
	if c.ID == c.Principal.ID && !c.New.Bool("IsActive") {
		return problem.Invalid("You cannot deactivate yourself.")
	}
	if !c.Creating && !c.New.Bool("IsActive") {
		if err := identity.DropSessions(c.Context, c.Tx, c.ID); err != nil {
			return err
		}
	}
	if hash == "" {
		return nil
	}
	if !c.Creating {
		if err := identity.DropSessions(c.Context, c.Tx, c.ID); err != nil {
			return err
		}
	}
	return identity.SetPassword(c.Context, c.Tx, c.ID, hash)
}

func (p *rules) removeUser(c *collection.Change) error {
	if c.ID == c.Principal.ID {
		return problem.Invalid("You cannot delete yourself.")
	}
	return identity.DropUser(c.Context, c.Tx, c.ID)
}

func presentUser(v *collection.View, o *octopus.Object) error {
	o.Delete("Password")
	o.Set("IsRequestor", v.Row.ID == v.Request.Principal.ID)
	return nil
}

func prepareTeam(c *collection.Change) error {
	if c.Creating {
		return nil
	}
	if !c.Old.Bool("CanBeRenamed") && c.New.Text("Name") != c.Old.Text("Name") {
		return problem.Invalid("This team cannot be renamed.")
	}
	if c.ID == "teams-administrators" && len(c.New.Texts("MemberUserIds")) == 0 {
		return problem.Invalid("The team of administrators must keep at least one member.")
	}
	return nil
}

// settleTeam keeps a space's list of managers in step with the team of its managers.
func settleTeam(c *collection.Change) error {
	if c.Creating || c.Space == "" || c.ID != Managers(c.Space) {
		return nil
	}
	o, ok, err := c.In("").Get("Spaces", c.Space)
	if err != nil || !ok || strings.Join(o.Texts("SpaceManagersTeamMembers"), ",") == strings.Join(c.New.Texts("MemberUserIds"), ",") {
		return err
	}
	return c.In("").Edit("Spaces", c.Space, func(o *octopus.Object) error {
		o.Set("SpaceManagersTeamMembers", c.New.Texts("MemberUserIds"))
		return nil
	})
}

func removeTeam(c *collection.Change) error {
	if !c.Old.Bool("CanBeDeleted") {
		return problem.Invalid("This team is built in and cannot be deleted.")
	}
	return nil
}

// prepareRole fills in what the granted permissions mean, and refuses permissions that do not exist.
func prepareRole(c *collection.Change) error {
	texts := map[string]permission.Description{}
	for _, d := range permission.All() {
		texts[string(d.Name)] = d
	}
	restrictions := map[string]bool{}
	describe := func(member, described string) error {
		sentences := []string{}
		for _, name := range c.New.Texts(member) {
			d, ok := texts[name]
			if !ok {
				return problem.Invalid("There is no permission '" + name + "'.")
			}
			sentences = append(sentences, d.Text)
			for _, r := range d.Restrictions {
				restrictions[r] = true
			}
		}
		c.New.Set(described, sentences)
		return nil
	}
	if err := describe("GrantedSpacePermissions", "SpacePermissionDescriptions"); err != nil {
		return err
	}
	if err := describe("GrantedSystemPermissions", "SystemPermissionDescriptions"); err != nil {
		return err
	}
	supported := []string{}
	for _, r := range []string{"Projects", "ProjectGroups", "Environments", "Tenants"} {
		if restrictions[r] {
			supported = append(supported, r)
		}
	}
	c.New.Set("SupportedRestrictions", supported)
	return nil
}

func prepareScopedRole(c *collection.Change) error {
	role, ok, err := c.In("").Get("UserRoles", c.New.Text("UserRoleId"))
	if err != nil || !ok {
		return part.OrInvalid(err, "There is no user role '"+c.New.Text("UserRoleId")+"'.")
	}
	if c.Space != "" && len(role.Texts("GrantedSpacePermissions")) == 0 && len(role.Texts("GrantedSystemPermissions")) > 0 {
		return problem.Invalid("The role '" + role.Text("Name") + "' grants permissions on the whole server only: give it to a team of the whole server, without a space.")
	}
	return nil
}

// Managers is the team that every space has for its managers.
func Managers(space string) string { return "teams-spacemanagers-" + space }
