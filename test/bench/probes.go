package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// cost is what either side says of its probes.
type cost struct {
	Probes     int
	CPUSeconds float64
	MemoryMiB  float64
	Online     int
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
	watch := func(inspect time.Duration, seconds int) func() (cost, error) {
		return func() (cost, error) {
			dir, err := os.MkdirTemp(b.dir, "watch-")
			if err != nil {
				return cost{}, err
			}
			return tell(b.watch, filepath.Join(dir, "watch.db"), strconv.Itoa(n), port, strconv.Itoa(seconds), inspect.String())
		}
	}
	var values [3][]float64
	var memory []float64
	for range max(1, b.rounds/2) {
		for side, measure := range []func() (cost, error){
			func() (cost, error) { return tell(b.control, "probe", strconv.Itoa(n), port, strconv.Itoa(seconds)) },
			watch(time.Hour, seconds), watch(time.Minute, 60), // a whole round of inspections
		} {
			c, err := measure()
			if err != nil {
				return err
			}
			if side > 0 && c.Online != n {
				return fmt.Errorf("%d of %d targets are online", c.Online, n)
			}
			values[side] = append(values[side], c.per1000())
			if side == 2 {
				memory = append(memory, c.MemoryMiB)
			}
		}
	}
	c, o, inspected := median(values[0]), median(values[1]), median(values[2])
	b.add(result{fmt.Sprintf("Monitor: CPU per 1,000 probes, %d targets at 10 s, history on disk", n),
		fmt.Sprintf("%.3f s", c), fmt.Sprintf("%.3f s", o), o / c, "≤ 2", o/c <= 2})
	b.notes = append(b.notes, fmt.Sprintf("**Monitor**: asking each of the %d targets once a minute about itself as well (four more requests with JSON) makes it "+
		"%.3f CPU-s per 1,000 probes; the process then holds %.0f MiB, %.1f per 1,000 targets.", n, inspected, median(memory), median(memory)/float64(n)*1000))
	return nil
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
