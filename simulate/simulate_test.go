package simulate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"odcm"
	"odcm/octopus"
	"odcm/octopus/octoclient"
	"odcm/simulate"
)

func start(t *testing.T, count int) (*simulate.Simulator, []string) {
	t.Helper()
	s, err := simulate.New(simulate.Options{Count: count, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	var list bytes.Buffer
	if err := s.WriteURLs(&list); err != nil {
		t.Fatal(err)
	}
	return s, strings.Fields(list.String())
}

func dial(t *testing.T, url, key string) *octoclient.Client {
	t.Helper()
	c, err := octoclient.New(octoclient.Options{URL: url, APIKey: key, Attempts: 1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func control(t *testing.T, s *simulate.Simulator, method, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.ControlURL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func TestServersAnswerAsOctopusDoes(t *testing.T) {
	t.Parallel()
	s, urls := start(t, 1500) // two ports
	if _, body := control(t, s, http.MethodGet, "/urls"); len(urls) != 1500 || !slices.Equal(strings.Fields(body), urls) {
		t.Fatalf("%d addresses", len(urls))
	}
	seen := map[string]bool{}
	for _, i := range []int{0, 1, 1499} {
		c := dial(t, urls[i], "API-SIMULATED")
		if pong, err := c.Ping(t.Context()); err != nil || !pong.OK() {
			t.Errorf("%+v, %v", pong, err)
		}
		root, err := c.Root(t.Context())
		if err != nil || seen[root.Text("InstallationId")] {
			t.Errorf("%v, %v", root, err)
		}
		seen[root.Text("InstallationId")] = true
		if me, err := c.Me(t.Context()); err != nil || me.ID() == "" {
			t.Errorf("%v, %v", me, err)
		}
		if nodes, err := c.Nodes(t.Context()); err != nil || len(nodes.Nodes()) != 1 {
			t.Errorf("%v, %v", nodes, err)
		}
		if l, err := c.LicenceStatus(t.Context()); err != nil || len(l.Limits()) != 2 {
			t.Errorf("%v, %v", l, err)
		}
		if spaces, err := c.Spaces(t.Context()); err != nil || len(spaces) != 1 {
			t.Errorf("%v, %v", spaces, err)
		}
		if o, err := c.Get(t.Context(), octopus.EventsRoute); err != nil || !o.Has("Items") {
			t.Errorf("%v, %v", o, err)
		}
	}
	if _, err := dial(t, urls[0], "API-WRONG").Me(t.Context()); odcm.KindOf(err) != odcm.Unauthenticated {
		t.Errorf("a wrong key: %v", err)
	}
}

func TestBehaviours(t *testing.T) {
	t.Parallel()
	s, urls := start(t, 3)
	c := dial(t, urls[0], "API-SIMULATED")
	for behaviour, want := range map[string]int{"drain": 418, "429": 429, "redirect": 302, "html": 200, "maintenance": 200, "well": 200, "kill": 0, "hang": 0, "drip": 0} {
		if code, body := control(t, s, http.MethodPut, "/servers/1/behaviour/"+behaviour); code != http.StatusNoContent {
			t.Fatalf("%s: %d %s", behaviour, code, body)
		}
		limit := 20 * time.Second
		if want == 0 {
			limit = 300 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		pong, err := c.Ping(ctx)
		cancel()
		if pong.Status != want || (err != nil) != (want == 0) {
			t.Errorf("%s: %+v, %v", behaviour, pong, err)
		}
		if behaviour == "maintenance" {
			if m, err := c.Maintenance(t.Context()); err != nil || !m.On() {
				t.Errorf("maintenance: %v, %v", m, err)
			}
		}
	}
	if pong, err := dial(t, urls[1], "").Ping(t.Context()); err != nil || !pong.OK() {
		t.Errorf("the next one suffers: %+v, %v", pong, err)
	}
	_, body := control(t, s, http.MethodGet, "/changes")
	var changes []simulate.Change
	if err := json.Unmarshal([]byte(body), &changes); err != nil || len(changes) < 8 || changes[0].Server != 1 {
		t.Errorf("%s, %v", body, err)
	}
	for path, want := range map[string]int{"/servers/9": 404, "/servers/x": 404, "/servers/1": 200} {
		if code, body := control(t, s, http.MethodGet, path); code != want {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	for path, want := range map[string]int{"/servers/1/behaviour/fly": 400, "/servers/behaviour/kill?count=9": 400, "/flapping?every=x": 400, "/servers/9/behaviour/kill": 404} {
		if code, body := control(t, s, http.MethodPut, path); code != want {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}

func TestFlapping(t *testing.T) {
	t.Parallel()
	s, urls := start(t, 20)
	if code, body := control(t, s, http.MethodPut, "/flapping?count=5&every=100ms"); code != http.StatusNoContent {
		t.Fatalf("%d %s", code, body)
	}
	var changes []simulate.Change
	for limit := time.Now().Add(20 * time.Second); len(changes) < 20 && time.Now().Before(limit); time.Sleep(10 * time.Millisecond) {
		_, body := control(t, s, http.MethodGet, "/changes")
		if err := json.Unmarshal([]byte(body), &changes); err != nil {
			t.Fatal(err)
		}
	}
	flapped := map[int]bool{}
	for _, c := range changes {
		flapped[c.Server] = true
	}
	if len(changes) < 20 || len(flapped) > 5 {
		t.Errorf("%d changes of %d servers", len(changes), len(flapped))
	}
	control(t, s, http.MethodDelete, "/flapping")
	for _, url := range urls {
		if pong, err := dial(t, url, "").Ping(t.Context()); err != nil || !pong.OK() {
			t.Errorf("%s stays down: %+v, %v", url, pong, err)
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, o := range []simulate.Options{{Count: -1}, {Count: 1_000_000}, {Port: 70_000}, {Port: 65_530, Count: 10_000}} {
		if _, err := simulate.New(o); odcm.KindOf(err) != odcm.Invalid {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
