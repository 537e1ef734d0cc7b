package sso

import (
	"context"
	"time"

	"odcm"
)

// SigningKey is a key of ODCM's as people see it.
type SigningKey struct {
	ID        string // kid
	Algorithm Algorithm
	Created   time.Time // published since
	Starts    time.Time // signs from then on
	Ends      time.Time // signs no more from then on; zero for the newest of its algorithm
	Gone      time.Time // not published any more from then on; zero for the newest
}

// State is "next", "signing" or "retired".
func (k SigningKey) State(now time.Time) string {
	switch {
	case now.Before(k.Starts):
		return "next"
	case k.Ends.IsZero() || now.Before(k.Ends):
		return "signing"
	}
	return "retired"
}

// SigningKeys lists the keys that are published.
func (s *Service) SigningKeys(ctx context.Context, by odcm.Principal) ([]SigningKey, error) {
	if err := s.o.Authorizer.Authorize(ctx, by, "signing-key.list", ""); err != nil {
		return nil, err
	}
	return s.o.Keys.List(ctx)
}

// RotateKeys makes the next key of the algorithm. It is published at once and signs once every relying party has had the time
// to fetch it; the present one is kept until what it signed has expired.
func (s *Service) RotateKeys(ctx context.Context, by odcm.Principal, alg Algorithm) error {
	if err := s.o.Authorizer.Authorize(ctx, by, "signing-key.rotate", string(alg)); err != nil {
		return err
	}
	if alg != RS256 && alg != ES256 {
		return odcm.E(odcm.Invalid, "signing-key.algorithm", "Keys are for RS256 or ES256.").OnField("algorithm")
	}
	return s.o.Keys.Rotate(ctx, by, alg)
}
