package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// ErrHeld says that another process has the lock.
var ErrHeld = errors.New("another process holds the lock")

// Lock opens and locks a file; the lock lasts as long as the file is open, here or in a child that it was passed to.
func Lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, ErrHeld
		}
		return nil, fmt.Errorf("lock %s: %w", filepath.Base(path), err)
	}
	return f, nil
}

// Unlock releases the lock at once and closes the file. Closing alone would not do it while another has the file open too, and a
// process that is just being started has everything open that we have until it executes its program (flock(2)). Not for a lock
// that was handed to a process: it would be taken from that.
func Unlock(f *os.File) error {
	return errors.Join(os.NewSyscallError("flock", unix.Flock(int(f.Fd()), unix.LOCK_UN)), f.Close())
}

// Sweep kills whoever still holds the lock file until the lock is free, and returns it locked. A process is killed only when it was
// seen twice: one that is between fork and exec has all our files open for an instant.
func Sweep(ctx context.Context, lock string) (*os.File, error) {
	var before []int
	for deadline := time.Now().Add(10 * time.Second); ; {
		f, err := Lock(lock)
		if !errors.Is(err, ErrHeld) {
			return f, err
		}
		file, err := inodeOf(lock)
		if err != nil {
			return nil, err
		}
		now := holders(file)
		for _, pid := range now {
			if slices.Contains(before, pid) {
				killProven(pid, file)
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

func killProven(pid int, file inode) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer func() { _ = unix.Close(fd) }()
	if holds(pid, file) {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
}

// inode is a file's own, whatever its name.
type inode struct{ device, number uint64 }

func inodeOf(path string) (inode, error) {
	var s unix.Stat_t
	if err := unix.Stat(path, &s); err != nil {
		return inode{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return inode{s.Dev, s.Ino}, nil
}

// holds tells whether the process has the file open (proc(5), /proc/pid/fd).
func holds(pid int, file inode) bool {
	if pid <= 0 || pid == os.Getpid() {
		return false
	}
	dir := "/proc/" + strconv.Itoa(pid) + "/fd"
	if held, err := inodeOf(dir + "/3"); err == nil && held == file { // where start put it
		return true
	}
	open, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, fd := range open {
		if held, err := inodeOf(dir + "/" + fd.Name()); err == nil && held == file {
			return true
		}
	}
	return false
}

// holders lists the processes that have the file open, without this one.
func holders(file inode) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && holds(pid, file) {
			pids = append(pids, pid)
		}
	}
	return pids
}
