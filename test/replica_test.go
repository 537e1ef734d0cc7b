package test

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"odcm/api"
	"odcm/apiclient"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
)

// takeOver is how soon the work of a replica that was killed is another's.
const takeOver = 15 * time.Second

// TestReplicaTakesOver runs two replicas on one database, kills the one that runs a task, and finds the other with
// everything: the task, the Spaces, the sessions, the open pages.
func TestReplicaTakesOver(t *testing.T) {
	if testing.Short() {
		t.Skip("needs PostgreSQL and real processes")
	}
	t.Parallel()
	dir, database := t.TempDir(), dbtest.PostgreSQL(t)
	t.Cleanup(func() { endAll(t, dir) })
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	replica := func(name string) *house {
		return houses{Data: filepath.Join(dir, name), Database: database, Manager: true, Replica: name,
			Key: base64.StdEncoding.EncodeToString(key), Stepping: true}.start(t)
	}
	a, b := replica("a"), replica("b")
	between := newForwarder(t)
	between.to(a.Agents)
	made, err := a.client().CreateEnrolmentToken(t.Context(), api.NewEnrolmentToken{})
	if err != nil {
		t.Fatal(err)
	}
	agent := houses{Data: dir, Agent: true, ManagerAddress: between.address(), Token: made.Token, Executable: launcher(t, dir),
		StopInstances: true}.start(t)

	visitor := signedIn(t, a.URL)
	for _, at := range []*house{a, b} {
		if status := visit(t, visitor, at.URL+"/api/v1/me"); status != http.StatusOK {
			t.Errorf("the session of one replica is answered %d by the other", status)
		}
	}
	d := dbtest.Open(t, database)
	until(t, "both replicas own shards", func() bool {
		owned := shardsOf(t, d)
		return owned["a"] > 0 && owned["b"] > 0 && owned["a"]+owned["b"] == 64
	})
	watched := enlistWatched(t, a, b, 6)

	// A task is in a step on one of them, with an open page at the other.
	awaitRoom(t, b.client())
	sp, err := b.client().CreateSpace(t.Context(), api.NewSpace{Name: "Shipping"}, "once")
	if err != nil {
		t.Fatal(err)
	}
	victim, survivor := runner(t, a, b, 4)
	page := openPage(t, survivor, "task.progress/"+sp.Task)
	between.to(survivor.Agents)
	victim.kill()
	killed := time.Now()

	go survivor.goOnForEver()
	task, err := survivor.client().WaitTask(t.Context(), sp.Task, nil)
	if err != nil || task.State != "succeeded" || task.Attempts != 2 {
		t.Errorf("the task %s at attempt %d, %+v, %v", task.State, task.Attempts, task.Error, err)
	}
	t.Logf("the task had ended %s after the kill", time.Since(killed).Round(10*time.Millisecond))
	page.shows("succeeded")
	for _, w := range watched {
		until(t, "each Space is probed again", func() bool { return w.last.Load() > killed.Add(2*time.Second).UnixNano() })
	}
	until(t, "the survivor owns every shard", func() bool { return len(shardsOf(t, d)) == 1 })
	took := time.Since(killed)
	t.Logf("everything was taken over %s after the kill", took.Round(10*time.Millisecond))
	if took > takeOver {
		t.Errorf("that is more than %s", takeOver)
	}
	if status := visit(t, visitor, survivor.URL+"/api/v1/me"); status != http.StatusOK {
		t.Errorf("the session is answered %d after the kill", status)
	}
	if pids := spaceServersIn(t, dir); len(pids) != 1 {
		t.Errorf("the processes %v run for one instance", pids)
	}
	survivor.stop()
	agent.stop()
}

// signedIn signs in as a browser does.
func signedIn(t testing.TB, address string) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Jar: jar}
	res, err := c.PostForm(address+"/sign-in", url.Values{"username": {"admin"}, "password": {"Watch-it-2026"}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || strings.HasSuffix(res.Request.URL.Path, "/sign-in") {
		t.Fatalf("signing in ended with %s at %s", res.Status, res.Request.URL)
	}
	return c
}

func visit(t testing.TB, c *http.Client, address string) int {
	t.Helper()
	res, err := c.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

// shardsOf counts the shards of each replica, without those whose lease has run out.
func shardsOf(t testing.TB, d *db.DB) map[string]int {
	t.Helper()
	rows, err := d.Read().QueryContext(t.Context(), `SELECT owner, COUNT(*) FROM lease
WHERE name LIKE 'spaces/%' AND owner <> '' AND expires_at > EXTRACT(EPOCH FROM clock_timestamp()) * 1000 GROUP BY owner`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	owned := map[string]int{}
	for rows.Next() {
		var owner string
		var n int
		if err := rows.Scan(&owner, &n); err != nil {
			t.Fatal(err)
		}
		owned[owner] = n
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return owned
}

// watchedServer is somebody else's server behind a proxy that notes when it was last asked.
type watchedServer struct{ last atomic.Int64 }

// enlistWatched enlists so many servers, so that either replica has some to watch.
func enlistWatched(t testing.TB, a, b *house, count int) (all []*watchedServer) {
	t.Helper()
	for i := range count {
		theirs, w := newTheirServer(t), &watchedServer{}
		target, err := url.Parse(theirs.url)
		if err != nil {
			t.Fatal(err)
		}
		pass := httputil.NewSingleHostReverseProxy(target)
		front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			w.last.Store(time.Now().UnixNano())
			pass.ServeHTTP(rw, r)
		}))
		t.Cleanup(front.Close)
		e, err := a.client().Enlist(t.Context(), api.Enlistment{Connection: api.Connection{URL: front.URL, APIKey: theirKey},
			Spaces: []api.EnlistedSpace{{OctopusSpace: "Spaces-1", Name: fmt.Sprint("Theirs ", i)}}}, fmt.Sprint("watched ", i))
		if err != nil {
			t.Fatal(err)
		}
		for ended := false; !ended; {
			select {
			case s := <-a.said:
				ended = s.At.Step == "" && s.At.After
				a.goOn()
			case s := <-b.said:
				ended = s.At.Step == "" && s.At.After
				b.goOn()
			case <-time.After(patience):
				t.Fatalf("%s is not enlisted", e.Task)
			}
		}
		all = append(all, w)
	}
	until(t, "all are online", func() bool {
		spaces, err := apiclient.Collect(a.client().Spaces(t.Context(), apiclient.SpaceFilter{Statuses: []string{"online"}}), 0)
		if err != nil {
			t.Fatal(err)
		}
		return len(spaces) == count
	})
	return all
}

// runner lets a task go on up to the moment of that number and tells who runs it.
func runner(t testing.TB, a, b *house, number int) (runs, other *house) {
	t.Helper()
	for i := 0; ; i++ {
		select {
		case <-a.said:
			runs, other = a, b
		case <-b.said:
			runs, other = b, a
		case <-time.After(patience):
			t.Fatal("nobody runs the task")
		}
		if i == number {
			return runs, other
		}
		runs.goOn()
	}
}

// goOnForEver lets every task go on until the process ends.
func (h *house) goOnForEver() {
	for s := range h.said {
		if s.At == nil {
			continue
		}
		if _, err := fmt.Fprintln(h.in); err != nil {
			return
		}
	}
}

// page is an open event stream.
type page struct {
	t     testing.TB
	lines chan string // closed at its end
}

func openPage(t testing.TB, h *house, topic string) *page {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.URL+"/live?topic="+url.QueryEscape(topic), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminKey)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		t.Fatalf("the event stream answers %s", res.Status)
	}
	p := &page{t, make(chan string, 10_000)}
	go func() {
		defer close(p.lines)
		defer res.Body.Close()
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			p.lines <- lines.Text()
		}
	}()
	return p
}

// shows waits until the page is sent the text.
func (p *page) shows(text string) {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case line, open := <-p.lines:
			if !open {
				p.t.Fatal("the event stream ended")
			}
			if strings.Contains(strings.ToLower(line), text) {
				return
			}
		case <-deadline:
			p.t.Fatalf("the page was not sent %q", text)
		}
	}
}
