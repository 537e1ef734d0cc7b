package execution

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/execution/plan"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/ledger"
	"odcm/spaceserver/internal/variable"
)

// system are the variables that are the same for the whole execution (docs: projects/variables/system-variables).
func (x *execution) system(ctx context.Context, all []value) ([]value, error) {
	set := func(name, text string) { all = append(all, value{name, text, false}) }
	d, source, base := x.document, x.source, x.options.URL()
	web := "/app#/" + x.space
	for name, o := range map[string]octopus.Object{"Project": x.project, "ProjectGroup": x.group, "Environment": x.environment} {
		set("Octopus."+name+".Id", o.Text("Id"))
		set("Octopus."+name+".Name", o.Text("Name"))
		if slug := o.Text("Slug"); slug != "" {
			set("Octopus."+name+".Slug", slug)
		}
	}
	set("Octopus.Environment.SortOrder", strconv.FormatInt(x.environment.Int("SortOrder"), 10))
	set("Octopus.Space.Id", x.space)
	for _, s := range x.service.Directory().Spaces {
		if s.ID == x.space {
			set("Octopus.Space.Name", s.Name)
		}
	}
	set("Octopus.Task.Id", x.task.ID)
	set("Octopus.Task.Name", x.task.Description)
	for name := range x.task.Arguments.All() {
		set("Octopus.Task.Argument["+name+"]", x.task.Arguments.Text(name))
	}
	set("Octopus.Task.QueueTime", d.Text("QueueTime"))
	set("Octopus.Task.QueueTimeExpiry", d.Text("QueueTimeExpiry"))
	set("Octopus.Web.BaseUrl", base)
	set("Octopus.Web.ServerUri", base)
	set("Octopus.Web.ProjectLink", web+"/projects/"+x.project.Text("Id"))
	set("Octopus.Action.Package.SkipIfAlreadyInstalled", flagText(x.project.Bool("DefaultToSkipIfAlreadyInstalled")))
	if x.tenant.Len() > 0 {
		for _, prefix := range []string{"Octopus.Deployment.Tenant.", "Octopus.Tenant."} {
			set(prefix+"Id", x.tenant.Text("Id"))
			set(prefix+"Name", x.tenant.Text("Name"))
			set(prefix+"Tags", strings.Join(x.tenant.Texts("TenantTags"), ","))
		}
	}
	by := map[string]string{"Id": x.task.By, "Username": x.by.Text("Username"), "DisplayName": first(x.by.Text("DisplayName"), x.by.Text("Username")), "EmailAddress": x.by.Text("EmailAddress")}
	prefixes := []string{"Octopus.Deployment."}
	if x.runbook.Len() > 0 {
		prefixes = append(prefixes, "Octopus.RunbookRun.")
		set("Octopus.Runbook.Id", x.runbook.Text("Id"))
		set("Octopus.Runbook.Name", x.runbook.Text("Name"))
		set("Octopus.RunbookSnapshot.Id", source.Text("Id"))
		set("Octopus.RunbookSnapshot.Name", source.Text("Name"))
		set("Octopus.RunbookSnapshot.Notes", source.Text("Notes"))
		set("Octopus.RunbookRun.CreatedUtc", d.Text("Created"))
		set("Octopus.Web.RunbookSnapshotLink", web+"/projects/"+x.project.Text("Id")+"/operations/runbooks/"+x.runbook.Text("Id")+"/snapshots/"+source.Text("Id"))
		set("Octopus.Web.RunbookRunLink", web+"/projects/"+x.project.Text("Id")+"/operations/runbooks/"+x.runbook.Text("Id")+"/snapshots/"+source.Text("Id")+"/runs/"+d.Text("Id"))
	} else {
		set("Octopus.Release.Id", source.Text("Id"))
		set("Octopus.Release.Number", source.Text("Version"))
		set("Octopus.Release.Notes", source.Text("ReleaseNotes"))
		set("Octopus.Release.Created", source.Text("Assembled"))
		set("Octopus.Release.Channel.Id", x.channel.Text("Id"))
		set("Octopus.Release.Channel.Name", x.channel.Text("Name"))
		for name, text := range octopus.As[map[string]string](source, "CustomFields") {
			set("Octopus.Release.CustomFields["+name+"]", text)
		}
		set("Octopus.Web.ReleaseLink", web+"/releases/"+source.Text("Id"))
		set("Octopus.Web.DeploymentLink", web+"/deployments/"+d.Text("Id"))
	}
	for _, prefix := range prefixes {
		set(prefix+"Id", d.Text("Id"))
		set(prefix+"Name", d.Text("Name"))
		set(prefix+"Comments", d.Text("Comments"))
		set(prefix+"Created", d.Text("Created"))
		for name, text := range by {
			set(prefix+"CreatedBy."+name, text)
		}
		set(prefix+"ForcePackageDownload", flagText(d.Bool("ForcePackageDownload")))
		set(prefix+"SpecificMachines", strings.Join(d.Texts("SpecificMachineIds"), ","))
		set(prefix+"Trigger.Id", d.Text("TriggerId"))
		set(prefix+"Trigger.Name", d.Text("TriggerName"))
	}
	return x.earlier(ctx, all)
}

func flagText(on bool) string {
	if on {
		return "True"
	}
	return "False"
}

// earlier adds what went before: the release that was made before this one, that which was deployed to the environment last, for
// this tenant, and that which is there now because it was deployed successfully.
func (x *execution) earlier(ctx context.Context, all []value) ([]value, error) {
	if x.runbook.Len() > 0 {
		return all, nil
	}
	read, project := x.service.Store.DB.Read(), x.project.Text("Id")
	names := func(prefix, id string) error {
		release, _, err := x.get(ctx, "Releases", id)
		all = append(all, value{prefix + ".Id", id, false}, value{prefix + ".Number", release.Text("Version"), false})
		return err
	}
	before := ""
	for row, err := range x.service.Store.Each(ctx, read, document.Query{Kind: "Releases", Owner: project, Spaces: []string{x.space}, Order: document.NewestFirst}) {
		if err != nil {
			return nil, err
		}
		if part.Number(row.ID) < part.Number(x.source.Text("Id")) {
			before = row.ID
			break
		}
	}
	if before != "" {
		if err := names("Octopus.Release.Previous", before); err != nil {
			return nil, err
		}
	}
	w := ledger.Query{Kind: ledger.Deployments, Space: x.space, Project: project, Line: project, Environment: x.environment.Text("Id"), Tenant: x.tenant.Text("Id"), Untenanted: x.tenant.Len() == 0, Take: 1,
		States: []string{"Success", "Failed", "TimedOut", "Canceled"}}
	last, err := ledger.List(ctx, read, w)
	if err != nil || len(last) == 0 {
		return all, err
	}
	if err := names("Octopus.Release.PreviousForEnvironment", last[0].Source); err != nil {
		return nil, err
	}
	good := last
	if last[0].State != "Success" {
		w.States = []string{"Success"}
		if good, err = ledger.List(ctx, read, w); err != nil || len(good) == 0 {
			return all, err
		}
	}
	all = append(all, value{"Octopus.Deployment.PreviousSuccessful.Id", good[0].ID, false})
	return all, names("Octopus.Release.CurrentForEnvironment", good[0].Source)
}

// ofPlan adds what the plan decided: the targets.
func (x *execution) ofPlan(c *variable.Collection) {
	var ids []string
	byRole := map[string][]string{}
	for _, m := range x.plan.Machines {
		ids = append(ids, m.ID)
		c.Set("Octopus.Deployment.Targets["+m.ID+"].Id", m.ID, false)
		c.Set("Octopus.Deployment.Targets["+m.ID+"].Name", m.Name, false)
		for _, role := range m.Roles {
			byRole[role] = append(byRole[role], m.ID)
		}
	}
	c.Set("Octopus.Deployment.Machines", strings.Join(ids, ","), false)
	for role, machines := range byRole {
		c.Set("Octopus.Environment.MachinesInRole["+role+"]", strings.Join(machines, ","), false)
	}
	var excluded []string
	for _, e := range x.plan.Excluded {
		excluded = append(excluded, e.Machine.ID)
	}
	c.Set("Octopus.Deployment.ExcludedMachines", strings.Join(excluded, ","), false)
}

// ofWork adds what belongs to an action at its place. The settings of the step and the action are variables too.
func (x *execution) ofWork(c *variable.Collection, at place) {
	step, job := at.work.Step, at.job
	settings := func(p plan.Properties) {
		for name, v := range p {
			if strings.EqualFold(name, "Octopus.Action.Package.SkipIfAlreadyInstalled") && v.Text == "" {
				continue
			}
			c.Set(name, v.Text, v.Secret)
		}
	}
	settings(step.Properties)
	x.parameters(c, job.Action)
	settings(job.Action.Properties)
	for name, text := range map[string]string{"Octopus.Step.Id": step.ID, "Octopus.Step.Name": step.Name, "Octopus.Step.Number": strconv.Itoa(at.work.Number),
		"Octopus.Action.Id": job.Action.ID, "Octopus.Action.Name": job.Action.Name, "Octopus.Action.Number": strconv.Itoa(job.Number), "Octopus.Action.Type": job.Action.ActionType,
		"OctopusRetentionPolicySet": strings.Join([]string{x.environment.Text("Id"), x.project.Text("Id"), job.Action.ID, first(x.tenant.Text("Id"), "Untenanted"), machineID(at.machine)}, "/")} {
		c.Set(name, text, false)
	}
	if job.On == plan.Worker {
		c.Set("Octopus.WorkerPool.Id", job.Pool, false)
	}
	if m := at.machine; m != nil {
		c.Set("Octopus.Machine.Id", m.ID, false)
		c.Set("Octopus.Machine.Name", m.Name, false)
		c.Set("Octopus.Machine.Roles", strings.Join(m.Roles, ","), false)
		c.Set("Octopus.Machine.Hostname", m.Endpoint.Text("Host"), false)
		targeted := slices.DeleteFunc(slices.Clone(at.work.Roles), func(role string) bool { return !m.HasRole([]string{role}) })
		c.Set("Octopus.Tentacle.CurrentDeployment.TargetedRoles", strings.Join(targeted, ","), false)
		style := m.Style()
		for name := range m.Endpoint.All() {
			if text := m.Endpoint.Text(name); text != "" && name != "CommunicationStyle" {
				c.Set("Octopus.Endpoint."+style+"."+name, text, false)
			}
		}
	}
}

func machineID(m *plan.Machine) string {
	if m == nil {
		return "server"
	}
	return m.ID
}

// parameters gives an action of a step template those of the template's parameters that it has no value for, with their
// defaults (docs: projects/custom-step-templates). The values that it has are among its properties.
func (x *execution) parameters(c *variable.Collection, a plan.Action) {
	for name, p := range x.defaults[a.ID] {
		c.Set(name, p.Text, p.Secret)
	}
}
