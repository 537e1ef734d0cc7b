package rest

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"odcm/spaceserver/internal/collection"
)

func TestRoutesAreFound(t *testing.T) {
	t.Parallel()
	var routes tree
	for _, path := range []string{"projects", "projects/all", "projects/{id}", "projects/{owner}/channels/{id}", "projects/{id}/summary", "runbookProcesses/{id}"} {
		if err := routes.add(collection.Action{Method: http.MethodGet, Path: path}); err != nil {
			t.Fatal(err)
		}
	}
	if err := routes.add(collection.Action{Method: http.MethodGet, Path: "projects/all"}); err == nil {
		t.Error("a route was taken twice")
	}
	for path, want := range map[string]string{
		"projects": "projects ", "Projects/ALL": "projects/all ", "projects/Web": "projects/{id} Web", "projects/a/channels/B": "projects/{owner}/channels/{id} a,B",
		"projects/all/summary": "projects/{id}/summary all", "runbookprocesses/x": "runbookProcesses/{id} x", "projects/a/b": "", "nothing": "",
	} {
		r, values, _ := routes.find(http.MethodGet, strings.Split(path, "/"))
		got := ""
		if r != nil {
			got = r.action.Path + " " + strings.Join(values, ",")
		}
		if got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if r, _, other := routes.find(http.MethodPost, []string{"projects"}); r != nil || !other {
		t.Error("another method of a known path was not told apart")
	}
}

func FuzzPath(f *testing.F) {
	for _, seed := range []string{"/api", "/api/", "/API/Spaces-1/projects/a%2Fb", "/api//x", "/nuget/packages", "/app", "//"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.Parse(path)
		if err != nil {
			return
		}
		segments, ok := apiPath(u)
		h := &Handler{}
		if _, left := h.space(http.MethodGet, segments); ok && len(left) > len(segments) {
			t.Errorf("%q grew from %v to %v", path, segments, left)
		}
	})
}
