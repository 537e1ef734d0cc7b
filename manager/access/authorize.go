package access

import (
	"context"

	"odcm"
)

// Actions that an [odcm.Authorizer] decides about; the resource is the Space's identifier, "" for all Spaces. Who
// administers a Space in ODCM (see [Grant]) may read and map there whatever his role is.
const (
	ActionRead   odcm.Action = "access.read"
	ActionGrant  odcm.Action = "access.grant"
	ActionRevoke odcm.Action = "access.revoke"
	ActionMap    odcm.Action = "access.map"
)

// authorize permits the administrators of a Space to read and map there, and asks the authorizer about everything else.
func (s *Service) authorize(ctx context.Context, p odcm.Principal, action odcm.Action, space odcm.SpaceID) error {
	if (action == ActionRead || action == ActionMap) && space != "" && s.index.Load().administers(p.User, space) {
		return nil
	}
	return s.o.Authorizer.Authorize(ctx, p, action, string(space))
}

// Allowed tells whether the principal may do the action, so that a page can leave out what would be refused.
func (s *Service) Allowed(ctx context.Context, p odcm.Principal, action odcm.Action, space odcm.SpaceID) bool {
	return s.authorize(ctx, p, action, space) == nil
}

// MayAsk permits who may ask what any change would do: who may read the access of all Spaces.
func (s *Service) MayAsk(ctx context.Context, p odcm.Principal) error {
	return s.o.Authorizer.Authorize(ctx, p, ActionRead, "")
}

// place finds a Space in which the principal may do the action. Who may not see the Space does not learn that it exists.
func (s *Service) place(ctx context.Context, p odcm.Principal, action odcm.Action, ref string) (Place, error) {
	found, err := s.o.Places.FindPlace(ctx, ref)
	if odcm.KindOf(err) == odcm.NotFound {
		return Place{}, noPlace()
	}
	if err != nil {
		return Place{}, err
	}
	denied := s.authorize(ctx, p, action, found.Space)
	if denied != nil && !s.sees(ctx, p, found.Space) {
		return Place{}, noPlace()
	}
	return found, denied
}

// sees tells whether the principal may know that the Space exists.
func (s *Service) sees(ctx context.Context, p odcm.Principal, space odcm.SpaceID) bool {
	return s.index.Load().may(p.User, space) || s.authorize(ctx, p, ActionRead, space) == nil
}

// Sees tells whether the principal may follow what changes about the access to a Space.
func (s *Service) Sees(p odcm.Principal, space odcm.SpaceID) bool {
	return s.authorize(context.Background(), p, ActionRead, space) == nil
}

func noPlace() error {
	return odcm.E(odcm.NotFound, "space.not-found", "There is no such Space, or you may not enter it.").OnField("space")
}
