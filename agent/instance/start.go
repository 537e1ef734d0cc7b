package instance

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"odcm/agent/process"
	"odcm/agentapi"
)

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
	k.supervisor.Step("prepared")
	lock, err := process.Sweep(ctx, k.lock())
	if err != nil {
		k.failed(err)
		return
	}
	defer lock.Close()
	k.supervisor.Step("locked")
	cmd, err := k.command(administrator)
	if err != nil {
		k.failed(err)
		return
	}
	defer cmd.Stdout.(*os.File).Close()
	defer cmd.Stderr.(*os.File).Close()
	if k.process, err = process.Start(cmd, lock, k.supervisor.Step); err != nil {
		k.failed(err)
		return
	}
	k.ready = false
	k.supervisor.Logger.Info("started an instance", "instance", k.id, "pid", k.process.PID, "port", k.manifest.Port)
	k.set(agentapi.InstanceState_INSTANCE_STATE_STARTING, "")
}

// prepare makes the folder and writes down all that the process will be before there is one.
func (k *keeper) prepare() error {
	if err := os.MkdirAll(filepath.Join(k.dir, "data"), 0o700); err != nil {
		return err
	}
	var err error
	if k.manifest.Executable == "" {
		if k.manifest.Executable, err = k.supervisor.Versions.Resolve(k.manifest.Version); err != nil {
			return err
		}
	}
	if _, err := os.Stat(k.supervisor.Versions.Path(k.manifest.Executable)); err != nil {
		return fmt.Errorf("its executable %s is missing on this server: install version %s again: %w", k.manifest.Executable, k.manifest.Version, err)
	}
	if k.manifest.Port, err = k.supervisor.ports.take(k.id, int(k.want().GetPort()), k.manifest.Port); err != nil {
		return err
	}
	k.manifest.Ready, k.manifest.ReadyPID = nil, 0
	return k.manifest.write(k.dir)
}

// command is the process to be: `odcm space-server` of the pinned version, on its port, with its folder.
func (k *keeper) command(administrator *agentapi.Administrator) (*exec.Cmd, error) {
	//nolint:noctx // an instance outlives whoever starts it
	cmd := exec.Command(k.supervisor.Versions.Path(k.manifest.Executable), slices.Concat(k.supervisor.Arguments,
		[]string{"--listen", net.JoinHostPort(k.supervisor.Host, strconv.Itoa(k.manifest.Port)), "--data", filepath.Join(k.dir, "data")})...)
	cmd.Dir = k.dir
	cmd.Env = k.supervisor.environment
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
		k.manifest.Ready, k.manifest.ReadyPID, k.manifest.InstallationID = &r, k.process.PID, r.InstallationID
		k.supervisor.Step("ready")
		if err := k.manifest.write(k.dir); err != nil {
			k.set(agentapi.InstanceState_INSTANCE_STATE_STARTING, "It is ready, which cannot be written down. "+explain(err))
			k.wait(ctx, k.process.Done, time.Second) // it is not to be called initialised before that is on the disk
			return
		}
		k.ready = true
		k.supervisor.Step("recorded")
		k.set(agentapi.InstanceState_INSTANCE_STATE_RUNNING, "")
	case time.Since(k.process.Since) > k.supervisor.ReadyWithin:
		k.process.Kill()
		<-k.process.Done
		k.process.Exit = fmt.Sprintf("it was not ready within %s and was killed", k.supervisor.ReadyWithin)
	default:
		k.wait(ctx, k.process.Done, readyPoll)
	}
}

func (k *keeper) look(ctx context.Context) (ready, error) {
	r := k.manifest.Ready
	if r == nil || k.manifest.ReadyPID != k.process.PID {
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
	if k.process.Adopted {
		if err := k.supervisor.ping(ctx, r.URL); err != nil {
			return ready{}, err
		}
	}
	return *r, nil
}
