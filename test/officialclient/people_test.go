package officialclient

import (
	"slices"
	"testing"

	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/newclient"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/spaces"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/teams"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/userroles"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/users"
)

func (g *ground) people(t *testing.T) {
	c := g.c
	live(t, "spaces", life[*spaces.Space]{
		add: func() (*spaces.Space, error) {
			s := spaces.NewSpace("Another")
			s.SpaceManagersTeamMembers = []string{g.user.GetID()}
			return c.Spaces.Add(s)
		},
		get:    func(id string) (*spaces.Space, error) { return spaces.GetByID(c, id) },
		list:   func() ([]*spaces.Space, error) { return spaces.GetAll(c) },
		update: func(s *spaces.Space) (*spaces.Space, error) { return spaces.Update(c, s) },
		delete: c.Spaces.DeleteByID, // its queue was stopped by the change
		change: func(s *spaces.Space) { s.TaskQueueStopped = true },
		same:   func(s *spaces.Space) bool { return s.TaskQueueStopped },
	})
	live(t, "users", life[*users.User]{
		add:    func() (*users.User, error) { return users.Add(c, account("another")) },
		get:    func(id string) (*users.User, error) { return users.GetByID(c, id) },
		list:   func() ([]*users.User, error) { return items(users.Get(c, "", users.UsersQuery{Take: 1000})) },
		update: func(u *users.User) (*users.User, error) { return users.Update(c, u) },
		delete: func(id string) error { return users.DeleteByID(c, id) },
		change: func(u *users.User) { u.DisplayName = "Changed" },
		same:   func(u *users.User) bool { return u.DisplayName == "Changed" },
	})
	t.Run("api keys", func(t *testing.T) {
		made, err := c.APIKeys.Create(users.NewAPIKey("a purpose", g.user.GetID()))
		must(t, "create", err)
		read, err := c.APIKeys.GetByID(g.user.GetID(), made.GetID())
		must(t, "get", err)
		keys, err := c.APIKeys.GetByUserID(g.user.GetID())
		must(t, "list", err)
		if len(keys) != 1 || keys[0].GetID() != read.GetID() {
			t.Errorf("list: %d keys", len(keys))
		}
		must(t, "delete", newclient.Delete(c.HttpSession(), "/api/users/"+g.user.GetID()+"/apikeys/"+made.GetID()))
		if _, err := c.APIKeys.GetByID(g.user.GetID(), made.GetID()); err == nil {
			t.Error("delete: the key is still there")
		}
	})
	live(t, "teams", life[*teams.Team]{
		add: func() (*teams.Team, error) {
			team := teams.NewTeam("Another")
			team.SpaceID = space
			return c.Teams.Add(team)
		},
		get:    c.Teams.GetByID,
		list:   c.Teams.GetAll,
		update: c.Teams.Update,
		delete: func(id string) error { return teams.DeleteByID(c, space, id) },
		change: func(team *teams.Team) { team.MemberUserIDs = []string{g.user.GetID()} },
		same:   func(team *teams.Team) bool { return slices.Contains(team.MemberUserIDs, g.user.GetID()) },
	})
	live(t, "user roles", life[*userroles.UserRole]{
		add: func() (*userroles.UserRole, error) { return userroles.Add(c, userroles.NewUserRole("Another")) },
		get: func(id string) (*userroles.UserRole, error) { return userroles.GetByID(c, id) },
		list: func() ([]*userroles.UserRole, error) {
			return items(userroles.Get(c, "", userroles.UserRolesQuery{Take: 1000}))
		},
		update: func(r *userroles.UserRole) (*userroles.UserRole, error) { return userroles.Update(c, r) },
		delete: func(id string) error { return userroles.DeleteByID(c, id) },
		change: func(r *userroles.UserRole) { r.GrantedSpacePermissions = []string{"EnvironmentView"} },
		same: func(r *userroles.UserRole) bool {
			return slices.Equal(r.GrantedSpacePermissions, []string{"EnvironmentView"})
		},
	})
	live(t, "scoped user roles", life[*userroles.ScopedUserRole]{
		add: func() (*userroles.ScopedUserRole, error) {
			r := userroles.NewScopedUserRole(g.role.GetID())
			r.TeamID, r.SpaceID = g.team.GetID(), space
			return c.ScopedUserRoles.Add(r)
		},
		get:    c.ScopedUserRoles.GetByID,
		list:   func() ([]*userroles.ScopedUserRole, error) { return items(c.ScopedUserRoles.Get()) },
		update: c.ScopedUserRoles.Update,
		delete: c.ScopedUserRoles.DeleteByID,
		change: func(r *userroles.ScopedUserRole) { r.EnvironmentIDs = []string{g.environment.GetID()} },
		same:   func(r *userroles.ScopedUserRole) bool { return len(r.EnvironmentIDs) == 1 },
	})
}
