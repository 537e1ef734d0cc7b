package officialclient

import (
	"bytes"
	"testing"
	"time"

	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/actiontemplates"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/buildinformation"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/deploymentfreezes"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/feeds"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/libraryvariablesets"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/packages"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/resources"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/subscriptions"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/tagsets"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/tenants"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/variables"
)

func (g *ground) library(t *testing.T) {
	c := g.c
	live(t, "library variable sets", life[*variables.LibraryVariableSet]{
		add: func() (*variables.LibraryVariableSet, error) {
			return libraryvariablesets.Add(c, variables.NewLibraryVariableSet("Another"))
		},
		get: func(id string) (*variables.LibraryVariableSet, error) {
			return libraryvariablesets.GetByID(c, space, id)
		},
		list: func() ([]*variables.LibraryVariableSet, error) {
			return items(libraryvariablesets.Get(c, space, variables.LibraryVariablesQuery{Take: 1000}))
		},
		update: func(s *variables.LibraryVariableSet) (*variables.LibraryVariableSet, error) {
			return libraryvariablesets.Update(c, s)
		},
		delete: func(id string) error { return libraryvariablesets.DeleteByID(c, space, id) },
		change: func(s *variables.LibraryVariableSet) { s.Description = "changed" },
		same:   func(s *variables.LibraryVariableSet) bool { return s.Description == "changed" },
	})
	live(t, "tenants", life[*tenants.Tenant]{
		add:    func() (*tenants.Tenant, error) { return tenants.Add(c, tenants.NewTenant("Another")) },
		get:    func(id string) (*tenants.Tenant, error) { return tenants.GetByID(c, space, id) },
		list:   func() ([]*tenants.Tenant, error) { return tenants.GetAll(c, space) },
		update: func(n *tenants.Tenant) (*tenants.Tenant, error) { return tenants.Update(c, n) },
		delete: func(id string) error { return tenants.DeleteByID(c, space, id) },
		change: func(n *tenants.Tenant) { n.Description = "changed" },
		same:   func(n *tenants.Tenant) bool { return n.Description == "changed" },
	})
	live(t, "tag sets", life[*tagsets.TagSet]{
		add:    func() (*tagsets.TagSet, error) { return tagsets.Add(c, tagsets.NewTagSet("Another")) },
		get:    func(id string) (*tagsets.TagSet, error) { return tagsets.GetByID(c, space, id) },
		list:   func() ([]*tagsets.TagSet, error) { return tagsets.GetAll(c, space) },
		update: func(s *tagsets.TagSet) (*tagsets.TagSet, error) { return tagsets.Update(c, s) },
		delete: func(id string) error { return tagsets.DeleteByID(c, space, id) },
		change: func(s *tagsets.TagSet) { s.Tags = append(s.Tags, tagsets.NewTag("Blue", "#0000ff")) },
		same:   func(s *tagsets.TagSet) bool { return len(s.Tags) == 1 && s.Tags[0].Name == "Blue" },
	})
	live(t, "feeds", life[feeds.IFeed]{
		add: func() (feeds.IFeed, error) {
			f, err := feeds.NewNuGetFeed("Another", "https://192.0.2.3/v3/index.json")
			if err != nil {
				return nil, err
			}
			return feeds.Add(c, f)
		},
		get:    func(id string) (feeds.IFeed, error) { return feeds.GetByID(c, space, id) },
		list:   func() ([]feeds.IFeed, error) { return feeds.GetAll(c, space) },
		update: func(f feeds.IFeed) (feeds.IFeed, error) { return feeds.Update(c, f) },
		delete: func(id string) error { return feeds.DeleteByID(c, space, id) },
		change: func(f feeds.IFeed) { f.SetName("Changed") },
		same:   func(f feeds.IFeed) bool { return f.GetName() == "Changed" },
	})
	live(t, "action templates", life[*actiontemplates.ActionTemplate]{
		add: func() (*actiontemplates.ActionTemplate, error) {
			return actiontemplates.Add(c, actiontemplates.NewActionTemplate("Another", "Octopus.Script"))
		},
		get:  func(id string) (*actiontemplates.ActionTemplate, error) { return actiontemplates.GetByID(c, space, id) },
		list: c.ActionTemplates.GetAll,
		update: func(a *actiontemplates.ActionTemplate) (*actiontemplates.ActionTemplate, error) {
			return actiontemplates.Update(c, a)
		},
		delete: func(id string) error { return actiontemplates.DeleteByID(c, space, id) },
		change: func(a *actiontemplates.ActionTemplate) { a.Description = "changed" },
		same:   func(a *actiontemplates.ActionTemplate) bool { return a.Description == "changed" },
	})
	live(t, "packages", life[*packages.Package]{
		add: func() (*packages.Package, error) {
			archive := append([]byte("PK\x05\x06"), make([]byte, 18)...) // a zip with nothing in it
			made, _, err := packages.Upload(c, space, "Another.1.0.0.zip", bytes.NewReader(archive), packages.OverwriteModeFailIfExists)
			if err != nil {
				return nil, err
			}
			return packages.GetByID(c, space, made.GetID())
		},
		get:    func(id string) (*packages.Package, error) { return packages.GetByID(c, space, id) },
		list:   func() ([]*packages.Package, error) { return items(packages.List(c, space, "", 1000)) },
		delete: func(id string) error { return packages.DeleteByID(c, space, id) },
	})
	live(t, "build information", life[*buildinformation.BuildInformation]{
		add: func() (*buildinformation.BuildInformation, error) {
			return buildinformation.Add(c, buildinformation.NewCreateBuildInformationCommand(space, "Another", "1.0.0", buildinformation.OctopusBuildInformation{Branch: "main"}))
		},
		get: func(id string) (*buildinformation.BuildInformation, error) {
			return buildinformation.GetById(c, space, id)
		},
		list: func() ([]*buildinformation.BuildInformation, error) {
			return items(buildinformation.Get(c, space, buildinformation.BuildInformationQuery{Take: 1000}))
		},
		delete: func(id string) error { return buildinformation.DeleteByID(c, space, id) },
	})
	live(t, "subscriptions", life[*subscriptions.Subscription]{
		add: func() (*subscriptions.Subscription, error) {
			return subscriptions.Add(c, space, subscriptions.NewSubscription("Another"))
		},
		get:  func(id string) (*subscriptions.Subscription, error) { return subscriptions.GetByID(c, space, id) },
		list: func() ([]*subscriptions.Subscription, error) { return subscriptions.GetAll(c, space) },
		update: func(s *subscriptions.Subscription) (*subscriptions.Subscription, error) {
			return subscriptions.Update(c, space, s)
		},
		delete: func(id string) error { return subscriptions.DeleteByID(c, space, id) },
		change: func(s *subscriptions.Subscription) { s.IsDisabled = true },
		same:   func(s *subscriptions.Subscription) bool { return s.IsDisabled },
	})
	live(t, "deployment freezes", life[*deploymentfreezes.DeploymentFreeze]{
		add: func() (*deploymentfreezes.DeploymentFreeze, error) {
			start := time.Now().Add(time.Hour)
			end := start.Add(time.Hour)
			return deploymentfreezes.Add(c, &deploymentfreezes.DeploymentFreeze{Name: "Another", Start: &start, End: &end})
		},
		get: func(id string) (*deploymentfreezes.DeploymentFreeze, error) { return deploymentfreezes.GetById(c, id) },
		list: func() ([]*deploymentfreezes.DeploymentFreeze, error) {
			all, err := deploymentfreezes.GetAll(c)
			if err != nil {
				return nil, err
			}
			var list []*deploymentfreezes.DeploymentFreeze
			for i := range all.DeploymentFreezes {
				list = append(list, &all.DeploymentFreezes[i])
			}
			return list, nil
		},
		update: func(f *deploymentfreezes.DeploymentFreeze) (*deploymentfreezes.DeploymentFreeze, error) {
			return deploymentfreezes.Update(c, f)
		},
		delete: func(id string) error {
			return deploymentfreezes.Delete(c, &deploymentfreezes.DeploymentFreeze{Resource: resources.Resource{ID: id}})
		},
		change: func(f *deploymentfreezes.DeploymentFreeze) { f.Name = "Changed" },
		same:   func(f *deploymentfreezes.DeploymentFreeze) bool { return f.Name == "Changed" },
	})
}
