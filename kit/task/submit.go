package task

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/task/journal"
)

const (
	// Noun is the noun of the topics that say on the bus that a task changed: "task/<id>".
	Noun = "task"
	// ListTopic says on the bus that a task came or changed its state, for lists: "task/<id>" comes with every line of a log.
	ListTopic  = "task-list"
	cancelNoun = "task-cancel" // "task-cancel/<id>": for the replica that runs it
	// replicaTopic says that a replica signed off and left tasks behind.
	replicaTopic = "task-replica"
	// inputLimit bounds the JSON of an input: it holds identifiers and choices. Bulk belongs into the room's own tables.
	inputLimit = 1 << 20
)

func topic(id odcm.TaskID) string { return Noun + "/" + string(id) }

// detail is what a task's events say after the change.
type detail struct {
	Kind    string   `json:"kind"`
	Subject string   `json:"subject,omitempty"`
	State   State    `json:"state"`
	Error   *Failure `json:"error,omitempty"`
}

// Submit adds a task within the caller's transaction, one of [db.DB.Tx]: it runs if and when that commits. A nil tx is a
// transaction of its own. It returns the ID. An ID that is known already adds nothing; it is an [odcm.Exists] where it was
// used for another kind of task.
func (e *Engine) Submit(ctx context.Context, tx *sql.Tx, req Request) (_ odcm.TaskID, err error) {
	defer odcm.Wrap(&err, "submit task %s", req.Kind)
	if _, known := e.handlers[req.Kind]; !known {
		return "", odcm.E(odcm.Internal, "task.kind-unknown", "no handler for tasks of kind %q was registered", req.Kind)
	}
	if req.ID == "" {
		req.ID = odcm.NewID[odcm.TaskID]("task")
	}
	input, err := json.Marshal(req.Input)
	if err != nil {
		return "", odcm.E(odcm.Internal, "task.input", "the input of a task must become JSON").Because(err)
	}
	if len(input) > inputLimit {
		return "", odcm.E(odcm.Invalid, "task.input-size", "the input of a task takes at most %d bytes: store it and pass its identifier", inputLimit)
	}
	submitter, err := json.Marshal(req.By)
	if err != nil {
		return "", err
	}
	if tx != nil {
		return req.ID, e.submit(ctx, tx, req, input, submitter)
	}
	return req.ID, e.tx(ctx, func(tx *sql.Tx) error { return e.submit(ctx, tx, req, input, submitter) })
}

func (e *Engine) submit(ctx context.Context, tx *sql.Tx, req Request, input, submitter []byte) error {
	res, err := tx.ExecContext(ctx, `INSERT INTO task (id, kind, title, subject, state, input, owner, submitter, submitted)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING`,
		string(req.ID), req.Kind, journal.Clean(req.Title), req.Subject, string(Queued), string(input), string(req.By.User), string(submitter),
		db.Millis(time.Now()))
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil {
		return err
	} else if n == 0 {
		var kind string
		if err := tx.QueryRowContext(ctx, `SELECT kind FROM task WHERE id = $1`, string(req.ID)).Scan(&kind); err != nil {
			return err
		}
		if kind != req.Kind {
			return odcm.E(odcm.Exists, "task.id-taken", "the identifier %s belongs to a task of kind %s", req.ID, kind)
		}
		return nil
	}
	// The queue's row is in the same transaction, so there is no task without it and none that runs before the commit.
	if err := e.queue.Add(tx, string(req.ID)); err != nil {
		return err
	}
	if err := e.bus.PublishTx(ctx, tx, topic(req.ID), ListTopic); err != nil {
		return err
	}
	return e.events.Append(ctx, tx, odcm.NewEvent(req.By, "task.submitted", string(req.ID), req.Title, nil,
		detail{Kind: req.Kind, Subject: req.Subject, State: Queued}))
}

// Cancel asks the task to end and roll back. One that is still queued runs all the same: its first step returns
// [ErrCanceled], so that its handler takes back what was committed with its submission. A finished task is an
// [odcm.Conflict]; asking twice is not an error, and the first to ask is named. Once Cancel has returned no further step
// begins, and the context of the one that runs here has ended. Where that was the last step, and does its work all the
// same, the cancel came too late: the task succeeds.
func (e *Engine) Cancel(ctx context.Context, id odcm.TaskID, by odcm.Principal) (err error) {
	defer odcm.Wrap(&err, "cancel task %s", id)
	canceler, err := json.Marshal(by)
	if err != nil {
		return err
	}
	err = e.tx(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `UPDATE task SET state = 'canceling', canceler = CASE WHEN canceler = '' THEN $2 ELSE canceler END
WHERE id = $1 AND state IN ('queued', 'running', 'canceling')`, string(id), string(canceler))
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			var state string
			if err := tx.QueryRowContext(ctx, `SELECT state FROM task WHERE id = $1`, string(id)).Scan(&state); errors.Is(err, sql.ErrNoRows) {
				return notFound(id)
			} else if err != nil {
				return err
			}
			return odcm.E(odcm.Conflict, "task.finished", "the task has finished already: it %s", past(State(state)))
		}
		return e.bus.PublishTx(ctx, tx, topic(id), ListTopic, cancelNoun+"/"+string(id)) // its event comes when it has rolled back
	})
	if err == nil {
		e.cancelLocal(id) // not by the hint, which may come after the last step
	}
	return err
}

func past(s State) string {
	if s == Canceled {
		return "was canceled"
	}
	return string(s)
}

func notFound(id odcm.TaskID) error {
	return odcm.E(odcm.NotFound, "task.not-found", "there is no task %s", id)
}
