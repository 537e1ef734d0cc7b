package spaceserver_test

import (
	"net/http"
	"strings"
	"testing"

	"odcm/octopus"
)

// TestStepTemplateUpdates: where a template is used, and every outcome of bringing a step to a new version of it, in
// deployment processes and runbooks.
func TestStepTemplateUpdates(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		template := w.create("/api/actiontemplates", fields{"Name": "Say", "ActionType": "Octopus.Script", "Properties": fields{"Body": "one", "Syntax": "Bash"},
			"Packages": []fields{{"Name": "tool", "PackageId": "Tool", "FeedId": "feeds-builtin", "Properties": fields{"SelectionMode": "immediate"}}, {"Name": "mine", "PackageId": nil, "FeedId": nil, "Properties": fields{"SelectionMode": "deferred"}}}})
		id := template.Text("Id")
		project := w.project("Web")
		book := w.create("/api/runbooks", fields{"Name": "Tidy", "ProjectId": project.Text("Id")})
		action := func(name, body string) fields {
			return fields{"Name": name, "ActionType": "Octopus.Script", "Properties": fields{"Octopus.Action.Template.Id": id, "Octopus.Action.Template.Version": "1", "Body": body, "Syntax": "Bash"},
				"Packages": []fields{{"Name": "tool", "PackageId": "Tool", "FeedId": "feeds-builtin"}, {"Name": "mine", "PackageId": "Acme", "FeedId": "feeds-builtin"}, {"Name": "added", "PackageId": "Other", "FeedId": "feeds-builtin"}}}
		}
		processes := map[string]string{"deploymentprocesses/deploymentprocess-" + project.Text("Id"): "deploymentprocess-" + project.Text("Id"), "runbookProcesses/RunbookProcess-" + book.Text("Id"): "RunbookProcess-" + book.Text("Id")}
		for path := range processes {
			process := w.get("/api/" + path)
			process.Set("Steps", []fields{{"Name": "Plain", "Actions": []fields{action("Plain", "one")}}, {"Name": "Own", "Actions": []fields{action("Own", "changed")}}})
			w.want(http.StatusOK, "PUT", "/api/"+path, process)
		}
		usage := func() []octopus.Object {
			return octopusObject(t, w, "/api/actiontemplates/"+id+"/usage").Objects("all")
		}
		used := usage()
		if len(used) != 4 || used[0].Text("ProcessType") != "Deployment" || used[0].Text("ProjectName") != "Web" || used[3].Text("ProcessType") != "Runbook" || used[3].Text("RunbookName") != "Tidy" {
			t.Fatalf("usage: %v", used)
		}

		template.Set("Properties", fields{"Body": "two", "Syntax": "Bash"})
		template.Set("Parameters", []fields{{"Name": "Loud"}})
		template.Set("Packages", []fields{{"Name": "mine", "PackageId": nil, "FeedId": nil, "Properties": fields{"SelectionMode": "deferred"}}})
		w.want(http.StatusOK, "PUT", "/api/actiontemplates/"+id, template)
		if versions := w.get("/api/actiontemplates/" + id + "/versions"); versions.Int("TotalResults") != 2 || w.get("/api/actiontemplates/"+id+"/versions/1").Object("Properties").Text("Body") != "one" {
			t.Errorf("versions: %s", text(versions))
		}
		// outcomes updates all steps of a process and tells the outcome of each, by its name.
		outcomes := func(process string, more fields) map[string]octopus.Object {
			body := fields{"Version": 2, "ActionIdsByProcessId": fields{process: []string{}}}
			for name, value := range more {
				body[name] = value
			}
			status, answer := w.send("POST", "/api/actiontemplates/"+id+"/actionsUpdate", body)
			o, err := octopus.ParseObject([]byte(`{"all":` + string(answer) + `}`))
			if status != http.StatusOK || err != nil {
				t.Fatalf("%d %s", status, answer)
			}
			found := map[string]octopus.Object{}
			for _, r := range o.Objects("all") {
				for _, u := range used {
					if u.Text("ActionId") == r.Text("Id") {
						found[u.Text("ActionName")] = r
					}
				}
			}
			return found
		}
		for path, process := range processes {
			got := outcomes(process, nil)
			if got["Plain"].Text("Outcome") != "DefaultParamterValueMissing" || got["Own"].Text("Outcome") != "ManualMergeRequired" || !got["Own"].Object("ManualMergeRequiredReasonsByPropertyName").Has("Body") {
				t.Errorf("%s: %v", process, got)
			}
			if before := w.get("/api/" + path).Int("Version"); before != 1 {
				t.Errorf("%s was changed: version %d", process, before)
			}
		}
		channel := w.get("/api/projects/" + project.Text("Id") + "/channels").Objects("Items")[0]
		channel.Set("Rules", []fields{{"VersionRange": "[1.0,2.0)", "ActionPackages": []fields{{"DeploymentAction": "Plain", "PackageReference": "tool"}}}})
		w.want(http.StatusOK, "PUT", "/api/channels/"+channel.Text("Id"), channel)
		ready := fields{"DefaultPropertyValues": fields{"Loud": "yes"}}
		got := outcomes("deploymentprocess-"+project.Text("Id"), ready)["Plain"]
		if usages := got.Objects("RemovedPackageUsages"); got.Text("Outcome") != "RemovedPackageInUse" || len(usages) != 1 || usages[0].Text("UsedBy") != "ChannelRule" || usages[0].Text("PackageReference") != "tool" || usages[0].Text("UsedByName") != "Default" {
			t.Errorf("a package in use: %s", text(got))
		}
		channel = w.get("/api/channels/" + channel.Text("Id"))
		channel.Set("Rules", []fields{})
		w.want(http.StatusOK, "PUT", "/api/channels/"+channel.Text("Id"), channel)
		ready["Overrides"] = fields{"Body": "merged"}
		for path, process := range processes {
			for name, r := range outcomes(process, ready) {
				if r.Text("Outcome") != "Success" {
					t.Errorf("%s %s: %s", process, name, text(r))
				}
			}
			own := w.get("/api/" + path).Objects("Steps")[1].Objects("Actions")[0]
			var packages []string
			for _, p := range own.Objects("Packages") {
				packages = append(packages, p.Text("Name")+"="+p.Text("PackageId"))
			}
			if p := own.Object("Properties"); p.Text("Body") != "merged" || p.Text("Loud") != "yes" || p.Text("Octopus.Action.Template.Version") != "2" || strings.Join(packages, " ") != "mine=Acme added=Other" {
				t.Errorf("%s: %s", process, text(own))
			}
		}
		for _, u := range usage() {
			if u.Text("Version") != "2" {
				t.Errorf("usage: %s", text(u))
			}
		}
		w.want(http.StatusBadRequest, "POST", "/api/actiontemplates/"+id+"/actionsUpdate", fields{"Version": 9, "ActionIdsByProcessId": fields{}})
		if status, answer := w.send("POST", "/api/actiontemplates/"+id+"/actionsUpdate", fields{"Version": 2, "ActionIdsByProcessId": fields{"deploymentprocess-Projects-99": []string{}}}); status != http.StatusNotFound {
			t.Errorf("a process that is not there: %d %s", status, answer)
		}
	})
}
