package trigger

import (
	"errors"
	"slices"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/deployment"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/kinds/project"
	"odcm/spaceserver/internal/kinds/release"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/version"
)

// wishes are which packages make releases of a project, in which channel.
type wishes struct {
	channel string // "" for the default one
	means   func(process octopus.Object) []project.Package
}

// creation is what a project itself says: one package of its process (docs:
// projects/project-triggers/built-in-package-repository-triggers).
func creation(owner octopus.Object) wishes {
	s := owner.Object("ReleaseCreationStrategy")
	return wishes{s.Text("ChannelId"), func(process octopus.Object) []project.Package {
		p, ok := project.Meant(process, s.Object("ReleaseCreationPackage"), s.Text("ReleaseCreationPackageStepId"))
		if !ok {
			return nil
		}
		return []project.Package{p}
	}}
}

// meant are the packages that a feed trigger's filter names.
func meant(filter octopus.Object) func(process octopus.Object) []project.Package {
	return func(process octopus.Object) (all []project.Package) {
		for _, named := range filter.Objects("Packages") {
			if p, ok := project.Meant(process, named, ""); ok {
				all = append(all, p)
			}
		}
		return all
	}
}

func processOf(r part.Reader, owner string) (octopus.Object, error) {
	o, _, err := r.Get("DeploymentProcesses", "deploymentprocess-"+owner)
	return o, err
}

// watched refuses a feed trigger for packages that this server does not see coming.
func watched(c *collection.Change, filter octopus.Object) error {
	process, err := processOf(part.In(c), c.New.Text("ProjectId"))
	if err != nil {
		return err
	}
	named := filter.Objects("Packages")
	if len(named) == 0 {
		return problem.Invalid("Please name the packages that the trigger waits for.")
	}
	for _, n := range named {
		p, ok := project.Meant(process, n, "")
		switch {
		case !ok:
			return problem.Invalid("The deployment process has no step '" + n.Text("DeploymentAction") + "' with the package '" + n.Text("PackageReference") + "'.")
		case !p.Local():
			return problem.Invalid("The package '" + p.ID + "' of the step '" + p.Action + "' is not in the built-in feed: this Space server makes releases only of packages that are pushed to it.")
		case !p.Resolvable():
			return problem.Invalid("The step '" + p.Action + "' names its package by a variable: a trigger needs one that is always the same.")
		}
	}
	return nil
}

// pushed finds what makes a release of a package that is new in the built-in feed.
func (w watch) pushed(id string) error {
	o, there, err := w.Get("Packages", id)
	if err != nil || !there {
		return err
	}
	owners, err := w.List(document.Query{Kind: "Projects", Contains: `"AutoCreateRelease":true`})
	if err != nil {
		return err
	}
	for _, owner := range owners {
		if !owner.Bool("AutoCreateRelease") || owner.Bool("IsDisabled") {
			continue
		}
		if err := w.offer(o, owner, owner.Text("Id"), "the project's built-in package repository trigger", creation(owner), true); err != nil {
			return err
		}
	}
	triggers, err := w.List(document.Query{Kind: "ProjectTriggers", Contains: feedFilter + `"`})
	if err != nil {
		return err
	}
	for _, t := range triggers {
		typ := t.Object("Filter").Text("FilterType")
		if t.Bool("IsDisabled") || typ != feedFilter && typ != builtInFilter {
			continue
		}
		owner, _, err := w.Get("Projects", t.Text("ProjectId"))
		if err != nil {
			return err
		}
		if owner.Bool("IsDisabled") {
			continue
		}
		if err := w.offer(o, owner, t.Text("Id"), "the trigger "+t.Text("Name"), wishes{t.Object("Action").Text("ChannelId"), meant(t.Object("Filter"))}, false); err != nil {
			return err
		}
	}
	return nil
}

// offer has a release made of a pushed package where it is wished for and is the newest that the channel allows. Where the project
// itself wishes, whoever pushes must be allowed to make releases, as on an Octopus server.
func (w watch) offer(pushed, owner octopus.Object, id, name string, wish wishes, asked bool) error {
	process, err := processOf(w.Reader, owner.Text("Id"))
	if err != nil {
		return err
	}
	for _, p := range wish.means(process) {
		if !p.Local() || !strings.EqualFold(p.ID, pushed.Text("PackageId")) {
			continue
		}
		text := pushed.Text("PackageId") + " " + pushed.Text("Version")
		channel, err := project.ChannelOf(w.Reader, owner.Text("Id"), wish.channel)
		if problem.IsRefusal(err) {
			deployment.Blocked(w.change, name, "No release was made of "+text+". "+problem.Reason(err), id, owner.Text("Id"))
			continue
		}
		if err != nil {
			return err
		}
		newest, err := release.Newest(w.Reader, channel, p)
		target := permission.Target{Space: w.Space, Project: owner.Text("Id"), ProjectGroup: owner.Text("ProjectGroupId")}
		switch {
		case err != nil:
			return err
		case newest != pushed.Text("Version"):
			deployment.Blocked(w.change, name, "No release was made of "+text+", because it is not the newest that the channel '"+channel.Text("Name")+"' allows.", id, owner.Text("Id"))
		case asked && !w.change.Principal.Set.Changes("ReleaseCreate", target):
			deployment.Blocked(w.change, name, "No release was made of "+text+", because whoever pushed it may not create releases of "+owner.Text("Name")+".", id, owner.Text("Id"))
		default:
			w.add(id, pushed.Text("Id"), 0)
		}
	}
	return nil
}

// releasePushed makes a release of each package, the oldest first; none of a version that was released before.
func (a actor) releasePushed(wish wishes, ids []string) error {
	process, err := processOf(a.Reader, a.project.Text("Id"))
	if err != nil {
		return err
	}
	found, err := a.These("Packages", ids)
	if err != nil {
		return err
	}
	pushed := make([]octopus.Object, 0, len(found))
	for _, o := range found {
		pushed = append(pushed, o)
	}
	slices.SortFunc(pushed, func(x, y octopus.Object) int {
		v, _ := version.Parse(x.Text("Version"))
		w, _ := version.Parse(y.Text("Version"))
		return v.Compare(w)
	})
	var refused []error
	for _, o := range pushed {
		err := a.releaseOf(process, wish, o)
		if err != nil && !problem.IsRefusal(err) {
			return err
		}
		if err != nil {
			refused = append(refused, err)
		}
	}
	return errors.Join(refused...)
}

func (a actor) releaseOf(process octopus.Object, wish wishes, pushed octopus.Object) error {
	var selected []octopus.Object
	for _, p := range wish.means(process) {
		if !p.Local() || !strings.EqualFold(p.ID, pushed.Text("PackageId")) {
			continue
		}
		if used, err := release.Uses(a.Reader, a.project.Text("Id"), p, pushed.Text("Version")); err != nil || used {
			return err
		}
		selected = append(selected, part.Object(map[string]any{"ActionName": p.Action, "PackageReferenceName": p.Reference, "Version": pushed.Text("Version")}))
	}
	if len(selected) == 0 {
		return nil
	}
	made, err := release.Make(a.change, a.project, wish.channel, selected...)
	if err == nil {
		a.did("made release " + made.Text("Version") + " of " + pushed.Text("PackageId") + " " + pushed.Text("Version"))
	}
	return err
}
