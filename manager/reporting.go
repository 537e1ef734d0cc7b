package manager

import (
	"context"

	"odcm"
	"odcm/kit/lease"
	"odcm/manager/report"
	"odcm/manager/report/collect"
	"odcm/manager/report/reporthttp"
	"odcm/manager/report/reportoctopus"
	"odcm/manager/report/reportsql"
	"odcm/manager/report/schedule"
	"odcm/manager/report/schedule/schedulesql"
	"odcm/manager/report/summary"
	"odcm/manager/report/upkeep"
	"odcm/octopus/octoclient"
)

// reporting is the report room: what it collects, what it tells, what it sends.
type reporting struct {
	collector *collect.Collector
	reports   *summary.Service
	schedules *schedule.Service
	upkeep    upkeep.Upkeep
}

func (m *Manager) openReports(ctx context.Context, authorizer odcm.Authorizer, leases *lease.Store, budgets *octoclient.Budgets) (*reporting, error) {
	facts, err := reportsql.New(ctx, m.db)
	if err != nil {
		return nil, err
	}
	schedules, err := schedulesql.New(ctx, m.db, m.events, m.outbox)
	if err != nil {
		return nil, err
	}
	r := &reporting{}
	r.collector = collect.New(collect.Options{Store: facts, Connect: collected{m}.connect, Spaces: collected{m}, Owner: m.shards, Logger: m.log})
	r.reports = summary.New(summary.Options{Store: facts, Access: watching{m.space, reach{m}}, Directory: collected{m}, Fleet: collected{m}, Authorizer: authorizer, Logger: m.log})
	r.schedules = schedule.New(schedule.Options{Store: schedules, Reports: r.reports, People: collected{m}, Post: m.outbox, Authorizer: authorizer,
		PublicURL: func() string { return m.o.PublicURL }, Leases: leases, Replica: m.o.Replica, Logger: m.log})
	r.upkeep = upkeep.Upkeep{Keeper: facts, Meter: metered{budgets}, Events: m.events, Leases: leases, Replica: m.o.Replica, Logger: m.log}
	return r, nil
}

func (m *Manager) showReports(r *reporting) {
	reporthttp.Register(reporthttp.Options{Site: m.site, Reports: r.reports, Schedules: r.schedules})
}

// collected tells the report room what others know: which Spaces there are and how they are, and who somebody is.
type collected struct{ m *Manager }

func (c collected) Spaces(ctx context.Context) (all []collect.Space, err error) {
	for e, err := range active(ctx, c.m.space) {
		if err != nil {
			return nil, err
		}
		all = append(all, collect.Space{ID: e.ID, Name: e.Name})
	}
	return all, nil
}

func (c collected) connect(ctx context.Context, id odcm.SpaceID) (collect.Source, error) {
	place, err := places(c).Place(ctx, id)
	if err != nil {
		return nil, err
	}
	client, err := places(c).connect(ctx, place.Instance)
	if err != nil {
		return nil, err
	}
	return reportoctopus.New(client, place.Octopus), nil
}

func (c collected) Describe(ctx context.Context) (map[odcm.SpaceID]summary.Described, error) {
	all := map[odcm.SpaceID]summary.Described{}
	for e, err := range active(ctx, c.m.space) {
		if err != nil {
			return nil, err
		}
		d := summary.Described{Name: e.Name, Slug: e.Slug, Server: e.URL}
		if u, err := octoclient.ParseURL(e.URL); err == nil { // as budgets have it
			d.Server = u.String()
		}
		all[e.ID] = d
	}
	return all, nil
}

func (c collected) Servers(ctx context.Context, spaces []odcm.SpaceID) (map[odcm.SpaceID]summary.Server, error) {
	known, err := c.m.monitor.HealthOf(ctx, spaces)
	all := make(map[odcm.SpaceID]summary.Server, len(known))
	for id, h := range known {
		s := summary.Server{Version: h.Version}
		if l := h.Licence; l != nil {
			s.Licence = &summary.Licence{Kind: l.Kind, DaysLeft: l.DaysLeft}
			for _, limit := range l.Limits {
				s.Licence.Limits = append(s.Licence.Limits, summary.Limit{Name: limit.Name, Used: limit.Used, Allowed: limit.Allowed, Unlimited: limit.Unlimited})
			}
		}
		all[id] = s
	}
	return all, err
}

func (c collected) Principal(ctx context.Context, id odcm.UserID) (odcm.Principal, error) {
	u, err := c.m.identity.Get(ctx, odcm.System, id)
	if err == nil && u.Disabled {
		err = odcm.E(odcm.Denied, "report.owner-disabled", "%s, to whom this schedule belongs, is disabled.", u.Username)
	}
	return odcm.Principal{User: u.ID, Name: u.Username, Roles: u.Roles, Via: "system"}, err
}

// metered tells what was asked of servers.
type metered struct{ budgets *octoclient.Budgets }

func (m metered) Usage() map[string]report.Usage {
	all := map[string]report.Usage{}
	for server, u := range m.budgets.Usage() {
		all[server] = report.Usage{People: u.Interactive, Background: u.Background, Pings: u.Pings, Retries: u.Retries, Limited: u.Limited}
	}
	return all
}
