package lifecycle

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func set(ids string) map[string]bool {
	all := map[string]bool{}
	for _, id := range strings.Fields(ids) {
		all[id] = true
	}
	return all
}

func phase(automatic, optional string, minimum int, skippable bool) Phase {
	return Phase{Automatic: strings.Fields(automatic), Optional: strings.Fields(optional), Minimum: minimum, Skippable: skippable}
}

// TestMay has the rules of docs releases/lifecycles and releases/prevent-release-progression.
func TestMay(t *testing.T) {
	t.Parallel()
	three := []Phase{phase("", "dev", 0, false), phase("", "test1 test2", 0, false), phase("", "prod", 0, false)}
	one := []Phase{phase("", "dev", 0, false), phase("", "test1 test2 test3", 2, false), phase("", "prod", 0, false)}
	skip := []Phase{phase("", "dev", 0, false), phase("", "test", 0, true), phase("", "prod", 0, false)}
	for _, test := range []struct {
		name            string
		phases          []Phase
		done            string
		blocked         bool
		may, early, out string // environments that are allowed, that come too early, that a defect keeps closed
		next, states    string
		required        int
	}{
		{"at first only the first phase", three, "", false, "dev", "test1 test2 prod", "", "dev", "Current Pending Pending", 1},
		{"all environments of a phase must have it", three, "dev test1", false, "dev test1 test2", "prod", "", "test2", "Complete Current Pending", 1},
		{"then it goes on, and may go again where it was", three, "dev test1 test2", false, "dev test1 test2 prod", "", "", "prod", "Complete Complete Current", 1},
		{"at the end nothing is next", three, "dev test1 test2 prod", false, "dev test1 test2 prod", "", "", "", "Complete Complete Complete", 0},
		{"a later phase does not stand in for an earlier one", three, "dev prod", false, "dev test1 test2", "prod", "", "test1 test2", "Complete Current Pending", 2},
		{"a minimum is enough", one, "dev test1 test3", false, "dev test1 test2 test3 prod", "", "", "prod", "Complete Complete Current", 1},
		{"less than the minimum is not", one, "dev test1", false, "dev test1 test2 test3", "prod", "", "test2 test3", "Complete Current Pending", 1},
		{"an optional phase can be passed by", skip, "dev", false, "dev test prod", "", "", "test prod", "Complete Current Current", 1},
		{"an optional phase waits for the one before it", skip, "", false, "dev", "test prod", "", "dev", "Current Pending Pending", 1},
		{"a defect closes phases without a success", three, "dev", true, "dev", "prod", "test1 test2", "", "Complete Current Pending", 2},
		{"a defect leaves a phase with a success open", three, "dev test1", true, "dev test1 test2", "prod", "", "test2", "Complete Current Pending", 1},
		{"a defect leaves the first phase open", three, "", true, "dev", "test1 test2 prod", "", "dev", "Current Pending Pending", 1},
		{"a defect closes optional phases too", skip, "dev", true, "dev", "", "test prod", "", "Complete Current Current", 1},
		{"an environment may be in two phases", []Phase{phase("", "dev", 0, false), phase("", "dev prod", 1, false)}, "", false, "dev", "prod", "", "dev", "Current Pending", 1},
		{"a phase that is empty holds nothing up", []Phase{phase("", "", 0, false), phase("", "prod", 0, false)}, "", false, "prod", "", "", "prod", "Complete Current", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := History{Succeeded: set(test.done), Attempted: set(test.done), Blocked: test.blocked}
			p := Measure(test.phases, h)
			for verdict, ids := range map[Verdict]string{Allowed: test.may, Early: test.early, Blocked: test.out, Foreign: "elsewhere"} {
				for _, id := range strings.Fields(ids) {
					if got := p.May(id); got != verdict {
						t.Errorf("%s: verdict %d, want %d", id, got, verdict)
					}
				}
			}
			if got := strings.Join(p.Next(h), " "); got != test.next {
				t.Errorf("next: %q, want %q", got, test.next)
			}
			var states []string
			for _, s := range p {
				states = append(states, string(s.State))
			}
			if got := strings.Join(states, " "); got != test.states {
				t.Errorf("states: %s, want %s", got, test.states)
			}
			if got := p.Required(h); got != test.required {
				t.Errorf("required: %d, want %d", got, test.required)
			}
		})
	}
}

func TestComplete(t *testing.T) {
	t.Parallel()
	environments := []Environment{{"dev", "Dev"}, {"test", "Test"}, {"prod", "Prod"}}
	shown := func(phases []Phase) string {
		var all []string
		for _, p := range phases {
			all = append(all, strings.Join(p.Environments(), "+"))
		}
		return strings.Join(all, " ")
	}
	if got := shown(Complete(nil, environments)); got != "dev test prod" {
		t.Errorf("without phases: %s", got)
	}
	if got := shown(Complete([]Phase{phase("dev", "", 0, false), phase("", "", 0, false)}, environments)); got != "dev test+prod" {
		t.Errorf("a phase without environments: %s", got)
	}
	if got := shown(Within([]Phase{phase("dev", "test", 0, false), phase("", "prod", 0, false)}, []string{"test"})); got != "test " {
		t.Errorf("for a tenant: %s", got)
	}
}

func TestDue(t *testing.T) {
	t.Parallel()
	phases := []Phase{phase("dev", "", 0, false), phase("test1 test2", "", 0, false), phase("demo", "", 0, true), phase("prod", "", 0, false)}
	for _, test := range []struct{ done, tried, want string }{
		{"", "", "dev"},
		{"", "dev", ""}, // it waits, runs or failed: people go on
		{"dev", "dev", "test1 test2"},
		{"dev test1", "dev test1", "test2"},
		{"dev test1 test2", "dev test1 test2", "prod"}, // and never to an optional phase
	} {
		h := History{Succeeded: set(test.done), Attempted: set(test.tried)}
		if got := strings.Join(Measure(phases, h).Due(h), " "); got != test.want {
			t.Errorf("after %q: due %q, want %q", test.done, got, test.want)
		}
	}
}

// TestNoPhaseIsEnteredEarly: however deployments go, a release never reaches a phase before those ahead of it are complete or
// optional; and where it succeeded, it may go again.
func TestNoPhaseIsEnteredEarly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var phases []Phase
		var all []string
		for i := range rapid.IntRange(1, 5).Draw(t, "phases") {
			var p Phase
			for j := range rapid.IntRange(1, 4).Draw(t, "environments") {
				id := fmt.Sprintf("e%d.%d", i, j)
				all = append(all, id)
				if rapid.Bool().Draw(t, "automatic") {
					p.Automatic = append(p.Automatic, id)
				} else {
					p.Optional = append(p.Optional, id)
				}
			}
			p.Minimum, p.Skippable = rapid.IntRange(0, 5).Draw(t, "minimum"), rapid.Bool().Draw(t, "skippable")
			phases = append(phases, p)
		}
		h := History{Succeeded: map[string]bool{}, Attempted: map[string]bool{}}
		for range rapid.IntRange(1, 40).Draw(t, "deployments") {
			h.Blocked = rapid.Bool().Draw(t, "blocked")
			id := rapid.SampledFrom(all).Draw(t, "environment")
			progress := Measure(phases, h)
			verdict := progress.May(id)
			at := slices.IndexFunc(phases, func(p Phase) bool { return slices.Contains(p.Environments(), id) })
			open := !slices.ContainsFunc(phases[:at], func(p Phase) bool { return !complete(p, h) && !p.Skippable })
			if verdict == Allowed && !open {
				t.Fatalf("%s is open before the phases ahead of it are complete: %+v", id, h)
			}
			if !h.Blocked && verdict != Allowed && open {
				t.Fatalf("%s is closed though the phases ahead of it are complete: %+v", id, h)
			}
			if h.Succeeded[id] && verdict != Allowed {
				t.Fatalf("%s has the release and is closed", id)
			}
			if verdict == Allowed {
				h.Attempted[id] = true
				h.Succeeded[id] = h.Succeeded[id] || rapid.Bool().Draw(t, "succeeds")
			}
			for _, next := range Measure(phases, h).Next(h) {
				if Measure(phases, h).May(next) != Allowed {
					t.Fatalf("%s is next and closed", next)
				}
			}
		}
	})
}

// complete is the rule in other words.
func complete(p Phase, h History) bool {
	n := 0
	for _, id := range p.Environments() {
		if h.Succeeded[id] {
			n++
		}
	}
	return n == len(p.Environments()) || p.Minimum > 0 && n >= p.Minimum
}
