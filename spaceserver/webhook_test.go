package spaceserver_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"odcm/kit/db/dbtest"
	"odcm/kit/egress"
	"odcm/octopus"
	"odcm/spaceserver"
)

// receiver takes webhooks, and misbehaves when it is told to.
type receiver struct {
	url string

	mu     sync.Mutex
	got    []octopus.Object
	header []http.Header
	status []int         // what the next ones are answered with; 200 afterwards
	gate   chan struct{} // the next one waits for it
	asked  int
}

func receive(t *testing.T) *receiver {
	r := &receiver{}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url = server.URL + "/hook?secret=in-the-address"
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	var o octopus.Object
	if err := json.NewDecoder(q.Body).Decode(&o); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.asked++
	gate := r.gate
	r.gate = nil
	if len(r.status) > 0 {
		status := r.status[0]
		r.status = r.status[1:]
		r.mu.Unlock()
		w.WriteHeader(status)
		return
	}
	r.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-q.Context().Done():
			return
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got, r.header = append(r.got, o), append(r.header, q.Header)
}

func (r *receiver) set(f func()) { r.mu.Lock(); defer r.mu.Unlock(); f() }

// messages are those of the events so far.
func (r *receiver) messages() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, o := range r.got {
		all = append(all, o.Object("Payload").Object("Event").Text("Message"))
	}
	return all
}

func (r *receiver) count() int { r.mu.Lock(); defer r.mu.Unlock(); return r.asked }

// subscribe makes a subscription to a receiver.
func (w *world) subscribe(name, url string, filter, more fields) octopus.Object {
	w.t.Helper()
	hook := fields{"WebhookURI": url, "WebhookHeaderKey": "X-Secret", "WebhookHeaderValue": "of the header", "WebhookTimeout": "00:00:05", "Filter": filter}
	for member, value := range more {
		hook[member] = value
	}
	return w.create("/api/Spaces-1/subscriptions", fields{"Name": name, "Type": "Event", "EventNotificationSubscription": hook})
}

func (w *world) environment(name string) octopus.Object {
	w.t.Helper()
	return w.create("/api/Spaces-1/environments", fields{"Name": name})
}

func TestEventsAreNotedAtWebhooks(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		r := receive(t)
		made := w.subscribe("Environments", r.url, fields{"DocumentTypes": []string{"Environments"}}, nil)
		var want []string
		for _, name := range []string{"A", "B", "C", "D", "E"} {
			w.environment(name)
			w.project("of " + name) // passed over
			want = append(want, "Environment "+name+" was created")
		}
		await(t, "five events", func() bool { return len(r.messages()) >= 5 })
		if got := r.messages(); !slices.Equal(got, want) {
			t.Fatalf("got %q", got)
		}
		first, header := r.got[0], r.header[0]
		payload := first.Object("Payload")
		if first.Text("EventType") != "SubscriptionPayload" || first.Text("Timestamp") == "" || payload.Text("ServerUri") != w.url || len(payload.Text("BatchId")) != 36 ||
			payload.Int("EventNumberInBatch") != 1 || payload.Int("TotalEventsInBatch") < 1 || payload.Text("BatchProcessingDate") == "" {
			t.Errorf("payload: %v", first)
		}
		if got := payload.Object("Subscription"); got.Text("Name") != "Environments" || got.Object("EventNotificationSubscription").Text("WebhookHeaderValue") != "" {
			t.Errorf("subscription: %v", got)
		}
		if _, text := w.send(http.MethodGet, "/api/events", nil); strings.Contains(string(text), "of the header") {
			t.Error("the audit trail tells the header's value")
		}
		if event := payload.Object("Event"); event.Text("Category") != "Created" || event.Text("Id") == "" || event.Text("SpaceId") != "Spaces-1" || event.Text("Username") != "admin" {
			t.Errorf("event: %v", event)
		}
		if header.Get("X-Secret") != "of the header" || !strings.HasPrefix(header.Get("Content-Type"), "application/json") {
			t.Errorf("header: %v", header)
		}
		path := "/api/Spaces-1/subscriptions/" + made.Text("Id")
		await(t, "the place to be kept", func() bool {
			return w.get(path).Object("EventNotificationSubscription").Int("WebhookLastProcessedEventAutoId") > 0
		})
		// Written back as it was read it goes on where it stood; disabled it rests; enabled again it begins anew.
		read := w.get(path)
		w.want(http.StatusOK, http.MethodPut, path, read)
		w.environment("F")
		await(t, "the sixth event", func() bool { return len(r.messages()) == 6 })
		read.Set("IsDisabled", true)
		w.want(http.StatusOK, http.MethodPut, path, read)
		w.environment("G")
		read.Set("IsDisabled", false)
		w.want(http.StatusOK, http.MethodPut, path, read)
		w.environment("H")
		await(t, "the event after it was enabled", func() bool { return len(r.messages()) >= 7 })
		if got := r.messages(); len(got) != 7 || got[6] != "Environment H was created" {
			t.Errorf("got %q", got)
		}
		w.want(http.StatusOK, http.MethodDelete, path, nil)
		w.environment("I")
		other := receive(t)
		w.subscribe("Other", other.url, fields{}, nil)
		w.environment("J")
		await(t, "another subscription's event", func() bool { return slices.Contains(other.messages(), "Environment J was created") })
		if got := r.messages(); len(got) != 7 {
			t.Errorf("a deleted subscription got %q", got)
		}
	})
}

func TestAReceiverThatIsDownGetsEverythingLater(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		bad, good := receive(t), receive(t)
		bad.set(func() { bad.status = []int{500, 503} })
		only := fields{"EventCategories": []string{"Created"}, "DocumentTypes": []string{"Environment"}}
		w.subscribe("Bad", bad.url, only, nil)
		w.subscribe("Good", good.url, only, nil)
		gate := make(chan struct{})
		w.environment("A")
		w.environment("B")
		await(t, "the good one", func() bool { return len(good.messages()) == 2 }) // nobody waits for the other
		await(t, "the bad one", func() bool { return len(bad.messages()) == 2 })
		if got := bad.messages(); got[0] != "Environment A was created" || got[1] != "Environment B was created" {
			t.Errorf("got %q", got)
		}
		// One that takes its time holds neither others nor the stop of the server up.
		bad.set(func() { bad.gate = gate })
		defer close(gate)
		w.environment("C")
		await(t, "the good one again", func() bool { return len(good.messages()) == 3 })
		await(t, "the slow one to be asked", func() bool { return bad.count() == 5 })
	})
}

func TestAWebhookGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url string) {
		r := receive(t)
		data := t.TempDir()
		t.Run("before", func(t *testing.T) {
			w := start(t, spaceserver.Options{Database: url, Data: data})
			w.subscribe("All", r.url, fields{"DocumentTypes": []string{"Environment"}}, nil)
			w.environment("A")
			await(t, "the first event", func() bool { return len(r.messages()) == 1 })
			r.set(func() { r.status = slices.Repeat([]int{503}, 1000) })
			w.environment("B")
			await(t, "an attempt", func() bool { return r.count() > 1 })
		})
		r.set(func() { r.status = nil })
		start(t, spaceserver.Options{Database: url, Data: data})
		await(t, "what was left", func() bool { return len(r.messages()) >= 2 })
		if got := r.messages(); got[len(got)-1] != "Environment B was created" {
			t.Errorf("got %q", got)
		}
	})
}

func TestOneNodePosts(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url string) {
		if !strings.HasPrefix(url, "postgres") {
			t.Skip("one node alone can use a file")
		}
		r := receive(t)
		data := t.TempDir()
		one := start(t, spaceserver.Options{Database: url, Data: data, Name: "one"})
		two := start(t, spaceserver.Options{Database: url, Data: data, Name: "two"})
		one.subscribe("All", r.url, fields{"DocumentTypes": []string{"Environment"}}, nil)
		for _, name := range []string{"A", "B", "C"} {
			one.environment(name + "1")
			two.environment(name + "2")
		}
		await(t, "six events", func() bool { return len(r.messages()) >= 6 })
		two.environment("last")
		await(t, "the last event", func() bool { return slices.Contains(r.messages(), "Environment last was created") })
		if got := r.messages(); len(got) != 7 {
			t.Errorf("got %q", got)
		}
	})
}

func TestWebhooksFilter(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		dev := w.environment("Dev")
		web := w.project("Web")
		group := w.create("/api/Spaces-1/projectgroups", fields{"Name": "Group"})
		tags := w.create("/api/Spaces-1/tagsets", fields{"Name": "Ring", "Tags": []fields{{"Name": "Early", "Color": "#ff0000"}}})
		_ = tags
		early := w.create("/api/Spaces-1/tenants", fields{"Name": "Early bird", "TenantTags": []string{"Ring/Early"}})
		team := w.create("/api/teams", fields{"Name": "Blind"})
		user := w.create("/api/users", fields{"Username": "ada", "DisplayName": "Ada", "Password": "a long password"})
		receivers := map[string]*receiver{}
		for name, s := range map[string]struct{ filter, more fields }{
			"environments":   {fields{"Environments": []string{dev.Text("Id")}}, nil},
			"projects":       {fields{"Projects": []string{web.Text("Id")}}, nil},
			"project groups": {fields{"ProjectGroups": []string{"ProjectGroups-1"}, "DocumentTypes": []string{"Projects"}}, nil},
			"other group":    {fields{"ProjectGroups": []string{group.Text("Id")}, "DocumentTypes": []string{"Projects"}}, nil},
			"users":          {fields{"Users": []string{user.Text("Id")}}, nil},
			"groups":         {fields{"EventGroups": []string{"MachineCritical"}}, nil},
			"tags":           {fields{"Tags": []string{"Ring/Early"}}, nil},
			"tenants":        {fields{"Tenants": []string{early.Text("Id")}}, nil},
			"agents":         {fields{"EventAgents": []string{"Portal"}}, nil},
			"teams":          {fields{}, fields{"WebhookTeams": []string{team.Text("Id")}}},
			"modified":       {fields{"EventCategories": []string{"Modified"}, "DocumentTypes": []string{"Environment", "Project", "Tenant"}}, nil},
			"last":           {fields{"DocumentTypes": []string{"Lifecycle"}}, nil},
		} {
			receivers[name] = receive(t)
			w.subscribe(name, receivers[name].url, s.filter, s.more)
		}
		for path, o := range map[string]octopus.Object{"environments": dev, "projects": web, "tenants": early} {
			o = w.get("/api/Spaces-1/" + path + "/" + o.Text("Id"))
			o.Set("Description", "changed")
			w.want(http.StatusOK, http.MethodPut, "/api/Spaces-1/"+path+"/"+o.Text("Id"), o)
		}
		w.create("/api/Spaces-1/lifecycles", fields{"Name": "End"})
		await(t, "the last event", func() bool { return len(receivers["last"].messages()) == 1 })
		want := map[string]int{"environments": 1, "projects": 1, "project groups": 1, "other group": 0, "users": 0, "groups": 0, "tags": 1, "tenants": 1, "agents": 0, "teams": 0, "modified": 3, "last": 1}
		for name, n := range want {
			if n > 0 {
				await(t, name, func() bool { return len(receivers[name].messages()) >= n })
			}
			if got := receivers[name].messages(); len(got) != n {
				t.Errorf("%s: %q, want %d", name, got, n)
			}
		}
	})
}

func TestWebhooksGoNowhereThatIsDenied(t *testing.T) {
	t.Parallel()
	r := receive(t)
	log := &logged{}
	w := start(t, spaceserver.Options{Egress: egress.Policy{Deny: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, Logger: log.logger()})
	w.subscribe("Inwards", r.url, fields{}, nil)
	w.environment("A")
	await(t, "the refusal", func() bool { return strings.Contains(log.text(), "webhook could not be posted") })
	if n := r.count(); n != 0 {
		t.Errorf("it was posted %d times", n)
	}
	if strings.Contains(log.text(), "in-the-address") || strings.Contains(log.text(), "of the header") {
		t.Errorf("the log tells secrets: %s", log.text())
	}
	for _, bad := range []fields{{"WebhookURI": "x"}, {"WebhookURI": "ftp://a/b"}, {"WebhookTimeout": "soon"}, {"WebhookTimeout": "10:00:00"}, {"WebhookHeaderValue": "a\r\nb: c"}} {
		w.want(http.StatusBadRequest, http.MethodPost, "/api/Spaces-1/subscriptions", fields{"Name": "Bad", "Type": "Event", "EventNotificationSubscription": bad})
	}
}

func TestAnEventThatTheReceiverCallsWrongIsDropped(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for five attempts")
	}
	r := receive(t)
	r.set(func() { r.status = slices.Repeat([]int{422}, 5) })
	w := start(t, spaceserver.Options{})
	w.subscribe("Picky", r.url, fields{"DocumentTypes": []string{"Environment"}}, nil)
	w.environment("A")
	w.environment("B")
	begun := time.Now()
	await(t, "the second event", func() bool { return len(r.messages()) == 1 })
	if got := r.messages(); got[0] != "Environment B was created" {
		t.Errorf("after %v: %q", time.Since(begun), got)
	}
}

// logged keeps what a server logs.
type logged struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logged) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }
func (l *logged) text() string                { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }
func (l *logged) logger() *slog.Logger        { return slog.New(slog.NewTextHandler(l, nil)) }
