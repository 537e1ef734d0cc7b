package test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// spaceServersIn lists the processes that run as Space servers with their data below the folder (proc(5)).
func spaceServersIn(t testing.TB, dir string) (pids []int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(files) == 0 {
		t.Fatalf("no processes are seen: %v", err)
	}
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil {
			continue // it ended
		}
		arguments := strings.Split(string(bytes.TrimRight(line, "\x00")), "\x00")
		for i, a := range arguments {
			if slices.Contains(arguments, "space-server") && a == "--data" && i+1 < len(arguments) && strings.HasPrefix(arguments[i+1], dir+"/") {
				pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// endAll kills what a failed test left.
func endAll(t testing.TB, dir string) {
	t.Helper()
	for _, pid := range spaceServersIn(t, dir) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	until(t, "no Space server runs in "+dir, func() bool { return len(spaceServersIn(t, dir)) == 0 })
}
