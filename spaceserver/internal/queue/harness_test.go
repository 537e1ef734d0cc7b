package queue_test

import (
	"context"
	"os"
	"testing"
	"time"

	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/octopus"
	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/host"
	"odcm/spaceserver/internal/kinds/task"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/queue"
)

func TestMain(m *testing.M) {
	if os.Getenv("QUEUE_DATABASE") != "" {
		serve()
		return
	}
	os.Exit(m.Run())
}

// noSealer keeps what it seals as it is.
type noSealer struct{}

func (noSealer) Ready() error { return nil }
func (noSealer) Seal(plain []byte, place string) (string, error) {
	return place + "|" + string(plain), nil
}
func (noSealer) Open(sealed, place string) ([]byte, error) { return []byte(sealed[len(place)+1:]), nil }

// service is the documents of a server that has one space and no people.
func service(t testing.TB, d *db.DB) *collection.Service {
	t.Helper()
	s, err := newService(d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newService(d *db.DB) (*collection.Service, error) {
	store, err := document.Open(context.Background(), d)
	if err != nil {
		return nil, err
	}
	kinds := append(task.Kinds(&host.Host{}), &collection.Kind{Name: "Spaces", Type: "Space", Scope: collection.InSystem, Template: `{"Name":"","TaskQueueStopped":false}`})
	return collection.New(collection.Options{Store: store, Kinds: kinds, Sealer: noSealer{}})
}

// world is a database with a queue on it.
type world struct {
	t       testing.TB
	service *collection.Service
	queue   *queue.Queue
}

// begin starts a queue on the service until the end of the test.
func begin(t testing.TB, s *collection.Service, o queue.Options) *world {
	t.Helper()
	o.Service = s
	if o.Node == "" {
		o.Node = "one"
	}
	w := &world{t, s, queue.New(o)}
	if err := w.queue.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := w.queue.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return w
}

// patience is how long a machine may stand still, which those that run tests do.
const patience = 3 * time.Minute

// patiently tries again while the database does not answer, as SQLite does not where another connection waits for the disk.
func patiently(f func() error) error {
	for deadline := time.Now().Add(patience); ; <-time.After(50 * time.Millisecond) {
		if err := f(); !db.IsAway(err) || time.Now().After(deadline) {
			return err
		}
	}
}

// each runs the test on both databases.
func each(t *testing.T, f func(t *testing.T, s *collection.Service)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		f(t, service(t, d))
	})
}

func (w *world) change(f func(c *collection.Change) error) {
	w.t.Helper()
	if err := w.try(f); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) try(f func(c *collection.Change) error) error {
	return patiently(func() error {
		return w.service.Transact(context.Background(), collection.Request{Principal: permission.System()}, f)
	})
}

func (w *world) enqueue(r queue.Request) (id string) {
	w.t.Helper()
	if r.Name == "" {
		r.Name = "Work"
	}
	w.change(func(c *collection.Change) error {
		o, err := w.queue.Enqueue(c, r)
		id = o.Text("Id")
		return err
	})
	return id
}

func (w *world) task(id string) octopus.Object {
	w.t.Helper()
	row, err := w.service.Store.Get(context.Background(), w.service.Store.DB.Read(), "ServerTasks", id, "*")
	if err != nil {
		w.t.Fatal(err)
	}
	o, err := octopus.ParseObject(row.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

// until waits for the task to be in one of the states.
func (w *world) until(id string, states ...string) octopus.Object {
	w.t.Helper()
	var o octopus.Object
	eventually(w.t, func() bool {
		o = w.task(id)
		for _, s := range states {
			if o.Text("State") == s {
				return true
			}
		}
		return false
	})
	return o
}

// eventually polls with a deadline.
func eventually(t testing.TB, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("it did not come to pass in time")
		}
		<-time.After(5 * time.Millisecond)
	}
}

// lines are the texts of a task's log, of all its nodes.
func (w *world) lines(id string) (texts []string) {
	w.t.Helper()
	top, err := w.queue.Logs().Tree(context.Background(), id, activity.Reading{Verbose: true})
	if err != nil {
		w.t.Fatal(err)
	}
	var walk func(nodes []*activity.Node)
	walk = func(nodes []*activity.Node) {
		for _, n := range nodes {
			for _, l := range n.LogElements {
				texts = append(texts, l.MessageText)
			}
			walk(n.Children)
		}
	}
	walk(top)
	return texts
}
