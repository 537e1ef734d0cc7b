package transfer

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/transfer/bundle"
)

// placing makes the documents of a bundle in a space, within one transaction.
type placing struct {
	*bundle.Bundle
	change *collection.Change
	ids    map[string]string // of the file -> of the space
	made   map[string]bool   // ids of the file whose document was made
	told   []string
}

// place makes what is not there yet, and returns what it did in sentences. It may run again.
func place(b *bundle.Bundle, c *collection.Change) ([]string, error) {
	p := &placing{Bundle: b, change: c, ids: map[string]string{}, made: map[string]bool{}}
	for _, step := range []func() error{p.shared, p.projects, p.contents, p.tenants} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return p.told, nil
}

// body is an item's body with the ids of the space and its secrets in place.
func (p *placing) body(i *bundle.Item, without ...string) (octopus.Object, error) {
	body := i.Body.Clone()
	for _, member := range without {
		body.Delete(member)
	}
	body, err := bundle.Rewrite(body, p.id)
	if err != nil || len(i.Secrets) == 0 {
		return body, err
	}
	secrets := map[string]string{}
	for path, plain := range i.Secrets {
		parts := strings.Split(path, "/")
		for n := range parts {
			parts[n] = p.id(parts[n])
		}
		secrets[strings.Join(parts, "/")] = plain
	}
	return body, bundle.Reveal(&body, secrets)
}

func (p *placing) id(text string) string {
	if id, ok := p.ids[text]; ok {
		return id
	}
	return text
}

// create makes the document of an item. A slug that is taken is made anew from the name.
func (p *placing) create(i *bundle.Item, without ...string) (string, error) {
	body, err := p.body(i, without...)
	if err != nil {
		return "", err
	}
	c, kind := p.change, p.change.Service.Kind(i.Kind)
	if slug := body.Text("Slug"); slug != "" {
		taken, err := c.Service.Store.SlugTaken(c.Context, c.Tx, document.Row{Kind: i.Kind, Space: c.Space, Owner: body.Text(kind.Owner)}, slug)
		if err != nil {
			return "", err
		}
		if taken {
			body.Delete("Slug")
		}
	}
	if kind.Scope == collection.InBoth {
		body.Set("SpaceId", c.Space)
	}
	made, err := c.Create(i.Kind, body)
	if err != nil {
		return "", p.wrong(i, err)
	}
	p.ids[i.ID], p.made[i.ID] = made.Text("Id"), true
	if i.Name() != "" {
		p.told = append(p.told, "The "+kind.Noun()+" '"+i.Name()+"' was made.")
	}
	return made.Text("Id"), nil
}

// wrong says which document was refused.
func (p *placing) wrong(i *bundle.Item, err error) error {
	var refused *problem.Error
	if !errors.As(err, &refused) {
		return err
	}
	return problem.Invalid("The "+p.change.Service.Kind(i.Kind).Noun()+" '"+cmp.Or(i.Name(), i.ID)+"' cannot be imported.", err.Error()).Because(err)
}

// edit changes the document of an item in the space.
func (p *placing) edit(i *bundle.Item, id string, f func(o *octopus.Object) error) error {
	if err := p.change.Edit(i.Kind, id, f); err != nil {
		return p.wrong(i, err)
	}
	return nil
}

func (p *placing) shared() error {
	c := p.change
	for _, kind := range shared {
		for _, i := range p.Of(kind) {
			there, err := match(c.Context, c.Service, c.Tx, c.Space, i)
			if err != nil {
				return err
			}
			if there != "" {
				p.ids[i.ID] = there
				p.told = append(p.told, "The "+c.Service.Kind(kind).Noun()+" '"+i.Name()+"' is there already and is used.")
			} else if there, err = p.first(i); err != nil {
				return err
			}
			if kind == "LibraryVariableSets" {
				p.ids["variableset-"+i.ID] = "variableset-" + there
			}
			if err := p.merge(i, there); err != nil {
				return err
			}
		}
	}
	return nil
}

// first makes a shared document that is not there.
func (p *placing) first(i *bundle.Item) (string, error) {
	switch i.Kind {
	case "Tenants": // connections come with the projects
		return p.create(i, "ProjectEnvironments")
	case "WorkerPools": // without workers; this server has none that come and go
		return p.create(i, "WorkerPoolType")
	case "ActionTemplates":
		return p.template(i)
	}
	return p.create(i)
}

// merge adds to a document that was there what the import needs of it.
func (p *placing) merge(i *bundle.Item, id string) error {
	if p.made[i.ID] {
		return nil
	}
	switch i.Kind {
	case "TagSets":
		return p.lacking(i, id, "Tags")
	case "LibraryVariableSets":
		return p.lacking(i, id, "Templates")
	case "ActionTemplates":
		_, err := p.template(i)
		return err
	}
	return nil
}

// lacking adds the elements of an array whose names are not there. Those that are stand for the file's.
func (p *placing) lacking(i *bundle.Item, id, member string) error {
	return p.edit(i, id, func(o *octopus.Object) error {
		have := o.Objects(member)
		for _, e := range i.Body.Objects(member) {
			at := slices.IndexFunc(have, func(h octopus.Object) bool { return strings.EqualFold(h.Text("Name"), e.Text("Name")) })
			if at >= 0 {
				p.ids[e.Text("Id")] = have[at].Text("Id")
				continue
			}
			have = append(have, e)
		}
		o.Set(member, have)
		return nil
	})
}

// template brings a step template to the versions that steps were made from, under the same numbers. Versions that are there
// stay; newer ones become the template.
func (p *placing) template(i *bundle.Item) (string, error) {
	versions := []*bundle.Item{i}
	for _, v := range p.Of("ActionTemplateVersions") {
		if v.Owner() == i.ID && v.Body.Int("Version") != i.Body.Int("Version") {
			versions = append(versions, v)
		}
	}
	slices.SortFunc(versions, func(a, b *bundle.Item) int { return cmp.Compare(a.Body.Int("Version"), b.Body.Int("Version")) })
	for _, v := range versions {
		as := &bundle.Item{Kind: i.Kind, ID: i.ID, Body: v.Body.Clone(), Secrets: v.Secrets}
		if community := as.Body.Text("CommunityActionTemplateId"); community != "" {
			if _, ok, err := p.change.In("").Get("CommunityActionTemplates", community); err != nil || !ok {
				as.Body.Set("CommunityActionTemplateId", nil)
			}
		}
		if err := p.templateVersion(as); err != nil {
			return "", err
		}
	}
	return p.ids[i.ID], nil
}

func (p *placing) templateVersion(v *bundle.Item) error {
	id, ok := p.ids[v.ID]
	if !ok {
		_, err := p.create(v)
		return err
	}
	number := v.Body.Int("Version")
	now, err := kept(p.change, v.Kind, id)
	if err != nil {
		return err
	}
	body, err := p.body(v)
	if err != nil {
		return err
	}
	if number > now.Int("Version") {
		body.Set("Name", now.Text("Name"))
		return p.edit(v, id, func(o *octopus.Object) error { return assign(o, body) })
	}
	own := id + "-v" + strconv.FormatInt(number, 10)
	if _, ok, err := p.change.Get("ActionTemplateVersions", own); err != nil || ok {
		return err
	}
	body.Set("Id", own)
	body.Set("$owner", id)
	_, err = p.change.Create("ActionTemplateVersions", body)
	return err
}

func assign(o *octopus.Object, from octopus.Object) error {
	for name, value := range from.All() {
		o.Set(name, value)
	}
	return nil
}

// projects makes projects whose names are free, with their channels and runbooks.
func (p *placing) projects() error {
	c := p.change
	for _, i := range p.Of("Projects") {
		there, err := match(c.Context, c.Service, c.Tx, c.Space, i)
		if err != nil {
			return err
		}
		if there != "" {
			p.ids[i.ID] = there
			p.told = append(p.told, "The project '"+i.Name()+"' is there already: it is not changed.")
			continue
		}
		id, err := p.create(i)
		if err != nil {
			return err
		}
		p.ids["variableset-"+i.ID], p.ids["deploymentprocess-"+i.ID] = "variableset-"+id, "deploymentprocess-"+id
	}
	for _, i := range p.Of("Projects") {
		if p.made[i.ID] {
			if err := p.parts(i); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *placing) parts(project *bundle.Item) error {
	channels := slices.DeleteFunc(p.Of("Channels"), func(i *bundle.Item) bool { return i.Owner() != project.ID })
	slices.SortStableFunc(channels, func(a, b *bundle.Item) int { return cmp.Compare(order(a), order(b)) })
	for _, i := range channels {
		if !i.Body.Bool("IsDefault") {
			if _, err := p.create(i); err != nil {
				return err
			}
			continue
		}
		if err := p.defaultChannel(i, p.ids[project.ID]); err != nil {
			return err
		}
	}
	for _, i := range p.Of("Runbooks") {
		if i.Owner() != project.ID {
			continue
		}
		id, err := p.create(i)
		if err != nil {
			return err
		}
		p.ids["RunbookProcess-"+i.ID] = "RunbookProcess-" + id
	}
	return nil
}

func order(channel *bundle.Item) int {
	if channel.Body.Bool("IsDefault") {
		return 0
	}
	return 1
}

// defaultChannel makes the channel that every new project has the one of the file.
func (p *placing) defaultChannel(i *bundle.Item, project string) error {
	rows, err := p.change.List(document.Query{Kind: "Channels", Owner: project, Take: 1})
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		_, err := p.create(i)
		return err
	}
	body, err := p.body(i)
	if err != nil {
		return err
	}
	p.ids[i.ID], p.made[i.ID] = rows[0].ID, true
	return p.edit(i, rows[0].ID, func(o *octopus.Object) error { return assign(o, body) })
}

// contents fills what was made, now that all ids are known.
func (p *placing) contents() error {
	for _, kind := range []string{"Projects", "DeploymentProcesses", "RunbookProcesses", "VariableSets"} {
		for _, i := range p.Of(kind) {
			owner := i.Owner()
			if kind == "Projects" {
				owner = i.ID
			}
			switch {
			case p.made[owner]:
				body, err := p.body(i)
				if err != nil {
					return err
				}
				if kind == "Projects" {
					body.Delete("Slug")
				}
				if err := p.edit(i, p.ids[i.ID], func(o *octopus.Object) error { return assign(o, body) }); err != nil {
					return err
				}
			case strings.HasPrefix(owner, "LibraryVariableSets-"):
				if err := p.variables(i); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// variables adds to a library set that was there the values that it lacks: those of other names or scopes.
func (p *placing) variables(i *bundle.Item) error {
	body, err := p.body(i)
	if err != nil {
		return err
	}
	return p.edit(i, p.ids[i.ID], func(o *octopus.Object) error {
		have := o.Objects("Variables")
		for _, v := range body.Objects("Variables") {
			if !slices.ContainsFunc(have, func(h octopus.Object) bool { return sameScope(h, v) }) {
				v.Delete("Id") // it may be taken by one of another name, where the set came from here
				have = append(have, v)
			}
		}
		o.Set("Variables", have)
		return nil
	})
}

func sameScope(a, b octopus.Object) bool {
	if !strings.EqualFold(a.Text("Name"), b.Text("Name")) {
		return false
	}
	x, y := a.Object("Scope"), b.Object("Scope")
	covers := func(x, y octopus.Object) bool {
		for name := range x.All() {
			p, q := x.Texts(name), y.Texts(name)
			slices.Sort(p)
			slices.Sort(q)
			if !slices.Equal(p, q) {
				return false
			}
		}
		return true
	}
	return covers(x, y) && covers(y, x)
}

// tenants connects tenants with the projects that were made, and gives them their values.
func (p *placing) tenants() error {
	for _, i := range p.Of("Tenants") {
		connected := octopus.Object{}
		for project, environments := range i.Body.Object("ProjectEnvironments").All() {
			if p.made[project] {
				connected.Set(project, environments)
			}
		}
		connected, err := bundle.Rewrite(connected, p.id)
		if err != nil {
			return err
		}
		err = p.edit(i, p.ids[i.ID], func(o *octopus.Object) error {
			now := o.Object("ProjectEnvironments")
			if err := assign(&now, connected); err != nil {
				return err
			}
			o.Set("ProjectEnvironments", now)
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, i := range p.Of("TenantVariables") {
		if err := p.values(i); err != nil {
			return err
		}
	}
	return nil
}

// values adds a tenant's values: those of projects that were made, and those of library sets that it has none of yet.
func (p *placing) values(i *bundle.Item) error {
	for member, owner := range tenantValues {
		if member == "Project" {
			i = &bundle.Item{Kind: i.Kind, ID: i.ID, Body: i.Body.Clone(), Secrets: i.Secrets}
			i.Body.Set(member, append([]octopus.Object{}, slices.DeleteFunc(i.Body.Objects(member), func(v octopus.Object) bool { return !p.made[v.Text(owner)] })...))
		}
	}
	body, err := p.body(i)
	if err != nil {
		return err
	}
	tenant := p.ids[i.Owner()]
	body.Set("TenantId", tenant)
	own := "tenantvariables-" + tenant
	if _, there, err := p.change.Get(i.Kind, own); err != nil {
		return err
	} else if !there {
		if _, err = p.change.Create(i.Kind, body); err != nil {
			return p.wrong(i, err)
		}
		return nil
	}
	return p.edit(i, own, func(o *octopus.Object) error {
		for member, owner := range tenantValues {
			have := o.Objects(member)
			for _, v := range body.Objects(member) {
				if !slices.ContainsFunc(have, func(h octopus.Object) bool {
					return h.Text(owner) == v.Text(owner) && h.Text("TemplateId") == v.Text("TemplateId") && sameTexts(h, v)
				}) {
					have = append(have, v)
				}
			}
			o.Set(member, have)
		}
		return nil
	})
}

func sameTexts(a, b octopus.Object) bool {
	x, y := a.Object("Scope").Texts("EnvironmentIds"), b.Object("Scope").Texts("EnvironmentIds")
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}
