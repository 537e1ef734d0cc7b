package test

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	ground "odcm" // odcm is the program here
	"odcm/api"
	"odcm/apiclient"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/kit/seal"
	"odcm/kit/signal"
	"odcm/kit/task"
	"odcm/manager/alert/alertsend"
	"odcm/manager/alert/watch"
	"odcm/manager/space"
	"odcm/manager/space/spacesql"
	"odcm/simulate"
)

var flapFor = flag.Duration("flap", 0, "how long TestFlap lets Spaces flap and kills replicas")

// TestFlap lets 200 Spaces come and go while three replicas on one database are killed and come back, and compares what a
// receiver was told with a model of what the log of events says, and that with what the servers did.
func TestFlap(t *testing.T) {
	if testing.Short() {
		t.Skip("needs PostgreSQL and real processes")
	}
	if *flapFor == 0 {
		t.Skip("takes minutes: ask for it with -flap 5m")
	}
	f := newFlaps(t, 200)
	f.settle()
	// Each server turns so often that all of them turn a dozen times a second.
	f.control(http.MethodPut, "/flapping?every=16s")
	kills := f.kill(*flapFor)
	f.control(http.MethodDelete, "/flapping")
	calm := time.Now()
	for why := "?"; why != ""; time.Sleep(200 * time.Millisecond) {
		if why = f.waits(); why != "" && time.Since(calm) > 3*patience {
			t.Fatalf("%s after the last change: %s", time.Since(calm), why)
		}
	}
	t.Logf("%s with %d kills; all was told %s after the last change", *flapFor, kills, time.Since(calm).Round(100*time.Millisecond))

	episodes, events := f.episodes()
	f.against(f.truth(), episodes)
	incidents := f.incidents()
	f.compare(episodes, incidents)
	f.told(incidents)
	total := 0
	for _, all := range episodes {
		total += len(all)
	}
	if total < 20 {
		t.Errorf("%d outages: nothing was shown", total)
	}
	t.Logf("%d changes of status, %d outages, %d incidents", events, total, len(incidents))
}

type flaps struct {
	t        *testing.T
	database string
	d        *db.DB
	log      *eventlog.Log
	key      string
	dir      string
	servers  *simulate.Simulator
	spaces   []space.Space // of the server with the number of its place and one
	replicas []*house
	starts   int
	sink     *sink
}

func newFlaps(t *testing.T, n int) *flaps {
	t.Helper()
	f := &flaps{t: t, database: dbtest.PostgreSQL(t), dir: t.TempDir(), sink: &sink{}}
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	f.key = base64.StdEncoding.EncodeToString(key)
	f.replicas = append(f.replicas, f.replica(0))
	f.insert(n)
	f.replicas = append(f.replicas, f.replica(1), f.replica(2))
	return f
}

func (f *flaps) replica(n int) *house {
	f.t.Helper()
	f.starts++
	return houses{Data: filepath.Join(f.dir, fmt.Sprint(n)), Database: f.database, Manager: true, Replica: fmt.Sprint("replica-", n), Key: f.key}.start(f.t)
}

// insert writes rows of Spaces on servers that are played.
func (f *flaps) insert(n int) {
	f.t.Helper()
	ctx := f.t.Context()
	ok := func(err error) {
		f.t.Helper()
		if err != nil {
			f.t.Fatal(err)
		}
	}
	var err error
	f.servers, err = simulate.New(simulate.Options{Count: n, Seed: mathrand.Uint64()})
	ok(err)
	f.servers.Start()
	f.t.Cleanup(func() { _ = f.servers.Stop(context.Background()) })
	f.d = dbtest.Open(f.t, f.database)
	bus, err := signal.New(ctx, f.d)
	ok(err)
	f.t.Cleanup(bus.Close)
	f.log, err = eventlog.New(ctx, f.d, bus)
	ok(err)
	tasks, err := task.New(ctx, f.d, f.log, bus, task.Options{Replica: "nobody"})
	ok(err)
	sealer, err := seal.Open(ctx, f.d, seal.Options{KeyBase64: f.key})
	ok(err)
	store, err := spacesql.New(ctx, f.d, f.log, tasks, sealer)
	ok(err)
	var c space.Change
	for i, address := range f.addresses() {
		in := space.Instance{ID: ground.NewID[ground.InstanceID]("instance"), URL: address, APIKey: "API-SIMULATED", InstallationID: fmt.Sprintf("00000000-0000-4000-8000-%012d", i+1),
			Version: "2025.4.10333", Origin: space.Enlisted, Created: time.Now()}
		name := fmt.Sprintf("Space %03d", i+1)
		c.Instances = append(c.Instances, in)
		c.Spaces = append(c.Spaces, space.Space{ID: ground.NewID[ground.SpaceID]("space"), Instance: in.ID, Octopus: "Spaces-1", Slug: space.Slug(name), Name: name, State: space.StateActive, Created: time.Now()})
	}
	ok(store.Commit(ctx, c))
	f.spaces = c.Spaces
}

func (f *flaps) addresses() (all []string) {
	var b lines
	if err := f.servers.WriteURLs(&b); err != nil {
		f.t.Fatal(err)
	}
	return b
}

// lines keeps each line that is written.
type lines []string

func (l *lines) Write(b []byte) (int, error) {
	*l = append(*l, string(b[:len(b)-1]))
	return len(b), nil
}

// control tells the servers what to do.
func (f *flaps) control(method, path string) []byte {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.servers.ControlURL()+path, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 {
		f.t.Fatalf("%s: %s %s, %v", path, res.Status, body, err)
	}
	return body
}

// settle waits until all are online, and has every single outage told.
func (f *flaps) settle() {
	f.t.Helper()
	ctx, c := f.t.Context(), f.replicas[0].client()
	sink := httptest.NewServer(f.sink)
	f.t.Cleanup(sink.Close)
	r, err := c.CreateAlertReceiver(ctx, api.AlertReceiverSettings{Name: "Sink", Kind: "webhook", URL: sink.URL, Default: true, Enabled: true})
	if err != nil {
		f.t.Fatal(err)
	}
	f.sink.key = r.Key
	rules, err := apiclient.Collect(c.AlertRules(ctx), 0)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, r := range rules {
		r.Enabled, r.GroupWaitSeconds, r.FlapChanges = r.ID == "rule-offline", 1, 0
		if _, err := c.SaveAlertRule(ctx, r.ID, r.AlertRuleSettings); err != nil {
			f.t.Fatal(err)
		}
	}
	until(f.t, "all are online", func() bool { return f.online(c) })
}

func (f *flaps) online(c *apiclient.Client) bool {
	all, err := apiclient.Collect(c.Spaces(f.t.Context(), apiclient.SpaceFilter{Statuses: []string{"online"}}), 0)
	return err == nil && len(all) == len(f.spaces)
}

// kill kills one or two replicas at random for the time, and starts them again.
func (f *flaps) kill(d time.Duration) (kills int) {
	f.t.Helper()
	for began := time.Now(); time.Since(began) < d; {
		time.Sleep(time.Second + mathrand.N(4*time.Second)) // between two accidents
		dead := mathrand.Perm(len(f.replicas))[:1+mathrand.IntN(2)]
		for _, n := range dead {
			f.replicas[n].kill()
			kills++
		}
		for _, n := range dead {
			f.replicas[n] = f.replica(n)
		}
	}
	return kills
}

// waits says what is not as it is in the end: every Space online, no incident open, nothing still to be told.
func (f *flaps) waits() string {
	ctx, c := f.t.Context(), f.replicas[0].client()
	if !f.online(c) {
		return "not all are online"
	}
	episodes, _ := f.episodes()
	for id, all := range episodes {
		if all[len(all)-1].end.IsZero() {
			return "the log says that " + id + " is offline"
		}
	}
	open, err := apiclient.Collect(c.Incidents(ctx, url.Values{"state": {"open"}}), 0)
	queued, err2 := apiclient.Collect(c.Deliveries(ctx, url.Values{"state": {"queued"}}), 0)
	if err != nil || err2 != nil || len(open)+len(queued) > 0 {
		return fmt.Sprintf("%d open, %d queued: %+v, %v, %v", len(open), len(queued), queued[max(len(queued)-1, 0):], err, err2)
	}
	said := map[string]bool{} // what is over waits a moment for others
	for _, h := range f.sink.all() {
		for _, i := range h.Data.Incidents {
			if i.Resolved != nil {
				said[i.ID] = true
			}
		}
	}
	if all := f.incidents(); len(said) < len(all) {
		return fmt.Sprintf("%d of %d are told to be over", len(said), len(all))
	}
	return ""
}

// episode is a time in which a Space was offline.
type episode struct{ start, end time.Time }

// episodes reads from the log what ODCM saw: the model of the incidents. It counts the changes.
func (f *flaps) episodes() (map[string][]episode, int) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(f.t.Context())
	defer cancel()
	last, err := f.log.Last(ctx)
	if err != nil {
		f.t.Fatal(err)
	}
	found, changes := map[string][]episode{}, 0
	for e, err := range f.log.Follow(ctx, 0) {
		if err != nil {
			f.t.Fatal(err)
		}
		if e.Type == watch.StatusChanged {
			var now struct{ Status string }
			if err := json.Unmarshal(e.After, &now); err != nil {
				f.t.Fatal(err)
			}
			changes++
			all := found[e.Subject]
			open := len(all) > 0 && all[len(all)-1].end.IsZero()
			switch {
			case now.Status == "offline" && !open:
				found[e.Subject] = append(all, episode{start: e.Time})
			case now.Status != "offline" && now.Status != "unknown" && open:
				all[len(all)-1].end = e.Time
			}
		}
		if e.ID >= last {
			break
		}
	}
	return found, changes
}

// truth is when each Space's server was dead.
func (f *flaps) truth() map[string][]episode {
	f.t.Helper()
	var changes []simulate.Change
	if err := json.Unmarshal(f.control(http.MethodGet, "/changes"), &changes); err != nil {
		f.t.Fatal(err)
	}
	dead := map[string][]episode{}
	for _, c := range changes {
		id := string(f.spaces[c.Server-1].ID)
		if all := dead[id]; c.Behaviour == simulate.Kill {
			dead[id] = append(all, episode{start: c.Time})
		} else {
			all[len(all)-1].end = c.Time
		}
	}
	return dead
}

// unseen is how long a server may be dead without that anybody sees it: nobody may be there who looks.
const unseen = 30 * time.Second

// against holds what ODCM saw against what was: each outage that it saw began while the server was dead or just after, and
// each long one was seen.
func (f *flaps) against(truth, seen map[string][]episode) {
	f.t.Helper()
	deaths := 0
	for id, dead := range truth {
		deaths += len(dead)
		for _, d := range dead {
			if d.end.Sub(d.start) > unseen && !slices.ContainsFunc(seen[id], func(e episode) bool { return e.start.Before(d.end) && e.end.After(d.start) }) {
				f.t.Errorf("%s was dead from %s to %s, and nobody saw it", id, d.start, d.end)
			}
		}
	}
	for id, all := range seen {
		for _, e := range all {
			if !slices.ContainsFunc(truth[id], func(d episode) bool {
				return e.start.After(d.start.Add(-time.Second)) && e.start.Before(d.end.Add(unseen))
			}) {
				f.t.Errorf("%s was seen offline at %s, and its server lived", id, e.start)
			}
		}
	}
	f.t.Logf("servers died %d times", deaths)
}

func (f *flaps) incidents() []api.Incident {
	f.t.Helper()
	all, err := apiclient.Collect(f.replicas[0].client().Incidents(f.t.Context(), url.Values{}), 0)
	if err != nil {
		f.t.Fatal(err)
	}
	slices.SortFunc(all, func(a, b api.Incident) int { return a.Since.Compare(b.Since) })
	return all
}

// compare holds the incidents against the model: one for each outage, as long as it.
func (f *flaps) compare(model map[string][]episode, incidents []api.Incident) {
	f.t.Helper()
	found := map[string][]api.Incident{}
	for _, i := range incidents {
		found[i.Subject] = append(found[i.Subject], i)
	}
	const near = 3 * time.Second // an event's time is the log's, an incident's that of who evaluates
	for _, sp := range f.spaces {
		want, got := model[string(sp.ID)], found[string(sp.ID)]
		if len(want) != len(got) {
			f.t.Errorf("%s was offline %d times, and there are %d incidents: %v, %+v", sp.Name, len(want), len(got), want, got)
			continue
		}
		for k, i := range got {
			if i.State != "resolved" || i.Resolved == nil || i.Since.Sub(want[k].start).Abs() > near || i.Resolved.Sub(want[k].end).Abs() > near {
				f.t.Errorf("%s was offline from %s to %s: %+v", sp.Name, want[k].start, want[k].end, i)
			}
		}
	}
}

// told holds what the receiver was told against the incidents: that each fires, under one key, and that it is over, under one.
func (f *flaps) told(incidents []api.Incident) {
	f.t.Helper()
	fires, over := map[string][]string{}, map[string][]string{}
	content := map[string]string{}
	repeated, merged := 0, 0
	for _, h := range f.sink.all() {
		if was, again := content[h.Data.ID]; again {
			if repeated++; was != h.body {
				f.t.Errorf("the key %s came with\n%s\nand with\n%s", h.Data.ID, was, h.body)
			}
			continue
		}
		content[h.Data.ID] = h.body
		for _, i := range h.Data.Incidents {
			if h.Type == "alert.firing" {
				fires[i.ID] = append(fires[i.ID], h.Data.ID)
			}
			if h.Type != "alert.firing" && h.Type != "alert.resolved" {
				f.t.Errorf("somebody was told %s", h.Type)
			}
			if i.Resolved == nil {
				continue
			}
			if over[i.ID] = append(over[i.ID], h.Data.ID); len(fires[i.ID]) == 0 {
				f.t.Errorf("%s was told to be over before it was told to fire", i.ID)
			}
			if h.Type == "alert.firing" {
				merged++
			}
		}
	}
	for _, i := range incidents {
		if len(fires[i.ID]) != 1 || len(over[i.ID]) != 1 {
			f.t.Errorf("%s of %s was told to fire as %v, and to be over as %v", i.ID, i.Name, fires[i.ID], over[i.ID])
		}
	}
	if len(fires) != len(incidents) {
		f.t.Errorf("%d incidents, %d told", len(incidents), len(fires))
	}
	f.sink.mu.Lock()
	defer f.sink.mu.Unlock()
	if f.sink.forged > 0 {
		f.t.Errorf("%d messages had no valid signature", f.sink.forged)
	}
	f.t.Logf("%d messages under %d keys, %d of them sent again with their key (%d answers were lost on purpose); %d outages were told with their end at once; %d starts of replicas",
		len(f.sink.heard), len(content), repeated, f.sink.lost, merged, f.starts)
}

// sink is a receiver that notes all that it is told, and now and then loses its answer.
type sink struct {
	key string

	mu           sync.Mutex
	heard        []heard
	forged, lost int
}

// heard is one message.
type heard struct {
	Type string
	Data struct {
		ID, Title string
		Incidents []struct {
			ID, Name, State string
			Resolved        *time.Time
		}
	}
	body string
}

// loseEvery is after how many messages an answer is lost.
const loseEvery = 300

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the replica was killed while it wrote: nothing arrived
	}
	h := heard{body: string(body)}
	id, at := r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp")
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := json.Unmarshal(body, &h); err != nil || cmp.Or(h.Data.ID, "none") != id || r.Header.Get("webhook-signature") != "v1,"+alertsend.Sign(s.key, id, at, body) {
		s.forged++
	}
	s.heard = append(s.heard, h)
	if len(s.heard)%loseEvery == 0 {
		s.lost++
		panic(http.ErrAbortHandler)
	}
}

func (s *sink) all() []heard {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.heard)
}
