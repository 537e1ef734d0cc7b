package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// greeting is the one step of the project, and the control's script.
const greeting = "echo hello from the step\n"

// deployments measures how many deployments of a project of one bash step get through the queue, 20 at a time, while
// somebody reads the API.
func (b *bench) deployments(count int) error {
	dir, err := os.MkdirTemp(b.dir, "deploy-")
	if err != nil {
		return err
	}
	script := filepath.Join(dir, "step.sh")
	if err := os.WriteFile(script, []byte(greeting), 0o600); err != nil {
		return err
	}
	control, err := start(dir, b.control, "deploy", filepath.Join(dir, "x.db"), script)
	if err != nil {
		return err
	}
	defer control.stop()
	space, err := start(dir, b.odcm, "space-server", "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data"), "--log-level", "error", "--task-cap", "20")
	if err != nil {
		return err
	}
	defer space.stop()
	deployments, err := oneStep(space.url)
	if err != nil {
		return err
	}
	var rates, p99 [2][]float64
	for range b.rounds {
		for side, run := range []struct {
			path, read string
			bodies     [][]byte
			p          *process
			done       func() (int, error)
		}{
			{"/api/deploy", "/api/one", [][]byte{nil}, control, func() (int, error) { return controlDone(control.url) }},
			{"/api/Spaces-1/deployments", "/api/Spaces-1/projects", deployments, space, func() (int, error) { return spaceDone(space.url) }},
		} {
			rate, slow, err := through(run.p.url+run.path, run.p.url+run.read, run.bodies, count, run.done)
			if err != nil {
				return err
			}
			rates[side], p99[side] = append(rates[side], rate), append(p99[side], slow)
		}
	}
	c, o := median(rates[0]), median(rates[1])
	b.add(result{"Space server: deployments of one bash step", fmt.Sprintf("%.0f/s", c), fmt.Sprintf("%.0f/s", o), o / c, "≥ 0.5", o/c >= 0.5})
	b.notes = append(b.notes, fmt.Sprintf("API under that load, 20 deployments at a time on the same cores: 99 of 100 lists of projects within %.0f ms (control, one row: %.0f ms).", median(p99[1]), median(p99[0])))
	return nil
}

// through sends the deployments over 8 connections and waits for the last to end. It returns deployments per second and the
// 99th percentile of a reader's waits, in milliseconds.
func through(url, read string, bodies [][]byte, count int, done func() (int, error)) (rate, p99 float64, err error) {
	before, err := done()
	if err != nil {
		return 0, 0, err
	}
	stop, waits := make(chan struct{}), make(chan []float64, 1)
	go func() { waits <- reader(read, stop) }()
	began := time.Now()
	numbers := make(chan int, count)
	for i := range count {
		numbers <- i
	}
	close(numbers)
	var sending sync.WaitGroup
	failed := make(chan error, 8)
	for range 8 {
		sending.Go(func() {
			for n := range numbers {
				if _, err := post(url, bodies[n%len(bodies)]); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	sending.Wait()
	for {
		n, err := done()
		if err != nil {
			return 0, 0, err
		}
		if n-before >= count {
			break
		}
		select {
		case err := <-failed:
			return 0, 0, err
		default:
		}
		if time.Since(began) > 3*time.Minute {
			return 0, 0, fmt.Errorf("%s: %d of %d deployments ended in three minutes", url, n-before, count)
		}
		time.Sleep(100 * time.Millisecond) // asking costs what is measured
	}
	took := time.Since(began)
	close(stop)
	all := <-waits
	slices.Sort(all)
	return float64(count) / took.Seconds(), all[len(all)*99/100], nil
}

// reader asks 50 times a second and returns how long each answer took.
func reader(url string, stop <-chan struct{}) []float64 {
	waits := []float64{0}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return waits
		case <-tick.C:
			began := time.Now()
			if get(url) == nil {
				waits = append(waits, float64(time.Since(began))/float64(time.Millisecond))
			}
		}
	}
}

func controlDone(url string) (int, error) {
	var counts struct{ Done, Failed int }
	err := ask(url+"/api/done", &counts)
	if err == nil && counts.Failed > 0 {
		err = fmt.Errorf("%d of the control's scripts failed", counts.Failed)
	}
	return counts.Done, err
}

func spaceDone(url string) (int, error) {
	var page struct{ TotalResults int }
	if err := ask(url+"/api/tasks?name=Deploy&states=Failed,Canceled,TimedOut&take=1", &page); err != nil {
		return 0, err
	}
	if page.TotalResults > 0 {
		return 0, fmt.Errorf("%d of the Space server's deployments failed", page.TotalResults)
	}
	err := ask(url+"/api/tasks?name=Deploy&states=Success&take=1", &page)
	return page.TotalResults, err
}

// oneStep makes a project whose process is one bash step, a release of it, and returns what to post: deployments to 20
// environments in turn, because of those of one project to one environment one runs at a time.
func oneStep(url string) ([][]byte, error) {
	base := url + "/api/Spaces-1/"
	project, err := post(base+"projects", object{"Name": "Web", "ProjectGroupId": "ProjectGroups-1", "LifecycleId": "Lifecycles-1"}.json())
	if err != nil {
		return nil, err
	}
	process := object{"Id": "deploymentprocess-" + project, "ProjectId": project, "Version": 0, "Steps": []object{{"Name": "Greet", "Actions": []object{{"Name": "Greet", "ActionType": "Octopus.Script",
		"Properties": object{"Octopus.Action.RunOnServer": "true", "Octopus.Action.Script.ScriptSource": "Inline", "Octopus.Action.Script.Syntax": "Bash", "Octopus.Action.Script.ScriptBody": greeting}}}}}}
	if _, err := call(http.MethodPut, base+"deploymentprocesses/deploymentprocess-"+project, process.json()); err != nil {
		return nil, err
	}
	var environments []string
	for i := range 20 {
		id, err := post(base+"environments", object{"Name": fmt.Sprintf("Dev %d", i)}.json())
		if err != nil {
			return nil, err
		}
		environments = append(environments, id)
	}
	if err := anyOrder(base, environments); err != nil {
		return nil, err
	}
	release, err := post(base+"releases", object{"ProjectId": project, "Version": "1.0.0"}.json())
	if err != nil {
		return nil, err
	}
	var bodies [][]byte
	for _, id := range environments {
		bodies = append(bodies, object{"ReleaseId": release, "EnvironmentId": id}.json())
	}
	return bodies, nil
}

// anyOrder puts all environments into one phase of the default lifecycle.
func anyOrder(base string, environments []string) error {
	var lifecycle object
	if err := ask(base+"lifecycles/Lifecycles-1", &lifecycle); err != nil {
		return err
	}
	lifecycle["Phases"] = []object{{"Name": "Any", "OptionalDeploymentTargets": environments}}
	_, err := call(http.MethodPut, base+"lifecycles/Lifecycles-1", lifecycle.json())
	return err
}

// memoryAfter measures what a Space server holds after a tenth of the tasks and after all of them: it must not grow with what
// it has done.
func (b *bench) memoryAfter(tasks int) error {
	dir, err := os.MkdirTemp(b.dir, "tasks-")
	if err != nil {
		return err
	}
	p, err := start(dir, b.odcm, "space-server", "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data"), "--log-level", "error", "--task-cap", "20")
	if err != nil {
		return err
	}
	defer p.stop()
	body := object{"Name": "Health", "SpaceId": "Spaces-1", "Description": "Check the health of nothing", "Arguments": object{}}.json()
	done := func() (int, error) {
		var page struct{ TotalResults int }
		err := ask(p.url+"/api/tasks?name=Health&states=Success&take=1", &page)
		return page.TotalResults, err
	}
	var held [2]float64
	for i, count := range []int{tasks / 10, tasks - tasks/10} {
		for left := count; left > 0; left -= min(left, 5000) { // in pieces, so that the queue stays short
			if _, _, err := through(p.url+"/api/tasks", p.url+"/api", [][]byte{body}, min(left, 5000), done); err != nil {
				return err
			}
		}
		time.Sleep(5 * time.Second)
		if held[i], err = p.memory(); err != nil {
			return err
		}
	}
	b.add(result{fmt.Sprintf("Space server: resident memory after %d tasks, against after %d", tasks, tasks/10), fmt.Sprintf("%.1f MiB", held[0]), fmt.Sprintf("%.1f MiB", held[1]), held[1] / held[0], "≤ 1.25", held[1]/held[0] <= 1.25})
	return nil
}

type object map[string]any

func (o object) json() []byte {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err) // plain values always marshal
	}
	return b
}

// post creates something and returns its id.
func post(url string, body []byte) (string, error) { return call(http.MethodPost, url, body) }

func call(method, url string, body []byte) (string, error) {
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Octopus-ApiKey", apiKey)
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		return "", fmt.Errorf("%s %s: %s: %s", method, url, res.Status, answer)
	}
	var made struct{ ID string }
	return made.ID, json.Unmarshal(answer, &made)
}

func ask(url string, into any) error {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("X-Octopus-ApiKey", apiKey)
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s: %w", url, res.Status, errNotOK)
	}
	return json.NewDecoder(res.Body).Decode(into)
}
