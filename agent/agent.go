package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"odcm"
	"odcm/agentapi"
)

// Options say where the agent works and for whom. Data and Manager are required.
type Options struct {
	Data    string // folder, made with mode 0700
	Manager string // host:port of the manager's listener for agents
	// Token gives an enrolment token. It is asked only while the machine is not enrolled, or when the manager does not
	// know it any more.
	Token      func(ctx context.Context) (string, error)
	Name       string   // of the machine; its host name where empty
	Version    string   // of the executable; "dev" where empty
	Executable string   // what instances are started from; this process's own where empty
	Arguments  []string // before --listen and --data; "space-server" where empty
	Host       string   // address that instances listen on; 127.0.0.1 where empty
	// StopInstances ends the instances with the agent, for a world that is to leave nothing running. They are started
	// again with it.
	StopInstances bool
	Logger        *slog.Logger

	ReadyWithin time.Duration // how long an instance may take to be ready; a minute where zero
	StopWithin  time.Duration // how long it may take to end; 10 s where zero
	StableAfter time.Duration // how long it runs until its earlier failures are forgotten; a minute where zero
	RetryFirst  time.Duration // pause after the first failure; half a second where zero
	RetryMost   time.Duration // longest pause; a minute where zero

	step func(name string) // tests end the process here
}

// Agent runs instances on this machine.
type Agent struct {
	Options
	versions    *versions
	ports       *ports
	environment []string
	lock        *os.File
	dirty       chan struct{}
	boot        string
	refused     error     // link's own
	renewed     time.Time // link's own: when a new certificate was last asked for
	pinger      *http.Client

	mu       sync.Mutex
	keepers  map[string]*keeper
	sequence int64
	server   odcm.ServerID
	run      context.Context

	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// New takes the folder, of which there can be one agent at a time, and keeps a copy of the executable in it.
func New(o Options) (_ *Agent, err error) {
	defer odcm.Wrap(&err, "agent in %s", o.Data)
	if o.Data == "" || o.Manager == "" {
		return nil, odcm.E(odcm.Invalid, "agent.options", "An agent needs a folder and the address of the manager.")
	}
	o.defaults()
	if o.Data, err = filepath.Abs(o.Data); err != nil {
		return nil, err
	}
	for _, sub := range []string{"instances", "retired", "trash", "versions"} {
		if err := os.MkdirAll(filepath.Join(o.Data, sub), 0o700); err != nil {
			return nil, odcm.E(odcm.Unavailable, "agent.folder", "The agent cannot use its folder %s: make it writable for its user.", o.Data).Because(err)
		}
	}
	a := &Agent{Options: o, ports: newPorts(o.Host), environment: inherit(os.Environ()), dirty: make(chan struct{}, 1),
		boot: odcm.NewID[string]("boot"), keepers: map[string]*keeper{},
		pinger: &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, // our own child on loopback
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if a.lock, err = lockFile(filepath.Join(o.Data, "agent.lock")); errors.Is(err, errHeld) {
		return nil, odcm.E(odcm.Conflict, "agent.folder-used", "Another agent uses the folder %s: stop it, or choose another folder.", o.Data)
	} else if err != nil {
		return nil, err
	}
	if a.versions, err = install(filepath.Join(o.Data, "versions"), o.Executable, o.Version); err != nil {
		return nil, errors.Join(err, a.lock.Close())
	}
	return a, nil
}

func (o *Options) defaults() {
	if o.Name == "" {
		o.Name, _ = os.Hostname()
	}
	if o.Version == "" {
		o.Version = "dev"
	}
	if o.Executable == "" {
		o.Executable = "/proc/self/exe" // reads even where the file is deleted
	}
	if len(o.Arguments) == 0 {
		o.Arguments = []string{"space-server"}
	}
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		is        *time.Duration
		otherwise time.Duration
	}{{&o.ReadyWithin, time.Minute}, {&o.StopWithin, 10 * time.Second}, {&o.StableAfter, time.Minute},
		{&o.RetryFirst, 500 * time.Millisecond}, {&o.RetryMost, time.Minute}} {
		if *d.is == 0 {
			*d.is = d.otherwise
		}
	}
	if o.step == nil {
		o.step = func(string) {}
	}
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

// Start finds what runs already, and from then on works by itself, with or without the manager.
func (a *Agent) Start(ctx context.Context) (err error) {
	defer odcm.Wrap(&err, "start agent")
	entries, err := os.ReadDir(filepath.Join(a.Data, "instances"))
	if err != nil {
		return err
	}
	a.run, a.cancel = context.WithCancel(context.WithoutCancel(ctx))
	pinned, readable := map[string]bool{}, true
	var found []*keeper
	for _, e := range entries {
		if !e.IsDir() || !validID(e.Name()) {
			continue
		}
		k := newKeeper(a, e.Name())
		m, err := readManifest(k.dir)
		pinned[m.Executable] = true
		readable = readable && (err == nil || errors.Is(err, os.ErrNotExist))
		found = append(found, k)
	}
	if readable { // else nobody knows what is pinned
		a.versions.prune(pinned)
	}
	for _, k := range found {
		a.keep(k)
	}
	a.wg.Go(func() { a.tidy(a.run) })
	a.wg.Go(func() { a.link(a.run) })
	return nil
}

// Stop ends the agent's work. The instances go on, unless StopInstances.
func (a *Agent) Stop(ctx context.Context) error {
	if a.cancel == nil {
		return a.lock.Close()
	}
	if a.StopInstances {
		a.stopInstances(ctx)
	}
	a.cancel()
	a.wg.Wait()
	return a.lock.Close()
}

// stopInstances ends every process and leaves the desired state in the manifests as it is.
func (a *Agent) stopInstances(ctx context.Context) {
	a.cancel()
	a.wg.Wait()
	ctx = context.WithoutCancel(ctx) // StopWithin bounds it; leaving one running is not what was asked for
	var all sync.WaitGroup
	for _, k := range a.keepers {
		all.Go(func() {
			if p, err := adopt(k.lock()); err == nil && p != nil {
				p.stop(ctx, a.StopWithin)
			}
			if lock, err := sweep(ctx, k.lock()); err == nil {
				_ = lock.Close()
			}
		})
	}
	all.Wait()
}

// Server is the server's id, "" while the machine is not enrolled.
func (a *Agent) Server() odcm.ServerID {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.server
}

func (a *Agent) enrolled(server string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.server = odcm.ServerID(server)
}

func (a *Agent) identityPath() string { return filepath.Join(a.Data, "identity.json") }

// keep runs the keeper. The caller holds mu, or is alone.
func (a *Agent) keep(k *keeper) {
	a.keepers[k.id] = k
	a.wg.Go(func() { k.run(a.run) })
}

// apply hands every keeper what is desired of its instance.
func (a *Agent) apply(d *agentapi.Desired) {
	a.mu.Lock()
	defer a.mu.Unlock()
	named := map[string]bool{}
	for _, i := range d.Instances {
		if !validID(i.Id) {
			a.Logger.Error("the manager named an instance with an unusable identifier")
			continue
		}
		named[i.Id] = true
		k := a.keepers[i.Id]
		if k == nil {
			k = newKeeper(a, i.Id)
			k.wanted = i
			a.keep(k)
			continue
		}
		k.desire(i)
	}
	for id, k := range a.keepers {
		if named[id] {
			continue
		}
		select {
		case <-k.done: // removed, and the manager has taken note
			delete(a.keepers, id)
		default: // not the manager's: it is stopped, its data is kept
			k.desire(&agentapi.DesiredInstance{Id: id, State: agentapi.DesiredState_DESIRED_STATE_REMOVED, KeepData: true})
		}
	}
}

// changed asks for a report.
func (a *Agent) changed() {
	select {
	case a.dirty <- struct{}{}:
	default:
	}
}

// observe is a report of this moment.
func (a *Agent) observe() *agentapi.Observed {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sequence++
	o := &agentapi.Observed{Boot: a.boot, Sequence: a.sequence, AgentVersion: a.Version, Versions: a.versions.list(), Capacity: measure(a.Data)}
	for _, k := range a.keepers {
		seen := k.report()
		o.Capacity.InstancesMemoryBytes += seen.MemoryBytes
		o.Instances = append(o.Instances, seen)
	}
	return o
}

// tidy finishes deletions that a crash interrupted, and keeps the instances' output small, whether or not the manager is
// there.
func (a *Agent) tidy(ctx context.Context) {
	a.emptyTrash()
	for beat := time.NewTicker(heartbeat); ; {
		select {
		case <-ctx.Done():
			beat.Stop()
			return
		case <-beat.C:
			a.bound()
		}
	}
}

func (a *Agent) bound() {
	a.mu.Lock()
	keepers := make([]*keeper, 0, len(a.keepers))
	for _, k := range a.keepers {
		keepers = append(keepers, k)
	}
	a.mu.Unlock()
	for _, k := range keepers {
		if k.report().State == agentapi.InstanceState_INSTANCE_STATE_RUNNING { // the ready line has been read
			_ = bound(k.stdout(), "")
		}
		if err := bound(k.log(), k.log()+".1"); err != nil && !errors.Is(err, os.ErrNotExist) {
			a.Logger.Warn("the log of an instance cannot be bounded", "instance", k.id, "error", err)
		}
	}
}

func (a *Agent) emptyTrash() {
	entries, _ := os.ReadDir(filepath.Join(a.Data, "trash"))
	for _, e := range entries {
		_ = os.RemoveAll(filepath.Join(a.Data, "trash", e.Name()))
	}
}

// ping asks an instance whether it answers: 200, or 418 while it drains (GET /api/octopusservernodes/ping).
func (a *Agent) ping(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(url, "/")+"/api/octopusservernodes/ping", nil)
	if err != nil {
		return err
	}
	answer, err := a.pinger.Do(request)
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

// strange tells whether the manager's certificate is not of the authority that the machine enrolled with.
func strange(err error) bool {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &unknown) || errors.As(err, &invalid)
}
