// Package console runs scripts that people write on the spot, on the machines that they choose (docs:
// administration/managing-infrastructure/script-console).
package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"odcm/octopus"
	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/queue"
	"odcm/spaceserver/internal/reach"
	"odcm/spaceserver/internal/script"
)

// Console runs such scripts.
type Console struct {
	Service *collection.Service
	// Local is where scripts for cloud regions and for the server run.
	Local *script.Local
	// Who tells what a user may do, to ask on which machines; nil lets everyone.
	Who func(ctx context.Context, user string) (permission.Principal, error)
}

// Run is the queue's work for tasks of the kind AdHocScript (BuiltInTasks.cs in OctopusClients): Arguments.ScriptBody,
// Syntax, TargetType (Machines, Environments, Workers, WorkerPools, OctopusServer) with MachineIds, EnvironmentIds and
// TargetRoles, WorkerIds, WorkerPoolIds.
func (c *Console) Run(ctx context.Context, t *queue.Task) error {
	body := cmp.Or(t.Arguments.Text("ScriptBody"), t.Arguments.Text("Body"))
	if body == "" && t.Arguments.Text("ActionTemplateId") != "" {
		return problem.Unsupported("This Space server does not run step templates by themselves: write the script.")
	}
	if strings.TrimSpace(body) == "" {
		return problem.Invalid("There is no script to run: ScriptBody is empty.")
	}
	work := script.Work{Syntax: script.Syntax(cmp.Or(t.Arguments.Text("Syntax"), string(script.PowerShell))), Body: body}
	target := t.Arguments.Text("TargetType")
	if strings.EqualFold(target, "OctopusServer") {
		if err := c.mayOnServer(ctx, t); err != nil {
			return err
		}
		return c.run(ctx, t, t.Log, c.Local, work, "server")
	}
	chosen, err := choice(target, t.Arguments)
	if err != nil {
		return err
	}
	if err := c.Service.Ready(); err != nil {
		return err
	}
	r := &reach.Reacher{Service: c.Service, Local: c.Local}
	machines, err := r.Select(ctx, t.Space, chosen)
	if err != nil {
		return err
	}
	if len(machines) == 0 {
		return problem.Invalid("No machine is meant by what was chosen, or all of them are disabled.")
	}
	if err := c.may(ctx, t, machines); err != nil {
		return err
	}
	var mu sync.Mutex
	var failed []string
	reach.Each(machines, func(m reach.Machine) {
		log := t.Log.Child(m.ID, "Run script on: "+m.Name)
		place, err := r.Open(ctx, t, m)
		if err == nil {
			err = errors.Join(c.run(ctx, t, log, place, work, m.ID), place.Close())
		}
		if err == nil {
			log.End(activity.Success)
			return
		}
		log.Write(activity.Fatal, err.Error())
		log.End(activity.Failed)
		mu.Lock()
		defer mu.Unlock()
		failed = append(failed, m.Name+" ("+err.Error()+")")
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if len(failed) > 0 {
		return fmt.Errorf("the script failed on %d of %d machines: %s", len(failed), len(machines), strings.Join(failed, "; "))
	}
	return nil
}

func choice(target string, arguments octopus.Object) (c reach.Choice, err error) {
	c = reach.Choice{IDs: append(reach.Texts(arguments, "MachineIds"), reach.Texts(arguments, "WorkerIds")...), Environments: reach.Texts(arguments, "EnvironmentIds"),
		Roles: reach.Texts(arguments, "TargetRoles"), Pools: reach.Texts(arguments, "WorkerPoolIds")}
	switch strings.ToLower(target) {
	case "", "machines", "environments":
		c.Kinds = []string{"Machines"}
	case "workers", "workerpools":
		c.Kinds = []string{"Workers"}
	default:
		return c, problem.Invalid("There is no TargetType '" + target + "': Machines, Environments, Workers, WorkerPools and OctopusServer are.")
	}
	if len(c.IDs)+len(c.Environments)+len(c.Roles)+len(c.Pools) == 0 {
		return c, problem.Invalid("Choose where the script is to run: MachineIds, EnvironmentIds, TargetRoles or WorkerPoolIds are all empty.")
	}
	return c, nil
}

// run runs the script at one place.
func (c *Console) run(ctx context.Context, t *queue.Task, log *activity.Log, place script.Place, work script.Work, at string) error {
	work.Folder = t.ID + "/" + at
	out := &reach.Output{Task: t, Log: log}
	err := place.Run(ctx, work, out)
	if exit := new(script.ExitError); errors.As(err, &exit) && out.Failure != "" {
		return errors.New(out.Failure)
	}
	return err
}

// may refuses machines on which who asked may not run scripts: the task was let in for what it named.
func (c *Console) may(ctx context.Context, t *queue.Task, machines []reach.Machine) error {
	if c.Who == nil {
		return nil
	}
	who, err := c.Who(ctx, t.By)
	if err != nil {
		return err
	}
	for _, m := range machines {
		on := permission.Target{Space: m.Space, Environments: m.Object.Texts("EnvironmentIds"), Tenants: m.Object.Texts("TenantIds")}
		if !who.Set.Changes("TaskCreate", on) {
			return problem.New(403, "The user may not run scripts on '%s'. Missing permission: TaskCreate", m.Name)
		}
	}
	return nil
}

// mayOnServer refuses who does not administer the server: a script there sees its network.
func (c *Console) mayOnServer(ctx context.Context, t *queue.Task) error {
	if c.Who == nil {
		return nil
	}
	who, err := c.Who(ctx, t.By)
	if err == nil && !who.Set.Administers() {
		err = problem.New(403, "Only administrators may run scripts on the Space server itself. Missing permission: AdministerSystem")
	}
	return err
}
