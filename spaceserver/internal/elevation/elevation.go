// Package elevation keeps people from getting more than they hold: who may edit teams, roles or users could else make himself
// whatever he likes. The permission to edit says that something may be granted, and what one holds says how much of it.
package elevation

import (
	"slices"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/identity"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

// Rules are asked about a client's change before it is made (collection.Kind.Permit).
type Rules struct{ Identity *identity.Service }

// within refuses what is more than the caller holds.
func within(c *collection.Change, granted *permission.Set, err error) error {
	if err != nil {
		return err
	}
	if lacking, ok := c.Principal.Set.Covers(granted); !ok {
		return problem.Denied(string(lacking))
	}
	return nil
}

// Grant is about a ScopedUserRole: its role, as far as it is restricted, must be held by who gives it to a team.
func (r Rules) Grant(c *collection.Change) error {
	role, ok, err := c.In("").Get("UserRoles", c.New.Text("UserRoleId"))
	if err != nil || !ok {
		return err // that there is no such role is said elsewhere
	}
	granted, err := r.Identity.GrantedBy(c.Context, c.Tx, role, c.New, c.Space)
	return within(c, granted, err)
}

// Members is about a team: who is added to it, or lets a group of a sign-in provider into it, must hold what the team does.
func (r Rules) Members(c *collection.Change) error {
	added := slices.ContainsFunc(c.New.Texts("MemberUserIds"), func(id string) bool { return !slices.Contains(c.Old.Texts("MemberUserIds"), id) })
	groups := func(team octopus.Object) (ids []string) {
		for _, g := range team.Objects("ExternalSecurityGroups") {
			ids = append(ids, g.Text("Id"))
		}
		return ids
	}
	before := groups(c.Old)
	if c.Creating || !added && !slices.ContainsFunc(groups(c.New), func(id string) bool { return !slices.Contains(before, id) }) {
		return nil
	}
	granted, err := r.Identity.Granted(c.Context, c.Tx, []string{c.ID})
	return within(c, granted, err)
}

// Invitation is about an invitation: whoever follows it joins its teams.
func (r Rules) Invitation(c *collection.Change) error {
	granted, err := r.Identity.Granted(c.Context, c.Tx, c.New.Texts("AddToTeamIds"))
	return within(c, granted, err)
}

// Account is about a user: who changes how somebody signs in can sign in as them.
func (r Rules) Account(c *collection.Change, password bool) error {
	if c.Creating {
		return nil
	}
	for _, name := range []string{"Username", "EmailAddress", "Identities"} {
		before, _ := c.Old.Get(name)
		after, _ := c.New.Get(name)
		password = password || string(before) != string(after)
	}
	if !password {
		return nil
	}
	return r.Acting(c, c.ID)
}

// Acting is about whatever lets the caller act as a user: an API key, a password, a token that a service account trusts.
func (r Rules) Acting(c *collection.Change, user string) error {
	if user == c.Principal.ID {
		return nil
	}
	granted, err := r.Identity.GrantedTo(c.Context, c.Tx, user)
	return within(c, granted, err)
}

// Role is about a user role. What it grants on the whole server must be held by who writes it. In spaces a role grants nothing
// by itself, so it may hold anything there, but who has the role may not add to it what he does not hold in that space.
func (r Rules) Role(c *collection.Change) error {
	more := &permission.Set{System: map[permission.Name]bool{}}
	for _, name := range c.New.Texts("GrantedSystemPermissions") {
		more.System[permission.Name(name)] = true
	}
	if err := within(c, more, nil); err != nil || c.Creating || c.Principal.Set.Administers() {
		return err
	}
	added := slices.DeleteFunc(c.New.Texts("GrantedSpacePermissions"), func(name string) bool { return slices.Contains(c.Old.Texts("GrantedSpacePermissions"), name) })
	if len(added) == 0 {
		return nil
	}
	mine, err := r.Identity.TeamsOf(c.Context, c.Tx, c.Principal.ID)
	if err != nil {
		return err
	}
	rows, err := c.List(document.Query{Kind: "ScopedUserRoles", Contains: `"` + c.ID + `"`})
	for _, row := range rows {
		scoped, err := octopus.ParseObject(row.Body)
		if err != nil {
			return err
		}
		if scoped.Text("UserRoleId") != c.ID || !slices.Contains(mine, scoped.Text("TeamId")) {
			continue
		}
		for _, name := range added {
			if row.Space != "" && !c.Principal.Set.Unrestricted(permission.Name(name), row.Space) {
				return problem.Denied(name)
			}
		}
	}
	return err
}
