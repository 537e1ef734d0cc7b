//go:build !linux

package agent

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"time"

	"odcm/agentapi"
)

// The agent proves which process is which instance by what Linux tells of open files, and waits for ends by pidfd.
// Elsewhere it does not start: New fails at its lock.

var (
	errHeld        = errors.New("another process holds the lock")
	errUnsupported = errors.New("agents run on Linux only: run this one on a Linux machine")
)

type process struct {
	pid     int
	adopted bool
	since   time.Time
	done    chan struct{}
	exit    string
}

func lockFile(string) (*os.File, error)                         { return nil, errUnsupported }
func start(*exec.Cmd, *os.File, func(string)) (*process, error) { return nil, errUnsupported }
func adopt(string) (*process, error)                            { return nil, errUnsupported }
func sweep(context.Context, string) (*os.File, error)           { return nil, errUnsupported }
func (p *process) leave()                                       {}
func (p *process) ended() bool                                  { return true }
func (p *process) stop(context.Context, time.Duration)          {}
func (p *process) kill()                                        {}
func measure(string) *agentapi.Capacity                         { return &agentapi.Capacity{} }
func resident(int) int64                                        { return 0 }
