package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// process is a running instance that was started or found. It is proven to be the instance by the lock file that it holds.
type process struct {
	pid     int
	adopted bool      // found, not started by this agent
	since   time.Time // started or found
	pidfd   *os.File
	done    chan struct{} // closed when it has ended
	exit    string        // how, once done
}

// errHeld says that another process has the lock.
var errHeld = errors.New("another process holds the lock")

// lockFile opens and locks a file; the lock lasts as long as the file is open, here or in a child that it was passed to.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errHeld
		}
		return nil, fmt.Errorf("lock %s: %w", filepath.Base(path), err)
	}
	return f, nil
}

// start starts the command in a session of its own with the lock in its hands, and writes its process id into the lock
// file as a hint for the next agent. The caller closes its own lock file afterwards: from then on the child alone holds it.
func start(cmd *exec.Cmd, lock *os.File, step func(string)) (*process, error) {
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	cmd.ExtraFiles = []*os.File{lock}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	pid := cmd.Process.Pid
	step("forked")
	p, err := watch(pid)
	if err != nil {
		_ = unix.Kill(-pid, unix.SIGKILL)
		_ = cmd.Wait()
		return nil, err
	}
	_ = cmd.Process.Release() // reaped by pidfd and wait4 instead, see end
	hint := strconv.Itoa(pid) + "\n"
	if _, err := lock.WriteAt([]byte(hint), 0); err == nil {
		_ = lock.Truncate(int64(len(hint)))
	}
	step("hinted")
	return p, nil
}

// watch opens the process and waits for its end in the runtime's poller, without a thread.
func watch(pid int) (*process, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("pidfd_open", err)
	}
	p := &process{pid: pid, since: time.Now(), pidfd: os.NewFile(uintptr(fd), "pidfd"), done: make(chan struct{})}
	raw, err := p.pidfd.SyscallConn()
	if err != nil {
		_ = p.pidfd.Close()
		return nil, err
	}
	go func() {
		err := raw.Read(func(fd uintptr) bool { // called again whenever the poller says so; a pidfd is readable at the end
			ready, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
			return err == nil && ready > 0
		})
		if err != nil {
			return // left: the process runs on
		}
		p.exit = end(pid)
		close(p.done)
	}()
	return p, nil
}

// end says how the process ended, as far as it can be known: only a parent is told.
func end(pid int) string {
	var status unix.WaitStatus
	if reaped, err := unix.Wait4(pid, &status, unix.WNOHANG, nil); err != nil || reaped != pid {
		return "it ended"
	}
	switch {
	case status.Signaled() && status.Signal() == unix.SIGKILL:
		return "it was killed (signal 9), by somebody or for want of memory"
	case status.Signaled():
		return fmt.Sprintf("it was ended by signal %d (%s)", int(status.Signal()), status.Signal())
	default:
		return fmt.Sprintf("it ended with exit status %d", status.ExitStatus())
	}
}

// leave stops watching and lets the process run.
func (p *process) leave() { _ = p.pidfd.Close() }

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *process) signal(s unix.Signal) error {
	raw, err := p.pidfd.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	if err := raw.Control(func(fd uintptr) { sent = unix.PidfdSendSignal(int(fd), s, nil, 0) }); err != nil {
		return err
	}
	return sent
}

// stop asks the process to end and, when the grace is over, ends it with its whole group. It returns when it has ended.
func (p *process) stop(ctx context.Context, grace time.Duration) {
	defer p.leave()
	_ = p.signal(unix.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return
	case <-timer.C:
	case <-ctx.Done():
		return
	}
	p.kill()
	<-p.done
}

// kill ends the process and its group. The group has the process's id, since it leads a session; while the process is not
// reaped, which only we do, nobody else can have that id.
func (p *process) kill() {
	if !p.ended() {
		_ = unix.Kill(-p.pid, unix.SIGKILL)
		_ = p.signal(unix.SIGKILL)
	}
}

// adopt finds the process that holds the lock file; nil where the lock is free. What holds the lock without leading a
// session is a remainder of an instance that ended.
func adopt(lock string) (*process, error) {
	f, err := lockFile(lock)
	if err == nil {
		return nil, f.Close()
	}
	if !errors.Is(err, errHeld) {
		return nil, err
	}
	id, err := identityOf(lock)
	if err != nil {
		return nil, err
	}
	candidates := holders(id)
	if hint, err := readHint(lock); err == nil && holds(hint, id) {
		candidates = []int{hint}
	}
	for _, pid := range candidates {
		if session, err := unix.Getsid(pid); err != nil || session != pid {
			continue
		}
		p, err := watch(pid) // opened before it is proven, so that what is proven is what is watched
		if errors.Is(err, unix.ESRCH) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if holds(pid, id) {
			p.adopted = true
			return p, nil
		}
		p.leave()
	}
	return nil, nil
}

func readHint(lock string) (int, error) {
	data, err := head(lock, 32)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(data)))
}

// sweep kills whoever still holds the lock file until the lock is free, and returns it locked. A process is killed only when it was
// seen twice: one that is between fork and exec has all our files open for an instant.
func sweep(ctx context.Context, lock string) (*os.File, error) {
	var before []int
	for deadline := time.Now().Add(10 * time.Second); ; {
		f, err := lockFile(lock)
		if !errors.Is(err, errHeld) {
			return f, err
		}
		id, err := identityOf(lock)
		if err != nil {
			return nil, err
		}
		now := holders(id)
		for _, pid := range now {
			if slices.Contains(before, pid) {
				killProven(pid, id)
			}
		}
		before = now
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("processes %v of this instance cannot be ended: end them, or restart the machine", now)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func killProven(pid int, id identity) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if holds(pid, id) {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
}

// identity is a file's own, whatever its name.
type identity struct{ device, inode uint64 }

func identityOf(path string) (identity, error) {
	var s unix.Stat_t
	if err := unix.Stat(path, &s); err != nil {
		return identity{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return identity{s.Dev, s.Ino}, nil
}

// holds tells whether the process has the file open (proc(5), /proc/pid/fd).
func holds(pid int, id identity) bool {
	if pid <= 0 || pid == os.Getpid() {
		return false
	}
	dir := "/proc/" + strconv.Itoa(pid) + "/fd"
	if held, err := identityOf(dir + "/3"); err == nil && held == id { // where start put it
		return true
	}
	open, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, fd := range open {
		if held, err := identityOf(dir + "/" + fd.Name()); err == nil && held == id {
			return true
		}
	}
	return false
}

// holders lists the processes that have the file open, without this one.
func holders(id identity) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && holds(pid, id) {
			pids = append(pids, pid)
		}
	}
	return pids
}
