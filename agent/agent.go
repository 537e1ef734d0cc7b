package agent

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"odcm"
	"odcm/agent/folder"
	"odcm/agent/instance"
	"odcm/agent/process"
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
	folder    folder.Folder
	versions  *folder.Versions
	instances *instance.Supervisor
	lock      *os.File
	boot      string
	dirty     chan struct{} // something changed: report it
	refused   error         // link's own
	renewed   time.Time     // link's own: when a new certificate was last asked for

	mu       sync.Mutex
	sequence int64
	server   odcm.ServerID

	cancel context.CancelFunc // ends the link
	wg     sync.WaitGroup
}

// New takes the folder, of which there can be one agent at a time, and keeps a copy of the executable in it.
func New(o Options) (_ *Agent, err error) {
	defer odcm.Wrap(&err, "agent in %s", o.Data)
	if o.Data == "" || o.Manager == "" {
		return nil, odcm.E(odcm.Invalid, "agent.options", "An agent needs a folder and the address of the manager.")
	}
	o.defaults()
	a := &Agent{Options: o, dirty: make(chan struct{}, 1), boot: odcm.NewID[string]("boot")}
	if a.folder, err = folder.Open(o.Data); err != nil {
		return nil, odcm.E(odcm.Unavailable, "agent.folder", "The agent cannot use its folder %s: make it writable for its user.", o.Data).Because(err)
	}
	if a.lock, err = process.Lock(a.folder.Lock()); errors.Is(err, process.ErrHeld) {
		return nil, odcm.E(odcm.Conflict, "agent.folder-used", "Another agent uses the folder %s: stop it, or choose another folder.", a.folder)
	} else if err != nil {
		return nil, err
	}
	if a.versions, err = a.folder.Install(o.Executable, o.Version); err != nil {
		return nil, errors.Join(err, process.Unlock(a.lock))
	}
	a.instances = instance.New(instance.Options{Folder: a.folder, Versions: a.versions, Arguments: o.Arguments, Host: o.Host, Logger: o.Logger, Changed: a.changed,
		ReadyWithin: o.ReadyWithin, StopWithin: o.StopWithin, StableAfter: o.StableAfter, RetryFirst: o.RetryFirst, RetryMost: o.RetryMost, Step: o.step})
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

// Start finds what runs already, and from then on works by itself, with or without the manager.
func (a *Agent) Start(ctx context.Context) (err error) {
	defer odcm.Wrap(&err, "start agent")
	if err := a.instances.Start(); err != nil {
		return err
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	a.cancel = cancel
	a.wg.Go(func() { a.link(run) })
	return nil
}

// Stop ends the agent's work. The instances go on, unless StopInstances.
func (a *Agent) Stop(context.Context) error {
	if a.cancel == nil {
		return process.Unlock(a.lock)
	}
	a.cancel()
	a.wg.Wait()
	if a.StopInstances {
		a.instances.End()
	} else {
		a.instances.Stop()
	}
	return process.Unlock(a.lock)
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
	o := &agentapi.Observed{Boot: a.boot, Sequence: a.sequence, AgentVersion: a.Version, Versions: a.versions.List(),
		Capacity: measure(string(a.folder)), Instances: a.instances.Report()}
	for _, seen := range o.Instances {
		o.Capacity.InstancesMemoryBytes += seen.MemoryBytes
	}
	return o
}
