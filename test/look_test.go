package test

import (
	"os"
	"strings"
	"testing"

	"odcm/test/browser"
)

// TestLook takes pictures of pages of a running manager, for those who draw: ODCM_LOOK=URL,USER,PASSWORD,DIR,PATH...
func TestLook(t *testing.T) {
	arguments := strings.Split(os.Getenv("ODCM_LOOK"), ",")
	if len(arguments) < 5 {
		t.Skip("for looking at pages by hand: set ODCM_LOOK=URL,USER,PASSWORD,DIR,PATH...")
	}
	url, user, password, dir := arguments[0], arguments[1], arguments[2], arguments[3]
	tab := browser.Open(t)
	tab.Go(url + "/sign-in")
	tab.Type(`input[name="username"]`, user)
	tab.Type(`input[name="password"]`, password)
	tab.Click(`form button[type="submit"]`)
	tab.Until(10e9, `location.pathname !== "/sign-in"`)
	for _, path := range arguments[4:] {
		tab.Go(url + path)
		tab.Shoot(dir, "page"+strings.NewReplacer("/", "_", "?", "_", "=", "_").Replace(path), browser.Views...)
	}
}
