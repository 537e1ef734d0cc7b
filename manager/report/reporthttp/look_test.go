package reporthttp_test

import (
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"odcm/test/browser"
)

// TestLookAtTheReports takes pictures of the pages, for those who draw: ODCM_LOOK_REPORTS=DIR.
func TestLookAtTheReports(t *testing.T) {
	dir := os.Getenv("ODCM_LOOK_REPORTS")
	if dir == "" {
		t.Skip("for looking at pages by hand: set ODCM_LOOK_REPORTS=DIR")
	}
	s := serve(t, true)
	server := httptest.NewServer(s)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	tab := browser.Open(t)
	for _, path := range []string{"/reports", "/reports/deployments?by=project", "/reports/delivery", "/reports/inventory", "/reports/licences", "/report-schedules/new?report=deployments"} {
		name := strings.NewReplacer("/", "_", "?", "_", "=", "_").Replace(path)
		tab.Go(server.URL + path)
		tab.Shoot(dir, name, browser.Views[0], browser.Views[1], browser.Views[3])
	}
}
