package project

import (
	"slices"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

// place is where a variable's value holds. What it is bound to beside environments and tenants narrows it within these, and
// opens it to nobody: a value for one machine is one without environments to Octopus too.
func place(space, owner string, variable octopus.Object) permission.Target {
	t := permission.Target{Space: space}
	if strings.HasPrefix(owner, "Projects-") {
		t.Project = owner
	}
	for name := range variable.Object("Scope").All() {
		switch ids := variable.Object("Scope").Texts(name); {
		case strings.EqualFold(name, "Environment"):
			t.Environments = ids
		case strings.EqualFold(name, "Tenant"):
			t.Tenants = ids
		}
	}
	return t
}

// shownVariables are those of a set that someone may see.
func shownVariables(set *permission.Set, space, owner string, o octopus.Object) []octopus.Object {
	return slices.DeleteFunc(o.Objects("Variables"), func(v octopus.Object) bool {
		return !set.Reaches("VariableView", "VariableViewUnscoped", place(space, owner, v))
	})
}

// permitVariables lets people change the values that hold where they may change them, and only those. What they cannot see
// they did not send and did not mean to delete: it stays.
func permitVariables(c *collection.Change) error {
	owner := c.Old.Text("OwnerId")
	edits := func(v octopus.Object) error {
		if c.Principal.Set.Reaches("VariableEdit", "VariableEditUnscoped", place(c.Space, owner, v)) {
			return nil
		}
		return problem.Denied("VariableEditUnscoped")
	}
	sent, before := c.New.Objects("Variables"), c.Old.Objects("Variables")
	shown := shownVariables(c.Principal.Set, c.Space, owner, c.Old)
	at := func(list []octopus.Object, id string) int {
		return slices.IndexFunc(list, func(v octopus.Object) bool { return v.Text("Id") == id })
	}
	for _, v := range sent {
		if i := at(before, v.Text("Id")); i >= 0 {
			if same(before[i], v) {
				continue
			}
			if err := edits(before[i]); err != nil {
				return err
			}
		}
		if err := edits(v); err != nil {
			return err
		}
	}
	for _, v := range before {
		if at(sent, v.Text("Id")) >= 0 {
			continue
		}
		if at(shown, v.Text("Id")) < 0 {
			sent = append(sent, v)
		} else if err := edits(v); err != nil {
			return err
		}
	}
	c.New.Set("Variables", sent)
	return nil
}

// same tells whether two texts of a variable say the same.
func same(a, b octopus.Object) bool {
	one, err := a.MarshalJSON()
	if err != nil {
		return false
	}
	other, err := b.MarshalJSON()
	return err == nil && string(one) == string(other)
}
