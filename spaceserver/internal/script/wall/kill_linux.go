package wall

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// kill ends what the script started, where the end of a namespace does not do so.
func (c *Cell) kill() {
	if c.kind == ownNamespaces || c.kind == userNamespace || c.User != 0 && !runs(c.User) {
		return
	}
	for range 100 { // what forks while it is looked at is found in the next round
		if !c.killMarked() {
			return
		}
	}
}

// runs tells whether a user has any process.
func runs(user int) bool {
	_, err := unix.Getpriority(unix.PRIO_USER, user)
	return !errors.Is(err, unix.ESRCH)
}

// killUser kills all that a user runs. A signal to -1 reaches all processes that the sender may signal, at once: none can
// fork away, whatever it made of its environment (kill(2)). A process sends it, not a thread of the server that takes the
// user for a moment: for that moment the user could kill the server.
func killUser(user int) {
	if !runs(user) {
		return
	}
	killer := exec.CommandContext(context.Background(), "/bin/sh", "-c", "kill -KILL -1")
	killer.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(user), Gid: uint32(user)}}
	_ = killer.Run() // it may have killed itself
}

// killMarked kills the processes that carry the cookie in their environment, and tells whether there were any.
func (c *Cell) killMarked() (any bool) {
	mark := []byte(CookieName + "=" + c.cookie)
	files, _ := filepath.Glob("/proc/[0-9]*/environ") // the pattern is right
	for _, file := range files {
		environment, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(environment, mark) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil && unix.Kill(pid, unix.SIGKILL) == nil {
			any = true
		}
	}
	return any
}

// Free is how many bytes are left on the disk of a folder.
func Free(folder string) (int64, bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return 0, false
	}
	return int64(s.Bavail) * s.Bsize, true
}

// size is what a file takes up.
func size(info os.FileInfo) int64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Blocks * 512
	}
	return info.Size()
}

// Lock takes a file for this process, until it is closed or the process dies, and tells whether it could.
func Lock(f *os.File) bool { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil }
