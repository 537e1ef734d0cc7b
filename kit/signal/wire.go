package signal

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	channel = "odcm_signal"
	// payloadLimit is below the 8,000 bytes that NOTIFY takes (PostgreSQL manual, NOTIFY, "payload").
	payloadLimit = 7900
	// pause is how long topics are gathered between two sendings: a burst costs one statement.
	pause = 20 * time.Millisecond
	// quiet is how long nothing may come before the connection is tried: a firewall may have dropped it silently.
	quiet = 15 * time.Second
)

// wire carries topics between replicas by LISTEN and NOTIFY. A payload is the origin's name and one topic per line.
type wire struct {
	pool    *pgxpool.Pool
	origin  string
	deliver func(...string)

	mu      sync.Mutex
	waiting map[string]struct{}
	kick    chan struct{}

	stop context.CancelFunc
	wg   sync.WaitGroup
}

func startWire(ctx context.Context, pool *pgxpool.Pool, deliver func(...string)) (*wire, error) {
	w := &wire{pool: pool, origin: rand.Text(), deliver: deliver, waiting: map[string]struct{}{}, kick: make(chan struct{}, 1)}
	conn, err := w.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("listen for signals: %w", err)
	}
	run, stop := context.WithCancel(context.Background())
	w.stop = stop
	w.wg.Go(func() { w.listen(run, conn) })
	w.wg.Go(func() { w.sendAll(run) })
	return w, nil
}

func (w *wire) close() {
	w.stop()
	w.wg.Wait()
}

func (w *wire) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cfg := w.pool.Config().ConnConfig // a copy
	cfg.RuntimeParams["application_name"] = "odcm signal"
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		_ = conn.Close(ctx)
		return nil, err
	}
	return conn, nil
}

// listen delivers what other replicas publish. After a lost connection it connects again and delivers [All], because
// what was published meanwhile is gone.
func (w *wire) listen(ctx context.Context, conn *pgx.Conn) {
	for failures := 0; ctx.Err() == nil; {
		if conn == nil {
			var err error
			if conn, err = w.connect(ctx); err != nil {
				failures++
				sleep(ctx, backoff(failures))
				continue
			}
			failures = 0
			w.deliver(All)
		}
		if err := w.receive(ctx, conn); err != nil {
			closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			_ = conn.Close(closing)
			cancel()
			conn = nil
		}
	}
	if conn != nil {
		_ = conn.Close(context.Background())
	}
}

func (w *wire) receive(ctx context.Context, conn *pgx.Conn) error {
	waiting, cancel := context.WithTimeout(ctx, quiet)
	defer cancel()
	n, err := conn.WaitForNotification(waiting)
	if err != nil {
		if ctx.Err() != nil || waiting.Err() == nil {
			return err
		}
		pinging, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return conn.Ping(pinging)
	}
	origin, topics, _ := strings.Cut(n.Payload, "\n")
	if origin != w.origin { // our own were delivered when they were published
		w.deliver(strings.Split(topics, "\n")...)
	}
	return nil
}

func (w *wire) send(topics ...string) {
	w.mu.Lock()
	for _, t := range topics {
		w.waiting[t] = struct{}{}
	}
	if len(w.waiting) > queueLimit {
		w.waiting = map[string]struct{}{All: {}}
	}
	w.mu.Unlock()
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

// sendAll sends what waits, then rests for a pause in which more may gather; a lone hint leaves at once.
func (w *wire) sendAll(ctx context.Context) {
	for failures := 0; ; {
		select {
		case <-w.kick:
		case <-ctx.Done():
			_ = w.flush(context.WithoutCancel(ctx))
			return
		}
		if err := w.flush(ctx); err != nil {
			failures++
			sleep(ctx, backoff(failures))
			continue
		}
		failures = 0
		sleep(ctx, pause)
	}
}

// flush sends what waits in one statement. What could not be sent waits again.
func (w *wire) flush(ctx context.Context) error {
	w.mu.Lock()
	waiting := w.waiting
	w.waiting = map[string]struct{}{}
	w.mu.Unlock()
	if len(waiting) == 0 {
		return nil
	}
	topics := make([]string, 0, len(waiting))
	for t := range waiting {
		topics = append(topics, t)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := w.pool.Exec(ctx, `SELECT pg_notify($1, p) FROM unnest($2::text[]) AS p`, channel, payloads(w.origin, topics))
	if err != nil {
		w.send(topics...)
	}
	return err
}

// payloads packs the topics into as few payloads as the limit allows. A topic that is too long for one becomes [All].
func payloads(origin string, topics []string) []string {
	var all []string
	b := origin
	for _, t := range topics {
		if len(origin)+1+len(t) > payloadLimit || strings.Contains(t, "\n") {
			t = All
		}
		if len(b)+1+len(t) > payloadLimit {
			all = append(all, b)
			b = origin
		}
		b += "\n" + t
	}
	if b != origin {
		all = append(all, b)
	}
	return all
}

func backoff(failures int) time.Duration {
	d := min(100*time.Millisecond<<min(failures, 6), 5*time.Second)
	return d/2 + mathrand.N(d/2)
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
