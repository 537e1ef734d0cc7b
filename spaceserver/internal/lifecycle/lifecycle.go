// Package lifecycle decides how far a release has come and where it may go next (docs: releases/lifecycles and
// releases/prevent-release-progression). It is rules only: whoever asks says what there is and what was deployed.
package lifecycle

import "slices"

// Phase is a stage: environments that a release may go to together, once it has passed the stages before.
type Phase struct {
	ID, Name  string
	Automatic []string // environments that are deployed to as soon as the phase is reached
	Optional  []string // environments that people deploy to
	Minimum   int      // how many of the environments must have the release before it goes on; all if 0
	Skippable bool     // an optional phase: a release may go on without it
}

// Environments of the phase, each once.
func (p Phase) Environments() []string {
	var all []string
	for _, id := range slices.Concat(p.Automatic, p.Optional) {
		if !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all
}

// Whole tells whether the phases leave nothing open that [Complete] fills in.
func Whole(phases []Phase) bool {
	return len(phases) > 0 && !slices.ContainsFunc(phases, func(p Phase) bool { return len(p.Automatic)+len(p.Optional) == 0 })
}

// Complete fills in what a lifecycle leaves open: without phases there is one for each environment, in their order; a phase
// without environments has all that no phase before it names. The environments are the space's, in order.
func Complete(phases []Phase, environments []Environment) []Phase {
	if len(phases) == 0 {
		all := make([]Phase, 0, len(environments))
		for _, e := range environments {
			all = append(all, Phase{ID: e.ID, Name: e.Name, Optional: []string{e.ID}})
		}
		return all
	}
	all := slices.Clone(phases)
	named := map[string]bool{}
	for i, p := range all {
		if len(p.Automatic)+len(p.Optional) == 0 {
			for _, e := range environments {
				if !named[e.ID] {
					all[i].Optional = append(all[i].Optional, e.ID)
				}
			}
			continue
		}
		for _, id := range p.Environments() {
			named[id] = true
		}
	}
	return all
}

// Environment is one of the space's.
type Environment struct{ ID, Name string }

// Within narrows the phases to the environments in which a tenant is connected to the project. A phase that has none left
// holds nothing up: the tenant passes it by.
func Within(phases []Phase, connected []string) []Phase {
	other := func(id string) bool { return !slices.Contains(connected, id) }
	all := make([]Phase, 0, len(phases))
	for _, p := range phases {
		p.Automatic = slices.DeleteFunc(slices.Clone(p.Automatic), other)
		p.Optional = slices.DeleteFunc(slices.Clone(p.Optional), other)
		all = append(all, p)
	}
	return all
}

// State is where a phase stands.
type State string

// The states of a phase (PhaseProgressionResource).
const (
	Pending State = "Pending"
	Current State = "Current"
	Done    State = "Complete"
)

// History is what became of one release so far, for one tenant or for none.
type History struct {
	Succeeded map[string]bool // environments with a successful deployment
	Attempted map[string]bool // environments with any deployment, also one that waits or failed
	Blocked   bool            // the release has a defect that is not resolved
}

// Standing is a phase with where it stands.
type Standing struct {
	Phase
	State   State
	Blocked bool // a defect keeps the release out of it
}

// Progress is how far a release has come.
type Progress []Standing

// Measure tells how far a release has come through the phases.
func Measure(phases []Phase, h History) Progress {
	all := make(Progress, 0, len(phases))
	reached, first := true, true
	for _, p := range phases {
		s := Standing{Phase: p, State: Pending}
		environments, succeeded := p.Environments(), 0
		for _, id := range environments {
			if h.Succeeded[id] {
				succeeded++
			}
		}
		needed := len(environments)
		if p.Minimum > 0 {
			needed = min(p.Minimum, needed)
		}
		switch {
		case succeeded >= needed && reached:
			s.State = Done
		case reached:
			s.State = Current
		}
		// A blocked release goes where it has been: into the phases with a success, and into the first one, which has
		// nothing before it.
		s.Blocked = h.Blocked && succeeded == 0 && !first
		all = append(all, s)
		reached = reached && (s.State == Done || p.Skippable)
		if len(environments) > 0 {
			first = false
		}
	}
	return all
}

// Verdict is whether a release may be deployed to an environment.
type Verdict int

// The verdicts.
const (
	Allowed Verdict = iota
	Foreign         // the environment is in no phase
	Early           // phases before it are not complete
	Blocked         // a defect keeps the release out
)

// May tells whether the release may be deployed to the environment, now or again.
func (p Progress) May(environment string) Verdict {
	verdict := Foreign
	for _, s := range p {
		if !slices.Contains(s.Environments(), environment) {
			continue
		}
		switch {
		case s.State == Pending:
			if verdict == Foreign {
				verdict = Early
			}
		case s.Blocked:
			verdict = Blocked
		default:
			return Allowed
		}
	}
	return verdict
}

// Next are the environments of the phases that are open and not complete, but for those that have the release.
func (p Progress) Next(h History) []string {
	next := []string{}
	for _, s := range p {
		if s.State != Current || s.Blocked {
			continue
		}
		for _, id := range s.Environments() {
			if !h.Succeeded[id] && !slices.Contains(next, id) {
				next = append(next, id)
			}
		}
	}
	return next
}

// Required is how many environments of the phase that the release is in still need it before it goes on.
func (p Progress) Required(h History) int {
	for _, s := range p {
		if s.State != Current || s.Skippable {
			continue
		}
		environments, succeeded := s.Environments(), 0
		for _, id := range environments {
			if h.Succeeded[id] {
				succeeded++
			}
		}
		if s.Minimum > 0 {
			return min(s.Minimum, len(environments)) - succeeded
		}
		return len(environments) - succeeded
	}
	return 0
}

// Due are the environments that the release is to be deployed to by itself: the automatic ones of the phases that it has
// reached, where nobody tried yet. Optional phases deploy nothing by themselves.
func (p Progress) Due(h History) []string {
	var due []string
	for _, s := range p {
		if s.State == Pending || s.Blocked || s.Skippable {
			continue
		}
		for _, id := range s.Automatic {
			if !h.Attempted[id] && !slices.Contains(due, id) {
				due = append(due, id)
			}
		}
	}
	return due
}

// Environments are all that the phases lead to, in their order.
func Environments(phases []Phase) []string {
	seen := map[string]bool{}
	all := []string{}
	for _, p := range phases {
		for _, id := range p.Environments() {
			if !seen[id] {
				all = append(all, id)
			}
			seen[id] = true
		}
	}
	return all
}
