// Package delivery brings notices to receivers: any replica takes what is due, the oldest of each receiver first and one at a
// time, so that a receiver that is slow or down delays nobody else. What was sent and not noted, because a replica was
// killed in between, is sent again with the same key.
package delivery

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"odcm"
	"odcm/manager/alert"
	"odcm/manager/alert/receiver"
)

// Job is a notice that this replica has to itself for a while.
type Job struct {
	ID       string
	Notice   alert.Notice
	Receiver receiver.Receiver
	Attempt  int64
	Created  time.Time
}

// State is how it stands with a delivery.
type State string

// The states.
const (
	Queued     State = "queued"
	Sent       State = "sent"
	HandedOver State = "handed-over" // to the outbox of mail, which goes on trying by itself
	Merged     State = "merged"      // said in an earlier message that waited longer than this
	Parked     State = "parked"      // refused in a way that trying again does not mend
	Expired    State = "expired"
)

// Result is how an attempt went.
type Result struct {
	State State
	Error string // for people
	At    time.Time
	Due   time.Time // of the next attempt
	// Unsure tells that it may have arrived: there was no answer in time, or nobody waited for it.
	Unsure bool
}

// Store keeps deliveries.
type Store interface {
	// Claim takes the oldest notice of each receiver that is due, until a time, but none of the busy receivers'.
	Claim(ctx context.Context, now, until time.Time, busy []string, limit int) ([]Job, error)
	// Finish notes how it went. Where another replica has the job meanwhile, only that it arrived counts.
	Finish(ctx context.Context, j Job, r Result) error
	// Next is when something is due next, the zero time for never.
	Next(ctx context.Context, now time.Time) (time.Time, error)
}

// Sender tells a receiver, whose secrets are open. An error of kind Invalid or Denied means that trying again is of no use.
type Sender interface {
	Send(ctx context.Context, r receiver.Receiver, m receiver.Message) error
}

// Sealer opens what receivers keep secret.
type Sealer interface {
	Open(sealed, place string) ([]byte, error)
}

// Options are what a [Courier] needs. Store, Sender and Sealer are required.
type Options struct {
	Store   Store
	Sender  Sender
	Sealer  Sealer
	Root    func() string // ODCM's own address, for links; none if nil
	Logger  *slog.Logger  // slog.Default if nil
	Metrics prometheus.Registerer
	Now     func() time.Time // time.Now if nil

	Within  time.Duration // one attempt; 20 s if zero
	First   time.Duration // between the first attempt and the second, and doubling; 15 s if zero
	Longest time.Duration // between two attempts; 1 h if zero
	GiveUp  time.Duration // after so long; 4 days if zero
	AtOnce  int           // receivers that are told at the same time by this replica; 64 if zero
	Look    time.Duration // how often it is looked without a hint; 5 s if zero
}

// Courier delivers.
type Courier struct {
	o     Options
	count *prometheus.CounterVec
	delay prometheus.Histogram

	mu   sync.Mutex
	busy []string // receivers
	free chan struct{}
}

// New makes a courier. It does nothing until [Courier.Run].
func New(o Options) *Courier {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Root == nil {
		o.Root = func() string { return "" }
	}
	if o.AtOnce == 0 {
		o.AtOnce = 64
	}
	for d, usual := range map[*time.Duration]time.Duration{&o.Within: 20 * time.Second, &o.First: 15 * time.Second, &o.Longest: time.Hour,
		&o.GiveUp: 4 * 24 * time.Hour, &o.Look: 5 * time.Second} {
		if *d == 0 {
			*d = usual
		}
	}
	c := &Courier{o: o, free: make(chan struct{}, 1),
		count: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "odcm_notifications_total", Help: "Attempts to tell a receiver, by how they went."}, []string{"receiver", "result"}),
		delay: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "odcm_notification_delay_seconds", Help: "From a decision to tell somebody until it arrived.",
			Buckets: []float64{.1, .5, 1, 5, 15, 60, 300, 3600, 86400}})}
	if o.Metrics != nil {
		o.Metrics.MustRegister(c.count, c.delay)
	}
	return c
}

// Run delivers until the context ends. Hints are what Bus.Subscribe("notification", "alert-setting") gives.
func (c *Courier) Run(ctx context.Context, hints <-chan string) error {
	var work sync.WaitGroup
	defer work.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		case <-c.free:
		case _, open := <-hints:
			if !open {
				hints = nil
			}
		}
		wait, err := c.dispatch(ctx, &work)
		if err != nil && ctx.Err() == nil {
			c.o.Logger.Error("notifications wait", "error", err)
		}
		timer.Reset(wait)
	}
}

// spare is how much longer than an attempt a notice is held: the time to note how it went.
const spare = 5 * time.Second

// dispatch starts what is due and tells when to look again.
func (c *Courier) dispatch(ctx context.Context, work *sync.WaitGroup) (time.Duration, error) {
	c.mu.Lock()
	busy := slices.Clone(c.busy)
	c.mu.Unlock()
	if len(busy) >= c.o.AtOnce {
		return c.o.Look, nil
	}
	now := c.o.Now()
	jobs, err := c.o.Store.Claim(ctx, now, now.Add(c.o.Within+spare), busy, c.o.AtOnce-len(busy))
	if err != nil {
		return c.o.Look, err
	}
	for _, j := range jobs {
		c.mu.Lock()
		c.busy = append(c.busy, j.Receiver.ID)
		c.mu.Unlock()
		work.Go(func() {
			c.deliver(ctx, j)
			c.mu.Lock()
			c.busy = slices.DeleteFunc(c.busy, func(id string) bool { return id == j.Receiver.ID })
			c.mu.Unlock()
			select {
			case c.free <- struct{}{}:
			default:
			}
		})
	}
	next, err := c.o.Store.Next(ctx, now)
	if err != nil || next.IsZero() {
		return c.o.Look, err
	}
	return min(max(next.Sub(c.o.Now()), 50*time.Millisecond), c.o.Look), nil
}

// deliver tries once, and notes how it went.
func (c *Courier) deliver(ctx context.Context, j Job) {
	err := c.Tell(ctx, j.Receiver, j.Notice)
	if ctx.Err() != nil {
		// It may have arrived or not: another replica sends it again, with the same key.
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if err := c.o.Store.Finish(last, j, Result{State: Queued, Due: c.o.Now(), Unsure: true}); err != nil {
			c.o.Logger.Warn("a notification stays held for a while", "notification", j.ID, "error", err)
		}
		return
	}
	r := c.judge(j, err)
	c.count.WithLabelValues(j.Receiver.Name, string(r.State)).Inc()
	if r.State == Sent {
		c.delay.Observe(max(r.At.Sub(j.Created), 0).Seconds())
	} else {
		c.o.Logger.Warn("a notification did not arrive", "receiver", j.Receiver.Name, "notification", j.ID, "attempt", j.Attempt, "state", r.State, "error", err)
	}
	for ctx.Err() == nil {
		if err := c.o.Store.Finish(ctx, j, r); err == nil {
			return
		} else if ctx.Err() == nil {
			c.o.Logger.Error("a notification's outcome was not noted", "notification", j.ID, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// sure are the failures in which nothing can have arrived, or the receiver said that it did not take it.
var sure = []string{"alert.receiver-busy", "egress.refused", "egress.dns", "egress.tls"}

func (c *Courier) judge(j Job, err error) Result {
	now := c.o.Now()
	r := Result{State: Sent, At: now}
	if err == nil {
		return r
	}
	r.Error = Public(err)
	switch kind := odcm.KindOf(err); {
	case kind == odcm.Invalid || kind == odcm.Denied || kind == odcm.Unsupported:
		r.State = Parked
	case now.Sub(j.Created) > c.o.GiveUp:
		r.State = Expired
	default:
		gap := min(c.o.Longest, c.o.First<<min(j.Attempt-1, 12))
		r.State, r.Due = Queued, now.Add(gap-gap/10+rand.N(gap/5+1))
		r.Unsure = !slices.Contains(sure, odcm.CodeOf(err))
	}
	return r
}

// Public is what of an error may be shown.
func Public(err error) string {
	var e *odcm.Error
	if errors.As(err, &e) && e.Kind != odcm.Internal && e.Message != "" {
		return e.Message
	}
	return "It could not be sent: the log says why."
}

// Tell opens the receiver's secrets and tells it at once.
func (c *Courier) Tell(ctx context.Context, r receiver.Receiver, n alert.Notice) error {
	if !r.Enabled && n.Kind != alert.Tests {
		return odcm.E(odcm.Invalid, "alert.receiver-disabled", "The receiver is switched off.")
	}
	if err := r.Open(c.o.Sealer); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.o.Within)
	defer cancel()
	return c.o.Sender.Send(ctx, r, receiver.Say(n, c.o.Root()))
}
