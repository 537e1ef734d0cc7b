package plan_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"odcm/octopus"
	"odcm/spaceserver/internal/execution/plan"
)

// a process in the text of its document, as the API shows it.
func process(t *testing.T, steps string) plan.Process {
	t.Helper()
	var p plan.Process
	if err := json.Unmarshal([]byte(`{"Steps":`+steps+`}`), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func target(id string, roles ...string) plan.Machine {
	endpoint, _ := octopus.ParseObject([]byte(`{"CommunicationStyle":"Ssh"}`))
	return plan.Machine{ID: id, Name: id, EnvironmentIDs: []string{"Environments-1"}, Roles: roles, TenantedDeploymentParticipation: "Untenanted", HealthStatus: "Healthy", Endpoint: endpoint}
}

func with(m plan.Machine, f func(*plan.Machine)) plan.Machine { f(&m); return m }

func action(more string) string {
	return `{"Id":"a","Name":"A","ActionType":"Octopus.Script","Properties":{"Octopus.Action.RunOnServer":"true"}` + more + `}`
}

func one(more string) string { return `[{"Id":"s","Name":"S","Actions":[` + action(more) + `]}]` }

const web = `[{"Id":"s","Name":"Web","Properties":{"Octopus.Action.TargetRoles":"web, app"},"Actions":[{"Id":"a","Name":"Web","ActionType":"Octopus.Script"}]}]`

// shown is a plan in one line: groups with |, steps of a group with &, places in brackets.
func shown(p plan.Plan) string {
	var groups []string
	for i, g := range p.Groups {
		var steps []string
		for _, w := range g.Steps {
			s := fmt.Sprintf("%d", w.Number)
			if w.Skip != "" {
				steps = append(steps, s+" skipped")
				continue
			}
			var names []string
			for _, m := range w.Targets {
				names = append(names, m.Name)
			}
			for _, j := range w.Actions {
				switch {
				case j.Skip != "":
					s += " -"
				default:
					s += " " + map[plan.Location]string{plan.Server: "server", plan.Worker: "worker", plan.Target: "target"}[j.On]
				}
			}
			if w.PerTarget {
				s += "[" + strings.Join(names, " ") + "]"
			}
			if w.Rolling {
				s += fmt.Sprintf("/%d", w.Window)
			}
			steps = append(steps, s)
		}
		prefix := ""
		if i == p.Acquire {
			prefix = "acquire "
		}
		groups = append(groups, prefix+strings.Join(steps, " & "))
	}
	return strings.Join(groups, " | ")
}

func TestPlan(t *testing.T) {
	t.Parallel()
	worker := with(target("w1"), func(m *plan.Machine) { m.WorkerPoolIDs = []string{"WorkerPools-1"} })
	for name, c := range map[string]struct {
		steps string
		edit  func(in *plan.Input)
		want  string
		fails string
	}{
		"once on the server":                       {steps: one(""), want: "1 server"},
		"a step without target tags on the server": {steps: `[{"Id":"s","Name":"S","Actions":[{"Id":"a","ActionType":"Octopus.Script"}]}]`, want: "1 server"},
		"on each target with one of the tags":      {steps: web, want: "1 target[m1 m2]"},
		"on the server for each target": {steps: strings.Replace(web, `"Octopus.Script"`, `"Octopus.Script","Properties":{"Octopus.Action.RunOnServer":"True"}`, 1),
			want: "1 server[m1 m2]"},
		"in a rolling window":  {steps: strings.Replace(web, `"web, app"`, `"web","Octopus.Action.MaxParallelism":"2"`, 1), want: "1 target[m1]/2"},
		"steps in their order": {steps: `[{"Id":"1","Name":"1","Actions":[` + action("") + `]},{"Id":"2","Name":"2","Actions":[` + action("") + `]}]`, want: "1 server | 2 server"},
		"steps side by side": {steps: `[{"Id":"1","Name":"1","StartTrigger":"StartWithPrevious","Actions":[` + action("") + `]},{"Id":"2","Name":"2","StartTrigger":"StartWithPrevious","Actions":[` + action("") + `]},
			{"Id":"3","Name":"3","StartTrigger":"StartAfterPrevious","Actions":[` + action("") + `]}]`, want: "1 server & 2 server | 3 server"},
		"disabled":                          {steps: one(`,"IsDisabled":true`), want: "1 skipped"},
		"for this environment":              {steps: one(`,"Environments":["Environments-1"]`), want: "1 server"},
		"for another environment":           {steps: one(`,"Environments":["Environments-2"]`), want: "1 skipped"},
		"not for this environment":          {steps: one(`,"ExcludedEnvironments":["Environments-1"]`), want: "1 skipped"},
		"for this channel":                  {steps: one(`,"Channels":["Channels-1"]`), want: "1 server"},
		"for another channel":               {steps: one(`,"Channels":["Channels-2"]`), want: "1 skipped"},
		"channels mean nothing to runbooks": {steps: one(`,"Channels":["Channels-2"]`), edit: func(in *plan.Input) { in.Channel = "" }, want: "1 server"},
		"for tenants with a tag":            {steps: one(`,"TenantTags":["Ring/Early","Ring/Beta"]`), edit: tenanted, want: "1 server"},
		"for tenants with tags of each set": {steps: one(`,"TenantTags":["Ring/Early","Region/EU"]`), edit: tenanted, want: "1 skipped"},
		"for tenants, and there is none":    {steps: one(`,"TenantTags":["Ring/Early"]`), want: "1 skipped"},
		"skipped by people":                 {steps: one(""), edit: func(in *plan.Input) { in.SkipActions = []string{"a"} }, want: "1 skipped"},
		"required, and not to be skipped":   {steps: one(`,"IsRequired":true`), edit: func(in *plan.Input) { in.SkipActions = []string{"a"} }, want: "1 server"},
		"approval by a team is required": {steps: `[{"Id":"s","Name":"S","Actions":[{"Id":"a","ActionType":"Octopus.Manual","Properties":{"Octopus.Action.Manual.ResponsibleTeamIds":"Teams-1"}}]}]`,
			edit: func(in *plan.Input) { in.SkipActions = []string{"a"} }, want: "1 server"},
		"some actions of a step are left out": {steps: `[{"Id":"s","Name":"S","Actions":[` + action(`,"IsDisabled":true`) + `,` + action("") + `]}]`, want: "1 - server"},
		"specific machines":                   {steps: web, edit: func(in *plan.Input) { in.SpecificMachines = []string{"M2"} }, want: "1 target[m2]"},
		"excluded machines":                   {steps: web, edit: func(in *plan.Input) { in.ExcludedMachines = []string{"m2"} }, want: "1 target[m1]"},
		"disabled machines":                   {steps: web, edit: each(func(m *plan.Machine) { m.IsDisabled = m.ID == "m1" }), want: "1 target[m2]"},
		"unavailable machines are tried":      {steps: web, edit: each(func(m *plan.Machine) { m.HealthStatus = "Unavailable" }), want: "1 target[m1 m2]"},
		"unavailable machines are left out": {steps: web, edit: func(in *plan.Input) {
			in.Machines[0].HealthStatus, in.Policy.SkipMachineBehavior = "Unavailable", "SkipUnavailableMachines"
		}, want: "1 target[m2]"},
		"unavailable machines are left out by tag": {steps: web, edit: func(in *plan.Input) {
			in.Machines[0].HealthStatus, in.Machines[1].HealthStatus = "Unavailable", "Unavailable"
			in.Policy.SkipMachineBehavior, in.Policy.TargetRoles = "SkipUnavailableMachines", []string{"app"}
		}, want: "1 target[m1]"},
		"unhealthy machines are used": {steps: web, edit: each(func(m *plan.Machine) { m.HealthStatus = "Unhealthy" }), want: "1 target[m1 m2]"},
		"unhealthy machines are left out": {steps: web, edit: func(in *plan.Input) {
			in.Machines[0].HealthStatus, in.Policy.ExcludeUnhealthyTargets = "Unhealthy", true
		}, want: "1 target[m2]"},
		"machines elsewhere":             {steps: web, edit: each(func(m *plan.Machine) { m.EnvironmentIDs = []string{"Environments-2"} }), fails: "The step 'Web' needs deployment targets"},
		"no targets, which is allowed":   {steps: web, edit: func(in *plan.Input) { in.Machines, in.Policy.AllowDeploymentsToNoTargets = nil, true }, want: "1 skipped"},
		"no targets for one step of two": {steps: strings.TrimSuffix(web, "]") + `,{"Id":"t","Name":"DB","Properties":{"Octopus.Action.TargetRoles":"db"},"Actions":[{"Id":"b","ActionType":"Octopus.Script"}]}]`, want: "1 target[m1 m2] | 2 skipped"},
		"why there are no targets":       {steps: web, edit: each(func(m *plan.Machine) { m.IsDisabled = true }), fails: "m1 is left out because it is disabled"},
		"tenanted machines are not for all": {steps: web, edit: each(func(m *plan.Machine) {
			m.TenantedDeploymentParticipation = "Tenanted"
			m.TenantIDs = []string{"Tenants-1"}
		}), fails: "needs deployment targets"},
		"machines of the tenant": {steps: web, edit: func(in *plan.Input) {
			tenanted(in)
			in.Machines[0].TenantedDeploymentParticipation, in.Machines[0].TenantIDs = "TenantedOrUntenanted", []string{"Tenants-1"}
		}, want: "1 target[m1]"},
		"machines of the tenant's tags": {steps: web, edit: func(in *plan.Input) {
			tenanted(in)
			in.Machines[1].TenantedDeploymentParticipation, in.Machines[1].TenantTags = "Tenanted", []string{"Ring/Early"}
		}, want: "1 target[m2]"},
		"packages before the first step that uses one": {steps: `[{"Id":"1","Name":"1","Actions":[` + action("") + `]},{"Id":"2","Name":"2","Actions":[` + action(`,"Packages":[{"Name":"","PackageId":"P"}]`) + `]}]`, want: "1 server | acquire 2 server"},
		"packages before a step that wants them before": {steps: `[{"Id":"1","Name":"1","PackageRequirement":"AfterPackageAcquisition","Actions":[` + action("") + `]},{"Id":"2","Name":"2","Actions":[` + action(`,"Packages":[{"Name":"","PackageId":"P"}]`) + `]}]`,
			want: "acquire 1 server | 2 server"},
		"a package without a version":     {steps: one(`,"Packages":[{"Name":"lib","PackageId":"P"}]`), fails: "The release names no version of the package 'P' for the step 'S'"},
		"an unknown type":                 {steps: strings.Replace(one(""), "Octopus.Script", "Octopus.KubernetesDeployContainers", 1), fails: "The step 'S' is of the type 'Octopus.KubernetesDeployContainers'"},
		"a container image":               {steps: one(`,"Container":{"Image":"alpine:3","FeedId":"Feeds-1"}`), fails: "The step 'S' is to run in a container of the image 'alpine:3'"},
		"a container without an image":    {steps: one(`,"Container":{"Image":null,"FeedId":null}`), want: "1 server"},
		"an unknown type that is skipped": {steps: strings.Replace(one(`,"IsDisabled":true`), "Octopus.Script", "Octopus.Other", 1), want: "1 skipped"},
		"on a worker of the pool":         {steps: one(`,"WorkerPoolId":"WorkerPools-1"`), edit: func(in *plan.Input) { in.Workers = []plan.Machine{worker} }, want: "1 worker"},
		"on a worker of the default pool": {steps: one(""), edit: func(in *plan.Input) { in.Workers, in.DefaultPool = []plan.Machine{worker}, "WorkerPools-1" }, want: "1 worker"},
		"a default pool without workers":  {steps: one(""), edit: func(in *plan.Input) { in.DefaultPool = "WorkerPools-9" }, want: "1 server"},
		"a pool by a variable": {steps: one(`,"WorkerPoolVariable":"Pool"`), edit: func(in *plan.Input) {
			in.Workers, in.Expand = []plan.Machine{worker}, func(text string) (string, error) { return strings.ReplaceAll(text, "#{Pool}", "WorkerPools-1"), nil }
		}, want: "1 worker"},
		"a setting that cannot be evaluated": {steps: strings.Replace(web, "web, app", "#{Loop}", 1), edit: func(in *plan.Input) {
			in.Expand = func(string) (string, error) { return "", errors.New("a variable refers to itself") }
		}, fails: "A setting of the step 'Web' cannot be evaluated: a variable refers to itself"},
		"target tags by a variable": {steps: strings.Replace(web, "web, app", "#{Tags}", 1), edit: func(in *plan.Input) {
			in.Expand = func(text string) (string, error) { return strings.ReplaceAll(text, "#{Tags}", "app"), nil }
		}, want: "1 target[m2]"},
		"a pool without workers": {steps: one(`,"WorkerPoolId":"WorkerPools-2"`), fails: "The worker pool 'WorkerPools-2' of the step 'S' has no worker"},
		"a pool whose workers are away": {steps: one(""), edit: func(in *plan.Input) {
			in.Workers, in.DefaultPool = []plan.Machine{with(worker, func(m *plan.Machine) { m.HealthStatus = "Unavailable" })}, "WorkerPools-1"
		}, fails: "has no worker that is enabled and healthy"},
		"people are asked on the server": {steps: `[{"Id":"s","Name":"S","Actions":[{"Id":"a","ActionType":"Octopus.Manual","WorkerPoolId":"WorkerPools-2"}]}]`, want: "1 server"},
		"nothing at all":                 {steps: `[]`, want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := plan.Input{Process: process(t, c.steps), Environment: "Environments-1", Channel: "Channels-1", Machines: []plan.Machine{target("m1", "web"), target("m2", "App")},
				Selected: []plan.Selected{{ActionName: "A", Version: "1.0"}}, Knows: func(s string) bool { return s == "Octopus.Script" || s == "Octopus.Manual" }}
			if c.edit != nil {
				c.edit(&in)
			}
			p, err := plan.Make(in)
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Fatalf("got %v, want an error with %q", err, c.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := shown(p); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func tenanted(in *plan.Input) {
	in.Tenant, in.TenantTags = "Tenants-1", []string{"Ring/Early", "Region/US"}
}

func each(f func(m *plan.Machine)) func(in *plan.Input) {
	return func(in *plan.Input) {
		for i := range in.Machines {
			f(&in.Machines[i])
		}
	}
}

func TestTargetsAreCountedOnce(t *testing.T) {
	t.Parallel()
	twice := strings.TrimSuffix(web, "]") + "," + strings.TrimPrefix(web, "[")
	p, err := plan.Make(plan.Input{Process: process(t, twice), Environment: "Environments-1", Machines: []plan.Machine{target("m1", "web"), target("m2", "app")}, Parallelism: "3"})
	if err != nil || len(p.Machines) != 2 || p.Parallel != 3 || p.Groups[0].Steps[0].Window != 3 {
		t.Errorf("got %d machines, %d in parallel, %v", len(p.Machines), p.Parallel, err)
	}
}

func TestPropertyReadsWhatClientsWrite(t *testing.T) {
	t.Parallel()
	var p plan.Properties
	if err := json.Unmarshal([]byte(`{"a":"x","b":null,"c":{"HasValue":true,"NewValue":null,"Hint":null},"d":true,"e":7}`), &p); err != nil {
		t.Fatal(err)
	}
	got := []string{p.Get("A"), p.Get("b"), p.Get("c"), p.Get("d"), p.Get("e"), fmt.Sprint(p["c"].Secret), fmt.Sprint(p.Flag("D")), fmt.Sprint(p.Number("e", 1)), fmt.Sprint(p.Number("a", 9))}
	if want := []string{"x", "", "", "true", "7", "true", "true", "7", "9"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
