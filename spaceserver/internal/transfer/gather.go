package transfer

import (
	"context"
	"errors"
	"slices"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/transfer/bundle"
)

// shared are the kinds that projects name and others may too, in the order in which they can be made.
var shared = []string{"TagSets", "Environments", "ParentEnvironments", "Lifecycles", "ProjectGroups", "Teams", "WorkerPools", "Feeds", "GitCredentials", "ActionTemplates", "Tenants", "Accounts", "Certificates", "LibraryVariableSets"}

// carried are all kinds that go along.
func carried() []string {
	return append([]string{"Projects", "Channels", "Runbooks", "DeploymentProcesses", "RunbookProcesses", "VariableSets", "TenantVariables", "ActionTemplateVersions"}, shared...)
}

// left are the members that belong to where a document was, by kind; "" for all.
var left = map[string][]string{
	"":                    {"Id", "SpaceId", "Links", "LastModifiedOn", "LastModifiedBy"},
	"Projects":            {"VariableSetId", "DeploymentProcessId", "ClonedFromProjectId", "LastSnapshotId"},
	"Runbooks":            {"RunbookProcessId", "PublishedRunbookSnapshotId"},
	"Tenants":             {"ClonedFromTenantId"},
	"Certificates":        {"ReplacedBy"},
	"Environments":        {"SortOrder"},
	"TagSets":             {"SortOrder"},
	"WorkerPools":         {"SortOrder", "IsDefault", "WorkerType"},
	"Teams":               {"MemberUserIds", "ExternalSecurityGroups", "CanBeDeleted", "CanBeRenamed", "CanChangeRoles", "CanChangeMembers"},
	"DeploymentProcesses": {"Version", "LastSnapshotId", "ProjectId"}, "RunbookProcesses": {"Version", "LastSnapshotId", "ProjectId", "RunbookId"},
	"VariableSets": {"Version", "ScopeValues", "OwnerId"}, "LibraryVariableSets": {"VariableSetId"}, "ActionTemplateVersions": {"$owner"},
}

// gathering follows from projects to everything that goes along.
type gathering struct {
	context context.Context
	service *collection.Service
	space   string
	found   map[string]*bundle.Item // kind/id
	order   []*bundle.Item
	tenants []string
	tags    map[string]string // canonical name -> id of its set
	warn    func(sentence string)
}

func (t *Transfers) gather(ctx context.Context, space string, projects []string, warn func(string)) (*bundle.Bundle, error) {
	if err := t.service.Ready(); err != nil {
		return nil, err
	}
	g := &gathering{context: ctx, service: t.service, space: space, found: map[string]*bundle.Item{}, tags: map[string]string{}, warn: warn}
	if err := g.readTags(); err != nil {
		return nil, err
	}
	b := &bundle.Bundle{Manifest: bundle.Manifest{ServerVersion: t.version, Exported: t.service.Now(), Projects: []string{}}}
	for _, s := range t.service.Directory().Spaces {
		if s.ID == space {
			b.Space = s.Name
		}
	}
	for _, id := range projects {
		if ok, err := g.project(id); err != nil || !ok {
			return nil, errors.Join(err, problem.NotFound("Project", id))
		}
	}
	// Tenants last: which of their connections go along depends on the projects that were found.
	for n := 0; n < len(g.tenants); n++ {
		if err := g.tenant(g.tenants[n]); err != nil {
			return nil, err
		}
	}
	if err := g.templateVersions(); err != nil {
		return nil, err
	}
	if len(g.order) > bundle.MostItems {
		return nil, problem.Invalid("The projects hang together with more documents than one export can hold: export fewer of them.")
	}
	for _, i := range g.order {
		if i.Kind == "Projects" {
			b.Projects = append(b.Projects, i.Name())
		}
	}
	b.Items = g.order
	return b, nil
}

func (g *gathering) rows(q document.Query) ([]document.Row, error) {
	q.Spaces = []string{g.space}
	rows, _, err := g.service.Store.List(g.context, g.service.Store.DB.Read(), q)
	return rows, err
}

func (g *gathering) readTags() error {
	rows, err := g.rows(document.Query{Kind: "TagSets"})
	for _, row := range rows {
		o, err := octopus.ParseObject(row.Body)
		if err != nil {
			return err
		}
		for _, tag := range o.Objects("Tags") {
			g.tags[strings.ToLower(tag.Text("CanonicalTagName"))] = row.ID
		}
	}
	return err
}

// take reads a document, without what belongs to its place, and tells whether it is there and new.
func (g *gathering) take(kind, id string) (*bundle.Item, error) {
	if g.found[kind+"/"+id] != nil {
		return nil, nil
	}
	store := g.service.Store
	row, err := store.Get(g.context, store.DB.Read(), kind, id, g.space)
	if kind == "Teams" && errors.Is(err, document.ErrNone) {
		row, err = store.Get(g.context, store.DB.Read(), kind, id, "")
	}
	if errors.Is(err, document.ErrNone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	i := &bundle.Item{Kind: kind, ID: row.ID}
	if i.Body, err = octopus.ParseObject(row.Body); err != nil {
		return nil, err
	}
	for _, member := range slices.Concat(left[""], left[kind]) {
		i.Body.Delete(member)
	}
	if i.Secrets, err = g.service.Secrets(g.context, kind, row.ID, row.Space); err != nil {
		return nil, err
	}
	g.found[kind+"/"+row.ID] = i
	g.order = append(g.order, i)
	return i, nil
}

// add takes a document and everything that it names.
func (g *gathering) add(kind, id string) error {
	i, err := g.take(kind, id)
	if err != nil || i == nil {
		return err
	}
	switch kind {
	case "Lifecycles":
		if strings.EqualFold(i.Name(), "Default Lifecycle") {
			i.Body.Set("Phases", []any{})
		}
	case "LibraryVariableSets":
		if err := g.add("VariableSets", "variableset-"+id); err != nil {
			return err
		}
	case "VariableSets":
		g.leaveTargets(i)
	}
	return g.follow(i)
}

// leaveTargets leaves out the values that are for targets, which do not go along.
func (g *gathering) leaveTargets(i *bundle.Item) {
	kept := []octopus.Object{}
	for _, v := range i.Body.Objects("Variables") {
		if len(v.Object("Scope").Texts("Machine")) > 0 {
			g.warn("A value of the variable '" + v.Text("Name") + "' is left out: it is scoped to deployment targets, which are not exported.")
			continue
		}
		kept = append(kept, v)
	}
	i.Body.Set("Variables", kept)
}

func (g *gathering) follow(i *bundle.Item) error {
	var ids []string
	if err := bundle.Texts(i.Body, func(text string) { ids = append(ids, text) }); err != nil {
		return err
	}
	for _, id := range ids {
		if set := g.tags[strings.ToLower(id)]; set != "" {
			if err := g.add("TagSets", set); err != nil {
				return err
			}
			continue
		}
		prefix, _, ok := strings.Cut(id, "-")
		if !ok || len(id) > 200 {
			continue
		}
		if strings.EqualFold(prefix, "Projects") {
			if _, err := g.project(id); err != nil {
				return err
			}
			continue
		}
		for _, kind := range shared {
			switch {
			case !strings.EqualFold(prefix, kind):
			case kind == "Tenants":
				g.connect(id)
			default:
				if err := g.add(kind, id); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (g *gathering) connect(tenant string) {
	if !slices.Contains(g.tenants, tenant) {
		g.tenants = append(g.tenants, tenant)
	}
}

// project takes a project with all that is its own, and tells whether there is one.
func (g *gathering) project(id string) (bool, error) {
	if g.found["Projects/"+id] != nil {
		return true, nil
	}
	i, err := g.take("Projects", id)
	if err != nil || i == nil {
		return false, err
	}
	for _, its := range []struct{ kind, id string }{{"VariableSets", "variableset-" + id}, {"DeploymentProcesses", "deploymentprocess-" + id}} {
		if err := g.add(its.kind, its.id); err != nil {
			return false, err
		}
	}
	for _, kind := range []string{"Channels", "Runbooks"} {
		rows, err := g.rows(document.Query{Kind: kind, Owner: id, Order: document.OldestFirst})
		if err != nil {
			return false, err
		}
		for _, row := range rows {
			if err := g.add(kind, row.ID); err != nil {
				return false, err
			}
			if kind == "Runbooks" {
				if err := g.add("RunbookProcesses", "RunbookProcess-"+row.ID); err != nil {
					return false, err
				}
			}
		}
	}
	rows, err := g.rows(document.Query{Kind: "Tenants", Contains: `"` + id + `"`})
	if err != nil {
		return false, err
	}
	for _, row := range rows {
		g.connect(row.ID)
	}
	return true, g.follow(i)
}

// tenant takes a tenant with its connections to the projects of the export and its values for them.
func (g *gathering) tenant(id string) error {
	i, err := g.take("Tenants", id)
	if err != nil || i == nil {
		return err
	}
	connected := i.Body.Object("ProjectEnvironments")
	for project := range connected.Clone().All() {
		if g.found["Projects/"+project] == nil {
			connected.Delete(project)
		}
	}
	i.Body.Set("ProjectEnvironments", connected)
	if err := g.follow(i); err != nil {
		return err
	}
	values, err := g.take("TenantVariables", "tenantvariables-"+id)
	if err != nil || values == nil {
		return err
	}
	for member, owner := range tenantValues {
		kind := "Projects"
		if member == "Common" {
			kind = "LibraryVariableSets"
		}
		kept := slices.DeleteFunc(values.Body.Objects(member), func(v octopus.Object) bool { return g.found[kind+"/"+v.Text(owner)] == nil })
		values.Body.Set(member, append([]octopus.Object{}, kept...))
	}
	return g.follow(values)
}

// tenantValues are the members of a tenant's values with what each value belongs to.
var tenantValues = map[string]string{"Project": "ProjectId", "Common": "LibraryVariableSetId"}

// templateVersions takes the versions of step templates that steps were made from.
func (g *gathering) templateVersions() error {
	for _, i := range slices.Clone(g.order) {
		if i.Kind != "DeploymentProcesses" && i.Kind != "RunbookProcesses" {
			continue
		}
		for _, step := range i.Body.Objects("Steps") {
			for _, action := range step.Objects("Actions") {
				properties := action.Object("Properties")
				if id, number := properties.Text("Octopus.Action.Template.Id"), properties.Text("Octopus.Action.Template.Version"); id != "" && number != "" {
					if err := g.add("ActionTemplateVersions", id+"-v"+number); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}
