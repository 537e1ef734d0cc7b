package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a running instance that was started or found. It is proven to be the instance by the lock file that it holds.
type Process struct {
	PID     int
	Adopted bool          // found, not started by this agent
	Since   time.Time     // started or found
	Done    chan struct{} // closed when it has ended
	Exit    string        // how, once Done

	pidfd *os.File
}

// Start starts the command in a session of its own with the lock in its hands, and writes its process id into the lock
// file as a hint for the next agent. The caller closes its own lock file afterwards: from then on the child alone holds it.
func Start(cmd *exec.Cmd, lock *os.File, step func(string)) (*Process, error) {
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
func watch(pid int) (*Process, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("pidfd_open", err)
	}
	p := &Process{PID: pid, Since: time.Now(), pidfd: os.NewFile(uintptr(fd), "pidfd"), Done: make(chan struct{})}
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
		p.Exit = end(pid)
		close(p.Done)
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

// Leave stops watching and lets the process run.
func (p *Process) Leave() { _ = p.pidfd.Close() }

// Ended tells whether it has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.Done:
		return true
	default:
		return false
	}
}

func (p *Process) signal(s unix.Signal) error {
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

// Stop asks the process to end and, when the grace is over, ends it with its whole group. It returns when it has ended.
func (p *Process) Stop(ctx context.Context, grace time.Duration) {
	defer p.Leave()
	_ = p.signal(unix.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.Done:
		return
	case <-timer.C:
	case <-ctx.Done():
		return
	}
	p.Kill()
	<-p.Done
}

// Kill ends the process and its group. The group has the process's id, since it leads a session; while the process is not
// reaped, which only we do, nobody else can have that id.
func (p *Process) Kill() {
	if !p.Ended() {
		_ = unix.Kill(-p.PID, unix.SIGKILL)
		_ = p.signal(unix.SIGKILL)
	}
}

// Adopt finds the process that holds the lock file; nil where the lock is free. What holds the lock without leading a
// session is a remainder of an instance that ended.
func Adopt(lock string) (*Process, error) {
	f, err := Lock(lock)
	if err == nil {
		return nil, f.Close()
	}
	if !errors.Is(err, ErrHeld) {
		return nil, err
	}
	file, err := inodeOf(lock)
	if err != nil {
		return nil, err
	}
	candidates := holders(file)
	if hint, err := readHint(lock); err == nil && holds(hint, file) {
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
		if holds(pid, file) {
			p.Adopted = true
			return p, nil
		}
		p.Leave()
	}
	return nil, nil
}

func readHint(lock string) (int, error) {
	f, err := os.Open(lock)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 32)) // the instance can write into the file, too
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(data)))
}

// Resident is the memory of the process in bytes (proc(5), /proc/pid/statm, second field, in pages); 0 where it is unknown.
func (p *Process) Resident() int64 {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID) + "/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 40)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
