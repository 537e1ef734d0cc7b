package octotest

import (
	"errors"

	"odcm"
	"odcm/octopus"
	"odcm/octopus/octoclient"
)

// client lets ODCM's own client work with the server.
func (s *session) client() {
	c, err := octoclient.New(octoclient.Options{URL: s.server.URL, APIKey: s.server.APIKey})
	s.must("New", err)
	root, err := c.Root(s.ctx)
	s.must("Root", err)
	if root.InstallationID() == "" {
		s.problemf("Root: no InstallationId")
	}
	_, err = c.Ping(s.ctx)
	s.must("Ping", err)
	me, err := c.Me(s.ctx)
	s.must("Me", err)
	permissions, err := c.Permissions(s.ctx)
	s.must("Permissions", err)
	if me.ID() != s.me.ID() || !permissions.Has("AdministerSystem", "") {
		s.problemf("Permissions: %s may not AdministerSystem; the suite wants a system administrator's key", me.Username())
	}
	spaces, err := c.Spaces(s.ctx)
	s.must("Spaces", err)
	if len(spaces) == 0 {
		s.problemf("Spaces: none")
	}
	nodes, err := c.Nodes(s.ctx)
	s.must("Nodes", err)
	if len(nodes.Nodes()) == 0 {
		s.problemf("Nodes: none")
	}
	_, err = c.LicenceStatus(s.ctx)
	s.must("LicenceStatus", err)
	_, err = c.Maintenance(s.ctx)
	s.must("Maintenance", err)
	s.clientChanges(c)
	s.clientFailures(c)
}

func (s *session) must(what string, err error) {
	if err != nil {
		s.fatalf("octoclient %s: %v (%v)", what, err, errors.Unwrap(err))
	}
}

func (s *session) wantCode(what string, err error, code string) {
	if odcm.CodeOf(err) != code {
		s.problemf("octoclient %s: %v (%s), want %s", what, err, odcm.CodeOf(err), code)
	}
}

// clientChanges takes one environment through its life.
func (s *session) clientChanges(c *octoclient.Client) {
	body, err := octopus.NewObject(fields{"Name": s.name("environment"), "Description": "1"})
	s.must("NewObject", err)
	made, err := c.Post(s.ctx, octopus.SpaceRoute(s.server.Space, "environments"), body)
	s.must("Post", err)
	path := octopus.SpaceRoute(s.server.Space, "environments", made.ID())
	changed, err := c.Update(s.ctx, path, func(o *octopus.Object) error { o.Set("Description", "2"); return nil })
	s.must("Update", err)
	if changed.Text("Description") != "2" || changed.Len() < made.Len() {
		s.problemf("octoclient Update: Description %q, %d fields of %d", changed.Text("Description"), changed.Len(), made.Len())
	}
	found := 0
	for o, err := range c.Background().List(s.ctx, octopus.SpaceRoute(s.server.Space, "environments")+"?ids="+made.ID()) {
		s.must("List", err)
		if o.ID() == made.ID() {
			found++
		}
	}
	if found != 1 {
		s.problemf("octoclient List: found it %d times", found)
	}
	_, err = c.Delete(s.ctx, path)
	s.must("Delete", err)
	_, err = c.Get(s.ctx, path)
	s.wantCode("Get of what was deleted", err, "octopus.not-found")
}

func (s *session) clientFailures(c *octoclient.Client) {
	_, err := c.Post(s.ctx, octopus.SpaceRoute(s.server.Space, "environments"), octopus.Object{})
	s.wantCode("Post of nothing", err, "octopus.invalid")
	wrong, err := octoclient.New(octoclient.Options{URL: s.server.URL, APIKey: "API-WRONGWRONGWRONG"})
	s.must("New", err)
	_, err = wrong.Me(s.ctx)
	s.wantCode("Me with a wrong key", err, "octopus.unauthorized")
}
