package reach

import (
	"cmp"
	"io"
	"strconv"
	"strings"

	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/queue"
)

// Output writes what a script says into a node of the task's log, and follows the messages that change of what category
// lines are (docs: deployments/custom-scripts/logging-messages-in-scripts). It is a [script.Output].
type Output struct {
	Task *queue.Task
	Log  *activity.Log
	// Told gets each other message, and may be nil.
	Told func(name string, parameters map[string]string)

	Warnings, Errors []string // what was said of these categories, at most a hundred lines each
	Failure          string   // what fail_step said

	out, err activity.Category // "" is the default, "ignore" drops
}

const ignored activity.Category = "ignore"

var categories = map[string]activity.Category{"verbose": activity.Verbose, "highlight": activity.Highlight, "wait": activity.Wait, "warning": activity.Warning,
	"error": activity.Error, "progress": activity.Verbose, "ignore": ignored, "ignored": ignored, "default": ""}

// Line writes a line.
func (o *Output) Line(stderr bool, text string) {
	category := cmp.Or(o.out, activity.Info)
	if stderr {
		category = cmp.Or(o.err, activity.Error)
	}
	switch category {
	case ignored:
		return
	case activity.Warning:
		keep(&o.Warnings, text)
	case activity.Error:
		keep(&o.Errors, text)
	}
	o.Log.Write(category, text)
}

func keep(list *[]string, text string) {
	if len(*list) < 100 {
		*list = append(*list, text)
	}
}

// Message heeds what is about the log, and passes on the rest.
func (o *Output) Message(name string, parameters map[string]string) {
	stream, kind, _ := strings.Cut(name, "-")
	category, known := categories[kind]
	switch {
	case stream == "stdout" && known:
		o.out = category
	case stream == "stderr" && known:
		o.err = category
	case name == "progress":
		if percent, err := strconv.Atoi(parameters["percentage"]); err == nil {
			o.Log.Progress(min(max(percent, 0), 100), parameters["message"])
		}
	case name == "mask":
		o.Task.Recorder.Mask(parameters["value"])
	case name == "setVariable" && strings.EqualFold(parameters["sensitive"], "true"):
		o.Task.Recorder.Mask(parameters["value"])
	case name == "resultMessage":
		o.Failure = parameters["message"]
	}
	if o.Told != nil {
		o.Told(name, parameters)
	}
}

// Artifact keeps nothing: there is no deployment that artifacts could belong to.
func (o *Output) Artifact(name string, _ io.Reader) error {
	o.Log.Write(activity.Warning, "The artifact '"+name+"' is not kept: only deployments and runbook runs have artifacts.")
	return nil
}
