package step

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/execution/run"
	"odcm/spaceserver/internal/script"
)

// output takes what a script says: lines for the log, and service messages (docs: deployments/custom-scripts/
// logging-messages-in-scripts).
type output struct {
	ctx    context.Context
	worker *Worker
	piece  *run.Piece

	level, errors activity.Category // of lines; "" is the usual one, [silent] none
	said          string            // what fail_step said
	complained    bool              // something went to standard error
	skipRest      bool              // no further conventions of a package step
	lost          error             // an artifact was not kept
}

// silent is the category of lines that are not shown.
const silent activity.Category = "Silent"

// levels are what lines can be told to be.
var levels = map[string]activity.Category{"default": "", "verbose": activity.Verbose, "highlight": activity.Highlight, "wait": activity.Wait,
	"warning": activity.Warning, "error": activity.Error, "ignore": silent, "progress": activity.Verbose}

// Line writes to the log.
func (o *output) Line(stderr bool, text string) {
	category := o.level
	if stderr {
		if category = o.errors; category == "" {
			category, o.complained = activity.Error, true
		}
	} else if category == "" {
		category = activity.Info
	}
	if category == activity.Warning || category == activity.Error {
		o.piece.Warn()
	}
	if category != silent {
		o.piece.Log.Write(category, text)
	}
}

// Message does what a script asks for.
func (o *output) Message(name string, parameters map[string]string) {
	switch {
	case strings.HasPrefix(name, "stdout-"):
		o.level = levels[strings.TrimPrefix(name, "stdout-")]
	case strings.HasPrefix(name, "stderr-"):
		o.errors = levels[strings.TrimPrefix(name, "stderr-")]
	case name == "setVariable":
		o.piece.Output(parameters["name"], parameters["value"], strings.EqualFold(parameters["sensitive"], "true"))
		if strings.EqualFold(parameters["name"], "Octopus.Action.SkipRemainingConventions") {
			o.skipRest = strings.EqualFold(parameters["value"], "true")
		}
	case name == "progress":
		if percent, err := strconv.Atoi(parameters["percentage"]); err == nil {
			o.piece.Log.Progress(min(max(percent, 0), 100), parameters["message"])
		}
	case name == "resultMessage":
		o.said = parameters["message"]
	case name == "mask":
		o.worker.Mask(parameters["value"])
	case name == "createArtifact":
	default:
		o.piece.Warn()
		o.piece.Log.Write(activity.Warning, "The script asked for '"+name+"', which this Space server does not do.")
	}
}

// Artifact keeps a file. One that could not be kept fails the step: who looks for it later would not know that it was lost.
func (o *output) Artifact(name string, content io.Reader) error {
	err := o.worker.Keep(o.ctx, o.piece, name, content)
	if err != nil && o.lost == nil {
		o.lost = fmt.Errorf("the artifact '%s' was not kept: %w", name, err)
	}
	return err
}

// errorOf is why a script failed: in its own words where it has said some.
func (o *output) errorOf(err error) error {
	if err != nil && o.said != "" {
		return said{o.said, err}
	}
	return err
}

// said is a failure in the script's own words.
type said struct {
	text  string
	cause error
}

func (s said) Error() string { return s.text }
func (s said) Unwrap() error { return s.cause }

// quiet takes what the server's own scripts say: it is for the server, and their errors tell why they failed.
type quiet struct {
	lines    []string
	errors   []string
	artifact func(content io.Reader) error
}

func (q *quiet) Line(stderr bool, text string) {
	const many = 10_000
	switch {
	case stderr && len(q.errors) < 20:
		q.errors = append(q.errors, text)
	case !stderr && len(q.lines) < many:
		q.lines = append(q.lines, text)
	}
}

func (q *quiet) Message(string, map[string]string) {}

func (q *quiet) Artifact(_ string, content io.Reader) error {
	if q.artifact == nil {
		return nil
	}
	return q.artifact(content)
}

var (
	_ script.Output = (*output)(nil)
	_ script.Output = (*quiet)(nil)
)
