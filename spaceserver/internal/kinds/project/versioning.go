package project

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/substitution"
	"odcm/spaceserver/internal/version"
)

// remembered is how many of a project's newest releases decide its next version.
const remembered = 200

// names is what a template of version numbers can say, by lower-case name.
type names map[string]string

func (n names) Lookup(name string) (string, bool) {
	text, ok := n[strings.ToLower(name)]
	return text, ok
}

func (n names) Names(prefix string) []string {
	var found []string
	for name := range n {
		if strings.HasPrefix(name, strings.ToLower(prefix)) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found
}

func (n names) set(values map[string]string) {
	for name, value := range values {
		n[strings.ToLower(name)] = value
	}
}

// Donor is the package whose version releases of the project take, false where they have versions of their own.
func Donor(owner, process octopus.Object) (Package, bool) {
	strategy := owner.Object("VersioningStrategy")
	return Meant(process, strategy.Object("DonorPackage"), strategy.Text("DonorPackageStepId"))
}

// Meant is the package of a process that a setting means (DeploymentActionPackageResource in the Swagger document), or that older
// clients mean by the id of its action.
func Meant(process, setting octopus.Object, actionID string) (Package, bool) {
	action, reference := setting.Text("DeploymentAction"), setting.Text("PackageReference")
	if action == "" && actionID == "" {
		return Package{}, false
	}
	for _, step := range process.Objects("Steps") {
		for _, a := range step.Objects("Actions") {
			if a.Text("Id") == actionID && action == "" {
				action = a.Text("Name")
			}
		}
	}
	for _, p := range Packages(process) {
		if strings.EqualFold(p.Action, action) && strings.EqualFold(p.Reference, reference) {
			return p, true
		}
	}
	return Package{}, false
}

// NextVersion makes the version of the next release of a project by its template (docs: releases/release-versioning). A mask in
// it (1.2.i) stays: [Settled] applies it when the release is made.
func NextVersion(r part.Reader, owner, channel octopus.Object) (string, error) {
	template := owner.Object("VersioningStrategy").Text("Template")
	if template == "" {
		template = "#{Octopus.Version.LastMajor}.#{Octopus.Version.LastMinor}.#{Octopus.Version.NextPatch}"
	}
	can, err := sayable(r, owner, channel)
	if err != nil {
		return "", err
	}
	result, err := substitution.Expand(template, can, substitution.Limits{Output: 1000, Now: r.Service.Now()})
	if err != nil {
		return "", problem.Invalid("The project's version template '" + template + "' cannot be evaluated: " + err.Error() + ".").Because(err)
	}
	return strings.Join(strings.Fields(result.Text), ""), nil
}

func sayable(r part.Reader, owner, channel octopus.Object) (names, error) {
	can := names{}
	set, _, err := r.Get("VariableSets", "variableset-"+owner.Text("Id"))
	if err != nil {
		return nil, err
	}
	for _, v := range set.Objects("Variables") {
		scope := v.Object("Scope")
		if mine := scope.Texts("Channel"); v.Text("Type") != "Sensitive" && (scope.Len() == 0 || scope.Len() == 1 && slices.Contains(mine, channel.Text("Id"))) {
			can.set(map[string]string{v.Text("Name"): v.Text("Value")})
		}
	}
	channels, err := r.List(document.Query{Kind: "Channels", Owner: owner.Text("Id")})
	if err != nil {
		return nil, err
	}
	releases, err := r.List(document.Query{Kind: "Releases", Owner: owner.Text("Id"), Order: document.NewestFirst, Take: remembered})
	if err != nil {
		return nil, err
	}
	newest := func(of string) version.Version {
		for _, o := range releases {
			if v, ok := version.Release.Parse(o.Text("Version")); ok && (of == "" || o.Text("ChannelId") == of) {
				return v
			}
		}
		return version.Version{}
	}
	can.set(version.Variables("Octopus.Version", newest("")))
	can.set(version.Variables("Octopus.Version.Channel", newest(channel.Text("Id"))))
	for _, ch := range channels {
		can.set(version.Variables("Octopus.Version.Channel["+ch.Text("Name")+"]", newest(ch.Text("Id"))))
	}
	can.set(map[string]string{"Octopus.Release.Channel.Name": channel.Text("Name"), "Octopus.Project.Name": owner.Text("Name")})
	can.set(clock(r.Service.Now()))
	return can, nil
}

func clock(now time.Time) map[string]string {
	all := map[string]string{}
	for name, n := range map[string]int{"Octopus.Date.Day": now.Day(), "Octopus.Date.Month": int(now.Month()), "Octopus.Date.Year": now.Year(), "Octopus.Date.DayOfYear": now.YearDay(),
		"Octopus.Time.Hour": now.Hour(), "Octopus.Time.Minute": now.Minute(), "Octopus.Time.Second": now.Second()} {
		all[name] = strconv.Itoa(n)
	}
	return all
}

// Settled applies a mask in a version (1.2.i) to the project's releases; a version without one stays as it is.
func Settled(r part.Reader, project, text string) (string, error) {
	core, _, _ := strings.Cut(text, "-")
	masked := slices.ContainsFunc(strings.Split(core, "."), func(s string) bool { return s == "i" || s == "c" })
	if !masked && !strings.HasSuffix(text, ".i") {
		return text, nil
	}
	releases, err := r.List(document.Query{Kind: "Releases", Owner: project, Order: document.NewestFirst, Take: remembered})
	if err != nil {
		return "", err
	}
	var known []version.Version
	for _, o := range releases {
		if v, ok := version.Release.Parse(o.Text("Version")); ok {
			known = append(known, v)
		}
	}
	return version.Next(text, known), nil
}

// TemplateOf says what a release of the process needs: ReleaseTemplateResource.
func TemplateOf(c *collection.Call, id string) (any, error) {
	process, err := c.Find("DeploymentProcesses", id)
	if err != nil {
		return nil, err
	}
	r := part.Outside(c, process.Space)
	owner, _, err := r.Get("Projects", process.Project)
	if err != nil {
		return nil, err
	}
	channel, err := ChannelOf(r, process.Project, strings.Join(collection.Split(c.Query, "channel"), ""))
	if err != nil {
		return nil, err
	}
	newest, err := r.List(document.Query{Kind: "Releases", Owner: process.Project, Order: document.NewestFirst, Take: 1})
	if err != nil {
		return nil, err
	}
	var last octopus.Object
	if len(newest) > 0 {
		last = newest[0]
	}
	packages, err := packageReferences(r, process.Object(), last)
	if err != nil {
		return nil, err
	}
	var next, step, reference any
	if donor, ok := Donor(owner, process.Object()); ok {
		step, reference = donor.Action, donor.Reference
	} else if next, err = NextVersion(r, owner, channel); err != nil {
		return nil, err
	}
	return map[string]any{"DeploymentProcessId": process.ID, "LastReleaseVersion": part.OrNull(last.Text("Version")), "NextVersionIncrement": next, "VersioningPackageStepName": step,
		"VersioningPackageReferenceName": reference, "Packages": packages, "Links": map[string]string{"Self": collection.Base(process.Space) + "/deploymentprocesses/" + process.ID + "/template"}}, nil
}

// ChannelOf finds a channel of a project by id, name or slug; "" is its default one.
func ChannelOf(r part.Reader, project, key string) (octopus.Object, error) {
	channels, err := r.List(document.Query{Kind: "Channels", Owner: project})
	if err != nil {
		return octopus.Object{}, err
	}
	for _, ch := range channels {
		if key == "" && ch.Bool("IsDefault") || key != "" && (ch.Text("Id") == key || strings.EqualFold(ch.Text("Name"), key) || strings.EqualFold(ch.Text("Slug"), key)) {
			return ch, nil
		}
	}
	if key == "" && len(channels) > 0 {
		return channels[0], nil
	}
	return octopus.Object{}, problem.Invalid("The channel '" + key + "' is not one of the project's.")
}
