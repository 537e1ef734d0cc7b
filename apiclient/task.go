package apiclient

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"odcm"
	"odcm/api"
)

// TaskFilter chooses tasks; zero fields choose all.
type TaskFilter struct {
	States  []string
	Kinds   []string
	Subject string
}

// Tasks lists the tasks that the caller may see, newest first.
func (c *Client) Tasks(ctx context.Context, f TaskFilter) iter.Seq2[api.Task, error] {
	q := url.Values{"state": f.States, "kind": f.Kinds}
	if f.Subject != "" {
		q.Set("subject", f.Subject)
	}
	return list[api.Task](ctx, c, "/tasks", q)
}

// Task gets a task with its steps.
func (c *Client) Task(ctx context.Context, id string) (t api.TaskDetail, err error) {
	return t, c.do(ctx, call{method: http.MethodGet, path: "/tasks/" + escape(id)}, &t)
}

// TaskLog reads the lines of the task's log behind a number; a number below zero counts from the end.
func (c *Client) TaskLog(ctx context.Context, id string, after int64) (l api.TaskLog, err error) {
	q := url.Values{"after": {strconv.FormatInt(after, 10)}}
	return l, c.do(ctx, call{method: http.MethodGet, path: "/tasks/" + escape(id) + "/log", query: q}, &l)
}

// CancelTask asks the task to end and roll back.
func (c *Client) CancelTask(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodPost, path: "/tasks/" + escape(id) + "/cancel"}, nil)
}

// pollTask is how often WaitTask looks: often enough for a person who watches.
const pollTask = 400 * time.Millisecond

// patience is how long WaitTask does without a manager: a restart, or another replica's taking over, is no reason to give
// up a task that goes on.
const patience = time.Minute

// WaitTask looks at the task until it is in a final state, and calls seen with each look and the new lines of its log.
func (c *Client) WaitTask(ctx context.Context, id string, seen func(api.Task, []api.TaskLine)) (api.Task, error) {
	var after int64
	for answered := time.Now(); ; {
		t, log, err := c.look(ctx, id, after)
		switch {
		case err == nil:
			answered, after = time.Now(), log.Next
			if seen != nil {
				seen(t, log.Lines)
			}
			if final(t.State) && len(log.Lines) == 0 {
				return t, nil
			}
		case odcm.KindOf(err) != odcm.Unavailable || time.Since(answered) > patience:
			return t, err
		}
		select {
		case <-ctx.Done():
			return t, ctx.Err()
		case <-time.After(pollTask):
		}
	}
}

// look reads the task and the lines of its log behind a number.
func (c *Client) look(ctx context.Context, id string, after int64) (api.Task, api.TaskLog, error) {
	t, err := c.Task(ctx, id)
	if err != nil {
		return t.Task, api.TaskLog{}, err
	}
	log, err := c.TaskLog(ctx, id, after)
	return t.Task, log, err
}

func final(state string) bool {
	return state == "succeeded" || state == "failed" || state == "canceled"
}
