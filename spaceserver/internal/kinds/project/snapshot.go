package project

import (
	"crypto/rand"
	"strconv"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/part"
)

// Snapshot freezes a process or variable set as it is now, once for each version of it, and puts the frozen one's id into
// the member. Its id ends in -s-<version>-XXXXX, as on an Octopus server.
func Snapshot(c *collection.Change, kind, id, member string) error {
	o, ok, err := c.Get(kind, id)
	if err != nil || !ok {
		return part.OrInvalid(err, "There is no '"+id+"' to take a snapshot of.")
	}
	prefix := id + "-s-" + strconv.Itoa(int(o.Int("Version"))) + "-"
	owner := o.Text(c.Service.Kind(kind).Owner)
	rows, err := c.List(document.Query{Kind: kind, Owner: owner})
	if err != nil {
		return err
	}
	for _, row := range rows {
		if strings.HasPrefix(row.ID, prefix) {
			c.New.Set(member, row.ID)
			return nil
		}
	}
	made, err := c.Copy(kind, id, prefix+rand.Text()[:5], func(o *octopus.Object) {})
	if err != nil {
		return err
	}
	c.New.Set(member, made.Text("Id"))
	return nil
}

// SnapshotVariables freezes the variables of a project, and those of the library sets that it includes.
func SnapshotVariables(c *collection.Change, project, member string) error {
	if err := Snapshot(c, "VariableSets", "variableset-"+project, member); err != nil {
		return err
	}
	o, _, err := c.Get("Projects", project)
	if err != nil {
		return err
	}
	frozen := []string{}
	for _, id := range o.Texts("IncludedLibraryVariableSetIds") {
		if err := Snapshot(c, "VariableSets", "variableset-"+id, "\x00frozen"); err != nil {
			return err
		}
		frozen = append(frozen, c.New.Text("\x00frozen"))
		c.New.Delete("\x00frozen")
	}
	c.New.Set("LibraryVariableSetSnapshotIds", frozen)
	return nil
}

// Changed tells whether the project's variables, and those of its library sets, changed since they were frozen for a release or a
// runbook's snapshot. The member of what is frozen names the project's set.
func Changed(r part.Reader, project, frozen octopus.Object, member string) (changed [2]bool, err error) {
	if frozen.Len() == 0 {
		return changed, nil
	}
	differs := func(owner, id string) (bool, error) {
		now, _, err := r.Get("VariableSets", "variableset-"+owner)
		if err != nil {
			return false, err
		}
		then, _, err := r.Get("VariableSets", id)
		return now.Int("Version") != then.Int("Version"), err
	}
	if changed[0], err = differs(project.Text("Id"), frozen.Text(member)); err != nil {
		return changed, err
	}
	library, snapshots := project.Texts("IncludedLibraryVariableSetIds"), frozen.Texts("LibraryVariableSetSnapshotIds")
	changed[1] = len(library) != len(snapshots)
	for i := 0; i < len(library) && !changed[1]; i++ {
		if changed[1], err = differs(library[i], snapshots[i]); err != nil {
			return changed, err
		}
	}
	return changed, nil
}
