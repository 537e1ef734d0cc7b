package monitor

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"odcm"
)

// Board is the health of all Spaces, without details, at one time. It is shared: nobody changes it.
type Board struct {
	Spaces map[odcm.SpaceID]Health
	Read   time.Time
	// Tag is another one whenever a status, a reason or a Space is: good for an ETag. No other process has the same.
	Tag string
}

// board keeps the latest Board. It is read whole at first and now and then, and changed by what is saved here and, on the hint
// of another replica, read for single Spaces: an answer waits for nothing.
type board struct {
	mu      sync.Mutex
	latest  *Board // nil until somebody asks
	reading bool
	process uint64
	edition uint64
	hinted  map[odcm.SpaceID]bool // to be read anew
	all     bool                  // likewise everything
}

const (
	// boardFor is how long a board is believed where no hint says otherwise.
	boardFor = time.Minute
	// hintsAtOnce is how many Spaces are read one by one rather than all.
	hintsAtOnce = 1000
)

// hint tells that a Space is different, "" that any may be.
func (b *board) hint(id odcm.SpaceID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.latest == nil && !b.reading:
	case b.latest == nil || id == "" || len(b.hinted) >= hintsAtOnce:
		b.all = true
	default:
		if b.hinted == nil {
			b.hinted = map[odcm.SpaceID]bool{}
		}
		b.hinted[id] = true
	}
}

// apply takes in what was saved.
func (b *board) apply(changes []Change) {
	next := make(map[odcm.SpaceID]Health, len(changes))
	for _, c := range changes {
		c.Health.Detail = Detail{}
		next[c.Space.ID] = c.Health
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.merge(next, nil)
}

// drop takes Spaces away that are not watched any more.
func (b *board) drop(ids []odcm.SpaceID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.merge(nil, ids)
}

// merge makes the next board. It wants the lock held.
func (b *board) merge(next map[odcm.SpaceID]Health, gone []odcm.SpaceID) {
	if b.latest == nil {
		b.all = b.reading // what is being read may be older
		return
	}
	different := false
	for id, h := range next {
		old, known := b.latest.Spaces[id]
		different = different || !known || old.Status != h.Status || old.Reason != h.Reason || !old.Since.Equal(h.Since)
	}
	for _, id := range gone {
		_, known := b.latest.Spaces[id]
		different = different || known
	}
	if !different {
		return
	}
	spaces := maps.Clone(b.latest.Spaces)
	maps.Copy(spaces, next)
	for _, id := range gone {
		delete(spaces, id)
	}
	b.set(spaces, b.latest.Read)
}

func (b *board) set(spaces map[odcm.SpaceID]Health, read time.Time) {
	if b.process == 0 {
		b.process = rand.Uint64() | 1
	}
	b.edition++
	b.latest = &Board{Spaces: spaces, Read: read, Tag: fmt.Sprintf("%x-%d", b.process, b.edition)}
}

// Statuses returns the health of every Space that the principal may see. For those who may see all, it is the same Board
// while nothing changes.
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
	part := &Board{Spaces: map[odcm.SpaceID]Health{}, Read: latest.Read, Tag: latest.Tag}
	for _, id := range these {
		if h, ok := latest.Spaces[id]; ok {
			part.Spaces[id] = h
		}
	}
	return part, nil
}

// latest is the board of all Spaces. Where hints came, their Spaces are read first, by one of those who ask at once.
func (s *Service) latest(ctx context.Context) (*Board, error) {
	b := &s.board
	b.mu.Lock()
	latest, hinted := b.latest, b.hinted
	whole := latest == nil || b.all || s.now().Sub(latest.Read).Abs() > boardFor
	if latest != nil && (b.reading || !whole && len(hinted) == 0) {
		b.mu.Unlock()
		return latest, nil
	}
	edition := b.edition
	b.reading, b.hinted, b.all = true, nil, false
	b.mu.Unlock()
	next, err := s.readBoard(ctx, whole, hinted)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading = false
	switch {
	case err != nil:
		b.all = true
		return nil, err
	case !whole:
		b.merge(next, missing(hinted, next))
	case b.latest != nil && b.edition != edition: // what was saved meanwhile is newer than what was read: read again next time
		b.all = true
	case b.latest != nil && sameStatuses(b.latest.Spaces, next):
		again := *b.latest
		again.Read = s.now()
		b.latest = &again
	default:
		b.set(next, s.now())
	}
	return b.latest, nil
}

func (s *Service) readBoard(ctx context.Context, whole bool, hinted map[odcm.SpaceID]bool) (map[odcm.SpaceID]Health, error) {
	if whole {
		return s.o.Store.All(ctx)
	}
	ids := make([]odcm.SpaceID, 0, len(hinted))
	for id := range hinted {
		ids = append(ids, id)
	}
	return s.o.Store.Brief(ctx, ids)
}

// missing lists what was asked for and is not there.
func missing(wanted map[odcm.SpaceID]bool, found map[odcm.SpaceID]Health) (ids []odcm.SpaceID) {
	for id := range wanted {
		if _, ok := found[id]; !ok {
			ids = append(ids, id)
		}
	}
	return ids
}

func sameStatuses(a, b map[odcm.SpaceID]Health) bool {
	return maps.EqualFunc(a, b, func(x, y Health) bool {
		return x.Status == y.Status && x.Reason == y.Reason && x.Since.Equal(y.Since)
	})
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
