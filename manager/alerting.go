package manager

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"odcm"
	"odcm/kit/egress"
	"odcm/kit/lease"
	"odcm/manager/access"
	"odcm/manager/alert"
	"odcm/manager/alert/alertsend"
	"odcm/manager/alert/alertsql"
	"odcm/manager/alert/delivery"
	"odcm/manager/alert/desk"
	"odcm/manager/alert/watch"
	"odcm/manager/monitor"
	"odcm/octopus"
)

// alerting is the alert room: who watches, who tells, and what people ask.
type alerting struct {
	watcher *watch.Watcher
	courier *delivery.Courier
	desk    *desk.Desk
}

func (m *Manager) openAlerts(ctx context.Context, leases *lease.Store, guard *egress.Guard) (*alerting, error) {
	store, err := alertsql.New(ctx, alertsql.Options{DB: m.db, Events: m.events, Leases: leases, Outbox: m.outbox, Bus: m.bus})
	if err != nil {
		return nil, err
	}
	root := func() string { return m.o.PublicURL }
	sender := &alertsend.Sender{Guard: guard, Agent: "odcm/" + m.o.Version}
	if m.sender != nil { // a nil pointer must not become an interface
		sender.Mailer = m.sender
	}
	source := &readings{m: m}
	a := &alerting{}
	a.courier = delivery.New(delivery.Options{Store: store, Sender: sender, Sealer: m.sealer, Root: root, Logger: m.log, Metrics: m.metrics})
	a.watcher = watch.New(watch.Options{Source: source, Log: m.events, Leases: leases, Store: store, Owner: m.o.Replica + "/" + uuid.NewString(),
		Root: root, Logger: m.log, Metrics: m.metrics, ProbeEvery: m.o.ProbeEvery, PollEvery: m.o.AlertEvery})
	a.desk = desk.New(desk.Options{Store: store, Authorizer: m.authorizer, Access: alerted{watching{m.space, reach{m}}, m}, Source: source, Teller: a.courier,
		Sealer: m.sealer, Logger: m.log})
	return a, nil
}

// alerted tells the alert room whom it may tell of which Space.
type alerted struct {
	watching
	m *Manager
}

func (a alerted) Administers(ctx context.Context, p odcm.Principal, id odcm.SpaceID) bool {
	return a.m.access.Allowed(ctx, p, access.ActionMap, id)
}

// readings tells the alert room how everything is doing, in its words.
type readings struct {
	m *Manager

	mu      sync.Mutex
	details map[odcm.SpaceID]monitor.Health // of some time ago
	read    time.Time
}

// detailsFor is how long details of servers are believed: certificates and versions do not change by the second.
const detailsFor = time.Minute

// Readings implements [watch.Source] and [desk.Source]: the status of every Space and machine, and whatever else is known.
func (r *readings) Readings(ctx context.Context) ([]alert.Reading, error) {
	now := time.Now()
	servers, err := r.m.fleet.Servers(ctx)
	if err != nil {
		return nil, err
	}
	placed, err := r.m.fleet.Placed(ctx)
	if err != nil {
		return nil, err
	}
	var all []alert.Reading
	machines := make(map[odcm.ServerID]string, len(servers))
	for _, s := range servers {
		machines[s.ID] = s.Name
		subject := alert.Reading{Signal: alert.Status, Subject: string(s.ID), Kind: alert.KindServer, Name: s.Name, Labels: map[string]string{"server": s.Name}, At: now}
		state := subject
		if state.Text = "online"; !s.Online(now) {
			state.Text, state.Reason, state.At = "offline", "Its agent does not call.", s.LastSeen
		}
		all = append(all, state)
		if c := s.Capacity; c.Disk > 0 {
			all = append(all, of(subject, alert.Disk, float64(c.DiskFree)/float64(c.Disk)))
		}
	}
	board, err := r.m.monitor.Statuses(ctx, odcm.System)
	if err != nil {
		return nil, err
	}
	troubles, err := r.m.roster.Troubles(ctx, now)
	if err != nil {
		return nil, err
	}
	subjects := map[odcm.SpaceID]alert.Reading{}
	var ids []odcm.SpaceID
	for e, err := range active(ctx, r.m.space) {
		if err != nil {
			return nil, err
		}
		h := board.Spaces[e.ID]
		s := alert.Reading{Signal: alert.Status, Subject: string(e.ID), Kind: alert.KindSpace, Name: e.Name, At: now, Labels: map[string]string{"space": e.Slug}}
		if name := machines[placed[e.Instance]]; name != "" {
			s.Labels["server"] = name
		}
		if h.Version != "" {
			s.Labels["version"] = h.Version
		}
		subjects[e.ID] = s
		ids = append(ids, e.ID)
		s.Text, s.Reason, s.At = string(h.Status), h.Reason, h.Since
		all = append(all, s)
	}
	for _, t := range troubles {
		s, known := subjects[t.Space]
		if !known {
			continue
		}
		if !t.Failing.IsZero() {
			all = append(all, of(s, alert.Sync, now.Sub(t.Failing).Seconds()))
		}
		if t.Revoke > 0 {
			all = append(all, of(s, alert.Revocation, t.Revoke.Seconds()))
		}
	}
	details, err := r.detailsOf(ctx, ids, now)
	if err != nil {
		return nil, err
	}
	behind := lag(details)
	for id, s := range subjects {
		d, known := details[id]
		if !known {
			continue
		}
		if d.Certificate != nil {
			all = append(all, of(s, alert.Certificate, d.Certificate.NotAfter.Sub(now).Hours()/24))
		}
		if d.Queue != nil {
			all = append(all, of(s, alert.Queue, d.Queue.Oldest.Seconds()))
		}
		if d.Version != "" {
			all = append(all, of(s, alert.Version, float64(behind[d.Version])))
		}
	}
	return all, nil
}

// of is another signal of the same subject.
func of(subject alert.Reading, signal alert.Signal, value float64) alert.Reading {
	subject.Signal, subject.Value, subject.Text, subject.Reason = signal, value, "", ""
	return subject
}

func (r *readings) detailsOf(ctx context.Context, ids []odcm.SpaceID, now time.Time) (map[odcm.SpaceID]monitor.Health, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.read) < detailsFor && r.details != nil {
		return r.details, nil
	}
	details, err := r.m.monitor.HealthOf(ctx, ids)
	if err == nil {
		r.details, r.read = details, now
	}
	return details, err
}

// lag counts, for each version that some server runs, how many newer ones others run.
func lag(details map[odcm.SpaceID]monitor.Health) map[string]int {
	behind := map[string]int{}
	for _, d := range details {
		behind[d.Version] = 0
	}
	for v := range behind {
		for other := range behind {
			if v != other && octopus.Version(other).AtLeast(octopus.Version(v)) && !octopus.Version(v).AtLeast(octopus.Version(other)) {
				behind[v]++
			}
		}
	}
	return behind
}
