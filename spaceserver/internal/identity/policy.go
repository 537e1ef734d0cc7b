package identity

import (
	"context"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/configuration"
)

// Policy is what the configuration section "authentication" says about sessions and API keys
// (security/users-and-teams/timeouts-and-invalidation in Octopus's documentation).
type Policy struct {
	Idle     time.Duration // a session that is not used for so long ends
	Longest  time.Duration // and every session after this
	Remember bool          // sessions may outlive the browser
	UserKeys bool          // people may make API keys; service accounts always may
	KeyDays  int           // that many days an API key lives at most; 0 for no limit
}

// Policy reads the policy, and keeps it until something that decides changes.
func (s *Service) Policy(ctx context.Context) (Policy, error) {
	if err := s.fresh(ctx); err != nil {
		return Policy{}, err
	}
	s.mu.RLock()
	kept, epoch := s.policy, s.epoch
	s.mu.RUnlock()
	if kept != nil {
		return *kept, nil
	}
	o, err := configuration.Read(ctx, s.store, configuration.Authentication)
	if err != nil {
		return Policy{}, err
	}
	p := Policy{Idle: time.Duration(o.Int("SessionTimeoutInSeconds")) * time.Second, Longest: time.Duration(o.Int("MaximumSessionDurationInSeconds")) * time.Second,
		Remember: o.Bool("RememberMeEnabled"), UserKeys: o.Bool("UserApiKeysEnabled")}
	if days := octopus.As[*int](o, "ApiKeyMaxExpiryDays"); days != nil {
		p.KeyDays = *days
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch == epoch {
		s.policy = &p
	}
	return p, nil
}
