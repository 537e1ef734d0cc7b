package licence

import (
	"context"
	"crypto/ed25519"
	"slices"
	"strings"
	"sync"
	"time"

	"odcm"
)

// What one may be allowed to do.
const (
	ActionRead   odcm.Action = "licence.read"
	ActionManage odcm.Action = "licence.manage" // install and remove the entitlement
)

// Servers tells what every server that holds an active Space last said of its licence, in any order.
type Servers interface {
	Licences(ctx context.Context) ([]Server, error)
}

// Store keeps the entitlement, of which there is one.
type Store interface {
	// Installed returns what is installed; nil where there is none.
	Installed(ctx context.Context) (*Installed, error)
	// Swap puts next in the place of what is installed; nil removes that. In the same transaction decide is asked first, with what is
	// installed, and its event is committed; without an event nothing changes.
	Swap(ctx context.Context, next *Installed, decide func(before *Installed) (*odcm.Event, error)) error
}

// Options are what the room needs.
type Options struct {
	Store      Store
	Servers    Servers
	Authorizer odcm.Authorizer
	Keys       []ed25519.PublicKey // whose signatures are believed; [Published] if empty
	Now        func() time.Time    // time.Now if nil
}

// Service is the room.
type Service struct {
	o Options

	mu      sync.Mutex
	servers []Server // sorted; nil where they must be read
	read    time.Time
}

// New makes the room.
func New(o Options) *Service {
	if len(o.Keys) == 0 {
		o.Keys = Published()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Service{o: o}
}

// Overview is all in short.
type Overview struct {
	Spaces      int
	Servers     int
	States      map[State]int
	Totals      []Total
	Entitlement *Entitlement // nil where there is none
}

// Overview sums up.
func (s *Service) Overview(ctx context.Context, p odcm.Principal) (_ Overview, err error) {
	defer odcm.Wrap(&err, "licence overview")
	if err := s.o.Authorizer.Authorize(ctx, p, ActionRead, ""); err != nil {
		return Overview{}, err
	}
	servers, err := s.latest(ctx)
	if err != nil {
		return Overview{}, err
	}
	o := Overview{Servers: len(servers), States: map[State]int{}, Totals: totals(servers)}
	for _, sv := range servers {
		o.Spaces += len(sv.Spaces)
		o.States[sv.State()]++
	}
	o.Entitlement, err = s.entitlement(ctx)
	return o, err
}

// Filter chooses servers. The zero value is all of them.
type Filter struct {
	State State
	Text  string // in the name of a Space, or the kind of licence
	After Position
	Limit int
}

// PageSize is how many servers a page has where nothing else is asked for, MaxPage how many at most.
const (
	PageSize = 50
	MaxPage  = 500
)

// List lists servers, the worst first, and the position after which the next page begins; the zero position after the last page.
func (s *Service) List(ctx context.Context, p odcm.Principal, f Filter) (_ []Server, next Position, err error) {
	defer odcm.Wrap(&err, "list licences")
	if err := s.o.Authorizer.Authorize(ctx, p, ActionRead, ""); err != nil {
		return nil, next, err
	}
	if f.State != "" && !slices.Contains(States(), f.State) {
		return nil, next, odcm.E(odcm.Invalid, "licence.state-unknown", "There is no such state: choose one of the list.").OnField("state")
	}
	all, err := s.latest(ctx)
	if err != nil {
		return nil, next, err
	}
	limit := PageSize
	if f.Limit > 0 {
		limit = min(f.Limit, MaxPage)
	}
	text := strings.ToLower(strings.TrimSpace(f.Text))
	page := []Server{}
	for _, sv := range all {
		if f.State != "" && sv.State() != f.State || !sv.mentions(text) || f.After != (Position{}) && sv.position().compare(f.After) <= 0 {
			continue
		}
		if len(page) == limit {
			return page, page[limit-1].position(), nil
		}
		page = append(page, sv)
	}
	return page, next, nil
}

func (s Server) mentions(text string) bool {
	return text == "" || strings.Contains(strings.ToLower(s.Name()), text) ||
		s.Reading != nil && strings.Contains(strings.ToLower(s.Reading.Kind), text)
}

// readFor is how long what was read of all servers is believed: they say it anew every few minutes only.
const readFor = 10 * time.Second

// latest returns all servers, the worst first. Nobody changes what it returns.
func (s *Service) latest(ctx context.Context) ([]Server, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.o.Now()
	if age := now.Sub(s.read); s.servers != nil && age >= 0 && age < readFor {
		return s.servers, nil
	}
	servers, err := s.o.Servers.Licences(ctx)
	if err != nil {
		return nil, err
	}
	sorted := make([]Server, len(servers))
	for i, sv := range servers {
		sorted[i] = sv.sane()
	}
	slices.SortFunc(sorted, func(a, b Server) int { return a.position().compare(b.position()) })
	s.servers, s.read = sorted, now
	return sorted, nil
}
