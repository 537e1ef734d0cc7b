package admit

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"odcm"
	"odcm/manager/access"
)

// Entrant is a person who may enter a Space, as a list shows him.
type Entrant struct {
	Person  access.Person
	By      []string       // names of the groups that let him in; his own where he holds a grant himself
	Steward bool           // administers the Space in ODCM
	Teams   []access.Team  // mapped Octopus teams that he is in
	Arrival access.Arrival // what the Space has acknowledged; the state is empty where nothing is known
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
	if err := s.access.Refresh(ctx); err != nil {
		return nil, 0, "", err
	}
	place, err := s.access.Find(ctx, p, access.ActionRead, space)
	if err != nil {
		return nil, 0, "", err
	}
	x := s.access.Index()
	users := x.Entrants(place.Space)
	if text := strings.TrimSpace(f.Text); text != "" {
		found, err := s.search(ctx, strings.ToLower(text), MaxPage)
		if err != nil {
			return nil, 0, "", err
		}
		users = slices.DeleteFunc(users, func(id odcm.UserID) bool { return found[access.Holder{User: id}] == "" })
	}
	total = len(users)
	after, found := slices.BinarySearch(users, f.After)
	if found {
		after++
	}
	users = users[after:]
	if limit := PageSize(f.Limit); len(users) > limit {
		users, next = users[:limit], users[limit-1]
	}
	page, err = s.entrantsOf(ctx, x, place.Space, users)
	return page, total, next, err
}

func (s *Service) entrantsOf(ctx context.Context, x *access.Index, space odcm.SpaceID, users []odcm.UserID) ([]Entrant, error) {
	c := x.Content(space)
	if len(users) == 0 {
		return nil, nil
	}
	names, page := access.Names{}, make([]Entrant, 0, len(users))
	if err := s.access.NameHolders(ctx, names, c.Grants...); err != nil {
		return nil, err
	}
	people, err := s.o.People.People(ctx, users)
	if err != nil {
		return nil, err
	}
	var arrivals map[odcm.UserID]access.Arrival
	if s.o.Arrived != nil {
		if arrivals, err = s.o.Arrived.Arrivals(ctx, space, users); err != nil {
			return nil, err
		}
	}
	for _, id := range users {
		person, known := people[id]
		if !known {
			person = access.Person{ID: id, DisplayName: string(id)}
		}
		row := Entrant{Person: person, Steward: x.Administers(id, space), Arrival: arrivals[id]}
		for _, g := range x.GrantsOf(id, space) {
			row.By = append(row.By, cmp.Or(names[g.Holder], string(g.Holder.Group)+string(g.Holder.User)))
		}
		for _, team := range x.TeamsOf(id, space) {
			row.Teams = append(row.Teams, c.Team(team))
		}
		page = append(page, row)
	}
	return page, nil
}

// Standing sums up what has arrived in a Space. It is zero where nothing is known.
func (s *Service) Standing(ctx context.Context, p odcm.Principal, space string) (access.Standing, error) {
	place, err := s.access.Find(ctx, p, access.ActionRead, space)
	if err != nil || s.o.Arrived == nil {
		return access.Standing{}, err
	}
	return s.o.Arrived.Standing(ctx, place.Space)
}
