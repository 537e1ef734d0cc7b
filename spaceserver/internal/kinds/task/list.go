package task

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/queue"
)

// listed gives a page of a kind the paths that its links need.
func listed(c *collection.Call, k *collection.Kind, l collection.Listing) (collection.Page[collection.Document], error) {
	page, err := c.Service.List(c.Context, c.Request, k, l)
	space := c.Space
	if k.Scope == collection.InBoth && !c.Named {
		space = ""
	}
	page.Path = collection.Base(space) + "/" + k.Route
	page.Template = page.Path + "{/id}{?" + k.Query + "}"
	kept := c.Query
	kept.Del("skip")
	kept.Del("take")
	page.Query = kept.Encode()
	return page, err
}

// list lists tasks. Those that have not ended are looked up in the queue, so that watching it costs the same however many
// have ended.
func (r *rules) list(c *collection.Call) (any, error) {
	k := c.Service.Kind("ServerTasks")
	only, err := r.unfinished(c)
	if err != nil {
		return nil, err
	}
	l := collection.Listing{}
	if l.Filter, err = between(c); err != nil {
		return nil, err
	}
	if nodes := collection.Split(c.Query, "node"); len(nodes) > 0 {
		also := l.Filter
		l.Filter = func(o octopus.Object) bool {
			return (also == nil || also(o)) && slices.ContainsFunc(nodes, func(n string) bool {
				return strings.EqualFold(o.Text("ServerNode"), n) || strings.EqualFold(o.Text("ServerNode"), queue.NodeID(n))
			})
		}
	}
	asked := c.Query.Get("ids")
	switch {
	case only == nil:
	case len(only) == 0:
		c.Query.Set("ids", "none") // no task has such an id
	default:
		if ids := collection.Split(c.Query, "ids"); len(ids) > 0 {
			only = slices.DeleteFunc(only, func(id string) bool { return !slices.Contains(ids, id) })
			only = append(only, "none")
		}
		c.Query.Set("ids", strings.Join(only, ","))
	}
	page, err := listed(c, k, l)
	if only != nil {
		c.Query.Set("ids", asked)
		if asked == "" {
			c.Query.Del("ids")
		}
		page.Query = c.Query.Encode()
	}
	return page, err
}

// unfinished returns the ids of all tasks that have not ended where the query asks for none but such; nil where it asks for
// others too.
func (r *rules) unfinished(c *collection.Call) ([]string, error) {
	flag := func(name string) bool { return strings.EqualFold(c.Query.Get(name), "true") }
	states := collection.Split(c.Query, "states")
	live := len(states) > 0 && !slices.ContainsFunc(states, func(s string) bool {
		return !slices.ContainsFunc([]string{"Queued", "Executing", "Cancelling"}, func(live string) bool { return strings.EqualFold(s, live) })
	})
	if flag("running") && len(states) == 0 {
		c.Query.Set("states", "Executing,Cancelling")
	}
	if !live && !flag("active") && !flag("running") && !flag("hasPendingInterruptions") {
		return nil, nil
	}
	ids, err := r.Queue.Unfinished(c.Context)
	return part.Some(ids), err
}

// between narrows a list by the times that the query gives: fromQueueDate, toQueueDate, fromStartDate and so on.
func between(c *collection.Call) (func(octopus.Object) bool, error) {
	type bound struct {
		member string
		at     time.Time
		from   bool
	}
	var bounds []bound
	for _, b := range []bound{{"QueueTime", time.Time{}, true}, {"QueueTime", time.Time{}, false}, {"StartTime", time.Time{}, true}, {"StartTime", time.Time{}, false}, {"CompletedTime", time.Time{}, true}, {"CompletedTime", time.Time{}, false}} {
		name := "to"
		if b.from {
			name = "from"
		}
		name += strings.TrimSuffix(b.member, "Time") + "Date"
		text := collection.Split(c.Query, name)
		if len(text) == 0 {
			continue
		}
		at, err := time.Parse(time.RFC3339, strings.ReplaceAll(text[0], " ", "+")) // a + that was not escaped
		if err != nil {
			if at, err = time.Parse(time.DateOnly, text[0]); err != nil {
				return nil, problem.Invalid(name + " must be a time as 2026-08-01T10:00:00Z.")
			}
		}
		b.at = at
		bounds = append(bounds, b)
	}
	if len(bounds) == 0 {
		return nil, nil
	}
	return func(o octopus.Object) bool {
		for _, b := range bounds {
			at := octopus.As[time.Time](o, b.member)
			if at.IsZero() || b.from && at.Before(b.at) || !b.from && at.After(b.at) {
				return false
			}
		}
		return true
	}, nil
}

// queuedBehind lists what must end, or be taken, before the task can run.
func (r *rules) queuedBehind(c *collection.Call) (any, error) {
	d, err := c.Find("ServerTasks", c.Param("id"))
	if err != nil {
		return nil, err
	}
	ahead, err := r.Queue.Ahead(c.Context, d.ID)
	if err != nil {
		return nil, err
	}
	c.Query.Del("ids")
	c.Query.Set("ids", strings.Join(append(ahead, "none"), ","))
	page, err := c.Service.List(c.Context, c.Request, c.Service.Kind("ServerTasks"), collection.Listing{})
	page.Path = collection.Base(d.Space) + "/tasks/" + d.ID + "/queued-behind"
	page.Template = page.Path + "{?skip,take}"
	return page, err
}

// number reads a whole number that must be positive, 0 where there is none.
func number(c *collection.Call, name string) int {
	n, err := strconv.Atoi(c.Query.Get(name))
	if err != nil || n < 0 {
		return 0
	}
	return n
}
