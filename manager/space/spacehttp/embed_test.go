package spacehttp_test

import (
	"encoding/json"
	"testing"

	"odcm"
	"odcm/api"
)

// TestTheMenuAnswersOnlyPagesOfSpaces asks as pages of several origins would.
func TestTheMenuAnswersOnlyPagesOfSpaces(t *testing.T) {
	t.Parallel()
	s := serve(t)
	enlisted := s.want(t, 202, "POST", "/api/v1/spaces/enlist", `{"url":"https://octopus.test","apiKey":"API-THEIRS","spaces":[{"octopusSpace":"Spaces-1","name":"Shipping"}]}`)
	s.Succeed(t, odcm.TaskID(field(t, enlisted, "task")))
	const space = "https://octopus.test"
	w := s.want(t, 200, "GET", "/switcher/spaces", "", "Origin", space)
	var menu api.Switcher
	if err := json.Unmarshal(w.Body.Bytes(), &menu); err != nil || len(menu.Others) == 0 || menu.Others[0].URL != space {
		t.Fatalf("%v: %s", err, w.Body)
	}
	head := w.Header()
	if head.Get("Access-Control-Allow-Origin") != space || head.Get("Access-Control-Allow-Credentials") != "true" || head.Get("Cache-Control") != "private, no-store" {
		t.Errorf("got %v", head)
	}
	for _, origin := range []string{
		"https://evil.test", "https://octopus.test.evil.test", "https://octopus.tes", "http://octopus.test", "https://octopus.test:8443", "https://u@octopus.test",
		"https://octopus.test/", "null", "https://octopus_test", "https://%",
	} {
		w := s.want(t, 403, "GET", "/switcher/spaces", "", "Origin", origin)
		if got := w.Header().Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("%s may read the answer: %q", origin, got)
		}
		s.want(t, 403, "POST", "/switcher/spaces/"+menu.Others[0].ID+"/star?on=true", "", "Origin", origin, "Sec-Fetch-Site", "cross-site")
	}
	s.want(t, 403, "POST", "/switcher/spaces/"+menu.Others[0].ID+"/star?on=true", "")
	s.want(t, 401, "GET", "/switcher/spaces", "", "Origin", space, "X-Who", "nobody")
	s.want(t, 401, "POST", "/switcher/spaces/"+menu.Others[0].ID+"/star?on=true", "", "Origin", space, "X-Who", "nobody")

	s.want(t, 204, "POST", "/switcher/spaces/"+menu.Others[0].ID+"/star?on=true", "", "Origin", space, "Sec-Fetch-Site", "same-site")
	w = s.want(t, 200, "GET", "/switcher/spaces?q="+menu.Others[0].Name, "", "Origin", space)
	if err := json.Unmarshal(w.Body.Bytes(), &menu); err != nil || len(menu.Starred) != 1 {
		t.Errorf("%v: %s", err, w.Body)
	}
	if w := s.want(t, 200, "GET", "/switcher/spaces", "", "Origin", space, "X-Who", "bob"); len(w.Body.String()) > 80 {
		t.Errorf("who may enter nothing learns of %s", w.Body)
	}
}

func TestTheMenusScriptIsForAnyPage(t *testing.T) {
	t.Parallel()
	s := serve(t)
	w := s.want(t, 200, "GET", "/spaces.js", "", "X-Who", "nobody")
	if w.Header().Get("Access-Control-Allow-Origin") != "*" || w.Header().Get("Content-Type") != "text/javascript; charset=utf-8" {
		t.Errorf("got %v", w.Header())
	}
	s.want(t, 304, "GET", "/spaces.js", "", "If-None-Match", w.Header().Get("ETag"))
}
