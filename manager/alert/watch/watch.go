// Package watch feeds the evaluation of alerts: one replica at a time follows the events, reads what can only be read, and
// commits what comes of it with its place in the log in one transaction, which fails where another replica has taken over.
package watch

import (
	"context"
	"iter"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"odcm"
	"odcm/kit/lease"
	"odcm/kit/mail"
	"odcm/manager/alert"
	"odcm/manager/alert/receiver"
)

// Source reads everything that rules can be about, with the status of every subject among it: a subject without one is not
// watched any more.
type Source interface {
	Readings(ctx context.Context) ([]alert.Reading, error)
}

// Log is the log of events.
type Log interface {
	Follow(ctx context.Context, after odcm.EventID) iter.Seq2[odcm.Event, error]
	Last(ctx context.Context) (odcm.EventID, error)
}

// Leases let one replica at a time evaluate.
type Leases interface {
	Hold(ctx context.Context, name, owner string, ttl time.Duration, f func(ctx context.Context, l lease.Lease) error) error
}

// Store keeps what an evaluation needs and leads to.
type Store interface {
	Load(ctx context.Context) ([]alert.Part, error)
	// Config is what people have set; times and acknowledgements of what is open, at a time.
	Config(ctx context.Context, at time.Time) (alert.Config, error)
	// Commit is one transaction, which fails with the code "lease.lost" where the lease is another's.
	Commit(ctx context.Context, c Change) error
	// Prune deletes what was over before the time.
	Prune(ctx context.Context, before time.Time) error
	// Receivers are those that mail goes to, by identifier.
	Receivers(ctx context.Context) (map[string]receiver.Receiver, error)
}

// Change is what a step leads to.
type Change struct {
	Lease      lease.Lease
	Put, Drop  []alert.Part
	Outcome    alert.Outcome
	Deliveries []Delivery
	Wall       time.Time
}

// Delivery is something to be told. Mails, where it goes by mail, are handed over in the same transaction.
type Delivery struct {
	Notice alert.Notice
	Title  string
	Mails  []mail.Message
}

// Options are what a [Watcher] needs. Source, Log, Leases, Store and Owner are required.
type Options struct {
	Source Source
	Log    Log
	Leases Leases
	Store  Store
	Owner  string        // a name of this process alone
	Root   func() string // ODCM's own address, for links; none if nil
	Logger *slog.Logger  // slog.Default if nil
	// Metrics is where odcm_alerts_firing is registered; nowhere if nil.
	Metrics prometheus.Registerer
	Now     func() time.Time // what the machine's clock says, which may jump; time.Now if nil

	ProbeEvery time.Duration // of the monitor; 10 s if zero
	PollEvery  time.Duration // between two readings of everything; 15 s if zero
	LeaseFor   time.Duration // how long a replica may be silent before another takes over; 6 s if zero
	Retention  time.Duration // of what is over; 400 days if zero
}

// Watcher evaluates.
type Watcher struct {
	o      Options
	firing *prometheus.GaugeVec
}

// StatusChanged is the type of events that tell of a Space's status.
const StatusChanged = "monitor.status-changed"

// New makes a watcher. It does nothing until [Watcher.Run].
func New(o Options) *Watcher {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Root == nil {
		o.Root = func() string { return "" }
	}
	for d, usual := range map[*time.Duration]time.Duration{&o.ProbeEvery: 10 * time.Second, &o.PollEvery: 15 * time.Second, &o.LeaseFor: 6 * time.Second,
		&o.Retention: 400 * 24 * time.Hour} {
		if *d == 0 {
			*d = usual
		}
	}
	w := &Watcher{o: o, firing: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "odcm_alerts_firing",
		Help: "Incidents that fire now, at the replica that evaluates."}, []string{"rule", "severity"})}
	if o.Metrics != nil {
		o.Metrics.MustRegister(w.firing)
	}
	return w
}

// Run takes part until the context ends. Hints are what Bus.Subscribe("alert-setting", "incident") gives: what people set
// counts at once.
func (w *Watcher) Run(ctx context.Context, hints <-chan string) error {
	for {
		err := w.o.Leases.Hold(ctx, "alert", w.o.Owner, w.o.LeaseFor, func(ctx context.Context, l lease.Lease) error {
			defer w.firing.Reset()
			return w.evaluate(ctx, l, hints)
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		w.o.Logger.Error("alerts are not evaluated", "error", err)
		pause(ctx, time.Second)
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
