package monitorhttp

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"odcm"
	"odcm/api"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
	"odcm/kit/web"
	"odcm/manager/monitor"
	"odcm/manager/monitor/monitorsql"
)

// members lets in whoever says that they are a member.
type members struct{}

func (members) Authenticate(r *http.Request) (odcm.Principal, error) {
	if r.Header.Get("As") == "" {
		return odcm.Principal{}, odcm.E(odcm.Unauthenticated, "identity.not-signed-in", "who?")
	}
	return odcm.Principal{User: "user-1", Roles: []odcm.Role{odcm.Role(r.Header.Get("As"))}}, nil
}

func (members) Authorize(_ context.Context, p odcm.Principal, _ odcm.Action, _ string) error {
	if !p.Has(odcm.Member) {
		return odcm.E(odcm.Denied, "identity.role-missing", "no")
	}
	return nil
}

// Find and Reach let everyone see everything.
func (members) Find(_ context.Context, _ odcm.Principal, ref string) (odcm.SpaceID, error) {
	return odcm.SpaceID(ref), nil
}
func (members) Reach(context.Context, odcm.Principal) (bool, []odcm.SpaceID, error) {
	return true, nil, nil
}

func setup(t testing.TB) (*web.Site, *monitorsql.Store, *monitor.Service) {
	t.Helper()
	ctx := context.Background()
	d := dbtest.Open(t, dbtest.SQLite(t))
	bus, err := signal.New(ctx, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	log, err := eventlog.New(ctx, d, bus)
	if err != nil {
		t.Fatal(err)
	}
	store, err := monitorsql.New(ctx, d, log)
	if err != nil {
		t.Fatal(err)
	}
	s := monitor.New(monitor.Options{Store: store, Bus: bus, Authorizer: members{}, Access: members{}})
	site := web.New(web.Options{Authenticator: members{}, Logger: slog.New(slog.DiscardHandler)})
	Register(site, s)
	return site, store, s
}

func save(t testing.TB, store *monitorsql.Store, id string, status monitor.Status, reason string, since time.Time) {
	t.Helper()
	_, err := store.Save(context.Background(), []monitor.Change{{Space: monitor.Space{ID: odcm.SpaceID(id), Name: id},
		Health: monitor.Health{Status: status, Reason: reason, Since: since, Checked: since}}})
	if err != nil {
		t.Fatal(err)
	}
}

func get(site http.Handler, as, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "/api/v1"+path, nil)
	r.Header.Set("As", as)
	w := httptest.NewRecorder()
	site.ServeHTTP(w, r)
	return w
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	site, store, _ := setup(t)
	at := time.Now().UTC().Truncate(time.Millisecond)
	save(t, store, "space-2", monitor.Offline, "gone", at)
	save(t, store, "space-1", monitor.Online, "", at)
	save(t, store, "space-3", monitor.Unknown, "ODCM did not watch.", at)
	for range 2 { // the second time from the cache
		w := get(site, "member", "/statuses")
		var page api.Page[api.SpaceStatus]
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != http.StatusOK || len(page.Items) != 3 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if page.Items[0].Space != "space-1" || page.Items[1] != (api.SpaceStatus{Space: "space-2", Status: "offline", Reason: "gone", Since: at}) || page.Items[2].Status != "unknown" {
			t.Errorf("%+v", page.Items)
		}
	}
	for as, want := range map[string]int{"": http.StatusUnauthorized, "guest": http.StatusForbidden} {
		if w := get(site, as, "/statuses"); w.Code != want {
			t.Errorf("as %q: %d", as, w.Code)
		}
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	site, store, s := setup(t)
	now := time.Now().UTC().Truncate(time.Millisecond)
	save(t, store, "space-1", monitor.Online, "", now.Add(-48*time.Hour))
	save(t, store, "space-1", monitor.Offline, "Nothing listens <there>.", now.Add(-12*time.Hour))
	save(t, store, "space-1", monitor.Online, "", now.Add(-6*time.Hour))
	w := get(site, "member", "/spaces/space-1/status-history")
	var h api.StatusHistory
	if err := json.Unmarshal(w.Body.Bytes(), &h); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if len(h.Periods) != 3 || h.Periods[1].Status != "offline" || h.Uptime < 0.749 || h.Uptime > 0.751 || h.WatchedSeconds < 86399 || h.WatchedSeconds > 86400 {
		t.Errorf("%+v", h)
	}
	w = get(site, "member", "/spaces/space-1/status-history?from="+now.Add(-11*time.Hour).Format(time.RFC3339)+"&to="+now.Add(-10*time.Hour).Format(time.RFC3339))
	if err := json.Unmarshal(w.Body.Bytes(), &h); err != nil || len(h.Periods) != 1 || h.Uptime != 0 {
		t.Errorf("%s", w.Body)
	}
	for path, want := range map[string]int{
		"/spaces/space-1/status-history?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z": http.StatusUnprocessableEntity,
		"/spaces/space-1/status-history?from=1990-01-02T00:00:00Z":                         http.StatusUnprocessableEntity,
		"/spaces/space-1/status-history?from=yesterday":                                    http.StatusUnprocessableEntity,
		"/spaces/space-none/status-history":                                                http.StatusOK,
	} {
		if w := get(site, "member", path); w.Code != want {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	strips, err := HistoryOf(s)(t.Context(), odcm.Principal{Roles: []odcm.Role{odcm.Member}}, "space-1")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := strips.Render(t.Context(), &b); err != nil || !strings.Contains(b.String(), "% up in 24 hours") || strings.Count(b.String(), "<svg") != len(windows) ||
		!strings.Contains(b.String(), ": 0 % up, offline for 30 min") || !strings.Contains(b.String(), `data-tone="danger"`) {
		t.Errorf("%s, %v", b.String(), err)
	}
	var up api.SpaceUptime
	w = get(site, "member", "/spaces/space-1/uptime")
	if err := json.Unmarshal(w.Body.Bytes(), &up); err != nil || w.Code != http.StatusOK || len(up.Windows) != len(windows) {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if u := up.Windows[0]; u.Window != "24h" || u.Uptime < 0.74 || u.Uptime > 0.76 || u.Seconds["offline"] < 6*3600-5 || u.Seconds["offline"] > 6*3600+5 {
		t.Errorf("%+v", u)
	}
	if u := up.Windows[1]; u.WatchedSeconds < 48*3600-5 || u.WatchedSeconds > 48*3600+5 {
		t.Errorf("%+v", u)
	}
	if w := get(site, "guest", "/spaces/space-1/uptime"); w.Code != http.StatusForbidden {
		t.Errorf("a guest gets %d", w.Code)
	}
}

func TestStatusesAreSentOnce(t *testing.T) {
	t.Parallel()
	site, store, service := setup(t)
	save(t, store, "space-1", monitor.Online, "", time.Now())
	ask := func(headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "/api/v1/statuses", nil)
		r.Header.Set("As", "member")
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		site.ServeHTTP(w, r)
		return w
	}
	first := ask()
	tag := first.Header().Get("ETag")
	if first.Code != http.StatusOK || !strings.HasPrefix(tag, `"`) {
		t.Fatalf("%d, ETag %q", first.Code, tag)
	}
	for _, header := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
		if w := ask("If-None-Match", header); w.Code != http.StatusNotModified || w.Body.Len() != 0 || w.Header().Get("ETag") != tag {
			t.Errorf("If-None-Match %s: %d %s", header, w.Code, w.Body)
		}
	}
	if w := ask("If-None-Match", `"other"`); w.Code != http.StatusOK {
		t.Errorf("%d", w.Code)
	}
	for header, want := range map[string]string{"gzip": "gzip", "br, gzip;q=0.5": "gzip", "gzip;q=0": "", "gzip; q=0.0": "", "": "", "br": ""} {
		w := ask("Accept-Encoding", header)
		if got := w.Header().Get("Content-Encoding"); got != want {
			t.Errorf("Accept-Encoding %q is answered with %q", header, got)
		}
		body := w.Body.String()
		if want == "gzip" {
			z, err := gzip.NewReader(w.Body)
			if err != nil {
				t.Fatal(err)
			}
			plain, err := io.ReadAll(z)
			if err != nil {
				t.Fatal(err)
			}
			body = string(plain)
		}
		if body != first.Body.String() {
			t.Errorf("Accept-Encoding %q: %s", header, body)
		}
	}
	// A part that changed is encoded anew, the order stays that of the identifiers.
	s := &statuses{service: service}
	at := time.Now().UTC()
	board := func(h map[odcm.SpaceID]monitor.Health) string {
		t.Helper()
		a, err := s.answer(&monitor.Board{Spaces: h})
		if err != nil {
			t.Fatal(err)
		}
		var page api.Page[api.SpaceStatus]
		if err := json.Unmarshal(a.text, &page); err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, i := range page.Items {
			said = append(said, i.Space+" "+i.Status)
		}
		return strings.Join(said, ", ")
	}
	for _, c := range []struct {
		spaces map[odcm.SpaceID]monitor.Health
		want   string
	}{
		{map[odcm.SpaceID]monitor.Health{"b": {Status: monitor.Online, Since: at}, "a": {Status: monitor.Offline, Since: at}}, "a offline, b online"},
		{map[odcm.SpaceID]monitor.Health{"b": {Status: monitor.Draining, Since: at}, "a": {Status: monitor.Offline, Since: at}}, "a offline, b draining"},
		{map[odcm.SpaceID]monitor.Health{"b": {Status: monitor.Draining, Since: at}, "c": {Status: monitor.Offline, Since: at}}, "b draining, c offline"},
		{nil, ""},
	} {
		if got := board(c.spaces); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{0: "0 s", 59 * time.Second: "59 s", 90 * time.Second: "1 min 30 s", time.Hour: "1 h", 49 * time.Hour: "2 d 1 h", day + time.Minute: "1 d"} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %q, want %q", d, got, want)
		}
	}
	for part, want := range map[float64]string{1: "100 %", 0.999999: "99.99 %", 0.5: "50 %", 0: "0 %"} {
		if got := percent(part); got != want {
			t.Errorf("percent(%v) = %q, want %q", part, got, want)
		}
	}
}

func BenchmarkStatusesOf5000(b *testing.B) {
	site, store, _ := setup(b)
	var changes []monitor.Change
	for i := range 5000 {
		changes = append(changes, monitor.Change{Space: monitor.Space{ID: odcm.SpaceID(fmt.Sprintf("space-%036d", i))},
			Health: monitor.Health{Status: monitor.Online, Since: time.Now(), Checked: time.Now()}})
	}
	if _, err := store.Save(context.Background(), changes); err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/api/v1/statuses", nil)
	r.Header.Set("As", "member")
	for b.Loop() {
		w := httptest.NewRecorder()
		w.Body = nil
		site.ServeHTTP(discard{w}, r)
	}
}

type discard struct{ http.ResponseWriter }

func (discard) Write(b []byte) (int, error) { return io.Discard.Write(b) }
