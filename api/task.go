package api

import "time"

// Task is a piece of long work: enlisting, migrating, rolling out.
type Task struct {
	ID         string     `json:"id" example:"task-0198a7c4-5b1e-7c3a-9f00-3d2c1b0a9e8f"`
	Kind       string     `json:"kind" doc:"Noun and verb" example:"space.enlist"`
	Title      string     `json:"title" doc:"What it does, for people" example:"Enlist https://octopus.example.com"`
	Subject    string     `json:"subject,omitempty" doc:"Identifier of the thing that it works on" example:"space-0198a7c4-5b1e-7c3a-9f00-3d2c1b0a9e8f"`
	State      string     `json:"state" doc:"Succeeded, failed and canceled are final" enum:"queued,running,canceling,succeeded,failed,canceled"`
	Percent    int        `json:"percent" doc:"How far it is; it never falls" minimum:"0" maximum:"100"`
	Doing      string     `json:"doing,omitempty" doc:"What it is doing now, for people" example:"Copying project 3 of 12"`
	By         string     `json:"by" doc:"Identifier of the user who submitted it" example:"user-0198a7c4-5b1e-7c3a-9f00-3d2c1b0a9e8f"`
	ByName     string     `json:"byName" doc:"That user's name then" example:"Barry Infrastructure"`
	CanceledBy string     `json:"canceledBy,omitempty" doc:"Name of who asked to cancel it"`
	Error      *TaskError `json:"error,omitempty" doc:"Why it failed"`
	Replica    string     `json:"replica,omitempty" doc:"The replica of ODCM that runs it, or did last" example:"odcm-1"`
	Attempts   int        `json:"attempts" doc:"How often it was begun: more than once after a crash or an upgrade of ODCM"`
	Submitted  time.Time  `json:"submitted"`
	Started    *time.Time `json:"started,omitempty" doc:"Absent while it is queued"`
	Ended      *time.Time `json:"ended,omitempty" doc:"Absent while it is unfinished"`
}

// TaskError is why a task failed.
type TaskError struct {
	Kind    string `json:"kind" example:"unavailable"`
	Code    string `json:"code" doc:"Stable code of the error" example:"octopus.unreachable"`
	Message string `json:"message" doc:"What was wrong and what to do"`
}

// TaskDetail is a task with its steps.
type TaskDetail struct {
	Task
	Steps []TaskStep `json:"steps" doc:"What it has done so far, in the order in which the steps began"`
}

// TaskStep is one step of a task.
type TaskStep struct {
	Name     string     `json:"name" example:"prove"`
	Undo     bool       `json:"undo,omitempty" doc:"It belongs to the roll-back"`
	State    string     `json:"state" enum:"running,succeeded,failed,canceled"`
	Attempts int        `json:"attempts" doc:"More than one where a crash made it run again"`
	Error    string     `json:"error,omitempty" doc:"Why it failed"`
	Started  *time.Time `json:"started,omitempty"`
	Ended    *time.Time `json:"ended,omitempty"`
}

// TaskLog is a part of a task's log.
type TaskLog struct {
	Lines []TaskLine `json:"lines"`
	Next  int64      `json:"next" doc:"Pass it as after to read on; the number of the last line that was read"`
	State string     `json:"state" doc:"State of the task when the lines were read: in a final state no more will come after an empty part" enum:"queued,running,canceling,succeeded,failed,canceled"`
}

// TaskLine is a line of a task's log.
type TaskLine struct {
	Number int64     `json:"number" doc:"From 1, without gaps"`
	Time   time.Time `json:"time"`
	Step   string    `json:"step,omitempty" doc:"The step that wrote it" example:"prove"`
	Text   string    `json:"text"`
}
