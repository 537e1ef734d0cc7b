package manager

import (
	"context"

	"odcm"
	"odcm/manager/fleet"
	"odcm/manager/monitor"
	"odcm/manager/space"
	"odcm/manager/space/spacehttp"
)

// health tells the space room what the monitor knows.
type health struct{ m *Manager }

var _ space.Monitor = health{}

func (h health) HealthOf(ctx context.Context, ids []odcm.SpaceID) (map[odcm.SpaceID]space.Health, error) {
	known, err := h.m.monitor.HealthOf(ctx, ids)
	found := make(map[odcm.SpaceID]space.Health, len(known))
	for id, k := range known {
		found[id] = inSpaceWords(k)
	}
	return found, err
}

func (h health) InStatus(ctx context.Context, statuses []space.Status) ([]odcm.SpaceID, error) {
	wanted := make([]monitor.Status, len(statuses))
	for i, s := range statuses {
		wanted[i] = monitor.Status(s)
	}
	return h.m.monitor.InStatus(ctx, wanted)
}

// Vitals tells what else is known of the server of a Space.
func (h health) Vitals(ctx context.Context, _ odcm.Principal, id odcm.SpaceID) (spacehttp.Vitals, error) {
	all, err := h.m.monitor.HealthOf(ctx, []odcm.SpaceID{id})
	k, ok := all[id]
	if err != nil || !ok {
		return spacehttp.Vitals{}, err
	}
	var v spacehttp.Vitals
	if k.Version != "" { // it has answered
		v.Skew = &k.Skew
	}
	if k.Certificate != nil {
		v.Certificate = &k.Certificate.NotAfter
	}
	if k.Queue != nil {
		v.Queued, v.Running = &k.Queue.Waiting, &k.Queue.Executing
	}
	return v, nil
}

// inSpaceWords says in one room's words what the other knows.
func inSpaceWords(k monitor.Health) space.Health {
	v := space.Health{Status: space.Status(k.Status), Reason: k.Reason, Since: k.Since, Checked: k.Checked, Version: k.Version}
	for _, n := range k.Nodes {
		v.Nodes = append(v.Nodes, space.Node(n))
	}
	if k.Licence != nil {
		l := space.Licence{Kind: k.Licence.Kind, Compliant: k.Licence.Compliant, DaysLeft: k.Licence.DaysLeft}
		for _, limit := range k.Licence.Limits {
			l.Limits = append(l.Limits, space.Limit(limit))
		}
		v.Licence = &l
	}
	return v
}

// watching tells the monitor whom it may tell of which Space.
type watching struct {
	space *space.Service
	rule  space.Access
}

var _ monitor.Access = watching{}

func (a watching) Find(ctx context.Context, p odcm.Principal, ref string) (odcm.SpaceID, error) {
	d, err := a.space.Get(ctx, p, ref)
	return d.ID, err
}

func (a watching) Reach(ctx context.Context, p odcm.Principal) (bool, []odcm.SpaceID, error) {
	r, err := a.rule.Reach(ctx, p)
	return r.All, r.Spaces, err
}

// targets tells the monitor what to watch: every instance that holds an active Space, once.
type targets struct{ space *space.Service }

var _ monitor.Targets = targets{}

func (t targets) Targets(ctx context.Context) ([]monitor.Target, error) {
	var all []monitor.Target
	at := map[odcm.InstanceID]int{}
	for e, err := range active(ctx, t.space) {
		if err != nil {
			return nil, err
		}
		watched := monitor.Space{ID: e.ID, Name: e.Name}
		if i, known := at[e.Instance]; known {
			all[i].Spaces = append(all[i].Spaces, watched)
			continue
		}
		at[e.Instance] = len(all)
		all = append(all, monitor.Target{
			Instance: e.Instance, URL: e.URL, CA: e.TLS.CA, Thumbprint: e.TLS.Thumbprint, Revision: e.InstanceRevision,
			Spaces: []monitor.Space{watched},
			Key: func(ctx context.Context) (string, error) {
				c, _, err := t.space.Connection(ctx, e.ID)
				return string(c.APIKey), err
			},
		})
	}
	return all, nil
}

// machines tells the monitor what agents say of the machines that instances run on.
type machines struct{ fleet *fleet.Service }

var _ monitor.Machines = machines{}

func (f machines) Of(ctx context.Context, ids []odcm.InstanceID) (map[odcm.InstanceID]monitor.Machine, error) {
	servers, err := f.fleet.Servers(ctx)
	if err != nil {
		return nil, err
	}
	placed, err := f.fleet.Placed(ctx)
	if err != nil {
		return nil, err
	}
	of := make(map[odcm.ServerID]monitor.Machine, len(servers))
	for _, s := range servers {
		if c := s.Capacity; c.Disk > 0 {
			of[s.ID] = monitor.Machine{DiskTotal: size(c.Disk), DiskFree: size(c.DiskFree), MemoryTotal: size(c.Memory), MemoryFree: size(c.MemoryFree), At: s.LastSeen}
		}
	}
	all := map[odcm.InstanceID]monitor.Machine{}
	for _, id := range ids {
		if machine, known := of[placed[id]]; known {
			all[id] = machine
		}
	}
	return all, nil
}

func size(bytes int64) uint64 { return uint64(max(0, bytes)) }
