package spaceserver_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"odcm/octopus"
	"odcm/octopus/octotest"
	"odcm/spaceserver"
)

// serverSets are the members of a step template that a server sets itself, whatever was sent.
var serverSets = []string{"Id", "SpaceId", "Version", "LastModifiedOn", "LastModifiedBy", "Links"}

// serverAdds are the members that a server adds where they were not sent: to the template, and to each of its parameters.
var (
	serverAdds          = []string{"SpaceId", "LastModifiedOn", "LastModifiedBy", "Links", "CommunityActionTemplateId", "Packages", "GitDependencies", "Inputs"}
	serverAddsParameter = []string{"Id", "DefaultValue"}
)

// TestStepTemplates sends the public step templates, which people have written over years, through the octopus types and
// the server, twice: each field must come back as it was sent.
func TestStepTemplates(t *testing.T) {
	t.Parallel()
	shared, err := octotest.SharedFolder()
	files, _ := filepath.Glob(filepath.Join(shared, "step-templates", "*.json"))
	if err != nil || len(files) == 0 {
		t.Skipf("the step templates are not at hand: %v", err)
	}
	if len(files) < 600 {
		t.Errorf("%d step templates, want 600", len(files))
	}
	if testing.Short() { // with the race detector a tenth will do
		files = files[:len(files)/10]
	}
	w := start(t, spaceserver.Options{})
	var running sync.WaitGroup
	work := make(chan string)
	for range 4 {
		running.Go(func() {
			for file := range work {
				for _, problem := range w.roundTrip(file) {
					t.Errorf("%s: %s", filepath.Base(file), problem)
				}
			}
		})
	}
	for _, file := range files {
		work <- file
	}
	close(work)
	running.Wait()
	if total := w.get("/api/Spaces-1/actiontemplates?take=1").Int("TotalResults"); total != int64(len(files)) {
		t.Errorf("the server has %d templates of %d", total, len(files))
	}
}

// roundTrip creates the template, reads it, puts what it read, and reads again.
func (w *world) roundTrip(file string) (problems []string) {
	text, err := os.ReadFile(file)
	if err != nil {
		return []string{err.Error()}
	}
	sent, err := octopus.ParseObject(text)
	if err != nil {
		return []string{err.Error()}
	}
	call := func(want int, method, path string, body octopus.Object) octopus.Object {
		var payload any
		if body.Len() > 0 {
			raw, err := body.MarshalJSON()
			if err != nil {
				problems = append(problems, err.Error())
			}
			payload = string(raw)
		}
		status, answer := w.send(method, path, payload)
		if status != want {
			problems = append(problems, fmt.Sprintf("%s %s: status %d: %s", method, path, status, answer))
			return octopus.Object{}
		}
		o, err := octopus.ParseObject(answer)
		if err != nil {
			problems = append(problems, err.Error())
		}
		return o
	}
	made := call(http.StatusCreated, http.MethodPost, "/api/Spaces-1/actiontemplates", sent)
	if made.Len() == 0 {
		return problems
	}
	path := "/api/Spaces-1/actiontemplates/" + made.Text("Id")
	read := call(http.StatusOK, http.MethodGet, path, octopus.Object{})
	problems = append(problems, lost("created", sent, read)...)
	call(http.StatusOK, http.MethodPut, path, read)
	again := call(http.StatusOK, http.MethodGet, path, octopus.Object{})
	if again.Int("Version") != read.Int("Version")+1 {
		problems = append(problems, fmt.Sprintf("version %d after %d", again.Int("Version"), read.Int("Version")))
	}
	problems = append(problems, lost("changed", sent, again)...)
	return append(problems, lost("put back", read, again)...)
}

// lost tells what of a template is not as it was sent, and what was added without being on the list.
func lost(when string, sent, kept octopus.Object) (problems []string) {
	compare := func(at string, want, have octopus.Object, set, added []string, deeper func(name string, want, have json.RawMessage) bool) {
		for name, value := range want.All() {
			got, ok := have.Get(name)
			switch {
			case slices.Contains(set, name):
			case !ok:
				problems = append(problems, fmt.Sprintf("%s: %s%s is lost", when, at, name))
			case deeper != nil && deeper(name, value, got):
			case !sameJSON(value, got):
				problems = append(problems, fmt.Sprintf("%s: %s%s is %.120s, sent was %.120s", when, at, name, got, value))
			}
		}
		for name := range have.All() {
			if _, ok := want.Get(name); !ok && !slices.Contains(added, name) {
				problems = append(problems, fmt.Sprintf("%s: %s%s was added", when, at, name))
			}
		}
	}
	compare("", sent, kept, serverSets, serverAdds, func(name string, want, have json.RawMessage) bool {
		if name != "Parameters" {
			return false
		}
		wanted, got := sent.Objects(name), kept.Objects(name)
		if len(wanted) != len(got) {
			return false
		}
		for i := range wanted {
			compare(fmt.Sprintf("Parameters[%d].", i), wanted[i], got[i], nil, serverAddsParameter, nil)
		}
		return true
	})
	return problems
}

// sameJSON compares texts without white space: numbers must keep their digits and objects their order.
func sameJSON(a, b json.RawMessage) bool {
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}
