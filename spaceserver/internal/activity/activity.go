// Package activity is what a task tells while it runs: a tree of named nodes with states, progress and lines
// (ActivityLogTreeNode in the Swagger document). It is written as a stream of small records, masked and bounded on the way,
// and read back as the tree.
//
// A [Recorder] writes the log of one task, a [Book] reads those of all.
package activity

import (
	"context"
	"time"
)

// Status is the state of a node.
type Status string

// The states of a node.
const (
	Pending            Status = "Pending"
	Running            Status = "Running"
	Success            Status = "Success"
	Failed             Status = "Failed"
	Skipped            Status = "Skipped"
	SuccessWithWarning Status = "SuccessWithWarning"
	Canceled           Status = "Canceled"
)

// Category is the kind of a line.
type Category string

// The kinds of lines.
const (
	Verbose   Category = "Verbose"
	Info      Category = "Info"
	Highlight Category = "Highlight"
	Wait      Category = "Wait"
	Warning   Category = "Warning"
	Error     Category = "Error"
	Fatal     Category = "Fatal"
)

// grave tells whether the line must be kept whatever came before, and makes the task one with warnings or errors.
func (c Category) grave() bool { return c == Warning || c == Error || c == Fatal }

// Sink keeps chunks of records, in their order.
type Sink interface {
	Append(ctx context.Context, task string, chunk []byte) error
}

// Options say how a log is written.
type Options struct {
	Sink  Sink
	Task  string
	Used  int64            // bytes that earlier runs of the task wrote
	Bytes int64            // of text in all; what goes beyond is counted and left out with a warning. 20 MiB if 0
	Flush time.Duration    // how long records may wait; 200 ms if 0
	Now   func() time.Time // time.Now if nil
}

// Entry is one step of a log. Only the members that it changes are set.
type Entry struct {
	Node   string   `json:"n"`
	At     int64    `json:"t"`           // milliseconds since 1970
	Name   string   `json:"o,omitempty"` // the node is opened, below Parent
	Parent string   `json:"p,omitempty"`
	Line   Category `json:"c,omitempty"` // a line with Text
	Text   string   `json:"m,omitempty"`
	Done   *int     `json:"g,omitempty"` // per cent, with Text
	Ended  Status   `json:"e,omitempty"` // the node is closed
}

// Time is when it was written, UTC.
func (r Entry) Time() time.Time { return time.UnixMilli(r.At).UTC() }
