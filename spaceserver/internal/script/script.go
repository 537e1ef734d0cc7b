// Package script runs scripts where they belong: on this server in a sandbox, or on a target by SSH. It gives them their
// variables, takes service messages (##octopus[...]) out of what they print, and kills all that they started when they end
// or must end (docs: deployments/custom-scripts).
package script

import (
	"context"
	"io"
	"strconv"
)

// The languages that scripts are written in.
const (
	Bash       Syntax = "Bash"
	PowerShell Syntax = "PowerShell"
	Python     Syntax = "Python"
)

// Syntax is the language of a script: "Bash", "PowerShell" or "Python", as Octopus.Action.Script.Syntax says.
type Syntax string

// Work is one script to run, with what it needs.
type Work struct {
	Syntax     Syntax
	Body       string
	Arguments  string // Octopus.Action.Script.ScriptParameters
	Variables  map[string]string
	Sensitive  []string          // names of the variables whose values are secret
	Modules    map[string]string // script modules by name
	Files      []File            // laid into the working folder before the start
	Folder     string            // of this piece of work below the place's root: "ServerTasks-1/step-1"; made, and removed unless Keep
	WorkingDir string            // where the script runs when that is not Folder: an extracted package
	Keep       bool              // leaves Folder for a later run; script and variables are removed all the same
	Reads      []string          // files and folders below the place's root, beside its own, that a sandboxed script may use; absolute or relative
}

// File is content that goes along with a script.
type File struct {
	Name string // relative, with slashes
	Mode uint32
	Open func() (io.ReadCloser, error)
}

// Output takes what a script says while it runs. Calls come one at a time.
type Output interface {
	// Line is a line of standard output or error, without its end, already without service messages. Overlong lines come in pieces.
	Line(stderr bool, text string)
	// Message is a service message with its decoded parameters: setVariable (name, value, sensitive), progress (percentage,
	// message), resultMessage (message: what fail_step said), mask (value), new-target and others. Messages that say of
	// what category the lines after them are (stdout-warning, stderr-progress, stdout-default, ...) come like any other, in
	// their place between the lines. createArtifact comes too; what it names is given to Artifact after the end.
	Message(name string, parameters map[string]string)
	// Artifact is a file that the script gave away (createArtifact): its name, and its content, to be read before the return.
	Artifact(name string, content io.Reader) error
}

// Place is somewhere that scripts run.
type Place interface {
	// Run runs a script to its end. A script that fails gives an [*ExitError]; one that was stopped, the context's cause.
	Run(ctx context.Context, w Work, out Output) error
	// Upload lays a file at a path of the place (absolute, or relative to the place's root) and returns its absolute path there.
	Upload(ctx context.Context, path string, mode uint32, content io.Reader) (string, error)
	// Check tells whether the place can run scripts, and writes what it found: the health check.
	Check(ctx context.Context, say func(text string)) error
	// Root is the absolute path of the place's root folder: ~/.octopus on SSH targets.
	Root(ctx context.Context) (string, error)
	// Close gives back connections.
	Close() error
}

// ExitError says that a script ended with another code than 0.
type ExitError struct{ Code int }

// Error is the sentence that Octopus shows people, and that they search for.
func (e *ExitError) Error() string {
	return "The remote script failed with exit code " + strconv.Itoa(e.Code)
}
