package queue

import (
	"encoding/json"
	"strconv"
	"strings"

	"odcm/kit/db"
	"odcm/octopus"
	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/problem"
)

// Enqueue makes the task's document and queues it, in the transaction of what it is for. It returns the document.
func (q *Queue) Enqueue(c *collection.Change, r Request) (octopus.Object, error) {
	if !q.Handles(r.Name) {
		return octopus.Object{}, problem.Unsupported("This Space server version does not run tasks of the kind '%s'.", r.Name)
	}
	now := q.o.Now()
	due := r.Due
	if due.Before(now) {
		due = now
	}
	var o octopus.Object
	o.Set("Name", r.Name)
	o.Set("Description", r.Description)
	o.Set("State", "Queued")
	o.Set("Completed", "Queued...")
	o.Set("QueueTime", stamp(due))
	o.Set("LastUpdatedTime", stamp(now))
	if len(r.Arguments) > 0 {
		o.Set("Arguments", r.Arguments)
	}
	if !r.Expires.IsZero() {
		o.Set("QueueTimeExpiry", stamp(r.Expires))
	}
	if r.Project != "" {
		o.Set("ProjectId", r.Project)
	}
	if r.Space != "" {
		o.Set("SpaceId", r.Space)
	}
	made, err := c.In(r.Space).Create("ServerTasks", o)
	if err != nil {
		return made, err
	}
	id := made.Text("Id")
	position, err := strconv.ParseInt(id[strings.LastIndexByte(id, '-')+1:], 10, 64)
	if err != nil {
		return made, err
	}
	priority := 1
	if r.Priority {
		priority = 0
	}
	by := r.By
	if by == "" {
		by = c.Principal.ID
	}
	err = q.exec(c, `INSERT INTO spaceserver_queue (task, name, space, asked_by, state, serial, priority, due, position, expires, node, generation, fence, started, cancel, forced, waits, woken, checkpoint)
		VALUES ($1, $2, $3, $4, 'queued', $5, $6, $7, $8, $9, '', 0, 0, FALSE, FALSE, '', 0, FALSE, '')`,
		id, r.Name, r.Space, by, r.Serial, priority, db.Millis(due), position, db.Millis(r.Expires))
	q.LookAfter(c)
	return made, err
}

// Park says, in the transaction that makes an interruption, that the task has one (HasPendingInterruptions). Each Park is
// taken back by one Wake.
func (q *Queue) Park(c *collection.Change, task string) error {
	e, ok, err := q.entry(c, task)
	if err != nil || !ok {
		return orOver(err)
	}
	if err := q.exec(c, "UPDATE spaceserver_queue SET waits = waits + 1 WHERE task = $1", task); err != nil {
		return err
	}
	return q.edit(c, e, map[string]any{"HasPendingInterruptions": true})
}

// Wake lets a parked task go on, in the transaction that answers its interruption.
func (q *Queue) Wake(c *collection.Change, task string) error {
	e, ok, err := q.entry(c, task)
	if err != nil || !ok {
		return orOver(err)
	}
	if err := q.exec(c, `UPDATE spaceserver_queue SET woken = TRUE, waits = CASE WHEN waits > 0 THEN waits - 1 ELSE 0 END,
		state = CASE WHEN state IN ('parked', 'held') THEN 'queued' ELSE state END WHERE task = $1`, task); err != nil {
		return err
	}
	q.LookAfter(c)
	return q.edit(c, e, map[string]any{"HasPendingInterruptions": e.waits > 1})
}

// Cancel asks a task to end: one that waits ends at once, one that runs is Cancelling until its node has stopped it.
func (q *Queue) Cancel(c *collection.Change, task string) error {
	e, ok, err := q.entry(c, task)
	if err != nil || !ok {
		return orOver(err)
	}
	if e.state != running {
		_, err := q.finish(c, e, outcome{state: "Canceled", status: activity.Canceled, message: "The task was canceled before it ran to its end."})
		return err
	}
	if err := q.exec(c, "UPDATE spaceserver_queue SET cancel = TRUE WHERE task = $1", task); err != nil {
		return err
	}
	q.LookAfter(c)
	return q.edit(c, e, map[string]any{"State": "Cancelling"})
}

// Force sets the state of a task, as an administrator does who knows better: Success, Failed, Canceled or TimedOut. One that
// runs is Cancelling until its node has stopped it, whatever its work says: until then another must not run in its place.
func (q *Queue) Force(c *collection.Change, task, state, reason string) error {
	result, ok := forced(state, reason)
	if !ok {
		return problem.Invalid("A task's state can be set to Success, Failed, Canceled or TimedOut, not to '" + state + "'.")
	}
	e, ok, err := q.entry(c, task)
	switch {
	case err != nil:
		return err
	case !ok:
		return c.Edit("ServerTasks", task, func(o *octopus.Object) error {
			q.over(o, result)
			return nil
		})
	case e.state != running:
		_, err := q.finish(c, e, result)
		return err
	}
	text, err := json.Marshal([2]string{state, reason})
	if err != nil {
		return err
	}
	if err := q.exec(c, "UPDATE spaceserver_queue SET cancel = TRUE, forced = $1 WHERE task = $2", string(text), task); err != nil {
		return err
	}
	q.LookAfter(c)
	return q.edit(c, e, map[string]any{"State": "Cancelling"})
}

func forced(state, reason string) (outcome, bool) {
	status, ok := map[string]activity.Status{"Success": activity.Success, "Canceled": activity.Canceled, "Failed": activity.Failed, "TimedOut": activity.Failed}[state]
	return outcome{state: state, status: status, message: reason}, ok
}

// asked is what somebody asked of a task while it ran, which goes before what came of it: that it has a state, or that it is
// canceled.
func (e entry) asked(otherwise outcome) outcome {
	var set [2]string
	if e.forced != "" && json.Unmarshal([]byte(e.forced), &set) == nil {
		result, _ := forced(set[0], set[1])
		result.warnings = otherwise.warnings
		return result
	}
	if e.cancel && otherwise.state == "" {
		return outcome{state: "Canceled", status: activity.Canceled, message: "The task was canceled.", warnings: otherwise.warnings}
	}
	return otherwise
}

// orOver is the error, or that the task has ended.
func orOver(err error) error {
	if err != nil {
		return err
	}
	return problem.Invalid("The task has ended: it cannot be changed any more.")
}

// edit changes members of a task's document.
func (q *Queue) edit(c *collection.Change, e entry, members map[string]any) error {
	return c.In(e.space).Edit("ServerTasks", e.task, func(o *octopus.Object) error {
		for name, value := range members {
			o.Set(name, value)
		}
		o.Set("LastUpdatedTime", stamp(q.o.Now()))
		return nil
	})
}
