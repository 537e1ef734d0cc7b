package test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"odcm/spaceserver"
)

const theirKey = "API-SOMEBODYELSESSERVER"

// theirServer is a Space server of somebody else, in this process.
type theirServer struct{ url string }

func newTheirServer(t testing.TB) *theirServer {
	t.Helper()
	s, err := spaceserver.New(spaceserver.Options{Listen: "127.0.0.1:0", Data: t.TempDir(), AdminAPIKey: theirKey})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Errorf("stop the server: %v", err)
		}
	})
	return &theirServer{s.Ready().URL}
}

// subscriptions asks the server itself how many it has.
func (s *theirServer) subscriptions(t testing.TB) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/api/Spaces-1/subscriptions", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Octopus-ApiKey", theirKey)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var page struct {
		TotalResults int
		Items        []struct{ Name string }
	}
	if err := json.NewDecoder(res.Body).Decode(&page); err != nil || res.StatusCode != http.StatusOK || page.TotalResults != len(page.Items) {
		t.Fatal(fmt.Errorf("subscriptions: %s, %+v, %w", res.Status, page, err))
	}
	return page.TotalResults
}
