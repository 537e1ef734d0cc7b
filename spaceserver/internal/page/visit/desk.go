package visit

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/a-h/templ"

	"odcm/kit/web/design"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

// Door tells who looks and answers what pages ask: package rest.
type Door interface {
	Visitor(r *http.Request) (permission.Principal, error)
	Ask(ctx context.Context, who permission.Principal, method, target string, header http.Header, body io.Reader) ([]byte, error)
}

// Desk hands out visits.
type Desk struct {
	Door    Door
	Service *collection.Service
	Mux     *http.ServeMux
	Assets  func() *design.Assets
	Version string
	// Menu is the address of the script of ODCM's menu of Spaces; "" where no ODCM signs people in here.
	Menu   func(ctx context.Context) string
	Logger *slog.Logger
	// SignIn answers whoever is not signed in.
	SignIn func(w http.ResponseWriter, r *http.Request)
}

// Product is what the server calls itself on its pages.
const Product = "Space server"

// Page is what is shown.
type Page struct {
	Title, Intro string
	Nav          string // the entry of the side bar that is lit
	Crumbs       []design.Crumb
	Tabs         []design.Tab
	Actions      templ.Component
	Body         templ.Component
	Headless     bool // the body has its own heading
}

// Show makes a page. Send does what a form asks for and says where to go on, and what to tell there.
type (
	Show func(v *Visit) Page
	Send func(v *Visit) (location, done string)
)

// Show shows a page at the address.
func (d *Desk) Show(path string, show Show) {
	d.Mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		if v := d.visit(w, r); v != nil {
			v.show(http.StatusOK, show)
		}
	})
}

// Form shows a page with a form that is sent to the same address.
func (d *Desk) Form(path string, show Show, send Send) {
	d.Show(path, show)
	d.Do(path, show, send)
}

// Do takes a form. What is refused is shown on the page, nil for an error's page; the script of the design shows it in the
// form.
func (d *Desk) Do(path string, show Show, send Send) {
	d.Mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		v := d.visit(w, r)
		if v == nil {
			return
		}
		if !strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") { // files are the routes' to bound
			r.Body = http.MaxBytesReader(w, r.Body, 4<<20)
			if err := r.ParseForm(); err != nil {
				v.Fail(problem.New(http.StatusRequestEntityTooLarge, "The form is too large or not readable."))
			}
		}
		location, done := "", ""
		if v.err == nil {
			location, done = send(v)
		}
		if v.err == nil {
			v.leave(location, done)
			return
		}
		status, sentence := v.told()
		if enhanced(r) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(status), "status": status, "detail": sentence})
			return
		}
		if show == nil || status == http.StatusForbidden || status >= http.StatusInternalServerError {
			v.problem()
			return
		}
		v.err, v.Failed, v.sent = nil, sentence, true
		v.show(status, show)
	})
}

// Answer takes a form and shows a page for it, which is not to be shown again: with a secret.
func (d *Desk) Answer(path string, show Show) {
	d.Mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		if v := d.visit(w, r); v != nil {
			v.show(http.StatusOK, show)
		}
	})
}

const script = "X-Odcm-Fetch" // the header of requests that the design's script makes

func enhanced(r *http.Request) bool { return r.Header.Get(script) != "" }

// lastSpace is the cookie with the space that was looked at last, for the pages that are of none.
const lastSpace = "spaceserver-space"

// visit finds out who looks at which space; nil where the answer was given already.
func (d *Desk) visit(w http.ResponseWriter, r *http.Request) *Visit {
	who, err := d.Door.Visitor(r)
	if Status(err) == http.StatusUnauthorized {
		if enhanced(r) {
			w.WriteHeader(http.StatusUnauthorized)
		} else {
			d.SignIn(w, r)
		}
		return nil
	}
	v := &Visit{Who: who, w: w, r: r, desk: d, err: err}
	if wanted := r.PathValue("space"); wanted != "" {
		v.enter(wanted)
		return v
	}
	if cookie, err := r.Cookie(lastSpace); err == nil {
		v.find(cookie.Value)
	}
	if all := v.Spaces(); v.Space.ID == "" && len(all) > 0 {
		v.find(d.Service.Directory().Default)
		if v.Space.ID == "" {
			v.Space = all[0]
		}
	}
	return v
}

func (v *Visit) find(space string) {
	for _, s := range v.Spaces() {
		if s.ID == space || strings.EqualFold(s.Slug, space) {
			v.Space = s
		}
	}
}

// Enter makes the space that of the visit: a task's page has no space in its address.
func (v *Visit) Enter(space string) { v.enter(space) }

func (v *Visit) enter(space string) {
	v.find(space)
	if v.Space.ID == "" {
		v.Fail(problem.NotFound("Space", space))
		return
	}
	if c, err := v.r.Cookie(lastSpace); err != nil || c.Value != v.Space.ID {
		http.SetCookie(v.w, &http.Cookie{Name: lastSpace, Value: v.Space.ID, Path: "/", MaxAge: 365 * 24 * 3600, SameSite: http.SameSiteLaxMode, HttpOnly: true})
	}
}

// flash is the cookie with what the next page tells.
const flash = "spaceserver-flash"

func (v *Visit) leave(location, done string) {
	if location == "" {
		location = v.r.URL.Path
	}
	if done != "" {
		http.SetCookie(v.w, &http.Cookie{Name: flash, Value: base64.RawURLEncoding.EncodeToString([]byte(done)), Path: "/", MaxAge: 30, SameSite: http.SameSiteLaxMode, HttpOnly: true})
	}
	if enhanced(v.r) {
		v.w.Header().Set("X-Odcm-Location", location)
		v.w.WriteHeader(http.StatusNoContent)
		return
	}
	http.Redirect(v.w, v.r, location, http.StatusSeeOther)
}

func (v *Visit) takeFlash() string {
	c, err := v.r.Cookie(flash)
	if err != nil || enhanced(v.r) { // the script takes parts of the page only: the message waits for a whole one
		return ""
	}
	http.SetCookie(v.w, &http.Cookie{Name: flash, Path: "/", MaxAge: -1})
	text, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil {
		return ""
	}
	return string(text)
}

// Status is the HTTP status of an error.
func Status(err error) int {
	var p *problem.Error
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return http.StatusOK
	case errors.As(err, &p):
		return p.Status
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, document.ErrNone):
		return http.StatusNotFound
	}
	return http.StatusInternalServerError
}

// told is how the visit's error is told: the API's own sentences.
func (v *Visit) told() (status int, sentence string) {
	status = Status(v.err)
	var p *problem.Error
	switch {
	case errors.As(v.err, &p) && len(p.Errors) > 0:
		return status, strings.Join(p.Errors, " ")
	case errors.As(v.err, &p) && (status < http.StatusInternalServerError || status == http.StatusNotImplemented):
		return status, p.Message
	case status == http.StatusNotFound:
		return status, "There is no such page, or you may not see it."
	case v.Context().Err() == nil:
		v.desk.Logger.ErrorContext(v.Context(), "a page failed", "path", v.r.URL.Path, "error", v.err)
	}
	return status, "Something went wrong. It was written to the server's log; please try again."
}

// Leave sends the visitor to another page instead of this one.
func (v *Visit) Leave(location string) { v.left = location }

// Render shows a page, for those that [Desk.Raw] answers.
func (v *Visit) Render(page Page) { v.show(http.StatusOK, func(*Visit) Page { return page }) }

// Pages are the entries of the side bar.
func (v *Visit) Pages() []design.NavGroup { return v.nav("") }

func (v *Visit) show(status int, show Show) {
	page := Page{}
	if v.err == nil {
		page = show(v)
	}
	if v.err == nil && v.left != "" {
		http.Redirect(v.w, v.r, v.left, http.StatusSeeOther)
		return
	}
	if v.err != nil {
		v.problem()
		return
	}
	v.render(status, page)
}

func (v *Visit) problem() {
	status, sentence := v.told()
	v.render(status, Page{Title: problemTitle(status), Body: Problem(status, sentence)})
}

// None is the page of an address that does not exist.
func (d *Desk) None(w http.ResponseWriter, r *http.Request) {
	if v := d.visit(w, r); v != nil {
		v.Fail(problem.New(http.StatusNotFound, "There is no such page on this Space server."))
		v.problem()
	}
}

// Raw answers with what f writes itself: an event stream.
func (d *Desk) Raw(path string, f func(v *Visit, w http.ResponseWriter, r *http.Request)) {
	d.Mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		if v := d.visit(w, r); v != nil {
			f(v, w, r)
		}
	})
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// kept is how large a buffer may be to be used again.
const kept = 1 << 20

func (v *Visit) render(status int, page Page) {
	frame := design.Frame{
		Assets: v.desk.Assets(), Product: Product, Version: v.desk.Version, Title: page.Title, Intro: page.Intro, Crumbs: page.Crumbs,
		Actions: page.Actions, Tabs: page.Tabs, Headless: page.Headless, Theme: design.ThemeOf(v.r), User: v.Who.Username, UserDetail: v.role(),
		Nav: v.nav(page.Nav), Find: "Find a project or a page", SettingsHref: "/profile", Extra: []string{"space.css", "space.js"}, Since: "0",
		Menu: switcher(v, v.desk.Menu(v.Context())),
	}
	if frame.Flash = v.takeFlash(); frame.Flash != "" {
		frame.FlashTone = "success"
	}
	b := buffers.Get().(*bytes.Buffer)
	defer func() {
		if b.Cap() <= kept {
			b.Reset()
			buffers.Put(b)
		}
	}()
	if err := design.Shell(frame).Render(templ.WithChildren(v.Context(), page.Body), b); err != nil {
		if v.Context().Err() == nil {
			v.desk.Logger.ErrorContext(v.Context(), "a page could not be drawn", "path", v.r.URL.Path, "error", err)
		}
		http.Error(v.w, "The page could not be drawn.", http.StatusInternalServerError)
		return
	}
	v.write(status, b.Bytes())
}

func (v *Visit) write(status int, html []byte) {
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.Header().Set("Cache-Control", "no-store")
	v.w.WriteHeader(status)
	_, _ = v.w.Write(html) // the client is gone: nobody to tell
}

// Fragment writes a component without a frame: what the script puts in place.
func (v *Visit) Fragment(c templ.Component) {
	var b bytes.Buffer
	if err := c.Render(v.Context(), &b); err != nil {
		v.desk.Logger.ErrorContext(v.Context(), "a page could not be drawn", "path", v.r.URL.Path, "error", err)
		v.w.WriteHeader(http.StatusInternalServerError)
		return
	}
	v.write(http.StatusOK, b.Bytes())
}

func (v *Visit) role() string {
	switch {
	case v.Administers():
		return "System administrator"
	case v.Who.Set.Holds("SpaceEdit", v.Space.ID):
		return "Space manager"
	}
	return "Member"
}

func itoa(n int) string { return strconv.Itoa(n) }
