package instance

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"odcm/agent/folder"
	"odcm/agent/process"
	"odcm/agentapi"
)

// Options are what the instances of a machine have in common. All but Step are required.
type Options struct {
	Folder    folder.Folder
	Versions  *folder.Versions
	Arguments []string // of the executable, before --listen and --data
	Host      string   // address that instances listen on
	Logger    *slog.Logger
	Changed   func() // called when a report would be another; it must not block

	ReadyWithin time.Duration // how long an instance may take to be ready
	StopWithin  time.Duration // how long it may take to end
	StableAfter time.Duration // how long it runs until its earlier failures are forgotten
	RetryFirst  time.Duration // pause after the first failure
	RetryMost   time.Duration // longest pause

	Step func(name string) // called at each step of an instance's life: tests end the process there
}

// Supervisor keeps the instances of one machine.
type Supervisor struct {
	Options
	ports       *ports
	environment []string
	pinger      *http.Client

	mu      sync.Mutex
	keepers map[string]*keeper

	run    context.Context // ends the keepers
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// New keeps nothing before Start.
func New(o Options) *Supervisor {
	if o.Step == nil {
		o.Step = func(string) {}
	}
	s := &Supervisor{Options: o, ports: newPorts(o.Host), environment: inherit(os.Environ()), keepers: map[string]*keeper{},
		pinger: &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, // our own child on loopback
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	s.run, s.cancel = context.WithCancel(context.Background())
	return s
}

// inherit is the environment of an instance: the agent's own without what is the manager's or another instance's.
func inherit(environment []string) []string {
	var kept []string
	for _, e := range environment {
		if !strings.HasPrefix(e, "ODCM_") && !strings.HasPrefix(e, "ADMIN_") {
			kept = append(kept, e)
		}
	}
	return kept
}

// Start finds what runs already, deletes the executables that no instance is pinned to, and keeps the instances until Stop.
func (s *Supervisor) Start() error {
	ids, err := s.Folder.Instances()
	if err != nil {
		return err
	}
	pinned, readable := map[string]bool{}, true
	for _, id := range ids {
		m, err := readManifest(s.Folder.Instance(id))
		pinned[m.Executable] = true
		readable = readable && (err == nil || errors.Is(err, fs.ErrNotExist))
	}
	if readable { // else nobody knows what is pinned
		s.Versions.Prune(pinned)
	}
	s.mu.Lock()
	for _, id := range ids {
		s.keep(newKeeper(s, id))
	}
	s.mu.Unlock()
	s.wg.Go(func() { s.tidy(s.run) })
	return nil
}

// Stop ends the keeping and leaves the instances running.
func (s *Supervisor) Stop() {
	s.cancel()
	s.wg.Wait()
}

// End is Stop that also ends every process. What is desired stays in the manifests: they run again after the next Start.
func (s *Supervisor) End() {
	s.Stop()
	ctx := context.Background() // StopWithin bounds it; leaving one running is not what was asked for
	var all sync.WaitGroup
	for _, k := range s.keepers {
		all.Go(func() {
			if p, err := process.Adopt(k.lock()); err == nil && p != nil {
				p.Stop(ctx, s.StopWithin)
			}
			if lock, err := process.Sweep(ctx, k.lock()); err == nil {
				_ = lock.Close()
			}
		})
	}
	all.Wait()
}

// keep runs the keeper. The caller holds mu.
func (s *Supervisor) keep(k *keeper) {
	s.keepers[k.id] = k
	s.wg.Go(func() { k.run(s.run) })
}

// Apply hands every keeper what is desired of its instance. Desired is all that the manager desires of this machine.
func (s *Supervisor) Apply(desired []*agentapi.DesiredInstance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	named := map[string]bool{}
	for _, i := range desired {
		if !folder.ValidID(i.Id) {
			s.Logger.Error("the manager named an instance with an unusable identifier")
			continue
		}
		named[i.Id] = true
		k := s.keepers[i.Id]
		if k == nil {
			k = newKeeper(s, i.Id)
			k.wanted = i
			s.keep(k)
			continue
		}
		k.desire(i)
	}
	for id, k := range s.keepers {
		if named[id] {
			continue
		}
		select {
		case <-k.done: // removed, and the manager has taken note
			delete(s.keepers, id)
		default: // not the manager's: it is stopped, its data is kept
			k.desire(&agentapi.DesiredInstance{Id: id, State: agentapi.DesiredState_DESIRED_STATE_REMOVED, KeepData: true})
		}
	}
}

// Report is what is seen at this moment.
func (s *Supervisor) Report() []*agentapi.ObservedInstance {
	var all []*agentapi.ObservedInstance
	for _, k := range s.all() {
		all = append(all, k.report())
	}
	return all
}

func (s *Supervisor) all() []*keeper {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.keepers))
}

// tidyEvery is how often the instances' output is looked at.
const tidyEvery = 10 * time.Second

// tidy finishes deletions that a crash interrupted, and keeps the instances' output small, whether or not the manager is
// there.
func (s *Supervisor) tidy(ctx context.Context) {
	s.Folder.EmptyTrash()
	beat := time.NewTicker(tidyEvery)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			s.bound()
		}
	}
}

func (s *Supervisor) bound() {
	for _, k := range s.all() {
		if k.report().State == agentapi.InstanceState_INSTANCE_STATE_RUNNING { // the ready line has been read
			_ = bound(k.stdout(), "")
		}
		if err := bound(k.log(), k.log()+".1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.Logger.Warn("the log of an instance cannot be bounded", "instance", k.id, "error", err)
		}
	}
}

// ping asks an instance whether it answers: 200, or 418 while it drains (GET /api/octopusservernodes/ping).
func (s *Supervisor) ping(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(url, "/")+"/api/octopusservernodes/ping", nil)
	if err != nil {
		return err
	}
	answer, err := s.pinger.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10))
	if answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusTeapot {
		return fmt.Errorf("its ping answers %d", answer.StatusCode)
	}
	return nil
}
