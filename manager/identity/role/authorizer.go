package role

import (
	"context"
	"slices"
	"strings"

	"odcm"
	"odcm/manager/identity/person"
)

// Authorizer decides by role. An administrator may do everything, an auditor read everything; what else a role may do
// stands in the table below, and what does not stand there is the administrator's alone.
type Authorizer struct {
	table map[odcm.Action][]odcm.Role
	own   []odcm.Action
}

// NewAuthorizer makes the table.
func NewAuthorizer() *Authorizer {
	anyone := person.Roles()
	return &Authorizer{
		// Who sees which Space is for grants to say, when there are grants.
		table: map[odcm.Action][]odcm.Role{
			// Whoever administers a Space maps groups to its teams.
			"group.list":             {odcm.SpaceAdministrator},
			"group.read":             {odcm.SpaceAdministrator},
			"provider.find":          {odcm.SpaceAdministrator},
			"alert.read":             anyone, // of the Spaces that one may see
			"monitor.read":           anyone,
			"report.read":            anyone,                                  // of the Spaces that one may see
			"report-schedule.manage": {odcm.Auditor, odcm.SpaceAdministrator}, // one's own
			"space.read":             anyone,
		},
		// What everyone who is signed in may do, since the rules act on his own things only.
		own: []odcm.Action{"apikey.create", "apikey.delete", "apikey.list", "password.change", "session.end", "session.list"},
	}
}

// Authorize implements [odcm.Authorizer].
func (a *Authorizer) Authorize(_ context.Context, p odcm.Principal, action odcm.Action, _ string) error {
	if p.User == "" {
		return person.NotSignedIn()
	}
	roles := a.allowed(action)
	if slices.ContainsFunc(roles, p.Has) || slices.Contains(a.own, action) && p.User != person.Guest {
		return nil
	}
	return odcm.E(odcm.Denied, "identity.role-missing", "%s needs the role %s: ask an administrator of ODCM for it.", action, either(roles))
}

// allowed lists the roles that may do the action.
func (a *Authorizer) allowed(action odcm.Action) []odcm.Role {
	roles := []odcm.Role{odcm.Administrator}
	if _, verb, _ := strings.Cut(string(action), "."); verb == "read" || verb == "list" {
		roles = append(roles, odcm.Auditor)
	}
	for _, r := range a.table[action] {
		if !slices.Contains(roles, r) {
			roles = append(roles, r)
		}
	}
	return roles
}

func either(roles []odcm.Role) string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r)
	}
	return strings.Join(names, " or ")
}
