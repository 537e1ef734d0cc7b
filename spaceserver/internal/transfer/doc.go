// Package transfer exports projects with what they need as one file, and imports such files into another space or another
// server (docs: projects/export-import).
//
// # What is in it
//
// The projects that are asked for and those that their steps deploy, with processes, runbooks, variables and channels; and
// whatever these name: lifecycles, environments, library sets, step templates in the versions that are used, accounts,
// certificates, feeds, Git credentials, tag sets, project groups, tenants that are connected, with their values; worker pools
// and teams by name only. Not in it: packages, targets, workers, releases and runs, triggers, events, users, logos. A value
// that is scoped to a target is left out: without its scope it would apply everywhere. The phases of the default lifecycle
// are left out, as Octopus does.
//
// An import makes what is not there and changes little that is: shared documents are found by name and used as they are,
// but that library sets get the variables and tag sets the tags that they lack, step templates newer versions, and tenants
// their connections and values. A project whose name is taken is left alone. All of it is one transaction.
//
// # Who may
//
// Who exports must be allowed to see all that goes along, and to edit what holds secrets: a password of one's own would
// otherwise open them elsewhere. Who imports must be allowed to create what is made.
package transfer
