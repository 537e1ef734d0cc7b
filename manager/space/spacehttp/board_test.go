package spacehttp_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"odcm/api"
	"odcm/manager/space"
	"odcm/manager/space/spacehttp"
	"odcm/test/browser"
)

// has looks for all of these in a page.
func (s site) has(t *testing.T, path string, wants ...string) string {
	t.Helper()
	body := s.want(t, 200, "GET", path, "").Body.String()
	for _, want := range wants {
		if !strings.Contains(body, want) {
			t.Errorf("%s lacks %q", path, want)
		}
	}
	return body
}

func TestBoard(t *testing.T) {
	t.Parallel()
	s := serve(t)
	ids := s.estate(t, 400)

	body := s.has(t, "/spaces", "<title>(2 offline) Spaces", `data-live="board.view/all~spaces~"`, "400 Spaces, page 1 of 7", `href="/spaces?page=2"`, `<span class="count">390</span>`)
	if first, second := strings.Index(body, "Nothing listens"), strings.Index(body, "1 of 2 nodes"); first < 0 || second < first {
		t.Error("trouble does not come first")
	}
	s.has(t, "/spaces?page=99", "page 7 of 7")
	s.has(t, "/spaces?status=offline&status=degraded", "6 Spaces", `href="/spaces?status=offline"`, `href="/spaces?status=degraded"`)
	s.has(t, "/spaces?q=NODE-2", "2 Spaces")
	s.has(t, "/spaces?server=octopus-009.example.com&version=2025.4.1", "Spaces", `<option value="octopus-009.example.com" selected>`)
	s.has(t, "/spaces?view=list&sort=name", `data-live="space.row/`, `<input type="hidden" name="view" value="list">`, "page 1 of 4")
	body = s.has(t, "/spaces?group=server", "400 Spaces in 50 groups, page 1 of 2", `aria-expanded="true"`, `aria-expanded="false"`)
	if strings.Index(body, "octopus-000") > strings.Index(body, "octopus-001") {
		t.Error("the server in trouble does not come first")
	}
	s.has(t, "/spaces?group=server&open=octopus-001.example.com", `data-live="space/`+string(ids[8]))
	if body := s.has(t, "/spaces?group=server&open=-", `aria-expanded="false"`); strings.Contains(body, `data-live="space/`) {
		t.Error("a group is open")
	}
	s.has(t, "/spaces?group=version", "All 134 of 2025.4.1", `href="/spaces?version=2025.4.1"`)
	s.has(t, "/spaces?group=state&open=offline", "<span>Offline</span>")
	s.has(t, "/map", "400 Spaces on 50 servers", `data-size="few"`, `title="Claims EU" data-state="offline"`)
	s.has(t, "/wall", `data-theme="dark"`, "Nothing listens at its address.", `data-live="board.view/all~wall~"`, "<b>390</b>")
	s.has(t, "/wall?group=version&every=20&page=2", "2026.1.7", `data-next="/wall?every=20&amp;group=version&amp;page=3"`, `data-every="20"`)
	for _, odd := range []string{"/spaces?status=x&group=x&page=-1&every=1&sort=x&open=" + strings.Repeat("y", 5000), "/map?page=2", "/wall?page=1000&group=server&every=99999", "/spaces?q=%25_%5C"} {
		s.has(t, odd)
	}

	// Bob may enter nothing: he learns of nothing, and draws nobody else's view.
	if body := s.want(t, 200, "GET", "/spaces", "", "X-Who", "bob").Body.String(); strings.Contains(body, "octopus-") || strings.Contains(body, "all~") {
		t.Errorf("Bob sees %s", body)
	}
	for _, path := range []string{"/map", "/wall"} {
		if body := s.want(t, 200, "GET", path, "", "X-Who", "bob").Body.String(); strings.Contains(body, "Claims") || strings.Contains(body, ">390<") {
			t.Errorf("Bob sees of %s %s", path, body)
		}
	}

	// A starred Space stands apart, and the view is one's own.
	s.want(t, 204, "PUT", "/api/v1/spaces/claims-eu/star", "")
	s.has(t, "/spaces", "Starred", "Others", `data-live="board.view/user-`)

	var groups api.Page[api.SpaceGroup]
	w := s.want(t, 200, "GET", "/api/v1/spaces/groups?by=version", "")
	if err := json.Unmarshal(w.Body.Bytes(), &groups); err != nil || len(groups.Items) != 3 || groups.Items[0].Counts["offline"] == 0 {
		t.Errorf("%s", w.Body)
	}
	s.want(t, http.StatusUnprocessableEntity, "GET", "/api/v1/spaces/groups?by=colour", "")
	var page api.Page[api.Space]
	w = s.want(t, 200, "GET", "/api/v1/spaces?server=octopus-009.example.com&status=degraded", "")
	if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || len(page.Items) != 1 || page.Items[0].Health.Status != "degraded" {
		t.Errorf("%s", w.Body)
	}
}

func TestVitals(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.estate(t, 1)
	took, ends, skew, queued, running := 12*time.Millisecond, time.Now().Add(10*24*time.Hour+time.Hour), -90*time.Second, 7, 2
	s.vitals.Store(&spacehttp.Vitals{Took: &took, Certificate: &ends, Skew: &skew, Queued: &queued, Running: &running})
	s.has(t, "/spaces/payments-eu", "12 ms", "10 days left", "behind", "7 waiting, 2 running")
	ends, skew = time.Now().Add(-time.Hour), time.Second
	s.vitals.Store(&spacehttp.Vitals{Certificate: &ends, Skew: &skew})
	if body := s.has(t, "/spaces/payments-eu", "ran out on", "right"); strings.Contains(body, "Task queue") || strings.Contains(body, "Response time") {
		t.Error("what is not known is shown")
	}
}

// TestTheBoardIsLive watches board, map and wall in a browser while a Space goes offline.
func TestTheBoardIsLive(t *testing.T) {
	t.Parallel()
	s := serve(t)
	ids := s.estate(t, 200)
	server := httptest.NewServer(s)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() }) // streams are open
	tab := browser.Open(t)
	const wait = time.Minute
	falls := func(i int) {
		s.Monitor.Tell(ids[i], space.Health{Status: space.Offline, Reason: "Gone for the test.", Since: time.Now(), Checked: time.Now(), Version: "2026.1.7"})
		s.Bus.Publish(space.Topic(ids[i]))
	}
	count := func(n string) string {
		return `[...document.querySelectorAll(".chips a")].some(a => a.innerText.replace(/\s+/g, " ").trim() === "Offline ` + n + `")`
	}

	tab.Go(server.URL + "/spaces?sort=name")
	falls(0) // "Payments EU" is not on the first page
	tab.Until(wait, count("2"))
	tab.Until(wait, `document.title.startsWith("(2 offline)")`)

	tab.Go(server.URL + "/spaces")
	falls(1)
	tab.Until(wait, count("3"))
	tab.Until(wait, `document.querySelector('[data-live="space/`+string(ids[1])+`"] .pill')?.innerText.trim() === "Offline"`) // it came from page 3 to the first
	tab.Type(`.board-filters input[name="q"]`, "gone for")
	tab.Until(wait, `location.search === "?q=gone+for" && document.querySelectorAll(".tile").length === 2`)
	tab.Go(server.URL + "/spaces?group=server&open=-")
	tab.ClickOn(`[...document.querySelectorAll(".fold a")].find(a => a.innerText.includes("octopus-001"))`)
	tab.Until(wait, `location.search.includes("open=octopus-001") && document.querySelectorAll(".tile").length === 8`)
	browser.Eval[any](tab, `history.back()`)
	tab.Until(wait, `location.search.includes("open=-") && document.querySelectorAll(".tile").length === 0`)

	tab.Go(server.URL + "/map")
	falls(2)
	tab.Until(wait, `document.querySelector('.dots a[title="Ledger EU"]').dataset.state === "offline"`)

	tab.Go(server.URL + "/wall")
	tab.Until(wait, `document.querySelector("[data-clock]").innerText.length === 5`)
	falls(4)
	tab.Until(wait, `document.querySelector('.wall-figures [data-state="offline"] b').innerText === "5"`)
	tab.Until(wait, `document.querySelector(".wall-bad").innerText.includes("Pricing EU")`)
	server.CloseClientConnections()
	server.Listener.Close()
	tab.Until(wait, `document.documentElement.hasAttribute("data-disconnected") && document.querySelector(".wall-is-stale").innerText.includes("since")`)
}

// BenchmarkBoard draws the first page of 10,000 Spaces.
func BenchmarkBoard(b *testing.B) {
	s := serve(b)
	s.estate(b, 10_000)
	for name, path := range map[string]string{"tiles": "/spaces", "groups": "/spaces?group=server", "found": "/spaces?q=eu", "map": "/map", "wall": "/wall"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				w := httptest.NewRecorder()
				s.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
				if w.Code != http.StatusOK {
					b.Fatal(w.Code)
				}
			}
		})
	}
}

// TestListByTrouble turns pages of the REST list in the order of the board, with filters.
func TestListByTrouble(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.estate(t, 400)
	list := func(query string) (page api.Page[api.Space]) {
		if err := json.Unmarshal(s.want(t, 200, "GET", "/api/v1/spaces?sort=trouble"+query, "").Body.Bytes(), &page); err != nil {
			t.Fatal(err)
		}
		return page
	}
	seen, order := map[string]bool{}, ""
	for cursor := ""; ; {
		page := list("&limit=150&cursor=" + cursor)
		for _, sp := range page.Items {
			seen[sp.ID] = true
			if !strings.HasSuffix(order, sp.Health.Status+" ") {
				order += sp.Health.Status + " "
			}
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if len(seen) != 400 || !strings.HasPrefix(order, "offline degraded ") || !strings.HasSuffix(order, " online ") {
		t.Errorf("%d Spaces in the order %s", len(seen), order)
	}
	page := list("&status=offline,degraded&limit=4")
	rest := list("&status=offline,degraded&limit=4&cursor=" + page.Next)
	if len(page.Items) != 4 || len(rest.Items) != 2 || rest.Next != "" || page.Items[0].Health.Status != "offline" || rest.Items[1].Health.Status != "degraded" {
		t.Errorf("a filtered list has %d and %d on its pages, and goes on: %q", len(page.Items), len(rest.Items), rest.Next)
	}
	s.want(t, 422, "GET", "/api/v1/spaces?sort=trouble&starred=true", "")
}
