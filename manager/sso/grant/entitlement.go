package grant

import (
	"context"
	"slices"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"odcm"
	"odcm/manager/sso"
)

// entitlementType is the header "typ" of a snapshot: it is taken for no other token, nor another for it (RFC 8725 section 3.11).
const entitlementType = "odcm-entitlements+jwt"

// entitlementLife is how long a Space lets people in by a snapshot when ODCM does not answer: a night and the morning after.
const entitlementLife = 24 * time.Hour

// entitlements are the claims of a snapshot.
type entitlements struct {
	Issuer   string      `json:"iss"`
	Audience sso.PartyID `json:"aud"`
	Issued   int64       `json:"iat"`
	Expires  int64       `json:"exp"`
	People   []entitled  `json:"people"`
}

type entitled struct {
	Subject odcm.UserID `json:"sub"`
	Groups  []string    `json:"groups,omitempty"`
}

// Entitlements signs for a relying party of the kind space who may enter it, as a compact JWS: with it a Space server goes on
// letting in whom it knows while ODCM does not answer. It is given for the party's own credentials, as tokens are.
func (s *Service) Entitlements(ctx context.Context, c sso.Credentials) (snapshot string, err error) {
	p, err := s.Authenticate(ctx, c)
	if err != nil {
		return "", err
	}
	if p.Kind != sso.KindSpace || p.Auth == sso.AuthNone || s.o.Entrants == nil {
		return "", oidc.ErrUnauthorizedClient().WithDescription("entitlements are for Spaces that hold a secret")
	}
	people, err := s.o.Entrants.Entrants(ctx, p.Instance)
	if err != nil {
		return "", err
	}
	now := s.now()
	out := entitlements{Issuer: s.Issuer(), Audience: p.ID, Issued: now.Unix(), Expires: now.Add(entitlementLife).Unix(), People: make([]entitled, 0, len(people))}
	for id, groups := range people {
		out.People = append(out.People, entitled{id, groups})
	}
	slices.SortFunc(out.People, func(a, b entitled) int {
		if a.Subject < b.Subject {
			return -1
		}
		return 1
	})
	return s.o.Keys.Sign(ctx, p.Algorithm, entitlementType, out)
}
