package instance

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"odcm/agent/process"
	"odcm/agentapi"
)

// keeper brings one instance to its desired state and keeps it there. Its loop is the only one that touches the
// instance's folder and process.
type keeper struct {
	supervisor *Supervisor
	id         string
	dir        string

	mu       sync.Mutex
	wanted   *agentapi.DesiredInstance // nil until the manager was heard: the manifest decides
	observed *agentapi.ObservedInstance
	running  *process.Process // process, for report

	wake chan struct{} // the desired state is another
	done chan struct{} // the loop ended: the instance is removed, or the agent stops

	// The loop's own.
	manifest manifest
	broken   error // the manifest is there and cannot be read: nothing is started or written
	process  *process.Process
	ready    bool
	failures int // since it last ran long enough
	again    time.Time
}

func newKeeper(s *Supervisor, id string) *keeper {
	k := &keeper{supervisor: s, id: id, dir: s.Folder.Instance(id), wake: make(chan struct{}, 1), done: make(chan struct{})}
	k.observed = &agentapi.ObservedInstance{Id: id, State: agentapi.InstanceState_INSTANCE_STATE_PENDING, SinceUnixMilliseconds: time.Now().UnixMilli()}
	return k
}

func (k *keeper) lock() string              { return filepath.Join(k.dir, "instance.lock") }
func (k *keeper) stdout() string            { return filepath.Join(k.dir, "stdout") }
func (k *keeper) log() string               { return filepath.Join(k.dir, "log") }
func (k *keeper) redact(text string) string { return redact(text, k.want().GetAdministrator()) }
func (k *keeper) initialised() bool         { return k.manifest.InstallationID != "" }

// desire hands the keeper what the manager wants.
func (k *keeper) desire(d *agentapi.DesiredInstance) {
	k.mu.Lock()
	same := proto.Equal(k.wanted, d)
	k.wanted = d
	k.mu.Unlock()
	if same {
		return
	}
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

func (k *keeper) want() *agentapi.DesiredInstance {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.wanted
}

// report is what the keeper sees, with the memory of this moment.
func (k *keeper) report() *agentapi.ObservedInstance {
	k.mu.Lock()
	defer k.mu.Unlock()
	o := proto.CloneOf(k.observed)
	if k.running != nil {
		o.MemoryBytes = k.running.Resident()
	}
	return o
}

// set changes what is observed. A state begins when it is first set; the reason belongs to it.
func (k *keeper) set(state agentapi.InstanceState, reason string) {
	k.mu.Lock()
	o := k.observed
	changed := o.State != state || o.Reason != reason
	if o.State != state {
		o.SinceUnixMilliseconds = time.Now().UnixMilli()
	}
	o.State, o.Reason, o.InstallationId, o.Port = state, reason, k.manifest.InstallationID, int64(k.manifest.Port)
	o.Url, o.Version, o.Pid, k.running = "", "", 0, k.process
	if k.process != nil {
		o.Pid = int64(k.process.PID)
		if k.ready && k.manifest.Ready != nil {
			o.Url, o.Version = k.manifest.Ready.URL, k.manifest.Ready.Version
		}
	}
	k.mu.Unlock()
	if changed {
		k.supervisor.Changed()
	}
}

// run is the loop: look at what is wanted and what is, do the next thing, wait for a change of either.
func (k *keeper) run(ctx context.Context) {
	defer close(k.done)
	k.recover(ctx)
	for ctx.Err() == nil {
		k.follow()
		switch {
		case k.manifest.Desired == desiredRemoved:
			if k.remove(ctx) {
				return
			}
		case k.broken != nil:
			k.set(agentapi.InstanceState_INSTANCE_STATE_FAILED, "The "+k.broken.Error()+". Repair "+filepath.Join(k.dir, "manifest.json")+" and restart the agent.")
			k.wait(ctx, nil, 0)
		case k.process == nil && k.manifest.Desired == desiredStopped:
			k.set(agentapi.InstanceState_INSTANCE_STATE_STOPPED, "")
			k.wait(ctx, nil, 0)
		case k.process == nil:
			if pause := time.Until(k.again); pause > 0 {
				k.wait(ctx, nil, pause)
			} else {
				k.start(ctx)
			}
		case k.process.Ended():
			k.ended()
		case k.manifest.Desired == desiredStopped:
			k.stop(ctx)
		case !k.ready:
			k.await(ctx)
		default:
			k.wait(ctx, k.process.Done, 0)
		}
	}
	if k.process != nil {
		k.process.Leave()
	}
}

// wait waits for a new desire, the end of the process, the time, or the agent's end.
func (k *keeper) wait(ctx context.Context, ended <-chan struct{}, atMost time.Duration) {
	var timer <-chan time.Time
	if atMost > 0 {
		t := time.NewTimer(atMost)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
	case <-k.wake:
	case <-ended:
	case <-timer:
	}
}

// recover reads what an earlier agent left: the manifest, and the process if it still runs. It does not go on before it
// knows: an instance that could not be looked for may be running.
func (k *keeper) recover(ctx context.Context) {
	k.manifest = manifest{ID: k.id}
	m, err := readManifest(k.dir)
	switch {
	case err == nil:
		k.manifest = m
	case !errors.Is(err, fs.ErrNotExist):
		k.broken = err
	}
	if _, err := os.Stat(k.dir); errors.Is(err, fs.ErrNotExist) {
		return
	}
	for ctx.Err() == nil {
		err := k.find(ctx)
		if err == nil {
			return
		}
		k.failed(fmt.Errorf("it may run and cannot be looked for: %w", err))
		k.wait(ctx, nil, time.Until(k.again))
	}
}

func (k *keeper) find(ctx context.Context) error {
	p, err := process.Adopt(k.lock())
	if err != nil {
		return err
	}
	if p == nil { // what it left behind goes
		lock, err := process.Sweep(ctx, k.lock())
		if err != nil {
			return err
		}
		return lock.Close()
	}
	k.process = p
	k.supervisor.Logger.Info("found a running instance", "instance", k.id, "pid", p.PID)
	if k.manifest.Port != 0 {
		k.supervisor.ports.keep(k.id, k.manifest.Port)
	}
	k.set(agentapi.InstanceState_INSTANCE_STATE_STARTING, "")
	return nil
}

// follow writes the manager's desire into the manifest. What is unspecified, a newer manager's word, changes nothing.
func (k *keeper) follow() {
	d := k.want()
	if d == nil {
		if k.manifest.Desired == "" { // a folder without a manifest: nothing was ever started from it
			k.manifest.Desired = desiredStopped
		}
		return
	}
	before := k.manifest
	switch d.State {
	case agentapi.DesiredState_DESIRED_STATE_RUNNING:
		k.manifest.Desired = desiredRunning
	case agentapi.DesiredState_DESIRED_STATE_STOPPED:
		k.manifest.Desired = desiredStopped
	case agentapi.DesiredState_DESIRED_STATE_REMOVED:
		k.manifest.Desired = desiredRemoved
	}
	k.manifest.Name, k.manifest.KeepData = d.Name, d.KeepData
	if k.manifest.Version == "" {
		k.manifest.Version = d.Version
	}
	if before == k.manifest || k.broken != nil {
		return
	}
	if _, err := os.Stat(k.dir); err != nil {
		return // start makes it; for a removal there is nothing to make
	}
	if err := k.manifest.write(k.dir); err != nil {
		k.supervisor.Logger.Error("the manifest of an instance cannot be written", "instance", k.id, "error", err)
	}
}

// stop ends the process because it is to be stopped.
func (k *keeper) stop(ctx context.Context) {
	k.supervisor.Step("stopping")
	k.process.Stop(ctx, k.supervisor.StopWithin)
	if !k.process.Ended() {
		return // the agent stops first
	}
	k.process, k.ready, k.failures, k.again = nil, false, 0, time.Time{}
	if lock, err := process.Sweep(ctx, k.lock()); err != nil { // what it left behind goes too
		k.supervisor.Logger.Error("an instance left something running", "instance", k.id, "error", err)
	} else {
		_ = lock.Close()
	}
	k.supervisor.Step("stopped")
}

// remove ends the process and what it left, and takes the folder away in one step, so that none is ever half there.
func (k *keeper) remove(ctx context.Context) bool {
	if k.process != nil {
		if k.stop(ctx); k.process != nil {
			return false
		}
	}
	if _, err := os.Stat(k.dir); err == nil {
		lock, err := process.Sweep(ctx, k.lock())
		if err == nil {
			defer lock.Close()
			err = k.takeAway()
		}
		if err != nil {
			k.failed(fmt.Errorf("its folder cannot be removed: %w", err))
			k.wait(ctx, nil, time.Until(k.again))
			return false
		}
	}
	k.supervisor.ports.release(k.id)
	k.manifest.Port = 0
	k.supervisor.Logger.Info("removed an instance", "instance", k.id, "keepData", k.manifest.KeepData)
	k.set(agentapi.InstanceState_INSTANCE_STATE_REMOVED, "")
	return true
}

func (k *keeper) takeAway() error {
	if k.manifest.KeepData {
		return k.supervisor.Folder.Retire(k.id)
	}
	trash, err := k.supervisor.Folder.Discard(k.id)
	if err != nil {
		return err
	}
	k.supervisor.Step("trashed")
	return os.RemoveAll(trash)
}
