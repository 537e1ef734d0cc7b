// Package execution carries out deployments and runbook runs: it plans which action runs where and when, runs the plan, and
// keeps what came of each piece, so that a task that waited for people goes on where it stopped.
//
//   - plan decides, without doing anything, what a process means for an environment, a tenant and their targets
//   - run goes through a plan: conditions, rolling windows, retries, questions to people
//   - step does what a step says: scripts, packages, manual interventions
//   - this package reads what they need from the server's documents, and gives them places to run at
package execution

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/execution/plan"
	"odcm/spaceserver/internal/execution/run"
	"odcm/spaceserver/internal/execution/step"
	"odcm/spaceserver/internal/kinds/library"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/queue"
	"odcm/spaceserver/internal/reach"
	"odcm/spaceserver/internal/script"
)

// Options are what executions need.
type Options struct {
	Service *collection.Service
	Queue   *queue.Queue
	Data    string        // the server's data folder: packages, artifacts
	Local   *script.Local // where scripts run on the server
	URL     func() string // of the server, for variables
	// Admit may refuse a deployment that starts, with a sentence: a freeze began since it was queued. It may be nil.
	Admit func(ctx context.Context, service *collection.Service, space string, deployment octopus.Object) error
}

// Engine runs deployments and runbook runs.
type Engine struct {
	options  Options
	packages *library.Store
	reach    *reach.Reacher
	locks    locks
	sweep    sync.Once
}

// New makes the engine. Nothing is read or made before the first execution.
func New(o Options) *Engine {
	return &Engine{options: o, packages: library.NewStore(o.Service, o.Data), reach: &reach.Reacher{Service: o.Service, Local: o.Local}}
}

// Deploy is the queue's work for tasks of the kind Deploy: Arguments.DeploymentId.
func (e *Engine) Deploy(ctx context.Context, t *queue.Task) error {
	return e.carryOut(ctx, t, deployment, t.Arguments.Text("DeploymentId"))
}

// RunRunbook is the queue's work for tasks of the kind RunbookRun: Arguments.RunbookRunId.
func (e *Engine) RunRunbook(ctx context.Context, t *queue.Task) error {
	return e.carryOut(ctx, t, runbookRun, t.Arguments.Text("RunbookRunId"))
}

// execution is one deployment or runbook run on its way.
type execution struct {
	*Engine
	*subject
	task   *queue.Task
	plan   plan.Plan
	sets   sets
	worker *step.Worker
	places places

	mu    sync.Mutex
	found map[string]step.Found // packages that were found whole
}

// carryOut runs the task from its beginning, or from where people were asked.
func (e *Engine) carryOut(ctx context.Context, t *queue.Task, k kind, id string) error {
	s, err := e.read(ctx, t, k, id)
	if err != nil {
		return err
	}
	if k == deployment && t.Checkpoint == nil && e.options.Admit != nil {
		if err := e.options.Admit(ctx, e.options.Service, t.Space, s.document); err != nil {
			return err
		}
	}
	x := &execution{Engine: e, subject: s, task: t, found: map[string]step.Found{}}
	defer x.places.close()
	kept := checkpoint{Journal: run.NewJournal()}
	if t.Checkpoint != nil {
		if err := json.Unmarshal(t.Checkpoint, &kept); err != nil {
			return fmt.Errorf("what was kept of the task cannot be read: %w", err)
		}
		for _, o := range kept.Journal.Outputs {
			if o.Sensitive {
				t.Recorder.Mask(o.Value)
			}
		}
	}
	if err := x.prepare(ctx, kept.Targets); err != nil {
		return err
	}
	if t.Checkpoint == nil {
		if err := x.announce(ctx); err != nil {
			return err
		}
	}
	journal := kept.Journal
	runner := &run.Runner{Plan: x.plan, Work: x, People: x, Journal: journal, Log: t.Log, Guided: s.guided(), Mask: t.Recorder.Mask, Lock: x.lock}
	err = runner.Run(ctx)
	switch {
	case errors.Is(err, run.ErrWaiting):
		if err := t.Save(ctx, checkpoint{journal, x.targets()}); err != nil {
			return err
		}
		if journal.Blocks() {
			return queue.ErrHeld
		}
		return queue.ErrParked
	case err == nil && journal.Warned:
		return queue.ErrWarnings
	}
	return err
}

// checkpoint is what is kept while people are asked.
type checkpoint struct {
	Journal *run.Journal
	Targets []string // ids of the machines that the execution began with: others that came since are not for it
}

// targets are the machines that the execution is for; never empty, so that none is none.
func (x *execution) targets() []string {
	ids := []string{"none"}
	for _, m := range x.plan.Machines {
		ids = append(ids, m.ID)
	}
	return ids
}

// prepare reads variables, and plans: for the targets that it began with, where it goes on.
func (x *execution) prepare(ctx context.Context, targets []string) (err error) {
	if x.sets, err = x.readVariables(ctx); err != nil {
		return err
	}
	if err := x.planned(ctx, targets); err != nil {
		return err
	}
	x.worker = &step.Worker{At: x.at, Find: x.find, Keep: x.keep, Mask: x.task.Recorder.Mask, Modules: x.sets.modules, Folder: x.task.ID,
		Dir: x.opened(), Redeploy: x.document.Bool("ForcePackageRedeployment"), Retain: x.retention(), Lock: x.locks.take}
	return nil
}

// opened is the folder for packages while they are worked on. What a server that died left there is removed once, after a day:
// another node may use the folder.
func (e *Engine) opened() string {
	dir := filepath.Join(e.options.Data, "opened")
	e.sweep.Do(func() {
		entries, _ := os.ReadDir(dir) // none: nothing was left
		for _, entry := range entries {
			if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
				_ = os.RemoveAll(filepath.Join(dir, entry.Name())) // tried again at the next start
			}
		}
	})
	return dir
}

// planned makes the plan. What is wrong with the process is found here, before anything runs.
func (x *execution) planned(ctx context.Context, targets []string) error {
	policy := x.policy()
	if targets == nil {
		targets = x.document.Texts("SpecificMachineIds")
	} else { // what was allowed to begin may go on
		policy.AllowDeploymentsToNoTargets = true
	}
	machines, workers, pool, err := x.readMachines(ctx)
	if err != nil {
		return err
	}
	whole, err := x.resolve(place{})
	if err != nil {
		return err
	}
	parallel, _, err := whole.Get("Octopus.Action.MaxParallelism")
	if err != nil {
		return fmt.Errorf("Octopus.Action.MaxParallelism: %w", err)
	}
	x.plan, err = plan.Make(plan.Input{Process: x.process, Environment: x.environment.Text("Id"), Tenant: x.tenant.Text("Id"), Channel: x.channel.Text("Id"), TenantTags: x.tenant.Texts("TenantTags"),
		SkipActions: x.document.Texts("SkipActions"), SpecificMachines: targets, ExcludedMachines: x.document.Texts("ExcludedMachineIds"),
		Machines: machines, Workers: workers, DefaultPool: pool, Policy: policy, Selected: x.selected(), Knows: step.Knows, Parallelism: parallel,
		Expand: func(text string) (string, error) { r, err := whole.Expand(text); return r.Text, err }})
	return err
}

// announce says in the log what is left out, and in the document which targets are meant.
func (x *execution) announce(ctx context.Context) error {
	for _, e := range x.plan.Excluded {
		x.task.Log.Write(activity.Info, e.Machine.Name+" is left out because "+e.Reason+".")
	}
	if len(x.plan.Machines) == 0 {
		return nil
	}
	var ids []string
	for _, m := range x.plan.Machines {
		ids = append(ids, m.ID)
	}
	return x.service.Transact(ctx, collection.Request{Principal: permission.System(), Space: x.space}, func(c *collection.Change) error {
		if err := x.task.Hold(c); err != nil {
			return err
		}
		return c.Edit(x.kind.name, x.document.Text("Id"), func(o *octopus.Object) error {
			o.Set("DeployedToMachineIds", ids)
			return nil
		})
	})
}

// lock keeps a target for one piece of work at a time on this node, unless OctopusBypassDeploymentMutex is True (docs:
// administration/managing-infrastructure/run-multiple-processes-on-a-target-simultaneously).
func (x *execution) lock(ctx context.Context, machine string) (func(), error) {
	if x.sets.bypass {
		return func() {}, nil
	}
	return x.locks.take(ctx, machine)
}

// locks are locks by name.
type locks struct {
	mu   sync.Mutex
	held map[string]chan struct{}
}

// take waits until nobody else holds the name.
func (l *locks) take(ctx context.Context, name string) (release func(), err error) {
	for {
		l.mu.Lock()
		if l.held == nil {
			l.held = map[string]chan struct{}{}
		}
		other, taken := l.held[name]
		if !taken {
			mine := make(chan struct{})
			l.held[name] = mine
			l.mu.Unlock()
			return func() {
				l.mu.Lock()
				defer l.mu.Unlock()
				delete(l.held, name)
				close(mine)
			}, nil
		}
		l.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
