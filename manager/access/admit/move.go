package admit

import (
	"context"

	"odcm"
)

// Move gives the user what another was granted: both were found to be one person. Where both hold a grant in a Space, the one
// that lasts longer and administers more is kept. It may be called again for what it has moved already.
func (s *Service) Move(ctx context.Context, from, to odcm.UserID) (err error) {
	defer odcm.Wrap(&err, "move grants of user %s", from)
	for {
		held, _, err := s.Grants(ctx, odcm.System, Filter{User: string(from), Limit: MaxPage})
		if err != nil || len(held) == 0 {
			return err
		}
		for _, g := range held {
			if !g.Ended {
				n := NewGrant{Space: string(g.Space), User: string(to), Steward: g.Steward, Expires: g.Expires, Note: g.Note}
				own, _, err := s.Grants(ctx, odcm.System, Filter{Space: string(g.Space), User: string(to), Limit: 1})
				if err != nil {
					return err
				}
				if len(own) > 0 && !own[0].Ended {
					n.Steward = n.Steward || own[0].Steward
					if own[0].Expires.IsZero() || !n.Expires.IsZero() && own[0].Expires.After(n.Expires) {
						n.Expires = own[0].Expires
					}
				}
				if _, err := s.Grant(ctx, odcm.System, n); err != nil {
					return err
				}
			}
			if err := s.Revoke(ctx, odcm.System, g.ID); err != nil && odcm.KindOf(err) != odcm.NotFound {
				return err
			}
		}
	}
}
