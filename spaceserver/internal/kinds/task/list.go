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

// list lists tasks.
func (r *rules) list(c *collection.Call) (any, error) {
	narrow(c)
	l := collection.Listing{}
	var err error
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
	return listed(c, c.Service.Kind("ServerTasks"), l)
}

// narrow asks for the states that the query means by other words, so that tasks which have ended are not looked at.
func narrow(c *collection.Call) {
	var only []string
	switch {
	case part.True(c.Query, "running"):
		only = []string{"Executing", "Cancelling"}
	case part.True(c.Query, "active"), part.True(c.Query, "hasPendingInterruptions"):
		only = []string{"Queued", "Executing", "Cancelling"}
	default:
		return
	}
	if asked := collection.Split(c.Query, "states"); len(asked) > 0 {
		only = slices.DeleteFunc(only, func(state string) bool {
			return !slices.ContainsFunc(asked, func(a string) bool { return strings.EqualFold(a, state) })
		})
		only = append(only, "none") // no task has such a state
	}
	c.Query.Set("states", strings.Join(only, ","))
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
