package wall

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// namespace is a process namespace for scripts, one after another. Its first process is not the script, because no signal
// from within ends a first process: a script's kill $$ would do nothing. It belongs to root, so scripts can neither signal it
// nor look into it, and it collects what they orphan. All in the namespace dies with it (pid_namespaces(7)), and it ends when
// the server does, because its input ends then.
type namespace struct {
	first *exec.Cmd
	file  *os.File // for setns(2)
}

// keeper is the first process: cat, which leaves signals as it finds them. What ignores SIGCHLD collects its children (wait(2));
// of shells bash passes that on, dash does not.
const keeper = `trap "" CHLD; exec cat`

func newNamespace() (*namespace, error) {
	bash, err := Find("bash")
	if err != nil {
		return nil, err
	}
	n := &namespace{first: exec.CommandContext(context.Background(), bash, "-c", keeper)} // end ends it
	n.first.Dir, n.first.Env = "/", []string{"PATH=" + Programs}
	n.first.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: syscall.CLONE_NEWPID}
	if _, err := n.first.StdinPipe(); err != nil { // the command keeps it open
		return nil, err
	}
	if err := n.first.Start(); err != nil {
		return nil, err
	}
	if n.file, err = os.Open(n.link(n.first.Process.Pid)); err != nil {
		n.end()
		return nil, err
	}
	return n, nil
}

func (n *namespace) link(pid int) string { return "/proc/" + strconv.Itoa(pid) + "/ns/pid" }

// stands tells whether the first process has not been killed, as the kernel does where memory is short.
func (n *namespace) stands() bool {
	var ended unix.Siginfo
	err := unix.Waitid(unix.P_PID, n.first.Process.Pid, &ended, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err == nil && ended.Signo == 0
}

// end kills all in the namespace and waits for it.
func (n *namespace) end() {
	_ = n.first.Process.Kill()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = n.first.Wait() // it was killed
	}()
	for {
		select {
		case <-gone:
			if n.file != nil {
				_ = n.file.Close() // nothing was written to it
			}
			return
		case <-time.After(10 * time.Millisecond):
			n.collect()
		}
	}
}

// collect collects those that a script made children of the server (CLONE_PARENT in clone(2)): the first process does not
// end before they are.
func (n *namespace) collect() {
	files, _ := filepath.Glob("/proc/[0-9]*/ns/pid") // the pattern is right
	own, err := os.Readlink(n.link(n.first.Process.Pid))
	for _, file := range files {
		if in, failed := os.Readlink(file); failed != nil || err != nil || in != own {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(file)))); err == nil && pid != n.first.Process.Pid {
			_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil) // most are others' children
		}
	}
}

// namespaces are those that no script is in: to make one and take it down costs more than a short script does.
type namespaces struct {
	mu   sync.Mutex
	idle []*namespace
	rest *time.Timer
}

// Of idle namespaces so many are kept, and none after so long without a script.
const (
	mostIdle = 32
	rest     = time.Minute
)

// take gives a namespace without processes.
func (s *namespaces) take() (*namespace, error) {
	for {
		s.mu.Lock()
		last := len(s.idle) - 1
		if last < 0 {
			s.mu.Unlock()
			n, err := newNamespace()
			if err != nil {
				err = fmt.Errorf("process namespace: %w", err)
			}
			return n, err
		}
		n := s.idle[last]
		s.idle = s.idle[:last]
		s.mu.Unlock()
		if n.stands() {
			return n, nil
		}
		n.end()
	}
}

// leave takes a namespace back when the script's process has ended, with all that it left running. What a script starts
// stays its user's, so nothing was left where the user runs nothing.
func (s *namespaces) leave(n *namespace, user int) {
	if runs(user) || !s.keep(n) {
		n.end()
	}
}

func (s *namespaces) keep(n *namespace) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.idle) >= mostIdle {
		return false
	}
	s.idle = append(s.idle, n)
	if s.rest == nil {
		s.rest = time.AfterFunc(rest, s.clear)
	} else {
		s.rest.Reset(rest)
	}
	return true
}

func (s *namespaces) clear() {
	s.mu.Lock()
	idle := s.idle
	s.idle = nil
	s.mu.Unlock()
	for _, n := range idle {
		n.end()
	}
}
