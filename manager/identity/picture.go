package identity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"odcm"
	"odcm/manager/identity/person"
)

// maxPicture bounds what is kept, in bytes.
const maxPicture = 256 << 10

// SetPicture replaces the user's picture by a JPEG that was drawn here (package picture); nil takes it away. People may do
// it for themselves.
func (s *Service) SetPicture(ctx context.Context, p odcm.Principal, id odcm.UserID, jpeg []byte) (err error) {
	defer odcm.Wrap(&err, "set picture of user %s", id)
	u, err := s.alive(ctx, p, "user.update", id)
	if err != nil {
		return err
	}
	if len(jpeg) > maxPicture {
		return odcm.E(odcm.Invalid, "identity.picture-large", "The picture is too large.").OnField("picture")
	}
	var tag string
	if jpeg != nil {
		sum := sha256.Sum256(jpeg)
		tag = hex.EncodeToString(sum[:8])
	}
	e := odcm.NewEvent(p, "identity.picture-changed", string(id), u.Username, nil, nil)
	if err := s.store.SetPicture(ctx, id, tag, jpeg, e); err != nil {
		return err
	}
	s.Forget(id)
	return nil
}

// Picture returns a user's picture, a JPEG, and what changes with it. Everybody who is signed in may see everybody's.
func (s *Service) Picture(ctx context.Context, p odcm.Principal, id odcm.UserID) (tag string, jpeg []byte, err error) {
	if p.User == "" {
		return "", nil, person.NotSignedIn()
	}
	return s.store.Picture(ctx, id)
}
