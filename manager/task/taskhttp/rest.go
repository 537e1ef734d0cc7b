package taskhttp

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"odcm"
	"odcm/api"
	"odcm/kit/task"
	"odcm/kit/web"
)

type answer[T any] struct{ Body T }

type byID struct {
	ID string `path:"id" maxLength:"100"`
}

type listInput struct {
	State   []string `query:"state" enum:"queued,running,canceling,succeeded,failed,canceled" doc:"Only tasks in one of these states"`
	Kind    []string `query:"kind" maxLength:"100" doc:"Only tasks of one of these kinds" example:"space.enlist"`
	Subject string   `query:"subject" maxLength:"100" doc:"Only tasks that work on this thing"`
	By      string   `query:"by" maxLength:"100" doc:"Only tasks that this user submitted"`
	Cursor  string   `query:"cursor" maxLength:"200" doc:"Next of the page before; absent for the first page"`
	Limit   int      `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"How many at most"`
}

type logInput struct {
	ID    string `path:"id" maxLength:"100"` // not byID: huma does not look into unexported structs
	After int64  `query:"after" default:"0" doc:"Only lines after this number; below zero it counts from the end: -20 gives the last 20"`
	Limit int    `query:"limit" minimum:"1" maximum:"500" default:"500" doc:"How many lines at most"`
}

func (h *handler) registerAPI(a huma.API) {
	op := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"Tasks"}}
	}
	web.Register(a, op("list-tasks", http.MethodGet, "/tasks", "The tasks that you may see, newest first"), h.apiList)
	web.Register(a, op("get-task", http.MethodGet, "/tasks/{id}", "A task and its steps"), h.apiGet)
	web.Register(a, op("get-task-log", http.MethodGet, "/tasks/{id}/log", "A part of a task's log"), h.apiLog)
	cancel := op("cancel-task", http.MethodPost, "/tasks/{id}/cancel", "Ask a task to end and roll back")
	cancel.DefaultStatus = http.StatusAccepted // it ends when it has rolled back (RFC 9110 section 15.3.3)
	web.Register(a, cancel, h.apiCancel)
}

func (h *handler) apiList(ctx context.Context, in *listInput) (*answer[api.Page[api.Task]], error) {
	before, err := web.ReadCursor[odcm.TaskID](in.Cursor)
	if err != nil {
		return nil, err
	}
	f := task.Filter{Kinds: in.Kind, Subject: in.Subject, By: odcm.UserID(in.By), Before: before, Limit: in.Limit}
	for _, s := range in.State {
		f.States = append(f.States, task.State(s))
	}
	tasks, next, err := h.page(ctx, f)
	if err != nil {
		return nil, err
	}
	page := api.Page[api.Task]{Items: make([]api.Task, len(tasks)), Next: next}
	for i, t := range tasks {
		page.Items[i] = toTask(t)
	}
	return &answer[api.Page[api.Task]]{page}, nil
}

// page reads one page and the cursor of the next, which is empty on the last one.
func (h *handler) page(ctx context.Context, f task.Filter) (tasks []task.Task, next string, err error) {
	limit := f.Limit
	f.Limit++ // one more tells whether there is another page
	tasks, err = h.service.List(ctx, web.Principal(ctx), f)
	if len(tasks) > limit {
		tasks = tasks[:limit]
		next = web.Cursor(tasks[limit-1].ID)
	}
	return tasks, next, err
}

func (h *handler) apiGet(ctx context.Context, in *byID) (*answer[api.TaskDetail], error) {
	p, id := web.Principal(ctx), odcm.TaskID(in.ID)
	t, err := h.service.Get(ctx, p, id)
	if err != nil {
		return nil, err
	}
	steps, err := h.service.Steps(ctx, p, id) // second: beside a final state stand all steps
	if err != nil {
		return nil, err
	}
	detail := api.TaskDetail{Task: toTask(t), Steps: make([]api.TaskStep, len(steps))}
	for i, s := range steps {
		detail.Steps[i] = api.TaskStep{Name: s.Name, Undo: s.Undo, State: string(s.State), Attempts: s.Attempts, Error: s.Error,
			Started: toTime(s.Started), Ended: toTime(s.Ended)}
	}
	return &answer[api.TaskDetail]{detail}, nil
}

func (h *handler) apiLog(ctx context.Context, in *logInput) (*answer[api.TaskLog], error) {
	lines, state, err := h.service.Log(ctx, web.Principal(ctx), odcm.TaskID(in.ID), in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	log := api.TaskLog{Lines: make([]api.TaskLine, len(lines)), Next: max(in.After, 0), State: string(state)}
	for i, l := range lines {
		log.Lines[i] = api.TaskLine{Number: l.Number, Time: l.Time, Step: l.Step, Text: l.Text}
		log.Next = l.Number
	}
	return &answer[api.TaskLog]{log}, nil
}

func (h *handler) apiCancel(ctx context.Context, in *byID) (*answer[api.Task], error) {
	p, id := web.Principal(ctx), odcm.TaskID(in.ID)
	if err := h.service.Cancel(ctx, p, id); err != nil {
		return nil, err
	}
	t, err := h.service.Get(ctx, p, id)
	if err != nil {
		return nil, err
	}
	return &answer[api.Task]{toTask(t)}, nil
}

func toTask(t task.Task) api.Task {
	a := api.Task{
		ID: string(t.ID), Kind: t.Kind, Title: t.Title, Subject: t.Subject, State: string(t.State), Percent: t.Percent, Doing: t.Doing,
		By: string(t.By.User), ByName: t.By.Name, CanceledBy: t.CanceledBy.Name, Replica: t.Replica, Attempts: t.Attempts,
		Submitted: t.Submitted, Started: toTime(t.Started), Ended: toTime(t.Ended),
	}
	if t.Error != nil {
		a.Error = &api.TaskError{Kind: string(t.Error.Kind), Code: t.Error.Code, Message: t.Error.Message}
	}
	return a
}

func toTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
