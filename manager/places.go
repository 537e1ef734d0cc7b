package manager

import (
	"context"

	"odcm"
	"odcm/manager/access"
	"odcm/manager/space"
	"odcm/octopus/octoclient"
)

// places tells the access and sso rooms what the space room knows.
type places struct{ m *Manager }

var _ access.Places = places{}

func place(l space.Location) access.Place {
	return access.Place{Space: l.ID, Instance: l.Instance, Octopus: l.Octopus, Name: l.Name, Slug: l.Slug, URL: l.URL, Active: l.State == space.StateActive}
}

func (p places) Place(ctx context.Context, id odcm.SpaceID) (access.Place, error) {
	return p.FindPlace(ctx, string(id))
}

func (p places) FindPlace(ctx context.Context, ref string) (access.Place, error) {
	l, err := p.m.space.Locate(ctx, ref)
	if odcm.KindOf(err) == odcm.NotFound { // perhaps it is called so
		l, err = p.m.space.Locate(ctx, space.Slug(ref))
	}
	return place(l), err
}

func (p places) On(ctx context.Context, id odcm.InstanceID) ([]access.Place, error) {
	on, err := p.m.space.LocateOn(ctx, id)
	found := make([]access.Place, len(on))
	for i, l := range on {
		found[i] = place(l)
	}
	return found, err
}

func (p places) Places(ctx context.Context) (all []access.Place, err error) {
	for e, err := range active(ctx, p.m.space) {
		if err != nil {
			return nil, err
		}
		all = append(all, place(space.Location{Space: e.Space, URL: e.URL}))
	}
	return all, nil
}

// InstanceOf implements what the sso room wants to know of a Space.
func (p places) InstanceOf(ctx context.Context, id odcm.SpaceID) (odcm.InstanceID, string, error) {
	l, err := p.m.space.Locate(ctx, string(id))
	if err == nil && l.State != space.StateActive {
		err = odcm.E(odcm.NotFound, "space.not-active", "%s is not managed at this moment.", l.Name)
	}
	return l.Instance, l.Name, err
}

// connect makes a client of an instance's server.
func (p places) connect(ctx context.Context, id odcm.InstanceID) (*octoclient.Client, error) {
	c, err := p.m.space.InstanceConnection(ctx, id)
	if err != nil {
		return nil, err
	}
	return p.m.octopus.Client(c)
}

// reach tells the space room which Spaces somebody may see.
type reach struct{ m *Manager }

var _ space.Access = reach{}

func (r reach) Reach(ctx context.Context, p odcm.Principal) (space.Reach, error) {
	all, spaces := r.m.access.Reach(ctx, p)
	return space.Reach{All: all, Spaces: spaces}, nil
}
