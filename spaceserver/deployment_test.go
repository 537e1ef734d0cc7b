package spaceserver_test

import (
	"archive/zip"
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"odcm/octopus"
	"odcm/spaceserver"
	"odcm/spaceserver/internal/script/sshtest"
)

// bash is a step that runs a script on the server.
func bash(name, body string, properties ...string) fields {
	p := fields{"Octopus.Action.RunOnServer": "true", "Octopus.Action.Script.ScriptSource": "Inline", "Octopus.Action.Script.Syntax": "Bash", "Octopus.Action.Script.ScriptBody": body}
	for i := 0; i < len(properties); i += 2 {
		p[properties[i]] = properties[i+1]
	}
	return step(name, "Octopus.Script", p)
}

func step(name, actionType string, properties fields) fields {
	return fields{"Name": name, "Properties": fields{}, "Actions": []fields{{"Name": name, "ActionType": actionType, "Properties": properties}}}
}

// on makes a step one for targets with a tag.
func on(tag string, s fields) fields {
	s["Properties"].(fields)["Octopus.Action.TargetRoles"] = tag
	s["Actions"].([]fields)[0]["Properties"].(fields)["Octopus.Action.RunOnServer"] = "false"
	return s
}

// process replaces the deployment process of a project.
func (w *world) process(project string, steps ...fields) {
	w.t.Helper()
	p := w.get(space + "deploymentprocesses/deploymentprocess-" + project)
	p.Set("Steps", steps)
	w.want(http.StatusOK, http.MethodPut, space+"deploymentprocesses/deploymentprocess-"+project, p)
}

// variables replaces the variables of a project.
func (w *world) variables(owner string, variables ...fields) {
	w.t.Helper()
	v := w.get(space + "variables/variableset-" + owner)
	v.Set("Variables", variables)
	w.want(http.StatusOK, http.MethodPut, space+"variables/variableset-"+owner, v)
}

// deploy deploys a release and returns the task's id.
func (w *world) deploy(release, environment string, more fields) string {
	w.t.Helper()
	body := fields{"ReleaseId": release, "EnvironmentId": environment}
	for name, value := range more {
		body[name] = value
	}
	return w.create(space+"deployments", body).Text("TaskId")
}

// outcome waits for the end of a task, and returns it with its log.
func (w *world) outcome(task string) (octopus.Object, string) {
	w.t.Helper()
	var o octopus.Object
	waitUntil(w.t, 30*time.Second, func() bool {
		o = w.get("/api/tasks/" + task)
		return o.Bool("IsCompleted")
	})
	_, log := w.send(http.MethodGet, "/api/tasks/"+task+"/raw", nil)
	return o, string(log)
}

// asked waits until a task has asked people, and returns the interruption.
func (w *world) asked(task string) octopus.Object {
	w.t.Helper()
	var found octopus.Object
	waitUntil(w.t, 30*time.Second, func() bool {
		items := w.get(space + "interruptions?pendingOnly=true&regarding=" + task).Objects("Items")
		if len(items) > 0 {
			found = items[0]
		}
		return len(items) > 0
	})
	return found
}

// says answers an interruption.
func (w *world) says(interruption octopus.Object, answer fields) {
	w.t.Helper()
	path := space + "interruptions/" + interruption.Text("Id")
	w.want(http.StatusOK, http.MethodPut, path+"/responsible", nil)
	w.want(http.StatusOK, http.MethodPost, path+"/submit", answer)
}

// contains fails unless the text has all of the parts, in any order.
func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("there is no %q in\n%s", part, text)
		}
	}
}

func TestADeploymentRunsOnTheServer(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		environment := w.environments("Dev")[0]
		project := w.project("Web").Text("Id")
		w.variables(project,
			fields{"Name": "Greeting", "Value": "Hello #{Name}", "Type": "String"},
			fields{"Name": "Name", "Value": "nobody", "Type": "String"},
			fields{"Name": "Name", "Value": "Dev people", "Type": "String", "Scope": fields{"Environment": []string{environment}}},
			fields{"Name": "Password", "Value": "correct horse", "Type": "Sensitive", "IsSensitive": true},
			fields{"Id": "asked", "Name": "Reason", "Value": "", "Type": "String", "Prompt": fields{"Label": "Why", "Required": true}})
		w.process(project,
			bash("Say", `echo "#{Greeting}, $(get_octopusvariable Reason), $(get_octopusvariable Octopus.Release.Number) to $(get_octopusvariable Octopus.Environment.Name)"
echo "the password is $(get_octopusvariable Password)"
set_octopusvariable Built 42
echo kept >result.txt
new_octopusartifact result.txt`),
			bash("Again", `echo "built #{Octopus.Action[Say].Output.Built}"; write_warning careful`))
		release := w.release(project, "1.2.3")
		task, log := w.outcome(w.deploy(release, environment, fields{"FormValues": fields{"asked": "because"}}))
		if task.Text("State") != "Success" || !task.Bool("HasWarningsOrErrors") {
			t.Errorf("%s: %s\n%s", task.Text("State"), task.Text("ErrorMessage"), log)
		}
		contains(t, log, "Step 1: Say", "Hello Dev people, because, 1.2.3 to Dev", "the password is ********", "Step 2: Again", "built 42", "careful")
		if strings.Contains(log, "correct horse") {
			t.Errorf("the log has the secret:\n%s", log)
		}
		artifacts := w.get(space + "artifacts?regarding=" + task.Text("Id")).Objects("Items")
		if len(artifacts) != 1 || artifacts[0].Text("Filename") != "result.txt" {
			t.Fatalf("artifacts %v", artifacts)
		}
		if _, content := w.send(http.MethodGet, space+"artifacts/"+artifacts[0].Text("Id")+"/content", nil); string(content) != "kept\n" {
			t.Errorf("the artifact holds %q", content)
		}
	})
}

func TestPeopleAreAsked(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		environment := w.environments("Dev")[0]
		project := w.project("Web").Text("Id")
		w.variables(project, fields{"Name": "Password", "Value": "correct horse", "Type": "Sensitive", "IsSensitive": true})
		w.process(project,
			bash("Before", `echo before; set_octopusvariable Token "very secret token" -sensitive`),
			step("Approve", "Octopus.Manual", fields{"Octopus.Action.Manual.Instructions": "Look at #{Octopus.Environment.Name} with #{Password}"}),
			bash("Fails", `echo "token #{Octopus.Action[Before].Output.Token}"; [ "$(get_octopusvariable Octopus.Action[Approve].Output.Manual.Notes)" = "fine by me" ] || exit 7; fail_step "not today"`),
			bash("After", "echo after"))
		release := w.release(project, "1.0.0")
		id := w.deploy(release, environment, fields{"UseGuidedFailure": true})
		question := w.asked(id)
		contains(t, text(question), "Look at Dev with ********", "Proceed", "Abort")
		waitUntil(t, 10*time.Second, func() bool { return w.get("/api/tasks/"+id).Text("State") == "Queued" }) // it holds no node
		if !w.get("/api/tasks/" + id).Bool("HasPendingInterruptions") {
			t.Error("the task does not say that it waits")
		}
		w.says(question, fields{"Result": "Proceed", "Notes": "fine by me"})
		failure := w.asked(id)
		contains(t, text(failure), "not today", "Retry", "Ignore", "Fail")
		w.says(failure, fields{"Guidance": "Ignore"})
		task, log := w.outcome(id)
		if task.Text("State") != "Success" || !task.Bool("HasWarningsOrErrors") {
			t.Errorf("%s: %s\n%s", task.Text("State"), task.Text("ErrorMessage"), log)
		}
		if strings.Count(log, "before\n") != 1 || strings.Contains(log, "very secret") {
			t.Errorf("what was done before the question was done again, or a secret shows:\n%s", log)
		}
		contains(t, log, "token ********", "after\n", "chose Ignore")
		id = w.deploy(release, environment, nil)
		w.says(w.asked(id), fields{"Result": "Abort", "Notes": "no way"})
		task, log = w.outcome(id)
		if task.Text("State") != "Failed" || !strings.Contains(task.Text("ErrorMessage"), "aborted. Notes: no way") || strings.Contains(log, "after\n") {
			t.Errorf("%s: %s\n%s", task.Text("State"), task.Text("ErrorMessage"), log)
		}
	})
}

// zipped makes a zip archive of names and contents.
func zipped(t *testing.T, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		f, err := z.Create(files[i])
		if err == nil {
			_, err = f.Write([]byte(files[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (w *world) push(name string, files ...string) {
	w.t.Helper()
	if status, o := w.upload(http.MethodPost, space+"packages/raw?overwriteMode=OverwriteExisting", name, zipped(w.t, files...)); status >= 300 {
		w.t.Fatalf("push: %d %v", status, text(o))
	}
}

// targets registers targets of an SSH server, all on the same machine.
func (w *world) targets(s sshtest.Server, environment, role string, names ...string) (ids []string) {
	w.t.Helper()
	account := w.create(space+"accounts", fields{"Name": "key of " + role, "AccountType": "SshKeyPair", "Username": s.User, "PrivateKeyFile": fields{"HasValue": true, "NewValue": s.PrivateKeyPEM}}).Text("Id")
	for _, name := range names {
		ids = append(ids, w.create(space+"machines", fields{"Name": name, "EnvironmentIds": []string{environment}, "Roles": []string{role},
			"Endpoint": fields{"CommunicationStyle": "Ssh", "AccountId": account, "Host": s.Host, "Port": s.Port, "Fingerprint": s.Fingerprint}}).Text("Id"))
	}
	return ids
}

func TestADeploymentToTargets(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	w := start(t, spaceserver.Options{})
	environment := w.environments("Dev")[0]
	w.targets(s, environment, "web", "web01")
	project := w.project("Web").Text("Id")
	custom := filepath.Join(t.TempDir(), "site")
	if err := os.MkdirAll(filepath.Join(custom, "keep"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"old.txt", "keep/this.txt"} {
		if err := os.WriteFile(filepath.Join(custom, name), []byte("old"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	w.variables(project, fields{"Name": "Title", "Value": "Site of #{Octopus.Machine.Name}", "Type": "String"}, fields{"Name": "Where", "Value": custom, "Type": "String"})
	deploy := on("web", step("Deploy", "Octopus.TentaclePackage", fields{"Octopus.Action.EnabledFeatures": "Octopus.Features.CustomDirectory,Octopus.Features.CustomScripts,Octopus.Features.SubstituteInFiles",
		"Octopus.Action.SubstituteInFiles.TargetFiles": "*.html\nmade.txt", "Octopus.Action.Package.CustomInstallationDirectory": "#{Where}",
		"Octopus.Action.Package.CustomInstallationDirectoryShouldBePurgedBeforeDeployment": "True", "Octopus.Action.Package.CustomInstallationDirectoryPurgeExclusions": "keep",
		"Octopus.Action.CustomScripts.PreDeploy.sh": "echo 'made #{unless x}by #{/unless}#{Octopus.Machine.Name}' >made.txt; echo \"in $(pwd)\""}))
	deploy["Actions"].([]fields)[0]["Packages"] = []fields{{"Name": "", "PackageId": "Acme.Web", "FeedId": "feeds-builtin", "AcquisitionLocation": "Server"}}
	w.process(project, deploy, on("web", bash("Check", `echo "it is in #{Octopus.Action[Deploy].Output.Package.InstallationDirectoryPath} of $(get_octopusvariable Octopus.Machine.Name)"`)))
	w.push("Acme.Web.1.0.0.zip", "index.html", "<title>#{Title}</title>", "logo/a.bin", "#{Title}", "Deploy.sh", `echo "deployed by $(get_octopusvariable Octopus.Release.Number)" >deployed.txt`, "PostDeploy.sh", "echo post deploy")
	packages := []fields{{"ActionName": "Deploy", "PackageReferenceName": "", "Version": "1.0.0"}}
	release := w.create(space+"releases", fields{"ProjectId": project, "Version": "1.0.0", "SelectedPackages": packages}).Text("Id")
	task, log := w.outcome(w.deploy(release, environment, nil))
	if task.Text("State") != "Success" {
		t.Fatalf("%s: %s\n%s", task.Text("State"), task.Text("ErrorMessage"), log)
	}
	contains(t, log, "Acquire packages", "Acme.Web version 1.0.0", "web01", "post deploy", "it is in "+custom+" of web01")
	home := filepath.Join(s.Home, ".octopus", "Applications", "Dev", "Acme.Web")
	for name, want := range map[string]string{filepath.Join(custom, "index.html"): "<title>Site of web01</title>", filepath.Join(custom, "made.txt"): "made by web01\n", filepath.Join(custom, "logo/a.bin"): "#{Title}",
		filepath.Join(custom, "deployed.txt"): "deployed by 1.0.0\n", filepath.Join(custom, "keep/this.txt"): "old", filepath.Join(home, "1.0.0", "index.html"): "<title>Site of web01</title>"} {
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s holds %q (%v), want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"old.txt", "Deploy.sh", "PostDeploy.sh"} {
		if _, err := os.Stat(filepath.Join(custom, name)); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
	// Once more: into a folder of its own; and where that is enough, not at all.
	if task, log = w.outcome(w.deploy(release, environment, nil)); task.Text("State") != "Success" {
		t.Fatalf("%s: %s\n%s", task.Text("State"), task.Text("ErrorMessage"), log)
	}
	if _, err := os.Stat(filepath.Join(home, "1.0.0_1", "index.html")); err != nil {
		t.Error(err)
	}
	o := w.get(space + "projects/" + project)
	o.Set("DefaultToSkipIfAlreadyInstalled", true)
	w.want(http.StatusOK, http.MethodPut, space+"projects/"+project, o)
	task, log = w.outcome(w.deploy(release, environment, nil))
	if _, err := os.Stat(filepath.Join(home, "1.0.0_2")); err == nil || task.Text("State") != "Success" || !strings.Contains(log, "is installed already") {
		t.Errorf("%s: it was installed again\n%s", task.Text("ErrorMessage"), log)
	}
	task, log = w.outcome(w.deploy(release, environment, fields{"ForcePackageRedeployment": true}))
	if _, err := os.Stat(filepath.Join(home, "1.0.0_2", "index.html")); err != nil {
		t.Errorf("%s: it was not installed again: %v\n%s", task.Text("ErrorMessage"), err, log)
	}
}

func TestAPackageOnTheServer(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{})
	environment := w.environments("Dev")[0]
	project := w.project("Web").Text("Id")
	deploy := step("Deploy", "Octopus.TentaclePackage", fields{"Octopus.Action.RunOnServer": "true", "Octopus.Action.Package.PackageId": "Acme.Web", "Octopus.Action.Package.FeedId": "feeds-builtin"})
	use := bash("Use", `cat tool/bin.txt; ls; echo "$(get_octopusvariable 'Octopus.Action.Package[tool].ExtractedPath')"; echo "at #{Octopus.Action[Deploy].Output.Package.InstallationDirectoryPath}"`)
	use["Actions"].([]fields)[0]["Packages"] = []fields{{"Name": "tool", "PackageId": "Tool", "FeedId": "feeds-builtin", "Properties": fields{"Extract": "True"}}, {"Name": "raw", "PackageId": "Tool", "FeedId": "feeds-builtin", "Properties": fields{"Extract": "False"}}}
	from := step("From", "Octopus.Script", fields{"Octopus.Action.RunOnServer": "true", "Octopus.Action.Script.ScriptSource": "Package", "Octopus.Action.Script.ScriptFileName": "scripts/go.sh", "Octopus.Action.Script.ScriptParameters": "one 'two words'"})
	from["Actions"].([]fields)[0]["Packages"] = []fields{{"Name": "", "PackageId": "Tool", "FeedId": "feeds-builtin"}}
	w.process(project, deploy, use, from)
	w.push("Acme.Web.1.0.0.zip", "a.txt", "a", "Deploy.sh", "echo deployed in $(pwd); ls")
	w.push("Tool.2.0.0.zip", "bin.txt", "a tool\n", "scripts/go.sh", `echo "from #{Octopus.Environment.Name}: $2 of $#"; cat beside.txt`, "scripts/beside.txt", "beside\n")
	release := w.create(space+"releases", fields{"ProjectId": project, "Version": "1.0.0", "SelectedPackages": []fields{{"ActionName": "Deploy", "Version": "1.0.0"}, {"ActionName": "Use", "PackageReferenceName": "tool", "Version": "2.0.0"},
		{"ActionName": "Use", "PackageReferenceName": "raw", "Version": "2.0.0"}, {"ActionName": "From", "Version": "2.0.0"}}}).Text("Id")
	task, log := w.outcome(w.deploy(release, environment, nil))
	if task.Text("State") != "Success" {
		t.Fatalf("%s: %s\n%s", task.Text("State"), task.Text("ErrorMessage"), log)
	}
	contains(t, log, "deployed in ", "Applications/Dev/Acme.Web/1.0.0", "a tool", "raw.zip", "/tool\n", "from Dev: two words of 2", "beside\n")
}

func TestWhatGoesWrongIsTold(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{})
	environment := w.environments("Dev")[0]
	bad := step("Deploy", "Octopus.TentaclePackage", fields{"Octopus.Action.RunOnServer": "true"})
	bad["Actions"].([]fields)[0]["Packages"] = []fields{{"Name": "", "PackageId": "Bad", "FeedId": "feeds-builtin"}}
	w.push("Bad.1.0.0.zip", "../../escaped.txt", "out")
	for name, c := range map[string]struct {
		steps     []fields
		variables []fields
		says      string
	}{
		"a script that fails":                    {[]fields{bash("Run", "exit 3")}, nil, "Step 1: Run failed: The remote script failed with exit code 3"},
		"a step of a type that is not known":     {[]fields{bash("Run", "touch ran"), step("Cluster", "Octopus.KubernetesDeployContainers", fields{})}, nil, "The step 'Cluster' is of the type 'Octopus.KubernetesDeployContainers'"},
		"a variable that refers to itself":       {[]fields{bash("Run", "echo hi")}, []fields{{"Name": "Loop", "Value": "#{Loop}", "Type": "String"}}, "refers to itself"},
		"a package that leads out of its folder": {[]fields{bad}, nil, "Step 1: Deploy failed: "},
		"no targets":                             {[]fields{on("nowhere", bash("Run", "echo hi"))}, nil, "The step 'Run' needs deployment targets"},
		"a script in a language that is not run": {[]fields{bash("Run", "1+1", "Octopus.Action.Script.Syntax", "FSharp")}, nil, "FSharp"},
		"error output that is not wanted":        {[]fields{bash("Run", "echo bad >&2", "Octopus.Action.FailScriptOnErrorOutput", "True")}, nil, "wrote to its error output"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &world{t: t, url: w.url, key: w.key, data: w.data}
			project := w.project(name).Text("Id")
			w.variables(project, c.variables...)
			w.process(project, c.steps...)
			release := w.create(space+"releases", fields{"ProjectId": project, "Version": "1.0.0", "SelectedPackages": []fields{{"ActionName": "Deploy", "Version": "1.0.0"}}}).Text("Id")
			task, log := w.outcome(w.deploy(release, environment, nil))
			if task.Text("State") != "Failed" || !strings.Contains(task.Text("ErrorMessage"), c.says) {
				t.Errorf("%s: %q, want %q\n%s", task.Text("State"), task.Text("ErrorMessage"), c.says, log)
			}
		})
	}
	t.Cleanup(func() {
		for _, name := range w.files() {
			if strings.Contains(name, "escaped") {
				t.Errorf("the package wrote %s", name)
			}
		}
	})
}

func TestCancelKillsTheScript(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{})
	environment := w.environments("Dev")[0]
	project := w.project("Web").Text("Id")
	w.process(project, bash("Sleeps", "echo begun; sleep 600"), bash("After", "echo after"))
	id := w.deploy(w.release(project, "1.0.0"), environment, nil)
	waitUntil(t, 20*time.Second, func() bool {
		_, log := w.send(http.MethodGet, "/api/tasks/"+id+"/raw", nil)
		return strings.Contains(string(log), "begun")
	})
	w.send(http.MethodPost, "/api/tasks/"+id+"/cancel", fields{})
	task, log := w.outcome(id)
	if task.Text("State") != "Canceled" || strings.Contains(log, "after\n") {
		t.Errorf("%s\n%s", task.Text("State"), log)
	}
}
