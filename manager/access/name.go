package access

import (
	"context"

	"odcm"
)

// Names are those of groups and people that a page shows.
type Names map[Holder]string

// Name adds the names of groups and people. Who is not known any more has none.
func (s *Service) Name(ctx context.Context, n Names, holders []Holder) error {
	var groups []odcm.GroupID
	var users []odcm.UserID
	for _, h := range holders {
		if _, known := n[h]; known {
			continue
		}
		if h.Group != "" {
			groups = append(groups, h.Group)
		} else {
			users = append(users, h.User)
		}
	}
	if len(groups) > 0 {
		known, err := s.o.People.GroupNames(ctx, groups)
		if err != nil {
			return err
		}
		for id, name := range known {
			n[Holder{Group: id}] = name
		}
	}
	if len(users) > 0 {
		known, err := s.o.People.People(ctx, users)
		if err != nil {
			return err
		}
		for id, person := range known {
			n[Holder{User: id}] = person.Called()
		}
	}
	return nil
}

// NameHolders adds the names of the grants' holders.
func (s *Service) NameHolders(ctx context.Context, n Names, grants ...Grant) error {
	holders := make([]Holder, len(grants))
	for i, g := range grants {
		holders[i] = g.Holder
	}
	return s.Name(ctx, n, holders)
}

// Said is what an event tells of the grant.
func (g Grant) Said(n Names) map[string]any {
	m := map[string]any{"grant": g.ID, "name": n[g.Holder]}
	if g.Holder.Group != "" {
		m["group"] = g.Holder.Group
	} else {
		m["user"] = g.Holder.User
	}
	if g.Steward {
		m["administers"] = true
	}
	if !g.Expires.IsZero() {
		m["expires"] = g.Expires
	}
	if g.Note != "" {
		m["note"] = g.Note
	}
	return m
}

// Event is one about the access to the Space.
func (p Place) Event(by odcm.Principal, typ string, before, after any) odcm.Event {
	return odcm.NewEvent(by, typ, string(p.Space), p.Name, before, after)
}

// Called is how people call the person.
func (p Person) Called() string {
	if p.DisplayName != "" {
		return p.DisplayName
	}
	return p.Username
}

// PlaceNames gives the Spaces as people know them, with their identifiers for names where they are not known.
func (s *Service) PlaceNames(ctx context.Context) (func(odcm.SpaceID) Place, error) {
	all, err := s.allPlaces(ctx)
	if err != nil {
		return nil, err
	}
	return all.named, nil
}
