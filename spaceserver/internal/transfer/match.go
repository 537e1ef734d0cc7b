package transfer

import (
	"context"
	"errors"
	"strings"

	"odcm/kit/db"
	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/transfer/bundle"
)

// match finds the document of the space that an item stands for: the one of its name, or the built-in feed. It returns "" where
// there is none.
func match(ctx context.Context, service *collection.Service, q db.Querier, space string, i *bundle.Item) (string, error) {
	query := document.Query{Kind: i.Kind, Spaces: []string{space}, Name: strings.ToLower(i.Name())}
	switch {
	case i.Kind == "Feeds" && i.Body.Text("FeedType") == "BuiltIn":
		query.Name, query.Contains = "", `"FeedType":"BuiltIn"`
	case i.Kind == "Teams":
		query.Spaces = append(query.Spaces, "")
	}
	if query.Name == "" && query.Contains == "" {
		return "", problem.Invalid("The file holds a document of the kind " + i.Kind + " without a name.")
	}
	rows, _, err := service.Store.List(ctx, q, query)
	if err != nil || len(rows) == 0 {
		return "", err
	}
	return rows[0].ID, nil
}

// plan is what an import will do.
type plan struct {
	makes, keeps []*bundle.Item
	projects     []*bundle.Item // those that are made
}

func (t *Transfers) plan(ctx context.Context, space string, b *bundle.Bundle) (p plan, err error) {
	if err := b.Check(carried()); err != nil {
		return p, err
	}
	for _, kind := range append([]string{"Projects"}, shared...) {
		for _, i := range b.Of(kind) {
			there, err := match(ctx, t.service, t.service.Store.DB.Read(), space, i)
			switch {
			case err != nil:
				return p, err
			case there != "":
				p.keeps = append(p.keeps, i)
			default:
				p.makes = append(p.makes, i)
				if kind == "Projects" {
					p.projects = append(p.projects, i)
				}
			}
		}
	}
	return p, nil
}

// needs refuses who may not make what the plan makes.
func (p plan) needs(service *collection.Service, who permission.Principal, space string) error {
	if len(p.projects) == 0 {
		return problem.Invalid("There is nothing to import: all projects of the file are in the space already. Projects that exist are not changed.")
	}
	for _, i := range p.makes {
		if name := service.Kind(i.Kind).Permission.Create; !who.Set.Holds(name, space) {
			return problem.Denied(string(name))
		}
	}
	// What a project is made of, and what shared documents get in addition.
	for _, name := range []permission.Name{"ProjectEdit", "ProcessEdit", "VariableEdit", "RunbookEdit"} {
		if !who.Set.Holds(name, space) {
			return problem.Denied(string(name))
		}
	}
	for _, i := range p.keeps {
		if i.Kind != "LibraryVariableSets" && i.Kind != "ActionTemplates" && i.Kind != "Tenants" && i.Kind != "TagSets" {
			continue
		}
		if name := service.Kind(i.Kind).Permission.Edit; !who.Set.Holds(name, space) {
			return problem.Denied(string(name))
		}
	}
	return nil
}

// allowed refuses to export what somebody may not see, and secrets of what he may not edit.
func allowed(b *bundle.Bundle, service *collection.Service, who permission.Principal, space string) error {
	for _, i := range b.Items {
		kind := service.Kind(i.Kind)
		target := permission.Target{Space: space}
		if project, ok := i.Project(b); ok {
			target.Project = project
		}
		names := []permission.Name{kind.Permission.View}
		if len(i.Secrets) > 0 {
			names = append(names, kind.Permission.Edit)
		}
		for _, name := range names {
			if !who.Set.Sees(name, target) {
				return problem.Denied(string(name))
			}
		}
	}
	return nil
}

// kept is a document of the space as it is now.
func kept(c *collection.Change, kind, id string) (octopus.Object, error) {
	o, ok, err := c.Get(kind, id)
	if err == nil && !ok {
		err = errors.New("there is no " + id)
	}
	return o, err
}
