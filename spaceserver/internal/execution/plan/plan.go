// Package plan decides what a deployment or runbook run will do before anything of it is done: which action runs where, in
// which order, which are left out and why. It reads values and answers values: no clock, no network, no database.
package plan

import (
	"fmt"
	"strings"
)

// Refusal is a sentence that says why something cannot be done: it fails the task, and people read it there.
type Refusal string

func (r Refusal) Error() string { return string(r) }

func refuse(format string, args ...any) error { return Refusal(fmt.Sprintf(format, args...)) }

// Input is everything that a plan depends on.
type Input struct {
	Process                      Process
	Environment, Tenant, Channel string   // ids; Tenant and Channel may be ""
	TenantTags                   []string // canonical names: "Ring/Early"
	SkipActions                  []string // ids of actions
	SpecificMachines             []string
	ExcludedMachines             []string
	Machines                     []Machine // of the space
	Workers                      []Machine // of the space
	DefaultPool                  string    // id of the space's default worker pool
	Policy                       Policy
	Selected                     []Selected
	Knows                        func(actionType string) bool
	Expand                       func(text string) (string, error) // expressions in settings, by variables of the whole deployment
	Parallelism                  string                            // the variable Octopus.Action.MaxParallelism
}

// Selected is the version that a release chose for a package of an action.
type Selected struct{ ActionName, StepName, PackageReferenceName, Version string }

// Plan is what will be done.
type Plan struct {
	Groups   []Group
	Acquire  int // packages are fetched before this group; -1 where there are none
	Excluded []Exclusion
	Machines []Machine // the distinct targets, in the order of their first use
	Parallel int       // how many steps, and targets of a step, run at a time
}

// Group is steps that run at the same time (docs: projects/steps/conditions#start-trigger).
type Group struct{ Steps []Work }

// Work is one step with where it runs.
type Work struct {
	Number int // in the process, from 1
	Step   Step
	Skip   string // why nothing of it runs; ""
	// Targets are the machines that each action runs on, or on behalf of; none where it runs once.
	Targets   []Machine
	PerTarget bool
	Roles     []string // target tags that it is for
	Window    int      // targets at a time
	Rolling   bool
	Actions   []Job
}

// Job is one action of a step.
type Job struct {
	Number int // in the step, from 1
	Action Action
	Skip   string
	On     Location
	Pool   string    // id of the worker pool, for [Worker]
	Worker []Machine // who may run it, for [Worker]
}

// Location says where an action's scripts run.
type Location int

// The locations.
const (
	Server Location = iota // on this server
	Worker                 // on a machine of a worker pool
	Target                 // on each target
)

// defaultParallelism is how many steps and targets run at a time (docs: projects/variables/system-variables,
// Octopus.Action.MaxParallelism).
const defaultParallelism = 10

// Make makes the plan, or says in a sentence why there can be none.
func Make(in Input) (Plan, error) {
	p := Plan{Acquire: -1, Parallel: number(in.Parallelism, defaultParallelism)}
	candidates, excluded := in.candidates()
	p.Excluded = excluded
	needTargets, found := "", false
	for i, step := range in.Process.Steps {
		w, err := in.work(i+1, step, candidates, p.Parallel)
		if err != nil {
			return Plan{}, err
		}
		if w.Skip == "" && w.PerTarget {
			needTargets = step.Name
			if found = found || len(w.Targets) > 0; len(w.Targets) == 0 {
				w.Skip = fmt.Sprintf("there are no deployment targets with the target tags %s", strings.Join(w.Roles, ", "))
			}
		}
		if len(p.Groups) == 0 || step.StartTrigger != "StartWithPrevious" {
			p.Groups = append(p.Groups, Group{})
		}
		p.add(len(p.Groups)-1, w)
	}
	if needTargets != "" && !found && !in.Policy.AllowDeploymentsToNoTargets {
		return Plan{}, Refusal(in.noTargets(needTargets, excluded))
	}
	return p, nil
}

// add puts a step into its group, and the fetching of packages before the first that needs it
// (docs: projects/steps/conditions#package-requirement).
func (p *Plan) add(group int, w Work) {
	p.Groups[group].Steps = append(p.Groups[group].Steps, w)
	if w.Skip != "" {
		return
	}
	uses := w.Step.PackageRequirement == "AfterPackageAcquisition"
	for _, job := range w.Actions {
		if job.Skip == "" && len(job.Action.Packages) > 0 {
			uses = true
		}
	}
	if uses && p.Acquire < 0 {
		p.Acquire = group
	}
	for _, m := range w.Targets {
		known := false
		for _, k := range p.Machines {
			known = known || k.ID == m.ID
		}
		if !known {
			p.Machines = append(p.Machines, m)
		}
	}
}

func (in Input) noTargets(step string, excluded []Exclusion) string {
	var reasons strings.Builder
	for _, e := range excluded {
		fmt.Fprintf(&reasons, " %s is left out because %s.", e.Machine.Name, e.Reason)
	}
	return fmt.Sprintf("The step '%s' needs deployment targets, and there are none in this environment that it could run on.%s Add a target, or allow deployments to no targets in the project's settings.", step, reasons.String())
}

// work plans one step.
func (in Input) work(n int, step Step, candidates []Machine, parallel int) (Work, error) {
	w := Work{Number: n, Step: step, Window: parallel}
	roles, err := in.expand(step, step.Properties.Get("Octopus.Action.TargetRoles"))
	if err != nil {
		return w, err
	}
	w.Roles = list(roles)
	w.PerTarget = len(w.Roles) > 0
	width, err := in.expand(step, step.Properties.Get("Octopus.Action.MaxParallelism"))
	if err != nil {
		return w, err
	}
	if window := number(width, 0); window > 0 {
		w.Window, w.Rolling = window, true
	}
	w.Skip = "all of its actions are skipped"
	for i, action := range step.Actions {
		job, err := in.job(i+1, step, action, w.PerTarget)
		if err != nil {
			return w, err
		}
		if job.Skip == "" {
			w.Skip = ""
		} else if len(step.Actions) == 1 {
			w.Skip = job.Skip
		}
		w.Actions = append(w.Actions, job)
	}
	if !w.PerTarget {
		return w, nil
	}
	for _, m := range candidates {
		if m.HasRole(w.Roles) {
			w.Targets = append(w.Targets, m)
		}
	}
	return w, nil
}

// job plans one action. A step without target tags has nowhere to run but on the server or a worker
// (docs: deployments/custom-scripts/run-a-script-step).
func (in Input) job(n int, step Step, action Action, perTarget bool) (Job, error) {
	j := Job{Number: n, Action: action, Skip: in.skips(action)}
	if j.Skip != "" {
		return j, nil
	}
	if in.Knows != nil && !in.Knows(action.ActionType) {
		return j, refuse("The step '%s' is of the type '%s', which this Space server cannot run. Nothing was run: remove the step, disable it, or skip it in this deployment.",
			title(step, action), action.ActionType)
	}
	if image := action.Container.Image; image != "" {
		return j, refuse("The step '%s' is to run in a container of the image '%s', and this Space server runs no containers. Nothing was run: remove the container image from the step, so that it runs on the server, a worker or its targets themselves.",
			title(step, action), image)
	}
	packages := make([]Package, len(action.Packages))
	for i, p := range action.Packages {
		packages[i] = p
		if packages[i].Version = in.version(step, action, p); packages[i].Version == "" {
			return j, refuse("The release names no version of the package '%s' for the step '%s'. Create a new release that selects one.", p.PackageID, title(step, action))
		}
	}
	j.Action.Packages = packages
	if perTarget && !action.Properties.Flag("Octopus.Action.RunOnServer") {
		j.On = Target
		return j, nil
	}
	return j, in.workers(&j, step)
}

// workers finds who runs an action that does not run on targets. The default pool without workers means this server
// (docs: infrastructure/workers/built-in-worker).
func (in Input) workers(j *Job, step Step) error {
	if j.Action.ActionType == Manual {
		return nil
	}
	pool := j.Action.WorkerPoolID
	if name := j.Action.WorkerPoolVariable; name != "" {
		var err error
		if pool, err = in.expand(step, "#{"+name+"}"); err != nil {
			return err
		}
	}
	if pool == "" {
		pool = in.DefaultPool
	}
	var away int
	for _, m := range in.Workers {
		if !contains(m.WorkerPoolIDs, pool) || m.IsDisabled {
			continue
		}
		if m.HealthStatus == "Unavailable" || m.HealthStatus == "Unhealthy" {
			away++
			continue
		}
		j.Worker = append(j.Worker, m)
	}
	switch {
	case len(j.Worker) > 0:
		j.On, j.Pool = Worker, pool
	case pool != "" && !strings.EqualFold(pool, in.DefaultPool) || away > 0:
		return refuse("The worker pool '%s' of the step '%s' has no worker that is enabled and healthy.", pool, title(step, j.Action))
	}
	return nil
}

func (in Input) version(step Step, action Action, p Package) string {
	for _, s := range in.Selected {
		if (strings.EqualFold(s.ActionName, action.Name) || s.ActionName == "" && strings.EqualFold(s.StepName, step.Name)) && strings.EqualFold(s.PackageReferenceName, p.Name) {
			return s.Version
		}
	}
	return ""
}

// expand evaluates the expressions in a setting of a step.
func (in Input) expand(step Step, text string) (string, error) {
	if in.Expand == nil || !strings.Contains(text, "#{") {
		return text, nil
	}
	expanded, err := in.Expand(text)
	if err != nil {
		return "", refuse("A setting of the step '%s' cannot be evaluated: %s", step.Name, err)
	}
	return expanded, nil
}

// title is what people call an action: its step's name where it is the only one.
func title(step Step, action Action) string {
	if len(step.Actions) == 1 || action.Name == "" {
		return step.Name
	}
	return step.Name + ": " + action.Name
}
