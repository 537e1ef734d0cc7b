package space

import (
	"context"
	"slices"

	"odcm"
)

// MaxPage bounds a page of a list.
const MaxPage = 500

// Filter asks for a page of Spaces.
type Filter struct {
	Text     string   // part of the name
	States   []State  // any, if empty
	Statuses []Status // any, if empty
	Versions []string // any, if empty
	Servers  []string // names of machines; any, if empty
	Starred  bool
	Task     odcm.TaskID // only those that the task works on
	After    Position
	Limit    int // 50 if zero, at most [MaxPage]
}

// Troubled returns a page of the Spaces that the principal may see, trouble first as the board shows them, and where it ended, nil where
// nothing is behind it. Text is also looked for in addresses and reasons, as there.
func (s *Service) Troubled(ctx context.Context, p odcm.Principal, f Filter) (page []Entry, next *Position, err error) {
	defer odcm.Wrap(&err, "list Spaces")
	if f.Starred {
		return nil, nil, odcm.E(odcm.Invalid, "space.sort", "Starred Spaces are listed by name: leave sort out.").OnField("sort")
	}
	found, err := s.Survey(ctx, p, Sight{Text: f.Text, Versions: f.Versions, Servers: f.Servers})
	if err != nil {
		return nil, nil, err
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 50
	}
	limit = min(limit, MaxPage)
	after := &Line{Key: f.After.Name, shown: f.After.Shown}
	var ids []odcm.SpaceID
	var last Position // as the board has it: what is read of the Space may be newer
	for _, l := range found.Lines {
		if f.After.ID != "" && byTrouble(l, after) <= 0 || len(f.States) > 0 && !slices.Contains(f.States, l.State) ||
			len(f.Statuses) > 0 && !slices.Contains(f.Statuses, l.Status) {
			continue
		}
		if len(ids) == limit {
			next = &last
			break
		}
		ids, last = append(ids, l.ID), Position{Shown: l.Shown(), Name: l.Key, ID: l.ID}
	}
	page, err = s.Entries(ctx, p, ids)
	return page, next, err
}

// List returns a page of the Spaces that the principal may see, starred ones first, each with its health, and whether
// there is more behind it.
func (s *Service) List(ctx context.Context, p odcm.Principal, f Filter) (page []Entry, more bool, err error) {
	defer odcm.Wrap(&err, "list Spaces")
	reach, err := s.o.Access.Reach(ctx, p)
	if err != nil {
		return nil, false, err
	}
	q := Query{Reach: reach, User: p.User, Text: f.Text, States: f.States, Starred: f.Starred, Task: f.Task, After: f.After}
	if len(f.Statuses) > 0 {
		within, err := s.o.Monitor.InStatus(ctx, f.Statuses)
		if err != nil {
			return nil, false, err
		}
		q.Within = append([]odcm.SpaceID{}, within...)
	}
	if len(f.Versions)+len(f.Servers) > 0 {
		found, err := s.Survey(ctx, p, Sight{Versions: f.Versions, Servers: f.Servers})
		if err != nil {
			return nil, false, err
		}
		within := []odcm.SpaceID{}
		for _, l := range found.Lines {
			if q.Within == nil || slices.Contains(q.Within, l.ID) {
				within = append(within, l.ID)
			}
		}
		q.Within = within
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 50
	}
	limit = min(limit, MaxPage)
	q.Limit = limit + 1 // one more tells whether there is another page
	page, err = s.o.Store.List(ctx, q)
	if err != nil {
		return nil, false, err
	}
	if len(page) > limit {
		page, more = page[:limit], true
	}
	return page, more, s.fillHealth(ctx, page)
}

func (s *Service) fillHealth(ctx context.Context, page []Entry) error {
	if len(page) == 0 {
		return nil
	}
	ids := make([]odcm.SpaceID, len(page))
	for i, e := range page {
		ids[i] = e.ID
	}
	health, err := s.o.Monitor.HealthOf(ctx, ids)
	if err != nil {
		return err
	}
	for i := range page {
		page[i].Health = health[page[i].ID]
	}
	return nil
}

// Detail is a Space with all that its page shows.
type Detail struct {
	Entry
	InstallationID   string
	Server           odcm.ServerID // where a created one runs
	InstanceRevision int64
	Hook             Hook // zero where there is none yet
	Neighbours       int  // other Spaces on the same instance
}

// Get returns the Space with that id or slug.
func (s *Service) Get(ctx context.Context, p odcm.Principal, ref string) (_ Detail, err error) {
	defer odcm.Wrap(&err, "get Space %s", ref)
	sp, err := s.see(ctx, p, ref)
	if err != nil {
		return Detail{}, err
	}
	in, err := s.o.Store.Instance(ctx, sp.Instance)
	if err != nil {
		return Detail{}, err
	}
	d := Detail{Entry: Entry{Space: sp, URL: in.URL, Version: in.Version, Origin: in.Origin},
		InstallationID: in.InstallationID, Server: in.Server, InstanceRevision: in.Revision}
	if d.Starred, err = s.o.Store.Starred(ctx, p.User, sp.ID); err != nil {
		return Detail{}, err
	}
	if d.Hook, err = s.o.Store.Hook(ctx, sp.ID); err != nil && odcm.KindOf(err) != odcm.NotFound {
		return Detail{}, err
	}
	on, err := s.o.Store.On(ctx, in.ID)
	if err != nil {
		return Detail{}, err
	}
	d.Neighbours = len(on) - 1
	one := []Entry{d.Entry}
	if err := s.fillHealth(ctx, one); err != nil {
		return Detail{}, err
	}
	d.Entry = one[0]
	return d, nil
}

// Switch is what the switcher offers. No Space is in two groups.
type Switch struct {
	Starred, Recent, Others []Entry
	More                    bool // there are more Spaces than these
}

// How many Spaces each group of the switcher shows. To find another one types a part of its name.
const (
	maxStarred = 20
	maxRecent  = 6
	maxOthers  = 20
)

// Switcher returns the active Spaces that the principal may enter and whose name holds the text.
func (s *Service) Switcher(ctx context.Context, p odcm.Principal, text string) (sw Switch, err error) {
	defer odcm.Wrap(&err, "switcher")
	reach, err := s.o.Access.Reach(ctx, p)
	if err != nil {
		return Switch{}, err
	}
	q := Query{Reach: reach, User: p.User, Text: text, States: []State{StateActive}}
	shown := map[odcm.SpaceID]bool{}
	group := func(q Query, limit int) ([]Entry, error) {
		q.Limit = limit + len(shown) + 1
		found, err := s.o.Store.List(ctx, q)
		var fresh []Entry
		for _, e := range found {
			switch {
			case shown[e.ID]:
			case len(fresh) == limit:
				sw.More = true
			default:
				shown[e.ID] = true
				fresh = append(fresh, e)
			}
		}
		return fresh, err
	}
	starred, recent, others := q, q, q
	starred.Starred, starred.Order = true, ByName
	recent.Order, others.Order = ByVisit, ByName
	if sw.Starred, err = group(starred, maxStarred); err != nil {
		return Switch{}, err
	}
	if sw.Recent, err = group(recent, maxRecent); err != nil {
		return Switch{}, err
	}
	if sw.Others, err = group(others, maxOthers); err != nil {
		return Switch{}, err
	}
	all := append(append(append([]Entry{}, sw.Starred...), sw.Recent...), sw.Others...)
	if err := s.fillHealth(ctx, all); err != nil {
		return Switch{}, err
	}
	n, m := len(sw.Starred), len(sw.Starred)+len(sw.Recent)
	return Switch{Starred: all[:n:n], Recent: all[n:m:m], Others: all[m:], More: sw.More}, nil
}

// Star marks the Space for the principal alone, or takes the mark away.
func (s *Service) Star(ctx context.Context, p odcm.Principal, ref string, on bool) (err error) {
	defer odcm.Wrap(&err, "star Space %s", ref)
	sp, err := s.see(ctx, p, ref)
	if err != nil {
		return err
	}
	return s.o.Store.Star(ctx, p.User, sp.ID, on)
}

// Visit remembers that the principal went to the Space, and returns the address to go to.
func (s *Service) Visit(ctx context.Context, p odcm.Principal, ref string) (url string, err error) {
	defer odcm.Wrap(&err, "visit Space %s", ref)
	sp, err := s.see(ctx, p, ref)
	if err != nil {
		return "", err
	}
	in, err := s.o.Store.Instance(ctx, sp.Instance)
	if err != nil {
		return "", err
	}
	if in.URL == "" || sp.Octopus == "" {
		return "", odcm.E(odcm.Unavailable, "space.not-ready", "%s is not running yet: watch its task.", sp.Name)
	}
	// The address form of Octopus's own portal (Links.Web of a Space: "/app#/Spaces-1").
	return in.URL + "/app#/" + sp.Octopus, s.o.Store.Visit(ctx, p.User, sp.ID, s.o.Now())
}

// Active lists the Spaces that are to be reconciled and probed, in pages by name.
func (s *Service) Active(ctx context.Context, after Position, limit int) ([]Entry, error) {
	return s.o.Store.List(ctx, Query{Reach: Reach{All: true}, User: odcm.System.User, States: []State{StateActive},
		Order: ByName, After: after, Limit: limit})
}

// Connection tells the houses of the manager how to reach a Space's server. It holds the key: it is for adapters at the
// roof and never for a transport.
func (s *Service) Connection(ctx context.Context, id odcm.SpaceID) (c Connection, octopusSpace string, err error) {
	sp, err := s.o.Store.Get(ctx, string(id))
	if err != nil {
		return Connection{}, "", err
	}
	in, err := s.o.Store.Instance(ctx, sp.Instance)
	return in.Connection(), sp.Octopus, err
}
