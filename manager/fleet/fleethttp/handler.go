package fleethttp

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/a-h/templ"

	"odcm"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/fleet"
	"odcm/manager/fleet/fleetagents"
)

// Options are what the door needs.
type Options struct {
	Site    *web.Site
	Fleet   *fleet.Service
	Manager string           // host:port at which agents reach the manager, as they are told
	Now     func() time.Time // time.Now where nil
}

type handler struct{ Options }

// Register adds the pages and operations to the site.
func Register(o Options) {
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &handler{o}
	may := func(p odcm.Principal) bool {
		return h.Fleet.Authorizer.Authorize(context.Background(), p, fleet.ActionRead, "") == nil
	}
	h.Site.AddNav(web.NavItem{ID: "servers", Label: "Servers", Icon: "server", Href: "/servers", Group: "Operate", Order: 70, Show: may})
	h.Site.Handle("GET /servers", h.list)
	h.Site.Handle("GET /servers/{id}", h.show)
	h.Site.Handle("POST /servers/enrol", h.enrol)
	h.Site.Live().Fragment("server", h.tile, func(p odcm.Principal, _ string) bool { return may(p) })
	h.registerAPI(h.Site.API())
}

// pageSize is how many servers a page shows.
const pageSize = 50

func (h *handler) list(w http.ResponseWriter, r *http.Request) error {
	v := serversView{now: h.Now(), mayEnrol: h.mayEnrol(r)}
	var err error
	if v.servers, v.next, err = h.page(r.Context(), r.URL.Query().Get("cursor"), pageSize); err != nil {
		return err
	}
	v.first = r.URL.Query().Get("cursor") == ""
	return h.Site.Render(w, r, http.StatusOK, web.Page{Title: "Servers", Nav: "servers", Intro: "Machines with an agent, on which instances run.", Body: serversBody(v)})
}

func (h *handler) mayEnrol(r *http.Request) bool {
	return h.Fleet.Authorizer.Authorize(r.Context(), web.Principal(r.Context()), fleet.ActionEnrol, "") == nil
}

func (h *handler) show(w http.ResponseWriter, r *http.Request) error {
	s, instances, err := h.Fleet.Get(r.Context(), web.Principal(r.Context()), odcm.ServerID(r.PathValue("id")))
	if err != nil {
		return err
	}
	return h.Site.Render(w, r, http.StatusOK, web.Page{Title: s.Name, Nav: "servers", Crumbs: []design.Crumb{{Label: "Servers", Href: "/servers"}},
		Body: serverBody(serverView{s, h.Now(), instances})})
}

// enrol shows a new token on the page itself: it is not kept anywhere, so there is nothing to redirect to.
func (h *handler) enrol(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return odcm.E(odcm.Invalid, "request.malformed", "The form could not be read: go back and try again.").Because(err)
	}
	token, err := h.token(r.Context(), r.PostForm.Get("note"), 0)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return h.Site.Render(w, r, http.StatusOK, web.Page{Title: "Enrol a server", Nav: "servers", Crumbs: []design.Crumb{{Label: "Servers", Href: "/servers"}},
		Body: tokenBody(token)})
}

func (h *handler) token(ctx context.Context, note string, life time.Duration) (enrolment, error) {
	if life == 0 {
		life = fleet.DefaultTokenLife
	}
	text, err := fleetagents.Token(ctx, h.Fleet, web.Principal(ctx), note, life)
	if err != nil {
		return enrolment{}, err
	}
	return enrolment{token: text, manager: h.Manager, expires: h.Now().Add(life).UTC().Truncate(time.Second)}, nil
}

type enrolment struct {
	token, manager string
	expires        time.Time
}

func (e enrolment) command() string {
	return "odcm agent --manager " + e.manager + " --token " + e.token
}

// page reads the servers after the cursor, and whether there are more.
func (h *handler) page(ctx context.Context, cursor string, limit int) ([]fleet.Server, string, error) {
	after, err := web.ReadCursor[odcm.ServerID](cursor)
	if err != nil {
		return nil, "", err
	}
	servers, err := h.Fleet.List(ctx, web.Principal(ctx), after, limit+1)
	if err != nil || len(servers) <= limit {
		return servers, "", err
	}
	servers = servers[:limit]
	return servers, web.Cursor(servers[limit-1].ID), nil
}

// tile redraws a server on open pages; one that is gone is drawn as nothing.
func (h *handler) tile(ctx context.Context, id string) (templ.Component, error) {
	s, err := h.Fleet.Store.Server(ctx, odcm.ServerID(id))
	if err != nil {
		if errors.Is(err, odcm.E(odcm.NotFound, "fleet.server-unknown", "")) {
			return templ.NopComponent, nil
		}
		return nil, err
	}
	return serverTile(s, h.Now()), nil
}
