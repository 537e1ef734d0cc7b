// Package licencehttp has the pages and operations of licences.
package licencehttp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"odcm"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/licence"
)

// Options are what the door needs.
type Options struct {
	Site       *web.Site
	Licence    *licence.Service
	Authorizer odcm.Authorizer
}

type handler struct{ Options }

// Register adds the page and the operations to the site.
func Register(o Options) {
	h := &handler{o}
	h.Site.AddNav(web.NavItem{ID: "licence", Label: "Licences", Icon: "tag", Href: path, Group: "Operate", Order: 75, Show: func(p odcm.Principal) bool {
		return h.may(context.Background(), p, licence.ActionRead)
	}})
	h.Site.Handle("GET "+path, h.page)
	h.Site.Handle("POST "+path+"/entitlement", h.install)
	h.Site.Handle("POST "+path+"/entitlement/remove", h.remove)
	h.registerAPI(h.Site.API())
}

const path = "/licence"

func (h *handler) may(ctx context.Context, p odcm.Principal, a odcm.Action) bool {
	return h.Authorizer.Authorize(ctx, p, a, "") == nil
}

// view is the page.
type view struct {
	licence.Overview
	servers     []licence.Server
	filter      licence.Filter
	first, next string
	manages     bool
	fault       string // what is wrong with the file that a browser without script sent
}

func (h *handler) page(w http.ResponseWriter, r *http.Request) error {
	return h.show(w, r, http.StatusOK, "")
}

func (h *handler) show(w http.ResponseWriter, r *http.Request, status int, fault string) (err error) {
	ctx, p, q := r.Context(), web.Principal(r.Context()), r.URL.Query()
	v := view{filter: licence.Filter{State: licence.State(q.Get("state")), Text: q.Get("q"), Limit: licence.PageSize},
		manages: h.may(ctx, p, licence.ActionManage), fault: fault}
	if v.filter.After, err = web.ReadCursor[licence.Position](q.Get("cursor")); err != nil {
		return err
	}
	if v.Overview, err = h.Licence.Overview(ctx, p); err != nil {
		return err
	}
	var next licence.Position
	if v.servers, next, err = h.Licence.List(ctx, p, v.filter); err != nil {
		return err
	}
	if q.Get("cursor") != "" {
		v.first = v.href(v.filter.State, "")
	}
	if next != (licence.Position{}) {
		v.next = v.href(v.filter.State, web.Cursor(next))
	}
	return h.Site.Render(w, r, status, web.Page{Title: "Licences", Nav: "licence", Intro: "What is used against what was bought.", Notice: v.notice(), Body: body(v)})
}

// notice is for the browser's tab.
func (v view) notice() string {
	if n := v.States[licence.Exceeded] + v.States[licence.Expired]; n > 0 {
		return strconv.Itoa(n) + " beyond licence"
	}
	return ""
}

func (v view) href(state licence.State, cursor string) string {
	q := url.Values{}
	for name, value := range map[string]string{"q": v.filter.Text, "state": string(state), "cursor": cursor} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

func (v view) chips() []design.Chip {
	chips := []design.Chip{{Label: "All", On: v.filter.State == "", Href: v.href("", ""), Count: strconv.Itoa(v.Servers)}}
	for _, s := range licence.States() {
		if n := v.States[s]; n > 0 || v.filter.State == s {
			chips = append(chips, design.Chip{Label: word(s), On: v.filter.State == s, Href: v.href(s, ""), Count: strconv.Itoa(n)})
		}
	}
	return chips
}

// maxForm is what is read of an upload: a file that is too large by little is told so by the rules, the site refuses larger ones.
const maxForm = 2 * licence.MaxFile

func (h *handler) install(w http.ResponseWriter, r *http.Request) error {
	file, err := upload(r)
	if err != nil {
		return err
	}
	e, err := h.Licence.Install(r.Context(), web.Principal(r.Context()), file)
	if problem := (*odcm.Error)(nil); errors.As(err, &problem) && problem.Kind == odcm.Invalid && !web.Enhanced(r) {
		return h.show(w, r, web.StatusOf(err), problem.Message)
	}
	if err != nil {
		return err
	}
	h.Site.Flash(w, r, "success", "The entitlement of "+e.Holder+" is installed.")
	web.Redirect(w, r, path)
	return nil
}

func upload(r *http.Request) ([]byte, error) {
	unreadable := func(err error) error {
		return odcm.E(odcm.Invalid, "request.malformed", "The form could not be read: load the page again.").Because(err)
	}
	//nolint:gosec // the site bounds every body
	if err := r.ParseMultipartForm(maxForm); err != nil && !errors.Is(err, http.ErrNotMultipart) {
		return nil, unreadable(err)
	}
	file, _, err := r.FormFile("file")
	if errors.Is(err, http.ErrMissingFile) || errors.Is(err, http.ErrNotMultipart) {
		return nil, nil // the rules say what is missing
	}
	if err != nil {
		return nil, unreadable(err)
	}
	defer file.Close()
	b, err := io.ReadAll(file)
	if err != nil {
		return nil, unreadable(err)
	}
	return b, nil
}

func (h *handler) remove(w http.ResponseWriter, r *http.Request) error {
	if err := h.Licence.Remove(r.Context(), web.Principal(r.Context())); err != nil {
		return err
	}
	h.Site.Flash(w, r, "success", "The entitlement is removed.")
	web.Redirect(w, r, path)
	return nil
}
