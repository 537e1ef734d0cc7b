package access

import (
	"context"
	"slices"

	"odcm"
)

// Actions that an [odcm.Authorizer] decides about; the resource is the Space's identifier, "" for all Spaces. Who
// administers a Space in ODCM (see [Grant]) may read and map there, and see to its accounts, whatever his role is.
const (
	ActionRead   odcm.Action = "access.read"
	ActionGrant  odcm.Action = "access.grant"
	ActionRevoke odcm.Action = "access.revoke"
	ActionMap    odcm.Action = "access.map"

	ActionAccounts odcm.Action = "account.read"
	ActionDecide   odcm.Action = "account.decide"
	ActionPolicy   odcm.Action = "account.policy"
)

// ofSteward are the actions of who administers a Space there: neither grants nor roles are his to give.
var ofSteward = []odcm.Action{ActionRead, ActionMap, ActionAccounts, ActionDecide, ActionPolicy}

// Authorize permits the administrators of a Space what is theirs there, and asks the authorizer about everything else.
func (s *Service) Authorize(ctx context.Context, p odcm.Principal, action odcm.Action, space odcm.SpaceID) error {
	if slices.Contains(ofSteward, action) && space != "" && s.index.Load().Administers(p.User, space) {
		return nil
	}
	return s.o.Authorizer.Authorize(ctx, p, action, string(space))
}

// Allowed tells whether the principal may do the action, so that a page can leave out what would be refused.
func (s *Service) Allowed(ctx context.Context, p odcm.Principal, action odcm.Action, space odcm.SpaceID) bool {
	return s.Authorize(ctx, p, action, space) == nil
}

// MayAsk permits who may ask what any change would do: who may read the access of all Spaces.
func (s *Service) MayAsk(ctx context.Context, p odcm.Principal) error {
	return s.o.Authorizer.Authorize(ctx, p, ActionRead, "")
}

// Find finds a Space in which the principal may do the action. Who may not see the Space does not learn that it exists.
func (s *Service) Find(ctx context.Context, p odcm.Principal, action odcm.Action, ref string) (Place, error) {
	found, err := s.o.Places.FindPlace(ctx, ref)
	if odcm.KindOf(err) == odcm.NotFound {
		return Place{}, NoPlace()
	}
	if err != nil {
		return Place{}, err
	}
	denied := s.Authorize(ctx, p, action, found.Space)
	if denied != nil && !s.Visible(ctx, p, found.Space) {
		return Place{}, NoPlace()
	}
	return found, denied
}

// Visible tells whether the principal may know that the Space exists.
func (s *Service) Visible(ctx context.Context, p odcm.Principal, space odcm.SpaceID) bool {
	return s.index.Load().May(p.User, space) || s.Authorize(ctx, p, ActionRead, space) == nil
}

// Sees tells whether the principal may follow what changes about the access to a Space.
func (s *Service) Sees(p odcm.Principal, space odcm.SpaceID) bool {
	return s.Authorize(context.Background(), p, ActionRead, space) == nil
}

// NoPlace is the error for a Space that there is not, or that somebody may not know of.
func NoPlace() error {
	return odcm.E(odcm.NotFound, "space.not-found", "There is no such Space, or you may not enter it.").OnField("space")
}

// Place finds a Space whose access the principal may read.
func (s *Service) Place(ctx context.Context, p odcm.Principal, ref string) (Place, error) {
	return s.Find(ctx, p, ActionRead, ref)
}
