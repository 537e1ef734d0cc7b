package userhttp

import (
	"context"
	"net/http"
	"time"

	"odcm"
	"odcm/kit/mail"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/identity"
	"odcm/manager/identity/group"
	"odcm/manager/identity/letter"
	"odcm/manager/identity/merge"
	"odcm/manager/identity/provider"
)

// Options are what the door needs. All but Providers, Groups, Outbox and Now are required.
type Options struct {
	Site       *web.Site
	People     *identity.Service
	Letters    *letter.Service
	Merges     *merge.Service
	Authorizer odcm.Authorizer
	Providers  Providers // gives the names of providers
	Groups     Groups    // offers groups to who invites
	Outbox     Outbox    // shows mail that waits
	Now        func() time.Time
}

// Providers are the ways to sign in. Package provider fills it.
type Providers interface {
	Enabled(ctx context.Context) ([]provider.Provider, error)
}

// Groups are what somebody who is invited can be put into. Package group fills it.
type Groups interface {
	// May tells whether the principal may do the action to groups.
	May(ctx context.Context, p odcm.Principal, action odcm.Action) bool
	// List returns a page of groups by name, and whether there are more.
	List(ctx context.Context, p odcm.Principal, q group.Query) ([]group.Entry, bool, error)
}

// Outbox is mail that was not sent yet.
type Outbox interface {
	List(ctx context.Context, limit int) ([]mail.Waiting, error)
}

type handler struct{ Options }

// pageSize is how many users a page lists.
const pageSize = 50

// Register adds the pages and operations to the site.
func Register(o Options) {
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &handler{o}
	may := func(a odcm.Action) func(odcm.Principal) bool {
		return func(p odcm.Principal) bool { return h.Authorizer.Authorize(context.Background(), p, a, "") == nil }
	}
	h.Site.AddNav(web.NavItem{ID: "people", Label: "People", Icon: "user", Href: "/people", Group: "Identity and access", Order: 50, Show: may("user.list")},
		web.NavItem{Label: "Invite somebody", Icon: "plus", Href: "/people/invite", Order: 51, PaletteOnly: true, Show: may("user.invite")})
	for pattern, f := range map[string]web.HandlerFunc{
		"GET /people":                             h.listPage,
		"GET /people/new":                         h.newPage,
		"POST /people/new":                        h.create,
		"GET /people/invite":                      h.invitePage,
		"POST /people/invite":                     h.invite,
		"GET /people/alike":                       h.alikePage,
		"POST /people/alike":                      h.decide,
		"GET /people/mail":                        h.mailPage,
		"POST /people/mail/test":                  h.testMail,
		"POST /people/guest":                      h.switchGuest,
		"GET /people/{id}":                        h.userPage,
		"POST /people/{id}":                       h.update,
		"POST /people/{id}/state":                 h.switchState,
		"POST /people/{id}/delete":                h.delete,
		"POST /people/{id}/invitation":            h.inviteAgain,
		"POST /people/{id}/password":              h.offerPassword,
		"POST /people/{id}/emails":                h.changeEmail,
		"POST /people/{id}/sessions/end":          h.endSessions,
		"POST /people/{id}/identities/{identity}": h.unlink,
	} {
		h.Site.Handle(pattern, f)
	}
	h.Site.Live().Fragment("user", nil, func(p odcm.Principal, _ string) bool { return may("user.list")(p) })
	h.registerAPI(h.Site.API())
}

func (h *handler) may(r *http.Request, a odcm.Action) bool {
	return h.Authorizer.Authorize(r.Context(), web.Principal(r.Context()), a, "") == nil
}

// names of providers; those that are switched off have none.
func (h *handler) names(ctx context.Context) (map[odcm.ProviderID]string, error) {
	names := map[odcm.ProviderID]string{}
	if h.Providers == nil {
		return names, nil
	}
	all, err := h.Providers.Enabled(ctx)
	for _, p := range all {
		names[p.ID] = p.Name
	}
	return names, err
}

// frame is what the pages below People share.
func (h *handler) frame(at string, page web.Page) web.Page {
	if page.Title == "" {
		page.Title = "People"
	}
	page.Nav = "people"
	for _, t := range []design.Tab{
		{Label: "Everybody", Href: "/people"}, {Label: "Look alike", Href: "/people/alike"}, {Label: "Mail and guest", Href: "/people/mail"},
	} {
		t.On = t.Href == at
		page.Tabs = append(page.Tabs, t)
	}
	return page
}

// below is a page that one goes to from the list.
func below(title string, page web.Page) web.Page {
	page.Title, page.Nav, page.Crumbs = title, "people", []design.Crumb{{Label: "People", Href: "/people"}}
	return page
}
