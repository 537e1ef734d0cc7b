// Package page is what a browser sees at / of a Space server: which server this is, its spaces and its node, for those who
// are signed in; the form to sign in, for the others. The links "/app#/..." that documents carry lead here too.
package page

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"odcm/kit/web/design"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

// Door lets people in and out: package rest keeps the cookies.
type Door interface {
	Principal(w http.ResponseWriter, r *http.Request) (permission.Principal, error)
	SignIn(w http.ResponseWriter, r *http.Request, username, password string, keep bool) error
	SignOut(w http.ResponseWriter, r *http.Request) error
}

// Options are what the page shows.
type Options struct {
	Service                     *collection.Service
	Door                        Door
	Name, Version, Installation string
	Draining                    func(ctx context.Context) (bool, error)
	Logger                      *slog.Logger
}

// policy lets the page use its own style sheet, script and icons, and nothing else.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// New makes the handler of everything that is not below /api.
func New(o Options) http.Handler {
	// The style sheet is unpacked for the first page, not at the start: most Space servers never show one.
	assets := sync.OnceValue(func() *design.Assets { return design.NewAssets("/assets/") })
	p := &pages{o, assets}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /assets/", func(w http.ResponseWriter, r *http.Request) { assets().ServeHTTP(w, r) })
	mux.HandleFunc("GET /{$}", p.home)
	mux.HandleFunc("GET /app", p.home)
	mux.HandleFunc("GET /app/{rest...}", p.home)
	mux.HandleFunc("POST /sign-in", p.signIn)
	mux.HandleFunc("POST /sign-out", p.signOut)
	mux.HandleFunc("/", p.none)
	guarded := http.NewCrossOriginProtection().Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		guarded.ServeHTTP(w, r)
	})
}

type pages struct {
	Options
	assets func() *design.Assets
}

// space is one space on the page.
type space struct {
	name, home, detail string
	meta               []string
	status             string
}

// view is what the page shows.
type view struct {
	frame  design.Frame
	failed string
	user   string
	status string
	facts  []design.Fact
	spaces []space
}

func (p *pages) home(w http.ResponseWriter, r *http.Request) {
	v := p.view(r, p.Name)
	who, err := p.Door.Principal(w, r)
	if err != nil {
		var e *problem.Error
		if !errors.As(err, &e) || e.Status != http.StatusUnauthorized {
			p.fail(w, r, err)
			return
		}
		v.frame.Title = "Sign in"
		p.render(w, r, http.StatusOK, v)
		return
	}
	v.user = who.Username
	if err := p.fill(r.Context(), who, &v); err != nil {
		p.fail(w, r, err)
		return
	}
	p.render(w, r, http.StatusOK, v)
}

func (p *pages) view(r *http.Request, title string) view {
	return view{frame: design.Frame{Assets: p.assets(), Product: "ODCM Space server", Version: p.Version, Title: title, Bare: true, Theme: design.ThemeOf(r)}}
}

// fill reads what the user may see.
func (p *pages) fill(ctx context.Context, who permission.Principal, v *view) error {
	draining, err := p.Draining(ctx)
	if err != nil {
		return err
	}
	v.status = "online"
	switch {
	case p.Service.ReadOnly():
		v.status = "maintenance"
	case draining:
		v.status = "draining"
	}
	counts, err := p.Service.Store.Counts(ctx, p.Service.Store.DB.Read(), "Projects", "Environments", "Machines", "Tenants", "Users")
	if err != nil {
		return err
	}
	database := "SQLite"
	if p.Service.Store.DB.Postgres() {
		database = "PostgreSQL"
	}
	v.facts = []design.Fact{{Label: "Version", Value: p.Version}, {Label: "Node", Value: p.Name}, {Label: "Database", Value: database},
		{Label: "Users", Value: strconv.Itoa(counts[""]["Users"])}, {Label: "Installation", Value: p.Installation}}
	for _, s := range p.Service.Directory().Spaces {
		if !who.Set.Enters(s.ID) {
			continue
		}
		n := counts[s.ID]
		one := space{name: s.Name, home: "/api/" + s.ID, detail: s.ID, status: "enabled"}
		for _, c := range []struct{ kind, one, many string }{{"Projects", "project", "projects"}, {"Environments", "environment", "environments"}, {"Machines", "target", "targets"}, {"Tenants", "tenant", "tenants"}} {
			word := c.many
			if n[c.kind] == 1 {
				word = c.one
			}
			one.meta = append(one.meta, strconv.Itoa(n[c.kind])+" "+word)
		}
		v.spaces = append(v.spaces, one)
	}
	return nil
}

func (p *pages) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	err := p.Door.SignIn(w, r, r.PostFormValue("username"), r.PostFormValue("password"), false)
	if err == nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	var e *problem.Error
	if !errors.As(err, &e) || e.Status >= http.StatusInternalServerError {
		p.fail(w, r, err)
		return
	}
	v := p.view(r, "Sign in")
	v.failed = strings.Join(append(e.Errors, ""), " ")
	if len(e.Errors) == 0 {
		v.failed = e.Message
	}
	p.render(w, r, e.Status, v)
}

func (p *pages) signOut(w http.ResponseWriter, r *http.Request) {
	if err := p.Door.SignOut(w, r); err != nil {
		p.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (p *pages) none(w http.ResponseWriter, r *http.Request) {
	v := p.view(r, "Not found")
	v.failed = "There is no such page on this Space server."
	p.render(w, r, http.StatusNotFound, v)
}

func (p *pages) fail(w http.ResponseWriter, r *http.Request, err error) {
	p.Logger.ErrorContext(r.Context(), "a page failed", "path", r.URL.Path, "error", err)
	v := p.view(r, "Something went wrong")
	v.failed = "The page could not be made. It was written to the server's log; please try again."
	p.render(w, r, http.StatusInternalServerError, v)
}

func (p *pages) render(w http.ResponseWriter, r *http.Request, status int, v view) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if err := home(v).Render(r.Context(), w); err != nil && r.Context().Err() == nil {
		p.Logger.ErrorContext(r.Context(), "a page could not be written", "path", r.URL.Path, "error", err)
	}
}
