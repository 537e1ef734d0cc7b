package monitor

import (
	"context"
	"sync"
	"time"

	"odcm"
)

// Board is the health of all Spaces, without details, at one time. It is shared: nobody changes it.
type Board struct {
	Spaces map[odcm.SpaceID]Health
	Read   time.Time
}

// board caches the latest Board.
type board struct {
	mu     sync.Mutex
	latest *Board // nil where it must be read
	epoch  uint64
}

func (b *board) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.latest = nil
	b.epoch++
}

// boardFor is how long the board is believed where no hint says otherwise.
const boardFor = 10 * time.Second

// Statuses returns the health of every Space that the principal may see. For those who may see all, it is the same Board
// for some seconds while nothing changes.
func (s *Service) Statuses(ctx context.Context, p odcm.Principal) (_ *Board, err error) {
	defer odcm.Wrap(&err, "list statuses")
	if err := s.o.Authorizer.Authorize(ctx, p, ActionRead, ""); err != nil {
		return nil, err
	}
	all, these, err := s.o.Access.Reach(ctx, p)
	if err != nil {
		return nil, err
	}
	latest, err := s.latest(ctx)
	if err != nil || all {
		return latest, err
	}
	part := &Board{Spaces: map[odcm.SpaceID]Health{}, Read: latest.Read}
	for _, id := range these {
		if h, ok := latest.Spaces[id]; ok {
			part.Spaces[id] = h
		}
	}
	return part, nil
}

// latest is the board of all Spaces, read anew where it is old.
func (s *Service) latest(ctx context.Context) (*Board, error) {
	now := s.now()
	s.board.mu.Lock()
	latest, epoch := s.board.latest, s.board.epoch
	s.board.mu.Unlock()
	if latest != nil && now.Sub(latest.Read) < boardFor {
		return latest, nil
	}
	all, err := s.o.Store.All(ctx)
	if err != nil {
		return nil, err
	}
	latest = &Board{all, now}
	s.board.mu.Lock()
	if s.board.epoch == epoch { // nothing changed while it was read
		s.board.latest = latest
	}
	s.board.mu.Unlock()
	return latest, nil
}

// HealthOf tells the latest health of each Space, and leaves out those that were never probed. It asks for no permission:
// callers show the Spaces that they may show.
func (s *Service) HealthOf(ctx context.Context, spaces []odcm.SpaceID) (map[odcm.SpaceID]Health, error) {
	return s.o.Store.HealthOf(ctx, spaces)
}

// InStatus lists the Spaces that are in one of the statuses. It asks for no permission, as HealthOf.
func (s *Service) InStatus(ctx context.Context, statuses []Status) ([]odcm.SpaceID, error) {
	return s.o.Store.InStatus(ctx, statuses)
}
