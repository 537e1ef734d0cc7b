package queue_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/octopus"
	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/queue"
)

// serve is a node as a process of its own, to be killed. Its work tells a file that it began and that it is done.
func serve() {
	if err := node(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	select {}
}

func node() error {
	d, err := db.Open(context.Background(), os.Getenv("QUEUE_DATABASE"), db.Options{Readers: 2})
	if err != nil {
		return err
	}
	s, err := newService(d)
	if err != nil {
		return err
	}
	told, err := os.OpenFile(os.Getenv("QUEUE_FILE"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	work := func(ctx context.Context, task *queue.Task) error {
		fmt.Fprintf(told, "began %s\n", task.ID)
		task.Log.Write(activity.Info, "working")
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		fmt.Fprintf(told, "done %s\n", task.ID)
		return nil
	}
	q := queue.New(queue.Options{Service: s, Node: os.Getenv("QUEUE_NODE"), Cap: 20, Work: works{"Work": work}, Beat: 100 * time.Millisecond})
	if err := q.Start(context.Background()); err != nil {
		return err
	}
	fmt.Println("ready")
	return nil
}

type process struct {
	t               *testing.T
	url, name, told string
	cmd             *exec.Cmd
}

func (p *process) start() {
	p.t.Helper()
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), "QUEUE_DATABASE="+p.url, "QUEUE_NODE="+p.name, "QUEUE_FILE="+p.told)
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		p.t.Fatalf("the node said %q: %v", line, err)
	}
}

func (p *process) kill() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		p.cmd = nil
	}
}

// TestKilledNodesLoseNoTask kills nodes ten times, on PostgreSQL one of two, while 1,000 tasks run 20 at a time: every task
// ends in a state that is true, none runs twice, none is lost.
func TestKilledNodesLoseNoTask(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url string) {
		t.Parallel()
		const tasks, kills = 1000, 10
		s := service(t, dbtest.Open(t, url))
		w := &world{t, s, queue.New(queue.Options{Service: s, Node: "nobody", Work: works{"Work": func(context.Context, *queue.Task) error { return nil }}})}
		names := []string{"a"}
		if strings.HasPrefix(url, "postgres") {
			names = append(names, "b")
		}
		told := filepath.Join(t.TempDir(), "told")
		var ids []string
		w.change(func(c *collection.Change) error {
			ids = nil
			for i := range tasks {
				r := queue.Request{Name: "Work", Description: "Work"}
				if i%10 == 0 {
					r.Serial = fmt.Sprint("serial ", i%50)
				}
				o, err := w.queue.Enqueue(c, r)
				if err != nil {
					return err
				}
				ids = append(ids, o.Text("Id"))
			}
			return nil
		})
		var nodes []*process
		for _, name := range names {
			p := &process{t: t, url: url, name: name, told: told}
			t.Cleanup(p.kill)
			p.start()
			nodes = append(nodes, p)
		}
		done := func() int {
			text, err := os.ReadFile(told)
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			return bytes.Count(text, []byte("done "))
		}
		for i := range kills {
			eventually(t, func() bool { return done() >= (i+1)*tasks/(kills+2) })
			p := nodes[i%len(nodes)]
			p.kill()
			p.start()
		}
		eventually(t, func() bool {
			left, err := w.queue.Unfinished(context.Background())
			return err == nil && len(left) == 0
		})
		for _, p := range nodes {
			p.kill()
		}
		w.judge(ids, told)
	})
}

// judge compares what the tasks' documents say with what their work did.
func (w *world) judge(ids []string, told string) {
	w.t.Helper()
	text, err := os.ReadFile(told)
	if err != nil {
		w.t.Fatal(err)
	}
	began, done := map[string]int{}, map[string]int{}
	for line := range strings.Lines(string(text)) {
		if id, ok := strings.CutPrefix(line, "began "); ok {
			began[strings.TrimSpace(id)]++
		} else if id, ok := strings.CutPrefix(line, "done "); ok {
			done[strings.TrimSpace(id)]++
		}
	}
	states := map[string]int{}
	for row, err := range w.service.Store.Each(context.Background(), w.service.Store.DB.Read(), document.Query{Kind: "ServerTasks"}) {
		if err != nil {
			w.t.Fatal(err)
		}
		o, err := octopus.ParseObject(row.Body)
		if err != nil {
			w.t.Fatal(err)
		}
		id, state := row.ID, o.Text("State")
		states[state]++
		switch {
		case began[id] > 1:
			w.t.Errorf("%s ran %d times", id, began[id])
		case state == "Success" && done[id] != 1:
			w.t.Errorf("%s succeeded and was not done", id)
		case state == "Failed" && !strings.Contains(o.Text("ErrorMessage"), "stopped working while it ran it"):
			w.t.Errorf("%s failed because of %q", id, o.Text("ErrorMessage"))
		case state != "Success" && state != "Failed" || !o.Bool("IsCompleted"):
			w.t.Errorf("%s is %s", id, state)
		}
	}
	if states["Success"]+states["Failed"] != len(ids) {
		w.t.Errorf("of %d tasks there are %v", len(ids), states)
	}
	if states["Failed"] == 0 {
		w.t.Errorf("no task was hit: the test sees nothing")
	}
	w.t.Logf("%v", states)
}
