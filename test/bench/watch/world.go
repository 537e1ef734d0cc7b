package main

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/egress"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
	"odcm/manager/identity/role"
	"odcm/manager/monitor"
	"odcm/manager/monitor/monitoroctopus"
	"odcm/manager/monitor/monitorsql"
	"odcm/octopus/octoclient"
)

const key = "API-BENCH"

// result is what is told at the end. Times are in seconds.
type result struct {
	Probes      int64
	CPUSeconds  float64
	MemoryMiB   float64
	Online      int
	FirstRound  float64 // until every target was probed
	Lateness    float64 // below which 99 of 100 probes began after they were due
	StatusesP99 float64
	Killed      float64 // the slowest to be seen
	Hanging     float64
}

// world is the monitor's surroundings: everything is ours to watch; pings are counted.
type world struct {
	monitor.Prober
	targets []monitor.Target
	pings   atomic.Int64
	seen    []atomic.Bool
	missing atomic.Int64
	all     chan struct{} // closed when every target was probed
}

func (w *world) read(file string) error {
	urls, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for i, u := range strings.Fields(string(urls)) {
		w.targets = append(w.targets, monitor.Target{
			Instance: odcm.InstanceID(fmt.Sprintf("instance-%d", i)), Revision: int64(i + 1), URL: u,
			Spaces: []monitor.Space{{ID: odcm.SpaceID(fmt.Sprintf("space-%d", i)), Name: fmt.Sprintf("Space %d", i)}},
			Key:    func(context.Context) (string, error) { return key, nil },
		})
	}
	w.seen, w.all = make([]atomic.Bool, len(w.targets)), make(chan struct{})
	w.missing.Store(int64(len(w.targets)))
	return nil
}

func (w *world) Ping(ctx context.Context, t monitor.Target) (monitor.Pong, error) {
	w.pings.Add(1)
	p, err := w.Prober.Ping(ctx, t)
	if err == nil && w.seen[t.Revision-1].CompareAndSwap(false, true) && w.missing.Add(-1) == 0 {
		close(w.all)
	}
	return p, err
}

func (w *world) Targets(context.Context) ([]monitor.Target, error) { return w.targets, nil }
func (*world) Owns(string) bool                                    { return true }
func (*world) Changed() <-chan struct{}                            { return nil }

// Reach and Find let everybody see everything.
func (*world) Reach(context.Context, odcm.Principal) (bool, []odcm.SpaceID, error) {
	return true, nil, nil
}

func (*world) Find(_ context.Context, _ odcm.Principal, ref string) (odcm.SpaceID, error) {
	return odcm.SpaceID(ref), nil
}

// settle is how long it takes after the first round until what is online is written and, where all are asked about themselves each
// minute, everybody was.
const settle = 25 * time.Second

func (w *world) run(file string, measured, inspect time.Duration, control string) (r result, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	d, err := db.Open(ctx, "sqlite:"+file, db.Options{})
	if err != nil {
		return r, err
	}
	defer d.Close()
	bus, err := signal.New(ctx, d)
	if err != nil {
		return r, err
	}
	defer bus.Close()
	events, err := eventlog.New(ctx, d, bus)
	if err != nil {
		return r, err
	}
	store, err := monitorsql.New(ctx, d, events)
	if err != nil {
		return r, err
	}
	w.Prober = monitoroctopus.New(egress.New(egress.Policy{}, egress.Limits{}), octoclient.NewBudgets(octoclient.Limits{}))
	m := monitor.New(monitor.Options{
		Store: store, Prober: w, Targets: w, Owner: w, Bus: bus, Authorizer: role.NewAuthorizer(), Access: w, InspectEvery: inspect,
		Logger: slog.New(slog.DiscardHandler),
	})
	hints := bus.Subscribe(monitor.Topics()...)
	defer hints.Close()
	done := make(chan error, 1)
	began := time.Now()
	go func() { done <- m.Run(ctx, hints.C) }()
	select {
	case <-w.all:
		r.FirstRound = time.Since(began).Seconds()
	case <-time.After(time.Minute):
		return r, fmt.Errorf("%d targets were not probed within a minute", w.missing.Load())
	}
	time.Sleep(settle)
	before, probes := cpu(), w.pings.Load()
	time.Sleep(measured)
	r.CPUSeconds, r.Probes = (cpu() - before).Seconds(), w.pings.Load()-probes
	board, err := m.Statuses(ctx, odcm.System)
	if err != nil {
		return r, err
	}
	for _, h := range board.Spaces {
		if h.Status == monitor.Online {
			r.Online++
		}
	}
	if control != "" {
		if r.Killed, err = w.see(m, control, "kill", 10, 100); err != nil {
			return r, err
		}
		if r.Hanging, err = w.see(m, control, "hang", 10, 200); err != nil {
			return r, err
		}
	}
	if r.StatusesP99, err = statuses(ctx, m); err != nil {
		return r, err
	}
	r.MemoryMiB = memory()
	if r.Lateness, err = lateness(m); err != nil {
		return r, err
	}
	cancel()
	<-done
	return r, nil
}

// see lets n servers act so, one shortly after the other, and returns how long the slowest took to be seen offline.
func (w *world) see(m *monitor.Service, control, behaviour string, n, first int) (float64, error) {
	type change struct {
		space odcm.SpaceID
		at    time.Time
	}
	var open []change
	for i := range n {
		number := (first+i*37)%len(w.targets) + 1
		if err := put(fmt.Sprintf("%s/servers/%d/behaviour/%s", control, number, behaviour)); err != nil {
			return 0, err
		}
		open = append(open, change{odcm.SpaceID(fmt.Sprintf("space-%d", number-1)), time.Now()})
		time.Sleep(37 * time.Millisecond)
	}
	slowest := 0.0
	for limit := time.Now().Add(30 * time.Second); len(open) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			return 0, fmt.Errorf("%s: %d of %d were not seen within 30 s", behaviour, len(open), n)
		}
		board, err := m.Statuses(context.Background(), odcm.System)
		if err != nil {
			return 0, err
		}
		open = slices.DeleteFunc(open, func(c change) bool {
			h := board.Spaces[c.space]
			if h.Status != monitor.Offline {
				return false
			}
			slowest = max(slowest, time.Since(c.at).Seconds())
			return true
		})
	}
	return slowest, nil
}

func put(url string) error {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPut, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s: %s", url, res.Status)
	}
	return nil
}

// statuses asks for everything a thousand times and returns the 99th percentile.
func statuses(ctx context.Context, m *monitor.Service) (float64, error) {
	var all []float64
	for range 1000 {
		began := time.Now()
		if _, err := m.Statuses(ctx, odcm.System); err != nil {
			return 0, err
		}
		all = append(all, time.Since(began).Seconds())
	}
	slices.Sort(all)
	return all[990], nil
}

// lateness reads the histogram: the bound below which 99 of 100 are.
func lateness(m *monitor.Service) (float64, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(m.Collector())
	families, err := registry.Gather()
	if err != nil {
		return 0, err
	}
	for _, f := range families {
		if f.GetName() != "odcm_probe_lateness_seconds" {
			continue
		}
		h := f.GetMetric()[0].GetHistogram()
		for _, b := range h.GetBucket() {
			if float64(b.GetCumulativeCount()) >= 0.99*float64(h.GetSampleCount()) {
				return b.GetUpperBound(), nil
			}
		}
	}
	return 0, fmt.Errorf("more than one probe in a hundred was later than what is measured")
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		log.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// memory is the resident set in MiB.
func memory() float64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, resident int
	if _, err := fmt.Sscan(string(b), &size, &resident); err != nil {
		return 0
	}
	return float64(resident*os.Getpagesize()) / (1 << 20)
}
