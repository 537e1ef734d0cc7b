package test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"odcm/spaceserver"
)

const theirKey = "API-SOMEBODYELSESSERVER"

// theirServer is a Space server of somebody else, in this process.
type theirServer struct{ url, key string }

func newTheirServer(t testing.TB) *theirServer {
	t.Helper()
	s, stop := startTheirs(t, t.TempDir(), "127.0.0.1:0")
	t.Cleanup(stop)
	return s
}

// startTheirs runs a server of somebody else with its data in a folder, until it is stopped.
func startTheirs(t testing.TB, data, listen string) (s *theirServer, stop func()) {
	t.Helper()
	server, err := spaceserver.New(spaceserver.Options{Listen: listen, Data: data, AdminAPIKey: theirKey})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &theirServer{server.URL(), theirKey}, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			t.Errorf("stop the server: %v", err)
		}
	}
}

// get asks the server itself.
func (s *theirServer) get(t testing.TB, path string, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Octopus-ApiKey", s.key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(into); err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(fmt.Errorf("%s: %s, %+v, %w", path, res.Status, into, err))
	}
}

// subscriptions is how many the server has.
func (s *theirServer) subscriptions(t testing.TB) int {
	t.Helper()
	var page struct {
		TotalResults int
		Items        []struct{ Name string }
	}
	if s.get(t, "/api/Spaces-1/subscriptions", &page); page.TotalResults != len(page.Items) {
		t.Fatalf("subscriptions: %+v", page)
	}
	return page.TotalResults
}

// state is all that enlisting may change on the server, but for the times of changes.
func (s *theirServer) state(t testing.TB) string {
	t.Helper()
	var all []any
	for _, path := range []string{"/api/configuration/authentication-generic-oidc/values", "/api/configuration/authentication-od/values",
		"/api/configuration/authentication-usernamepassword/values", "/api/users?take=1000", "/api/teams?take=1000", "/api/Spaces-1/subscriptions"} {
		var one map[string]any
		s.get(t, path, &one)
		items, _ := one["Items"].([]any)
		for _, item := range append(items, one) {
			if o, is := item.(map[string]any); is {
				delete(o, "LastModifiedOn")
				delete(o, "LastModifiedBy")
			}
		}
		all = append(all, one)
	}
	return asJSON(all)
}

// members are the users in a team, as the server itself says.
func (s *theirServer) members(t testing.TB, team string) []string {
	t.Helper()
	var is struct{ MemberUserIds []string }
	s.get(t, "/api/teams/"+team, &is)
	return is.MemberUserIds
}

// send changes something on the server, as its administrator does.
func (s *theirServer) send(t testing.TB, method, path string, body any) (said map[string]any) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Octopus-ApiKey", s.key)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err = io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode >= 300 || json.Unmarshal(text, &said) != nil {
		t.Fatalf("%s %s: %s %s, %v", method, path, answer.Status, text, err)
	}
	return said
}
