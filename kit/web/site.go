package web

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/signal"
	"odcm/kit/web/design"
	"odcm/kit/web/live"
)

// HandlerFunc answers a request or returns an error, which becomes a page or problem+json (see [StatusOf]). It must not
// have written anything when it returns an error.
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

// Options say what a site is made of. Only Authenticator is required; without DB there is no Idempotency-Key, without Bus
// nothing is live.
type Options struct {
	Product       string // shown in titles and the side bar; "ODCM" if empty
	Version       string
	Authenticator Authenticator
	Logger        *slog.Logger // slog.Default() if nil
	DB            *db.DB
	Bus           *signal.Bus
	// Secure tells that people reach the site over TLS, though perhaps through a proxy that ends it: cookies get the
	// __Host- prefix and answers Strict-Transport-Security. A request that came over TLS gets both in any case.
	Secure bool
	// Gallery serves every component on /_design, for those who draw.
	Gallery bool
	// Metrics is where the site's metrics are registered; nil registers none.
	Metrics prometheus.Registerer
	Now     func() time.Time // time.Now if nil
	// MaxBody bounds the body of a request in bytes; 1 MiB if zero.
	MaxBody int64
}

// Site is a set of pages, a REST API and a stream of live fragments behind one [http.Handler].
type Site struct {
	o        Options
	mux      *http.ServeMux
	patterns []string
	api      huma.API
	live     *live.Hub
	assets   *design.Assets
	origins  *http.CrossOriginProtection
	once     *idempotency
	metrics  *metrics
	large    map[string]int64 // pattern -> bytes of body
	nav      []NavItem
	switcher Switcher
}

// NavItem is an entry of the side bar, added by the room that owns the pages below it.
type NavItem struct {
	ID    string // what Page.Nav of its pages says
	Label string
	Icon  string // see design.Icon
	Href  string
	Group string                    // heading above the first item of the group, "" for none
	Order int                       // items are sorted by it
	Show  func(odcm.Principal) bool // nil shows it to everyone who is signed in
	// PaletteOnly leaves it out of the side bar: what one does rather than where one is.
	PaletteOnly bool
}

// Switcher finds what a person may jump to: Spaces they may enter, starred and recent first, and pages. It must not tell
// of anything that the principal may not see. With an empty query it suggests; it returns at most some dozens.
type Switcher func(ctx context.Context, p odcm.Principal, query string) ([]design.Choice, error)

// AddNav adds entries to the side bar. Call it before the site serves.
func (s *Site) AddNav(items ...NavItem) {
	s.nav = append(s.nav, items...)
	slices.SortStableFunc(s.nav, func(a, b NavItem) int { return a.Order - b.Order })
}

// SetSwitcher says what the command palette (Ctrl-K) finds beside the entries of the side bar. Call it before the site
// serves.
func (s *Site) SetSwitcher(f Switcher) { s.switcher = f }

// Handle answers the pattern (see [http.ServeMux]: "GET /spaces/{id}") for people who are signed in. Others are sent to
// /sign-in, or get 401 where the request is not for a page.
func (s *Site) Handle(pattern string, h HandlerFunc) {
	s.add(pattern, s.handler(h, true))
}

// HandlePublic answers the pattern for anyone. [Principal] still tells who asks, where that is known.
func (s *Site) HandlePublic(pattern string, h HandlerFunc) {
	s.add(pattern, s.handler(h, false))
}

// Mount serves another handler below the pattern: metrics, agents, an identity provider. The site gives it the request
// identifier, recovery, security headers, body limit and log, but neither sign-in nor error pages.
func (s *Site) Mount(pattern string, h http.Handler) { s.add(pattern, h) }

func (s *Site) add(pattern string, h http.Handler) {
	s.patterns = append(s.patterns, pattern)
	s.mux.Handle(pattern, h)
}

// Patterns lists what is handled and mounted so far, in that order, without the operations of [Site.API], which its document
// lists: a test can hold it against who may open what.
func (s *Site) Patterns() []string { return slices.Clone(s.patterns) }

// AcceptCrossSite lets pages of other sites send unsafe requests to the pattern: an identity provider's form_post
// answers, back-channel log-out. Such a handler must protect itself from forgery.
func (s *Site) AcceptCrossSite(pattern string) { s.origins.AddInsecureBypassPattern(pattern) }

// AcceptLarge lets the pattern, exactly as it is handled ("POST /api/v1/bundles"), take bodies of that many bytes. Call it
// before the pattern is handled.
func (s *Site) AcceptLarge(pattern string, bytes int64) { s.large[pattern] = bytes }

// API returns the REST interface below /api/v1: register operations with [Register], paths without that prefix.
func (s *Site) API() huma.API { return s.api }

// Live returns the fragments that are pushed to open pages.
func (s *Site) Live() *live.Hub { return s.live }

// serveLive is the stream of a page.
func (s *Site) serveLive(w http.ResponseWriter, r *http.Request) error {
	s.metrics.streams.Inc()
	defer s.metrics.streams.Dec()
	return s.live.Serve(w, r, Principal(r.Context()), s.o.Authenticator.Authenticate)
}

type positionKey struct{}

// position is where the request's page begins to listen: noted before anything is read for it.
func position(ctx context.Context) string {
	p, _ := ctx.Value(positionKey{}).(string)
	return p
}

func (s *Site) handler(h HandlerFunc, signedIn bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := context.WithValue(r.Context(), positionKey{}, s.live.Position())
		p, err := s.o.Authenticator.Authenticate(r)
		switch {
		case err == nil:
			ctx = WithPrincipal(ctx, p)
		case signedIn:
			s.refuse(w, r, err)
			return
		}
		r = r.WithContext(ctx)
		if err := h(w, r); err != nil {
			s.Error(w, r, err)
		}
	})
}

// refuse sends a person to the sign-in page and back to where they wanted to go.
func (s *Site) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if odcm.KindOf(err) == odcm.Unauthenticated && (r.Method == http.MethodGet || r.Method == http.MethodHead) && wantsPage(r) {
		http.Redirect(w, r, SignInURL(r.URL.RequestURI()), http.StatusSeeOther)
		return
	}
	s.Error(w, r, err)
}

// sections turns the side bar's entries into what the shell draws.
func (s *Site) sections(p odcm.Principal, current string) []design.NavGroup {
	var groups []design.NavGroup
	for _, item := range s.nav {
		if item.PaletteOnly || item.Show != nil && !item.Show(p) {
			continue
		}
		i := slices.IndexFunc(groups, func(g design.NavGroup) bool { return g.Label == item.Group })
		if i < 0 {
			groups = append(groups, design.NavGroup{Label: item.Group})
			i = len(groups) - 1
		}
		groups[i].Items = append(groups[i].Items, design.NavLink{
			Label: item.Label, Icon: item.Icon, Href: item.Href, On: item.ID == current,
		})
	}
	return groups
}

func (s *Site) choices(ctx context.Context, p odcm.Principal, query string) ([]design.Choice, error) {
	var found []design.Choice
	if s.switcher != nil {
		var err error
		if found, err = s.switcher(ctx, p, query); err != nil {
			return nil, err
		}
	}
	var pages, actions []design.Choice
	for _, item := range s.nav {
		if (item.Show != nil && !item.Show(p)) || !Matches(item.Label, query) {
			continue
		}
		if item.PaletteOnly {
			actions = append(actions, design.Choice{Group: "Do", Label: item.Label, Href: item.Href, Icon: item.Icon})
		} else {
			pages = append(pages, design.Choice{Group: "Go to", Label: item.Label, Href: item.Href, Icon: item.Icon})
		}
	}
	return slices.Concat(found, pages, actions, themes(query)), nil
}

func themes(query string) (found []design.Choice) {
	for _, c := range []design.Choice{
		{Label: "Light theme", Icon: "sun", Theme: "light"}, {Label: "Dark theme", Icon: "moon", Theme: "dark"},
		{Label: "System theme", Detail: "As this device is set", Icon: "settings", Theme: "auto"},
	} {
		if c.Group = "Do"; Matches(c.Label, query) {
			found = append(found, c)
		}
	}
	return found
}
