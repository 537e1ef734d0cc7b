package signin

import (
	"context"
	"errors"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/configuration"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

// GuestName is the user whom everybody may be who likes, where guests are let in. It is in no team but everyone's, until an
// administrator says more.
const GuestName = "guest"

// Guest returns the id of the guest, whom it makes where there is none.
func (s *Service) Guest(ctx context.Context) (string, error) {
	on, err := s.Enabled(ctx, configuration.Guest)
	if err != nil {
		return "", err
	}
	if !on {
		return "", problem.Invalid("Invalid username or password.")
	}
	store := s.Service.Store
	row, err := store.Find(ctx, store.DB.Read(), "Users", GuestName, []string{""}, "")
	if err == nil || !errors.Is(err, document.ErrNone) {
		return row.ID, err
	}
	var id string
	err = s.Service.Transact(ctx, collection.Request{Principal: permission.System()}, func(c *collection.Change) error {
		var o octopus.Object
		o.Set("Username", GuestName)
		o.Set("DisplayName", "Guest")
		o.Set("CanPasswordBeEdited", false)
		made, err := c.Create("Users", o)
		id = made.Text("Id")
		return err
	})
	return id, err
}
