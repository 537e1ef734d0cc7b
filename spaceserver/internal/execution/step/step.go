// Package step is what the steps of a process do: run scripts, deploy packages, ask people. Each gets one piece of work and
// a place to do it at; when and where is decided elsewhere.
package step

import (
	"context"
	"io"
	"path"
	"strings"

	"odcm/spaceserver/internal/execution/plan"
	"odcm/spaceserver/internal/execution/run"
	"odcm/spaceserver/internal/script"
)

// The types of steps.
const (
	Script  = "Octopus.Script"
	Package = "Octopus.TentaclePackage"
	Manual  = plan.Manual
)

// Knows tells whether there is a handler for a type of step.
func Knows(actionType string) bool {
	return actionType == Script || actionType == Package || actionType == Manual
}

// Worker does the pieces of one execution.
type Worker struct {
	// At opens the place that a piece runs at. It belongs to the execution, which closes it.
	At func(ctx context.Context, p *run.Piece) (script.Place, error)
	// Find finds a package on this server's disk, whole and unchanged.
	Find func(ctx context.Context, p *run.Piece, wanted plan.Package) (Found, error)
	// Keep keeps an artifact.
	Keep func(ctx context.Context, p *run.Piece, name string, content io.Reader) error
	// Mask hides a value that a script wants hidden from the log.
	Mask func(secrets ...string)
	// Modules are the script modules of the project by syntax and name.
	Modules map[script.Syntax]map[string]string
	// Folder names the execution's work below a place's root: the id of its task.
	Folder string
	// Dir is a folder on this server for packages while they are worked on.
	Dir string
	// Redeploy deploys packages also where they are installed already.
	Redeploy bool
	// Lock waits until nobody else holds the name.
	Lock func(ctx context.Context, name string) (release func(), err error)
	// Retain says how many earlier installations stay on a target.
	Retain Retention
}

// Found is a package on this server's disk.
type Found struct{ Path, ID, Version, Extension, Hash, Feed string }

// FileName is what the package's file is called.
func (f Found) FileName() string { return f.ID + "." + f.Version + f.Extension }

// Do does a piece of work.
func (w *Worker) Do(ctx context.Context, p *run.Piece) error {
	switch p.Job.Action.ActionType {
	case Manual:
		return w.ask(p)
	case Package:
		return w.deploy(ctx, p)
	case Script:
		return w.script(ctx, p)
	}
	return plan.Refusal("this Space server cannot run steps of the type '" + p.Job.Action.ActionType + "'")
}

// folder is where a piece of work lies below a place's root.
func (w *Worker) folder(p *run.Piece) string { return path.Join("Work", w.Folder, fileName(p.Key())) }

// text is the expanded value of a variable, "" where there is none.
func text(p *run.Piece, name string) (string, error) {
	value, _, err := p.Variables.Get(name)
	return value, err
}

// flag tells whether a variable is True.
func flag(p *run.Piece, name string, otherwise bool) bool {
	value, ok, err := p.Variables.Get(name)
	if !ok || err != nil || value == "" {
		return otherwise
	}
	return strings.EqualFold(value, "true")
}

// enabled tells whether a feature of a step is on (Octopus.Action.EnabledFeatures in OctopusDeploy/Calamari).
func enabled(p *run.Piece, feature string) bool {
	value, _, _ := p.Variables.Get("Octopus.Action.EnabledFeatures")
	for name := range strings.SplitSeq(value, ",") {
		if strings.EqualFold(strings.TrimSpace(name), feature) {
			return true
		}
	}
	return false
}

// fileName makes one name of a file of a text.
func fileName(text string) string {
	name := strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`/\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, strings.TrimSpace(text))
	if name = strings.Trim(name, "."); name == "" {
		return "_"
	}
	return name
}
