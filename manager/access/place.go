package access

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"odcm"
)

// places are the Spaces of one moment.
type places struct {
	sorted []Place // by name
	byID   map[odcm.SpaceID]Place
	on     map[odcm.InstanceID][]odcm.SpaceID
}

// placeCache keeps the Spaces until a hint says that one came, went or was renamed: a sign-in asks for them each time.
type placeCache struct {
	mu      sync.Mutex
	kept    *places
	forgets int // counts, so that what was read before a hint is not kept after it
}

func (c *placeCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = nil
	c.forgets++
}

func (s *Service) allPlaces(ctx context.Context) (*places, error) {
	c := &s.places
	c.mu.Lock()
	kept, forgets := c.kept, c.forgets
	c.mu.Unlock()
	if kept != nil {
		return kept, nil
	}
	all, err := s.o.Places.Places(ctx)
	if err != nil {
		return nil, err
	}
	kept = &places{sorted: slices.Clone(all), byID: make(map[odcm.SpaceID]Place, len(all)), on: map[odcm.InstanceID][]odcm.SpaceID{}}
	slices.SortFunc(kept.sorted, func(a, b Place) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), cmp.Compare(a.Space, b.Space))
	})
	for _, p := range kept.sorted {
		kept.byID[p.Space] = p
		kept.on[p.Instance] = append(kept.on[p.Instance], p.Space)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.forgets == forgets {
		c.kept = kept
	}
	return kept, nil
}

// named returns the Space as people know it, or with its identifier for a name where it is not known.
func (p *places) named(id odcm.SpaceID) Place {
	if known, ok := p.byID[id]; ok {
		return known
	}
	return Place{Space: id, Name: string(id)}
}

// forgetGone forgets what the store has of Spaces that are no longer under management.
func (s *Service) forgetGone(ctx context.Context) error {
	all, err := s.allPlaces(ctx)
	if err != nil {
		return err
	}
	for id := range s.index.Load().spaces {
		if _, listed := all.byID[id]; listed {
			continue
		}
		_, err := s.o.Places.Place(ctx, id) // a list may be of a moment before
		switch odcm.KindOf(err) {
		case "":
		case odcm.NotFound:
			if err := s.o.Store.Forget(ctx, id); err != nil {
				return err
			}
			s.o.Bus.Publish(Topic(id))
		default:
			return err
		}
	}
	return s.Refresh(ctx)
}
