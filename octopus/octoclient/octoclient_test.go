package octoclient_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"odcm"
	"odcm/kit/egress"
	"odcm/octopus"
	"odcm/octopus/octoclient"
)

const key = "API-SECRETSECRETSECRET"

// answer is a handler that gives always the same.
func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func dial(t *testing.T, h http.HandlerFunc, change ...func(*octoclient.Options)) *octoclient.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return dialURL(t, s.URL, change...)
}

func dialURL(t *testing.T, url string, change ...func(*octoclient.Options)) *octoclient.Client {
	t.Helper()
	o := octoclient.Options{URL: url, APIKey: key}
	for _, c := range change {
		c(&o)
	}
	c, err := octoclient.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wantError(t *testing.T, err error, kind odcm.Kind, code string, words ...string) {
	t.Helper()
	var e *odcm.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Code != code {
		t.Fatalf("got %v (%s, %s), want %s, %s", err, odcm.KindOf(err), odcm.CodeOf(err), kind, code)
	}
	for _, w := range words {
		if !strings.Contains(e.Message, w) {
			t.Errorf("the message does not say %q: %s", w, e.Message)
		}
	}
	if strings.Contains(err.Error(), key) {
		t.Errorf("the error shows the key: %v", err)
	}
}

func TestFailuresHaveStableCodes(t *testing.T) {
	t.Parallel()
	html := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "<html>Sign in</html>")
		}
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		kind    odcm.Kind
		code    string
		words   string
	}{
		"a web page":              {html(200), odcm.Invalid, "octopus.not-octopus", "a web page"},
		"a proxy's sign-in":       {html(401), odcm.Invalid, "octopus.not-octopus", "proxy"},
		"another site's 404":      {html(404), odcm.Invalid, "octopus.not-octopus", "a web page"},
		"another API's 404":       {answer(404, `{"error":"no route"}`), odcm.Invalid, "octopus.not-octopus", "not JSON of Octopus"},
		"an array":                {answer(200, `[]`), odcm.Invalid, "octopus.not-octopus", ""},
		"nothing":                 {answer(200, ``), odcm.Invalid, "octopus.not-octopus", ""},
		"cut JSON":                {answer(200, `{"Id":`), odcm.Invalid, "octopus.not-octopus", ""},
		"a wrong key":             {answer(401, `{"ErrorMessage":"You must be logged in."}`), odcm.Unauthenticated, "octopus.unauthorized", "API key"},
		"a missing permission":    {answer(403, `{"ErrorMessage":"You do not have permission to perform this action. Please contact your Octopus administrator. Missing permission: EnvironmentView"}`), odcm.Denied, "octopus.forbidden", "EnvironmentView"},
		"denied for a reason":     {answer(403, `{"ErrorMessage":"Not on Sundays."}`), odcm.Denied, "octopus.forbidden", "Not on Sundays."},
		"not found":               {answer(404, `{"ErrorMessage":"The resource 'x' was not found."}`), odcm.NotFound, "octopus.not-found", "was not found"},
		"invalid":                 {answer(400, `{"ErrorMessage":"There was a problem with your request.","Errors":["Name is required.","Slug is taken."]}`), odcm.Invalid, "octopus.invalid", "Name is required. Slug is taken."},
		"a conflict":              {answer(409, `{"ErrorMessage":"x","Errors":["The name is taken."]}`), odcm.Conflict, "octopus.conflict", "The name is taken."},
		"out of date, by 400":     {answer(400, `{"ErrorMessage":"There was a problem.","Errors":["Modification failed for 'Channel' document with 'Channels-1' Id because submitted data was out of date. Refresh the document and try again."]}`), odcm.Conflict, "octopus.conflict", "Someone else"},
		"an old version":          {answer(405, `{"ErrorMessage":"Method not allowed"}`), odcm.Unsupported, "octopus.unsupported", ""},
		"maintenance":             {answer(503, `{"ErrorMessage":"Octopus is in Maintenance Mode."}`), odcm.Unavailable, "octopus.maintenance", ""},
		"starting":                {answer(503, `{"ErrorMessage":"Starting"}`), odcm.Unavailable, "octopus.unavailable", "starting"},
		"a proxy without backend": {html(502), odcm.Unavailable, "octopus.unavailable", "502"},
		"a crash":                 {answer(500, `{"ErrorMessage":"Oops","FullException":"at Octopus.Server..."}`), odcm.Unavailable, "octopus.failed", "Oops"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := dial(t, c.handler, func(o *octoclient.Options) { o.Attempts = 1 })
			_, err := client.Get(t.Context(), "/api/x?secret=1")
			wantError(t, err, c.kind, c.code, c.words)
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error shows the query: %v", err)
			}
		})
	}
}

func TestNoServer(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(answer(200, `{}`))
	s.Close()
	_, err := dialURL(t, s.URL).Root(t.Context())
	wantError(t, err, odcm.Unavailable, "octopus.unreachable", "Nothing listens")
	_, err = dialURL(t, s.URL).Ping(t.Context())
	wantError(t, err, odcm.Unavailable, "octopus.unreachable")
	_, err = dialURL(t, "http://169.254.169.254").Root(t.Context())
	wantError(t, err, odcm.Invalid, "egress.denied")
}

func TestTLS(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(answer(200, rootOf("2025.4.1000")))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	_, err := dialURL(t, s.URL).Root(t.Context())
	wantError(t, err, odcm.Unavailable, "octopus.tls", "issued by")
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	for _, settings := range []egress.TLS{{CA: ca}, {Thumbprint: egress.Thumbprint(s.Certificate())}} {
		if _, err := dialURL(t, s.URL, func(o *octoclient.Options) { o.TLS = settings }).Root(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestTheKeyDoesNotFollowARedirect(t *testing.T) {
	t.Parallel()
	var leaked atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		leaked.Store(true)
	}))
	defer elsewhere.Close()
	client := dial(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) })
	_, err := client.Root(t.Context())
	wantError(t, err, odcm.Invalid, "egress.redirect", elsewhere.URL)
	if leaked.Load() {
		t.Error("the other server was asked")
	}
}

func rootOf(version string) string {
	return fmt.Sprintf(`{"Application":"Octopus Deploy","Version":%q,"ApiVersion":"3.0.0","InstallationId":"d4d1d0d3","Links":{}}`, version)
}

func TestRoot(t *testing.T) {
	t.Parallel()
	root, err := dial(t, answer(200, rootOf("2025.4.1000"))).Root(t.Context())
	if err != nil || root.Version() != "2025.4.1000" || root.InstallationID() != "d4d1d0d3" {
		t.Errorf("%v %v", root, err)
	}
	root, err = dial(t, answer(200, rootOf("2019.7.12"))).Root(t.Context())
	wantError(t, err, odcm.Unsupported, "octopus.version-too-old", "2019.7.12", string(octoclient.MinimumVersion))
	if root.Version() != "2019.7.12" {
		t.Error("the root does not come with the error")
	}
	for _, other := range []string{`{"name":"npm"}`, `{"Version":"1.2.3"}`, rootOf("latest")} {
		_, err = dial(t, answer(200, other)).Root(t.Context())
		wantError(t, err, odcm.Invalid, "octopus.not-octopus")
	}
	_, err = dial(t, answer(404, `{"ErrorMessage":"x"}`)).Root(t.Context())
	wantError(t, err, odcm.Invalid, "octopus.not-octopus")
}

func TestURLsAsPeopleTypeThem(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"https://Octopus.Example.com":              "https://octopus.example.com",
		" https://octopus.example.com:443/ ":       "https://octopus.example.com",
		"http://octopus:80/app#/Spaces-1/projects": "http://octopus",
		"http://octopus:8080/api/":                 "http://octopus:8080",
		"https://example.com/octopus/app#/":        "https://example.com/octopus",
		"http://[::1]:8065":                        "http://[::1]:8065",
	} {
		u, err := octoclient.ParseURL(typed)
		if err != nil || u.String() != want {
			t.Errorf("%q: %v, %v, want %s", typed, u, err, want)
		}
	}
	for _, bad := range []string{"", "octopus.example.com", "ftp://x", "https://", "https://me:pw@octopus", "http://a b", "javascript:alert(1)", "http://%zz"} {
		_, err := octoclient.ParseURL(bad)
		var e *odcm.Error
		if !errors.As(err, &e) || e.Code != "octopus.url" || len(e.Fields) != 1 || e.Fields[0].Field != "url" {
			t.Errorf("%q: %v", bad, err)
		}
		if err != nil && strings.Contains(err.Error(), "pw") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
	_, err := octoclient.New(octoclient.Options{URL: "http://x", APIKey: "API-A\r\nHost: y"})
	wantError(t, err, odcm.Invalid, "octopus.key")
}

func TestVirtualDirectory(t *testing.T) {
	t.Parallel()
	var paths []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.EscapedPath())
		answer(200, `{}`)(w, r)
	}))
	defer s.Close()
	client := dialURL(t, s.URL+"/octopus")
	for _, path := range []string{"/api/users/me", "/octopus/api/users/me", octopus.SpaceRoute("Spaces-1", "projects", "a/b"), "//evil.example/api"} {
		if _, err := client.Get(t.Context(), path); err != nil {
			t.Fatal(err)
		}
	}
	want := "[/octopus/api/users/me /octopus/api/users/me /octopus/api/Spaces-1/projects/a%2Fb /octopus/evil.example/api]"
	if got := fmt.Sprint(paths); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestTheKeyIsNeverShown(t *testing.T) {
	t.Parallel()
	var logged strings.Builder
	logger := slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var sent string
	options := octoclient.Options{APIKey: key, Logger: logger}
	client := dial(t, func(w http.ResponseWriter, r *http.Request) {
		sent = r.Header.Get("x-octopus-apikey")
		answer(200, `{}`)(w, r)
	}, func(o *octoclient.Options) { o.Logger = logger })
	if _, err := client.Get(t.Context(), "/api/x"); err != nil {
		t.Fatal(err)
	}
	if sent != key {
		t.Error("the key was not sent")
	}
	if !strings.Contains(logged.String(), "/api/x") {
		t.Error("nothing was logged")
	}
	asJSON, err := json.Marshal(struct {
		K string `json:"-"`
	}{})
	if err != nil {
		t.Fatal(err)
	}
	logger.Info("all", "client", client, "options", options)
	for _, s := range []string{logged.String(), fmt.Sprintf("%v %+v %#v", client, client, client), fmt.Sprintf("%v %+v %#v %s", options, options, options, options), string(asJSON)} {
		if strings.Contains(s, key) {
			t.Errorf("the key is shown: %s", s)
		}
	}
}

func TestRetries(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method   string
		status   int
		after    string
		attempts int // of which the last succeeds
		code     string
	}{
		"GET waits out 429":                    {"GET", 429, "0", 3, ""},
		"GET waits out 503":                    {"GET", 503, "0", 2, ""},
		"PUT is repeated":                      {"PUT", 503, "0", 2, ""},
		"DELETE is repeated":                   {"DELETE", 429, "0", 2, ""},
		"a date that has passed":               {"GET", 429, "Mon, 02 Jan 2006 15:04:05 GMT", 2, ""},
		"without Retry-After":                  {"GET", 503, "", 2, ""},
		"POST is not repeated on 503":          {"POST", 503, "0", 1, "octopus.unavailable"},
		"POST is not repeated on 429":          {"POST", 429, "0", 1, "octopus.limited"},
		"500 is not repeated":                  {"GET", 500, "", 1, "octopus.failed"},
		"a wait that is too long is not begun": {"GET", 429, "3600", 1, "octopus.limited"},
		"it ends":                              {"GET", 429, "0", 9, "octopus.limited"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			client := dial(t, func(w http.ResponseWriter, r *http.Request) {
				if asked++; asked < c.attempts || c.code != "" {
					if c.after != "" {
						w.Header().Set("Retry-After", c.after)
					}
					answer(c.status, `{"ErrorMessage":"later"}`)(w, r)
					return
				}
				answer(200, `{"Id":"A-1"}`)(w, r)
			})
			var err error
			switch c.method {
			case "GET":
				_, err = client.Get(t.Context(), "/api/x")
			case "PUT":
				_, err = client.Put(t.Context(), "/api/x", octopus.Object{})
			case "POST":
				_, err = client.Post(t.Context(), "/api/x", octopus.Object{})
			case "DELETE":
				_, err = client.Delete(t.Context(), "/api/x")
			}
			if c.code != "" {
				wantError(t, err, odcm.Unavailable, c.code)
				if name == "it ends" {
					c.attempts = 4
				}
			} else if err != nil {
				t.Fatal(err)
			}
			if asked != c.attempts {
				t.Errorf("asked %d times, want %d", asked, c.attempts)
			}
			if u := client.Budget().Usage(); u.Retries != int64(c.attempts-1) {
				t.Errorf("%+v", u)
			}
		})
	}
}

func TestADeletionThatSeemedToFailDidHappen(t *testing.T) {
	t.Parallel()
	asked := 0
	client := dial(t, func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked == 1 {
			w.Header().Set("Retry-After", "0")
			answer(503, `{"ErrorMessage":"later"}`)(w, r)
			return
		}
		answer(404, `{"ErrorMessage":"not found"}`)(w, r)
	})
	if _, err := client.Delete(t.Context(), "/api/x"); err != nil {
		t.Error(err)
	}
	_, err := client.Delete(t.Context(), "/api/x")
	wantError(t, err, odcm.NotFound, "octopus.not-found")
}

// listing serves n things by skip and take.
func listing(n int, asked *[]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.URL.RequestURI())
		skip, _ := strconv.Atoi(r.URL.Query().Get("skip"))
		count, _ := strconv.Atoi(r.URL.Query().Get("take"))
		items := []map[string]string{}
		for i := skip; i < min(n, skip+count); i++ {
			items = append(items, map[string]string{"Id": fmt.Sprintf("Things-%d", i)})
		}
		raw, _ := json.Marshal(map[string]any{"TotalResults": n, "ItemsPerPage": count, "Items": items})
		answer(200, string(raw))(w, r)
	}
}

func TestListReadsAllPages(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 99, 100, 101, 250} {
		var asked []string
		client := dial(t, listing(n, &asked))
		seen := 0
		for o, err := range client.List(t.Context(), "/api/things?partialName=a%26b") {
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("Things-%d", seen); o.ID() != want {
				t.Fatalf("got %s, want %s", o.ID(), want)
			}
			seen++
		}
		if pages := max(1, (n+99)/100); seen != n || len(asked) != pages {
			t.Errorf("%d of %d in %d requests: %v", seen, n, len(asked), asked)
		}
		if !strings.Contains(asked[0], "partialName=a%26b") {
			t.Errorf("the query was lost: %s", asked[0])
		}
	}
}

func TestListStops(t *testing.T) {
	t.Parallel()
	var asked []string
	client := dial(t, listing(1000, &asked))
	for range client.List(t.Context(), "/api/things") {
		break
	}
	if len(asked) != 1 {
		t.Errorf("%d requests after a break", len(asked))
	}
	// A route that knows no skip gives the same page for ever.
	same := dial(t, answer(200, `{"TotalResults":1000,"Items":[{"Id":"A-1"},{"Id":"A-2"}]}`))
	n := 0
	for _, err := range same.List(t.Context(), "/api/things") {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 2 {
		t.Errorf("%d items of a page that comes again", n)
	}
	for _, err := range dial(t, answer(200, `{"Id":"A-1"}`)).List(t.Context(), "/api/things") {
		wantError(t, err, odcm.Invalid, "octopus.not-octopus", "not a list")
	}
}

func TestUpdateKeepsWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	const resource = `{"Id":"Projects-1","New in 2027":{"b":[1.0,null],"a":"<"},"Name":"x","Version":3}`
	var put string
	client := dial(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			b, _ := io.ReadAll(r.Body)
			put = string(b)
			answer(200, put)(w, r)
			return
		}
		answer(200, resource)(w, r)
	})
	o, err := client.Update(t.Context(), "/api/projects/Projects-1", func(o *octopus.Object) error { o.Set("name", "y"); return nil })
	if want := strings.Replace(resource, `"x"`, `"y"`, 1); err != nil || put != want || o.Name() != "y" {
		t.Errorf("put %s, want %s; %v", put, want, err)
	}
	put = ""
	if _, err := client.Update(t.Context(), "/api/x", func(*octopus.Object) error { return nil }); err != nil || put != "" {
		t.Errorf("put without a change: %q %v", put, err)
	}
	stop := errors.New("stop")
	if _, err := client.Update(t.Context(), "/api/x", func(*octopus.Object) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
}

func TestUpdateReadsAnewOnConflict(t *testing.T) {
	t.Parallel()
	version, conflicts := 1, 2
	client := dial(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			b, _ := io.ReadAll(r.Body)
			o, _ := octopus.ParseObject(b)
			if conflicts > 0 {
				conflicts--
				version++ // someone else was faster
			}
			if o.Int("Version") != int64(version) {
				answer(409, `{"ErrorMessage":"changed"}`)(w, r)
				return
			}
			version++
		}
		answer(200, fmt.Sprintf(`{"Version":%d}`, version))(w, r)
	})
	runs := 0
	o, err := client.Update(t.Context(), "/api/x", func(o *octopus.Object) error { runs++; o.Set("Mark", true); return nil })
	if err != nil || runs != 3 || o.Int("Version") != 4 {
		t.Errorf("%d runs, %v, %v", runs, o, err)
	}
	always := dial(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			answer(409, `{"ErrorMessage":"changed"}`)(w, r)
			return
		}
		answer(200, `{}`)(w, r)
	})
	_, err = always.Update(t.Context(), "/api/x", func(o *octopus.Object) error { o.Set("a", 1); return nil })
	wantError(t, err, odcm.Conflict, "octopus.conflict")
}

func TestPing(t *testing.T) {
	t.Parallel()
	var status atomic.Int32
	status.Store(200)
	var keyed atomic.Bool
	client := dial(t, func(w http.ResponseWriter, r *http.Request) {
		keyed.Store(r.Header.Get("X-Octopus-ApiKey") != "")
		w.WriteHeader(int(status.Load()))
		_, _ = io.WriteString(w, `"pong"`)
	})
	for s, want := range map[int32][2]bool{200: {true, false}, 418: {false, true}, 503: {false, false}, 302: {false, false}} {
		status.Store(s)
		pong, err := client.Ping(t.Context())
		if err != nil || pong.Status != int(s) || pong.OK() != want[0] || pong.Draining() != want[1] || pong.Took <= 0 {
			t.Errorf("%d: %+v %v", s, pong, err)
		}
	}
	if keyed.Load() {
		t.Error("a ping needs no key and must not send it")
	}
	if u := client.Budget().Usage(); u.Pings != 4 || u.Interactive != 0 {
		t.Errorf("%+v", u)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.Ping(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestServerMethods(t *testing.T) {
	t.Parallel()
	maintenance := false
	client := dial(t, func(w http.ResponseWriter, r *http.Request) {
		answers := map[string]string{
			"/api/users/me": `{"Id":"Users-1","Username":"admin"}`,
			"/api/users/Users-1/permissions?spaces=all&includeSystem=true": `{"SystemPermissions":["AdministerSystem"]}`,
			"/api/spaces/all":                       `[{"Id":"Spaces-1","IsDefault":true}]`,
			"/api/octopusservernodes/summary":       `{"Nodes":[{"Name":"a"}]}`,
			"/api/licenses/licenses-current-status": `{"IsCompliant":true}`,
			"/api/maintenanceconfiguration":         fmt.Sprintf(`{"Id":"maintenance","IsInMaintenanceMode":%v}`, maintenance),
			"/api/tasks/ServerTasks-1/raw":          `"log"`,
		}
		if r.Method == http.MethodPut {
			maintenance = true
			_, _ = io.Copy(w, r.Body)
			return
		}
		body, ok := answers[r.URL.RequestURI()]
		if !ok {
			answer(404, `{"ErrorMessage":"no"}`)(w, r)
			return
		}
		answer(200, body)(w, r)
	})
	ctx := t.Context()
	me, err := client.Me(ctx)
	check(t, err, me.Username() == "admin")
	permissions, err := client.Permissions(ctx)
	check(t, err, permissions.Has("AdministerSystem", ""))
	spaces, err := client.Spaces(ctx)
	check(t, err, len(spaces) == 1 && spaces[0].IsDefault())
	nodes, err := client.Nodes(ctx)
	check(t, err, len(nodes.Nodes()) == 1)
	licence, err := client.LicenceStatus(ctx)
	check(t, err, licence.IsCompliant())
	mode, err := client.Maintenance(ctx)
	check(t, err, !mode.On())
	mode, err = client.SetMaintenance(ctx, true)
	check(t, err, mode.On())
	raw, err := client.Raw(ctx, "/api/tasks/ServerTasks-1/raw")
	check(t, err, string(raw) == `"log"`)
}

func check(t *testing.T, err error, ok bool) {
	t.Helper()
	if err != nil || !ok {
		t.Errorf("err %v, answer as expected: %v", err, ok)
	}
}

func TestSubscribe(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	kept := ""
	client := dial(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		b, _ := io.ReadAll(r.Body)
		switch {
		case r.Method == http.MethodPost:
			// The server fills in what only it knows.
			kept = strings.Replace(strings.Replace(string(b), `{"Filter":{}`, `{"Filter":{"Users":[]},"EmailTeams":[]`, 1), `{`, `{"Id":"Subscriptions-1",`, 1)
			answer(201, kept)(w, r)
		case r.Method == http.MethodPut:
			kept = string(b)
			answer(200, kept)(w, r)
		case strings.HasSuffix(r.URL.Path, "Subscriptions-1"):
			answer(200, kept)(w, r)
		default:
			items := kept
			answer(200, fmt.Sprintf(`{"TotalResults":1,"Items":[%s]}`, items))(w, r)
		}
	})
	want := octopus.NewSubscription("ODCM", "https://odcm/1", "X-Odcm", "proof")
	for range 2 {
		s, err := client.Subscribe(t.Context(), "Spaces-1", want)
		if err != nil || s.ID() != "Subscriptions-1" {
			t.Fatal(s, err)
		}
	}
	moved := octopus.NewSubscription("ODCM", "https://odcm/2", "X-Odcm", "proof")
	s, err := client.Subscribe(t.Context(), "Spaces-1", moved)
	if err != nil || s.WebhookURI() != "https://odcm/2" || !strings.Contains(kept, `"EmailTeams":[]`) || !strings.Contains(kept, `"Users":[]`) {
		t.Errorf("%s %v", kept, err)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	client := dial(t, answer(200, `{"a":"`+strings.Repeat("x", 2000)+`"}`), func(o *octoclient.Options) { o.MaxBody = 1000 })
	_, err := client.Get(t.Context(), "/api/x")
	wantError(t, err, odcm.Invalid, "octopus.too-large")
}

func TestContextEndsARequest(t *testing.T) {
	t.Parallel()
	client := dial(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := client.Get(ctx, "/api/x")
	wantError(t, err, odcm.Unavailable, "octopus.unreachable", "in time")
	slow := dial(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, func(o *octoclient.Options) { o.Timeout = 20 * time.Millisecond })
	_, err = slow.Get(t.Context(), "/api/x")
	wantError(t, err, odcm.Unavailable, "octopus.unreachable", "in time")
}

func FuzzParseURL(f *testing.F) {
	for _, s := range []string{"https://octopus.example.com/app#/Spaces-1", "http://[::1]:80/api/app/", "https://a/%2e%2e/x?q#f", "http://A:443"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := octoclient.ParseURL(s)
		if err != nil {
			if odcm.KindOf(err) != odcm.Invalid {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		if u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Hostname() == "" {
			t.Errorf("%q became %+v", s, u)
		}
		again, err := octoclient.ParseURL(u.String())
		if err != nil || again.String() != u.String() {
			t.Errorf("%q became %s, then %v (%v)", s, u, again, err)
		}
		if _, err := octoclient.New(octoclient.Options{URL: s}); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	})
}

// The control of BenchmarkPing: the same request by the standard client.
func BenchmarkBareGet(b *testing.B) {
	s := httptest.NewServer(answer(200, `{}`))
	defer s.Close()
	b.ReportAllocs()
	for b.Loop() {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, s.URL+octopus.PingRoute, nil)
		if err != nil {
			b.Fatal(err)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
}

// Probing 5,000 servers every few seconds must not be a matter of memory.
func BenchmarkPing(b *testing.B) {
	s := httptest.NewServer(answer(200, `{}`))
	defer s.Close()
	client, err := octoclient.New(octoclient.Options{URL: s.URL})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Ping(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
