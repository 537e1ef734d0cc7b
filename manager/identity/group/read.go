package group

import (
	"context"
	"slices"

	"odcm"
	"odcm/manager/identity/person"
)

// MaxPage is how many a page of any list holds at most.
const MaxPage = 500

// List returns a page of groups by name, and whether there are more.
func (s *Service) List(ctx context.Context, p odcm.Principal, q Query) (_ []Entry, more bool, err error) {
	defer odcm.Wrap(&err, "list groups")
	if err := s.may(ctx, p, ActionList, ""); err != nil {
		return nil, false, err
	}
	limit := min(max(q.Limit, 1), MaxPage)
	q.Limit, q.Text = limit+1, Fold(q.Text)
	all, err := s.o.Store.List(ctx, q)
	all, more = cut(all, limit)
	return all, more, err
}

// cut leaves the first limit, and tells whether there were more.
func cut[T any](all []T, limit int) ([]T, bool) {
	if len(all) > limit {
		return all[:limit], true
	}
	return all, false
}

// Get returns a group.
func (s *Service) Get(ctx context.Context, p odcm.Principal, id odcm.GroupID) (_ Group, err error) {
	defer odcm.Wrap(&err, "get group %s", id)
	if err := s.may(ctx, p, ActionRead, id); err != nil {
		return Group{}, err
	}
	return s.o.Store.Group(ctx, id)
}

// Members returns a page of who is directly in the group: groups first, each by name.
func (s *Service) Members(ctx context.Context, p odcm.Principal, id odcm.GroupID, after Position, limit int) (_ []Member, more bool, err error) {
	defer odcm.Wrap(&err, "list members of %s", id)
	if _, err := s.Get(ctx, p, id); err != nil {
		return nil, false, err
	}
	limit = min(max(limit, 1), MaxPage)
	all, err := s.o.Store.Members(ctx, id, after, limit+1)
	all, more = cut(all, limit)
	return all, more, err
}

// Within lists the groups that the group is directly in.
func (s *Service) Within(ctx context.Context, p odcm.Principal, id odcm.GroupID) (_ []Group, err error) {
	defer odcm.Wrap(&err, "list groups that hold %s", id)
	if err := s.may(ctx, p, ActionRead, id); err != nil {
		return nil, err
	}
	return s.o.Store.Within(ctx, id)
}

// Reached is a user in a group, with a shortest way there.
type Reached struct {
	User User
	Path []Group // from the group that the user is directly in to the group asked about
}

// Reach returns a page of all who are in the group, directly or through others, in the order of their identifiers, and how
// many there are in all. Disabled users are not among them.
func (s *Service) Reach(ctx context.Context, p odcm.Principal, id odcm.GroupID, after odcm.UserID, limit int) (_ []Reached, total int, more bool, err error) {
	defer odcm.Wrap(&err, "list all in %s", id)
	if _, err := s.Get(ctx, p, id); err != nil {
		return nil, 0, false, err
	}
	g, err := s.Graph(ctx)
	if err != nil {
		return nil, 0, false, err
	}
	ids := g.MembersOf(id)
	total = len(ids)
	from, _ := slices.BinarySearch(ids, after)
	if from < len(ids) && ids[from] == after {
		from++
	}
	ids, more = cut(ids[from:], min(max(limit, 1), MaxPage))
	users, err := s.o.Store.Users(ctx, ids)
	if err != nil {
		return nil, 0, false, err
	}
	var onWay []odcm.GroupID
	paths := make([][]odcm.GroupID, len(ids))
	for i, user := range ids {
		paths[i] = g.Path(user, id)
		onWay = append(onWay, paths[i]...)
	}
	groups, err := s.o.Store.Groups(ctx, unique(onWay))
	if err != nil {
		return nil, 0, false, err
	}
	all := make([]Reached, len(ids))
	for i, user := range ids {
		all[i] = Reached{User: users[user], Path: along(groups, paths[i])}
	}
	return all, total, more, nil
}

func unique[T ~string](ids []T) []T {
	slices.Sort(ids)
	return slices.Compact(ids)
}

func along(groups map[odcm.GroupID]Group, ids []odcm.GroupID) []Group {
	way := make([]Group, len(ids))
	for i, id := range ids {
		way[i] = groups[id]
	}
	return way
}

// Branch is a group and the groups in it.
type Branch struct {
	Group
	Size     int  // users in it, directly or through others
	Repeated bool // it stands in the tree already, with its branches
	Branches []Branch
}

// maxBranches bounds what of a tree is shown.
const maxBranches = 200

// Tree returns the group with the groups in it, and those in them. It leaves out what is beyond some hundred.
func (s *Service) Tree(ctx context.Context, p odcm.Principal, id odcm.GroupID) (_ Branch, err error) {
	defer odcm.Wrap(&err, "tree of %s", id)
	root, err := s.Get(ctx, p, id)
	if err != nil {
		return Branch{}, err
	}
	g, err := s.Graph(ctx)
	if err != nil {
		return Branch{}, err
	}
	below := g.Below()
	order, seen := []odcm.GroupID{id}, map[odcm.GroupID]bool{id: true}
	for at := 0; at < len(order) && len(order) < maxBranches; at++ {
		for _, child := range below[order[at]] {
			if !seen[child] && len(order) < maxBranches {
				seen[child] = true
				order = append(order, child)
			}
		}
	}
	groups, err := s.o.Store.Groups(ctx, order)
	if err != nil {
		return Branch{}, err
	}
	groups[id] = root
	drawn := map[odcm.GroupID]bool{}
	var draw func(id odcm.GroupID) Branch
	draw = func(id odcm.GroupID) Branch {
		b := Branch{Group: groups[id], Size: g.Size(id), Repeated: drawn[id]}
		if drawn[id] {
			return b
		}
		drawn[id] = true
		for _, child := range below[id] {
			if _, ok := groups[child]; ok {
				b.Branches = append(b.Branches, draw(child))
			}
		}
		slices.SortFunc(b.Branches, func(x, y Branch) int { return compareNames(x.Group, y.Group) })
		return b
	}
	return draw(id), nil
}

func compareNames(a, b Group) int {
	if x, y := Fold(a.Name), Fold(b.Name); x != y {
		if x < y {
			return -1
		}
		return 1
	}
	if a.ID < b.ID {
		return -1
	}
	return 1
}

// Of lists the groups that the user is in, each with a shortest way there.
func (s *Service) Of(ctx context.Context, p odcm.Principal, user odcm.UserID) (_ [][]Group, err error) {
	defer odcm.Wrap(&err, "groups of %s", user)
	if p.User != user { // everybody may know where he himself is in
		if err := s.may(ctx, p, ActionRead, ""); err != nil {
			return nil, err
		}
	}
	g, err := s.Graph(ctx)
	if err != nil {
		return nil, err
	}
	ids := g.GroupsOf(user)
	groups, err := s.o.Store.Groups(ctx, ids)
	if err != nil {
		return nil, err
	}
	all := make([][]Group, len(ids))
	for i, id := range ids {
		all[i] = along(groups, g.Path(user, id))
	}
	slices.SortFunc(all, func(a, b []Group) int { return compareNames(a[len(a)-1], b[len(b)-1]) })
	return all, nil
}

// Names returns the names of those groups that are known. It asks no authorizer: other rooms do, by their own rules.
func (s *Service) Names(ctx context.Context, ids []odcm.GroupID) (map[odcm.GroupID]string, error) {
	groups, err := s.o.Store.Groups(ctx, ids)
	if err != nil {
		return nil, err
	}
	names := make(map[odcm.GroupID]string, len(groups))
	for id, g := range groups {
		names[id] = g.Name
	}
	return names, nil
}

// Find takes an id or a name: odcm.NotFound "group.not-found", or odcm.Conflict "group.ambiguous" where several providers'
// groups have the name and none of ODCM's own. It asks no authorizer.
func (s *Service) Find(ctx context.Context, ref string) (_ Group, err error) {
	defer odcm.Wrap(&err, "find group")
	if g, err := s.o.Store.Group(ctx, odcm.GroupID(ref)); odcm.KindOf(err) != odcm.NotFound {
		return g, err
	}
	named, err := s.o.Store.Named(ctx, Fold(ref), 2)
	switch {
	case err != nil:
		return Group{}, err
	case len(named) == 0:
		return Group{}, NotFound()
	case len(named) > 1 && named[0].IsExternal():
		return Group{}, odcm.E(odcm.Conflict, "group.ambiguous", "Several groups are called %s: use the identifier of the one that you mean.", named[0].Name)
	}
	return named[0], nil
}

// NotFound is what a store answers where there is no such group.
func NotFound() error {
	return odcm.E(odcm.NotFound, "group.not-found", "There is no such group.")
}

// Resolve finds what people call a member: an identifier, a username, a group's name, or a group that was picked from a
// directory, which is made where it was not known.
func (s *Service) Resolve(ctx context.Context, p odcm.Principal, refs []string) (users []odcm.UserID, groups []odcm.GroupID, err error) {
	defer odcm.Wrap(&err, "find members")
	if err := s.may(ctx, p, ActionRead, ""); err != nil {
		return nil, nil, err
	}
	if len(refs) > MaxEdit {
		return nil, nil, odcm.E(odcm.Invalid, "group.edit-too-large", "%d members are too many at once: change at most %d.", len(refs), MaxEdit).OnField("members")
	}
	for _, ref := range refs {
		user, group, err := s.resolve(ctx, p, ref)
		if err != nil {
			return nil, nil, err
		}
		if user != "" {
			users = append(users, user)
		} else {
			groups = append(groups, group)
		}
	}
	return users, groups, nil
}

func (s *Service) resolve(ctx context.Context, p odcm.Principal, ref string) (odcm.UserID, odcm.GroupID, error) {
	if x, name, ok := readRef(ref); ok {
		if err := s.may(ctx, p, ActionEdit, ""); err != nil {
			return "", "", err
		}
		g, err := s.picked(ctx, x, name)
		return "", g.ID, err
	}
	if found, err := s.o.Store.Users(ctx, []odcm.UserID{odcm.UserID(ref)}); err != nil || len(found) > 0 {
		return odcm.UserID(ref), "", err
	}
	if _, key, err := person.ParseUsername(ref); err == nil {
		if u, err := s.o.Store.UserNamed(ctx, key); odcm.KindOf(err) != odcm.NotFound {
			return u.ID, "", err
		}
	}
	g, err := s.Find(ctx, ref)
	if odcm.KindOf(err) == odcm.NotFound {
		err = unknown(ref)
	}
	return "", g.ID, err
}
