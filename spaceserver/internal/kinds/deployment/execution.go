package deployment

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/kinds/project"
	"odcm/spaceserver/internal/problem"
)

// Command is what the commands of the executions API have in common (deploy_release_v1.go and run_runbook_v1.go in
// go-octopusdeploy): names or ids instead of ids, camel case in, Pascal case out.
type Command struct {
	ProjectName, ProjectIDOrName   string
	ReleaseVersion                 string
	EnvironmentName                string
	EnvironmentNames               []string
	Tenants, TenantTags            []string
	RunbookName, Snapshot          string
	ForcePackageDownload           bool
	ForcePackageRedeployment       bool
	UpdateVariableSnapshot         bool
	SpecificMachineNames           []string
	ExcludedMachineNames           []string
	SkipStepNames                  []string
	UseGuidedFailure               *bool
	RunAt, NoRunAfter              string
	Variables                      map[string]string
	Comments                       string
	DeploymentFreezeNames          []string
	DeploymentFreezeOverrideReason string
	GitRef, GitCommit              string
}

// Times reads when the command is to be carried out and when no more.
func (o Command) Times() (due, expires time.Time, err error) {
	at, err := part.ParseMoment(o.RunAt)
	if err != nil {
		return due, expires, problem.Invalid("runAt is not a time: write it as 2026-01-31T12:00:00Z.")
	}
	until, err := part.ParseMoment(o.NoRunAfter)
	if err != nil {
		return due, expires, problem.Invalid("noRunAfter is not a time: write it as 2026-01-31T12:00:00Z.")
	}
	return at.Time, until.Time, nil
}

func (r *rules) untenanted(c *collection.Call) (any, error) {
	var command Command
	if err := c.Decode(&command); err != nil {
		return nil, err
	}
	names := command.EnvironmentNames
	if command.EnvironmentName != "" {
		names = append(names, command.EnvironmentName)
	}
	if len(names) == 0 {
		return nil, problem.Invalid("Please name one environment at least.")
	}
	if len(command.Tenants)+len(command.TenantTags) > 0 {
		return nil, problem.Invalid("An untenanted deployment takes no tenants: use deployments/create/tenanted/v1.")
	}
	return r.execute(c, command, names, nil)
}

func (r *rules) tenanted(c *collection.Call) (any, error) {
	var command Command
	if err := c.Decode(&command); err != nil {
		return nil, err
	}
	if command.EnvironmentName == "" {
		return nil, problem.Invalid("Please name the environment.")
	}
	if len(command.Tenants)+len(command.TenantTags) == 0 {
		return nil, problem.Invalid("Please name tenants or tenant tags.")
	}
	return r.execute(c, command, []string{command.EnvironmentName}, func(project collection.Document, environments []string) ([]string, error) {
		return Tenants(c, project.ID, environments, command.Tenants, command.TenantTags)
	})
}

// execute deploys to every environment, for every tenant where there are any: all of it or nothing.
func (r *rules) execute(c *collection.Call, command Command, environments []string, tenants func(project collection.Document, environments []string) ([]string, error)) (any, error) {
	owner, err := c.Find("Projects", cmp.Or(command.ProjectName, command.ProjectIDOrName))
	if err != nil {
		return nil, err
	}
	if command.ReleaseVersion == "" {
		return nil, problem.Invalid("Please name the release's version.")
	}
	release, err := c.Service.GetOwned(c.Context, c.Request, c.Service.Kind("Releases"), owner.ID, command.ReleaseVersion)
	if err != nil {
		return nil, err
	}
	template, err := r.template(c, command, release)
	if err != nil {
		return nil, err
	}
	in, err := Named(c, "Environments", "environment", environments)
	if err != nil {
		return nil, err
	}
	forTenants := []string{""}
	if tenants != nil {
		if forTenants, err = tenants(owner, in); err != nil {
			return nil, err
		}
	}
	var orders []Order
	for _, environment := range in {
		for _, tenant := range forTenants {
			o := template
			o.Environment, o.Tenant = environment, tenant
			orders = append(orders, o)
		}
	}
	if command.UpdateVariableSnapshot {
		if err := Renew(c, release); err != nil {
			return nil, err
		}
	}
	made, err := r.place(c, orders...)
	if err != nil {
		return nil, err
	}
	tasks := []any{}
	for _, d := range made {
		tasks = append(tasks, map[string]any{"DeploymentId": d.Text("Id"), "ServerTaskId": d.Text("TaskId")})
	}
	return collection.Made{Value: map[string]any{"DeploymentServerTasks": tasks}}, nil
}

// template is what all orders of a command have in common.
func (r *rules) template(c *collection.Call, command Command, release collection.Document) (o Order, err error) {
	o = Order{Release: release.ID, Guided: command.UseGuidedFailure, Named: command.Variables, ForceDownload: command.ForcePackageDownload, ForceRedeploy: command.ForcePackageRedeployment,
		Comments: command.Comments, FreezeNames: command.DeploymentFreezeNames, FreezeReason: command.DeploymentFreezeOverrideReason}
	if o.QueueTime, o.Expires, err = command.Times(); err != nil {
		return o, err
	}
	if o.SpecificMachines, err = Named(c, "Machines", "deployment target", command.SpecificMachineNames); err != nil {
		return o, err
	}
	if o.ExcludeMachines, err = Named(c, "Machines", "deployment target", command.ExcludedMachineNames); err != nil {
		return o, err
	}
	process, _, err := part.Outside(c, release.Space).Get("DeploymentProcesses", release.Object().Text("ProjectDeploymentProcessSnapshotId"))
	if err != nil {
		return o, err
	}
	o.SkipActions, err = Steps(process, command.SkipStepNames)
	return o, err
}

// Steps finds the actions of a process by the names of steps or actions, or by ids.
func Steps(process octopus.Object, names []string) ([]string, error) {
	var ids []string
	_, err := found("step", names, func(name string) (bool, bool, error) {
		any := false
		for _, step := range process.Objects("Steps") {
			for _, action := range step.Objects("Actions") {
				if strings.EqualFold(step.Text("Name"), name) || strings.EqualFold(action.Text("Name"), name) || action.Text("Id") == name {
					ids, any = append(ids, action.Text("Id")), true
				}
			}
		}
		return any, any, nil
	})
	return ids, err
}

// Named finds documents that the caller may see by their names, slugs or ids.
func Named(c *collection.Call, kind, what string, names []string) ([]string, error) {
	return found(what, names, func(name string) (string, bool, error) {
		d, err := c.Find(kind, name)
		if problem.IsNotFound(err) {
			return "", false, nil
		}
		return d.ID, err == nil, err
	})
}

// Tenants finds the tenants that a command means: those it names, and those with the tags that it names which are connected to
// the project in one of the environments.
func Tenants(c *collection.Call, project string, environments, names, tags []string) ([]string, error) {
	ids, err := Named(c, "Tenants", "tenant", names)
	if err != nil || len(tags) == 0 {
		return ids, err
	}
	wanted, err := canonical(c, tags)
	if err != nil {
		return nil, err
	}
	all, err := part.Seen(c, "Tenants")
	if err != nil {
		return nil, err
	}
	matched := false
	for _, d := range all {
		o := d.Object()
		connected := o.Object("ProjectEnvironments").Texts(project)
		if o.Bool("IsDisabled") || !part.Tagged(o.Texts("TenantTags"), wanted) || !slices.ContainsFunc(environments, func(id string) bool { return slices.Contains(connected, id) }) {
			continue
		}
		matched = true
		if !slices.Contains(ids, d.ID) {
			ids = append(ids, d.ID)
		}
	}
	if !matched {
		return nil, problem.Invalid("No tenant that is connected to the project there has the tags " + strings.Join(tags, ", ") + ".")
	}
	return ids, nil
}

// canonical finds tags by their canonical names in any case: "Region/EU".
func canonical(c *collection.Call, tags []string) ([]string, error) {
	sets, err := part.Outside(c, c.Space).List(document.Query{Kind: "TagSets"})
	if err != nil {
		return nil, err
	}
	return found("tenant tag", tags, func(tag string) (string, bool, error) {
		for _, set := range sets {
			for _, t := range set.Objects("Tags") {
				if strings.EqualFold(t.Text("CanonicalTagName"), tag) || t.Text("Id") == tag {
					return t.Text("CanonicalTagName"), true, nil
				}
			}
		}
		return "", false, nil
	})
}

// Renew takes the release's variables anew: for who may edit the release.
func Renew(c *collection.Call, d collection.Document) error {
	return c.Transact(func(change *collection.Change) error {
		if err := c.Service.MayChange(c.Principal); err != nil {
			return err
		}
		if !c.Principal.Set.Changes("ReleaseEdit", part.Target(d)) {
			return problem.Denied("ReleaseEdit")
		}
		return change.Edit("Releases", d.ID, func(o *octopus.Object) error {
			at := *change
			at.New = o.Clone()
			if err := project.SnapshotVariables(&at, d.Project, "ProjectVariableSetSnapshotId"); err != nil {
				return err
			}
			*o = at.New
			return nil
		})
	})
}
