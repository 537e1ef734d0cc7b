// Package monitoroctopus asks Octopus servers how they are doing, for monitor: through octoclient, on connections that all
// targets share.
package monitoroctopus

import (
	"context"
	"sync"
	"time"

	"odcm"
	"odcm/kit/egress"
	"odcm/manager/monitor"
	"odcm/octopus/octoclient"
)

// Prober implements [monitor.Prober].
type Prober struct {
	guard   *egress.Guard
	budgets *octoclient.Budgets

	mu      sync.Mutex
	clients map[odcm.InstanceID]client
}

// client is one without a key, made for one revision of the target.
type client struct {
	*octoclient.Client
	revision int64
}

// New makes a prober. Guard and budgets are those of the whole program.
func New(guard *egress.Guard, budgets *octoclient.Budgets) *Prober {
	return &Prober{guard: guard, budgets: budgets, clients: map[odcm.InstanceID]client{}}
}

func (p *Prober) dial(t monitor.Target, key string) (*octoclient.Client, error) {
	c, err := octoclient.New(octoclient.Options{
		URL: t.URL, APIKey: key, TLS: egress.TLS{CA: t.CA, Thumbprint: t.Thumbprint}, Guard: p.guard, Budgets: p.budgets,
		Timeout: 15 * time.Second, Attempts: 1, // monitor itself asks again
	})
	if err != nil {
		return nil, err
	}
	return c.Background(), nil // people first
}

func (p *Prober) client(t monitor.Target) (*octoclient.Client, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, ok := p.clients[t.Instance]; ok && c.revision == t.Revision {
		return c.Client, nil
	}
	c, err := p.dial(t, "")
	if err != nil {
		return nil, err
	}
	p.clients[t.Instance] = client{c, t.Revision}
	return c, nil
}

// Forget implements [monitor.Prober].
func (p *Prober) Forget(id odcm.InstanceID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.clients, id)
}

// Ping implements [monitor.Prober]: GET /api/octopusservernodes/ping.
func (p *Prober) Ping(ctx context.Context, t monitor.Target) (monitor.Pong, error) {
	c, err := p.client(t)
	if err != nil {
		return monitor.Pong{}, err
	}
	pong, err := c.Ping(ctx)
	return monitor.Pong{Code: pong.Status, Took: pong.Took}, err
}

// Inspect implements [monitor.Prober]. The version is public; nodes, licence and maintenance need permissions of the system
// that a key may lack, which makes them unknown and is no fault.
func (p *Prober) Inspect(ctx context.Context, t monitor.Target) (d monitor.Detail, err error) {
	defer odcm.Wrap(&err, "inspect %s", t.Instance)
	key, err := t.Key(ctx)
	if err != nil {
		return d, err
	}
	c, err := p.dial(t, key)
	if err != nil {
		return d, err
	}
	root, err := c.Root(ctx)
	if err != nil && odcm.KindOf(err) != odcm.Unsupported { // too old is told by its version
		return d, err
	}
	d.Version = string(root.Version())
	if _, err := c.Me(ctx); err != nil { // tells a key that is not accepted from one that lacks a permission
		return d, err
	}
	maintenance, err := c.Maintenance(ctx)
	if err != nil && !lacks(err) {
		return d, err
	}
	d.Maintenance = err == nil && maintenance.On()
	nodes, err := c.Nodes(ctx)
	if err != nil && !lacks(err) {
		return d, err
	}
	if err == nil {
		for _, n := range nodes.Nodes() {
			d.Nodes = append(d.Nodes, monitor.Node{Name: n.Text("Name"), Leader: n.IsLeader(), Offline: n.IsOffline(), Draining: n.IsDraining(),
				Tasks: n.RunningTasks(), TaskCap: n.TaskCap(), LastSeen: n.LastSeen()})
		}
	}
	licence, err := c.LicenceStatus(ctx)
	if err != nil {
		if lacks(err) {
			err = nil
		}
		return d, err
	}
	l := &monitor.Licence{Kind: licence.Kind(), Compliant: licence.IsCompliant() || !licence.Has("IsCompliant")} // servers older than 2023 do not say
	if days, expires := licence.ExpiresInDays(); expires {
		l.DaysLeft = &days
	}
	for _, limit := range licence.Limits() {
		l.Limits = append(l.Limits, monitor.Limit{Name: limit.Name, Used: int(limit.CurrentUsage), Allowed: int(limit.EffectiveLimit), Unlimited: limit.IsUnlimited})
	}
	d.Licence = l
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
