package instance

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"strings"
	"syscall"
	"time"

	"odcm/agentapi"
)

// ended takes note of a process that ended by itself.
func (k *keeper) ended() {
	p := k.process
	p.Leave()
	if k.ready && time.Since(p.Since) >= k.supervisor.StableAfter {
		k.failures = 0
	}
	reason := p.Exit
	if last := strings.TrimSpace(tail(k.log())); last != "" {
		reason += ". The end of its log:\n" + last
	}
	k.process, k.ready = nil, false
	k.mu.Lock()
	k.observed.Restarts++
	k.mu.Unlock()
	k.supervisor.Logger.Warn("an instance ended", "instance", k.id, "pid", p.PID, "exit", p.Exit)
	k.pause()
	k.set(agentapi.InstanceState_INSTANCE_STATE_BACKOFF, k.redact(reason))
}

// failed takes note of a start that did not come about.
func (k *keeper) failed(err error) {
	k.process, k.ready = nil, false
	k.supervisor.Logger.Warn("an instance cannot be started", "instance", k.id, "error", err)
	k.pause()
	k.set(agentapi.InstanceState_INSTANCE_STATE_FAILED, k.redact("It cannot be started. "+explain(err)))
}

// pause sets the time of the next try: twice as far away each time, and spread, so that what failed together does not
// return together.
func (k *keeper) pause() {
	pause := min(k.supervisor.RetryFirst<<min(k.failures, 20), k.supervisor.RetryMost)
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
