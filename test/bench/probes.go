package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// cost is what either side says of its probes. Times are in seconds.
type cost struct {
	Probes     int
	CPUSeconds float64
	MemoryMiB  float64
	Online     int

	// Of the monitor only.
	FirstRound, Lateness, StatusesP99, Killed, Hanging float64
}

func (c cost) per1000() float64 { return c.CPUSeconds / float64(c.Probes) * 1000 }

// probes lets both sides probe the same n targets, every 10 s each, one side after the other.
func (b *bench) probes(n, seconds int) error {
	const port = "18921"
	targets := exec.Command(b.control, "targets", port)
	ready, err := targets.StdoutPipe()
	if err != nil {
		return err
	}
	if err := targets.Start(); err != nil {
		return err
	}
	defer func() { _ = targets.Process.Kill(); _ = targets.Wait() }()
	if _, err := bufio.NewReader(ready).ReadString('\n'); err != nil {
		return fmt.Errorf("targets: %w", err)
	}
	urls := filepath.Join(b.dir, "targets.txt")
	if err := os.WriteFile(urls, addresses(n, port), 0o600); err != nil {
		return err
	}
	var values [3][]float64
	var bare, memory []float64
	for range max(1, b.rounds/2) {
		for side, measure := range []func() (cost, error){
			func() (cost, error) { return tell(b.control, "probe", strconv.Itoa(n), port, strconv.Itoa(seconds)) },
			func() (cost, error) { return b.watchRun(urls, seconds, time.Hour, "") },
			func() (cost, error) { return b.watchRun(urls, 60, time.Minute, "") }, // a whole round of inspections
		} {
			c, err := measure()
			if err != nil {
				return err
			}
			if side > 0 && c.Online != n {
				return fmt.Errorf("%d of %d targets are online", c.Online, n)
			}
			values[side] = append(values[side], c.per1000())
			if side == 0 {
				bare = append(bare, c.MemoryMiB)
			} else {
				memory = append(memory, c.MemoryMiB)
			}
		}
	}
	c, o, inspected := median(values[0]), median(values[1]), median(values[2])
	b.add(result{fmt.Sprintf("Monitor: CPU per 1,000 probes, %d targets at 10 s, history on disk", n),
		fmt.Sprintf("%.3f s", c), fmt.Sprintf("%.3f s", o), o / c, "≤ 2", o/c <= 2})
	per, against := slices.Max(memory)/float64(n)*1000, median(bare)/float64(n)*1000
	b.add(result{fmt.Sprintf("Monitor: memory per 1,000 of %d targets, the whole process, everything asked", n),
		fmt.Sprintf("%.1f MiB", against), fmt.Sprintf("%.1f MiB", per), per / against, "≤ 6 MiB", per <= 6})
	b.notes = append(b.notes, fmt.Sprintf("**Monitor**: asking each of the %d targets once a minute about itself as well (maintenance, nodes and queue; version and licence "+
		"now and then) makes it %.3f CPU-s per 1,000 probes.", n, inspected))
	return nil
}

// watchRun runs the monitor on the addresses of a file.
func (b *bench) watchRun(urls string, seconds int, inspect time.Duration, control string) (cost, error) {
	dir, err := os.MkdirTemp(b.dir, "watch-")
	if err != nil {
		return cost{}, err
	}
	return tell(b.watch, "run", filepath.Join(dir, "watch.db"), urls, strconv.Itoa(seconds), inspect.String(), control)
}

// addresses are those at which the control's targets answer, a line each.
func addresses(n int, port string) []byte {
	var all []byte
	for i := range n {
		all = fmt.Appendf(all, "http://127.1.%d.%d:%s\n", i/250, i%250+1, port)
	}
	return all
}

// tell runs the command and reads the JSON that it says at its end.
func tell(name string, args ...string) (c cost, err error) {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return c, fmt.Errorf("%s %s: %w", name, args[0], err)
	}
	return c, json.Unmarshal(out, &c)
}
