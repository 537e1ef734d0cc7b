package web

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/a-h/templ"

	"odcm"
	"odcm/kit/web/design"
	"odcm/kit/web/live"
)

var typeOfProblem = reflect.TypeFor[Problem]()

// New makes a site with nothing on it but its assets, the API's description, the live stream and the switcher.
func New(o Options) *Site {
	if o.Product == "" {
		o.Product = "ODCM"
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxBody == 0 {
		o.MaxBody = 1 << 20
	}
	s := &Site{o: o, mux: http.NewServeMux(), assets: design.NewAssets("/assets/"), origins: http.NewCrossOriginProtection(), large: map[string]int64{}}
	s.live = live.New(o.Logger)
	s.metrics = newMetrics(o.Metrics)
	s.once = newIdempotency(o.DB, o.Now)
	s.api = newAPI(s)
	s.add("GET /assets/", s.assets)
	s.Handle(liveRoute, s.serveLive)
	s.Handle("GET /switch", s.serveChoices)
	s.HandlePublic("POST /theme", s.setTheme)
	s.HandlePublic("/", s.noRoute)
	s.docs()
	if o.Gallery {
		s.HandlePublic("GET /_design", s.gallery)
	}
	return s
}

// Start makes the site's tables and begins to push fragments.
func (s *Site) Start(ctx context.Context) error {
	if s.o.DB != nil {
		if err := s.once.migrate(ctx); err != nil {
			return err
		}
	}
	s.live.Start(s.o.Bus)
	return nil
}

// Stop ends every live stream, so that the HTTP server can shut down: call it before http.Server.Shutdown, or from
// http.Server.RegisterOnShutdown.
func (s *Site) Stop(context.Context) error {
	s.live.Close()
	return nil
}

// ServeHTTP serves the site: request identifier, recovery, security headers, refusal of cross-site requests that change
// something (Sec-Fetch-Site and Origin, see [http.CrossOriginProtection]; requests with a bearer key need none, because no
// other site's page can make a browser send one), body limit, metrics, log.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := s.o.Now()
	id := rand.Text()[:16]
	nonce := rand.Text()
	ctx := templ.WithNonce(context.WithValue(r.Context(), requestKey{}, id), nonce)
	rec := &recorder{ResponseWriter: w}
	r = r.WithContext(ctx)
	s.secureHeaders(rec, r, id, nonce)
	defer func() {
		if v := recover(); v != nil {
			if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(v)
			}
			s.o.Logger.ErrorContext(ctx, "panic", "request", id, "value", v, "stack", string(debug.Stack()))
			if rec.status == 0 {
				s.Error(rec, r, errors.New("panic"))
			}
		}
		s.metrics.observe(r.Pattern, r.Method, rec.status, s.o.Now().Sub(start))
		level := slog.LevelDebug // what was refused is the business of who asked; what failed is the operator's
		if rec.status >= 500 {
			level = slog.LevelWarn
		}
		s.o.Logger.Log(ctx, level, "request", "request", id, "method", r.Method, "path", r.URL.Path, "route", r.Pattern,
			"status", rec.status, "bytes", rec.bytes, "took", s.o.Now().Sub(start))
	}()
	if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
		if err := s.origins.Check(r); err != nil {
			s.Error(rec, r, odcm.E(odcm.Denied, codeCrossSite, "The request came from another site's page.").Because(err))
			return
		}
	}
	if !storable(r.URL) {
		s.Error(rec, r, odcm.E(odcm.Invalid, codeMalformed, "The address holds bytes that are not text."))
		return
	}
	limit := s.o.MaxBody
	if len(s.large) > 0 {
		_, pattern := s.mux.Handler(r)
		limit = s.limit(pattern)
	}
	if r.ContentLength > limit {
		s.Error(rec, r, &http.MaxBytesError{Limit: limit})
		return
	}
	r.Body = http.MaxBytesReader(rec, r.Body, limit)
	s.mux.ServeHTTP(rec, r)
}

// storable tells whether path and query are text without zero bytes: PostgreSQL takes no other.
func storable(u *url.URL) bool {
	text := u.Path
	if u.RawQuery != "" {
		query, err := url.QueryUnescape(u.RawQuery)
		if err != nil {
			return true // whoever reads the query says what is wrong with it
		}
		text += query
	}
	return utf8.ValidString(text) && !strings.ContainsRune(text, 0)
}

func (s *Site) limit(pattern string) int64 {
	if n, ok := s.large[pattern]; ok {
		return n
	}
	return s.o.MaxBody
}

func (s *Site) secureHeaders(w http.ResponseWriter, r *http.Request, id, nonce string) {
	h := w.Header()
	h.Set("X-Request-Id", id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self' 'nonce-"+nonce+"'; style-src 'self' 'nonce-"+nonce+
		"'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	if s.secure(r) {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// Allow adds sources to a directive of the answer's Content-Security-Policy: Allow(w, "form-action", "https://octopus.example")
// for a form that leads to another site.
func Allow(w http.ResponseWriter, directive string, sources ...string) {
	parts := strings.Split(w.Header().Get("Content-Security-Policy"), "; ")
	for i, part := range parts {
		if name, have, _ := strings.Cut(part, " "); name == directive {
			if have == "'none'" {
				have = ""
			}
			parts[i] = strings.TrimSpace(name + " " + strings.TrimSpace(have+" "+strings.Join(sources, " ")))
		}
	}
	w.Header().Set("Content-Security-Policy", strings.Join(parts, "; "))
}

type requestKey struct{}

// RequestID returns the identifier of the request, as the log has it.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}

// noRoute answers what no pattern matches: 405 where another method would do (RFC 9110 section 15.5.6), 404 otherwise.
func (s *Site) noRoute(w http.ResponseWriter, r *http.Request) error {
	var allowed []string
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		other := &http.Request{Method: method, URL: r.URL, Host: r.Host}
		if _, pattern := s.mux.Handler(other); pattern != "/" && pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		return odcm.E(odcm.Unsupported, codeMethod, "This address does not take %s.", r.Method)
	}
	return odcm.E(odcm.NotFound, codeRoute, "There is nothing at this address.")
}

func (s *Site) serveChoices(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query().Get("q")
	found, err := s.choices(r.Context(), Principal(r.Context()), query)
	if err != nil {
		return err
	}
	if Enhanced(r) {
		return s.Fragment(w, r, design.Choices(found))
	}
	return s.Render(w, r, http.StatusOK, Page{Title: "Go to", Body: design.SwitchPage(query, found)})
}

func (s *Site) setTheme(w http.ResponseWriter, r *http.Request) error {
	theme := r.PostFormValue("theme")
	if theme != "light" && theme != "dark" {
		theme = "auto"
	}
	http.SetCookie(w, &http.Cookie{Name: design.ThemeCookie, Value: theme, Path: "/", MaxAge: 365 * 86400, SameSite: http.SameSiteLaxMode})
	Redirect(w, r, ReturnPath(r.PostFormValue("return")))
	return nil
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
