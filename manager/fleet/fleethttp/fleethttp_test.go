package fleethttp_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"odcm"
	"odcm/agentapi"
	"odcm/api"
	"odcm/kit/db/dbtest"
	"odcm/kit/web"
	"odcm/manager/fleet"
	"odcm/manager/fleet/fleethttp"
	"odcm/manager/fleet/fleettest"
)

// roles signs in whoever says a role.
type roles struct{}

func (roles) Authenticate(r *http.Request) (odcm.Principal, error) {
	role := r.Header.Get("Role")
	if role == "" {
		return odcm.Principal{}, odcm.E(odcm.Unauthenticated, "test.nobody", "Sign in.")
	}
	return odcm.Principal{User: "user-test", Name: "Test", Roles: []odcm.Role{odcm.Role(role)}, Via: "session"}, nil
}

type site struct {
	t *testing.T
	*web.Site
	fleet *fleettest.Fleet
}

func newSite(t *testing.T) site {
	t.Helper()
	d := dbtest.Open(t, dbtest.SQLite(t))
	f := fleettest.New(t, d, fleettest.NewSealer(t), nil)
	s := web.New(web.Options{Authenticator: roles{}, Logger: slog.New(slog.DiscardHandler)})
	fleethttp.Register(fleethttp.Options{Site: s, Fleet: f.Service, Manager: "odcm.example.com:8081"})
	return site{t, s, f}
}

func (s site) do(method, path, role string, body io.Reader, kind string) *httptest.ResponseRecorder {
	s.t.Helper()
	r := httptest.NewRequest(method, path, body)
	r.Header.Set("Role", role)
	r.Header.Set("Content-Type", kind)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if !strings.HasPrefix(path, "/api/") {
		r.Header.Set("Accept", "text/html")
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func (s site) get(path string) *httptest.ResponseRecorder {
	s.t.Helper()
	return s.do("GET", path, "administrator", nil, "")
}

func (s site) token() api.EnrolmentToken {
	s.t.Helper()
	w := s.do("POST", "/api/v1/servers/enrolment-tokens", "administrator", strings.NewReader(`{"note":"a test","expiresIn":600}`), "application/json")
	if w.Code != http.StatusCreated {
		s.t.Fatalf("%d %s", w.Code, w.Body)
	}
	return read[api.EnrolmentToken](s.t, w)
}

func read[T any](t *testing.T, w *httptest.ResponseRecorder) (v T) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(w.Body.Bytes()))
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return v
}

// server makes one with an instance that cannot start.
func (s site) server(name string) (odcm.ServerID, odcm.InstanceID) {
	s.t.Helper()
	hash := odcm.NewID[string]("hash")
	ctx := s.t.Context()
	if err := s.fleet.Store.CreateToken(ctx, fleet.Token{Hash: hash, Created: time.Now(), Expires: time.Now().Add(time.Hour)}, odcm.Event{Type: "fleet.token-created"}); err != nil {
		s.t.Fatal(err)
	}
	server, err := s.fleet.Store.Enrol(ctx, hash, func(fleet.Token) (fleet.Enrolment, error) {
		return fleet.Enrolment{Server: fleet.Server{ID: odcm.NewID[odcm.ServerID]("server"), Name: name, Enrolled: time.Now(), DesiredRevision: 1},
			Event: odcm.Event{Type: "fleet.server-enrolled"}}, nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	report := fleet.Report{Boot: "boot", Sequence: 1, AgentVersion: "1.0.0", Versions: []string{"1.0.0"},
		Capacity: fleet.Capacity{CPUs: 2, Memory: 8 << 30, MemoryFree: 4 << 30, Disk: 100 << 30, DiskFree: 75 << 30}}
	if err := s.fleet.Report(ctx, server.ID, report); err != nil {
		s.t.Fatal(err)
	}
	i, err := s.fleet.Launch(ctx, odcm.System, fleet.Spec{ID: odcm.NewID[odcm.InstanceID]("instance"), Name: "Payments", Server: server.ID})
	if err != nil {
		s.t.Fatal(err)
	}
	report.Sequence, report.Instances = 2, map[odcm.InstanceID]fleet.Observed{i.ID: {State: fleet.StateFailed, Reason: "<b>disk</b> full", Since: time.Now()}}
	if err := s.fleet.Report(ctx, server.ID, report); err != nil {
		s.t.Fatal(err)
	}
	return server.ID, i.ID
}

func TestREST(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	t.Run("an empty fleet is an empty list", func(t *testing.T) {
		if w := s.get("/api/v1/servers"); w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != `{"items":[]}` {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
	first, instance := s.server("build-1")
	s.server("build-2")
	t.Run("servers are paged", func(t *testing.T) {
		page := read[api.Page[api.Server]](t, s.get("/api/v1/servers?limit=1"))
		if len(page.Items) != 1 || page.Items[0].ID != string(first) || page.Next == "" {
			t.Fatalf("%+v", page)
		}
		rest := read[api.Page[api.Server]](t, s.get("/api/v1/servers?cursor="+page.Next))
		if len(rest.Items) != 1 || rest.Items[0].Name != "build-2" || rest.Next != "" {
			t.Errorf("%+v", rest)
		}
		if got := page.Items[0]; !got.Online || got.Room < 50 || got.Instances != 1 || got.Running != 0 || got.Capacity.MemoryFree != 4<<30 || got.LastSeen == nil {
			t.Errorf("%+v", got)
		}
	})
	t.Run("a server is shown with its instances", func(t *testing.T) {
		w := s.get("/api/v1/servers/" + string(first))
		d := read[api.ServerDetail](t, w)
		if len(d.Runs) != 1 || d.Runs[0].ID != string(instance) || d.Runs[0].State != "failed" || d.Runs[0].Desired != "running" || d.Runs[0].Reason != "<b>disk</b> full" {
			t.Errorf("%s", w.Body)
		}
		if strings.Contains(strings.ToLower(w.Body.String()), "administrator") {
			t.Error("the administrator is shown")
		}
	})
	t.Run("a token says what to run", func(t *testing.T) {
		got := s.token()
		if _, err := agentapi.ParseToken(got.Token); err != nil || got.Command != "odcm agent --manager odcm.example.com:8081 --token "+got.Token {
			t.Errorf("%+v, %v", got, err)
		}
		if left := time.Until(got.Expires); left < 9*time.Minute || left > 10*time.Minute {
			t.Errorf("it expires in %s", left)
		}
	})
	for name, c := range map[string]struct {
		method, path, role, body string
		status                   int
		code                     string
	}{
		"an unknown server":        {"GET", "/api/v1/servers/server-none", "administrator", "", 404, "fleet.server-unknown"},
		"a cursor of another list": {"GET", "/api/v1/servers?cursor=!", "administrator", "", 422, "request.cursor"},
		"a limit beyond the limit": {"GET", "/api/v1/servers?limit=501", "administrator", "", 422, "request.invalid"},
		"who is not known":         {"GET", "/api/v1/servers", "", "", 401, "test.nobody"},
		"a member who reads":       {"GET", "/api/v1/servers", "member", "", 403, "denied"},
		"a member who enrols":      {"POST", "/api/v1/servers/enrolment-tokens", "member", "{}", 403, "denied"},
		"a life that is too long":  {"POST", "/api/v1/servers/enrolment-tokens", "administrator", `{"expiresIn":604801}`, 422, "request.invalid"},
		"an unknown member":        {"POST", "/api/v1/servers/enrolment-tokens", "administrator", `{"life":1}`, 422, "request.invalid"},
	} {
		t.Run("refuses: "+name, func(t *testing.T) {
			w := s.do(c.method, c.path, c.role, strings.NewReader(c.body), "application/json")
			if p := read[api.Problem](t, w); w.Code != c.status || p.Code != c.code {
				t.Errorf("%d %s, want %d %s", w.Code, w.Body, c.status, c.code)
			}
		})
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	shows := func(t *testing.T, w *httptest.ResponseRecorder, texts ...string) {
		t.Helper()
		if w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		for _, text := range texts {
			if !strings.Contains(w.Body.String(), text) {
				t.Errorf("%q is not shown in %s", text, w.Body)
			}
		}
	}
	t.Run("an empty fleet says how to begin", func(t *testing.T) {
		shows(t, s.get("/servers"), "No server yet", "Make a token", `data-live-region="server"`)
	})
	id, _ := s.server("build-<1>")
	t.Run("a server has a tile that changes by itself", func(t *testing.T) {
		shows(t, s.get("/servers"), "build-&lt;1&gt;", `data-live="server/`+string(id)+`"`, "4 GiB of 8 GiB", "25 GiB of 100 GiB", "Online", "1 not running")
	})
	t.Run("its page shows instances with their reason", func(t *testing.T) {
		shows(t, s.get("/servers/"+string(id)), "Payments", "Cannot start", "&lt;b&gt;disk&lt;/b&gt; full", "more instances")
	})
	t.Run("a token is shown once and not cached", func(t *testing.T) {
		w := s.do("POST", "/servers/enrol", "administrator", strings.NewReader(url.Values{"note": {"x"}}.Encode()), "application/x-www-form-urlencoded")
		shows(t, w, "odcm agent --manager odcm.example.com:8081 --token odcm-enrol.")
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("Cache-Control %q", w.Header().Get("Cache-Control"))
		}
	})
	t.Run("who may not read gets no page", func(t *testing.T) {
		for _, path := range []string{"/servers", "/servers/" + string(id)} {
			if w := s.do("GET", path, "member", nil, ""); w.Code != http.StatusForbidden {
				t.Errorf("%s: %d", path, w.Code)
			}
		}
		if w := s.do("POST", "/servers/enrol", "member", strings.NewReader(""), "application/x-www-form-urlencoded"); w.Code != http.StatusForbidden {
			t.Errorf("%d", w.Code)
		}
	})
}
