package monitoroctopus_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"odcm"
	"odcm/kit/egress"
	"odcm/manager/monitor"
	"odcm/manager/monitor/monitoroctopus"
	"odcm/octopus/octoclient"
)

// serverVariable makes the test binary the server that a benchmark probes: in a process of its own, so that its work is not
// counted.
const serverVariable = "ODCM_TEST_PROBED"

func TestMain(m *testing.M) {
	if os.Getenv(serverVariable) == "" {
		os.Exit(m.Run())
	}
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		os.Exit(1)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	fmt.Println(port)
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); os.Exit(0) }() // ends with its parent
	_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/ping") {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
}

// nowhere is a store that keeps nothing, a room's owner of everything, and its targets.
type nowhere struct{ targets []monitor.Target }

func (nowhere) Save(_ context.Context, changes []monitor.Change) ([]odcm.SpaceID, error) {
	return nil, nil
}
func (nowhere) Touch(context.Context, []odcm.SpaceID, time.Time) error { return nil }
func (nowhere) Forget(context.Context, []odcm.SpaceID) error           { return nil }
func (nowhere) HealthOf(context.Context, []odcm.SpaceID) (map[odcm.SpaceID]monitor.Health, error) {
	return nil, nil
}
func (nowhere) All(context.Context) (map[odcm.SpaceID]monitor.Health, error)       { return nil, nil }
func (nowhere) InStatus(context.Context, []monitor.Status) ([]odcm.SpaceID, error) { return nil, nil }
func (nowhere) Prune(context.Context, time.Time) error                             { return nil }
func (nowhere) History(context.Context, odcm.SpaceID, time.Time, time.Time, int) ([]monitor.Transition, error) {
	return nil, nil
}
func (nowhere) Owns(string) bool                                    { return true }
func (nowhere) Changed() <-chan struct{}                            { return nil }
func (nowhere) Publish(...string)                                   {}
func (n nowhere) Targets(context.Context) ([]monitor.Target, error) { return n.targets, nil }

const (
	probed = 1000
	every  = 2 * time.Second // 500 a second, as 5,000 targets at 10 s
)

// BenchmarkProbes measures the CPU that 1,000 probes cost against a bare loop that sends bursts on one transport, one after
// the other in the same run: go test -bench Probes -benchtime 1x.
func BenchmarkProbes(b *testing.B) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serverVariable+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = in.Close(); _ = cmd.Wait() }()
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	urls := make([]string, probed) // each its own host, as in life
	for i := range urls {
		urls[i] = fmt.Sprintf("http://127.0.%d.%d:%s", i/250, 1+i%250, strings.TrimSpace(port))
	}
	for b.Loop() {
		control := measure(b, func(ctx context.Context) { bare(ctx, urls) })
		ours := measure(b, func(ctx context.Context) { watch(ctx, urls) })
		b.ReportMetric(control.Seconds(), "control-CPU-s/1000")
		b.ReportMetric(ours.Seconds(), "CPU-s/1000")
		b.ReportMetric(ours.Seconds()/control.Seconds(), "ratio")
	}
}

// measure returns the CPU per 1,000 probes, once connections are open.
func measure(b *testing.B, run func(ctx context.Context)) time.Duration {
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { run(ctx); close(done) }()
	time.Sleep(3 * every)
	before := cpu()
	const rounds = 5
	time.Sleep(rounds * every)
	used := cpu() - before
	cancel()
	<-done
	return used / rounds * 1000 / probed
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// bare is the control: what is due within 100 ms is sent at once.
func bare(ctx context.Context, urls []string) {
	transport := &http.Transport{MaxIdleConnsPerHost: 2}
	defer transport.CloseIdleConnections()
	var wg sync.WaitGroup
	defer wg.Wait()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	slots := int(every / (100 * time.Millisecond))
	for at := 0; ; at = (at + 1) % slots {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for i := at; i < len(urls); i += slots {
			wg.Go(func() {
				r, _ := http.NewRequestWithContext(ctx, http.MethodGet, urls[i]+"/api/octopusservernodes/ping", nil)
				res, err := transport.RoundTrip(r)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			})
		}
	}
}

func watch(ctx context.Context, urls []string) {
	n := nowhere{}
	for i, u := range urls {
		n.targets = append(n.targets, monitor.Target{Instance: odcm.InstanceID(fmt.Sprintf("instance-%d", i)), URL: u, Revision: 1,
			Spaces: []monitor.Space{{ID: odcm.SpaceID(fmt.Sprintf("space-%d", i))}}, Key: func(context.Context) (string, error) { return key, nil }})
	}
	guard := egress.New(egress.Policy{}, egress.Limits{})
	defer guard.CloseIdle()
	s := monitor.New(monitor.Options{Store: n, Prober: monitoroctopus.New(guard, octoclient.NewBudgets(octoclient.Limits{})), Targets: n, Owner: n, Bus: n,
		Every: every, InspectEvery: time.Hour, Logger: slog.New(slog.DiscardHandler)})
	_ = s.Run(ctx, make(chan string))
}
