package spaceserver_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"odcm/kit/db/dbtest"
	"odcm/octopus"
	"odcm/spaceserver"
)

// serve is the server as a process of its own, to be killed.
func serve() {
	s, err := spaceserver.New(spaceserver.Options{Listen: "127.0.0.1:0", Data: os.Getenv("SPACESERVER_DATA"), Database: os.Getenv("SPACESERVER_DATABASE"), AdminAPIKey: adminKey,
		Name: os.Getenv("SPACESERVER_NODE"), TaskCap: 20})
	if err == nil {
		err = s.Start(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = json.NewEncoder(os.Stdout).Encode(s.Ready())
	select {}
}

func spawn(t *testing.T, data, database string) (*exec.Cmd, *world) {
	t.Helper()
	return spawnNode(t, "node", data, database)
}

// spawnNode starts a server as one node of several.
func spawnNode(t *testing.T, node, data, database string) (*exec.Cmd, *world) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SPACESERVER_DATA="+data, "SPACESERVER_DATABASE="+database, "SPACESERVER_NODE="+node)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatalf("the server said nothing: %v", err)
	}
	var ready spaceserver.Ready
	if err := json.Unmarshal(line, &ready); err != nil {
		t.Fatal(err)
	}
	return cmd, &world{t: t, url: ready.URL, key: adminKey}
}

// TestKilledServerLosesNothing kills the server in the middle of writes, several times: what was answered as made is
// there, whole, with its event; what was not answered is whole or not there at all.
func TestKilledServerLosesNothing(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url string) {
		t.Parallel()
		data := t.TempDir()
		var mu sync.Mutex
		made := map[string]string{}
		for round := range 3 {
			cmd, w := spawn(t, data, url)
			var writers sync.WaitGroup
			for n := range 4 {
				writers.Go(func() {
					for i := 0; ; i++ {
						name := fmt.Sprintf("p-%d-%d-%d", round, n, i)
						id, ok := tryCreate(w, name)
						if !ok {
							return
						}
						mu.Lock()
						made[id] = name
						mu.Unlock()
					}
				})
			}
			time.Sleep(150 * time.Millisecond)
			_ = cmd.Process.Kill()
			writers.Wait()
			_ = cmd.Wait()
		}
		_, w := spawn(t, data, url)
		_, text := w.send(http.MethodGet, "/api/Spaces-1/projects/all", nil)
		var projects []octopus.Object
		if err := json.Unmarshal(text, &projects); err != nil {
			t.Fatal(err)
		}
		if len(made) == 0 {
			t.Fatal("nothing was made: the test sees nothing")
		}
		events := w.get("/api/events?take=100000&documentTypes=Project&eventCategories=Created")
		if got := len(events.Objects("Items")); got != len(projects) {
			t.Errorf("%d projects have %d events", len(projects), got)
		}
		for _, p := range projects {
			delete(made, p.Text("Id"))
			for _, part := range []string{"variables/" + p.Text("VariableSetId"), "deploymentprocesses/" + p.Text("DeploymentProcessId")} {
				w.get("/api/Spaces-1/" + part)
			}
			if len(projects) > 200 {
				break
			}
		}
		for _, p := range projects {
			delete(made, p.Text("Id"))
		}
		if len(made) > 0 {
			t.Errorf("lost: %v", made)
		}
	})
}

func tryCreate(w *world, name string) (string, bool) {
	body := fmt.Sprintf(`{"Name":%q,"ProjectGroupId":"ProjectGroups-1","LifecycleId":"Lifecycles-1"}`, name)
	r, err := http.NewRequest(http.MethodPost, w.url+"/api/Spaces-1/projects", strings.NewReader(body))
	if err != nil {
		return "", false
	}
	r.Header.Set("X-Octopus-ApiKey", adminKey)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", false
	}
	defer answer.Body.Close()
	var made struct{ ID string }
	if answer.StatusCode != http.StatusCreated || json.NewDecoder(answer.Body).Decode(&made) != nil {
		return "", false
	}
	return made.ID, true
}
