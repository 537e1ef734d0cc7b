package bundle

import (
	"slices"
	"strings"

	"odcm/spaceserver/internal/problem"
)

// Check refuses files with documents of kinds that are never exported, or without an owner: the seal only says that somebody
// who knew the password wrote them.
func (b *Bundle) Check(kinds []string) error {
	ids := map[string]bool{}
	for _, i := range b.Items {
		if !slices.Contains(kinds, i.Kind) || i.ID == "" {
			return problem.Invalid("The file holds a document of the kind '" + i.Kind + "', which is not imported.")
		}
		ids[i.ID] = true
	}
	for _, i := range b.Items {
		if owner := i.Owner(); owner != "" && !ids[owner] {
			return problem.Invalid("The file holds the document " + i.ID + " without " + owner + ", to which it belongs.")
		}
	}
	return nil
}

// Owner is the id of the document that an item goes with, "" where it stands for itself.
func (i *Item) Owner() string {
	cut := func(prefix string) string { id, _ := strings.CutPrefix(i.ID, prefix); return id }
	switch i.Kind {
	case "Channels", "Runbooks":
		return i.Body.Text("ProjectId")
	case "DeploymentProcesses":
		return cut("deploymentprocess-")
	case "RunbookProcesses":
		return cut("RunbookProcess-")
	case "VariableSets":
		return cut("variableset-")
	case "TenantVariables":
		return cut("tenantvariables-")
	case "ActionTemplateVersions":
		return i.ID[:max(strings.LastIndex(i.ID, "-v"), 0)]
	}
	return ""
}

// Project is the project that an item is part of.
func (i *Item) Project(b *Bundle) (string, bool) {
	if i.Kind == "Projects" {
		return i.ID, true
	}
	owner := i.Owner()
	if strings.HasPrefix(owner, "Projects-") {
		return owner, true
	}
	for _, r := range b.Of("Runbooks") {
		if r.ID == owner && i.Kind == "RunbookProcesses" {
			return r.Body.Text("ProjectId"), true
		}
	}
	return "", false
}
