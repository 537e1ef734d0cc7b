package web

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/a-h/templ"

	"odcm"
	"odcm/kit/web/design"
)

// Page is what a page handler gives to [Site.Render].
type Page struct {
	Title   string          // of the window and the page's heading
	Nav     string          // ID of the side bar's entry that is lit
	Crumbs  []design.Crumb  // the way here, without the page itself
	Intro   string          // one line below the heading
	Notice  string          // what is wrong, before the title in the browser's tab: "2 offline"
	Actions templ.Component // buttons beside the heading
	Tabs    []design.Tab    // below the heading
	Body    templ.Component
	// Space names the Space that the page is about, for the switcher's button.
	Space string
	// Bare leaves side bar and heading out: sign-in, sign-out. The body then stands in a narrow card.
	Bare bool
	// Full leaves everything out but the body, on the whole of a dark screen: for a wall.
	Full bool
	// Headless leaves only the heading out: the body has its own.
	Headless bool
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// Render writes the page in the site's frame. Nothing is written if the page cannot be drawn.
func (s *Site) Render(w http.ResponseWriter, r *http.Request, status int, page Page) error {
	ctx := r.Context()
	p := Principal(ctx)
	frame := design.Frame{
		Assets: s.assets, Product: s.o.Product, Version: s.o.Version,
		Title: page.Title, Notice: page.Notice, Intro: page.Intro, Crumbs: page.Crumbs, Actions: page.Actions, Tabs: page.Tabs, Bare: page.Bare, Full: page.Full, Headless: page.Headless,
		Theme: design.ThemeOf(r), Since: position(ctx), Space: page.Space,
	}
	if page.Full {
		frame.Theme = "dark"
	}
	if s.o.Gallery && r.URL.Query().Has("theme") {
		frame.Theme = r.URL.Query().Get("theme")
	}
	if p.User != "" {
		frame.User, frame.UserDetail = p.Name, roleName(p)
		frame.Nav = s.sections(p, page.Nav)
	}
	if !Enhanced(r) { // the script takes parts of the page only: the message waits for a whole one
		frame.FlashTone, frame.Flash = s.takeFlash(w, r)
	}
	b := buffers.Get().(*bytes.Buffer)
	defer func() {
		b.Reset()
		buffers.Put(b)
	}()
	if err := design.Shell(frame).Render(templ.WithChildren(ctx, page.Body), b); err != nil {
		return fmt.Errorf("draw page %q: %w", page.Title, err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store") // pages are a person's own and change
	}
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the client is gone if it fails
	return nil
}

func roleName(p odcm.Principal) string {
	switch {
	case p.Has(odcm.Administrator):
		return "Administrator"
	case p.Has(odcm.Auditor):
		return "Auditor"
	case p.Has(odcm.SpaceAdministrator):
		return "Space administrator"
	}
	return "Member"
}

// errorPage shows the error in the frame, or bare where even that fails.
func (s *Site) errorPage(w http.ResponseWriter, r *http.Request, p *Problem) {
	err := s.Render(w, r, p.Status, Page{
		Title: p.Title, Bare: Principal(r.Context()).User == "", Headless: true, Body: design.Problem(p.Status, p.Detail, p.Code, p.Instance),
	})
	if err != nil {
		s.o.Logger.ErrorContext(r.Context(), "draw error page", "error", err)
		writeProblem(w, p)
	}
}

// Fragment draws a component alone: what a page's script puts in place.
func (s *Site) Fragment(w http.ResponseWriter, r *http.Request, c templ.Component) error {
	html, err := drawHTML(r.Context(), c)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(html)
	return nil
}

func drawHTML(ctx context.Context, c templ.Component) ([]byte, error) {
	var b bytes.Buffer
	if err := c.Render(ctx, &b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
