package grant

import (
	"context"

	"odcm"
	"odcm/manager/sso"
)

// SigningKeys lists the keys that are published.
func (s *Service) SigningKeys(ctx context.Context, by odcm.Principal) ([]sso.SigningKey, error) {
	if err := s.o.Authorizer.Authorize(ctx, by, "signing-key.list", ""); err != nil {
		return nil, err
	}
	return s.o.Keys.List(ctx)
}

// RotateKeys makes the next key of the algorithm. It is published at once and signs once every relying party has had the time
// to fetch it; the present one is kept until what it signed has expired.
func (s *Service) RotateKeys(ctx context.Context, by odcm.Principal, alg sso.Algorithm) error {
	if err := s.o.Authorizer.Authorize(ctx, by, "signing-key.rotate", string(alg)); err != nil {
		return err
	}
	if alg != sso.RS256 && alg != sso.ES256 {
		return odcm.E(odcm.Invalid, "signing-key.algorithm", "Keys are for RS256 or ES256.").OnField("algorithm")
	}
	return s.o.Keys.Rotate(ctx, by, alg)
}
