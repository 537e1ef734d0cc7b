package space

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"odcm"
)

// board keeps the lines of all Spaces. It reads the database when it begins, after a hint for those that changed, and wholly
// from time to time, because hints may be lost.
type board struct {
	mu       sync.Mutex
	lines    map[odcm.SpaceID]*Line
	sorted   []*Line               // trouble first; replaced, never changed
	stale    map[odcm.SpaceID]bool // changed here: read before anybody looks
	hinted   map[odcm.SpaceID]bool // changed somewhere: read soon
	read     time.Time             // when all of it was read; zero before
	followed bool                  // hints come
	choices  Choices               // of chosen, once somebody asked
	chosen   []*Line
	lost     bool // some may not have: all is to be read
}

func newBoard() board {
	return board{lines: map[odcm.SpaceID]*Line{}, stale: map[odcm.SpaceID]bool{}, hinted: map[odcm.SpaceID]bool{}}
}

const (
	// boardGather is how long a hint waits for others: what changes together is often thousands.
	boardGather = 50 * time.Millisecond
	// boardRest is how much time passes at least between two tellings that the board changed.
	boardRest = time.Second
	// boardFor is how long the board is believed without having been read wholly.
	boardFor = 5 * time.Minute
	// boardChunk is how many changed Spaces are read at once.
	boardChunk = 500
)

// FollowBoard keeps the board up to date until ctx ends: hints are what Bus.Subscribe("space") gives. It calls changed when
// the board has become another, at most once a second.
func (s *Service) FollowBoard(ctx context.Context, hints <-chan string, changed func()) error {
	s.board.follow(true)
	defer s.board.follow(false)
	whole := time.NewTicker(boardFor)
	defer whole.Stop()
	gather, rest := time.NewTimer(0), time.NewTimer(0)
	defer gather.Stop()
	defer rest.Stop()
	var told []*Line
	waiting, resting := true, true
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case topic, ok := <-hints:
			if !ok {
				<-ctx.Done()
				return ctx.Err()
			}
			s.board.hint(topic)
			if !waiting {
				waiting = true
				gather.Reset(boardGather)
			}
			continue
		case <-gather.C:
			waiting = false
			if err := s.readHinted(ctx); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "read the board", "error", err)
				waiting = true
				gather.Reset(boardRest)
			}
		case <-whole.C:
			if err := s.readBoard(ctx); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "read the board anew", "error", err)
			}
		case <-rest.C:
			resting = false
		}
		if now := s.board.latest(); !resting && !slices.Equal(told, now) {
			told, resting = now, true
			rest.Reset(boardRest)
			changed()
		}
	}
}

func (b *board) follow(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.followed = on
}

func (b *board) latest() []*Line {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sorted
}

// expire notes what was changed here, so that whoever did it sees it.
func (b *board) expire(topics ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, topic := range topics {
		if id, ok := strings.CutPrefix(topic, Topic("")); ok && b.followed {
			b.stale[odcm.SpaceID(id)] = true
		}
	}
}

// hint notes what the bus says has changed.
func (b *board) hint(topic string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if id, ok := strings.CutPrefix(topic, Topic("")); ok {
		b.hinted[odcm.SpaceID(id)] = true
	} else if topic == everything {
		b.lost = true
	}
}

// everything is the topic that means that hints may have been lost (kit/signal).
const everything = "*"

// lines returns the lines of all Spaces, trouble first. Whoever asks waits for the database only at the beginning, and after
// a change that was made here.
func (s *Service) lines(ctx context.Context) ([]*Line, error) {
	b := &s.board
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.followed || b.read.IsZero():
		read, err := s.readLines(ctx, nil)
		if err != nil {
			return nil, err
		}
		clear(b.stale)
		b.replace(read, s.o.Now())
	case len(b.stale) > 0:
		ids := slices.Collect(maps.Keys(b.stale))
		read, err := s.readLines(ctx, ids)
		if err != nil {
			return nil, err
		}
		clear(b.stale)
		b.change(ids, read)
	}
	return b.sorted, nil
}

// readHinted reads what hints have told of, some at a time. What cannot be read waits on.
func (s *Service) readHinted(ctx context.Context) error {
	b := &s.board
	b.mu.Lock()
	ids, whole := slices.Collect(maps.Keys(b.hinted)), b.lost || b.read.IsZero()
	clear(b.hinted)
	b.mu.Unlock()
	if whole {
		return s.readBoard(ctx)
	}
	for part := range slices.Chunk(ids, boardChunk) {
		read, err := s.readLines(ctx, part)
		b.mu.Lock()
		if err == nil {
			b.change(part, read)
		} else {
			for _, id := range ids {
				b.hinted[id] = true
			}
		}
		b.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// readBoard reads all without holding up who looks at the board meanwhile. What changes while it reads is hinted, and read again.
func (s *Service) readBoard(ctx context.Context) error {
	b := &s.board
	b.mu.Lock()
	b.lost = false
	b.mu.Unlock()
	read, err := s.readLines(ctx, nil)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.lost = true
		return err
	}
	b.replace(read, s.o.Now())
	return nil
}

// replace puts what was read in place of all. A line that has not changed stays the same one.
func (b *board) replace(read map[odcm.SpaceID]*Line, now time.Time) {
	for id, l := range read {
		if old, ok := b.lines[id]; ok && *old == *l {
			read[id] = old
		}
	}
	b.lines, b.read = read, now
	b.sorted = slices.SortedFunc(maps.Values(read), byTrouble)
}

// change puts what was read of some in place: those that were not found are gone.
func (b *board) change(ids []odcm.SpaceID, read map[odcm.SpaceID]*Line) {
	different := map[*Line]bool{}
	var came []*Line
	for _, id := range ids {
		old, l := b.lines[id], read[id]
		if old != nil && l != nil && *old == *l || old == l {
			continue
		}
		if old != nil {
			different[old] = true
			delete(b.lines, id)
		}
		if l != nil {
			came = append(came, l)
			b.lines[id] = l
		}
	}
	if len(different)+len(came) == 0 {
		return
	}
	sorted := make([]*Line, 0, len(b.lines))
	for _, l := range b.sorted {
		if !different[l] {
			sorted = append(sorted, l)
		}
	}
	b.sorted = append(sorted, came...)
	slices.SortFunc(b.sorted, byTrouble)
}

// readLines reads the lines of the Spaces, of all if ids is nil.
func (s *Service) readLines(ctx context.Context, ids []odcm.SpaceID) (map[odcm.SpaceID]*Line, error) {
	read, err := s.o.Store.Lines(ctx, ids)
	if err != nil {
		return nil, err
	}
	found := make(map[odcm.SpaceID]*Line, len(read))
	known := make([]odcm.SpaceID, 0, len(read))
	hosted := false
	for i := range read {
		l := &read[i]
		found[l.ID] = l
		known = append(known, l.ID)
		hosted = hosted || l.Machine != ""
	}
	machines := map[odcm.ServerID]string{}
	if hosted {
		servers, err := s.o.Host.Servers(ctx)
		if err != nil {
			return nil, err
		}
		for _, m := range servers {
			machines[m.ID] = m.Name
		}
	}
	health, err := s.o.Monitor.HealthOf(ctx, known)
	if err != nil {
		return nil, err
	}
	for _, l := range found {
		machine, _ := placeOf(l.URL)
		l.Server = cmp.Or(machines[l.Machine], machine)
		if h, ok := health[l.ID]; ok {
			l.Status, l.Since, l.Version = h.Status, h.Since, cmp.Or(h.Version, l.Version)
			if l.State == StateActive {
				l.Reason = h.Reason
			}
		}
		l.shown = shownOf(l)
	}
	return found, nil
}
