package identity

import (
	"context"

	"odcm"
	"odcm/manager/identity/session"
)

// RecordRefusal leaves an event of a sign-in by a provider that was refused before it was known whose it is, with the code of
// the reason, at the same bounded rate as wrong passwords.
func (s *Service) RecordRefusal(ctx context.Context, provider odcm.ProviderID, code string, from session.Client) {
	if !s.failed.AllowN(s.now(), 1) {
		return
	}
	e := odcm.NewEvent(odcm.Principal{Address: from.Address}, "identity.sign-in-failed", "", "an unknown user", nil,
		map[string]string{"provider": string(provider), "reason": code})
	if err := s.store.Record(ctx, e); err != nil {
		s.log.Warn("refused sign-in was not recorded", "error", err)
	}
}
