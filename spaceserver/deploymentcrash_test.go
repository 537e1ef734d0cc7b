package spaceserver_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"odcm/kit/db/dbtest"
	"odcm/octopus"
)

const (
	crashDeployments  = 1000
	crashKills        = 10
	crashEnvironments = 40
)

// TestDeploymentsSurviveKills sends 1,000 deployments through the queue, 20 at a time, and kills the server ten times in
// between. Each leaves a mark where its script ran. At the end every task has ended, one that succeeded ran exactly once, one
// that failed says that the server stopped and ran once at most, and nothing is missing.
func TestDeploymentsSurviveKills(t *testing.T) {
	if testing.Short() {
		t.Skip("runs 1,000 deployments")
	}
	t.Parallel()
	t.Run("one node on SQLite", func(t *testing.T) {
		t.Parallel()
		crashDeploymentsOn(t, "sqlite:"+filepath.Join(t.TempDir(), "space.db"), 1)
	})
	t.Run("two nodes on PostgreSQL", func(t *testing.T) {
		t.Parallel()
		crashDeploymentsOn(t, dbtest.PostgreSQL(t), 2)
	})
}

// node is one server process of several on the same database.
type node struct {
	name  string
	cmd   *exec.Cmd
	world *world
}

func crashDeploymentsOn(t *testing.T, database string, count int) {
	data, marks := t.TempDir(), openFolder(t)
	nodes := make([]*node, count)
	for i := range nodes {
		nodes[i] = &node{name: fmt.Sprintf("node-%d", i+1)}
		nodes[i].cmd, nodes[i].world = spawnNode(t, nodes[i].name, data, database)
	}
	bodies := markingProject(nodes[0].world, marks)

	var sending sync.WaitGroup
	var mu sync.RWMutex // held for reading while a request is made, so that a kill is between requests of the test, not of the server
	sent := make(chan int, crashDeployments)
	for i := range crashDeployments {
		sent <- i
	}
	close(sent)
	for range 4 {
		sending.Go(func() {
			for i := range sent {
				for ok := false; !ok; {
					mu.RLock()
					status, _, err := nodes[i%count].world.try(http.MethodPost, "/api/Spaces-1/deployments", bodies[i%len(bodies)])
					mu.RUnlock()
					if ok = err == nil && status == http.StatusCreated; !ok && err == nil {
						t.Errorf("deployment %d: status %d", i, status)
						return
					}
				}
			}
		})
	}
	for kill := range crashKills {
		time.Sleep(300 * time.Millisecond) // work goes on meanwhile: that is what is killed
		mu.Lock()
		n := nodes[kill%count]
		_ = n.cmd.Process.Kill()
		_ = n.cmd.Wait()
		n.cmd, n.world = spawnNode(t, n.name, data, database)
		mu.Unlock()
	}
	sending.Wait()
	w := nodes[0].world
	waitUntil(t, 3*time.Minute, func() bool {
		return w.get("/api/tasks?name=Deploy&states=Queued,Executing,Cancelling&take=1").Int("TotalResults") == 0
	})
	judge(t, w, marks)
}

// judge compares what the tasks say with the marks that the scripts left.
func judge(t *testing.T, w *world, marks string) {
	t.Helper()
	tasks := w.get("/api/tasks?name=Deploy&take=100000").Objects("Items")
	if len(tasks) != crashDeployments {
		t.Errorf("%d tasks, want %d: none may be lost, none made twice", len(tasks), crashDeployments)
	}
	succeeded, failed := 0, 0
	for _, task := range tasks {
		ran := marksOf(t, marks, task)
		switch state := task.Text("State"); state {
		case "Success":
			succeeded++
			if ran != 1 {
				t.Errorf("%s succeeded and ran %d times", task.Text("Id"), ran)
			}
		case "Failed":
			failed++
			if ran > 1 {
				t.Errorf("%s ran %d times", task.Text("Id"), ran)
			}
			if reason := task.Text("ErrorMessage"); !strings.Contains(reason, "stopped") {
				t.Errorf("%s failed because of %q, want that the server stopped", task.Text("Id"), reason)
			}
		default:
			t.Errorf("%s is %s", task.Text("Id"), state)
		}
	}
	t.Logf("%d succeeded, %d failed because their server was killed", succeeded, failed)
	if succeeded < crashDeployments/2 || failed == 0 {
		t.Errorf("%d succeeded and %d failed: the test sees nothing", succeeded, failed)
	}
}

func marksOf(t *testing.T, marks string, task octopus.Object) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(marks, task.Text("Id")))
	if os.IsNotExist(err) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(text), "\n")
}

// openFolder is a folder that everyone may write to: scripts run as somebody else.
func openFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "odcm-marks-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// markingProject makes a project whose step leaves a mark for its task, and returns deployments of its release to many
// environments.
func markingProject(w *world, marks string) []any {
	w.t.Helper()
	environments := make([]string, crashEnvironments)
	for i := range environments {
		environments[i] = w.create("/api/Spaces-1/environments", fields{"Name": fmt.Sprintf("E%d", i)}).Text("Id")
	}
	lifecycle := w.get("/api/Spaces-1/lifecycles/Lifecycles-1")
	lifecycle.Set("Phases", []fields{{"Name": "Any", "OptionalDeploymentTargets": environments}})
	w.want(http.StatusOK, http.MethodPut, "/api/Spaces-1/lifecycles/Lifecycles-1", lifecycle)
	project := w.project("Marks").Text("Id")
	process := w.get("/api/Spaces-1/deploymentprocesses/deploymentprocess-" + project)
	process.Set("Steps", []fields{{"Name": "Mark", "Actions": []fields{{"Name": "Mark", "ActionType": "Octopus.Script", "Properties": fields{
		"Octopus.Action.RunOnServer": "true", "Octopus.Action.Script.ScriptSource": "Inline", "Octopus.Action.Script.Syntax": "Bash",
		"Octopus.Action.Script.ScriptBody": `echo ran >> "` + marks + `/#{Octopus.Task.Id}"`}}}}})
	w.want(http.StatusOK, http.MethodPut, "/api/Spaces-1/deploymentprocesses/deploymentprocess-"+project, process)
	release := w.create("/api/Spaces-1/releases", fields{"ProjectId": project, "Version": "1.0.0"}).Text("Id")
	bodies := []any{}
	for _, id := range environments {
		bodies = append(bodies, fields{"ReleaseId": release, "EnvironmentId": id})
	}
	return bodies
}
