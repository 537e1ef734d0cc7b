package steptemplate

import (
	"slices"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/document"
)

// packages works out which packages a step has with a version of its template: the template's, with the choice of package and
// feed that a deferred one leaves to the step, and those that the step added itself. It returns the names of those that the
// template had and has no more.
func (u *update) packages(action, from octopus.Object) (next []octopus.Object, removed []string) {
	named := func(list []octopus.Object, name string) (octopus.Object, bool) {
		i := slices.IndexFunc(list, func(p octopus.Object) bool { return strings.EqualFold(p.Text("Name"), name) })
		if i < 0 {
			return octopus.Object{}, false
		}
		return list[i], true
	}
	mine, was, to := action.Objects("Packages"), from.Objects("Packages"), u.to.Objects("Packages")
	next = []octopus.Object{}
	for _, p := range to {
		if own, ok := named(mine, p.Text("Name")); ok {
			for _, member := range []string{"Id", "PackageId", "FeedId"} {
				if value, has := own.Get(member); has && (member == "Id" || p.Object("Properties").Text("SelectionMode") == "deferred") {
					p.Set(member, value)
				}
			}
		}
		next = append(next, p)
	}
	for _, p := range mine {
		name := p.Text("Name")
		if _, ok := named(to, name); ok {
			continue
		}
		if _, ok := named(was, name); ok {
			removed = append(removed, name)
			continue
		}
		next = append(next, p)
	}
	return next, removed
}

// used tells who names packages of a step that would be gone: rules of channels, and what makes the project's versions and
// releases (ActionUpdateRemovedPackageUsage in the Swagger document).
func (u *update) used(project, action string, removed []string) ([]any, error) {
	usages := []any{}
	if len(removed) == 0 || project == "" {
		return usages, nil
	}
	add := func(reference octopus.Object, by, id, name string) {
		if strings.EqualFold(reference.Text("DeploymentAction"), action) && slices.ContainsFunc(removed, func(r string) bool { return strings.EqualFold(r, reference.Text("PackageReference")) }) {
			usages = append(usages, map[string]any{"PackageReference": reference.Text("PackageReference"), "UsedBy": by, "UsedById": id, "UsedByName": name})
		}
	}
	store := u.call.Service.Store
	row, err := store.Get(u.call.Context, store.DB.Read(), "Projects", project, u.call.Space)
	if err != nil {
		return nil, err
	}
	o, err := octopus.ParseObject(row.Body)
	if err != nil {
		return nil, err
	}
	add(o.Object("VersioningStrategy").Object("DonorPackage"), "ProjectVersionStrategy", row.ID, o.Text("Name"))
	add(o.Object("ReleaseCreationStrategy").Object("ReleaseCreationPackage"), "ProjectReleaseCreationStrategy", row.ID, o.Text("Name"))
	channels, _, err := store.List(u.call.Context, store.DB.Read(), document.Query{Kind: "Channels", Owner: project})
	for _, row := range channels {
		o, err := octopus.ParseObject(row.Body)
		if err != nil {
			return nil, err
		}
		for _, rule := range o.Objects("Rules") {
			for _, reference := range rule.Objects("ActionPackages") {
				add(reference, "ChannelRule", row.ID, o.Text("Name"))
			}
		}
	}
	return usages, err
}
