package manager

import (
	"context"
	"time"

	"odcm"
	"odcm/manager/fleet"
	"odcm/manager/space"
)

// host lets the space room launch instances on the fleet.
type host struct{ fleet *fleet.Service }

var _ space.Host = host{}

func (h host) Servers(ctx context.Context) ([]space.Server, error) {
	servers, err := h.fleet.Servers(ctx)
	found := make([]space.Server, 0, len(servers))
	now := time.Now()
	for _, s := range servers {
		room, reason := s.Room(now)
		found = append(found, space.Server{ID: s.ID, Name: s.Name, Online: s.Online(now), Instances: s.Counts.Instances, Capacity: room, Reason: reason})
	}
	return found, err
}

func (h host) Versions(ctx context.Context) ([]space.Version, error) {
	versions, err := h.fleet.Versions(ctx)
	found := make([]space.Version, 0, len(versions))
	for i, v := range versions {
		found = append(found, space.Version{Number: v.Number, Product: "Space server", Default: i == 0})
	}
	return found, err
}

func (h host) Launch(ctx context.Context, l space.Launch) error {
	_, err := h.fleet.Launch(ctx, odcm.System, fleet.Spec{
		ID: l.Instance, Name: l.Name, Server: l.Server, Version: l.Version, Administrator: fleet.Administrator{APIKey: string(l.APIKey)},
	})
	return err
}

func (h host) Observe(ctx context.Context, id odcm.InstanceID) (space.Observed, error) {
	i, err := h.fleet.Observe(ctx, id)
	if err != nil {
		return space.Observed{}, err
	}
	o := space.Observed{URL: i.Observed.URL, Doing: i.Observed.Reason, Server: i.Server, Since: i.Observed.Since}
	switch i.Observed.State {
	case fleet.StatePending:
		o.Phase = space.PhasePending
	case fleet.StateStarting, fleet.StateBackoff: // it is being tried again
		o.Phase = space.PhaseStarts
	case fleet.StateRunning:
		o.Phase = space.PhaseRuns
	case fleet.StateFailed:
		o.Phase = space.PhaseFails
	case fleet.StateStopped, fleet.StateRemoved:
		o.Phase = space.PhaseStops
	}
	return o, nil
}

func (h host) Retire(ctx context.Context, id odcm.InstanceID, keepData bool) error {
	return h.fleet.Retire(ctx, odcm.System, id, keepData)
}
