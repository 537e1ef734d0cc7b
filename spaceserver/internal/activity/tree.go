package activity

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// Node is a node as it is answered (ActivityLogTreeNode in the Swagger document).
type Node struct {
	ID                 string `json:"Id"`
	Name               string
	Status             Status
	Started            *time.Time
	Ended              *time.Time
	ShowAtSummaryLevel bool
	ProgressPercentage int
	ProgressMessage    string
	LogElements        []Line
	Children           []*Node
}

// Line is a line of a node (ActivityLogEntry in the Swagger document).
type Line struct {
	Category    Category
	OccurredAt  time.Time
	MessageText string
	Detail      string
}

// Reading says what to read of a log.
type Reading struct {
	Verbose bool
	Tail    int    // so many of the last lines of each node; all if 0
	Over    Status // what became of the task; nodes that were left running ended so. "" while it goes on
}

// Tree reads the log of a task: its top nodes, none if it has written nothing. Memory is bounded by the tail, not by the log.
func (b *Book) Tree(ctx context.Context, task string, r Reading) ([]*Node, error) {
	t := tree{reading: r, nodes: map[string]*Node{}, top: []*Node{}}
	for c, err := range b.chunks(ctx, task, 0) {
		if err != nil {
			return nil, err
		}
		for record := range c.records() {
			t.add(record)
		}
	}
	for _, n := range t.nodes {
		t.settle(n)
	}
	return t.top, nil
}

type tree struct {
	reading Reading
	nodes   map[string]*Node
	top     []*Node
	last    time.Time
}

func (t *tree) add(r Entry) {
	n := t.nodes[r.Node]
	at := r.Time()
	if at.After(t.last) {
		t.last = at
	}
	if n == nil {
		n = &Node{ID: r.Node, Name: r.Name, Status: Running, Started: &at, LogElements: []Line{}, Children: []*Node{}}
		t.nodes[r.Node] = n
		if above := t.nodes[r.Parent]; above != nil {
			above.Children = append(above.Children, n)
		} else {
			t.top = append(t.top, n)
			n.ShowAtSummaryLevel = true
		}
		if r.Name == "" { // its beginning was lost
			n.Name = r.Node
		}
	} else if r.Name != "" { // a task that goes on opens its nodes again
		n.Name, n.Status, n.Ended = r.Name, Running, nil
	}
	switch {
	case r.Line != "":
		if r.Line == Verbose && !t.reading.Verbose {
			return
		}
		n.LogElements = append(n.LogElements, Line{Category: r.Line, OccurredAt: at, MessageText: r.Text})
		if tail := t.reading.Tail; tail > 0 && len(n.LogElements) >= 2*tail {
			n.LogElements = append(n.LogElements[:0], n.LogElements[len(n.LogElements)-tail:]...)
		}
	case r.Done != nil:
		n.ProgressPercentage, n.ProgressMessage = *r.Done, r.Text
	case r.Ended != "":
		n.Status, n.Ended = r.Ended, &at
		if r.Ended != Failed && r.Ended != Canceled {
			n.ProgressPercentage = 100
		}
	}
}

func (t *tree) settle(n *Node) {
	if n.Status == Running && t.reading.Over != "" {
		n.Status, n.Ended = t.reading.Over, &t.last
	}
	if tail := t.reading.Tail; tail > 0 && len(n.LogElements) > tail {
		n.LogElements = n.LogElements[len(n.LogElements)-tail:]
	}
}

// WriteText writes the tree as an Octopus server writes a raw log: nodes as headings, lines below them with time and
// category.
func WriteText(w io.Writer, top []*Node) error {
	b := bufio.NewWriter(w)
	writeText(b, top, 0)
	return b.Flush()
}

func writeText(b *bufio.Writer, nodes []*Node, depth int) {
	indent := strings.Repeat("  ", depth)
	for _, n := range nodes {
		fmt.Fprintf(b, "\n%20s| %s== %s: %s ==\n", "", indent, n.Status, n.Name)
		for _, l := range n.LogElements {
			fmt.Fprintf(b, "%s   %-8s |   %s%s\n", l.OccurredAt.Format("15:04:05"), l.Category, indent, l.MessageText)
		}
		writeText(b, n.Children, depth+1)
	}
}
