package grant

import (
	"context"

	"odcm"
	"odcm/manager/sso"
)

// SignedOut ends what came of these sessions of ODCM, and tells the relying parties that listen. Without sessions it ends all
// that the user has, refresh tokens too: the account was disabled.
func (s *Service) SignedOut(ctx context.Context, user odcm.UserID, sessions ...string) (err error) {
	defer odcm.Wrap(&err, "sign %s out of relying parties", user)
	if user == "" {
		return odcm.E(odcm.Internal, "", "whose sessions ended is not known")
	}
	s.sessions.ForgetAll()
	s.people.Forget(user)
	r := Revocation{User: user, Sessions: sessions, Offline: len(sessions) == 0, At: s.now(), Tell: true}
	ended, err := s.o.Store.Revoke(ctx, r, odcm.NewEvent(odcm.System, "party.signed-out", string(user), "", nil, nil))
	if err == nil && ended > 0 {
		s.o.Bus.Publish(sso.TopicLogout)
	}
	return err
}
