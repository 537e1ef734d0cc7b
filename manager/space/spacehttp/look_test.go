package spacehttp_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"odcm/test/browser"
)

// TestLookAtTheBoard takes pictures of board, map and wall with 5, 200 and 10,000 Spaces, for those who draw: ODCM_LOOK_BOARD=DIR.
func TestLookAtTheBoard(t *testing.T) {
	dir := os.Getenv("ODCM_LOOK_BOARD")
	if dir == "" {
		t.Skip("for looking at pages by hand: set ODCM_LOOK_BOARD=DIR")
	}
	only := os.Getenv("ODCM_LOOK_ONLY")
	for _, n := range []int{5, 200, 10_000} {
		s := serve(t)
		s.estate(t, n)
		server := httptest.NewServer(s)
		t.Cleanup(func() { server.CloseClientConnections(); server.Close() }) // streams are open
		tab := browser.Open(t)
		for _, path := range []string{"/spaces", "/spaces?view=list", "/spaces?group=server", "/spaces?group=version", "/spaces?status=offline&status=degraded", "/map", "/wall",
			"/wall?group=version&every=600"} {
			name := fmt.Sprintf("%05d%s", n, strings.NewReplacer("/", "_", "?", "_", "=", "_", "&", "_").Replace(path))
			if !strings.Contains(name, only) {
				continue
			}
			began := time.Now()
			tab.Go(server.URL + path)
			t.Logf("%s: %s", name, time.Since(began))
			tab.Shoot(dir, name, browser.Views[0], browser.Views[1], browser.Views[2])
		}
	}
}
