// Command watch runs ODCM's monitor alone, with its history in a SQLite file, on N targets at 10 s, and tells what its
// probes cost: watch FILE N PORT SECONDS INSPECT-EVERY
package main

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/egress"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
	"odcm/manager/identity"
	"odcm/manager/monitor"
	"odcm/manager/monitor/monitoroctopus"
	"odcm/manager/monitor/monitorsql"
	"odcm/octopus/octoclient"
)

func main() {
	log.SetFlags(0)
	inspect, err := time.ParseDuration(os.Args[5])
	if err == nil {
		err = run(os.Args[1], number(2), os.Args[3], number(4), inspect)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func number(arg int) int {
	n, err := strconv.Atoi(os.Args[arg])
	if err != nil {
		log.Fatal(err)
	}
	return n
}

func run(file string, n int, port string, seconds int, inspect time.Duration) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	d, err := db.Open(ctx, "sqlite:"+file, db.Options{})
	if err != nil {
		return err
	}
	defer d.Close()
	bus, err := signal.New(ctx, d)
	if err != nil {
		return err
	}
	defer bus.Close()
	events, err := eventlog.New(ctx, d, bus)
	if err != nil {
		return err
	}
	store, err := monitorsql.New(ctx, d, events)
	if err != nil {
		return err
	}
	w := &world{}
	for i := range n {
		w.targets = append(w.targets, monitor.Target{
			Instance: odcm.InstanceID(fmt.Sprintf("instance-%d", i)), Revision: 1,
			URL:    fmt.Sprintf("http://127.1.%d.%d:%s", i/250, i%250+1, port),
			Spaces: []monitor.Space{{ID: odcm.SpaceID(fmt.Sprintf("space-%d", i)), Name: fmt.Sprintf("Space %d", i)}},
			Key:    func(context.Context) (string, error) { return "API-BENCH", nil },
		})
	}
	w.Prober = monitoroctopus.New(egress.New(egress.Policy{}, egress.Limits{}), octoclient.NewBudgets(octoclient.Limits{}))
	m := monitor.New(monitor.Options{
		Store: store, Prober: w, Targets: w, Owner: w, Bus: bus, Authorizer: identity.NewAuthorizer(), InspectEvery: inspect,
		Logger: slog.New(slog.DiscardHandler),
	})
	hints := bus.Subscribe("space")
	defer hints.Close()
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx, hints.C) }()
	time.Sleep(15 * time.Second) // the first round opens the connections and writes that everything is online
	before, probes := cpu(), w.pings.Load()
	time.Sleep(time.Duration(seconds) * time.Second)
	spent, made := (cpu() - before).Seconds(), w.pings.Load()-probes
	known, err := store.All(ctx)
	if err != nil {
		return err
	}
	online := 0
	for _, h := range known {
		if h.Status == monitor.Online {
			online++
		}
	}
	fmt.Printf("{\"probes\":%d,\"cpuSeconds\":%f,\"memoryMiB\":%f,\"online\":%d}\n", made, spent, memory(), online)
	cancel()
	<-done
	return nil
}

// world is the monitor's surroundings: everything is ours to watch; pings are counted.
type world struct {
	monitor.Prober
	targets []monitor.Target
	pings   atomic.Int64
}

func (w *world) Ping(ctx context.Context, t monitor.Target) (monitor.Pong, error) {
	w.pings.Add(1)
	return w.Prober.Ping(ctx, t)
}

func (w *world) Targets(context.Context) ([]monitor.Target, error) { return w.targets, nil }
func (*world) Owns(string) bool                                    { return true }
func (*world) Changed() <-chan struct{}                            { return nil }

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
