package accesstest

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"odcm"
	"odcm/manager/access"
	"odcm/manager/access/admit"
	"odcm/manager/access/explain"
)

// Principals that tests ask as.
var (
	Barry  = odcm.Principal{User: "user-barry", Name: "Barry", Roles: []odcm.Role{odcm.Administrator}, Via: "session"}
	Audrey = odcm.Principal{User: "user-audrey", Name: "Audrey", Roles: []odcm.Role{odcm.Auditor}, Via: "session"}
	Lisa   = odcm.Principal{User: "user-lisa", Name: "Lisa", Roles: []odcm.Role{odcm.SpaceAdministrator}, Via: "session"}
	Bob    = odcm.Principal{User: "user-bob", Name: "Bob", Roles: []odcm.Role{odcm.Member}, Via: "session"}
)

// World knows people, groups and Spaces by name. Identifiers are "user-", "group-" and "space-" with the name in lower case.
type World struct {
	*Facts
	mu     sync.Mutex
	people map[odcm.UserID]access.Person
	names  map[odcm.GroupID]string
	places []access.Place
	teams  map[odcm.SpaceID][]access.Team
	Asked  int // how often the list of Spaces was read
}

// NewWorld makes an empty world.
func NewWorld() *World {
	return &World{Facts: NewFacts(), people: map[odcm.UserID]access.Person{}, names: map[odcm.GroupID]string{}, teams: map[odcm.SpaceID][]access.Team{}}
}

func id[T ~string](noun, name string) T {
	return T(noun + "-" + strings.ReplaceAll(strings.ToLower(name), " ", "-"))
}

// AddPeople adds enabled users.
func (w *World) AddPeople(names ...string) {
	for _, name := range names {
		p := access.Person{ID: id[odcm.UserID]("user", name), Username: strings.ToLower(name), DisplayName: name, Email: strings.ToLower(name) + "@example.com", EmailVerified: true}
		w.mu.Lock()
		w.people[p.ID] = p
		w.mu.Unlock()
		w.User(p.ID, true)
	}
}

// Disable disables a user.
func (w *World) Disable(user odcm.UserID) {
	w.mu.Lock()
	p := w.people[user]
	p.Disabled = true
	w.people[user] = p
	w.mu.Unlock()
	w.User(user, false)
}

// AddGroup adds a group with members, who may be people and groups.
func (w *World) AddGroup(name string, members ...string) {
	group := id[odcm.GroupID]("group", name)
	w.mu.Lock()
	w.names[group] = name
	w.mu.Unlock()
	w.Group(group)
	for _, m := range members {
		if user := id[odcm.UserID]("user", m); w.people[user].ID != "" {
			w.Join(user, group, true)
		} else {
			w.Nest(id[odcm.GroupID]("group", m), group, true)
		}
	}
}

// AddPlace adds a Space on an instance, with Octopus teams.
func (w *World) AddPlace(name, instance string, teams ...access.Team) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := access.Place{Space: id[odcm.SpaceID]("space", name), Instance: odcm.InstanceID(instance), Octopus: "Spaces-1", Name: name,
		Slug: id[string]("", name)[1:], URL: "https://" + instance + ".example.com", Active: true}
	w.places = append(w.places, p)
	w.teams[p.Space] = teams
}

// RemovePlace takes a Space away.
func (w *World) RemovePlace(space odcm.SpaceID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.places = slices.DeleteFunc(w.places, func(p access.Place) bool { return p.Space == space })
}

// People implements [access.People].
func (w *World) People(_ context.Context, ids []odcm.UserID) (map[odcm.UserID]access.Person, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	found := map[odcm.UserID]access.Person{}
	for _, id := range ids {
		if p, ok := w.people[id]; ok {
			found[id] = p
		}
	}
	return found, nil
}

// FindPerson implements [access.People].
func (w *World) FindPerson(_ context.Context, ref string) (access.Person, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.people {
		if string(p.ID) == ref || strings.EqualFold(p.Username, ref) || strings.EqualFold(p.Email, ref) {
			return p, nil
		}
	}
	return access.Person{}, odcm.E(odcm.NotFound, "identity.user-not-found", "There is no such user.")
}

// GroupNames implements [access.People].
func (w *World) GroupNames(_ context.Context, ids []odcm.GroupID) (map[odcm.GroupID]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	found := map[odcm.GroupID]string{}
	for _, id := range ids {
		if name, ok := w.names[id]; ok {
			found[id] = name
		}
	}
	return found, nil
}

// FindGroup implements [access.People].
func (w *World) FindGroup(_ context.Context, ref string) (odcm.GroupID, string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, name := range w.names {
		if string(id) == ref || strings.EqualFold(name, ref) {
			return id, name, nil
		}
	}
	return "", "", odcm.E(odcm.NotFound, "group.not-found", "There is no such group.")
}

// SearchPeople implements [access.Register].
func (w *World) SearchPeople(_ context.Context, text string, limit int) (found []access.Person, _ error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.people {
		if strings.Contains(strings.ToLower(p.DisplayName), strings.ToLower(text)) {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(a, b access.Person) int { return cmp.Compare(a.DisplayName, b.DisplayName) })
	return found[:min(limit, len(found))], nil
}

// SearchGroups implements [access.Register].
func (w *World) SearchGroups(_ context.Context, text string, limit int) (found []access.NamedGroup, _ error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, name := range w.names {
		if strings.Contains(strings.ToLower(name), strings.ToLower(text)) {
			found = append(found, access.NamedGroup{ID: id, Name: name})
		}
	}
	slices.SortFunc(found, func(a, b access.NamedGroup) int { return cmp.Compare(a.Name, b.Name) })
	return found[:min(limit, len(found))], nil
}

// Place implements [access.Places].
func (w *World) Place(ctx context.Context, id odcm.SpaceID) (access.Place, error) {
	return w.FindPlace(ctx, string(id))
}

// FindPlace implements [access.Places].
func (w *World) FindPlace(_ context.Context, ref string) (access.Place, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.places {
		if string(p.Space) == ref || p.Slug == ref || strings.EqualFold(p.Name, ref) {
			return p, nil
		}
	}
	return access.Place{}, odcm.E(odcm.NotFound, "space.not-found", "There is no such Space, or you may not enter it.")
}

// On implements [access.Places].
func (w *World) On(_ context.Context, id odcm.InstanceID) (on []access.Place, _ error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.places {
		if p.Instance == id {
			on = append(on, p)
		}
	}
	return on, nil
}

// Places implements [access.Places].
func (w *World) Places(context.Context) ([]access.Place, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Asked++
	return slices.Clone(w.places), nil
}

// TeamsIn makes the world's [access.Teams].
type TeamsIn struct{ *World }

// Teams implements [access.Teams].
func (t TeamsIn) Teams(_ context.Context, space odcm.SpaceID) ([]access.Team, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.teams[space], nil
}

// ByRole permits administrators everything and auditors to read.
type ByRole struct{}

// Authorize implements [odcm.Authorizer].
func (ByRole) Authorize(_ context.Context, p odcm.Principal, action odcm.Action, _ string) error {
	if p.Has(odcm.Administrator) || p.Has(odcm.Auditor) && action == access.ActionRead {
		return nil
	}
	return odcm.E(odcm.Denied, "identity.role-missing", "%s needs the role administrator.", action)
}

// Silent is a bus that nobody listens to.
type Silent struct{}

// Publish implements [access.Bus].
func (Silent) Publish(...string) {}

// Options are those of a service in this world. Store and now may be nil: one in memory, and the time.
func (w *World) Options(store access.Store, now func() time.Time) access.Options {
	if store == nil {
		store = NewMemory()
	}
	return access.Options{Store: store, Directory: w, People: w, Places: w, Authorizer: ByRole{}, Bus: Silent{}, Now: now}
}

// Rooms are the services of a world.
type Rooms struct {
	*access.Service
	Grants  *admit.Service
	Explain *explain.Service
}

// Open makes the services, whose store is that of the options. Nothing is known of what has arrived where arrived is nil.
func (w *World) Open(ctx context.Context, o access.Options, arrived access.Acknowledgements) (Rooms, error) {
	s, err := access.New(ctx, o)
	g := admit.New(admit.Options{Access: s, Store: o.Store, People: o.People, Register: w, Teams: TeamsIn{w}, Arrived: arrived})
	return Rooms{s, g, explain.New(explain.Options{Access: s, Grants: g, People: o.People, Places: o.Places, Arrived: arrived})}, err
}
