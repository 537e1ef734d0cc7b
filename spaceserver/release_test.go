package spaceserver_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"odcm/octopus"
)

const space = "/api/Spaces-1/"

// environments makes environments in their order and returns their ids.
func (w *world) environments(names ...string) []string {
	w.t.Helper()
	var ids []string
	for _, name := range names {
		ids = append(ids, w.create(space+"environments", fields{"Name": name}).Text("Id"))
	}
	return ids
}

// release makes a release of a project.
func (w *world) release(project, version string) string {
	w.t.Helper()
	return w.create(space+"releases", fields{"ProjectId": project, "Version": version}).Text("Id")
}

// refused fails unless the request is refused with a sentence that holds the text.
func (w *world) refused(status int, path string, body any, says string) {
	w.t.Helper()
	o := w.want(status, http.MethodPost, path, body)
	if text := o.Text("ErrorMessage") + strings.Join(o.Texts("Errors"), " "); !strings.Contains(text, says) {
		w.t.Errorf("%s: refused with %q, which does not say %q", path, text, says)
	}
}

// brings deploys a release and waits until it ended.
func (w *world) brings(release, environment string, more fields) octopus.Object {
	w.t.Helper()
	body := fields{"ReleaseId": release, "EnvironmentId": environment}
	for name, value := range more {
		body[name] = value
	}
	made := w.create(space+"deployments", body)
	w.over(made.Text("TaskId"))
	return made
}

// over waits until a task has ended, and returns it.
func (w *world) over(task string) octopus.Object {
	w.t.Helper()
	var o octopus.Object
	waitUntil(w.t, 20*time.Second, func() bool { o = w.get("/api/tasks/" + task); return o.Bool("IsCompleted") })
	return o
}

// categories are those of the events about a document, the oldest first.
func (w *world) categories(document string) string {
	w.t.Helper()
	var all []string
	for _, e := range w.get("/api/events?regarding=" + document + "&take=100").Objects("Items") {
		all = append([]string{e.Text("Category")}, all...)
	}
	return strings.Join(all, " ")
}

func TestAReleaseGoesThroughItsLifecycle(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		in := w.environments("Dev", "Production", "Elsewhere")
		dev, production := in[0], in[1]
		lifecycle := w.create(space+"lifecycles", fields{"Name": "Two", "Phases": []any{fields{"Name": "First", "OptionalDeploymentTargets": []string{dev}}, fields{"Name": "Second", "OptionalDeploymentTargets": []string{production}}}})
		web := w.create(space+"projects", fields{"Name": "Web", "ProjectGroupId": "ProjectGroups-1", "LifecycleId": lifecycle.Text("Id")})
		project := web.Text("Id")
		w.process(project, bash("Say", "exit #{Exit}"))
		w.variables(project, fields{"Name": "Exit", "Value": "1"})
		release := w.release(project, "1.0.0")
		w.refused(http.StatusBadRequest, space+"releases", fields{"ProjectId": project, "Version": "1.0.0"}, "already exists")

		w.refused(http.StatusBadRequest, space+"deployments", fields{"ReleaseId": release, "EnvironmentId": production}, "the phases before it are not complete")
		w.refused(http.StatusBadRequest, space+"deployments", fields{"ReleaseId": release, "EnvironmentId": in[2]}, "is not in the lifecycle 'Two'")
		failed := w.brings(release, dev, fields{"Comments": "first"})
		if failed.Text("ProjectId") != project || failed.Text("Comments") != "first" || failed.Text("DeployedBy") != "admin" {
			t.Errorf("made %v", failed)
		}
		w.refused(http.StatusBadRequest, space+"deployments", fields{"ReleaseId": release, "EnvironmentId": production}, "the phases before it are not complete")
		if got := w.categories(failed.Text("Id")); got != "DeploymentQueued DeploymentStarted DeploymentFailed" {
			t.Errorf("events: %s", got)
		}

		w.variables(project, fields{"Name": "Exit", "Value": "0"})
		w.want(http.StatusOK, http.MethodPost, space+"releases/"+release+"/snapshot-variables", nil)
		succeeded := w.brings(release, dev, nil)
		w.want(http.StatusOK, http.MethodPost, space+"releases/"+release+"/defects", fields{"Description": "It leaks"})
		w.refused(http.StatusBadRequest, space+"deployments", fields{"ReleaseId": release, "EnvironmentId": production}, "resolve its defect first")
		w.want(http.StatusOK, http.MethodPost, space+"releases/"+release+"/defects/resolve", nil)
		template := w.get(space + "releases/" + release + "/deployments/template")
		if got := len(template.Objects("PromoteTo")); got != 2 {
			t.Errorf("it can go to %d environments: %v", got, template)
		}
		w.brings(release, production, nil)

		progress := w.get(space + "releases/" + release + "/progression")
		if phases := progress.Objects("Phases"); phases[0].Text("Progress") != "Complete" || phases[1].Text("Progress") != "Complete" || len(phases[0].Objects("Deployments")) != 2 || len(progress.Texts("NextDeployments")) != 0 {
			t.Errorf("progression: %v", progress)
		}
		board := w.get(space + "dashboard")
		if items := board.Objects("Items"); len(items) != 2 || items[1].Text("DeploymentId") != succeeded.Text("Id") || items[1].Text("State") != "Success" || items[1].Text("ReleaseVersion") != "1.0.0" || len(board.Objects("PreviousItems")) != 0 {
			t.Errorf("dashboard: %v", board)
		}
		if got := w.get(space + "progression/" + project).Objects("Releases")[0].Object("Deployments"); len(got.Objects(dev)) != 1 || len(got.Objects(production)) != 1 {
			t.Errorf("progression of the project: %v", got)
		}
		if got := w.get(space + "deployments?taskState=Failed").Objects("Items"); len(got) != 1 || got[0].Text("Id") != failed.Text("Id") {
			t.Errorf("failed deployments: %v", got)
		}
		if _, text := w.send(http.MethodGet, space+"reporting/deployments/xml", nil); strings.Count(string(text), "<Deployment>") != 3 || !strings.Contains(string(text), "<TaskState>Failed</TaskState>") {
			t.Errorf("report: %s", text)
		}
		if _, text := w.send(http.MethodGet, space+"reporting/deployments-counted-by-week", nil); !strings.Contains(string(text), "[") || !strings.Contains(string(text), ",2]") {
			t.Errorf("weeks: %s", text)
		}
		w.want(http.StatusOK, http.MethodDelete, space+"deployments/"+succeeded.Text("Id"), nil)
		w.want(http.StatusNotFound, http.MethodGet, "/api/tasks/"+succeeded.Text("TaskId"), nil)
		if items := w.get(space + "dashboard").Objects("Items"); len(items) != 2 || items[1].Text("DeploymentId") != failed.Text("Id") {
			t.Errorf("dashboard after a deployment was deleted: %v", items)
		}
		w.want(http.StatusOK, http.MethodDelete, space+"releases/"+release, nil)
		if items := w.get(space + "dashboard").Objects("Items"); len(items) != 0 {
			t.Errorf("dashboard after the release was deleted: %v", items)
		}
		web.Set("IsDisabled", true)
		release = w.release(project, "1.0.1")
		w.want(http.StatusOK, http.MethodPut, space+"projects/"+project, web)
		w.refused(http.StatusBadRequest, space+"deployments", fields{"ReleaseId": release, "EnvironmentId": dev}, "is disabled")
	})
}

func TestAReleaseIsPromotedByItself(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		in := w.environments("Dev", "Test", "Production")
		lifecycle := w.create(space+"lifecycles", fields{"Name": "Automatic", "Phases": []any{fields{"Name": "First", "AutomaticDeploymentTargets": in[:1]}, fields{"Name": "Second", "AutomaticDeploymentTargets": in[1:2]},
			fields{"Name": "Third", "OptionalDeploymentTargets": in[2:]}}})
		project := w.create(space+"projects", fields{"Name": "Web", "ProjectGroupId": "ProjectGroups-1", "LifecycleId": lifecycle.Text("Id"), "TenantedDeploymentMode": "TenantedOrUntenanted"}).Text("Id")
		tenant := w.create(space+"tenants", fields{"Name": "Acme", "ProjectEnvironments": fields{project: in}}).Text("Id")
		made := w.create(space+"releases/create/v1", fields{"projectName": "Web", "releaseVersion": "1.0.0"})
		if made.Text("AutomaticallyDeployedEnvironments") != "Dev" {
			t.Errorf("made %v", made)
		}
		var all []octopus.Object
		waitUntil(t, 20*time.Second, func() bool {
			all = w.get(space + "releases/" + made.Text("ReleaseId") + "/deployments").Objects("Items")
			return len(all) == 4 && len(w.get(space+"deployments?taskState=Success").Objects("Items")) == 4
		})
		var where []string
		for _, d := range all {
			where = append(where, d.Text("EnvironmentId")+" "+d.Text("TenantId"))
		}
		slices.Sort(where)
		if want := []string{in[0] + " ", in[0] + " " + tenant, in[1] + " ", in[1] + " " + tenant}; !slices.Equal(where, want) {
			t.Errorf("it went to %v, want %v", where, want)
		}
		if all[0].Text("DeployedBy") != "system" {
			t.Errorf("deployed by %s", all[0].Text("DeployedBy"))
		}
	})
}

func TestTenantedDeployments(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		in := w.environments("Dev", "Production")
		project := w.project("Web")
		id := project.Text("Id")
		w.create(space+"tagsets", fields{"Name": "Region", "Tags": []any{fields{"Name": "EU"}, fields{"Name": "US"}}})
		acme := w.create(space+"tenants", fields{"Name": "Acme", "ProjectEnvironments": fields{id: in}, "TenantTags": []string{"Region/EU"}}).Text("Id")
		w.create(space+"tenants", fields{"Name": "Bolt", "ProjectEnvironments": fields{id: in[:1]}, "TenantTags": []string{"Region/US"}})
		w.create(space+"tenants", fields{"Name": "Stranger", "TenantTags": []string{"Region/EU"}})
		release := w.release(id, "1.0.0")
		tenanted := func(more fields) fields {
			body := fields{"spaceIdOrName": "Default", "projectName": "Web", "releaseVersion": "1.0.0", "environmentName": "Dev"}
			for name, value := range more {
				body[name] = value
			}
			return body
		}
		const route = space + "deployments/create/tenanted/v1"
		w.refused(http.StatusBadRequest, route, tenanted(fields{"tenants": []string{"Acme"}}), "does not allow tenanted deployments")
		project.Set("TenantedDeploymentMode", "Tenanted")
		w.want(http.StatusOK, http.MethodPut, space+"projects/"+id, project)
		w.refused(http.StatusBadRequest, space+"deployments", fields{"ReleaseId": release, "EnvironmentId": in[0]}, "needs a tenant")
		w.refused(http.StatusBadRequest, route, tenanted(fields{"tenants": []string{"Acme", "Nobody", "None"}}), `There is no tenant "Nobody", "None"`)
		w.refused(http.StatusBadRequest, route, tenanted(fields{"tenants": []string{"Acme", "Stranger"}}), "is not connected")
		if got := w.get(space + "deployments").Int("TotalResults"); got != 0 {
			t.Errorf("a command that was refused made %d deployments", got)
		}
		made := w.create(route, tenanted(fields{"tenantTags": []string{"region/eu", "Region/US"}}))
		tasks := made.Objects("DeploymentServerTasks")
		if len(tasks) != 2 {
			t.Fatalf("made %v", made)
		}
		for _, task := range tasks {
			w.over(task.Text("ServerTaskId"))
		}
		w.refused(http.StatusBadRequest, route, tenanted(fields{"environmentName": "Production", "tenants": []string{"Bolt"}}), "is not connected")
		w.create(route, tenanted(fields{"environmentName": "Production", "tenants": []string{acme}}))
		w.refused(http.StatusBadRequest, route, tenanted(fields{"tenantTags": []string{"Region/Mars"}}), `There is no tenant tag "Region/Mars"`)
	})
}

func TestPromptsAreAskedAndSecretsKept(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		in := w.environments("Dev")
		project := w.project("Web").Text("Id")
		w.variables(project,
			fields{"Id": "11111111-0000-0000-0000-000000000001", "Name": "Colour", "Value": "", "Prompt": fields{"Label": "Which colour", "Required": true, "DisplaySettings": fields{"Octopus.ControlType": "SingleLineText"}}},
			fields{"Id": "11111111-0000-0000-0000-000000000002", "Name": "Password", "Type": "Sensitive", "Value": "default", "Prompt": fields{"Label": "", "Required": true}})
		release := w.release(project, "1.0.0")
		form := w.get(space + "releases/" + release + "/deployments/preview/" + in[0]).Object("Form")
		if elements := form.Objects("Elements"); len(elements) != 2 || elements[0].Object("Control").Text("Label") != "Which colour" || !elements[1].Object("Control").Bool("IsSecure") {
			t.Errorf("form: %v", form)
		}
		w.refused(http.StatusBadRequest, space+"deployments", fields{"ReleaseId": release, "EnvironmentId": in[0]}, "'Which colour'")
		made := w.brings(release, in[0], fields{"FormValues": fields{"11111111-0000-0000-0000-000000000001": "blue", "11111111-0000-0000-0000-000000000002": "hush-hush"}})
		if made.Object("FormValues").Text("11111111-0000-0000-0000-000000000001") != "blue" {
			t.Errorf("values: %v", made)
		}
		for _, path := range []string{"deployments/" + made.Text("Id"), "deployments", "events?regarding=" + made.Text("Id")} {
			if _, text := w.send(http.MethodGet, space+path, nil); strings.Contains(string(text), "hush-hush") {
				t.Errorf("%s tells the secret", path)
			}
		}
		command := fields{"projectName": "Web", "releaseVersion": "1.0.0", "environmentNames": []string{"Dev"}, "variables": fields{"colour": "red", "Size": "L"}}
		w.refused(http.StatusBadRequest, space+"deployments/create/untenanted/v1", command, "There is no prompted variable 'Size'")
		command["variables"] = fields{"colour": "red"}
		w.create(space+"deployments/create/untenanted/v1", command)
		command["runAt"] = "soon"
		w.refused(http.StatusBadRequest, space+"deployments/create/untenanted/v1", command, "runAt is not a time")
		command["runAt"], command["skipStepNames"] = nil, []string{"Dance"}
		w.refused(http.StatusBadRequest, space+"deployments/create/untenanted/v1", command, `There is no step "Dance"`)
		command["skipStepNames"], command["environmentNames"] = nil, []string{"Dev", "Moon"}
		w.refused(http.StatusBadRequest, space+"deployments/create/untenanted/v1", command, `There is no environment "Moon"`)
	})
}

func TestVersionsOfPackagesAreChosen(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		project := w.project("Web")
		id := project.Text("Id")
		say := bash("Say", "true")
		say["Actions"].([]fields)[0]["Packages"] = []any{fields{"Name": "", "PackageId": "Acme.Web", "FeedId": "feeds-builtin"}, fields{"Name": "tool", "PackageId": "Acme.Tool", "FeedId": "feeds-builtin"}}
		w.process(id, say)
		w.refused(http.StatusBadRequest, space+"releases", fields{"ProjectId": id, "Version": "1.0.0"}, "no version of the package 'Acme.Web'")
		for _, name := range []string{"Acme.Web.1.0.0.zip", "Acme.Web.1.10.0.zip", "Acme.Web.2.0.0-beta.1.zip", "Acme.Tool.3.1.0.zip"} {
			w.push(name, "file", "content of "+name)
		}
		selected := func(release octopus.Object) string {
			var all []string
			for _, p := range release.Objects("SelectedPackages") {
				all = append(all, p.Text("PackageReferenceName")+"="+p.Text("Version"))
			}
			return strings.Join(all, " ")
		}
		if got := selected(w.create(space+"releases", fields{"ProjectId": id, "Version": "1.0.0"})); got != "=2.0.0-beta.1 tool=3.1.0" {
			t.Errorf("selected %s", got)
		}
		stable := w.create(space+"channels", fields{"Name": "Stable", "ProjectId": id, "Rules": []any{fields{"VersionRange": "[1.0,2.0)", "Tag": "^$", "ActionPackages": []any{fields{"DeploymentAction": "Say", "PackageReference": ""}}}}})
		channel := stable.Text("Id")
		if got := selected(w.create(space+"releases", fields{"ProjectId": id, "Version": "1.0.1", "ChannelId": channel})); got != "=1.10.0 tool=3.1.0" {
			t.Errorf("selected by the rule %s", got)
		}
		beta := fields{"ProjectId": id, "Version": "1.0.2", "ChannelId": channel, "SelectedPackages": []any{fields{"ActionName": "Say", "PackageReferenceName": "", "Version": "2.0.0-beta.1"}}}
		w.refused(http.StatusBadRequest, space+"releases", beta, "breaks a rule of the channel 'Stable'")
		w.create(space+"releases?ignoreChannelRules=true", beta)
		beta["SelectedPackages"] = []any{fields{"ActionName": "Say", "Version": "1.5.0"}}
		beta["Version"] = "1.0.3"
		w.refused(http.StatusBadRequest, space+"releases", beta, "no package 'Acme.Web' of version 1.5.0")

		for version, packages := range map[string][]string{"2.0.0": {"Say:1.0.0"}, "2.0.1": {"Acme.Web:1.0.0"}, "2.0.2": {"*:1.0.0", "Say:tool:3.1.0"}} {
			made := w.create(space+"releases/create/v1", fields{"projectName": "Web", "releaseVersion": version, "packages": append(packages, "Acme.Tool:3.1.0")})
			if got := selected(w.get(space + "releases/" + made.Text("ReleaseId"))); got != "=1.0.0 tool=3.1.0" {
				t.Errorf("%v selected %s", packages, got)
			}
		}
		w.refused(http.StatusBadRequest, space+"releases/create/v1", fields{"projectName": "Web", "releaseVersion": "3.0.0", "packages": []string{"Dance:1.0"}}, "no step or package 'Dance'")
		w.refused(http.StatusBadRequest, space+"releases/create/v1", fields{"projectName": "Web", "releaseVersion": "3.0.0", "gitRef": "main"}, "not version-controlled")
		again := fields{"projectName": "Web", "releaseVersion": "2.0.0", "ignoreIfAlreadyExists": true}
		if made := w.want(http.StatusOK, http.MethodPost, space+"releases/create/v1", again); made.Text("ReleaseVersion") != "2.0.0" {
			t.Errorf("again %v", made)
		}
		template := w.get(space + "deploymentprocesses/deploymentprocess-" + id + "/template")
		if len(template.Objects("Packages")) != 2 || template.Text("NextVersionIncrement") == "" {
			t.Errorf("template: %v", template)
		}
		if made := w.create(space+"releases", fields{"ProjectId": id, "Version": "5.1.i"}); made.Text("Version") != "5.1.0" {
			t.Errorf("masked: %s", made.Text("Version"))
		}
		project.Set("VersioningStrategy", fields{"Template": "", "DonorPackage": fields{"DeploymentAction": "Say", "PackageReference": ""}})
		w.want(http.StatusOK, http.MethodPut, space+"projects/"+id, project)
		if made := w.create(space+"releases/create/v1", fields{"projectName": "Web", "channelName": "Stable"}); made.Text("ReleaseVersion") != "1.10.0" {
			t.Errorf("by the donor: %v", made)
		}
		w.want(http.StatusOK, http.MethodDelete, space+"packages/packages-Acme.Tool.3.1.0", nil)
		missing := w.get(space + "releases/" + w.get(space+"projects/"+id+"/releases/1.10.0").Text("Id") + "/missingpackages").Objects("Packages")
		if len(missing) != 1 || missing[0].Text("Id") != "Acme.Tool" {
			t.Errorf("missing: %v", missing)
		}
	})
}

func TestAFreezeStopsDeployments(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		in := w.environments("Dev")
		project := w.project("Web").Text("Id")
		release := w.release(project, "1.0.0")
		w.create("/api/deploymentfreezes", fields{"Name": "Holidays", "Start": time.Now().Add(-time.Hour), "End": time.Now().Add(time.Hour), "ProjectEnvironmentScope": fields{project: in}})
		body := fields{"ReleaseId": release, "EnvironmentId": in[0]}
		w.refused(http.StatusBadRequest, space+"deployments", body, "freeze 'Holidays' is in force")
		body["QueueTime"] = time.Now().Add(2 * time.Hour)
		w.create(space+"deployments", body)
		// One that was asked for before it began is refused when it starts.
		other := w.project("Later").Text("Id")
		soon := time.Now().Add(2 * time.Second)
		later := w.create(space+"deployments", fields{"ReleaseId": w.release(other, "1.0.0"), "EnvironmentId": in[0], "QueueTime": soon})
		w.create("/api/deploymentfreezes", fields{"Name": "Sudden", "Start": time.Now().Add(-time.Hour), "End": time.Now().Add(time.Hour), "ProjectEnvironmentScope": fields{other: in}})
		if o := w.over(later.Text("TaskId")); o.Text("State") != "Failed" || !strings.HasPrefix(o.Text("ErrorMessage"), "The deployment freeze 'Sudden' is in force") {
			t.Errorf("it ended as %s: %s", o.Text("State"), o.Text("ErrorMessage"))
		}
		delete(body, "QueueTime")
		body["DeploymentFreezeNames"] = []string{"Holidays"}
		w.refused(http.StatusBadRequest, space+"deployments", body, "a reason")
		body["DeploymentFreezeOverrideReason"] = "it burns"
		made := w.create(space+"deployments", body)
		if events := w.get("/api/events?regarding=" + made.Text("Id")).Objects("Items"); !strings.Contains(events[len(events)-1].Text("Message"), "it burns") {
			t.Errorf("events: %v", events)
		}
		if o := w.over(made.Text("TaskId")); o.Text("State") != "Success" {
			t.Errorf("overridden, it ended as %s: %s", o.Text("State"), o.Text("ErrorMessage"))
		}
	})
}

func TestRunbooksRun(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		in := w.environments("Dev", "Production")
		project := w.project("Web").Text("Id")
		runbook := w.create(space+"runbooks", fields{"Name": "Restart", "ProjectId": project, "EnvironmentScope": "Specified", "Environments": in[:1]}).Text("Id")
		command := fields{"projectName": "Web", "runbookName": "Restart", "environmentNames": []string{"Dev"}}
		const route = space + "runbook-runs/create/v1"
		w.refused(http.StatusBadRequest, route, command, "no published snapshot")
		draft := w.create(space+"runbookSnapshots", fields{"Name": "Draft", "ProjectId": project, "RunbookId": runbook}).Text("Id")
		published := w.create(space+"runbookSnapshots?publish=true", fields{"Name": "First", "ProjectId": project, "RunbookId": runbook}).Text("Id")
		if got := w.get(space + "runbooks/" + runbook).Text("PublishedRunbookSnapshotId"); got != published {
			t.Errorf("published %s", got)
		}
		made := w.create(route, command).Objects("RunbookRunServerTasks")
		w.over(made[0].Text("ServerTaskId"))
		run := w.get(space + "runbookRuns/" + made[0].Text("RunbookRunId"))
		if run.Text("RunbookSnapshotId") != published || run.Text("TaskId") != made[0].Text("ServerTaskId") {
			t.Errorf("run: %v", run)
		}
		if got := w.categories(run.Text("Id")); got != "RunbookRunQueued RunbookRunStarted RunbookRunSucceeded" {
			t.Errorf("events: %s", got)
		}
		command["environmentNames"] = []string{"Production"}
		w.refused(http.StatusBadRequest, route, command, "does not run in 'Production'")
		w.over(w.create(space+"runbookRuns", fields{"RunbookId": runbook, "RunbookSnapshotId": draft, "EnvironmentId": in[0]}).Text("TaskId"))
		if status, text := w.send(http.MethodPost, space+"runbooks/"+runbook+"/run", fields{"EnvironmentIds": in[:1]}); status != http.StatusCreated || !strings.HasPrefix(string(text), "[{") {
			t.Errorf("run: %d %s", status, text)
		}
		if got := w.get(space + "progression/runbooks/" + project).Object("RunbookRuns").Objects(in[0]); len(got) != 1 || got[0].Text("RunbookSnapshotName") != "First" {
			t.Errorf("progression: %v", got)
		}
		if got := w.get(space + "progression/runbooks/taskRuns?projectIds=" + project).Int("TotalResults"); got != 3 {
			t.Errorf("%d runs", got)
		}
		w.get(space + "runbookSnapshots/" + draft + "/runbookRuns/template")
		w.get(space + "projects/" + project + "/runbooks/" + runbook + "/runbookRuns/preview/" + in[0])
		w.want(http.StatusBadRequest, http.MethodDelete, space+"runbookSnapshots/"+published, nil)
	})
}

func TestATriggerFires(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		in := w.environments("Dev", "Production")
		project := w.project("Web").Text("Id")
		w.want(http.StatusBadRequest, http.MethodPost, space+"projecttriggers", fields{"Name": "Wrong", "ProjectId": project, "Filter": fields{"FilterType": "CronExpressionSchedule", "CronExpression": "now"}, "Action": fields{}})
		every := fields{"FilterType": "CronExpressionSchedule", "CronExpression": "* * * * * *"}
		trigger := w.create(space+"projecttriggers", fields{"Name": "Nightly", "ProjectId": project, "Filter": every, "Action": fields{"ActionType": "DeployNewRelease", "EnvironmentId": in[0]}})
		waitUntil(t, 20*time.Second, func() bool { return w.get(space+"deployments?taskState=Success").Int("TotalResults") > 0 })
		trigger.Set("IsDisabled", true)
		w.want(http.StatusOK, http.MethodPut, space+"projecttriggers/"+trigger.Text("Id"), trigger)
		made := w.get(space + "deployments?take=1").Objects("Items")[0]
		if made.Text("EnvironmentId") != in[0] || made.Text("DeployedBy") != "system" {
			t.Errorf("deployed %v", made)
		}
		latest := w.get(space + "releases/" + made.Text("ReleaseId")).Text("Version")
		w.over(made.Text("TaskId"))
		w.create(space+"projecttriggers", fields{"Name": "Promote", "ProjectId": project, "Filter": every, "Action": fields{"ActionType": "DeployLatestRelease", "SourceEnvironmentIds": in[:1], "DestinationEnvironmentId": in[1]}})
		waitUntil(t, 20*time.Second, func() bool {
			return w.get(space+"deployments?environments="+in[1]+"&taskState=Success").Int("TotalResults") > 0
		})
		made = w.get(space + "deployments?take=1&environments=" + in[1]).Objects("Items")[0]
		if got := w.get(space + "releases/" + made.Text("ReleaseId")).Text("Version"); got != latest {
			t.Errorf("promoted %s instead of %s", got, latest)
		}
	})
}

func TestRetentionKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		in := w.environments("Dev")
		lifecycle := w.create(space+"lifecycles", fields{"Name": "Short", "ReleaseRetentionPolicy": fields{"Strategy": "Count", "QuantityToKeep": 1, "Unit": "Items"}})
		project := w.create(space+"projects", fields{"Name": "Web", "ProjectGroupId": "ProjectGroups-1", "LifecycleId": lifecycle.Text("Id")}).Text("Id")
		for n := range 5 {
			release := w.release(project, fmt.Sprintf("1.0.%d", n))
			if n < 4 {
				w.brings(release, in[0], nil)
			}
		}
		w.release(project, "1.0.5")
		task := w.want(http.StatusCreated, http.MethodPost, "/api/tasks", fields{"Name": "Retention", "Description": "Apply retention policies"})
		if got := w.over(task.Text("Id")); got.Text("State") != "Success" {
			t.Errorf("the task: %v", got)
		}
		var left []string
		for _, o := range w.get(space + "projects/" + project + "/releases").Objects("Items") {
			left = append(left, o.Text("Version"))
		}
		// 1.0.3 is there, 1.0.2 would be rolled back to, 1.0.1 is the one that Dev keeps, 1.0.5 the one that was never deployed.
		if got := strings.Join(left, " "); got != "1.0.5 1.0.3 1.0.2 1.0.1" {
			t.Errorf("left: %s", got)
		}
		if got := w.get(space + "deployments").Int("TotalResults"); got != 3 {
			t.Errorf("%d deployments are left", got)
		}
	})
}

func TestWhoMayDeployWhere(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		in := w.environments("Dev", "Production")
		lifecycle := w.create(space+"lifecycles", fields{"Name": "Anywhere", "Phases": []any{fields{"Name": "All", "OptionalDeploymentTargets": in}}}).Text("Id")
		project := func(name string) string {
			return w.create(space+"projects", fields{"Name": name, "ProjectGroupId": "ProjectGroups-1", "LifecycleId": lifecycle}).Text("Id")
		}
		web, shop := project("Web"), project("Shop")
		ofWeb, ofShop := w.release(web, "1.0.0"), w.release(shop, "1.0.0")
		runbook := w.create(space+"runbooks", fields{"Name": "Restart", "ProjectId": web}).Text("Id")
		draft := w.create(space+"runbookSnapshots", fields{"Name": "Draft", "ProjectId": web, "RunbookId": runbook}).Text("Id")
		w.create(space+"runbookSnapshots?publish=true", fields{"Name": "Published", "ProjectId": web, "RunbookId": runbook})
		deployer := w.user("deployer", fields{"UserRoleId": "userroles-deploymentcreator", "SpaceId": "Spaces-1", "ProjectIds": []string{web}, "EnvironmentIds": in[:1]})
		viewer := w.user("viewer", fields{"UserRoleId": "userroles-projectviewer", "SpaceId": "Spaces-1"})
		consumer := w.user("consumer", fields{"UserRoleId": "userroles-runbookconsumer", "SpaceId": "Spaces-1"})
		for _, c := range []struct {
			who    *world
			status int
			path   string
			body   fields
		}{
			{deployer, http.StatusCreated, "deployments", fields{"ReleaseId": ofWeb, "EnvironmentId": in[0]}},
			{deployer, http.StatusForbidden, "deployments", fields{"ReleaseId": ofWeb, "EnvironmentId": in[1]}},
			{deployer, http.StatusForbidden, "deployments", fields{"ReleaseId": ofShop, "EnvironmentId": in[0]}},
			{deployer, http.StatusCreated, "deployments/create/untenanted/v1", fields{"projectName": "Web", "releaseVersion": "1.0.0", "environmentNames": []string{"Dev"}}},
			{viewer, http.StatusForbidden, "deployments", fields{"ReleaseId": ofWeb, "EnvironmentId": in[0]}},
			{viewer, http.StatusForbidden, "releases", fields{"ProjectId": web, "Version": "2.0.0"}},
			{consumer, http.StatusForbidden, "deployments", fields{"ReleaseId": ofWeb, "EnvironmentId": in[0]}},
			{consumer, http.StatusCreated, "runbookRuns", fields{"RunbookId": runbook, "EnvironmentId": in[0]}},
			{consumer, http.StatusForbidden, "runbookRuns", fields{"RunbookId": runbook, "RunbookSnapshotId": draft, "EnvironmentId": in[0]}},
		} {
			if status, text := c.who.send(http.MethodPost, space+c.path, c.body); status != c.status {
				t.Errorf("%s %v: status %d, want %d: %s", c.path, c.body, status, c.status, text)
			}
		}
		made := w.brings(ofWeb, in[1], nil)
		if got := deployer.get(space + "deployments").Int("TotalResults"); got != 2 {
			t.Errorf("the deployer sees %d deployments", got)
		}
		if got := len(deployer.get(space + "dashboard").Objects("Items")); got != 1 {
			t.Errorf("the deployer's dashboard has %d items", got)
		}
		deployer.want(http.StatusNotFound, http.MethodGet, space+"deployments/"+made.Text("Id"), nil)
	})
}
