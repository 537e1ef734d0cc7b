package test

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	ground "odcm" // odcm is the program here
)

// refusal is a request that is wrong, and the answer that says so.
type refusal struct {
	name         string
	method, path string // POST /api/v1/spaces if empty
	body         string
	headers      map[string]string
	status       int
	code         string // stable: scripts rely on it
	field        string // which the answer points at; "" for none
	says         string // part of what tells people what to do
	slow         bool   // is sent in one way only
}

// TestBadInput sends what is wrong in every way that the product promises to refuse, and wants each time a stable code, the
// field, what to do, and that nothing at all was written, here or on the server that was named.
//
// It does not run in parallel: it replaces the process's resolver, so that a name can mean a forbidden address.
func TestBadInput(t *testing.T) {
	resolver := net.DefaultResolver
	net.DefaultResolver = nameServer(t)
	t.Cleanup(func() { net.DefaultResolver = resolver })

	o := open(t, nil)
	theirs := &fakeOctopus{installation: "theirs"}
	there := serve(t, theirs.ServeHTTP)
	made := o.want(202, "POST", "/api/v1/spaces/enlist", asJSON(map[string]any{"url": there, "apiKey": fakeKey,
		"spaces": []any{map[string]any{"octopusSpace": "Spaces-1", "name": "Shipping"}}}))
	o.ends(made.field("task"), "succeeded")
	until(t, "the Space was probed", func() bool {
		return strings.Contains(string(o.want(200, "GET", "/api/v1/audit/events", "").body), "monitor.status-changed")
	})
	fakes := []*fakeOctopus{theirs}
	member := o.hire("bob", ground.Member, time.Now, time.Hour)
	lastYear := func() time.Time { return time.Now().AddDate(-1, 0, 0) }
	expired := o.hire("late", ground.Administrator, lastYear, time.Hour)

	var rows []refusal
	for _, r := range badServers(t, &fakes, there) {
		plan, enlist := r, r
		plan.name, plan.path = r.name+", planned", "/api/v1/spaces/plan"
		enlist.name, enlist.path = r.name+", enlisted", "/api/v1/spaces/enlist"
		enlist.body = strings.TrimSuffix(r.body, "}") + `,"spaces":[{"octopusSpace":"Spaces-1","name":"New"}]}`
		if rows = append(rows, plan); !r.slow {
			rows = append(rows, enlist)
		}
	}
	rekey := asJSON(map[string]string{"apiKey": "API-NOTTHEIRS"})
	rows = append(rows, refusal{name: "a wrong key, to replace the right one", method: "PUT", path: "/api/v1/spaces/shipping/key", body: rekey,
		status: 422, code: "space.key-refused", field: "apiKey", says: "Make a new one"})
	rows = append(rows, badRequests(there, member, expired)...)

	before := o.tables()
	subscriptions := theirs.subscriptions()
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			got := o.ask(or(r.method, "POST"), or(r.path, "/api/v1/spaces"), r.body, r.headers)
			r.check(t, got)
			if after := o.tables(); !maps.Equal(before, after) {
				t.Errorf("something was written: before %v, after %v; the last event is %s", before, after, o.want(200, "GET", "/api/v1/audit/events?limit=1", "").body)
				before = after
			}
			for i, f := range fakes {
				if n := f.subscriptions(); i == 0 && n != subscriptions || i > 0 && n != 0 {
					t.Errorf("server %d has %d subscriptions", i, n)
				}
			}
		})
	}
}

func (r refusal) check(t *testing.T, got reply) {
	t.Helper()
	p := got.problem()
	if got.status != r.status || p.Status != r.status || p.Code != r.code {
		t.Errorf("got %d %s, want %d %s", got.status, got.body, r.status, r.code)
	}
	if typ := got.header.Get("Content-Type"); typ != "application/problem+json" {
		t.Errorf("its type is %s", typ)
	}
	if p.Instance == "" || p.Instance != got.header.Get("X-Request-Id") || p.Title == "" {
		t.Errorf("it cannot be found in the log: %s", got.body)
	}
	var fields []string
	said := p.Detail
	for _, e := range p.Errors {
		fields = append(fields, strings.TrimPrefix(e.Location, "body."))
		said += " " + e.Message
	}
	if strings.Join(fields, " ") != r.field {
		t.Errorf("it points at %q, want %q", fields, r.field)
	}
	if !strings.Contains(said, r.says) {
		t.Errorf("it does not say %q: %s", r.says, said)
	}
	for _, secret := range []string{fakeKey, "API-NOTTHEIRS", adminKey, "goroutine", ".go:"} {
		if bytes.Contains(got.body, []byte(secret)) {
			t.Errorf("it tells %s: %s", secret, got.body)
		}
	}
}

// badServers are servers that cannot be enlisted.
func badServers(t *testing.T, fakes *[]*fakeOctopus, known string) []refusal {
	t.Helper()
	fake := func(o *fakeOctopus) *fakeOctopus {
		*fakes = append(*fakes, o)
		return o
	}
	good := fake(&fakeOctopus{installation: "good"})
	tlsURL, ca, thumbprint := serveTLS(t, good)
	_, otherCA, _ := serveTLS(t, good)
	plain := serve(t, good.ServeHTTP)
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(tlsURL, "https://"))
	to := func(target string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, target+r.URL.Path+"?token=secret", http.StatusFound)
		}
	}
	// http and https on one port, as a proxy that upgrades everyone does.
	upgrading := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://"+r.Host+r.URL.Path, http.StatusMovedPermanently)
	})
	connect := func(url string, more ...string) string {
		c := map[string]string{"url": url, "apiKey": fakeKey}
		for i := 0; i+1 < len(more); i += 2 {
			c[more[i]] = more[i+1]
		}
		return asJSON(c)
	}
	return []refusal{
		{name: "a web page", body: connect(serve(t, webPage)), status: 422, code: "space.not-octopus", field: "url", says: "a web page"},
		{name: "JSON of something else", body: connect(serve(t, otherJSON)), status: 422, code: "space.not-octopus", field: "url", says: "Is the URL that of the Octopus server?"},
		{name: "a port where nothing listens", body: connect(refused(t)), status: 503, code: "space.unreachable", field: "url", says: "Is the server running, and is the port right?"},
		{name: "a name that does not exist", body: connect("https://no-such-host.test"), status: 503, code: "space.unreachable", field: "url", says: "Check the spelling"},
		{name: "a server that does not answer", body: connect(serve(t, hanging)), status: 503, code: "space.unreachable", field: "url", says: "did not answer in time", slow: true},
		{name: "a server that answers for ever", body: connect(serve(t, dripping)), status: 503, code: "space.unreachable", field: "url", says: "did not answer in time", slow: true},
		{name: "an answer of 10 MB", body: connect(serve(t, huge)), status: 422, code: "space.not-octopus", field: "url", says: "larger than"},
		{name: "a server that is starting", body: connect(serve(t, unavailable)), status: 503, code: "space.server-failed", field: "url", says: "it is starting, or down behind its proxy"},
		{name: "no URL", body: connect("octopus example com"), status: 422, code: "space.url-invalid", field: "url", says: "https://octopus.example.com"},
		{name: "a URL with a password", body: connect("https://user:hunter2@127.0.0.1"), status: 422, code: "space.url-invalid", field: "url", says: "give the API key apart"},
		{name: "a URL of another sort", body: connect("file:///etc/passwd"), status: 422, code: "space.url-invalid", field: "url", says: "must begin with https://"},
		{name: "a wrong key", body: strings.ReplaceAll(connect(plain), fakeKey, "API-NOTTHEIRS"), status: 422, code: "space.key-refused", field: "apiKey", says: "Make a new one"},
		{name: "a key with a line break", body: strings.ReplaceAll(connect(plain), fakeKey, `API-NOT\nTHEIRS`), status: 422, code: "space.key-refused", field: "apiKey", says: "copy it again"},
		{name: "a key that may not read permissions", body: connect(serve(t, fake(&fakeOctopus{installation: "x", forbids: true}).ServeHTTP)), status: 403,
			code: "space.key-lacks-permission", field: "apiKey", says: "lacks the permission UserView"},
		{name: "a key that may see no Space", body: connect(serve(t, fake(&fakeOctopus{installation: "x", powerless: true}).ServeHTTP)), status: 422,
			code: "space.key-lacks-permission", field: "apiKey", says: "Use the key of an Octopus administrator"},
		{name: "a version that is too old", body: connect(serve(t, fake(&fakeOctopus{installation: "x", version: "2019.13.7"}).ServeHTTP)), status: 501,
			code: "space.version-too-old", field: "url", says: "needs 2020.1.0 or newer. Upgrade"},
		{name: "a server without an identity", body: connect(serve(t, fake(&fakeOctopus{}).ServeHTTP)), status: 422, code: "space.not-octopus", field: "url",
			says: "which installation it is"},
		{name: "a certificate of an unknown authority", body: connect(tlsURL), status: 503, code: "space.tls-untrusted", field: "url", says: "pin the thumbprint " + thumbprint},
		{name: "a certificate of another authority", body: connect(tlsURL, "ca", strings.Replace(otherCA, "MII", "MIJ", 1)), status: 422, code: "space.ca-invalid", field: "ca", says: "give it as PEM text"},
		{name: "an authority that is no PEM", body: connect(tlsURL, "ca", "not a certificate"), status: 422, code: "space.ca-invalid", field: "ca", says: "give it as PEM text"},
		{name: "a certificate for another name", body: connect("https://localhost:"+port, "ca", ca), status: 503, code: "space.tls-untrusted", field: "url", says: "is not for that name"},
		{name: "another certificate than the pinned one", body: connect(tlsURL, "thumbprint", strings.Repeat("AB", 20)), status: 503, code: "space.tls-untrusted", field: "url", says: "pin that one"},
		{name: "a thumbprint that is none", body: connect(tlsURL, "thumbprint", "12345"), status: 422, code: "space.thumbprint-invalid", field: "thumbprint", says: "hexadecimal digits"},
		{name: "plain HTTP where TLS was asked for", body: connect(strings.Replace(plain, "http:", "https:", 1)), status: 503, code: "space.tls-untrusted", field: "url", says: "http:// instead of https://"},
		{name: "a redirect to another host", body: connect(serve(t, to(plain))), status: 422, code: "space.redirected", field: "url", says: "redirected to " + plain},
		{name: "a redirect to TLS on the same host", body: connect(upgrading), status: 422, code: "space.redirected", field: "url", says: "give that address instead"},
		{name: "the address of the metadata service", body: connect("http://169.254.169.254"), status: 422, code: "space.address-refused", field: "url", says: "link-local address. Give another"},
		{name: "the same in IPv6", body: connect("http://[::ffff:a9fe:a9fe]"), status: 422, code: "space.address-refused", field: "url", says: "link-local address. Give another"},
		{name: "a name of the metadata service", body: connect("http://metadata.test"), status: 422, code: "space.address-refused", field: "url", says: "link-local address. Give another"},
		{name: "a redirect to the metadata service", body: connect(serve(t, to("http://169.254.169.254"))), status: 422, code: "space.redirected", field: "url", says: "169.254.169.254"},
	}
}

// badRequests are wrong whatever the server.
func badRequests(there, member, expired string) []refusal {
	enlist := func(space map[string]any) string {
		return asJSON(map[string]any{"url": there, "apiKey": fakeKey, "spaces": []any{space}})
	}
	as := func(key string) map[string]string { return map[string]string{"Authorization": "Bearer " + key} }
	const enlistPath = "/api/v1/spaces/enlist"
	long := strings.Repeat("x", 101)
	return []refusal{
		{name: "a Space that is enlisted already", path: enlistPath, body: enlist(map[string]any{"octopusSpace": "Spaces-1", "name": "Other"}), status: 409,
			code: "space.already-enlisted", field: "spaces[0].octopusSpace", says: "as Shipping"},
		{name: "a Space that the server has not", path: enlistPath, body: enlist(map[string]any{"octopusSpace": "Spaces-7", "name": "Other"}), status: 422,
			code: "space.choice-unknown", field: "spaces[0].octopusSpace", says: "no Space \"Spaces-7\""},
		{name: "no Space at all", path: enlistPath, body: asJSON(map[string]any{"url": there, "apiKey": fakeKey, "spaces": []any{}}), status: 422,
			code: "request.invalid", field: "spaces", says: "expected array length >= 1"},
		{name: "a name that is taken, enlisting", path: enlistPath, body: enlist(map[string]any{"octopusSpace": "Spaces-2", "name": "sHIPPING"}), status: 409,
			code: "space.name-taken", field: "spaces[0].name", says: "choose another name"},
		{name: "a name of 101 characters", body: asJSON(map[string]string{"name": long}), status: 422, code: "request.invalid", field: "name", says: "expected length <= 100"},
		{name: "a name of nothing", body: `{"name":"   "}`, status: 422, code: "space.name-missing", field: "name", says: "Give the Space a name"},
		{name: "no name", body: `{}`, status: 422, code: "request.invalid", field: "body", says: "expected required property name"},
		{name: "a name with a control character", body: `{"name":"Ship\u0007ping"}`, status: 422, code: "space.name-unprintable", field: "name", says: "type it again"},
		{name: "a name that hides its direction", body: `{"name":"Ship\u202Egnip"}`, status: 422, code: "space.name-unprintable", field: "name", says: "type it again"},
		{name: "a description with a zero byte", body: `{"name":"New","description":"a\u0000b"}`, status: 422, code: "space.description-unprintable", field: "description",
			says: "type it again"},
		{name: "an address with a zero byte", method: "GET", path: "/api/v1/spaces/a%00b", status: 400, code: "request.malformed", says: "not text"},
		{name: "a query that is no text", method: "GET", path: "/api/v1/spaces?q=%ff", status: 400, code: "request.malformed", says: "not text"},
		{name: "no server to create on", body: `{"name":"New"}`, status: 503, code: "space.no-version", field: "version", says: "install one first"},
		{name: "a new name of 101 characters", method: "PATCH", path: "/api/v1/spaces/shipping", body: `{"name":"` + long + `"}`, status: 422, code: "request.invalid", field: "name",
			says: "expected length <= 100"},
		{name: "a body that is too large", body: `{"name":"` + strings.Repeat("x", 2<<20) + `"}`, status: 413, code: "request.too-large", says: "larger than 1048576 bytes"},
		{name: "a body that is too large and does not say so", body: `{"name":"` + strings.Repeat("x", 2<<20) + `"}`, headers: map[string]string{"Transfer-Encoding": "chunked"},
			status: 413, code: "request.too-large", says: "larger than 1048576 bytes"},
		{name: "no JSON", body: `{"name":`, status: 400, code: "request.malformed", field: "body", says: "unexpected end of JSON"},
		{name: "no body", body: "", status: 400, code: "request.malformed", says: "body is required"},
		{name: "JSON of another shape", body: `["New"]`, status: 422, code: "request.invalid", field: "body", says: "expected object"},
		{name: "a field that is unknown", body: `{"name":"New","colour":"red"}`, status: 422, code: "request.invalid", field: "colour", says: "unexpected property"},
		{name: "a number for a text", body: `{"name":7}`, status: 422, code: "request.invalid", field: "name", says: "expected string"},
		{name: "another content type", body: `name=New`, headers: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, status: 415,
			code: "request.content-type", field: "body", says: "as application/json"},
		{name: "an ETag that is stale", method: "PATCH", path: "/api/v1/spaces/shipping", body: `{"name":"New"}`, headers: map[string]string{"If-Match": `"99"`}, status: 412,
			code: "request.stale", says: "Read it again"},
		{name: "an ETag that is none", method: "PATCH", path: "/api/v1/spaces/shipping", body: `{"name":"New"}`, headers: map[string]string{"If-Match": "W/7"}, status: 400,
			code: "request.malformed", says: "want one ETag"},
		{name: "a key for idempotency that is too long", body: `{"name":"New"}`, headers: map[string]string{"Idempotency-Key": strings.Repeat("x", 256)}, status: 400,
			code: "request.malformed", says: "at most 255 characters"},
		{name: "a Space that does not exist", method: "GET", path: "/api/v1/spaces/nowhere", status: 404, code: "space.not-found", says: "or you may not enter it"},
		{name: "a task that does not exist", method: "GET", path: "/api/v1/tasks/task-nowhere", status: 404, code: "task.not-found", says: "no task"},
		{name: "nobody", headers: map[string]string{"Authorization": "-"}, body: `{"name":"New"}`, status: 401, code: "identity.not-signed-in", says: "send an API key"},
		{name: "an unknown key", headers: as("odcm_" + strings.Repeat("x", 43)), body: `{"name":"New"}`, status: 401, code: "identity.not-signed-in", says: "send an API key"},
		{name: "an expired key", headers: as(expired), body: `{"name":"New"}`, status: 401, code: "identity.not-signed-in", says: "send an API key"},
		{name: "a member who creates", headers: as(member), body: `{"name":"New"}`, status: 403, code: "identity.role-missing", says: "ask an administrator"},
		{name: "a member who enlists", headers: as(member), path: enlistPath, body: enlist(map[string]any{"octopusSpace": "Spaces-1"}), status: 403,
			code: "identity.role-missing", says: "ask an administrator"},
		{name: "a member who looks", headers: as(member), method: "GET", path: "/api/v1/spaces/shipping", status: 404, code: "space.not-found", says: "or you may not enter it"},
		{name: "a member who delists", headers: as(member), method: "DELETE", path: "/api/v1/spaces/shipping", status: 404, code: "space.not-found", says: "or you may not enter it"},
		{name: "a cursor that is garbage", method: "GET", path: "/api/v1/spaces?cursor=%21%21", status: 422, code: "request.cursor", says: "start again without it"},
		{name: "a cursor of another list", method: "GET", path: "/api/v1/spaces?cursor=WzFd", status: 422, code: "request.cursor", says: "start again without it"},
		{name: "a limit of nothing", method: "GET", path: "/api/v1/spaces?limit=0", status: 422, code: "request.invalid", field: "query.limit", says: "expected number >= 1"},
		{name: "a limit that is too high", method: "GET", path: "/api/v1/spaces?limit=501", status: 422, code: "request.invalid", field: "query.limit", says: "expected number <= 500"},
		{name: "a query that is unknown", method: "GET", path: "/api/v1/spaces?colour=red", status: 422, code: "request.invalid", field: "query.colour", says: "unknown"},
		{name: "another method", method: "PUT", path: "/api/v1/spaces", body: `{}`, status: 405, code: "request.method", says: "does not take PUT"},
		{name: "an unknown route", method: "GET", path: "/api/v1/spacez", status: 404, code: "request.no-such-route", says: "nothing at this address"},
		{name: "an unknown version of the interface", method: "GET", path: "/api/v2/spaces", status: 404, code: "request.no-such-route", says: "nothing at this address"},
	}
}

// TestTLSThatIsTrusted enlists servers whose certificates are trusted because somebody said so.
func TestTLSThatIsTrusted(t *testing.T) {
	t.Parallel()
	o := open(t, nil)
	for name, trust := range map[string]func(ca, thumbprint string) (string, string){
		"own authority": func(ca, _ string) (string, string) { return "ca", ca },
		"thumbprint":    func(_, thumbprint string) (string, string) { return "thumbprint", thumbprint },
	} {
		theirs := &fakeOctopus{installation: name}
		url, ca, thumbprint := serveTLS(t, theirs)
		field, value := trust(ca, thumbprint)
		r := o.want(202, "POST", "/api/v1/spaces/enlist", asJSON(map[string]any{"url": url, "apiKey": fakeKey, field: value,
			"spaces": []any{map[string]any{"octopusSpace": "Spaces-1", "name": name}}}))
		o.ends(r.field("task"), "succeeded")
		if n := theirs.subscriptions(); n != 1 {
			t.Errorf("%s: %d subscriptions", name, n)
		}
	}
}

// TestIdempotencyKeys sends a request twice and wants it done once, and refuses the key for another request.
func TestIdempotencyKeys(t *testing.T) {
	t.Parallel()
	o := open(t, nil)
	key := map[string]string{"Idempotency-Key": "once"}
	first := o.ask("POST", "/api/v1/api-keys", `{"purpose":"build"}`, key)
	again := o.ask("POST", "/api/v1/api-keys", `{"purpose":"build"}`, key)
	if first.status != 201 || again.status != 201 || !bytes.Equal(first.body, again.body) || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("first %d %s, again %d %s", first.status, first.body, again.status, again.body)
	}
	before := o.tables()
	refusal{status: 422, code: "request.idempotency-key-reused", says: "choose a new one"}.check(t, o.ask("POST", "/api/v1/api-keys", `{"purpose":"other"}`, key))
	if after := o.tables(); !maps.Equal(before, after) || after["identity_key"] != 2 {
		t.Errorf("before %v, after %v", before, after)
	}
}

// TestNameIsTakenOnce creates Spaces of one name at once: one gets it.
func TestNameIsTakenOnce(t *testing.T) {
	t.Parallel()
	o := open(t, nil)
	theirs := &fakeOctopus{installation: "many", spaces: `[{"Id":"Spaces-1","Name":"A"},{"Id":"Spaces-2","Name":"B"},{"Id":"Spaces-3","Name":"C"}]`}
	there := serve(t, theirs.ServeHTTP)
	replies := make(chan reply)
	for i, name := range []string{"Shipping", "sHiPPinG", "ＳＨＩＰＰＩＮＧ"} { // the last is full-width
		go func() {
			replies <- o.ask("POST", "/api/v1/spaces/enlist", asJSON(map[string]any{"url": there, "apiKey": fakeKey,
				"spaces": []any{map[string]any{"octopusSpace": fmt.Sprintf("Spaces-%d", i+1), "name": name}}}), nil)
		}()
	}
	won := 0
	for range 3 {
		if r := <-replies; r.status == 202 {
			won++
			o.ends(r.field("task"), "succeeded")
		} else {
			refusal{status: 409, code: "space.name-taken", field: "spaces[0].name", says: "choose another name"}.check(t, r)
		}
	}
	if rows := o.tables(); won != 1 || rows["space"] != 1 || rows["space_instance"] != 1 || rows["task"] != 1 || theirs.subscriptions() != 1 {
		t.Errorf("%d got the name; rows %v, %d subscriptions", won, rows, theirs.subscriptions())
	}
}
