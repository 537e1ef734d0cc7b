package task

import (
	"time"

	"odcm"
	"odcm/kit/task/journal"
)

// State is where a task is in its life. Queued, Running and Canceling tasks are unfinished.
type State string

// The states: queued -> running -> succeeded | failed, and by way of canceling -> canceled.
const (
	Queued    State = "queued"
	Running   State = "running"
	Canceling State = "canceling" // someone asked to cancel, and the task is rolling back
	Succeeded State = "succeeded"
	Failed    State = "failed"
	Canceled  State = "canceled"
)

// Final tells whether a task in this state is finished: it never changes again.
func (s State) Final() bool { return s == Succeeded || s == Failed || s == Canceled }

// Task is one piece of long work.
type Task struct {
	ID         odcm.TaskID
	Kind       string // what [Engine.Register] named: noun and verb, "space.enlist"
	Title      string // for people: "Enlist https://octopus.example.com"
	Subject    string // identifier of the thing that it works on
	State      State
	Percent    int            // 0 to 100; it never falls
	Doing      string         // what is being done now, for people
	By         odcm.Principal // who submitted it, with the roles held then
	CanceledBy odcm.Principal // who asked to cancel it; zero where nobody did
	Error      *Failure       // set where State is Failed
	Replica    string         // the replica that runs it, or ran it last
	Attempts   int            // how often it was started: more than 1 after a crash
	Submitted  time.Time
	Started    time.Time // zero while it is queued
	Ended      time.Time // zero while it is unfinished
}

// Failure is the public part of the error that ended a task or a step; the cause is in the log of the program.
type Failure struct {
	Kind    odcm.Kind `json:"kind"`
	Code    string    `json:"code"`
	Message string    `json:"message"`
}

// Request is what [Engine.Submit] takes. Input is stored as JSON, in clear: it must hold no secrets.
type Request struct {
	ID      odcm.TaskID // made where it is empty; submitting one ID twice makes one task
	Kind    string
	Title   string
	Subject string
	Input   any
	By      odcm.Principal
}

// Filter chooses tasks; zero fields choose all. The answer is ordered by the time of submission, newest first.
type Filter struct {
	States  []State
	Kinds   []string
	Subject string
	By      odcm.UserID
	Before  odcm.TaskID // only tasks submitted before this one: the cursor of the next page
	Limit   int         // 50 if zero, at most 1,000
}

// What people see of a run.
type (
	StepInfo  = journal.Step
	StepState = journal.State
	Line      = journal.Line
)

// The states of a step. A step that was running when its replica died is running again or still, until it ends.
const (
	StepRunning   = journal.Running
	StepSucceeded = journal.Succeeded
	StepFailed    = journal.Failed
	StepCanceled  = journal.Canceled
)
