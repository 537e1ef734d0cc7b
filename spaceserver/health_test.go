package spaceserver_test

import (
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/script/sshtest"
)

// sshTarget registers an SSH target in the environment.
func (w *world) sshTarget(s sshtest.Server, name, environment string, more fields) octopus.Object {
	w.t.Helper()
	account := w.create("/api/Spaces-1/accounts", fields{"Name": "Key of " + name, "AccountType": "SshKeyPair", "Username": s.User,
		"PrivateKeyFile": fields{"HasValue": true, "NewValue": base64.StdEncoding.EncodeToString([]byte(s.PrivateKeyPEM))}})
	endpoint := fields{"CommunicationStyle": "Ssh", "Host": s.Host, "Port": s.Port, "Fingerprint": s.Fingerprint, "AccountId": account.Text("Id")}
	body := fields{"Name": name, "EnvironmentIds": []string{environment}, "Roles": []string{"web"}, "Endpoint": endpoint}
	for key, value := range more {
		if key == "Fingerprint" || key == "CommunicationStyle" {
			endpoint[key] = value
			continue
		}
		body[key] = value
	}
	return w.create("/api/Spaces-1/machines", body)
}

// carriedOut starts a task and returns it with its log when it has ended.
func (w *world) carriedOut(body fields) (octopus.Object, string) {
	w.t.Helper()
	return w.outcome(w.create("/api/tasks", body).Text("Id"))
}

func TestHealthOfTargetsIsFoundOut(t *testing.T) {
	t.Parallel()
	server, other := sshtest.Start(t), sshtest.Start(t)
	each(t, func(t *testing.T, w *world) {
		environment := w.create("/api/Spaces-1/environments", fields{"Name": "Dev"}).Text("Id")
		inline := func(name, body string, more fields) string {
			policy := fields{"Name": name, "MachineHealthCheckPolicy": fields{"BashHealthCheckPolicy": fields{"RunType": "Inline", "ScriptBody": body}, "HealthCheckType": "RunScript"}}
			for key, value := range more {
				policy[key] = value
			}
			return w.create("/api/Spaces-1/machinepolicies", policy).Text("Id")
		}
		warns, fails := inline("Warns", "echo_warning 'rather warm'", nil), inline("Fails", "fail_healthcheck 'much too hot'", nil)
		away := inline("May be away", "exit 1", fields{"MachineConnectivityPolicy": fields{"MachineConnectivityBehavior": "MayBeOfflineAndCanBeSkipped"}})
		cases := []struct{ name, id, status, summary, event, connection string }{
			{"well", w.sshTarget(server, "well", environment, nil).Text("Id"), "Healthy", "healthy", "MachineHealthy", "Online"},
			{"warm", w.sshTarget(server, "warm", environment, fields{"MachinePolicyId": warns}).Text("Id"), "HasWarnings", "rather warm", "MachineHasWarnings", "Online"},
			{"hot", w.sshTarget(server, "hot", environment, fields{"MachinePolicyId": fails}).Text("Id"), "Unhealthy", "much too hot", "MachineUnhealthy", "Online"},
			{"stranger", w.sshTarget(server, "stranger", environment, fields{"Fingerprint": other.Fingerprint}).Text("Id"), "Unavailable", "another key", "MachineUnavailable", "Offline"},
			{"away", w.sshTarget(server, "away", environment, fields{"Fingerprint": other.Fingerprint, "MachinePolicyId": away}).Text("Id"), "Unavailable", "another key", "MachineUnavailable", "Offline"},
			{"tentacle", w.sshTarget(server, "tentacle", environment, fields{"CommunicationStyle": "TentaclePassive"}).Text("Id"), "Unavailable", "does not talk to Tentacles", "MachineUnavailable", "Offline"},
			{"region", w.sshTarget(server, "region", environment, fields{"CommunicationStyle": "None"}).Text("Id"), "Healthy", "nothing to check", "MachineHealthy", "Online"},
		}
		task, log := w.carriedOut(fields{"Name": "Health", "SpaceId": "Spaces-1", "Description": "Check Dev", "Arguments": fields{"EnvironmentId": environment, "Timeout": "00:01:00"}})
		if task.Text("State") != "Failed" || !strings.Contains(task.Text("ErrorMessage"), "3 of 7 machines cannot be worked with") {
			t.Errorf("%s: %s", task.Text("State"), task.Text("ErrorMessage"))
		}
		if !strings.Contains(log, "Free disk space") || strings.Contains(log, "PRIVATE KEY") {
			t.Errorf("log:\n%s", log)
		}
		for _, c := range cases {
			m := w.get("/api/Spaces-1/machines/" + c.id)
			if m.Text("HealthStatus") != c.status || !strings.Contains(m.Text("StatusSummary"), c.summary) {
				t.Errorf("%s is %s: %s", c.name, m.Text("HealthStatus"), m.Text("StatusSummary"))
			}
			connection := w.get("/api/Spaces-1/machines/" + c.id + "/connection")
			if connection.Text("Status") != c.connection || len(connection.Objects("Logs")) == 0 || connection.Text("LastChecked") == "" {
				t.Errorf("%s: connection %v", c.name, connection)
			}
			events := w.get("/api/events?regarding=" + c.id)
			var categories []string
			for _, e := range events.Objects("Items") {
				categories = append(categories, e.Text("Category"))
			}
			if strings.Join(categories, " ") != c.event+" MachineAdded Created" {
				t.Errorf("%s: events %v", c.name, categories)
			}
		}
		if m := w.get("/api/Spaces-1/machines/" + cases[0].id); m.Text("ShellName") != "Bash" || m.Text("OperatingSystem") == "Unknown" {
			t.Errorf("facts: %v", m)
		}
		again, _ := w.carriedOut(fields{"Name": "Health", "SpaceId": "Spaces-1", "Description": "Check one", "Arguments": fields{"MachineIds": []string{cases[0].id}}})
		if again.Text("State") != "Success" {
			t.Errorf("%s: %s", again.Text("State"), again.Text("ErrorMessage"))
		}
		if e := w.get("/api/events?regarding=" + cases[0].id); e.Int("TotalResults") != 3 {
			t.Errorf("a state that stayed left an event: %v", e)
		}
		if tasks := w.get("/api/Spaces-1/machines/" + cases[0].id + "/tasks"); len(tasks.Objects("Items")) != 1 || tasks.Objects("Items")[0].Text("Id") != again.Text("Id") {
			t.Errorf("tasks of the machine: %v", tasks)
		}
		if tasks := w.get("/api/Spaces-1/machines/" + cases[1].id + "/tasks"); len(tasks.Objects("Items")) != 0 {
			t.Errorf("tasks of another machine: %v", tasks)
		}
		w.want(http.StatusOK, http.MethodDelete, "/api/Spaces-1/machines/"+cases[0].id, nil)
	})
}

func TestTargetsAreDiscovered(t *testing.T) {
	t.Parallel()
	server := sshtest.Start(t)
	each(t, func(t *testing.T, w *world) {
		query := "/api/Spaces-1/machines/discover?type=Ssh&host=" + server.Host + "&port="
		found := w.get(query + strconv.Itoa(server.Port)).Object("Endpoint")
		if found.Text("Fingerprint") != server.Fingerprint || found.Text("CommunicationStyle") != "Ssh" || int(found.Int("Port")) != server.Port {
			t.Errorf("endpoint %v", found)
		}
		w.want(http.StatusBadRequest, http.MethodGet, query+"1", nil)
		w.want(http.StatusBadRequest, http.MethodGet, query+"x", nil)
		w.want(http.StatusBadRequest, http.MethodGet, "/api/Spaces-1/machines/discover?type=Ssh", nil)
		w.want(http.StatusNotImplemented, http.MethodGet, "/api/Spaces-1/machines/discover?type=TentaclePassive&host=localhost", nil)
		w.get("/api/Spaces-1/workers/discover?type=Ssh&host=" + server.Host + "&port=" + strconv.Itoa(server.Port))
	})
}

func TestScriptsOfTheConsoleRunOnWhatWasChosen(t *testing.T) {
	t.Parallel()
	server := sshtest.Start(t)
	each(t, func(t *testing.T, w *world) {
		environment := w.create("/api/Spaces-1/environments", fields{"Name": "Dev"}).Text("Id")
		target := w.sshTarget(server, "web-1", environment, nil)
		region := w.sshTarget(server, "region", environment, fields{"CommunicationStyle": "None", "Roles": []string{"cloud"}})
		file := filepath.Join(server.Home, "changed-by-"+strings.ReplaceAll(t.Name(), "/", "-"))
		script := func(arguments fields) (octopus.Object, string) {
			return w.carriedOut(fields{"Name": "AdHocScript", "SpaceId": "Spaces-1", "Description": "Script run from management console", "Arguments": arguments})
		}
		done, log := script(fields{"MachineIds": []string{target.Text("Id")}, "TargetType": "Machines", "Syntax": "Bash", "ScriptBody": "echo hello from $(id -un); echo changed > '" + file + "'; write_warning careful"})
		if done.Text("State") != "Success" || !strings.Contains(log, "hello from "+server.User) {
			t.Errorf("%s: %s\n%s", done.Text("State"), done.Text("ErrorMessage"), log)
		}
		if content, err := os.ReadFile(file); err != nil || string(content) != "changed\n" {
			t.Errorf("the file of the target: %q, %v", content, err)
		}
		done, _ = script(fields{"EnvironmentIds": []string{environment}, "TargetRoles": []string{"CLOUD"}, "TargetType": "Environments", "Syntax": "Bash", "ScriptBody": "echo as $(id -u) ; fail_step 'no more'"})
		if done.Text("State") != "Failed" || !strings.Contains(done.Text("ErrorMessage"), "1 of 1 machines: region (no more)") {
			t.Errorf("%s: %s", done.Text("State"), done.Text("ErrorMessage"))
		}
		done, log = script(fields{"TargetType": "OctopusServer", "Syntax": "Bash", "ScriptBody": "cat '" + w.data + "/spaceserver.key' && exit 0; echo kept out"})
		if done.Text("State") != "Success" || !strings.Contains(log, "kept out") {
			t.Errorf("%s: %s\n%s", done.Text("State"), done.Text("ErrorMessage"), log)
		}
		for name, arguments := range map[string]fields{"is empty": {"MachineIds": []string{region.Text("Id")}}, "Choose where": {"ScriptBody": "true"}, "There is no TargetType": {"ScriptBody": "true", "TargetType": "Moon"},
			"No machine is meant": {"ScriptBody": "true", "MachineIds": []string{"Machines-99999"}}} {
			if done, _ := script(arguments); done.Text("State") != "Failed" || !strings.Contains(done.Text("ErrorMessage"), name) {
				t.Errorf("%v: %s: %s", arguments, done.Text("State"), done.Text("ErrorMessage"))
			}
		}
	})
}

func TestMachinesAreCheckedAsTheirPolicySays(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		environment := w.create("/api/Spaces-1/environments", fields{"Name": "Dev"}).Text("Id")
		policy := w.create("/api/Spaces-1/machinepolicies", fields{"Name": "Often", "MachineHealthCheckPolicy": fields{"HealthCheckInterval": "00:00:01"}})
		region := w.create("/api/Spaces-1/machines", fields{"Name": "region", "EnvironmentIds": []string{environment}, "Roles": []string{"cloud"},
			"MachinePolicyId": policy.Text("Id"), "Endpoint": fields{"CommunicationStyle": "None"}})
		checks := func() (ended int) {
			for _, task := range w.get("/api/Spaces-1/machines/" + region.Text("Id") + "/tasks?type=Health").Objects("Items") {
				if task.Text("State") == "Success" {
					ended++
				}
			}
			return ended
		}
		waitUntil(t, 30*time.Second, func() bool { return checks() > 1 })
		if m := w.get("/api/Spaces-1/machines/" + region.Text("Id")); m.Text("HealthStatus") != "Healthy" {
			t.Errorf("it is %s", m.Text("HealthStatus"))
		}
	})
}

func TestScriptsOfTheConsoleNeedPermissionWhereTheyRun(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		region := func(environment string) string {
			return w.create("/api/Spaces-1/machines", fields{"Name": "region of " + environment, "EnvironmentIds": []string{environment}, "Roles": []string{"cloud"},
				"Endpoint": fields{"CommunicationStyle": "None"}}).Text("Id")
		}
		environments := w.environments("Dev", "Prod")
		mine, theirs := region(environments[0]), region(environments[1])
		role := w.create("/api/userroles", fields{"Name": "Script writer", "GrantedSpacePermissions": []string{"TaskCreate", "TaskView", "TaskViewLog", "MachineView", "EnvironmentView"}})
		writer := w.user("writer", fields{"UserRoleId": role.Text("Id"), "SpaceId": "Spaces-1", "EnvironmentIds": []string{environments[0]}})
		script := func(more fields) (status int, state, message string) {
			arguments := fields{"Syntax": "Bash", "ScriptBody": "echo hello"}
			for name, value := range more {
				arguments[name] = value
			}
			status, text := writer.send(http.MethodPost, "/api/tasks", fields{"Name": "AdHocScript", "SpaceId": "Spaces-1", "Arguments": arguments})
			if status != http.StatusCreated {
				return status, "", string(text)
			}
			o, err := octopus.ParseObject(text)
			if err != nil {
				t.Fatal(err)
			}
			task, _ := w.outcome(o.Text("Id"))
			return status, task.Text("State"), task.Text("ErrorMessage")
		}
		if _, state, message := script(fields{"TargetType": "Machines", "MachineIds": []string{mine}}); state != "Success" {
			t.Errorf("on its own environment's: %s: %s", state, message)
		}
		if _, state, message := script(fields{"TargetType": "Machines", "MachineIds": []string{mine, theirs}}); state == "Success" {
			t.Errorf("on another environment's: %s", message)
		}
		if _, state, message := script(fields{"TargetType": "OctopusServer"}); state == "Success" {
			t.Errorf("on the server: %s", message)
		}
	})
}
