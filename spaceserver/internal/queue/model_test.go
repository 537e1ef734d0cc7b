package queue_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/queue"
)

// ledger is what the works of all nodes did, beside the queue.
type ledger struct {
	mu      sync.Mutex
	runs    map[string][]string // task -> what each run came to: "" while it runs
	serials map[string]string   // serial text -> task that runs under it now
	clashes []clash
	lost    map[string]bool // tasks that a node ended which another had taken
}

// clash is two tasks that ran at the same time under one serial text.
type clash struct{ first, second, serial string }

func (l *ledger) begin(id, serial string) (run int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if serial != "" {
		if other := l.serials[serial]; other != "" {
			l.clashes = append(l.clashes, clash{other, id, serial})
		}
		l.serials[serial] = id
	}
	l.runs[id] = append(l.runs[id], "")
	return len(l.runs[id]) - 1
}

func (l *ledger) end(id, serial string, run int, result string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.runs[id][run] = result
	if l.serials[serial] == id {
		delete(l.serials, serial)
	}
}

// ended notes what a node that is not the task's own ended: it took that node for dead.
func (l *ledger) ended(node string, task octopus.Object) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if task.Text("ServerNode") != queue.NodeID(node) {
		l.lost[task.Text("Id")] = true
	}
}

// model is some nodes on one database, and what they were asked to do.
type model struct {
	t       *rapid.T
	url     string
	world   *world // to look at the database through, and to ask; no node
	nodes   map[string]*queue.Queue
	started int
	ledger  *ledger
	tasks   map[string]string // id -> what its work does
	asked   map[string]string // id -> what was asked of it: cancel, force
	closers map[string]func() // of the databases of the nodes
}

// The works: at once, fails, takes a moment, waits for people once.
func (m *model) works() works {
	l := m.ledger
	work := func(f func(ctx context.Context, t *queue.Task) error) queue.Work {
		return func(ctx context.Context, t *queue.Task) error {
			serial := t.Arguments.Text("Serial")
			run := l.begin(t.ID, serial)
			err := f(ctx, t)
			result := "done"
			if err != nil {
				result = err.Error()
			}
			l.end(t.ID, serial, run, result)
			return err
		}
	}
	return works{
		"Quick": work(func(context.Context, *queue.Task) error { return nil }),
		"Fail":  work(func(context.Context, *queue.Task) error { return errors.New("it went wrong") }),
		"Slow": work(func(ctx context.Context, _ *queue.Task) error {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(30 * time.Millisecond):
				return nil
			}
		}),
		"Ask": work(func(ctx context.Context, t *queue.Task) error {
			if t.Checkpoint != nil {
				return nil
			}
			if err := patiently(func() error { return t.Save(ctx, "asked") }); err != nil {
				return err
			}
			return queue.ErrParked
		}),
	}
}

const beat = 40 * time.Millisecond

func (m *model) open() (s *collection.Service, d *db.DB) {
	err := patiently(func() (err error) {
		if d, err = db.Open(context.Background(), m.url, db.Options{MaxConns: 6}); err != nil {
			return err
		}
		if s, err = newService(d); err != nil {
			_ = d.Close()
		}
		return err
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return s, d
}

// startNode starts a node; a name that was there before is the same node again.
func (m *model) startNode(name string) {
	s, d := m.open()
	q := queue.New(queue.Options{Service: s, Node: name, Cap: 3, Work: m.works(), Beat: beat,
		Ended: func(_ *collection.Change, task octopus.Object) error { m.ledger.ended(name, task); return nil }})
	m.nodes[name], m.closers[name] = q, func() { _ = d.Close() }
	if err := patiently(func() error { return q.Start(context.Background()) }); err != nil {
		m.t.Fatal(err)
	}
	if !d.Postgres() { // there the one node is who is asked too: nothing else would wake it
		m.world = &world{m.world.t, s, q}
	}
}

// stopNode stops a node. One that cannot tell the others any more that it is gone is missed by them.
func (m *model) stopNode(name string) {
	if err := m.nodes[name].Stop(context.Background()); err != nil && !db.IsAway(err) {
		m.t.Error(err)
	}
	m.closers[name]()
	delete(m.nodes, name)
}

func (m *model) some(t *rapid.T, want func(id string) bool) string {
	var ids []string
	for id := range m.tasks {
		if want(id) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		t.Skip("no such task")
	}
	slices.Sort(ids)
	return rapid.SampledFrom(ids).Draw(t, "task")
}

func (m *model) node(t *rapid.T) string {
	var names []string
	for name := range m.nodes {
		names = append(names, name)
	}
	slices.Sort(names)
	return rapid.SampledFrom(names).Draw(t, "node")
}

func (m *model) actions() map[string]func(*rapid.T) {
	every := func(string) bool { return true }
	return map[string]func(*rapid.T){
		"enqueue": func(t *rapid.T) {
			name := rapid.SampledFrom([]string{"Quick", "Quick", "Fail", "Slow", "Slow", "Ask"}).Draw(t, "work")
			serial := rapid.SampledFrom([]string{"", "", "x", "y"}).Draw(t, "serial")
			if serial != "" {
				serial += m.url // of this database
			}
			r := queue.Request{Name: name, Description: name, Serial: serial, Priority: rapid.Bool().Draw(t, "priority"), Arguments: map[string]any{"Serial": serial},
				Due: time.Now().Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "due")) * time.Millisecond)}
			m.tasks[m.world.enqueue(r)] = name
		},
		"cancel": func(t *rapid.T) {
			id := m.some(t, every)
			if m.world.try(func(c *collection.Change) error { return m.world.queue.Cancel(c, id) }) == nil && m.asked[id] == "" {
				m.asked[id] = "Canceled"
			}
		},
		"force": func(t *rapid.T) {
			id := m.some(t, every)
			state := rapid.SampledFrom([]string{"Success", "Failed", "Canceled"}).Draw(t, "state")
			m.world.change(func(c *collection.Change) error { return m.world.queue.Force(c, id, state, "somebody said so") })
			m.asked[id] = "forced " + state
		},
		"wake": func(t *rapid.T) {
			id := m.some(t, func(id string) bool { return m.tasks[id] == "Ask" })
			_ = m.world.try(func(c *collection.Change) error { return m.world.queue.Wake(c, id) }) // it may have ended
		},
		"kill": func(t *rapid.T) {
			name := m.node(t)
			m.nodes[name].Kill()
			delete(m.nodes, name)
			if rapid.Bool().Draw(t, "comes back") {
				m.startNode(name)
			} else {
				m.started++
				m.startNode(fmt.Sprint("node", m.started))
			}
		},
		"stop": func(t *rapid.T) {
			name := m.node(t)
			m.stopNode(name)
			m.startNode(name)
		},
		"pause": func(*rapid.T) { <-time.After(10 * time.Millisecond) },
	}
}

// settle answers everything and waits until every task has ended.
func (m *model) settle() {
	deadline := time.Now().Add(patience)
	for {
		var left []string
		err := patiently(func() (err error) {
			left, err = m.world.queue.Unfinished(context.Background())
			return err
		})
		if err != nil {
			m.t.Fatal(err)
		}
		if len(left) == 0 {
			return
		}
		for _, id := range left {
			if m.tasks[id] == "Ask" && m.world.task(id).Text("State") == "Queued" && m.world.task(id).Text("StartTime") != "" {
				_ = m.world.try(func(c *collection.Change) error { return m.world.queue.Wake(c, id) })
			}
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("left over: %v", left)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// judge asks of every task whether how it ended is true. That two run together under one serial text no queue can prevent where a
// node stands still and is taken for dead: the work goes on for an instant, and nothing that it writes counts.
func (m *model) judge() {
	m.ledger.mu.Lock()
	defer m.ledger.mu.Unlock()
	for _, c := range m.ledger.clashes {
		if !m.ledger.lost[c.first] && !m.ledger.lost[c.second] {
			m.t.Errorf("%s and %s ran together under %s", c.first, c.second, c.serial)
		}
	}
	for id, name := range m.tasks {
		o := m.world.task(id)
		state, runs, asked := o.Text("State"), m.ledger.runs[id], m.asked[id]
		if forced, ok := strings.CutPrefix(asked, "forced "); ok {
			if state != forced {
				m.t.Errorf("%s was set to %s and is %s", id, forced, state)
			}
			continue
		}
		most := 1
		if name == "Ask" {
			most = 2
		}
		if len(runs) > most {
			m.t.Errorf("%s (%s) ran %d times: %v", id, name, len(runs), runs)
		}
		last := ""
		if len(runs) > 0 {
			last = runs[len(runs)-1]
		}
		message := o.Text("ErrorMessage")
		switch state {
		case "Success":
			if last != "done" {
				m.t.Errorf("%s (%s) succeeded, and its work said %q", id, name, last)
			}
		case "Canceled":
			if asked == "" {
				m.t.Errorf("%s was canceled by nobody", id)
			}
		case "Failed":
			node := strings.Contains(message, "stopped working while it ran it") || strings.Contains(message, "was stopped while it ran it")
			if name == "Fail" && message != "it went wrong." && !node || name != "Fail" && !node {
				m.t.Errorf("%s (%s) failed because of %q", id, name, message)
			}
		default:
			m.t.Errorf("%s (%s) is %s", id, name, state)
		}
		if !o.Bool("IsCompleted") || o.Bool("HasPendingInterruptions") || o.Bool("FinishedSuccessfully") != (state == "Success") {
			m.t.Errorf("%s ended as %v", id, o)
		}
	}
}

// TestEveryTaskEndsAsItShould asks several nodes for anything that can be asked, and kills and stops them meanwhile.
func TestEveryTaskEndsAsItShould(t *testing.T) {
	t.Parallel()
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue { // a check here waits for nodes to be missed
		_ = f.Value.Set("8")
	}
	dbtest.EachURL(t, func(t *testing.T, url string) {
		t.Parallel()
		s := service(t, dbtest.Open(t, url))
		rapid.Check(t, func(r *rapid.T) {
			m := &model{t: r, url: url, nodes: map[string]*queue.Queue{}, tasks: map[string]string{}, asked: map[string]string{},
				closers: map[string]func(){}, ledger: &ledger{runs: map[string][]string{}, serials: map[string]string{}, lost: map[string]bool{}}}
			m.world = &world{t, s, queue.New(queue.Options{Service: s, Node: "asker", Work: m.works()})}
			nodes := 1
			if strings.HasPrefix(url, "postgres") {
				nodes = rapid.IntRange(2, 3).Draw(r, "nodes")
			}
			for range nodes {
				m.started++
				m.startNode(fmt.Sprint("node", m.started))
			}
			defer func() {
				for name := range maps.Clone(m.nodes) {
					m.stopNode(name)
				}
			}()
			r.Repeat(m.actions())
			m.settle()
			m.judge()
		})
	})
}
