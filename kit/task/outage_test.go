package task_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"odcm/kit/db/dbtest"
	"odcm/kit/task"
)

// cable is the network between a replica and its database, which can be cut.
type cable struct {
	net.Listener
	to string

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]bool
}

func lay(t *testing.T, to string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{Listener: l, to: to, conns: map[net.Conn]bool{}}
	t.Cleanup(func() { l.Close(); c.set(true) })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go c.carry(conn)
		}
	}()
	return c
}

func (c *cable) carry(from net.Conn) {
	defer from.Close()
	to, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	defer to.Close()
	c.mu.Lock()
	cut := c.cut
	c.conns[from], c.conns[to] = true, true
	c.mu.Unlock()
	if cut {
		return
	}
	go func() { _, _ = io.Copy(to, from); to.Close() }()
	_, _ = io.Copy(from, to)
}

func (c *cable) set(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
	if cut {
		for conn := range c.conns {
			conn.Close()
		}
		clear(c.conns)
	}
}

func TestReplicaWithoutDatabaseInterruptsItsTasksAndGoesOnWithThem(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(dbtest.PostgreSQL(t))
	if err != nil {
		t.Fatal(err)
	}
	c := lay(t, u.Host)
	u.Host = c.Addr().String()
	var runs atomic.Int32
	began, interrupted := make(chan struct{}), make(chan struct{})
	h := open(t, dbtest.Open(t, u.String()), fast, kinds{"copy": func(r *task.Run) error {
		n, err := task.Step(r, "copy", func(ctx context.Context) (int32, error) {
			if n := runs.Add(1); n > 1 {
				return n, nil
			}
			close(began)
			<-ctx.Done()
			close(interrupted)
			return 0, ctx.Err()
		})
		if err != nil {
			t.Errorf("the handler saw the interruption: %v", err)
		}
		r.Logf("the step ran %d times", n)
		return err
	}})
	id := h.submit(task.Request{Kind: "copy"})
	<-began
	c.set(true)
	cut := time.Now()
	select {
	case <-interrupted:
		if d := time.Since(cut); d > fast.DeadAfter+fast.HeartbeatEvery {
			t.Errorf("interrupted after %v: others may run the task by then", d)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the task goes on, though others must believe that this replica is dead")
	}
	c.set(false)
	if got := h.wait(id, task.Succeeded); got.Attempts != 2 {
		t.Errorf("%d attempts, want 2", got.Attempts)
	}
	if lines, err := h.Log(t.Context(), id, 0, 0); err != nil || len(lines) != 1 || lines[0].Text != "the step ran 2 times" {
		t.Errorf("log %+v, %v", lines, err)
	}
}
