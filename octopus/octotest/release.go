package octotest

import (
	"slices"
	"time"

	"odcm/octopus"
)

// deploymentEnds is how long a deployment may take that has no steps to run.
const deploymentEnds = time.Minute

// deploymentLife takes a release through a lifecycle of two phases, and asks on its way what clients ask: where it can go, what a
// deployment would do, how far it came, what is where, and what the events say (docs: releases/lifecycles and
// releases/prevent-release-progression).
func (s *session) deploymentLife() {
	make := func(route string, body fields) octopus.Object {
		o := s.post(s.in(route), body)
		s.cleanup = append(s.cleanup, func() { s.delete(s.in(route) + "/" + o.ID()) })
		return o
	}
	first, second := make("environments", fields{"Name": s.name("First")}), make("environments", fields{"Name": s.name("Second")})
	phase := func(environment octopus.Object) fields {
		return fields{"Name": environment.Name(), "AutomaticDeploymentTargets": []string{}, "OptionalDeploymentTargets": []string{environment.ID()}, "MinimumEnvironmentsBeforePromotion": 0, "IsOptionalPhase": false}
	}
	lifecycle := make("lifecycles", fields{"Name": s.name("Two phases"), "Phases": []any{phase(first), phase(second)}})
	project := make("projects", fields{"Name": s.name("Deployed"), "ProjectGroupId": s.id("projectgroups"), "LifecycleId": lifecycle.ID()})
	release := s.post(s.in("releases"), fields{"ProjectId": project.ID(), "Version": "1.0.0", "SelectedPackages": []any{}})
	path := s.in("releases/" + release.ID())

	template := s.get(path + "/deployments/template")
	if to := template.Objects("PromoteTo"); len(to) != 1 || to[0].ID() != first.ID() {
		s.problemf("GET %s/deployments/template: it can go to %s at first", path, encode(to))
	}
	preview := s.get(path + "/deployments/preview/" + first.ID())
	if !preview.Has("Form") || !preview.Has("StepsToExecute") {
		s.problemf("GET %s/deployments/preview: %s", path, encode(preview))
	}
	body := fields{"ReleaseId": release.ID(), "EnvironmentId": second.ID()}
	s.want(s.send(request{method: "POST", path: s.in("deployments"), body: body}), 400)
	body["EnvironmentId"] = first.ID()
	made := s.post(s.in("deployments"), body)
	if made.Text("TaskId") == "" || made.Text("ProjectId") != project.ID() || made.Text("ReleaseId") != release.ID() || made.Text("ChannelId") != release.Text("ChannelId") {
		s.problemf("POST deployments: %s", encode(made))
	}
	s.succeeds(made.Text("TaskId"))
	s.deploymentsAreListed(project, first, made)

	progress := s.get(path + "/progression")
	phases := progress.Objects("Phases")
	if len(phases) != 2 || phases[0].Text("Progress") != "Complete" || phases[1].Text("Progress") != "Current" || !slices.Equal(progress.Texts("NextDeployments"), []string{second.ID()}) {
		s.problemf("GET %s/progression: %s", path, encode(progress))
	}
	s.post(path+"/defects", fields{"Description": "It leaks"})
	body["EnvironmentId"] = second.ID()
	s.want(s.send(request{method: "POST", path: s.in("deployments"), body: body}), 400)
	s.post(path+"/defects/resolve", nil)
	s.delete(path)
}

// succeeds waits until a task has ended well.
func (s *session) succeeds(task string) {
	path := s.in("tasks") + "/" + task
	o := s.get(path)
	for deadline := time.Now().Add(deploymentEnds); !o.Bool("IsCompleted"); o = s.get(path) {
		if time.Now().After(deadline) {
			s.fatalf("GET %s: %s after %s", path, o.Text("State"), deploymentEnds)
		}
		<-time.After(20 * time.Millisecond)
	}
	if o.Text("State") != "Success" {
		s.fatalf("GET %s: %s: %s", path, o.Text("State"), o.Text("ErrorMessage"))
	}
}

// deploymentsAreListed looks for a deployment wherever it is shown.
func (s *session) deploymentsAreListed(project, environment, made octopus.Object) {
	for _, query := range []string{"projects=" + project.ID(), "environments=" + environment.ID(), "ids=" + made.ID(), "projects=" + project.ID() + "&taskState=Success"} {
		items := s.get(s.in("deployments") + "?" + query).Objects("Items")
		if len(items) != 1 || items[0].ID() != made.ID() {
			s.problemf("GET deployments?%s: %s", query, encode(items))
		}
	}
	shown := s.get(s.in("dashboard") + "?projectId=" + project.ID()).Objects("Items")
	if len(shown) != 1 || shown[0].Text("DeploymentId") != made.ID() || shown[0].Text("State") != "Success" || !shown[0].Bool("IsCurrent") {
		s.problemf("GET dashboard: %s", encode(shown))
	}
	releases := s.get(s.in("progression/" + project.ID())).Objects("Releases")
	if len(releases) != 1 || len(releases[0].Object("Deployments").Objects(environment.ID())) != 1 {
		s.problemf("GET progression/%s: %s", project.ID(), encode(releases))
	}
	var seen []string
	for _, e := range s.get(octopus.Route("events") + "?regarding=" + made.ID()).Objects("Items") {
		seen = append(seen, e.Text("Category"))
	}
	for _, category := range []string{"DeploymentQueued", "DeploymentStarted", "DeploymentSucceeded"} {
		if !slices.Contains(seen, category) {
			s.problemf("GET events?regarding=%s: %v, without %s", made.ID(), seen, category)
		}
	}
}
