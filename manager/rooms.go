package manager

import (
	"context"
	"fmt"
	"iter"

	"odcm"
	"odcm/kit/egress"
	"odcm/kit/lease"
	"odcm/kit/reconcile"
	"odcm/kit/seal"
	"odcm/manager/audit"
	"odcm/manager/fleet"
	"odcm/manager/fleet/fleetagents"
	"odcm/manager/fleet/fleetsql"
	"odcm/manager/licence"
	"odcm/manager/licence/licencesql"
	"odcm/manager/monitor"
	"odcm/manager/monitor/monitoroctopus"
	"odcm/manager/monitor/monitorsql"
	"odcm/manager/space"
	"odcm/manager/space/spaceoctopus"
	"odcm/manager/space/spacesql"
	"odcm/octopus/octoclient"
)

// openRooms makes each room with what it needs, and fills the interfaces by which they meet.
func (m *Manager) openRooms(ctx context.Context) error {
	sealer, err := seal.Open(ctx, m.db, seal.Options{KeyFile: m.o.KeyFile, KeyBase64: m.o.Key})
	if err != nil {
		return err
	}
	m.sealer = sealer
	leases, err := lease.New(ctx, m.db)
	if err != nil {
		return err
	}
	m.leases = leases
	authorizer := m.authorizer

	servers, err := fleetsql.New(ctx, m.db, m.events)
	if err != nil {
		return err
	}
	m.fleet, err = fleet.New(ctx, fleet.Options{Store: servers, Enrolments: servers, Sealer: sealer, Authorizer: authorizer, Bus: m.bus, Logger: m.log})
	if err != nil {
		return err
	}
	m.closers = append(m.closers, func() error { m.fleet.Close(); return nil })
	m.agents, err = fleetagents.New(fleetagents.Options{Listener: m.agentListener, Fleet: m.fleet, Logger: m.log})
	if err != nil {
		return err
	}

	guard := egress.New(m.o.Egress, egress.Limits{})
	client := octoclient.Options{UserAgent: "odcm/" + m.o.Version, Logger: m.log, MaxBody: maxAnswer}
	budgets := octoclient.NewBudgets(octoclient.Limits{})
	m.octopus = spaceoctopus.New(spaceoctopus.Options{Guard: guard, Budgets: budgets, Client: client})
	if err := m.openIdentity(ctx, sealer, authorizer, leases, guard); err != nil {
		return err
	}
	if err := m.openAccess(ctx, sealer, authorizer, guard); err != nil {
		return err
	}

	spaces, err := spacesql.New(ctx, m.db, m.events, m.tasks, sealer)
	if err != nil {
		return err
	}
	m.space = space.New(space.Options{
		Store: spaces, Octopus: m.octopus, Host: host{m.fleet}, Monitor: health{m}, Access: reach{m}, Authorizer: authorizer,
		SignOn: m.signOn, Accounts: accounts{m.roster, m.push, m.octopus},
		Signals: m.bus, PublicURL: func() string { return m.o.PublicURL }, Logger: m.log, ProveWithin: m.o.ProveWithin,
		Heard: func(id odcm.SpaceID) { m.reconciler.Wake(string(id)); m.reporting.collector.Wake(id) },
	})
	m.space.Register(m.tasks)

	statuses, err := monitorsql.New(ctx, m.db, m.events)
	if err != nil {
		return err
	}
	watching := monitor.Options{
		Store: statuses, Prober: monitoroctopus.New(guard, budgets), Targets: targets{m.space}, Owner: m.shards, Bus: m.bus,
		Authorizer: authorizer, Access: watching{m.space, reach{m}}, Machines: machines{m.fleet}, Every: m.o.ProbeEvery, Replica: m.o.Replica, Logger: m.log,
	}
	if m.db.Postgres() { // on SQLite there is no other replica to ask
		watching.Ballots = statuses.Ballots()
	}
	m.monitor = monitor.New(watching)
	m.metrics.MustRegister(m.monitor.Collector())

	entitlements, err := licencesql.New(ctx, m.db, m.events)
	if err != nil {
		return err
	}
	m.licence = licence.New(licence.Options{Store: entitlements, Servers: licences{m}, Authorizer: authorizer})

	m.audit = audit.New(audit.Options{Log: m.events, Authorizer: authorizer, Leases: leases, Replica: m.o.Replica, Logger: m.log})

	if m.reporting, err = m.openReports(ctx, authorizer, leases, budgets); err != nil {
		return err
	}

	if m.alerting, err = m.openAlerts(ctx, leases, guard); err != nil {
		return err
	}

	m.reconciler = reconcile.New(reconcile.Options{
		Owns: m.shards.Owns, Changed: m.shards.Changed, Keys: m.spaceKeys, Logger: m.log,
	}, m.space.Webhook(), m.pointer, m.push) // where people sign in is known before their accounts are made
	return nil
}

// maxAnswer bounds what is read of one answer of an Octopus server: lists of its Spaces and subscriptions are far shorter.
const maxAnswer = 8 << 20

// active yields every Space that is to be reconciled and probed.
func active(ctx context.Context, spaces *space.Service) iter.Seq2[space.Entry, error] {
	return func(yield func(space.Entry, error) bool) {
		const limit = 500
		var after space.Position
		for {
			page, err := spaces.Active(ctx, after, limit)
			if err != nil {
				yield(space.Entry{}, fmt.Errorf("list active Spaces: %w", err))
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
			}
			if len(page) < limit {
				return
			}
			after = page[len(page)-1].Position()
		}
	}
}

// spaceKeys are the keys of the reconciler.
func (m *Manager) spaceKeys(ctx context.Context) ([]string, error) {
	var keys []string
	for e, err := range active(ctx, m.space) {
		if err != nil {
			return nil, err
		}
		keys = append(keys, string(e.ID))
	}
	return keys, nil
}
