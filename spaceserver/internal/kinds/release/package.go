package release

import (
	"slices"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/kinds/project"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/version"
)

// Choice is how versions of packages are chosen where a release or snapshot does not name them.
type Choice struct {
	Channel octopus.Object // whose rules the chosen versions keep; empty for none
	Ignore  bool           // the rules are not asked about the versions that were named
	Tag     string         // regular expression for the pre-release of versions that are chosen; "" for any
}

// SelectPackages completes c.New.SelectedPackages: each package of the process gets the version that was named for it, or the newest
// of the built-in feed that the channel's rules allow. A version that is named must be in the built-in feed, if the package
// comes from there, and keep the rules (docs: releases/channels).
func SelectPackages(c *collection.Change, process octopus.Object, how Choice) error {
	named := c.New.Objects("SelectedPackages")
	feed := shelf{Reader: part.In(c)}
	selected, problems := []any{}, []string{}
	for _, p := range project.Packages(process) {
		rule, err := ruleFor(how.Channel, p)
		if err != nil {
			return err
		}
		number, given := versionFor(named, p)
		if !given && p.Fixed != "" {
			number, given = p.Fixed, true
		}
		switch {
		case !p.Resolvable():
			if !given { // only a deployment knows which package it is
				continue
			}
		case !given && p.Local():
			if number, err = feed.newest(p.ID, rule, how.Tag); err != nil {
				return err
			}
			if number == "" {
				problems = append(problems, "The built-in feed has no version of the package '"+p.ID+"' for the step '"+p.Step+"' that the channel allows: push one, or name a version.")
				continue
			}
		case !given:
			problems = append(problems, "Please name a version of the package '"+p.ID+"' for the step '"+p.Step+"': its feed is not this server's.")
			continue
		default:
			problem, err := feed.check(p, number, rule, how)
			if err != nil {
				return err
			}
			if problem != "" {
				problems = append(problems, problem)
				continue
			}
		}
		selected = append(selected, map[string]string{"ActionName": p.Action, "PackageReferenceName": p.Reference, "StepName": p.Step, "Version": number})
	}
	if len(problems) > 0 {
		return problem.Invalid(problems...)
	}
	c.New.Set("SelectedPackages", selected)
	return nil
}

// versionFor finds the version that was named for a package: by action or step, and reference.
func versionFor(named []octopus.Object, p project.Package) (string, bool) {
	for _, n := range named {
		action := n.Text("ActionName")
		if action == "" {
			action = n.Text("StepName")
		}
		if (strings.EqualFold(action, p.Action) || strings.EqualFold(action, p.Step)) && strings.EqualFold(n.Text("PackageReferenceName"), p.Reference) && n.Text("Version") != "" {
			return n.Text("Version"), true
		}
	}
	return "", false
}

// ruleFor is the rule of a channel that is about a package; one that asks nothing where there is none. A rule without packages
// is about all.
func ruleFor(channel octopus.Object, p project.Package) (version.Rule, error) {
	for _, r := range channel.Objects("Rules") {
		about := r.Objects("ActionPackages")
		if len(about) > 0 && !slices.ContainsFunc(about, func(a octopus.Object) bool {
			return strings.EqualFold(a.Text("DeploymentAction"), p.Action) && strings.EqualFold(a.Text("PackageReference"), p.Reference)
		}) {
			continue
		}
		return version.ParseRule(r.Text("VersionRange"), r.Text("Tag"))
	}
	return version.Rule{}, nil
}

// shelf is the built-in feed of a space.
type shelf struct{ part.Reader }

// newest is the newest version of a package that keeps the rule, "" where there is none.
func (s shelf) newest(id string, rule version.Rule, tag string) (string, error) {
	also, err := version.ParseRule("", tag)
	if err != nil {
		return "", err
	}
	var best version.Version
	text := ""
	err = s.each(id, func(number string) {
		if v, ok := version.Parse(number); ok && rule.Has(v) && also.Has(v) && (text == "" || v.Compare(best) > 0) {
			best, text = v, number
		}
	})
	return text, err
}

// has tells whether the feed has the version, also where it is written otherwise: 1.0 is 1.0.0.
func (s shelf) has(id, number string) (found bool, err error) {
	wanted, ok := version.Parse(number)
	err = s.each(id, func(have string) {
		v, is := version.Parse(have)
		found = found || have == number || ok && is && v.Compare(wanted) == 0
	})
	return found, err
}

func (s shelf) each(id string, f func(number string)) error {
	rows, err := s.List(document.Query{Kind: "Packages", Partial: "packages-" + id + "."})
	for _, o := range rows {
		if strings.EqualFold(o.Text("PackageId"), id) {
			f(o.Text("Version"))
		}
	}
	return err
}

// check says what is wrong with a version that was named, "" if nothing is.
func (s shelf) check(p project.Package, number string, rule version.Rule, how Choice) (string, error) {
	if !how.Ignore {
		v, ok := version.Release.Parse(number)
		if !ok {
			return "'" + number + "' is not a version of the package '" + p.ID + "'.", nil
		}
		if !rule.Has(v) {
			return "The version " + number + " of the package '" + p.ID + "' in the step '" + p.Step + "' breaks a rule of the channel '" + how.Channel.Text("Name") + "'.", nil
		}
	}
	if !p.Local() {
		return "", nil
	}
	found, err := s.has(p.ID, number)
	if err != nil || found {
		return "", err
	}
	return "The built-in feed has no package '" + p.ID + "' of version " + number + ", which the step '" + p.Step + "' needs.", nil
}

// missing lists the packages of a release that the built-in feed does not have any more.
func missing(c *collection.Call) (any, error) {
	d, err := c.Find("Releases", c.Param("id"))
	if err != nil {
		return nil, err
	}
	r := part.Outside(c, d.Space)
	process, _, err := r.Get("DeploymentProcesses", d.Object().Text("ProjectDeploymentProcessSnapshotId"))
	if err != nil {
		return nil, err
	}
	gone := []any{}
	for _, p := range project.Packages(process) {
		number, given := versionFor(d.Object().Objects("SelectedPackages"), p)
		if !given || !p.Local() || !p.Resolvable() {
			continue
		}
		found, err := shelf{r}.has(p.ID, number)
		if err != nil {
			return nil, err
		}
		if !found {
			gone = append(gone, map[string]string{"Id": p.ID, "Version": number})
		}
	}
	return map[string]any{"Packages": gone}, nil
}
