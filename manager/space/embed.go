package space

import (
	"context"
	"net/url"
	"strings"
)

// MayEmbed tells whether a page of that origin ("https://octopus.example", as browsers send it) may show the menu of Spaces:
// it must be a page of a Space, for what the menu holds is nobody else's business. The origin of ODCM itself always may.
func (s *Service) MayEmbed(ctx context.Context, origin string) (bool, error) {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Scheme+"://"+u.Host != origin {
		return false, nil
	}
	if own, err := url.Parse(s.o.PublicURL()); err == nil && strings.EqualFold(own.Scheme+"://"+own.Host, origin) {
		return true, nil
	}
	return s.o.Store.Serves(ctx, strings.ToLower(origin))
}
