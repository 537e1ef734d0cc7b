package octotest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"odcm/octopus"
)

// Server is an Octopus server to hold to the API. The suite makes things in it and removes them again; it leaves what was
// there alone.
type Server struct {
	URL    string // "http://127.0.0.1:8065"
	APIKey string // of a system administrator
	Space  string // identifier of the octopus.Space to work in; "": the default one

	// Deviations are differences from the document that this server has on purpose, each with its reason. One that is
	// not met fails the run: take it out.
	Deviations []Deviation
	// Gaps are steps that this server does not pass yet, by name ("releases/create"), each with its reason. A step that
	// is in it and passes, or does not exist, fails the run: take it out.
	Gaps map[string]string
}

// Run holds the server to the API, one subtest for each step, such as "environments/create". It skips, saying why, where
// the Swagger document is not at hand.
func Run(t *testing.T, server Server) {
	t.Helper()
	reference := LoadForTest(t)
	results, err := Check(t.Context(), server, reference)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		t.Run(r.Name, func(t *testing.T) {
			if r.Gap != "" {
				t.Skipf("known gap: %s; %s", r.Gap, strings.Join(r.Problems, "; "))
			}
			for _, problem := range r.Problems {
				t.Error(problem)
			}
		})
	}
}

// LoadForTest loads the reference, or skips the test.
func LoadForTest(t *testing.T) *Reference {
	t.Helper()
	shared, err := SharedFolder()
	if err != nil {
		t.Skipf("the Swagger document of a real server is not at hand: %v", err)
	}
	reference, err := Load(shared)
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("the Swagger document of a real server is not at hand: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return reference
}

// Check runs the suite outside of a test and returns the outcome of every step. The error says that the server cannot be
// spoken to at all.
func Check(ctx context.Context, server Server, reference *Reference) ([]Result, error) {
	return newSession(ctx, server, reference).perform(func(*Kind) bool { return true })
}

// perform runs every scenario, and the kinds that are wanted.
func (s *session) perform(wanted func(*Kind) bool) ([]Result, error) {
	if !s.do("session", s.open) {
		return nil, fmt.Errorf("octotest cannot begin: %s", strings.Join(s.results[0].Problems, "; "))
	}
	s.scenarios()
	for i := range s.kinds {
		if wanted(&s.kinds[i]) {
			s.exercise(&s.kinds[i])
		}
	}
	s.do("cleanup", s.close)
	return s.settle(), nil
}

// open finds out who we are and where to work.
func (s *session) open() {
	s.me = s.get(octopus.MeRoute)
	if s.server.Space != "" {
		return
	}
	var spaces []octopus.Object
	a := s.want(s.send(request{method: "GET", path: octopus.Route("spaces", "all")}), 200)
	if err := json.Unmarshal(a.body, &spaces); err != nil {
		s.fatalf("%s: %v", a.what, err)
	}
	for _, space := range spaces {
		if (octopus.Space{Object: space}).IsDefault() {
			s.server.Space = space.ID()
		}
	}
	if s.server.Space == "" {
		s.fatalf("the server has no default space: name one")
	}
}

// close removes what was made for others, last first. What depends on a removed resource may be gone with it.
func (s *session) close() {
	for _, remove := range slices.Backward(s.cleanup) {
		s.do("cleanup/one", remove)
		last := s.results[len(s.results)-1]
		s.results = s.results[:len(s.results)-1]
		for _, p := range last.Problems {
			if !strings.Contains(p, "status 404") {
				s.problemf("%s", p)
			}
		}
	}
}

// settle applies the server's own lists.
func (s *session) settle() []Result {
	lists := Result{Name: "lists"}
	seen := map[string]bool{}
	for i, r := range s.results {
		seen[r.Name] = true
		reason, gap := s.server.Gaps[r.Name]
		switch {
		case gap && len(r.Problems) == 0:
			lists.Problems = append(lists.Problems, fmt.Sprintf("gap %q (%s) is closed: take it out of the list", r.Name, reason))
		case gap:
			s.results[i].Gap = reason
		}
	}
	for name := range s.server.Gaps {
		if !seen[name] {
			lists.Problems = append(lists.Problems, fmt.Sprintf("gap %q is no step of the suite, or one that was not reached", name))
		}
	}
	for i, d := range s.server.Deviations {
		if !s.used[i] {
			lists.Problems = append(lists.Problems, fmt.Sprintf("deviation %s %s.%s (%s) was not met: take it out", d.Problem, d.Definition, d.Field, d.Reason))
		}
		if d.Reason == "" {
			lists.Problems = append(lists.Problems, fmt.Sprintf("deviation %s %s.%s has no reason", d.Problem, d.Definition, d.Field))
		}
	}
	slices.Sort(lists.Problems)
	return append(s.results, lists)
}
