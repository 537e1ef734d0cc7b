package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// monitor lets ODCM's monitor watch n simulated servers, with everything that it asks, and then kills some and lets some hang.
// There is no control: the bounds are what is promised.
func (b *bench) monitor(n int) error {
	simulator := exec.Command(b.watch, "simulate", strconv.Itoa(n))
	stdin, err := simulator.StdinPipe()
	if err != nil {
		return err
	}
	ready, err := simulator.StdoutPipe()
	if err != nil {
		return err
	}
	simulator.Stderr = os.Stderr
	if err := simulator.Start(); err != nil {
		return err
	}
	defer func() { stdin.Close(); _ = simulator.Wait() }()
	control, err := bufio.NewReader(ready).ReadString('\n')
	if err != nil {
		return fmt.Errorf("simulator: %w", err)
	}
	control = strings.TrimSpace(control)
	urls := filepath.Join(b.dir, "simulated.txt")
	if err := download(control+"/urls", urls); err != nil {
		return err
	}
	c, err := b.watchRun(urls, 30, time.Minute, control)
	if err != nil {
		return err
	}
	if c.Online != n {
		return fmt.Errorf("%d of %d simulated servers are online", c.Online, n)
	}
	for _, row := range []struct {
		what        string
		took, bound float64
	}{
		{"every target probed after the start", c.FirstRound, 10},
		{"lateness of a probe, p99", c.Lateness, 1},
		{"a killed server is seen, the slowest of 10", c.Killed, 1},
		{"a hanging server is seen, the slowest of 10", c.Hanging, 15},
		{"all statuses in memory, p99", c.StatusesP99, 0.005},
	} {
		b.add(result{fmt.Sprintf("Monitor, %d simulated servers at 10 s: %s", n, row.what), "-", fmt.Sprintf("%.3f s", row.took),
			row.took / row.bound, fmt.Sprintf("≤ %v s", row.bound), row.took <= row.bound})
	}
	return nil
}

func download(url, file string) error {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, res.Body); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
