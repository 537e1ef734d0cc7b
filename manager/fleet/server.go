package fleet

import (
	"fmt"
	"time"

	"odcm"
)

// Server is a machine with an agent, enrolled once.
type Server struct {
	ID              odcm.ServerID
	Name            string // what the machine calls itself
	AgentVersion    string
	Enrolled        time.Time
	LastSeen        time.Time // when its agent last called; zero before the first time
	Capacity        Capacity
	Versions        []string // what can be started there, the newest first
	Counts          Counts
	DesiredRevision int64 // grows with each change of what should run there
	Revision        int64

	Key      string // SHA-256 of the public key that its certificates are for, hexadecimal
	Boot     string // of its agent's last report
	Sequence int64  // within the boot
}

// Capacity is what a machine has, as its agent sees it. Sizes are in bytes.
type Capacity struct {
	CPUs            int
	Memory          int64
	MemoryFree      int64
	Disk            int64 // of the file system with the instances
	DiskFree        int64
	InstancesMemory int64 // resident memory of all instances
}

// Counts says how many instances a server has and how many of them run.
type Counts struct{ Instances, Running int }

// Heartbeat is how often an agent reports when nothing changes; OfflineAfter is how long its silence means nothing.
const (
	Heartbeat    = 10 * time.Second
	OfflineAfter = 3 * Heartbeat
)

// Online tells whether the agent has been heard lately.
func (s Server) Online(now time.Time) bool { return now.Sub(s.LastSeen) < OfflineAfter }

// What an idle Space server needs, generously, and what a machine keeps for itself.
const (
	instanceMemory = 64 << 20
	instanceDisk   = 256 << 20
	reservedMemory = 256 << 20
	reservedDisk   = 1 << 30
)

// Room is how many more instances the machine can take, by its free memory and disk. The reason says what is short
// where it is none.
func (s Server) Room(now time.Time) (room int, reason string) {
	if !s.Online(now) {
		if s.LastSeen.IsZero() {
			return 0, "its agent has not reported yet"
		}
		return 0, fmt.Sprintf("its agent was last heard %s", s.LastSeen.UTC().Format(time.DateTime+" UTC"))
	}
	byMemory := (s.Capacity.MemoryFree - reservedMemory) / instanceMemory
	byDisk := (s.Capacity.DiskFree - reservedDisk) / instanceDisk
	switch {
	case byMemory < 1:
		return 0, "its memory is used up"
	case byDisk < 1:
		return 0, "its disk is full"
	}
	return int(min(byMemory, byDisk)), ""
}
