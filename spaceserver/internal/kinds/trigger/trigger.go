// Package trigger is what makes projects act by themselves: triggers, and the work that fires those that are due.
package trigger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"odcm/kit/db"
	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/kinds/deployment"
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

// The kinds of filters that are no schedules (TriggerFilterResource in the Swagger document; filter_type.go in
// go-octopusdeploy). ArcFeedFilter is how newer servers write the built-in package repository's.
const (
	machineFilter = "MachineFilter"
	feedFilter    = "FeedFilter"
	builtInFilter = "ArcFeedFilter"
)

// prepare refuses what would be kept and never fire.
func prepare(c *collection.Change) error {
	filter, action := c.New.Object("Filter"), c.New.Object("Action").Text("ActionType")
	switch typ := filter.Text("FilterType"); {
	case schedule.Is(typ):
		if _, err := schedule.Parse(filter); err != nil {
			return problem.Invalid("The trigger cannot be scheduled: " + err.Error() + ".").Because(err)
		}
		return nil
	case typ == machineFilter && action == "AutoDeploy":
		return nil
	case typ == machineFilter:
		return problem.Invalid("A deployment target trigger has the action AutoDeploy, not '" + action + "'.")
	case (typ == feedFilter || typ == builtInFilter) && action == "CreateRelease":
		return watched(c, filter)
	case typ == feedFilter || typ == builtInFilter:
		return problem.Invalid("A feed trigger has the action CreateRelease, not '" + action + "'.")
	default:
		return problem.Invalid("This Space server does not fire triggers of the kind '" + typ + "': it has schedules, deployment target triggers and triggers of the built-in package repository.")
	}
}

// settle notes when the trigger is due next, and has the queue look then. What a trigger has not acted on yet it still acts on.
func (r *rules) settle(c *collection.Change) error {
	filter := c.New.Object("Filter")
	if !c.New.Bool("IsDisabled") && !schedule.Is(filter.Text("FilterType")) && filter.Text("FilterType") == c.Old.Object("Filter").Text("FilterType") {
		return nil
	}
	if err := remove(c); err != nil {
		return err
	}
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
	if _, err := c.Tx.ExecContext(c.Context, "DELETE FROM spaceserver_trigger WHERE id = $1", c.ID); err != nil {
		return err
	}
	_, err := c.Tx.ExecContext(c.Context, "DELETE FROM spaceserver_occasion WHERE id = $1", c.ID)
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
// by a lifecycle or a freeze, leaves an event that says why, and the others go on.
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
				failed, stuck = append(failed, fmt.Errorf("trigger %s: %w", d.id, err)), true
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
	return s.Service.Transact(ctx, collection.Request{Principal: permission.System(), Space: d.space}, func(c *collection.Change) error {
		kind := "ProjectTriggers"
		if strings.HasPrefix(d.id, "Projects-") {
			kind = "Projects"
		}
		o, there, err := c.Get(kind, d.id)
		if err != nil {
			return err
		}
		won, err := s.move(c, d, o.Object("Filter"), now)
		if err != nil || !won { // another node was quicker
			return err
		}
		subjects, err := take(c, d.id)
		if err != nil || !there || o.Bool("IsDisabled") {
			return err
		}
		return act(s.Host, c, kind, o, subjects)
	})
}

// move sets the next time of a trigger, or forgets its time where there is none.
func (s *Scheduler) move(c *collection.Change, d due, filter octopus.Object, now time.Time) (bool, error) {
	var next time.Time
	if schedule.Is(filter.Text("FilterType")) {
		sched, err := schedule.Parse(filter)
		if err == nil { // the rules changed since it was saved: it is not scheduled any more
			next = sched.Next(now)
		}
	}
	query, args := "DELETE FROM spaceserver_trigger WHERE id = $1 AND due = $2", []any{d.id, d.at}
	if !next.IsZero() {
		query, args = "UPDATE spaceserver_trigger SET due = $3 WHERE id = $1 AND due = $2", append(args, db.Millis(next))
	}
	result, err := c.Tx.ExecContext(c.Context, query, args...)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

// act does what a trigger says, or what a project says of packages that are pushed, and tells what came of it (docs:
// administration/managing-infrastructure/subscriptions, the events of auto-deploy).
func act(h *host.Host, c *collection.Change, kind string, o octopus.Object, subjects []string) error {
	p, name := o, "the project's built-in package repository trigger"
	if kind != "Projects" {
		var there bool
		var err error
		if p, there, err = c.Get("Projects", o.Text("ProjectId")); err != nil || !there || p.Bool("IsDisabled") {
			return err
		}
		name = "the trigger " + o.Text("Name")
	}
	a := actor{h, c, part.In(c), p, o.Object("Action"), name, &[]string{}}
	var err error
	switch typ := a.action.Text("ActionType"); {
	case kind == "Projects":
		err = a.releasePushed(creation(o), subjects)
	case typ == "CreateRelease" && !schedule.Is(o.Object("Filter").Text("FilterType")):
		err = a.releasePushed(wishes{a.action.Text("ChannelId"), meant(o.Object("Filter"))}, subjects)
	case typ == "AutoDeploy":
		err = a.autoDeploy(o.Object("Filter"), subjects)
	case typ == "DeployLatestRelease":
		err = a.deployLatest()
	case typ == "DeployNewRelease":
		err = a.deployNew()
	case typ == "RunRunbook":
		err = a.runRunbook()
	default:
		err = problem.Invalid("This Space server does not know the action '" + typ + "' of such a trigger.")
	}
	switch {
	case problem.IsRefusal(err):
		deployment.Blocked(c, name, problem.Reason(err), o.Text("Id"), p.Text("Id"))
		return nil
	case err == nil && len(*a.doings) > 0:
		at := *c
		at.Kind = c.Service.Kind(kind)
		at.Note("TriggerSucceeded", c.Space, name+" "+strings.Join(*a.doings, ", "), name, []string{o.Text("Id"), p.Text("Id")}, collection.ChangeDetails{})
	}
	return err
}
