// Package company runs a manager and several Space servers as processes, lets the Spaces deploy by a script, and holds what the
// manager reports against what the Spaces count themselves.
package company

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// How to get in: the administrator's password and keys of the manager and of the Spaces.
const (
	Password   = "Report-it-2026"
	managerKey = "odcm_theadministratorofthecompany"
	spaceKey   = "API-COMPANYCOMPANYCOMPANY"
)

// Company is a manager and its Spaces.
type Company struct {
	URL    string
	Spaces []*Space

	binary, dir string
	arguments   []string // of the manager
	log         *os.File
	manager     *exec.Cmd
	processes   []*exec.Cmd
}

// New starts so many Space servers, each furnished with what is to be deployed. The manager is not started.
func New(ctx context.Context, binary, dir string, spaces int, arguments ...string) (*Company, error) {
	c := &Company{binary: binary, dir: dir, arguments: arguments, Spaces: make([]*Space, spaces)}
	var err error
	if c.log, err = os.Create(filepath.Join(dir, "processes.log")); err != nil {
		return nil, err
	}
	for i := range c.Spaces {
		if c.Spaces[i], err = c.serve(ctx, i); err != nil {
			return c, err
		}
	}
	return c, nil
}

// Log is the file in which the processes say what they have to say.
func (c *Company) Log() string { return c.log.Name() }

// Close ends all processes.
func (c *Company) Close() {
	if c.manager != nil {
		_ = c.Down()
	}
	for _, p := range c.processes {
		_ = p.Process.Kill()
		_ = p.Wait()
	}
	_ = c.log.Close()
}

func (c *Company) serve(ctx context.Context, i int) (*Space, error) {
	cmd := exec.Command(c.binary, "space-server", "--listen", "127.0.0.1:0", "--data", filepath.Join(c.dir, fmt.Sprintf("space-%d", i)), "--log-level", "error")
	cmd.Env = append(os.Environ(), "ADMIN_USERNAME=lisa", "ADMIN_PASSWORD=Ship-it-2026", "ADMIN_API_KEY="+spaceKey)
	out, err := c.start(cmd)
	if err != nil {
		return nil, err
	}
	c.processes = append(c.processes, cmd)
	line, err := bufio.NewReader(out).ReadBytes('\n')
	var ready struct{ URL string }
	if err := errors.Join(err, json.Unmarshal(line, &ready)); err != nil {
		return nil, fmt.Errorf("a Space server said %q: %w", line, err)
	}
	s, err := newSpace(i, ready.URL)
	if err == nil {
		err = s.furnish(ctx)
	}
	return s, err
}

func (c *Company) start(cmd *exec.Cmd) (io.Reader, error) {
	cmd.Stderr = c.log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return out, cmd.Start()
}

// Up starts the manager, at the address that it had before.
func (c *Company) Up() error {
	listen := "127.0.0.1:0"
	if c.URL != "" {
		listen = c.URL[len("http://"):]
	}
	cmd := exec.Command(c.binary, append([]string{"serve", "--data", filepath.Join(c.dir, "odcm"), "--listen", listen, "--agent-listen", "127.0.0.1:0", "--admin-password", Password,
		"--admin-api-key", managerKey, "--log-level", "warn"}, c.arguments...)...)
	out, err := c.start(cmd)
	if err != nil {
		return err
	}
	ready := regexp.MustCompile(`ready:\s+(http\S+)`)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if found := ready.FindStringSubmatch(lines.Text()); found != nil {
			c.URL, c.manager = found[1], cmd
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return nil
		}
	}
	_ = cmd.Wait()
	return errors.New("the manager ended before it was ready")
}

// Down stops the manager as a service manager does.
func (c *Company) Down() error {
	cmd := c.manager
	c.manager = nil
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	impatient := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer impatient.Stop()
	return cmd.Wait()
}

// Ask sends a request to the manager's API as the administrator.
func (c *Company) Ask(ctx context.Context, method, path string, body, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, c.URL+"/api/v1"+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+managerKey)
	r.Header.Set("Content-Type", "application/json")
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	b, err := io.ReadAll(got.Body)
	if err == nil && got.StatusCode >= http.StatusMultipleChoices {
		err = fmt.Errorf("%s %s: %s: %s", method, path, got.Status, b)
	}
	if err == nil && answer != nil {
		err = json.Unmarshal(b, answer)
	}
	return err
}

// Enlist takes all Spaces under management.
func (c *Company) Enlist(ctx context.Context) error {
	for _, s := range c.Spaces {
		var begun struct{ Task string }
		if err := c.Ask(ctx, http.MethodPost, "/spaces/enlist", map[string]any{"url": s.client.URL(), "apiKey": spaceKey, "signIn": "off",
			"spaces": []any{map[string]any{"octopusSpace": octopusSpace, "name": s.Name}}}, &begun); err != nil {
			return err
		}
		err := Wait(ctx, s.Name+" is enlisted", time.Minute, func() (string, error) {
			var task struct{ State, Error string }
			err := c.Ask(ctx, http.MethodGet, "/tasks/"+begun.Task, nil, &task)
			if err == nil && (task.State == "failed" || task.State == "canceled") {
				err = fmt.Errorf("enlisting %s %s: %s", s.Name, task.State, task.Error)
			}
			if task.State == "succeeded" {
				return "", err
			}
			return "the task is " + task.State, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Deploy lets each Space do so many more deployments of its script, to their end.
func (c *Company) Deploy(ctx context.Context, each int) error {
	var all errgroup.Group
	all.SetLimit(4)
	for _, s := range c.Spaces {
		all.Go(func() error { return s.deploy(ctx, each) })
	}
	return all.Wait()
}

// Wait waits until nothing is missing any more.
func Wait(ctx context.Context, what string, within time.Duration, missing func() (string, error)) error {
	for began := time.Now(); ; {
		lacks, err := missing()
		if err != nil || lacks == "" {
			return err
		}
		if time.Since(began) > within {
			return fmt.Errorf("waited %s until %s: %s", within, what, lacks)
		}
		timer := time.NewTimer(200 * time.Millisecond)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}
