package main

import (
	"bufio"
	"encoding/json"
	"errors"
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

const apiKey = "API-BENCHBENCHBENCHBENCHBENCH"

var errNotOK = errors.New("it was not answered by 200")

// process is a running control or Space server.
type process struct {
	cmd *exec.Cmd
	url string
	// toFirst is the time from the start of the process to the first answer 200.
	toFirst time.Duration
}

// start runs the binary and waits for its first 200, asking as soon as it says its URL.
func start(dir, binary string, args ...string) (*process, error) {
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "ADMIN_USERNAME=admin", "ADMIN_PASSWORD=bench-Password-1", "ADMIN_API_KEY="+apiKey)
	log, err := os.OpenFile(filepath.Join(dir, "stderr.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("%s said nothing: %w (see %s)", binary, err, log.Name())
	}
	var ready struct {
		URL string `json:"url"`
	}
	if err := json.Unmarshal(line, &ready); err != nil {
		p.stop()
		return nil, fmt.Errorf("%s said %q: %w", binary, line, err)
	}
	p.url = ready.URL
	res, err := http.Get(p.url + "/api")
	if err != nil || res.StatusCode != http.StatusOK {
		p.stop()
		return nil, fmt.Errorf("first request to %s: %w", binary, errors.Join(err, errNotOK))
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	p.toFirst = time.Since(began)
	return p, nil
}

func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// memory is the resident set in MiB.
func (p *process) memory() (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("no VmRSS for process %d", p.cmd.Process.Pid)
}

// cpu is the time that the process spent on all cores, in steps of 10 ms (proc(5): utime and stime of stat, in ticks of USER_HZ);
// 0 where that cannot be read.
func (p *process) cpu() (spent time.Duration) {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	_, rest, _ := strings.Cut(string(b), ") ") // past the name, which may hold anything
	if fields := strings.Fields(rest); len(fields) > 12 {
		for _, ticks := range fields[11:13] {
			n, _ := strconv.Atoi(ticks)
			spent += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return spent
}
