package deployment

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/kinds/host"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/ledger"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/prompt"
	"odcm/spaceserver/internal/queue"
)

// Order is a deployment that somebody, a lifecycle or a trigger asks for. All are ids.
type Order struct {
	Release, Environment, Tenant                   string
	QueueTime, Expires                             time.Time // at once and never if zero
	Guided                                         *bool     // as the project and the environment say if nil
	SkipActions, SpecificMachines, ExcludeMachines []string
	Form, Named                                    map[string]string // answers to prompts: by the variable's id, by its name
	ForceDownload, ForceRedeploy                   bool
	Comments                                       string
	FreezeNames                                    []string // deployment freezes that are overridden, with a reason
	FreezeReason                                   string
	Trigger                                        string // what asked by itself: its name
}

// Deploy checks an order by all rules, makes the deployment and queues its task, in the transaction of the change. It asks
// for the permission of the change's principal.
func Deploy(h *host.Host, c *collection.Change, o Order) (octopus.Object, error) {
	k, err := courseOf(part.In(c), o.Release)
	if err != nil {
		return octopus.Object{}, err
	}
	environment, ok, err := k.Get("Environments", o.Environment)
	if err != nil || !ok {
		return octopus.Object{}, part.OrInvalid(err, "There is no environment '"+o.Environment+"'.")
	}
	var tenant octopus.Object
	if o.Tenant != "" {
		if tenant, ok, err = k.Get("Tenants", o.Tenant); err != nil || !ok {
			return octopus.Object{}, part.OrInvalid(err, "There is no tenant '"+o.Tenant+"'.")
		}
	}
	if err := May(c, "DeploymentCreate", k.project, environment, tenant); err != nil {
		return octopus.Object{}, err
	}
	if err := k.check(environment, tenant); err != nil {
		return octopus.Object{}, err
	}
	overridden, err := frozen(k.Reader, k.project, environment, tenant, c.Service.Now(), o)
	if err != nil {
		return octopus.Object{}, err
	}
	if overridden != "" && !c.Principal.Set.Holds("DeploymentFreezeAdminister", "") { // docs: deployments/deployment-freezes, "Permissions"
		return octopus.Object{}, problem.Denied("DeploymentFreezeAdminister")
	}
	return k.queue(h, c, o, environment, tenant, overridden)
}

// May asks whether the principal of the change may do something to the project in the environment, for the tenant if there is
// one.
func May(c *collection.Change, name permission.Name, project, environment, tenant octopus.Object) error {
	if err := c.Service.MayChange(c.Principal); err != nil {
		return err
	}
	t := permission.Target{Space: c.Space, Project: project.Text("Id"), ProjectGroup: project.Text("ProjectGroupId"), Environments: []string{environment.Text("Id")}}
	if tenant.Len() > 0 {
		t.Tenants = []string{tenant.Text("Id")}
	}
	if !c.Principal.Set.Changes(name, t) {
		return problem.Denied(string(name))
	}
	return nil
}

// check asks the project, the tenant and the lifecycle.
func (k course) check(environment, tenant octopus.Object) error {
	name := k.project.Text("Name")
	if k.project.Bool("IsDisabled") {
		return problem.Invalid("The project '" + name + "' is disabled: nothing can be deployed. Enable it in its settings first.")
	}
	if err := Tenancy("project '"+name+"'", k.project.Text("TenantedDeploymentMode"), k.project.Text("Id"), environment, tenant); err != nil {
		return err
	}
	if tenant.Len() > 0 && !k.suits(tenant) {
		return problem.Invalid("The channel '" + k.channel.Text("Name") + "' is not for the tenant '" + tenant.Text("Name") + "': it lacks the channel's tags.")
	}
	return k.admit(environment, tenant)
}

// Tenancy asks whether what has the mode (TenantedDeploymentMode, MultiTenancyMode) can go to the environment for the tenant, or
// for none where that is empty. A tenant must be connected to the project in the environment.
func Tenancy(what, mode, project string, environment, tenant octopus.Object) error {
	switch {
	case tenant.Len() == 0 && mode == "Tenanted":
		return problem.Invalid("The " + what + " needs a tenant: it does not allow untenanted deployments.")
	case tenant.Len() == 0:
		return nil
	case mode == "Untenanted" || mode == "":
		return problem.Invalid("The " + what + " does not allow tenanted deployments.")
	case tenant.Bool("IsDisabled"):
		return problem.Invalid("The tenant '" + tenant.Text("Name") + "' is disabled.")
	case !slices.Contains(tenant.Object("ProjectEnvironments").Texts(project), environment.Text("Id")):
		return problem.Invalid("The tenant '" + tenant.Text("Name") + "' is not connected to the " + what + " in the environment '" + environment.Text("Name") + "'.")
	}
	return nil
}

func (k course) queue(h *host.Host, c *collection.Change, o Order, environment, tenant octopus.Object, overridden string) (octopus.Object, error) {
	none := octopus.Object{}
	process, _, err := k.Get("DeploymentProcesses", k.release.Text("ProjectDeploymentProcessSnapshotId"))
	if err != nil {
		return none, err
	}
	if err := CheckChoice(k.Reader, process, o.SkipActions, slices.Concat(o.SpecificMachines, o.ExcludeMachines)); err != nil {
		return none, err
	}
	prompts, err := k.prompts(environment, tenant)
	if err != nil {
		return none, err
	}
	answers, err := prompt.Take(prompts, o.Form, o.Named)
	if err != nil {
		return none, err
	}
	if err := CheckTimes(o.QueueTime, o.Expires, c.Service.Now()); err != nil {
		return none, err
	}
	at := c.Service.Now()
	title := "Deploy " + k.project.Text("Name") + " release " + k.release.Text("Version") + " to " + environment.Text("Name")
	if tenant.Len() > 0 {
		title += " for " + tenant.Text("Name")
	}
	body := part.Object(map[string]any{"Name": "Deploy to " + environment.Text("Name"), "ReleaseId": k.release.Text("Id"), "EnvironmentId": environment.Text("Id"), "TenantId": part.OrNull(tenant.Text("Id")),
		"ProjectId": k.project.Text("Id"), "ChannelId": part.OrNull(k.channel.Text("Id")), "DeploymentProcessId": k.release.Text("ProjectDeploymentProcessSnapshotId"),
		"ManifestVariableSetId": k.release.Text("ProjectVariableSetSnapshotId"), "Comments": part.OrNull(o.Comments), "Created": at, "QueueTime": cmp.Or(o.QueueTime, at), "QueueTimeExpiry": part.TimeOrNull(o.Expires),
		"UseGuidedFailure": Guided(o.Guided, k.project, environment), "SkipActions": part.Some(o.SkipActions), "SpecificMachineIds": part.Some(o.SpecificMachines), "ExcludedMachineIds": part.Some(o.ExcludeMachines),
		"ForcePackageDownload": o.ForceDownload || k.project.Bool("ForcePackageDownload"), "ForcePackageRedeployment": o.ForceRedeploy, "DeployedBy": c.Principal.Username, "DeployedById": c.Principal.ID,
		"Changes": k.changes(), "ChangesMarkdown": k.release.Text("ReleaseNotes")})
	answers.Keep(&body)
	if overridden != "" { // asked again when it starts
		body.Set("DeploymentFreezeNames", o.FreezeNames)
		body.Set("DeploymentFreezeOverrideReason", o.FreezeReason)
	}
	e := ledger.Entry{Kind: ledger.Deployments, Space: c.Space, Project: k.project.Text("Id"), Line: k.project.Text("Id"), Source: k.release.Text("Id"), Channel: k.channel.Text("Id"),
		Environment: environment.Text("Id"), Tenant: tenant.Text("Id"), Created: at}
	return Queue(h, c, e, body, queue.Request{Name: "Deploy", Description: title, Due: o.QueueTime, Expires: o.Expires,
		Arguments: map[string]any{"EnvironmentId": e.Environment, "TenantId": part.OrNull(e.Tenant)},
		Serial:    "deploy/" + e.Project + "/" + e.Environment + "/" + e.Tenant}, o.Trigger, overridden)
}

// Queue makes a deployment or run and queues its task, each of which names the other. It stands in the ledger, and there is
// an event, which says what asked by itself and which deployment freeze was overridden.
func Queue(h *host.Host, c *collection.Change, e ledger.Entry, body octopus.Object, r queue.Request, trigger, overridden string) (octopus.Object, error) {
	var err error
	if e.ID, err = c.Reserve(e.Kind); err != nil {
		return octopus.Object{}, err
	}
	r.Space, r.Project, r.By = c.Space, e.Project, c.Principal.ID
	r.Arguments[noun(e)+"Id"] = e.ID
	task, err := h.Queue.Enqueue(c, r)
	if err != nil {
		return octopus.Object{}, err
	}
	e.Task, e.State, e.Number = task.Text("Id"), "Queued", part.Number(e.ID)
	body.Set("Id", e.ID)
	body.Set("TaskId", e.Task)
	made, err := c.Create(e.Kind, body)
	if err != nil {
		return made, err
	}
	if err := ledger.Add(c.Context, c.Tx, e); err != nil {
		return made, err
	}
	return made, note(c, noun(e)+"Queued", r.Description, told("was queued", trigger, overridden), e)
}

// told is what an event says of how something was queued.
func told(what, trigger, overridden string) string {
	if trigger != "" {
		what += " by " + trigger
	}
	if overridden != "" {
		what += ", overriding a deployment freeze: " + overridden
	}
	return what
}

// note adds an event about an entry: what the task is called, and what became of it.
func note(c *collection.Change, category, title, what string, e ledger.Entry) error {
	at := *c
	at.Kind = c.Service.Kind(e.Kind)
	related := []string{e.ID, e.Project, e.Source, e.Environment}
	for _, id := range []string{e.Tenant, e.Task, e.Channel} {
		if id != "" {
			related = append(related, id)
		}
	}
	if e.Line != e.Project {
		related = append(related, e.Line)
	}
	at.Note(category, e.Space, title+" "+what, title, related, collection.ChangeDetails{})
	return nil
}

// Guided tells whether failures are guided: as was asked, or as the project says, or as the environment does.
func Guided(asked *bool, owner, environment octopus.Object) bool {
	if asked != nil {
		return *asked
	}
	switch owner.Text("DefaultGuidedFailureMode") {
	case "On":
		return true
	case "Off":
		return false
	}
	return environment.Bool("UseGuidedFailure")
}

// CheckChoice refuses steps to skip and machines to choose that there are none of.
func CheckChoice(r part.Reader, process octopus.Object, skip, machines []string) error {
	var problems []string
	actions := map[string]bool{}
	for _, step := range process.Objects("Steps") {
		for _, action := range step.Objects("Actions") {
			actions[action.Text("Id")] = true
			if slices.Contains(skip, action.Text("Id")) && action.Bool("IsRequired") {
				problems = append(problems, "The step '"+action.Text("Name")+"' is required: it cannot be skipped.")
			}
		}
	}
	for _, id := range skip {
		if !actions[id] {
			problems = append(problems, "There is no step '"+id+"' to skip.")
		}
	}
	found, err := r.These("Machines", machines)
	if err != nil {
		return err
	}
	for _, id := range machines {
		if _, ok := found[id]; !ok {
			problems = append(problems, "There is no deployment target '"+id+"'.")
		}
	}
	if len(problems) > 0 {
		return problem.Invalid(problems...)
	}
	return nil
}

// CheckTimes refuses times that make no sense.
func CheckTimes(due, expires, now time.Time) error {
	const far = 366 * 24 * time.Hour
	switch {
	case !due.IsZero() && due.Sub(now) > far:
		return problem.Invalid("QueueTime is more than a year away.")
	case !expires.IsZero() && !expires.After(now):
		return problem.Invalid("QueueTimeExpiry is in the past.")
	case !expires.IsZero() && !due.IsZero() && !expires.After(due):
		return problem.Invalid("QueueTimeExpiry must be after QueueTime.")
	}
	return nil
}

func (k course) prompts(environment, tenant octopus.Object) ([]prompt.Prompt, error) {
	sets, err := prompt.Sets(k.Get, k.release, "ProjectVariableSetSnapshotId")
	return prompt.Of(sets, prompt.Place{Environment: environment.Text("Id"), Tenant: tenant.Text("Id"), Channel: k.channel.Text("Id"), TenantTags: tenant.Texts("TenantTags"), Process: k.project.Text("Id")}), err
}

// changes are the release's notes, as the changes that the deployment brings (ReleaseChanges in the Swagger document).
func (k course) changes() []any {
	return []any{map[string]any{"Version": k.release.Text("Version"), "ReleaseNotes": k.release.Text("ReleaseNotes"), "BuildInformation": []any{}, "Commits": []any{}, "WorkItems": []any{}}}
}

// found names what a list of names or ids is, each once; what is not found is told together.
func found[T any](what string, keys []string, find func(key string) (T, bool, error)) ([]T, error) {
	var all []T
	var missing []string
	for _, key := range keys {
		one, ok, err := find(key)
		if err != nil {
			return nil, err
		}
		if !ok {
			missing = append(missing, strconv.Quote(key))
			continue
		}
		all = append(all, one)
	}
	if len(missing) > 0 {
		return nil, problem.Invalid(fmt.Sprintf("There is no %s %s.", what, strings.Join(missing, ", ")))
	}
	return all, nil
}
