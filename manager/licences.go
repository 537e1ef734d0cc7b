package manager

import (
	"context"
	"fmt"

	"odcm"
	"odcm/manager/licence"
	"odcm/manager/monitor"
	"odcm/manager/space"
)

// licences tells the licence room what every server last said of its licence.
type licences struct{ m *Manager }

var _ licence.Servers = licences{}

// Licences implements [licence.Servers]. A server that holds several Spaces is told of once.
func (l licences) Licences(ctx context.Context) ([]licence.Server, error) {
	var servers []licence.Server
	at := map[odcm.InstanceID]int{} // in servers
	var page []space.Entry
	flush := func() error {
		ids := make([]odcm.SpaceID, len(page))
		for i, e := range page {
			ids[i] = e.ID
		}
		known, err := l.m.monitor.HealthOf(ctx, ids)
		if err != nil {
			return fmt.Errorf("licences of servers: %w", err)
		}
		for _, e := range page {
			i, ok := at[e.Instance]
			if !ok {
				i = len(servers)
				at[e.Instance] = i
				servers = append(servers, licence.Server{Instance: e.Instance})
			}
			s := &servers[i]
			s.Spaces = append(s.Spaces, licence.Space{ID: e.ID, Slug: e.Slug, Name: e.Name})
			h := known[e.ID] // of the same probe for all Spaces of a server
			if s.Checked.Before(h.Checked) {
				s.Checked = h.Checked
			}
			if h.Licence != nil {
				s.Reading = inLicenceWords(*h.Licence)
			}
		}
		page = page[:0]
		return nil
	}
	for e, err := range active(ctx, l.m.space) {
		if err != nil {
			return nil, err
		}
		if page = append(page, e); len(page) == 500 {
			if err := flush(); err != nil {
				return nil, err
			}
		}
	}
	return servers, flush()
}

// inLicenceWords says in one room's words what the other knows.
func inLicenceWords(k monitor.Licence) *licence.Reading {
	r := &licence.Reading{Kind: k.Kind, Compliant: k.Compliant, DaysLeft: k.DaysLeft, Limits: make([]licence.Limit, 0, len(k.Limits))}
	for _, limit := range k.Limits {
		r.Limits = append(r.Limits, licence.Limit(limit))
	}
	return r
}
