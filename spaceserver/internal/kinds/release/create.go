package release

import (
	"cmp"
	"slices"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/kinds/project"
	"odcm/spaceserver/internal/ledger"
	"odcm/spaceserver/internal/problem"
)

// createRelease is the executions API: names instead of ids, camel case in, Pascal case out (releases/create/v1).
func createRelease(c *collection.Call) (any, error) {
	var command struct {
		ProjectName, ProjectIDOrName string
		ReleaseVersion, ChannelName  string
		ChannelIDOrName              string
		ReleaseNotes, PackageVersion string
		PackagePrerelease            string
		GitRef, GitCommit            string
		Packages                     []string
		IgnoreIfAlreadyExists        bool
		IgnoreChannelRules           bool
		CustomFields                 map[string]string
	}
	if err := c.Decode(&command); err != nil {
		return nil, err
	}
	if command.GitRef+command.GitCommit != "" {
		return nil, notVersionControlled()
	}
	owner, err := c.Find("Projects", cmp.Or(command.ProjectName, command.ProjectIDOrName))
	if err != nil {
		return nil, err
	}
	r := part.Outside(c, owner.Space)
	process, _, err := r.Get("DeploymentProcesses", "deploymentprocess-"+owner.ID)
	if err != nil {
		return nil, err
	}
	channel, err := project.ChannelOf(r, owner.ID, cmp.Or(command.ChannelName, command.ChannelIDOrName))
	if err != nil {
		return nil, err
	}
	selected, err := choose(process, command.Packages, command.PackageVersion)
	if err != nil {
		return nil, err
	}
	number := command.ReleaseVersion
	if number == "" {
		if number, err = nextVersion(r, owner.Object(), channel, process, selected, command.PackageVersion, command.PackagePrerelease); err != nil {
			return nil, err
		}
	}
	if command.IgnoreIfAlreadyExists {
		if d, err := c.Service.GetOwned(c.Context, c.Request, c.Service.Kind("Releases"), owner.ID, number); err == nil {
			return map[string]any{"ReleaseId": d.ID, "ReleaseVersion": d.Object().Text("Version"), "AutomaticallyDeployedEnvironments": nil}, nil
		}
	}
	body := part.Object(map[string]any{"ProjectId": owner.ID, "Version": number, "ReleaseNotes": command.ReleaseNotes, "IgnoreChannelRules": command.IgnoreChannelRules, "ChannelId": channel.Text("Id"),
		"SelectedPackages": selected})
	if command.PackagePrerelease != "" {
		body.Set(preferred, command.PackagePrerelease)
	}
	if command.CustomFields != nil {
		body.Set("CustomFields", command.CustomFields)
	}
	d, err := c.Service.Create(c.Context, c.Request, c.Service.Kind("Releases"), body)
	if err != nil {
		return nil, err
	}
	deployed, err := automatic(r, d.ID)
	return collection.Made{Value: map[string]any{"ReleaseId": d.ID, "ReleaseVersion": d.Object().Text("Version"), "AutomaticallyDeployedEnvironments": part.OrNull(deployed)}}, err
}

// automatic names the environments that a new release is deployed to by itself.
func automatic(r part.Reader, release string) (string, error) {
	entries, err := ledger.List(r.Context, r.Q, ledger.Query{Source: release})
	if err != nil || len(entries) == 0 {
		return "", err
	}
	var ids, names []string
	for _, e := range entries {
		ids = append(ids, e.Environment)
	}
	found, err := r.These("Environments", ids)
	for _, o := range found {
		names = append(names, o.Text("Name"))
	}
	return strings.Join(names, ", "), err
}

// nextVersion is the version that the project's strategy gives: that of the donor package, or what the template makes.
func nextVersion(r part.Reader, owner, channel, process octopus.Object, selected []octopus.Object, packages, tag string) (string, error) {
	donor, ok := project.Donor(owner, process)
	if !ok {
		return project.NextVersion(r, owner, channel)
	}
	if number, given := versionFor(selected, donor); given {
		return number, nil
	}
	if packages != "" {
		return packages, nil
	}
	rule, err := ruleFor(channel, donor)
	if err != nil {
		return "", err
	}
	number, err := shelf{r}.newest(donor.ID, rule, tag)
	if err == nil && number == "" {
		err = problem.Invalid("The project takes its version from the package '" + donor.ID + "', of which the built-in feed has no version that the channel allows: name the release's version.")
	}
	return number, err
}

// choose reads versions of packages as people type them: "step:version", "package:version", "step:package:version", with "*" for
// any step or package, and one version for all that are not named. What is more exact goes before what is less.
func choose(process octopus.Object, texts []string, all string) ([]octopus.Object, error) {
	var picks []pick
	for _, text := range texts {
		parts := strings.FieldsFunc(text, func(r rune) bool { return r == ':' || r == '=' || r == '/' })
		switch len(parts) {
		case 2:
			picks = append(picks, pick{parts[0], "*", parts[1]})
		case 3:
			picks = append(picks, pick{parts[0], parts[1], parts[2]})
		default:
			return nil, problem.Invalid("A package is named as step:version or step:package:version, not '" + text + "'.")
		}
	}
	used := make([]bool, len(picks))
	var selected []octopus.Object
	for _, p := range project.Packages(process) {
		number, best := all, 0
		for i, pk := range picks {
			weight := pk.weight(p)
			if weight > 0 {
				used[i] = true
			}
			if weight > best {
				number, best = pk.number, weight
			}
		}
		if number != "" {
			selected = append(selected, part.Object(map[string]any{"ActionName": p.Action, "PackageReferenceName": p.Reference, "Version": number}))
		}
	}
	for i, ok := range used {
		if !ok && picks[i].step != "*" {
			return nil, problem.Invalid("The process has no step or package '" + picks[i].step + "' to choose a version for.")
		}
	}
	return selected, nil
}

type pick struct{ step, reference, number string }

// weight tells how exactly a pick means a package; 0 where it does not. A package's id says more than the step that it is in.
func (k pick) weight(p project.Package) int {
	weight := 0
	switch {
	case strings.EqualFold(k.step, p.ID):
		weight = 3
	case strings.EqualFold(k.step, p.Step), strings.EqualFold(k.step, p.Action):
		weight = 2
	case k.step == "*":
		weight = 1
	default:
		return 0
	}
	switch {
	case k.reference == "*":
		return weight
	case strings.EqualFold(k.reference, p.Reference), strings.EqualFold(k.reference, p.ID):
		return weight + 4
	}
	return 0
}

// Make makes a release as the server's own doing: the next version by the project's strategy, and the newest packages that the
// channel allows where they are not selected; "" is the default channel. It returns the release.
func Make(c *collection.Change, owner octopus.Object, channelID string, selected ...octopus.Object) (octopus.Object, error) {
	r := part.In(c)
	channel, err := project.ChannelOf(r, owner.Text("Id"), channelID)
	if err != nil {
		return octopus.Object{}, err
	}
	process, _, err := r.Get("DeploymentProcesses", "deploymentprocess-"+owner.Text("Id"))
	if err != nil {
		return octopus.Object{}, err
	}
	number, err := nextVersion(r, owner, channel, process, selected, "", "")
	if err != nil {
		return octopus.Object{}, err
	}
	body := part.Object(map[string]any{"ProjectId": owner.Text("Id"), "Version": number, "ChannelId": channel.Text("Id")})
	if len(selected) > 0 {
		body.Set("SelectedPackages", selected)
	}
	return c.Create("Releases", body)
}

// Newest is the newest version of a package in the built-in feed that the channel allows, "" where there is none.
func Newest(r part.Reader, channel octopus.Object, p project.Package) (string, error) {
	rule, err := ruleFor(channel, p)
	if err != nil {
		return "", err
	}
	return shelf{r}.newest(p.ID, rule, "")
}

// Uses tells whether a release of the project, among its newest, was made of the version of the package.
func Uses(r part.Reader, owner string, p project.Package, number string) (bool, error) {
	const looked = 200
	all, err := r.List(document.Query{Kind: "Releases", Owner: owner, Order: document.NewestFirst, Take: looked})
	return slices.ContainsFunc(all, func(o octopus.Object) bool {
		used, ok := versionFor(o.Objects("SelectedPackages"), p)
		return ok && used == number
	}), err
}
