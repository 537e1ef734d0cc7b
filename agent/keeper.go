package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/protobuf/proto"

	"odcm/agentapi"
)

// keeper brings one instance to its desired state and keeps it there. Its loop is the only one that touches the
// instance's folder and process.
type keeper struct {
	agent *Agent
	id    string
	dir   string

	mu       sync.Mutex
	wanted   *agentapi.DesiredInstance // nil until the manager was heard: the manifest decides
	observed *agentapi.ObservedInstance
	pid      int

	wake chan struct{} // the desired state is another
	done chan struct{} // the loop ended: the instance is removed, or the agent stops

	// The loop's own.
	manifest manifest
	broken   error // the manifest is there and cannot be read: nothing is started or written
	process  *process
	ready    bool
	failures int // since it last ran long enough
	again    time.Time
}

func newKeeper(a *Agent, id string) *keeper {
	k := &keeper{agent: a, id: id, dir: filepath.Join(a.Data, "instances", id), wake: make(chan struct{}, 1), done: make(chan struct{})}
	k.observed = &agentapi.ObservedInstance{Id: id, State: agentapi.InstanceState_INSTANCE_STATE_PENDING, SinceUnixMilliseconds: time.Now().UnixMilli()}
	return k
}

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
	if k.pid != 0 {
		o.MemoryBytes = resident(k.pid)
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
	o.Url, o.Version, o.Pid, k.pid = "", "", 0, 0
	if k.process != nil {
		o.Pid, k.pid = int64(k.process.pid), k.process.pid
		if k.ready && k.manifest.Ready != nil {
			o.Url, o.Version = k.manifest.Ready.URL, k.manifest.Ready.Version
		}
	}
	k.mu.Unlock()
	if changed {
		k.agent.changed()
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
		case k.process.ended():
			k.ended()
		case k.manifest.Desired == desiredStopped:
			k.stop(ctx)
		case !k.ready:
			k.await(ctx)
		default:
			k.wait(ctx, k.process.done, 0)
		}
	}
	if k.process != nil {
		k.process.leave()
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
	p, err := adopt(k.lock())
	if err != nil {
		return err
	}
	if p == nil { // what it left behind goes
		lock, err := sweep(ctx, k.lock())
		if err != nil {
			return err
		}
		return lock.Close()
	}
	k.process = p
	k.agent.Logger.Info("found a running instance", "instance", k.id, "pid", p.pid)
	if k.manifest.Port != 0 {
		k.agent.ports.keep(k.id, k.manifest.Port)
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
		k.agent.Logger.Error("the manifest of an instance cannot be written", "instance", k.id, "error", err)
	}
}

func (k *keeper) lock() string              { return filepath.Join(k.dir, "instance.lock") }
func (k *keeper) stdout() string            { return filepath.Join(k.dir, "stdout") }
func (k *keeper) log() string               { return filepath.Join(k.dir, "log") }
func (k *keeper) step(name string)          { k.agent.step(name) }
func (k *keeper) redact(text string) string { return redact(text, k.want().GetAdministrator()) }
func (k *keeper) initialised() bool         { return k.manifest.InstallationID != "" }

// start starts the process. Whatever hinders it becomes the observed reason, and the next try comes after a pause.
func (k *keeper) start(ctx context.Context) {
	administrator := k.want().GetAdministrator()
	if !k.initialised() && administrator == nil {
		if k.want() == nil {
			k.set(agentapi.InstanceState_INSTANCE_STATE_PENDING, "It has not run yet; its first administrator comes from the manager, which has not been heard.")
		} else {
			k.set(agentapi.InstanceState_INSTANCE_STATE_FAILED, "It ran before, but its folder is missing on this server: restore "+k.dir+
				" from a backup, or remove the instance.")
		}
		k.wait(ctx, nil, 0)
		return
	}
	if err := k.prepare(); err != nil {
		k.failed(err)
		return
	}
	k.step("prepared")
	lock, err := sweep(ctx, k.lock())
	if err != nil {
		k.failed(err)
		return
	}
	defer lock.Close()
	k.step("locked")
	cmd, err := k.command(administrator)
	if err != nil {
		k.failed(err)
		return
	}
	defer cmd.Stdout.(*os.File).Close()
	defer cmd.Stderr.(*os.File).Close()
	if k.process, err = start(cmd, lock, k.step); err != nil {
		k.failed(err)
		return
	}
	k.ready = false
	k.agent.Logger.Info("started an instance", "instance", k.id, "pid", k.process.pid, "port", k.manifest.Port)
	k.set(agentapi.InstanceState_INSTANCE_STATE_STARTING, "")
}

// prepare makes the folder and writes down all that the process will be before there is one.
func (k *keeper) prepare() error {
	if err := os.MkdirAll(filepath.Join(k.dir, "data"), 0o700); err != nil {
		return err
	}
	var err error
	if k.manifest.Executable == "" {
		if k.manifest.Executable, err = k.agent.versions.resolve(k.manifest.Version); err != nil {
			return err
		}
	}
	if _, err := os.Stat(k.agent.versions.path(k.manifest.Executable)); err != nil {
		return fmt.Errorf("its executable %s is missing on this server: install version %s again: %w", k.manifest.Executable, k.manifest.Version, err)
	}
	if k.manifest.Port, err = k.agent.ports.take(k.id, int(k.want().GetPort()), k.manifest.Port); err != nil {
		return err
	}
	k.manifest.Ready, k.manifest.ReadyPID = nil, 0
	return k.manifest.write(k.dir)
}

// command is the process to be: `odcm space-server` of the pinned version, on its port, with its folder.
func (k *keeper) command(administrator *agentapi.Administrator) (*exec.Cmd, error) {
	cmd := exec.Command(k.agent.versions.path(k.manifest.Executable), slices.Concat(k.agent.Arguments,
		[]string{"--listen", net.JoinHostPort(k.agent.ports.host, strconv.Itoa(k.manifest.Port)), "--data", filepath.Join(k.dir, "data")})...)
	cmd.Dir = k.dir
	cmd.Env = k.agent.environment
	if !k.initialised() {
		cmd.Env = append(cmd.Env[:len(cmd.Env):len(cmd.Env)], "ADMIN_USERNAME="+administrator.Username,
			"ADMIN_PASSWORD="+administrator.Password, "ADMIN_API_KEY="+administrator.ApiKey)
	}
	stdout, err := os.OpenFile(k.stdout(), os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(k.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		_ = stdout.Close()
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = stdout, log
	return cmd, nil
}

// readyPoll is how often the output of a starting instance is looked at: files have no better news, and it takes
// microseconds.
const readyPoll = 10 * time.Millisecond

// await looks whether the process is ready: it said so on its output, and one that was found also answers.
func (k *keeper) await(ctx context.Context) {
	r, err := k.look(ctx)
	switch {
	case err == nil:
		k.manifest.Ready, k.manifest.ReadyPID, k.manifest.InstallationID = &r, k.process.pid, r.InstallationID
		k.step("ready")
		if err := k.manifest.write(k.dir); err != nil {
			k.set(agentapi.InstanceState_INSTANCE_STATE_STARTING, "It is ready, which cannot be written down. "+explain(err))
			k.wait(ctx, k.process.done, time.Second) // it is not to be called initialised before that is on the disk
			return
		}
		k.ready = true
		k.step("recorded")
		k.set(agentapi.InstanceState_INSTANCE_STATE_RUNNING, "")
	case time.Since(k.process.since) > k.agent.ReadyWithin:
		k.process.kill()
		<-k.process.done
		k.process.exit = fmt.Sprintf("it was not ready within %s and was killed", k.agent.ReadyWithin)
	default:
		k.wait(ctx, k.process.done, readyPoll)
	}
}

func (k *keeper) look(ctx context.Context) (ready, error) {
	r := k.manifest.Ready
	if r == nil || k.manifest.ReadyPID != k.process.pid {
		output, err := head(k.stdout(), maxReady)
		if err != nil {
			return ready{}, err
		}
		found, err := findReady(output)
		if err != nil {
			return ready{}, err
		}
		r = &found
	}
	if k.process.adopted {
		if err := k.agent.ping(ctx, r.URL); err != nil {
			return ready{}, err
		}
	}
	return *r, nil
}

// ended takes note of a process that ended by itself.
func (k *keeper) ended() {
	p := k.process
	p.leave()
	if k.ready && time.Since(p.since) >= k.agent.StableAfter {
		k.failures = 0
	}
	reason := p.exit
	if last := strings.TrimSpace(tail(k.log())); last != "" {
		reason += ". The end of its log:\n" + last
	}
	k.process, k.ready = nil, false
	k.mu.Lock()
	k.observed.Restarts++
	k.mu.Unlock()
	k.agent.Logger.Warn("an instance ended", "instance", k.id, "pid", p.pid, "exit", p.exit)
	k.pause()
	k.set(agentapi.InstanceState_INSTANCE_STATE_BACKOFF, k.redact(reason))
}

// failed takes note of a start that did not come about.
func (k *keeper) failed(err error) {
	k.process, k.ready = nil, false
	k.agent.Logger.Warn("an instance cannot be started", "instance", k.id, "error", err)
	k.pause()
	k.set(agentapi.InstanceState_INSTANCE_STATE_FAILED, k.redact("It cannot be started. "+explain(err)))
}

// pause sets the time of the next try: twice as far away each time, and spread, so that what failed together does not
// return together.
func (k *keeper) pause() {
	pause := min(k.agent.RetryFirst<<min(k.failures, 20), k.agent.RetryMost)
	k.failures++
	k.again = time.Now().Add(pause/2 + rand.N(pause/2+1))
}

// explain says what a failed start means for people.
func explain(err error) string {
	what := ""
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		what = "The disk is full: free some space. "
	case errors.Is(err, fs.ErrPermission):
		what = "The agent may not do this: give its user access. "
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.ENOMEM):
		what = "The machine has no room for another process: end some, or raise the limits. "
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		what = "Too many files are open: raise the limit. "
	}
	return what + err.Error()
}

// redact takes the first administrator's secrets out of what an instance wrote, in case that it wrote them.
func redact(text string, a *agentapi.Administrator) string {
	for _, secret := range []string{a.GetPassword(), a.GetApiKey()} {
		if len(secret) > 3 {
			text = strings.ReplaceAll(text, secret, "(secret)")
		}
	}
	return text
}

// stop ends the process because it is to be stopped.
func (k *keeper) stop(ctx context.Context) {
	k.step("stopping")
	k.process.stop(ctx, k.agent.StopWithin)
	if !k.process.ended() {
		return // the agent stops first
	}
	k.process, k.ready, k.failures, k.again = nil, false, 0, time.Time{}
	if lock, err := sweep(ctx, k.lock()); err != nil { // what it left behind goes too
		k.agent.Logger.Error("an instance left something running", "instance", k.id, "error", err)
	} else {
		_ = lock.Close()
	}
	k.step("stopped")
}

// remove ends the process and what it left, and takes the folder away in one step, so that none is ever half there.
func (k *keeper) remove(ctx context.Context) bool {
	if k.process != nil {
		if k.stop(ctx); k.process != nil {
			return false
		}
	}
	if _, err := os.Stat(k.dir); err == nil {
		lock, err := sweep(ctx, k.lock())
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
	k.agent.ports.release(k.id)
	k.manifest.Port = 0
	k.agent.Logger.Info("removed an instance", "instance", k.id, "keepData", k.manifest.KeepData)
	k.set(agentapi.InstanceState_INSTANCE_STATE_REMOVED, "")
	return true
}

func (k *keeper) takeAway() error {
	name := k.id + "-" + time.Now().UTC().Format("20060102T150405.000")
	if k.manifest.KeepData {
		return os.Rename(k.dir, filepath.Join(k.agent.Data, "retired", name))
	}
	trash := filepath.Join(k.agent.Data, "trash", name)
	if err := os.Rename(k.dir, trash); err != nil {
		return err
	}
	k.step("trashed")
	return os.RemoveAll(trash)
}
