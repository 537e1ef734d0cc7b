package agent

import (
	"bufio"
	"bytes"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"odcm/agentapi"
)

// measure reads what the machine has. What cannot be read is 0.
func measure(dir string) *agentapi.Capacity {
	c := &agentapi.Capacity{Cpus: uint32(runtime.NumCPU())}
	if data, err := os.ReadFile("/proc/meminfo"); err == nil {
		c.MemoryBytes, c.MemoryFreeBytes = parseMeminfo(data)
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err == nil {
		c.DiskBytes, c.DiskFreeBytes = int64(disk.Blocks)*disk.Bsize, int64(disk.Bavail)*disk.Bsize
	}
	return c
}

// parseMeminfo reads MemTotal and MemAvailable (proc(5)), which are in KiB whatever the unit says.
func parseMeminfo(data []byte) (total, available int64) {
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		fields := bytes.Fields(lines.Bytes())
		if len(fields) < 2 {
			continue
		}
		n, err := strconv.ParseInt(string(fields[1]), 10, 53)
		if err != nil {
			continue
		}
		switch string(fields[0]) {
		case "MemTotal:":
			total = n << 10
		case "MemAvailable:":
			available = n << 10
		}
	}
	return total, available
}
