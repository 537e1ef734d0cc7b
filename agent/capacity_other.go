//go:build !linux

package agent

import "odcm/agentapi"

// measure knows nothing here: agents run on Linux only, and New fails at its lock.
func measure(string) *agentapi.Capacity { return &agentapi.Capacity{} }
