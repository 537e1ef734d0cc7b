package access

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"odcm"
)

// Entrant is a person who may enter a Space, as a list shows him.
type Entrant struct {
	Person  Person
	By      []string // names of the groups that let him in; his own where he holds a grant himself
	Steward bool     // administers the Space in ODCM
	Teams   []Team   // mapped Octopus teams that he is in
	Arrival Arrival  // what the Space has acknowledged; the state is empty where nothing is known
}

// EntrantFilter chooses a page of entrants.
type EntrantFilter struct {
	Text  string // part of the name
	After odcm.UserID
	Limit int // 50 if zero, at most [MaxPage]
}

// People lists who may enter a Space, by identifier, and how many they are. Next is where the next page begins; empty where
// there is none.
func (s *Service) People(ctx context.Context, p odcm.Principal, space string, f EntrantFilter) (page []Entrant, total int, next odcm.UserID, err error) {
	defer odcm.Wrap(&err, "list who may enter Space %s", space)
	if err := s.Refresh(ctx); err != nil {
		return nil, 0, "", err
	}
	place, err := s.place(ctx, p, ActionRead, space)
	if err != nil {
		return nil, 0, "", err
	}
	x := s.index.Load()
	users := x.entrants(place.Space)
	if text := strings.TrimSpace(f.Text); text != "" {
		found, err := s.search(ctx, strings.ToLower(text), MaxPage)
		if err != nil {
			return nil, 0, "", err
		}
		users = slices.DeleteFunc(users, func(id odcm.UserID) bool { return found[Holder{User: id}] == "" })
	}
	total = len(users)
	after, found := slices.BinarySearch(users, f.After)
	if found {
		after++
	}
	users = users[after:]
	if limit := pageSize(f.Limit); len(users) > limit {
		users, next = users[:limit], users[limit-1]
	}
	page, err = s.entrantsOf(ctx, x, place.Space, users)
	return page, total, next, err
}

func (s *Service) entrantsOf(ctx context.Context, x *index, space odcm.SpaceID, users []odcm.UserID) ([]Entrant, error) {
	e := x.spaces[space]
	if e == nil || len(users) == 0 {
		return nil, nil
	}
	names, page := names{}, make([]Entrant, 0, len(users))
	if err := s.name(ctx, names, e.Grants...); err != nil {
		return nil, err
	}
	people, err := s.o.People.People(ctx, users)
	if err != nil {
		return nil, err
	}
	var arrivals map[odcm.UserID]Arrival
	if s.o.Arrived != nil {
		if arrivals, err = s.o.Arrived.Arrivals(ctx, space, users); err != nil {
			return nil, err
		}
	}
	for _, id := range users {
		person, known := people[id]
		if !known {
			person = Person{ID: id, DisplayName: string(id)}
		}
		row := Entrant{Person: person, Steward: x.administers(id, space), Arrival: arrivals[id]}
		slot, groups, _ := x.of(id)
		for _, g := range e.Grants {
			if bit, known := x.bits[g.Holder.Group]; known && groups.has(bit) && e.groups.has(bit) || g.Holder.User == id && e.users.has(slot) {
				row.By = append(row.By, cmp.Or(names[g.Holder], string(g.Holder.Group)+string(g.Holder.User)))
			}
		}
		for _, team := range x.teamsOf(id, space) {
			row.Teams = append(row.Teams, e.team(team))
		}
		page = append(page, row)
	}
	return page, nil
}

// Standing sums up what has arrived in a Space. It is zero where nothing is known.
func (s *Service) Standing(ctx context.Context, p odcm.Principal, space string) (Standing, error) {
	place, err := s.place(ctx, p, ActionRead, space)
	if err != nil || s.o.Arrived == nil {
		return Standing{}, err
	}
	return s.o.Arrived.Standing(ctx, place.Space)
}

// Place finds a Space whose access the principal may read.
func (s *Service) Place(ctx context.Context, p odcm.Principal, ref string) (Place, error) {
	return s.place(ctx, p, ActionRead, ref)
}
