// Package trigger is what makes projects act by themselves: triggers, and the work that fires those that are due.
package trigger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"odcm/kit/db"
	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/kinds/host"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/queue"
	"odcm/spaceserver/internal/schedule"
)

// Name is what the queue calls the firing of triggers.
const Name = "Triggers"

// Again says when triggers are looked at after the last time, for [queue.Queue.Every]: not before one is due, which each firing
// sets anew. The minute is for a server that dies in between.
func Again(last time.Time) time.Time {
	if last.IsZero() {
		return time.Time{}
	}
	return last.Add(time.Minute)
}

type rules struct{ *host.Host }

// Kinds are the triggers of projects.
func Kinds(h *host.Host) []*collection.Kind {
	r := &rules{h}
	return []*collection.Kind{{
		Name: "ProjectTriggers", Type: "ProjectTrigger", Route: "projecttriggers", Owner: "ProjectId", Project: "ProjectId", UnderRoute: "triggers",
		Template:   `{"Name":"","Description":null,"ProjectId":"","IsDisabled":false,"Filter":{"FilterType":""},"Action":{"ActionType":""}}`,
		Required:   []string{"Name", "ProjectId"},
		Permission: collection.Quartet("Trigger"),
		References: []collection.Reference{{Path: "ProjectId", Kind: "Projects"}, {Path: "Filter.EnvironmentIds[]", Kind: "Environments"}},
		Under:      []string{"projects"}, Filters: map[string]string{"triggerActionType": "Action.ActionType"},
		Query: "skip,take,ids,runbooks", Links: map[string]string{"Project": "projects/{Owner}"},
		Prepare: prepare, Settle: r.settle, Remove: remove,
	}}
}

// prepare refuses a schedule that nobody can keep.
func prepare(c *collection.Change) error {
	filter := c.New.Object("Filter")
	if !schedule.Is(filter.Text("FilterType")) {
		return nil
	}
	if _, err := schedule.Parse(filter); err != nil {
		return problem.Invalid("The trigger cannot be scheduled: " + err.Error() + ".").Because(err)
	}
	return nil
}

// settle notes when the trigger is due next, and has the queue look then.
func (r *rules) settle(c *collection.Change) error {
	if err := remove(c); err != nil {
		return err
	}
	filter := c.New.Object("Filter")
	if c.New.Bool("IsDisabled") || !schedule.Is(filter.Text("FilterType")) {
		return nil
	}
	s, err := schedule.Parse(filter)
	if err != nil {
		return problem.Invalid("The trigger cannot be scheduled: " + err.Error() + ".").Because(err)
	}
	next := s.Next(c.Service.Now())
	if next.IsZero() {
		return nil
	}
	if _, err := c.Tx.ExecContext(c.Context, "INSERT INTO spaceserver_trigger (id, space, due) VALUES ($1, $2, $3)", c.ID, c.Space, db.Millis(next)); err != nil {
		return err
	}
	return again(r.Host, c)
}

func remove(c *collection.Change) error {
	_, err := c.Tx.ExecContext(c.Context, "DELETE FROM spaceserver_trigger WHERE id = $1", c.ID)
	return err
}

// again has the queue look when the first trigger is due. The row of the queue is locked before the times are read: of two that
// do this at once the second sees what the first wrote.
func again(h *host.Host, c *collection.Change) error {
	if err := h.Queue.At(c, Name, c.Service.Now().Add(time.Minute)); err != nil {
		return err
	}
	var first sql.NullInt64
	if err := c.Tx.QueryRowContext(c.Context, "SELECT min(due) FROM spaceserver_trigger").Scan(&first); err != nil {
		return err
	}
	var at time.Time
	if first.Valid {
		// What is late failed, for a reason that is not its own: a database that is away.
		at = db.Time(max(first.Int64, db.Millis(c.Service.Now().Add(time.Second))))
	}
	return h.Queue.At(c, Name, at)
}

// Scheduler fires triggers that are due.
type Scheduler struct {
	Host    *host.Host
	Service *collection.Service
}

type due struct {
	id, space string
	at        int64
}

// Fire is the work for [queue.Queue.Every]: it fires each trigger whose time has come, once, whichever node does it, and has the
// queue look again when the next is due. What was due several times while no server ran fires once. A trigger that was refused,
// by a lifecycle or a freeze, is told to the operator, and the others go on.
func (s *Scheduler) Fire(ctx context.Context, _ *queue.Task) error {
	var failed []error
	for {
		now := s.Service.Now()
		all, err := db.Collect(ctx, s.Service.Store.DB.Read(), func(r db.Row) (d due, err error) {
			return d, r.Scan(&d.id, &d.space, &d.at)
		}, "SELECT id, space, due FROM spaceserver_trigger WHERE due <= $1 ORDER BY due, id LIMIT 100", db.Millis(now))
		if err != nil || len(all) == 0 {
			failed = append(failed, err)
			break
		}
		stuck := false
		for _, d := range all {
			if err := s.one(ctx, d, now); err != nil {
				failed = append(failed, fmt.Errorf("trigger %s: %w", d.id, err))
				stuck = stuck || !problem.IsRefusal(err)
			}
			if ctx.Err() != nil {
				return errors.Join(append(failed, ctx.Err())...)
			}
		}
		if stuck {
			break
		}
	}
	err := s.Service.Transact(ctx, collection.Request{Principal: permission.System()}, func(c *collection.Change) error { return again(s.Host, c) })
	return errors.Join(append(failed, err)...)
}

// one fires a trigger in one transaction with the move of its time, so that it fires once.
func (s *Scheduler) one(ctx context.Context, d due, now time.Time) error {
	if err := s.Service.Ready(); err != nil {
		return err
	}
	var refused error
	err := s.Service.Transact(ctx, collection.Request{Principal: permission.System(), Space: d.space}, func(c *collection.Change) error {
		refused = nil
		o, there, err := c.Get("ProjectTriggers", d.id)
		if err != nil {
			return err
		}
		sched, bad := schedule.Parse(o.Object("Filter"))
		next := sched.Next
		if !there || bad != nil || o.Bool("IsDisabled") || next(now).IsZero() {
			result, err := c.Tx.ExecContext(c.Context, "DELETE FROM spaceserver_trigger WHERE id = $1 AND due = $2", d.id, d.at)
			if err != nil || !there || bad != nil || o.Bool("IsDisabled") || !one(result) {
				return errors.Join(err, bad)
			}
		} else {
			result, err := c.Tx.ExecContext(c.Context, "UPDATE spaceserver_trigger SET due = $1 WHERE id = $2 AND due = $3", db.Millis(next(now)), d.id, d.at)
			if err != nil || !one(result) { // another node was quicker
				return err
			}
		}
		refused = act(s.Host, c, o)
		if problem.IsRefusal(refused) {
			return nil
		}
		return refused
	})
	return errors.Join(err, refused)
}

func one(result sql.Result) bool {
	n, err := result.RowsAffected()
	return err == nil && n == 1
}

// act does what a trigger says.
func act(h *host.Host, c *collection.Change, o octopus.Object) error {
	action := o.Object("Action")
	p, there, err := c.Get("Projects", o.Text("ProjectId"))
	if err != nil || !there || p.Bool("IsDisabled") {
		return err
	}
	a := actor{h, c, part.In(c), p, action, "the trigger " + o.Text("Name")}
	switch typ := action.Text("ActionType"); typ {
	case "DeployLatestRelease":
		return a.deployLatest()
	case "DeployNewRelease":
		return a.deployNew()
	case "RunRunbook":
		return a.runRunbook()
	default:
		return problem.Invalid("This Space server does not know the action '" + typ + "' of a scheduled trigger.")
	}
}
