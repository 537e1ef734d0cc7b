package spaceserver_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"odcm/octopus"
	"odcm/spaceserver"
)

var templateParts = regexp.MustCompile(`\{[^}]*\}`)

// TestRootLinksLeadSomewhere: clients build their requests from the links of the root, so each must be a route, for
// whatever verb. "No such document" is an answer, "there is no route" is none.
func TestRootLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{})
	for _, root := range []octopus.Object{w.get("/api"), w.get("/api/Spaces-1")} {
		for name := range root.Object("Links").All() {
			link := root.Object("Links").Text(name)
			if name == "Web" { // a page
				continue
			}
			path := templateParts.ReplaceAllStringFunc(link, func(part string) string {
				switch {
				case strings.HasPrefix(part, "{?"), strings.HasPrefix(part, "{/"):
					return ""
				case part == "{spaceId}" || strings.Contains(link, "spaces/{id}"):
					return "Spaces-1"
				}
				return "none-1"
			})
			status, answer := w.send("GET", path, nil)
			if status == http.StatusNotFound && strings.Contains(string(answer), "there is no route") {
				t.Errorf("%s leads to %s: %s", name, link, answer)
			}
		}
	}
}
