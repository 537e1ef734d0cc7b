package spaceserver_test

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"odcm/octopus"
	"odcm/spaceserver"
)

// limit sets the numbers of a rate limiting policy.
func (w *world) limit(id string, perMinute, burst int, audit bool) {
	w.t.Helper()
	policy := w.get("/api/ratelimitingpolicies/" + id)
	policy.Set("RequestsPerMinute", perMinute)
	policy.Set("BurstLimit", burst)
	policy.Set("AuditMode", audit)
	w.want(http.StatusOK, http.MethodPut, "/api/ratelimitingpolicies/"+id, policy)
}

func TestRateLimitingPoliciesAreFollowed(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		listed := w.get("/api/ratelimitingpolicies")
		if listed.Int("TotalResults") != 3 || listed.Objects("Items")[1].Text("ScopeType") != "AuthenticatedHuman" || !listed.Objects("Items")[1].Bool("IsBuiltIn") {
			t.Fatalf("listed: %v", listed)
		}
		user := w.create("/api/users", fields{"Username": "script", "DisplayName": "Script", "IsService": true})
		script := w.as(w.create("/api/users/"+user.Text("Id")+"/apikeys", fields{"Purpose": "x"}).Text("ApiKey"))
		w.limit("RateLimitingPolicies-2", 1, 100, false)
		refused := 0
		var after string
		for range 110 {
			if status, header, text := script.head("/api/users/me"); status == http.StatusTooManyRequests {
				refused++
				after = header.Get("Retry-After")
				said, ok := octopus.ParseError([]byte(text))
				if !ok || !strings.Contains(said.ErrorMessage, "Authenticated requests") {
					t.Fatalf("refused with %s", text)
				}
			}
		}
		if seconds, err := strconv.Atoi(after); refused != 10 || err != nil || seconds < 1 || seconds > 60 {
			t.Errorf("%d of 110 were refused, until %q", refused, after)
		}
		if events := w.get("/api/events?eventCategories=RateLimitExceeded"); events.Int("TotalResults") != 1 || !strings.Contains(events.Objects("Items")[0].Text("Message"), "exceeded for script from") {
			t.Errorf("events: %v", events)
		}
		w.limit("RateLimitingPolicies-2", 1, 100, true)
		if status, _, _ := script.head("/api/users/me"); status != http.StatusOK {
			t.Errorf("in audit mode: %d", status)
		}
		for name, change := range map[string]fields{
			"name":  {"Name": "New name", "ScopeType": "Unauthenticated", "RequestsPerMinute": 1, "BurstLimit": 1},
			"scope": {"Name": "Unauthenticated requests", "ScopeType": "AuthenticatedAgent", "RequestsPerMinute": 1, "BurstLimit": 1},
			"burst": {"Name": "Unauthenticated requests", "ScopeType": "Unauthenticated", "RequestsPerMinute": 1, "BurstLimit": 0},
		} {
			if got := w.want(http.StatusBadRequest, http.MethodPut, "/api/ratelimitingpolicies/RateLimitingPolicies-1", change); len(got.Texts("Errors")) != 1 {
				t.Errorf("%s: %v", name, got)
			}
		}
		script.want(http.StatusForbidden, http.MethodGet, "/api/ratelimitingpolicies", nil)
		w.limit("RateLimitingPolicies-1", 1, 3, false)
		got := map[int]int{}
		for range 5 {
			status, _, _ := w.as("").head("/api")
			got[status]++
		}
		if got[http.StatusOK] != 3 || got[http.StatusTooManyRequests] != 2 {
			t.Errorf("without a name: %v", got)
		}
		if status, _, _ := w.as("").head("/api/octopusservernodes/ping"); status != http.StatusOK {
			t.Errorf("a load balancer was limited: %d", status)
		}
		w.get("/api") // the administrator is another
	})
}

// head sends a GET and returns what matters of its answer.
func (w *world) head(path string) (int, http.Header, string) {
	w.t.Helper()
	b := w.browser()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.url+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.key != "" {
		r.Header.Set("X-Octopus-ApiKey", w.key)
	}
	got, err := b.http.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return got.StatusCode, got.Header, string(text)
}

func TestGuessingPasswordsIsSlowedDown(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{AdminPassword: adminPassword})
	got := map[int]int{}
	for range 40 {
		// The guest is not let in here, which costs no hash; the bound is the same for all names.
		status, _ := w.as("").send(http.MethodPost, "/api/users/login", fields{"Username": "guest", "Password": ""})
		got[status]++
	}
	if got[http.StatusBadRequest] != 30 || got[http.StatusTooManyRequests] != 10 {
		t.Errorf("40 attempts under one name: %v", got)
	}
	w.as("").want(http.StatusOK, http.MethodPost, "/api/users/login", fields{"Username": "admin", "Password": adminPassword}) // nobody else is held up
	w.get("/api/users/me")                                                                                                    // who has a key is not held up
}
