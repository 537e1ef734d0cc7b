package test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"odcm/api"
	"odcm/apiclient"
	"odcm/kit/db/dbtest"
)

// TestVantage runs three replicas on one database. A server that one of them alone does not reach is not offline, and the reason
// names the place; one that none reaches is offline, once; one whose replica is killed is probed by another.
func TestVantage(t *testing.T) {
	if testing.Short() {
		t.Skip("needs PostgreSQL and real processes")
	}
	t.Parallel()
	dir, database := t.TempDir(), dbtest.PostgreSQL(t)
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	replicas := map[string]*house{}
	for _, name := range []string{"east", "north", "west"} {
		replicas[name] = houses{Data: filepath.Join(dir, name), Database: database, Manager: true, Replica: name,
			Key: base64.StdEncoding.EncodeToString(key)}.start(t)
	}
	d := dbtest.Open(t, database)
	until(t, "all replicas own shards", func() bool {
		owned := shardsOf(t, d)
		return len(owned) == 3 && owned["east"]+owned["north"]+owned["west"] == 64
	})
	g := newEntrance(t, replicas)
	c := replicas["east"].client()
	e, err := c.Enlist(t.Context(), api.Enlistment{Connection: api.Connection{URL: g.url, APIKey: theirKey},
		Spaces: []api.EnlistedSpace{{OctopusSpace: "Spaces-1", Name: "Theirs"}}}, "once")
	if err != nil {
		t.Fatal(err)
	}
	if task, err := c.WaitTask(t.Context(), e.Task, nil); err != nil || task.State != "succeeded" {
		t.Fatalf("the enlisting %s, %+v, %v", task.State, task.Error, err)
	}
	became := func(status string) (h api.Health) {
		t.Helper()
		until(t, "the Space is "+status, func() bool {
			sp, err := c.Space(t.Context(), "theirs")
			if err != nil {
				t.Fatal(err)
			}
			h = sp.Health
			return h.Status == status
		})
		return h
	}
	became("online")
	watcher := g.watcher(time.Now())
	c = replicas[another(replicas, watcher)].client()

	g.refuse(watcher)
	reason := became("degraded").Reason
	if !strings.HasPrefix(reason, watcher+" cannot reach the server") || !strings.Contains(reason, "the network between is at fault, not the Space") {
		t.Errorf("where %s alone does not reach it: %s", watcher, reason)
	}
	g.refuse("east", "north", "west")
	reason = became("offline").Reason
	for name := range replicas {
		if !strings.Contains(reason, name) {
			t.Errorf("where none reaches it, %s is not named: %s", name, reason)
		}
	}
	g.watcher(time.Now()) // it is asked on, and nobody is told again
	g.refuse()
	became("online")
	if went := statusesOf(t, c); !slices.Equal(went, []string{"online", "degraded", "offline", "online"}) {
		t.Errorf("it became %q", went)
	}

	replicas[watcher].kill()
	killed := time.Now()
	next := g.watcher(killed)
	took := time.Since(killed)
	t.Logf("%s was killed; %s asked %s later", watcher, next, took.Round(10*time.Millisecond))
	if next == watcher || took > takeOver {
		t.Errorf("that is not another within %s", takeOver)
	}
}

// statusesOf lists what the only Space became, oldest first.
func statusesOf(t testing.TB, c *apiclient.Client) (all []string) {
	t.Helper()
	events, err := apiclient.Collect(c.Events(t.Context(), url.Values{"type": {"monitor.status-changed"}}), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		var after struct{ Status string }
		if err := json.Unmarshal(e.After, &after); err != nil {
			t.Fatal(err)
		}
		all = append(all, after.Status)
	}
	slices.Reverse(all)
	return all
}

func another(replicas map[string]*house, than string) string {
	for name := range replicas {
		if name != than {
			return name
		}
	}
	return ""
}

// entrance stands before somebody else's server, knows which replica asks, and ends the connections of those it refuses.
type entrance struct {
	t        testing.TB
	url      string
	replicas map[string]*house

	mu      sync.Mutex
	refused map[string]bool
	asked   map[string]time.Time // by replica
}

type askerKey struct{}

func newEntrance(t testing.TB, replicas map[string]*house) *entrance {
	t.Helper()
	g := &entrance{t: t, replicas: replicas, refused: map[string]bool{}, asked: map[string]time.Time{}}
	behind, err := url.Parse(newTheirServer(t).url)
	if err != nil {
		t.Fatal(err)
	}
	pass := httputil.NewSingleHostReverseProxy(behind)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, _ := r.Context().Value(askerKey{}).(string)
		g.mu.Lock()
		refused := g.refused[name]
		g.asked[name] = time.Now()
		g.mu.Unlock()
		if refused {
			panic(http.ErrAbortHandler)
		}
		pass.ServeHTTP(w, r)
	}))
	server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, askerKey{}, g.asker(c))
	}
	server.Start()
	t.Cleanup(server.Close)
	g.url = server.URL
	return g
}

// asker finds the replica whose socket is the connection's other end (proc(5): /proc/net/tcp and the processes' fd).
func (g *entrance) asker(c net.Conn) string {
	ends := fmt.Sprintf(" 0100007F:%04X 0100007F:%04X ", c.RemoteAddr().(*net.TCPAddr).Port, c.LocalAddr().(*net.TCPAddr).Port)
	sockets, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		g.t.Errorf("sockets are not seen: %v", err)
	}
	for line := range strings.Lines(string(sockets)) {
		if !strings.Contains(line, ends) {
			continue
		}
		socket := "socket:[" + strings.Fields(line)[9] + "]"
		for name, h := range g.replicas {
			files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", h.cmd.Process.Pid))
			for _, file := range files {
				if to, err := os.Readlink(file); err == nil && to == socket {
					return name
				}
			}
		}
	}
	return "" // it was closed meanwhile
}

// refuse names all those that are refused from now on.
func (g *entrance) refuse(names ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.refused)
	for _, name := range names {
		g.refused[name] = true
	}
}

// watcher waits for a replica that asks twice after the time, as only the one does that watches the Space.
func (g *entrance) watcher(after time.Time) (name string) {
	g.t.Helper()
	first := map[string]time.Time{}
	until(g.t, "a replica watches the Space", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		for asker, at := range g.asked {
			if asker == "" || !at.After(after) {
				continue
			}
			if _, seen := first[asker]; !seen {
				first[asker] = at
			} else if at.Sub(first[asker]) > time.Second/2 {
				name = asker
				return true
			}
		}
		return false
	})
	return name
}
