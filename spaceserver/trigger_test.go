package spaceserver_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"odcm/kit/db/dbtest"
	"odcm/octopus"
	"odcm/spaceserver"
)

// events are the messages of a category that concern a document, the newest first.
func (w *world) events(category, regarding string) (messages []string) {
	w.t.Helper()
	for _, e := range w.get("/api/events?eventCategories=" + category + "&regardingAny=" + regarding + "&spaces=Spaces-1").Objects("Items") {
		messages = append(messages, e.Text("Message"))
	}
	return messages
}

// region makes a deployment target that scripts on the server stand for.
func (w *world) region(name, environment string, more fields) octopus.Object {
	w.t.Helper()
	body := fields{"Name": name, "EnvironmentIds": []string{environment}, "Roles": []string{"web"}, "Endpoint": fields{"CommunicationStyle": "None"}}
	for n, v := range more {
		body[n] = v
	}
	return w.create(space+"machines", body)
}

func TestANewTargetGetsWhatIsCurrent(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		in := w.environments("Dev", "Production")
		project := w.project("Web").Text("Id")
		w.process(project, on("web", bash("Install", "echo installed")), bash("Tell", "echo told"))
		first := w.region("one", in[0], nil)
		trigger := w.create(space+"projecttriggers", fields{"Name": "Scale", "ProjectId": project, "Action": fields{"ActionType": "AutoDeploy"},
			"Filter": fields{"FilterType": "MachineFilter", "EnvironmentIds": in[:1], "EventGroups": []string{"MachineAvailableForDeployment"}, "Roles": []string{"web"}}})
		release := w.release(project, "1.0.0")
		skip := w.get(space + "deploymentprocesses/deploymentprocess-" + project).Objects("Steps")[1].Objects("Actions")[0].Text("Id")
		w.outcome(w.deploy(release, in[0], fields{"SkipActions": []string{skip}}))

		second, third := w.region("two", in[0], nil).Text("Id"), w.region("three", in[0], nil).Text("Id")
		w.region("elsewhere", in[1], nil)
		w.region("other", in[0], fields{"Roles": []string{"database"}})
		count := func() int64 { return w.get(space + "deployments").Int("TotalResults") }
		waitUntil(t, 20*time.Second, func() bool { return count() >= 2 })
		reached := map[string]bool{}
		waitUntil(t, 20*time.Second, func() bool {
			for _, d := range w.get(space + "deployments").Objects("Items")[:count()-1] {
				if d.Text("ReleaseId") != release || !slices.Equal(d.Texts("SkipActions"), []string{skip}) || d.Text("DeployedBy") != "system" {
					t.Fatalf("it deployed %s", text(d))
				}
				if w.over(d.Text("TaskId")).Text("State") != "Success" {
					t.Fatalf("%s failed", d.Text("Id"))
				}
				for _, id := range d.Texts("SpecificMachineIds") {
					reached[id] = true
				}
			}
			return len(reached) == 2
		})
		if !reached[second] || !reached[third] {
			t.Errorf("it deployed to %v, want %s and %s", reached, second, third)
		}
		if got := w.events("TriggerSucceeded", trigger.Text("Id")); len(got) == 0 || !strings.Contains(got[0], "The trigger Scale queued Deployments-") {
			t.Errorf("the events tell %q", got)
		}

		// A target that has the release already is left alone, until something else is current.
		n := count()
		enable := func(on bool) {
			first.Set("IsDisabled", !on)
			first = w.want(http.StatusOK, http.MethodPut, space+"machines/"+first.Text("Id"), first)
		}
		enable(false)
		enable(true)
		w.region("four", in[0], nil) // fires with it or behind it
		waitUntil(t, 20*time.Second, func() bool { return count() > n })
		if d := w.get(space + "deployments?take=1").Objects("Items")[0]; slices.Contains(d.Texts("SpecificMachineIds"), first.Text("Id")) {
			t.Errorf("it deployed again to a target that has the release: %s", text(d))
		}

		// What is refused is told.
		w.create("/api/deploymentfreezes", fields{"Name": "Peace", "Start": time.Now().Add(-time.Hour), "End": time.Now().Add(time.Hour), "ProjectEnvironmentScope": fields{project: in[:1]}})
		w.region("five", in[0], nil)
		waitUntil(t, 20*time.Second, func() bool { return len(w.events("TriggerBlocked", trigger.Text("Id"))) > 0 })
		if got := w.events("TriggerBlocked", trigger.Text("Id"))[0]; !strings.Contains(got, "The deployment freeze 'Peace' is in force") {
			t.Errorf("the event tells %q", got)
		}
	})
}

func TestAPushMakesARelease(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.environments("Dev")
		owner := w.project("Web")
		project := owner.Text("Id")
		w.process(project, packaged())
		owner.Set("AutoCreateRelease", true)
		owner.Set("ReleaseCreationStrategy", fields{"ReleaseCreationPackage": fields{"DeploymentAction": "Deploy", "PackageReference": ""}})
		w.want(http.StatusOK, http.MethodPut, space+"projects/"+project, owner)
		w.push("Other.1.0.0.zip", "a", "a")
		w.push("App.1.0.0.zip", "a", "a")
		releases := func() []octopus.Object { return w.get(space + "projects/" + project + "/releases").Objects("Items") }
		waitUntil(t, 20*time.Second, func() bool { return len(releases()) == 1 })
		if got := releases()[0].Objects("SelectedPackages"); len(got) != 1 || got[0].Text("Version") != "1.0.0" {
			t.Errorf("the release has %v", got)
		}
		w.push("App.0.9.0.zip", "a", "a") // an older one makes none, and says so
		if got := w.events("TriggerBlocked", project); len(got) != 1 || !strings.Contains(got[0], "App 0.9.0, because it is not the newest") {
			t.Errorf("the events tell %q", got)
		}
		w.push("App.1.1.0.zip", "a", "a")
		w.push("App.1.2.0.zip", "a", "a")
		waitUntil(t, 20*time.Second, func() bool { return len(releases()) == 3 })
		if got := releases()[0].Objects("SelectedPackages"); got[0].Text("Version") != "1.2.0" {
			t.Errorf("the newest release has %v", got)
		}

		owner = w.get(space + "projects/" + project)
		owner.Set("AutoCreateRelease", false)
		w.want(http.StatusOK, http.MethodPut, space+"projects/"+project, owner)
		filter := func(action string) fields {
			return fields{"FilterType": "FeedFilter", "Packages": []fields{{"DeploymentAction": action, "PackageReference": ""}}}
		}
		create := fields{"ActionType": "CreateRelease"}
		w.refused(http.StatusBadRequest, space+"projecttriggers", fields{"Name": "Feed", "ProjectId": project, "Filter": filter("Nothing"), "Action": create}, "no step 'Nothing'")
		w.refused(http.StatusBadRequest, space+"projecttriggers", fields{"Name": "Git", "ProjectId": project, "Filter": fields{"FilterType": "GitFilter"}, "Action": create}, "does not fire triggers of the kind 'GitFilter'")
		w.create(space+"projecttriggers", fields{"Name": "Feed", "ProjectId": project, "Filter": filter("Deploy"), "Action": create})
		w.push("App.2.0.0.zip", "a", "a")
		waitUntil(t, 20*time.Second, func() bool { return len(releases()) == 4 })
	})
}

// TestTwoNodesFireOnce: whichever of two nodes is quicker makes the release, and the other does not.
func TestTwoNodesFireOnce(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url string) {
		if !strings.HasPrefix(url, "postgres") {
			t.Skip("SQLite has one node")
		}
		data := t.TempDir()
		w := start(t, spaceserver.Options{Database: url, Data: data, Name: "one"})
		other := start(t, spaceserver.Options{Database: url, Data: data, Name: "two"})
		owner := w.project("Web")
		project := owner.Text("Id")
		w.process(project, packaged())
		owner.Set("AutoCreateRelease", true)
		owner.Set("ReleaseCreationStrategy", fields{"ReleaseCreationPackage": fields{"DeploymentAction": "Deploy"}})
		w.want(http.StatusOK, http.MethodPut, space+"projects/"+project, owner)
		for _, version := range []string{"1.0.0", "1.1.0", "1.2.0"} {
			w.push("App."+version+".zip", "a", "a")
			other.push("App."+version+"1.zip", "a", "a")
		}
		succeeded := func() int {
			return strings.Count(strings.Join(w.events("TriggerSucceeded", project), " "), "made release")
		}
		waitUntil(t, 20*time.Second, func() bool { return succeeded() == 6 })
		seen := map[string]bool{}
		for _, o := range w.get(space + "projects/" + project + "/releases").Objects("Items") {
			seen[o.Objects("SelectedPackages")[0].Text("Version")] = true
		}
		if n := w.get(space + "projects/" + project + "/releases").Int("TotalResults"); n != 6 || len(seen) != 6 {
			t.Errorf("%d releases of %d packages, want 6", n, len(seen))
		}
	})
}

func TestAPushByWhoMayNotReleaseMakesNone(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		owner := w.project("Web")
		project := owner.Text("Id")
		w.process(project, packaged())
		owner.Set("AutoCreateRelease", true)
		owner.Set("ReleaseCreationStrategy", fields{"ReleaseCreationPackage": fields{"DeploymentAction": "Deploy"}})
		w.want(http.StatusOK, http.MethodPut, space+"projects/"+project, owner)
		pusher := w.user("pusher", fields{"UserRoleId": "userroles-packagepublisher", "SpaceId": "Spaces-1"})
		pusher.push("App.1.0.0.zip", "a", "a")
		if got := w.events("TriggerBlocked", project); len(got) != 1 || !strings.Contains(got[0], "may not create releases of Web") {
			t.Errorf("the events tell %q", got)
		}
	})
}

func TestAPromotionThatIsRefusedIsTold(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		in := w.environments("Dev")
		lifecycle := w.create(space+"lifecycles", fields{"Name": "By itself", "Phases": []fields{{"Name": "First", "AutomaticDeploymentTargets": in, "OptionalDeploymentTargets": []string{}}}}).Text("Id")
		project := w.create(space+"projects", fields{"Name": "Web", "ProjectGroupId": "ProjectGroups-1", "LifecycleId": lifecycle}).Text("Id")
		w.create("/api/deploymentfreezes", fields{"Name": "Peace", "Start": time.Now().Add(-time.Hour), "End": time.Now().Add(time.Hour), "ProjectEnvironmentScope": fields{project: in}})
		release := w.release(project, "1.0.0")
		if got := w.events("TriggerBlocked", release); len(got) != 1 || !strings.Contains(got[0], "The lifecycle By itself was blocked") || !strings.Contains(got[0], "'Peace' is in force") {
			t.Errorf("the events tell %q", got)
		}
	})
}
