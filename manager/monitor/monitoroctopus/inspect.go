package monitoroctopus

import (
	"context"
	"strconv"
	"time"

	"odcm"
	"odcm/kit/egress"
	"odcm/manager/monitor"
	"odcm/octopus"
	"odcm/octopus/octoclient"
)

// Bounds of what a server may say of itself.
const (
	maxNodes  = 100
	maxLimits = 50
	maxText   = 100
	// queued is how many waiting tasks are looked at to find the one that waits longest.
	queued = 30
)

// Inspect implements [monitor.Prober]. The version is public; nodes, licence, tasks and maintenance need permissions of the system
// that a key may lack, which makes them unknown and is no fault.
func (p *Prober) Inspect(ctx context.Context, t monitor.Target, d monitor.Detail, look monitor.Look) (_ monitor.Detail, err error) {
	defer odcm.Wrap(&err, "inspect %s", t.Instance)
	key, err := t.Key(ctx)
	if err != nil {
		return d, err
	}
	l, _, err := p.line(t)
	if err != nil {
		return d, err
	}
	c, err := octoclient.New(octoclient.Options{
		URL: t.URL, APIKey: key, TLS: egress.TLS{CA: t.CA, Thumbprint: t.Thumbprint}, Guard: p.guard, Budgets: p.budgets, Transport: l,
		Timeout: 15 * time.Second, Attempts: 1, // monitor itself asks again
	})
	if err != nil {
		return d, err
	}
	c = c.Background() // people first
	if look >= monitor.Full {
		root, err := c.Root(ctx)
		if err != nil && odcm.KindOf(err) != odcm.Unsupported { // too old is told by its version
			return d, err
		}
		d.Version = clip(string(root.Version()), maxText)
		if _, err := c.Me(ctx); err != nil { // tells a key that is not accepted from one that lacks a permission
			return d, err
		}
	}
	for _, part := range []struct {
		from monitor.Look
		ask  func(context.Context, *octoclient.Client, *monitor.Detail) error
	}{{monitor.Quick, maintenance}, {monitor.Quick, nodes}, {monitor.Quick, queue}, {monitor.Whole, licence}} {
		if look < part.from {
			continue
		}
		if err := part.ask(ctx, c, &d); err != nil && !lacks(err) {
			return d, err
		}
	}
	return d, nil
}

// lacks tells that the key may not read it, or that this server does not have it.
func lacks(err error) bool {
	switch odcm.KindOf(err) {
	case odcm.Denied, odcm.NotFound, odcm.Unsupported:
		return true
	}
	return false
}

func maintenance(ctx context.Context, c *octoclient.Client, d *monitor.Detail) error {
	m, err := c.Maintenance(ctx)
	d.Maintenance = err == nil && m.On()
	return err
}

func nodes(ctx context.Context, c *octoclient.Client, d *monitor.Detail) error {
	d.Nodes = nil
	found, err := c.Nodes(ctx)
	if err != nil {
		return err
	}
	for i, n := range found.Nodes() {
		if i == maxNodes {
			break
		}
		d.Nodes = append(d.Nodes, monitor.Node{Name: clip(n.Text("Name"), maxText), Leader: n.IsLeader(), Offline: n.IsOffline(), Draining: n.IsDraining(),
			Tasks: n.RunningTasks(), TaskCap: n.TaskCap(), LastSeen: n.LastSeen()})
	}
	return nil
}

// queue asks for the tasks that wait. The list begins with the newest: where it is long, the one that waits longest is on its
// last page.
func queue(ctx context.Context, c *octoclient.Client, d *monitor.Detail) error {
	d.Queue = nil
	waiting, err := tasks(ctx, c, octopus.Queued, 0)
	if err != nil {
		return err
	}
	q := &monitor.Queue{Waiting: waiting.Total(), Oldest: longest(waiting)}
	if q.Waiting > queued {
		last, err := tasks(ctx, c, octopus.Queued, q.Waiting-1)
		if err != nil {
			return err
		}
		q.Oldest = max(q.Oldest, longest(last))
	}
	if len(d.Nodes) > 0 {
		for _, n := range d.Nodes {
			q.Executing += n.Tasks
		}
	} else {
		running, err := tasks(ctx, c, octopus.Executing, 0)
		if err != nil {
			return err
		}
		q.Executing = running.Total()
	}
	d.Queue = q
	return nil
}

func tasks(ctx context.Context, c *octoclient.Client, state octopus.TaskState, skip int) (octopus.Page, error) {
	o, err := c.Get(ctx, taskList(state, skip))
	return octopus.Page{Object: o}, err
}

// longest is how long the oldest on the page waits; a task that is scheduled for later does not wait yet. Whole minutes, because
// it grows with every look.
func longest(p octopus.Page) (oldest time.Duration) {
	for _, task := range p.Items() {
		if at := task.Time("QueueTime"); !at.IsZero() {
			oldest = max(oldest, time.Since(at).Truncate(time.Minute))
		}
	}
	return oldest
}

func licence(ctx context.Context, c *octoclient.Client, d *monitor.Detail) error {
	d.Licence = nil
	said, err := c.LicenceStatus(ctx)
	if err != nil {
		return err
	}
	l := &monitor.Licence{Kind: clip(said.Kind(), maxText), Compliant: said.IsCompliant() || !said.Has("IsCompliant")} // servers older than 2023 do not say
	if days, expires := said.ExpiresInDays(); expires {
		l.DaysLeft = &days
	}
	for i, limit := range said.Limits() {
		if i == maxLimits {
			break
		}
		l.Limits = append(l.Limits, monitor.Limit{Name: clip(limit.Name, maxText), Used: int(limit.CurrentUsage), Allowed: int(limit.EffectiveLimit), Unlimited: limit.IsUnlimited})
	}
	d.Licence = l
	return nil
}

func taskList(state octopus.TaskState, skip int) string {
	return octopus.TasksRoute + "?states=" + string(state) + "&skip=" + strconv.Itoa(skip) + "&take=" + strconv.Itoa(queued)
}
