package spaceserver_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"odcm/spaceserver"
	"odcm/spaceserver/internal/script/sshtest"
)

func TestVariablesComeFromEverywhere(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{})
	environments := w.environments("Dev", "Live")
	set := w.create(space+"libraryvariablesets", fields{"Name": "Shared", "Templates": []fields{{"Id": "region", "Name": "Region", "DefaultValue": "nowhere"}, {"Id": "key", "Name": "Key", "DisplaySettings": fields{"Octopus.ControlType": "Sensitive"}}}}).Text("Id")
	w.variables(set, fields{"Name": "FromLibrary", "Value": "library for #{Octopus.Project.Name}", "Type": "String"}, fields{"Name": "Both", "Value": "library", "Type": "String"})
	modules := w.create(space+"libraryvariablesets", fields{"Name": "Tools", "ContentType": "ScriptModule"}).Text("Id")
	w.variables(modules, fields{"Name": "Octopus.Script.Module[Tools]", "Value": "shout() { echo \"$1!\"; }", "Type": "String"}, fields{"Name": "Octopus.Script.Module.Language[Tools]", "Value": "Bash", "Type": "String"})
	project := w.project("Web")
	id := project.Text("Id")
	project.Set("IncludedLibraryVariableSetIds", []string{set, modules})
	project.Set("TenantedDeploymentMode", "TenantedOrUntenanted")
	project.Set("Templates", []fields{{"Id": "host", "Name": "Host", "DefaultValue": "default.example"}})
	w.want(http.StatusOK, http.MethodPut, space+"projects/"+id, project)
	account := w.create(space+"accounts", fields{"Name": "login", "AccountType": "UsernamePassword", "Username": "joe", "Password": fields{"HasValue": true, "NewValue": "joe's password"}}).Text("Id")
	w.variables(id, fields{"Name": "Both", "Value": "project", "Type": "String"}, fields{"Name": "Login", "Value": account, "Type": "UsernamePasswordAccount"})
	tags := w.create(space+"tagsets", fields{"Name": "Ring", "Tags": []fields{{"Name": "Early"}}})
	tenant := w.create(space+"tenants", fields{"Name": "Acme", "TenantTags": []string{tags.Objects("Tags")[0].Text("CanonicalTagName")}, "ProjectEnvironments": fields{id: environments}}).Text("Id")
	w.want(http.StatusOK, http.MethodPut, space+"tenants/"+tenant+"/variables", fields{
		"ProjectVariables": fields{id: fields{"Variables": fields{environments[0]: fields{"host": "acme.dev.example"}}}},
		"LibraryVariables": fields{set: fields{"Variables": fields{"key": fields{"HasValue": true, "NewValue": "acme's key"}}}}})
	template := w.create(space+"actiontemplates", fields{"Name": "Greet", "ActionType": "Octopus.Script", "Properties": fields{}, "Parameters": []fields{{"Name": "Whom", "DefaultValue": "world"}, {"Name": "How", "DefaultValue": "Hello"}}})
	greet := bash("Greet", `echo "#{How} $(get_octopusvariable Whom)"`, "Octopus.Action.Template.Id", template.Text("Id"), "Octopus.Action.Template.Version", "1", "How", "Good day")
	w.process(id, bash("Show", `. "$OctopusFolder/Tools.sh"
shout "#{FromLibrary}, #{Both}, #{Host}, #{Region}, #{Octopus.Deployment.Tenant.Name} of #{Octopus.Deployment.Tenant.Tags}"
[ "$(get_octopusvariable Key)" = "acme's key" ] && echo "the key is right: $(get_octopusvariable Key)"
[ "$(get_octopusvariable Login.Password)" = "joe's password" ] && echo "login $(get_octopusvariable Login.Username) $(get_octopusvariable Login.Password)"`), greet)
	release := w.release(id, "1.0.0")
	task, log := w.outcome(w.deploy(release, environments[0], fields{"TenantId": tenant}))
	if task.Text("State") != "Success" {
		t.Fatalf("%s\n%s", task.Text("ErrorMessage"), log)
	}
	contains(t, log, "library for Web, project, acme.dev.example, nowhere, Acme of Ring/Early!", "the key is right: ********", "login joe ********", "Good day world")
}

func TestARunbookRuns(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{})
	environment := w.environments("Dev")[0]
	project := w.project("Web").Text("Id")
	runbook := w.create(space+"runbooks", fields{"Name": "Restart", "ProjectId": project}).Text("Id")
	p := w.get(space + "runbookProcesses/RunbookProcess-" + runbook)
	p.Set("Steps", []fields{bash("Do", `echo "#{Octopus.Runbook.Name} #{Octopus.RunbookSnapshot.Name} in #{Octopus.Environment.Name}: $(get_octopusvariable Octopus.RunbookRun.Id)"`)})
	w.want(http.StatusOK, http.MethodPut, space+"runbookProcesses/RunbookProcess-"+runbook, p)
	snapshot := w.create(space+"runbookSnapshots?publish=true", fields{"Name": "First", "RunbookId": runbook, "ProjectId": project}).Text("Id")
	run := w.create(space+"runbookRuns", fields{"RunbookId": runbook, "RunbookSnapshotId": snapshot, "EnvironmentId": environment})
	task, log := w.outcome(run.Text("TaskId"))
	if task.Text("State") != "Success" {
		t.Fatalf("%s\n%s", task.Text("ErrorMessage"), log)
	}
	contains(t, log, "Restart First in Dev: "+run.Text("Id"))
}

func TestARollingDeployment(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	w := start(t, spaceserver.Options{})
	environment := w.environments("Dev")[0]
	w.targets(s, environment, "web", "web01", "web02", "web03")
	w.create(space+"machines", fields{"Name": "region", "EnvironmentIds": []string{environment}, "Roles": []string{"cloud"}, "Endpoint": fields{"CommunicationStyle": "None"}})
	project := w.project("Web").Text("Id")
	order := filepath.Join(t.TempDir(), "order")
	child := func(name, body string, more fields) fields {
		a := fields{"Name": name, "ActionType": "Octopus.Script", "Properties": fields{"Octopus.Action.Script.Syntax": "Bash", "Octopus.Action.Script.ScriptBody": body}}
		for n, v := range more {
			a[n] = v
		}
		return a
	}
	rolling := fields{"Name": "Roll", "Properties": fields{"Octopus.Action.TargetRoles": "web", "Octopus.Action.MaxParallelism": "1"}, "Actions": []fields{
		child("Out", `echo "out #{Octopus.Machine.Name}" >>`+order+`; set_octopusvariable Good "$([ #{Octopus.Machine.Name} = web02 ] && echo False || echo True)"`, nil),
		child("In", `echo "in #{Octopus.Machine.Name}" >>`+order, fields{"Condition": "Variable", "Properties": fields{"Octopus.Action.Script.Syntax": "Bash", "Octopus.Action.Script.ScriptBody": `echo "in #{Octopus.Machine.Name}" >>` + order,
			"Octopus.Action.ConditionVariableExpression": "#{Octopus.Action[Out].Output[#{Octopus.Machine.Name}].Good}"}})}}
	w.process(project, rolling, on("cloud", bash("Cloud", `echo "for #{Octopus.Machine.Name}"`)))
	task, log := w.outcome(w.deploy(w.release(project, "1.0.0"), environment, nil))
	if task.Text("State") != "Success" {
		t.Fatalf("%s\n%s", task.Text("ErrorMessage"), log)
	}
	got, err := os.ReadFile(order)
	if want := "out web01\nin web01\nout web02\nout web03\nin web03\n"; err != nil || string(got) != want {
		t.Errorf("got %q (%v), want %q", got, err, want)
	}
	contains(t, log, "Step 1: Roll", "Step 1.1: Out", "Step 1.2: In", "for region")
	// The tree is as on a real server: the step, its targets, their child steps.
	details := w.get("/api/tasks/" + task.Text("Id") + "/details")
	step := details.Objects("ActivityLogs")[0].Objects("Children")[0]
	if targets := step.Objects("Children"); step.Text("Name") != "Step 1: Roll" || len(targets) != 3 || targets[1].Text("Name") != "web02" || len(targets[1].Objects("Children")) != 2 || targets[1].Objects("Children")[1].Text("Status") != "Skipped" {
		t.Errorf("the log's tree is %s", text(step))
	}
}

func TestConfigurationOfAPackage(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{})
	environment := w.environments("Dev")[0]
	project := w.project("Web").Text("Id")
	w.variables(project, fields{"Name": "Server:Port", "Value": "8080", "Type": "String"})
	deploy := step("Deploy", "Octopus.TentaclePackage", fields{"Octopus.Action.RunOnServer": "true", "Octopus.Action.EnabledFeatures": "Octopus.Features.JsonConfigurationVariables,Octopus.Features.CustomScripts",
		"Octopus.Action.Package.JsonConfigurationVariablesTargets": "*.json\nmissing.yaml", "Octopus.Action.CustomScripts.PostDeploy.sh": "cat app.json; exit $(get_octopusvariable Fail)", "Octopus.Action.CustomScripts.DeployFailed.sh": "echo cleaned up",
		"Octopus.Action.Package.PackageId": "App", "Octopus.Action.Package.FeedId": "feeds-builtin"})
	w.process(project, deploy)
	w.push("App.1.0.0.zip", "app.json", `{"Server":{"Port":80}}`)
	release := func(number string) string {
		return w.create(space+"releases", fields{"ProjectId": project, "Version": number, "SelectedPackages": []fields{{"ActionName": "Deploy", "Version": "1.0.0"}}}).Text("Id")
	}
	task, log := w.outcome(w.deploy(release("1.0.0"), environment, nil))
	if task.Text("State") != "Success" || !task.Bool("HasWarningsOrErrors") {
		t.Errorf("%s\n%s", task.Text("ErrorMessage"), log)
	}
	contains(t, log, `"Port":8080`, "No file of the package matches 'missing.yaml'")
	w.variables(project, fields{"Name": "Fail", "Value": "9", "Type": "String"})
	task, log = w.outcome(w.deploy(release("2.0.0"), environment, nil))
	if task.Text("State") != "Failed" || !strings.Contains(task.Text("ErrorMessage"), "PostDeploy: The remote script failed with exit code 9") {
		t.Errorf("%s\n%s", task.Text("ErrorMessage"), log)
	}
	contains(t, log, "cleaned up")
}

func TestAnApprovalMayBlockOtherDeployments(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		environment := w.environments("Dev")[0]
		project := w.project("Web").Text("Id")
		w.process(project, step("Approve", "Octopus.Manual", fields{"Octopus.Action.Manual.Instructions": "Look", "Octopus.Action.Manual.BlockConcurrentDeployments": "True"}))
		release := w.release(project, "1.0.0")
		first := w.deploy(release, environment, nil)
		question := w.asked(first)
		waitUntil(t, 10*time.Second, func() bool { return w.get("/api/tasks/"+first).Text("State") == "Queued" })
		second := w.deploy(release, environment, nil)
		other := w.project("Other").Text("Id")
		w.process(other, bash("Say", "echo hi"))
		if task, log := w.outcome(w.deploy(w.release(other, "1.0.0"), environment, nil)); task.Text("State") != "Success" {
			t.Errorf("another project waits too: %s", log)
		}
		if w.get("/api/tasks/" + second).Bool("HasBeenPickedUpByProcessor") {
			t.Error("the second deployment began while the first one waited")
		}
		w.says(question, fields{"Result": "Proceed"})
		if task, log := w.outcome(first); task.Text("State") != "Success" {
			t.Errorf("%s", log)
		}
		w.says(w.asked(second), fields{"Result": "Proceed"})
		if task, log := w.outcome(second); task.Text("State") != "Success" {
			t.Errorf("%s", log)
		}
	})
}

func TestADeploymentTellsItsTargets(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{})
	environment := w.environments("Dev")[0]
	region := w.create(space+"machines", fields{"Name": "region", "EnvironmentIds": []string{environment}, "Roles": []string{"cloud"}, "Endpoint": fields{"CommunicationStyle": "None"}}).Text("Id")
	tentacle := w.create(space+"machines", fields{"Name": "tentacle", "EnvironmentIds": []string{environment}, "Roles": []string{"cloud"}, "Endpoint": fields{"CommunicationStyle": "TentaclePassive", "Uri": "https://nowhere:10933/", "Thumbprint": "AB"}}).Text("Id")
	project := w.project("Web").Text("Id")
	w.process(project, on("cloud", bash("Say", "echo hi")))
	release := w.release(project, "1.0.0")
	made := w.create(space+"deployments", fields{"ReleaseId": release, "EnvironmentId": environment, "ExcludedMachineIds": []string{tentacle}})
	task, log := w.outcome(made.Text("TaskId"))
	if got := w.get(space + "deployments/" + made.Text("Id")).Texts("DeployedToMachineIds"); task.Text("State") != "Success" || len(got) != 1 || got[0] != region {
		t.Errorf("deployed to %v: %s", got, log)
	}
	contains(t, log, "tentacle is left out because it was excluded from this deployment")
	task, log = w.outcome(w.deploy(release, environment, fields{"SpecificMachineIds": []string{tentacle}}))
	if task.Text("State") != "Failed" || !strings.Contains(task.Text("ErrorMessage"), "Step 1: Say failed on tentacle: This Space server does not talk to Tentacles") {
		t.Errorf("%s\n%s", task.Text("ErrorMessage"), log)
	}
}

func TestSystemVariables(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	w := start(t, spaceserver.Options{})
	environment := w.environments("Dev")[0]
	w.targets(s, environment, "web", "web01")
	project := w.project("Web").Text("Id")
	names := strings.Fields(`Project.Id Project.Name ProjectGroup.Id ProjectGroup.Name Environment.Id Environment.Name Environment.MachinesInRole[web] Space.Id Space.Name
		Release.Id Release.Number Release.Created Release.Channel.Name Release.CurrentForEnvironment.Number Release.PreviousForEnvironment.Id Deployment.Id Deployment.Name Deployment.Comments Deployment.Created
		Deployment.CreatedBy.Id Deployment.CreatedBy.Username Deployment.CreatedBy.DisplayName Deployment.ForcePackageDownload Deployment.PreviousSuccessful.Id Deployment.Machines Deployment.Targets[Machines-1].Name
		Task.Id Task.Name Task.QueueTime Task.Argument[DeploymentId] Web.BaseUrl Web.ServerUri Web.ProjectLink Web.ReleaseLink Web.DeploymentLink Machine.Id Machine.Name Machine.Roles Machine.Hostname
		Action.Id Action.Name Action.Number Action.Script.Syntax Action.TargetRoles Step.Id Step.Name Step.Number Tentacle.CurrentDeployment.TargetedRoles Endpoint.Ssh.Host Endpoint.Ssh.Fingerprint`)
	var script strings.Builder
	for _, name := range names {
		script.WriteString(`echo "` + name + "=$(get_octopusvariable 'Octopus." + name + `')"` + "\n")
	}
	w.process(project, on("web", bash("Show", script.String())))
	w.outcome(w.deploy(w.release(project, "1.0.0"), environment, nil))
	task, log := w.outcome(w.deploy(w.release(project, "1.1.0"), environment, fields{"Comments": "a comment"}))
	if task.Text("State") != "Success" {
		t.Fatalf("%s\n%s", task.Text("ErrorMessage"), log)
	}
	for _, name := range names {
		if strings.Contains(log, name+"=\n") || !strings.Contains(log, name+"=") {
			t.Errorf("there is no Octopus.%s", name)
		}
	}
	contains(t, log, "Release.Number=1.1.0\n", "Release.CurrentForEnvironment.Number=1.0.0\n", "Deployment.Comments=a comment\n", "Machine.Name=web01\n", "Environment.MachinesInRole[web]=Machines-1\n", "Task.Id="+task.Text("Id")+"\n")
}

func TestWhatWentBeforeIsKnown(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{})
	in := w.environments("Dev", "Test")
	lifecycle := w.create(space+"lifecycles", fields{"Name": "Any", "Phases": []fields{{"Name": "Any", "OptionalDeploymentTargets": in, "AutomaticDeploymentTargets": []string{}}}}).Text("Id")
	project := w.create(space+"projects", fields{"Name": "Web", "ProjectGroupId": "ProjectGroups-1", "LifecycleId": lifecycle}).Text("Id")
	w.process(project, bash("Show", `echo "previous=#{Octopus.Release.Previous.Number} here=#{Octopus.Release.PreviousForEnvironment.Number} current=#{Octopus.Release.CurrentForEnvironment.Number}."
[ "#{Octopus.Release.Number}" != 1.1.0 ]`))
	var releases []string
	for _, version := range []string{"1.0.0", "1.1.0", "1.2.0", "1.3.0"} {
		releases = append(releases, w.release(project, version))
	}
	for _, c := range []struct {
		release     int
		environment string
		says        string
	}{
		{0, in[0], "previous=#{Octopus.Release.Previous.Number} here=#{Octopus.Release.PreviousForEnvironment.Number} current=#{Octopus.Release.CurrentForEnvironment.Number}."},
		{1, in[0], "previous=1.0.0 here=1.0.0 current=1.0.0."}, // fails
		{3, in[0], "previous=1.2.0 here=1.1.0 current=1.0.0."}, // 1.2.0 came before it, and was nowhere
		{3, in[1], "previous=1.2.0 here=#{Octopus.Release.PreviousForEnvironment.Number} current=#{Octopus.Release.CurrentForEnvironment.Number}."},
	} {
		_, log := w.outcome(w.deploy(releases[c.release], c.environment, nil))
		contains(t, log, c.says)
	}
}

func TestAWorkerRunsWhatIsForItsPool(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	w := start(t, spaceserver.Options{})
	environment := w.environments("Dev")[0]
	pool := w.create(space+"workerpools", fields{"Name": "Builders"}).Text("Id")
	account := w.create(space+"accounts", fields{"Name": "key", "AccountType": "SshKeyPair", "Username": s.User, "PrivateKeyFile": fields{"HasValue": true, "NewValue": s.PrivateKeyPEM}}).Text("Id")
	endpoint := fields{"CommunicationStyle": "Ssh", "AccountId": account, "Host": s.Host, "Port": s.Port, "Fingerprint": s.Fingerprint}
	project := w.project("Web").Text("Id")
	build := bash("Build", `echo "in $HOME of $(get_octopusvariable Octopus.WorkerPool.Id)"`)
	build["Actions"].([]fields)[0]["WorkerPoolId"] = pool
	w.process(project, build)
	release := w.release(project, "1.0.0")
	if task, _ := w.outcome(w.deploy(release, environment, nil)); !strings.Contains(task.Text("ErrorMessage"), "has no worker that is enabled and healthy") {
		t.Errorf("without workers: %s %s", task.Text("State"), task.Text("ErrorMessage"))
	}
	w.create(space+"workers", fields{"Name": "builder", "WorkerPoolIds": []string{pool}, "Endpoint": endpoint})
	task, log := w.outcome(w.deploy(release, environment, nil))
	if task.Text("State") != "Success" {
		t.Fatalf("%s\n%s", task.Text("ErrorMessage"), log)
	}
	contains(t, log, "Runs on the worker builder", "in "+s.Home+" of "+pool)
}
