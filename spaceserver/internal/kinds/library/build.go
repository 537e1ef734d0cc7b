package library

import (
	"cmp"
	"errors"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/problem"
)

// Builds keeps what builds tell of the packages that they made. It is sent as {PackageId, Version,
// OctopusBuildInformation} and read flat (OctopusPackageVersionBuildInformationMappedResource in the Swagger document).
func Builds() []*collection.Kind {
	return []*collection.Kind{{
		Name: "BuildInformation", Type: "BuildInformation", Route: "build-information", Title: "$name", Order: document.NewestFirst,
		Template: `{"PackageId":"","Version":"","BuildEnvironment":null,"BuildNumber":null,"BuildUrl":null,"Branch":null,"VcsType":null,"VcsRoot":null,"VcsCommitNumber":null,"VcsCommitUrl":null,
			"IssueTrackerName":null,"WorkItems":[],"Commits":[],"IncompleteDataWarning":null,"Created":null}`,
		Required:   []string{"PackageId", "Version"},
		Permission: collection.Verbs{View: "FeedView", Create: "BuildInformationPush", Edit: "BuildInformationAdminister", Delete: "BuildInformationAdminister"},
		Without:    "create edit all",
		Filters:    map[string]string{"packageId": "PackageId", "version": "Version"}, Query: "packageId,filter,latest,skip,take,overwriteMode",
		Present: func(_ *collection.View, o *octopus.Object) error { hideBuild(o); return nil },
		Actions: []collection.Action{
			{Method: "POST", Path: "build-information", Permission: "BuildInformationPush", Writes: true, Handle: pushBuild},
			{Method: "DELETE", Path: "build-information/bulk", Permission: "BuildInformationAdminister", Handle: func(c *collection.Call) (any, error) {
				for _, id := range collection.Split(c.Query, "ids") {
					if err := c.Service.Delete(c.Context, c.Request, c.Service.Kind("BuildInformation"), id); err != nil {
						return nil, err
					}
				}
				return nil, nil
			}},
		},
	}}
}

// hideBuild leaves out what the server finds it by, and the space, which the document of a build does not name.
func hideBuild(o *octopus.Object) {
	o.Delete("$name")
	o.Delete("SpaceId")
}

func buildName(id, version string) string { return strings.ToLower(id + "@" + version) }

func pushBuild(c *collection.Call) (any, error) {
	sent, err := c.Object()
	if err != nil {
		return nil, err
	}
	id, version := sent.Text("PackageId"), sent.Text("Version")
	if id == "" || version == "" {
		return nil, problem.Invalid("Please provide a value for PackageId and Version.")
	}
	o := sent.Object("OctopusBuildInformation").Clone()
	for _, member := range []string{"Id", "Links"} {
		o.Delete(member)
	}
	o.Set("PackageId", id)
	o.Set("Version", version)
	o.Set("Created", c.Service.Now())
	o.Set("$name", buildName(id, version))
	o.Set("Commits", withLinks(o))
	mode := cmp.Or(sent.Text("OverwriteMode"), c.Query.Get("overwriteMode"))
	store := c.Service.Store
	old, err := store.Find(c.Context, store.DB.Read(), "BuildInformation", buildName(id, version), []string{c.Space}, "")
	exists := err == nil
	if err != nil && !errors.Is(err, document.ErrNone) {
		return nil, err
	}
	switch {
	case !exists:
	case strings.EqualFold(mode, "IgnoreIfExists"):
		return c.Find("BuildInformation", old.ID)
	case !strings.EqualFold(mode, "OverwriteExisting"):
		return nil, problem.New(409, "There is build information of '%s' version '%s' already. Use OverwriteMode OverwriteExisting to replace it.", id, version)
	case !c.Principal.Set.Holds("BuildInformationAdminister", c.Space):
		return nil, problem.Denied("BuildInformationAdminister")
	}
	made := old.ID
	err = c.Transact(func(change *collection.Change) error {
		change = change.In(c.Space)
		if exists {
			return change.Edit("BuildInformation", old.ID, func(kept *octopus.Object) error {
				o.Set("Id", old.ID)
				*kept = o
				return nil
			})
		}
		d, err := change.Create("BuildInformation", o)
		made = d.Text("Id")
		return err
	})
	if err != nil {
		return nil, err
	}
	return c.Find("BuildInformation", made)
}

// withLinks gives each commit the link that the client's CommitDetails has, null where nobody knows it.
func withLinks(o octopus.Object) []octopus.Object {
	commits := o.Objects("Commits")
	for i := range commits {
		if !commits[i].Has("LinkUrl") {
			commits[i].Set("LinkUrl", nil)
		}
	}
	return part.Some(commits)
}
