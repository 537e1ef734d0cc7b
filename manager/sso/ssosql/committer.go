package ssosql

import (
	"context"
	"runtime"
	"sync"
	"time"

	"odcm"
)

// committer groups what many requests must write durably into few commits: while one commit runs, the next ones gather. A
// request alone waits for nobody.
type committer[In, Out any] struct {
	commit func(ctx context.Context, all []In) ([]Out, error)

	mu      sync.Mutex
	waiting []*work[In, Out]
	running bool
}

type work[In, Out any] struct {
	in   In
	out  Out
	err  error
	done chan struct{}
}

// together bounds one commit, within how long it may take.
const (
	together = 200
	within   = 15 * time.Second
)

// begin lets in be committed, and returns how to wait for it. The commit goes on where ctx ends before: whoever is gone may
// come again and learn that it happened.
func (c *committer[In, Out]) begin(in In) (wait func(ctx context.Context) (Out, error)) {
	w := &work[In, Out]{in: in, done: make(chan struct{})}
	c.mu.Lock()
	c.waiting = append(c.waiting, w)
	if !c.running {
		c.running = true
		go c.run()
	}
	c.mu.Unlock()
	return w.wait
}

func (w *work[In, Out]) wait(ctx context.Context) (out Out, err error) {
	select {
	case <-w.done:
		return w.out, w.err
	case <-ctx.Done():
		return out, ctx.Err()
	}
}

// run commits until nothing waits.
func (c *committer[In, Out]) run() {
	for {
		runtime.Gosched() // whoever is about to come in comes along
		c.mu.Lock()
		n := min(len(c.waiting), together)
		batch := c.waiting[:n:n]
		c.waiting = c.waiting[n:]
		if n == 0 {
			c.waiting, c.running = nil, false
		}
		c.mu.Unlock()
		if n == 0 {
			return
		}
		c.finish(batch)
	}
}

func (c *committer[In, Out]) finish(batch []*work[In, Out]) {
	err := c.try(batch)
	if err != nil && len(batch) > 1 && odcm.KindOf(err) != odcm.Unavailable { // one of them may be at fault: the others must not suffer
		for _, w := range batch {
			w.err = c.try([]*work[In, Out]{w})
		}
	} else {
		for _, w := range batch {
			w.err = err
		}
	}
	for _, w := range batch {
		close(w.done)
	}
}

func (c *committer[In, Out]) try(batch []*work[In, Out]) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	in := make([]In, len(batch))
	for i, w := range batch {
		in[i] = w.in
	}
	out, err := c.commit(ctx, in)
	if err != nil {
		return err
	}
	for i, w := range batch {
		w.out = out[i]
	}
	return nil
}
