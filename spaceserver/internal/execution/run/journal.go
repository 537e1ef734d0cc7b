package run

import (
	"sync"

	"odcm/spaceserver/internal/execution/plan"
	"odcm/spaceserver/internal/variable"
)

// State says what became of a piece of work.
type State string

// The states of a piece. One that is not in the journal was not begun.
const (
	Succeeded State = "Succeeded"
	Failed    State = "Failed"
	Skipped   State = "Skipped"
	Ignored   State = "Ignored"  // it failed, and people said to go on
	Excluded  State = "Excluded" // it failed, and people took its target out of the deployment
	Waiting   State = "Waiting"  // people are asked
	Begun     State = "Begun"    // a step at one place, of whose actions some are still to be done
)

// Output is a variable that a piece of work set.
type Output struct {
	Action, Machine string // names; Machine is "" where the action ran once
	Name, Value     string
	Sensitive       bool
}

// Entry is what is kept of a piece.
type Entry struct {
	State        State
	Error        string `json:",omitempty"`
	Interruption string `json:",omitempty"` // the question that it waits for
	Guided       bool   `json:",omitempty"` // it failed, and the question is what to do about it
	Blocks       bool   `json:",omitempty"` // other deployments to the same place wait for the answer too
	Warned       bool   `json:",omitempty"`
}

// Status is how a step or an action ended, as later conditions may ask for it (docs: projects/variables/system-variables,
// Octopus.Step.Status.Code).
type Status struct {
	Code, Error string
	Name        string `json:",omitempty"` // of the step
}

// Journal is how far an execution came. It is all that must be kept while people are asked: what has an entry is not
// done, and not decided, again.
type Journal struct {
	Pieces   map[string]Entry
	Steps    map[int]Status    // steps that ended, by number
	Actions  map[string]Status // actions by name
	Outputs  []Output
	Excluded []string       // ids of machines that people took out
	Before   map[int]string // the error that there was when a group began, for its conditions
	Error    string         // the first failure; "" while there is none
	Warned   bool
	Acquired bool

	mu sync.Mutex
}

// NewJournal is the journal of an execution that begins.
func NewJournal() *Journal {
	return &Journal{Pieces: map[string]Entry{}, Steps: map[int]Status{}, Actions: map[string]Status{}, Before: map[int]string{}}
}

func (j *Journal) entry(key string) Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.Pieces[key]
}

func (j *Journal) keep(key string, e Entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.Pieces[key] = e
}

func (j *Journal) output(o Output) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.Outputs = append(j.Outputs, o)
}

func (j *Journal) warn() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.Warned = true
}

// fail keeps the first failure: it is what the task ends with.
func (j *Journal) fail(message string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.Error == "" {
		j.Error = message
	}
}

func (j *Journal) exclude(machine string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.Excluded = append(j.Excluded, machine)
}

func (j *Journal) excludes(machine string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, id := range j.Excluded {
		if id == machine {
			return true
		}
	}
	return false
}

// Blocks tells whether other deployments to the same place have to wait for an answer.
func (j *Journal) Blocks() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.Pieces {
		if e.State == Waiting && e.Blocks {
			return true
		}
	}
	return false
}

// begin returns the error that there was when the group began.
func (j *Journal) begin(group int) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, begun := j.Before[group]; !begun {
		j.Before[group] = j.Error
	}
	return j.Before[group]
}

func (j *Journal) ended(step int) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	_, ended := j.Steps[step]
	return ended
}

func (j *Journal) end(step int, s Status) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.Steps[step] = s
}

// status keeps how an action ended; a failure on one target is not covered by success on the next.
func (j *Journal) status(action string, s Status) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.Actions[action].Code != "Failed" {
		j.Actions[action] = s
	}
}

// percent is how many of the plan's steps have ended, of a hundred.
func (j *Journal) percent(p plan.Plan) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := 0
	for _, g := range p.Groups {
		all += len(g.Steps)
	}
	return 100 * len(j.Steps) / max(all, 1)
}

// apply makes variables of what the journal holds, as they are at a place.
func (j *Journal) apply(c *variable.Collection, here string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, o := range j.Outputs {
		o.set(c, here)
	}
	for name, s := range j.Actions {
		s.set(c, "Octopus.Action["+name+"]")
	}
	for _, s := range j.Steps {
		s.set(c, "Octopus.Step["+s.Name+"]")
	}
	if j.Error != "" {
		c.Set("Octopus.Deployment.Error", j.Error, false)
		c.Set("Octopus.Deployment.ErrorDetail", j.Error, false)
	}
}

func (s Status) set(c *variable.Collection, prefix string) {
	c.Set(prefix+".Status.Code", s.Code, false)
	c.Set(prefix+".Status.Error", s.Error, false)
	c.Set(prefix+".Status.ErrorDetail", s.Error, false)
}
