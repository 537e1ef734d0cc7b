// Package page is the Space server's own web interface: dashboard, projects, releases, tasks, infrastructure, library,
// people, audit and configuration, each in a package of its own below. Pages are drawn on the server and work without
// script where that makes sense; what they do they do through the REST routes, for the one who looks (package visit).
// The links "/app#/..." that documents carry lead here too.
package page

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"odcm/kit/web/design"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/configuration"
	"odcm/spaceserver/internal/entitlement"
	"odcm/spaceserver/internal/page/dashboard"
	"odcm/spaceserver/internal/page/infrastructure"
	"odcm/spaceserver/internal/page/library"
	"odcm/spaceserver/internal/page/people"
	"odcm/spaceserver/internal/page/process"
	"odcm/spaceserver/internal/page/project"
	"odcm/spaceserver/internal/page/release"
	"odcm/spaceserver/internal/page/server"
	"odcm/spaceserver/internal/page/task"
	"odcm/spaceserver/internal/page/tenant"
	"odcm/spaceserver/internal/page/variable"
	"odcm/spaceserver/internal/page/visit"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/signin"
)

// Door lets people in and out, and answers what pages ask: package rest.
type Door interface {
	visit.Door
	SignIn(w http.ResponseWriter, r *http.Request, username, password string, keep bool) error
	SignOut(w http.ResponseWriter, r *http.Request) error
	// Offered tells whom the browser may go on as, while ODCM does not answer: entitlement.ErrNone where nobody.
	Offered(r *http.Request) (entitlement.Offer, error)
	// Enter starts the session that was offered.
	Enter(w http.ResponseWriter, r *http.Request) error
}

// Ways tells how people can sign in: package signin.
type Ways interface {
	Providers(ctx context.Context) ([]signin.Provider, error)
	// AutoLogin is where strangers are sent at once, "" where they are asked.
	AutoLogin(ctx context.Context) (string, error)
	// Enabled tells whether the way of a section of the configuration is open.
	Enabled(ctx context.Context, section string) (bool, error)
}

// Options are what the pages need.
type Options struct {
	Service                     *collection.Service
	Door                        Door
	Name, Version, Installation string
	Ways                        Ways // nil for the password only
	// Follow tells what a task writes; nil where logs do not change while one looks.
	Follow task.Follow
	// Menu is the address of the script of ODCM's menu of Spaces, which has its place in the header; "" where no ODCM signs
	// people in here. It asks nobody and never fails.
	Menu   func(ctx context.Context) string
	Logger *slog.Logger
}

//go:embed asset
var files embed.FS

// policy lets the pages use their own style sheets, scripts and icons, and nothing else: no script and no style stands in a
// page itself, so there is nothing to give a nonce to.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'%[1]s; img-src 'self' data:; connect-src 'self'%[1]s; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// beside is what the policy adds for ODCM's menu of Spaces: its script, and what that asks.
func beside(menu string) string {
	u, err := url.Parse(menu)
	if err != nil || u.Host == "" || strings.ContainsAny(u.Host, "; '\"") {
		return ""
	}
	return " " + u.Scheme + "://" + u.Host
}

// New makes the handler of everything that is not below /api.
func New(o Options) http.Handler {
	if o.Menu == nil {
		o.Menu = func(context.Context) string { return "" }
	}
	// Style sheets are packed for the first page, not at the start: most Space servers never show one.
	assets := sync.OnceValue(func() *design.Assets {
		a := design.NewAssets("/assets/")
		for _, name := range []string{"space.css", "space.js"} {
			content, _ := files.ReadFile("asset/" + name) // it is embedded
			a.Add(name, content)
		}
		return a
	})
	mux := http.NewServeMux()
	p := &pages{o, assets}
	desk := &visit.Desk{Door: o.Door, Service: o.Service, Mux: mux, Assets: assets, Version: o.Version, Menu: o.Menu, Logger: o.Logger, SignIn: p.ask}
	mux.HandleFunc("GET /assets/", func(w http.ResponseWriter, r *http.Request) { assets().ServeHTTP(w, r) })
	mux.HandleFunc("POST /sign-in", p.signIn)
	mux.HandleFunc("POST /sign-in/known", p.enter)
	desk.Show("/sign-in", func(v *visit.Visit) visit.Page { v.Leave("/"); return visit.Page{} })
	mux.HandleFunc("POST /sign-out", p.signOut)
	mux.HandleFunc("POST /theme", theme)
	mux.HandleFunc("/", desk.None)
	desk.Show("/{$}", home)
	desk.Show("/app", home)
	desk.Show("/app/{space}", func(v *visit.Visit) visit.Page { v.Leave(v.To("dashboard")); return visit.Page{} })
	desk.Raw("/switch", find)
	desk.Raw("/live", p.live)
	dashboard.Serve(desk)
	project.Serve(desk)
	process.Serve(desk)
	variable.Serve(desk)
	release.Serve(desk)
	task.Serve(desk, o.Follow)
	infrastructure.Serve(desk)
	library.Serve(desk)
	tenant.Serve(desk)
	people.Serve(desk)
	server.Serve(desk)
	guarded := http.NewCrossOriginProtection().Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", fmt.Sprintf(policy, beside(o.Menu(r.Context()))))
		guarded.ServeHTTP(w, r)
	})
}

type pages struct {
	Options
	assets func() *design.Assets
}

// home leads to the dashboard of the space that was looked at last. An address with a fragment, as documents carry it, is the
// script's to follow: browsers do not send it.
func home(v *visit.Visit) visit.Page {
	return visit.Page{Title: "Spaces", Headless: true, Body: start(v)}
}

// ask shows the form to sign in at the address that was asked for, or leads to the only provider where the configuration
// says so. Whoever signed out, or comes to the form itself, is not signed in again unasked.
func (p *pages) ask(w http.ResponseWriter, r *http.Request) {
	if p.Ways != nil && r.Method == http.MethodGet && r.URL.Path != "/sign-in" {
		switch at, err := p.Ways.AutoLogin(r.Context()); {
		case err != nil: // the form still does
			p.Logger.ErrorContext(r.Context(), "where to sign in could not be read", "error", err)
		case at != "":
			w.Header().Set("Cache-Control", "no-store")
			http.Redirect(w, r, at+"?return="+url.QueryEscape(local(r.URL.RequestURI())), http.StatusFound)
			return
		}
	}
	p.form(w, r, http.StatusOK, "")
}

// ways are the providers to offer, and whether there is a form for the password beside them. What cannot be read is written
// to the log: the password still does.
func (p *pages) ways(ctx context.Context) ([]signin.Provider, bool) {
	if p.Ways == nil {
		return nil, true
	}
	providers, err := p.Ways.Providers(ctx)
	if err == nil {
		var forms bool
		if forms, err = p.Ways.Enabled(ctx, configuration.UsernamePassword); err == nil {
			return providers, forms
		}
	}
	p.Logger.ErrorContext(ctx, "the ways to sign in could not be read", "error", err)
	return providers, true
}

func (p *pages) form(w http.ResponseWriter, r *http.Request, status int, failed string) {
	next := r.PostFormValue("next")
	if next == "" && r.Method == http.MethodGet {
		next = r.URL.RequestURI()
	}
	providers, forms := p.ways(r.Context())
	frame := design.Frame{Assets: p.assets(), Product: visit.Product, Version: p.Version, Title: "Sign in", Bare: true, Theme: design.ThemeOf(r), Extra: []string{"space.css", "space.js"}}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	offer, err := p.Door.Offered(r)
	if err != nil && !errors.Is(err, entitlement.ErrNone) {
		p.Logger.ErrorContext(r.Context(), "the entitlements could not be read", "error", err)
	}
	if err := signIn(frame, p.Name, local(next), r.PostFormValue("username"), failed, providers, forms, offer).Render(r.Context(), w); err != nil && r.Context().Err() == nil {
		p.Logger.ErrorContext(r.Context(), "a page could not be written", "path", r.URL.Path, "error", err)
	}
}

// local is where to go after signing in: only a page of this server.
func local(next string) string {
	if next == "/sign-in" || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}

func (p *pages) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	p.goOn(w, r, p.Door.SignIn(w, r, r.PostFormValue("username"), r.PostFormValue("password"), r.PostFormValue("keep") != ""))
}

// enter lets somebody in by the entitlement snapshot, who asked for it on the form.
func (p *pages) enter(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	p.goOn(w, r, p.Door.Enter(w, r))
}

// goOn leads to where somebody wanted to go, or says why the sign-in failed.
func (p *pages) goOn(w http.ResponseWriter, r *http.Request, err error) {
	if err == nil {
		http.Redirect(w, r, local(r.PostFormValue("next")), http.StatusSeeOther)
		return
	}
	status, sentence := visit.Status(err), "The sign-in failed. It was written to the server's log; please try again."
	if e := (*problem.Error)(nil); errors.As(err, &e) && status < http.StatusInternalServerError {
		sentence = strings.Join(e.Errors, " ")
		if sentence == "" {
			sentence = e.Message
		}
	} else {
		p.Logger.ErrorContext(r.Context(), "a sign-in failed", "error", err)
	}
	p.form(w, r, status, sentence)
}

func (p *pages) signOut(w http.ResponseWriter, r *http.Request) {
	if err := p.Door.SignOut(w, r); err != nil {
		p.Logger.ErrorContext(r.Context(), "a sign-out failed", "error", err)
		http.Error(w, "The sign-out failed; please try again.", http.StatusInternalServerError)
		return
	}
	http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
}

// theme keeps the choice of a browser without script; the design's script does it by itself.
func theme(w http.ResponseWriter, r *http.Request) {
	chosen := r.PostFormValue("theme")
	if chosen != "light" && chosen != "dark" {
		chosen = "auto"
	}
	http.SetCookie(w, &http.Cookie{Name: design.ThemeCookie, Value: chosen, Path: "/", MaxAge: 365 * 24 * 3600, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
