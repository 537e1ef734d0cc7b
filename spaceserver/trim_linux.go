package spaceserver

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// trim gives back the pages of the executable that only the start needed. They are read-only and come back from the page
// cache when they are touched, so nothing is lost but a minor fault each. It matters because the Space server is one
// command of a large binary: the kernel maps 16 neighbours with each page that the start touches, and keeps them. What
// cannot be given back stays.
func trim() {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer maps.Close()
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		// 00400000-00c8d000 r-xp 00001000 fe:00 1234   /path/of/the/executable (proc(5))
		line := lines.Text()
		span, rest, _ := strings.Cut(line, " ")
		readOnly := strings.HasPrefix(rest, "r--p") || strings.HasPrefix(rest, "r-xp")
		if !readOnly || !strings.HasSuffix(line, self) {
			continue
		}
		var start, end uintptr
		if _, err := fmt.Sscanf(span, "%x-%x", &start, &end); err == nil {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, start, end-start, unix.MADV_DONTNEED)
		}
	}
}
