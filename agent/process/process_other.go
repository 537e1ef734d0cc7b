//go:build !linux

package process

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"time"
)

var (
	// ErrHeld says that another process has the lock.
	ErrHeld        = errors.New("another process holds the lock")
	errUnsupported = errors.New("agents run on Linux only: run this one on a Linux machine")
)

// Process is a running instance; there is none here.
type Process struct {
	PID     int
	Adopted bool
	Since   time.Time
	Done    chan struct{}
	Exit    string
}

// Lock fails: agents run on Linux only.
func Lock(string) (*os.File, error) { return nil, errUnsupported }

// Unlock fails: agents run on Linux only.
func Unlock(*os.File) error { return errUnsupported }

// Start fails: agents run on Linux only.
func Start(*exec.Cmd, *os.File, func(string)) (*Process, error) { return nil, errUnsupported }

// Adopt fails: agents run on Linux only.
func Adopt(string) (*Process, error) { return nil, errUnsupported }

// Sweep fails: agents run on Linux only.
func Sweep(context.Context, string) (*os.File, error) { return nil, errUnsupported }

// Leave does nothing.
func (p *Process) Leave() {}

// Ended is true.
func (p *Process) Ended() bool { return true }

// Stop does nothing.
func (p *Process) Stop(context.Context, time.Duration) {}

// Kill does nothing.
func (p *Process) Kill() {}

// Resident is 0.
func (p *Process) Resident() int64 { return 0 }
