package project

import (
	"cmp"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/kinds/part"
)

// BuiltIn is the id of the feed that the server keeps itself.
const BuiltIn = "feeds-builtin"

// Package is a package that an action of a process names.
type Package struct {
	Step, Action, Reference string // Reference is "" for the action's main package
	ID, Feed                string
	Fixed                   string // a version that the process itself says; "" for none
}

// Resolvable tells whether the process says which package it is; where it says so by a variable, only a deployment knows.
func (p Package) Resolvable() bool { return !strings.Contains(p.ID+p.Feed, "#{") }

// Local tells whether it comes from the built-in feed.
func (p Package) Local() bool {
	return p.Feed == "" || strings.EqualFold(p.Feed, BuiltIn) || strings.EqualFold(p.Feed, "octopus-server-built-in") || strings.EqualFold(p.Feed, "Octopus Server (built-in)")
}

// Packages lists the packages that the steps of a process name, those of disabled actions not. Older clients name the main
// package by the action's properties only.
func Packages(process octopus.Object) []Package {
	var all []Package
	for _, step := range process.Objects("Steps") {
		for _, action := range step.Objects("Actions") {
			if action.Bool("IsDisabled") {
				continue
			}
			packages, main := action.Objects("Packages"), false
			for _, p := range packages {
				main = main || p.Text("Name") == ""
				all = append(all, Package{step.Text("Name"), action.Text("Name"), p.Text("Name"), p.Text("PackageId"), p.Text("FeedId"), p.Text("Version")})
			}
			properties := action.Object("Properties")
			if id := properties.Text("Octopus.Action.Package.PackageId"); id != "" && !main {
				all = append(all, Package{step.Text("Name"), action.Text("Name"), "", id, properties.Text("Octopus.Action.Package.FeedId"), ""})
			}
		}
	}
	return all
}

// packageReferences shows the packages of a process with the versions that were selected last: ReleaseTemplatePackage in the
// Swagger document.
func packageReferences(r part.Reader, process, last octopus.Object) ([]any, error) {
	shown := []any{}
	var feeds []string
	packages := Packages(process)
	for _, p := range packages {
		feeds = append(feeds, cmp.Or(p.Feed, BuiltIn))
	}
	found, err := r.These("Feeds", feeds)
	if err != nil {
		return nil, err
	}
	for _, p := range packages {
		var selected any
		for _, s := range last.Objects("SelectedPackages") {
			if s.Text("ActionName") == p.Action && s.Text("PackageReferenceName") == p.Reference {
				selected = s.Text("Version")
			}
		}
		feed := part.OrNull(found[cmp.Or(p.Feed, BuiltIn)].Text("Name"))
		shown = append(shown, map[string]any{"ActionName": p.Action, "StepName": p.Step, "PackageReferenceName": p.Reference, "PackageId": p.ID, "FeedId": p.Feed, "FeedName": feed,
			"NuGetPackageId": p.ID, "NuGetFeedId": p.Feed, "NuGetFeedName": feed, "ProjectName": nil, "VersionSelectedLastRelease": selected, "IsResolvable": p.Resolvable(), "FixedVersion": part.OrNull(p.Fixed)})
	}
	return shown, nil
}
