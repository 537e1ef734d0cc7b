package task

import (
	"fmt"
	"io"
	"strings"

	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/problem"
)

// over is how nodes ended that nobody closed, by the state of their task.
func over(state string) activity.Status {
	switch state {
	case "Success":
		return activity.Success
	case "Canceled":
		return activity.Canceled
	case "Failed", "TimedOut":
		return activity.Failed
	}
	return ""
}

// logged finds the task of the route, whose log the caller may read, and reads its log.
func (r *rules) logged(c *collection.Call, reading activity.Reading) (collection.Document, []*activity.Node, error) {
	d, err := c.Find("ServerTasks", c.Param("id"))
	if err != nil {
		return d, nil, err
	}
	if t := target(d); !c.Principal.Set.Sees("TaskViewLog", t) && !c.Principal.Set.Sees("TaskView", t) {
		return d, nil, problem.Denied("TaskViewLog")
	}
	o := d.Object()
	reading.Over = over(o.Text("State"))
	top, err := r.Queue.Logs().Tree(c.Context, d.ID, reading)
	if err == nil && len(top) == 0 { // clients read the first node
		status := reading.Over
		if status == "" {
			status = activity.Pending
		}
		top = append(top, &activity.Node{ID: d.ID + "_", Name: o.Text("Description"), Status: status, ShowAtSummaryLevel: true, LogElements: []activity.Line{}, Children: []*activity.Node{}})
	}
	return d, top, err
}

// details is the task with its log as a tree (TaskDetailsResource in the Swagger document). verbose=false leaves verbose
// lines out, tail keeps so many lines of each node.
func (r *rules) details(c *collection.Call) (any, error) {
	d, top, err := r.logged(c, activity.Reading{Verbose: !strings.EqualFold(c.Query.Get("verbose"), "false"), Tail: number(c, "tail")})
	if err != nil {
		return nil, err
	}
	size, err := r.Queue.Logs().Size(c.Context, d.ID)
	percent := 100
	if !d.Object().Bool("IsCompleted") {
		percent = progress(top)
	}
	return map[string]any{"Id": "ServerTaskDetails-" + d.ID, "Task": d, "ActivityLogs": part.Some(top), "PhysicalLogSize": size,
		"Progress": map[string]any{"ProgressPercentage": percent, "EstimatedTimeRemaining": ""}, "Links": map[string]string{"Self": "/api/tasks/" + d.ID + "/details"}}, err
}

// progress is how far a task is: what its work says, or else the mean of the steps that it has begun.
func progress(top []*activity.Node) int {
	if len(top) == 0 {
		return 0
	}
	if root := top[0]; root.ProgressPercentage > 0 || len(root.Children) == 0 {
		return root.ProgressPercentage
	}
	sum := 0
	for _, n := range top[0].Children {
		sum += n.ProgressPercentage
	}
	return sum / len(top[0].Children)
}

// raw is the log as text.
func (r *rules) raw(c *collection.Call) (any, error) {
	d, top, err := r.logged(c, activity.Reading{Verbose: true})
	if err != nil {
		return nil, err
	}
	o := d.Object()
	reader, writer := io.Pipe()
	go func() { // ends with the answer: whoever writes it closes the reader
		_, err := fmt.Fprintf(writer, "Task ID:        %s\nRelated IDs:    %s\nTask status:    %s\nTask queued:    %s\nTask started:   %s\nTask completed: %s\nTask duration:  %s\nServer version: %s\nServer node:    %s\n",
			d.ID, strings.Join(related(o)[1:], ", "), o.Text("State"), o.Text("QueueTime"), o.Text("StartTime"), o.Text("CompletedTime"), o.Text("Duration"), r.Version, o.Text("ServerNode"))
		if err == nil {
			err = activity.WriteText(writer, top)
		}
		writer.CloseWithError(err)
	}()
	return collection.Content{Type: "text/plain; charset=utf-8", Body: reader}, nil
}
