package space

import (
	"context"

	"odcm"
)

// Location is where a Space is: for the roof, which tells other rooms. It holds no secret.
type Location struct {
	Space
	URL string
}

// Locate finds a Space by id or slug, whoever asks: rooms that use it decide who may know of it.
func (s *Service) Locate(ctx context.Context, ref string) (Location, error) {
	sp, in, err := s.both(ctx, odcm.SpaceID(ref))
	return Location{sp, in.URL}, err
}

// LocateOn lists the Spaces of an instance.
func (s *Service) LocateOn(ctx context.Context, id odcm.InstanceID) ([]Location, error) {
	in, err := s.o.Store.Instance(ctx, id)
	if err != nil {
		return nil, err
	}
	on, err := s.o.Store.On(ctx, id)
	found := make([]Location, len(on))
	for i, sp := range on {
		found[i] = Location{sp, in.URL}
	}
	return found, err
}

// InstanceConnection tells adapters at the roof how to reach a server. It holds the key.
func (s *Service) InstanceConnection(ctx context.Context, id odcm.InstanceID) (Connection, error) {
	in, err := s.o.Store.Instance(ctx, id)
	return in.Connection(), err
}
