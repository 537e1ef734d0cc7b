package health

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/queue"
	"odcm/spaceserver/internal/schedule"
)

// Name is what the queue calls the work that starts health checks which are due.
const Name = "health"

// Again says that the work is due when [Plan] says so.
func Again(time.Time) time.Time { return time.Time{} }

// planned is the setting that holds when the machines of each policy are checked next, while it has any.
const planned = "health/planned"

type place struct{ Space, Policy string }

type due struct {
	place
	At time.Time
}

// Plan notes when the machines of a policy are to be checked, in the transaction that gave it a machine or, anew, changed it.
func Plan(c *collection.Change, q *queue.Queue, policy string, anew bool) error {
	if policy == "" {
		return nil
	}
	this := place{c.Space, policy}
	all, err := read(c)
	at := slices.IndexFunc(all, func(d due) bool { return d.place == this })
	if err != nil || !anew && at >= 0 {
		return err
	}
	return edit(c, q, func(all []due) ([]due, error) {
		all = slices.DeleteFunc(all, func(d due) bool { return d.place == this })
		o, there, err := c.Get("MachinePolicies", policy)
		if next := next(o.Object("MachineHealthCheckPolicy"), c.Service.Now()); there && !next.IsZero() {
			all = append(all, due{this, next})
		}
		return all, err
	})
}

// next is when a policy wants its machines to be checked after a moment; zero for never.
func next(policy octopus.Object, after time.Time) time.Time {
	if text := policy.Text("HealthCheckCron"); text != "" {
		var filter octopus.Object
		filter.Set("FilterType", "CronExpressionSchedule")
		filter.Set("CronExpression", text)
		filter.Set("Timezone", policy.Text("HealthCheckCronTimezone"))
		s, err := schedule.Parse(filter)
		if err != nil {
			return time.Time{}
		}
		return s.Next(after)
	}
	interval := span(policy.Text("HealthCheckInterval"))
	if interval <= 0 {
		return time.Time{}
	}
	return after.Add(interval)
}

func read(c *collection.Change) (all []due, err error) {
	text, err := c.Service.Store.Setting(c.Context, c.Tx, planned)
	if err != nil || text == "" {
		return nil, err
	}
	return all, json.Unmarshal([]byte(text), &all)
}

// edit changes what is planned, and has the queue look when the first is due. The queue's row is locked before anything is
// read: of two that do this at once the second sees what the first wrote.
func edit(c *collection.Change, q *queue.Queue, f func(all []due) ([]due, error)) error {
	if err := q.At(c, Name, c.Service.Now().Add(time.Minute)); err != nil {
		return err
	}
	all, err := read(c)
	if err != nil {
		return err
	}
	if all, err = f(all); err != nil {
		return err
	}
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	if err := c.Service.Store.Set(c.Context, c.Tx, planned, string(text)); err != nil {
		return err
	}
	var first time.Time
	for _, d := range all {
		if first.IsZero() || d.At.Before(first) {
			first = d.At
		}
	}
	return q.At(c, Name, first)
}

// Start is the work for [queue.Queue.Every]: it starts the checks that are due, one task for each policy. What was due several
// times while no server ran is done once.
func (h *Checker) Start(ctx context.Context, _ *queue.Task) error {
	return h.Service.Transact(ctx, collection.Request{Principal: permission.System()}, func(c *collection.Change) error {
		return edit(c, h.Queue, func(all []due) (left []due, err error) {
			now := h.Service.Now()
			for _, d := range all {
				if !d.At.After(now) {
					if d.At, err = h.start(c.In(d.Space), d.Policy, now); err != nil {
						return nil, err
					}
				}
				if !d.At.IsZero() {
					left = append(left, d)
				}
			}
			return left, nil
		})
	})
}

// start starts the check of a policy's machines, and tells when the next is due; zero where it has none any more.
func (h *Checker) start(c *collection.Change, policy string, now time.Time) (time.Time, error) {
	o, there, err := c.Get("MachinePolicies", policy)
	if err != nil || !there {
		return time.Time{}, err
	}
	var ids []string
	for _, kind := range []string{"Machines", "Workers"} {
		rows, err := c.List(document.Query{Kind: kind, Spaces: []string{c.Space}, Contains: `"` + policy + `"`})
		if err != nil {
			return time.Time{}, err
		}
		for _, row := range rows {
			m, err := octopus.ParseObject(row.Body)
			if err != nil {
				return time.Time{}, err
			}
			if m.Text("MachinePolicyId") == policy && !m.Bool("IsDisabled") {
				ids = append(ids, row.ID)
			}
		}
	}
	at := next(o.Object("MachineHealthCheckPolicy"), now)
	if len(ids) == 0 || at.IsZero() {
		return time.Time{}, nil
	}
	_, err = h.Queue.Enqueue(c, queue.Request{Name: "Health", Space: c.Space, Description: "Check health of the machines with the policy " + o.Text("Name"),
		Arguments: map[string]any{"MachineIds": ids}, Serial: "health/" + policy, Expires: at}) // the next one does as well
	return at, err
}
