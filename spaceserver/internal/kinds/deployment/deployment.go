// Package deployment is where releases went: deployments, the rules by which they may be made (permissions, lifecycles, tenants,
// freezes, prompts), and what follows when they end.
package deployment

import (
	"cmp"
	"net/url"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/host"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/ledger"
	"odcm/spaceserver/internal/problem"
)

type rules struct{ *host.Host }

// Kinds are deployments: what was deployed where (DeploymentResource in the Swagger document). Answers to secret prompts lie sealed
// in SensitiveFormValues.
func Kinds(h *host.Host) []*collection.Kind {
	r := &rules{h}
	return []*collection.Kind{{
		Name: "Deployments", Type: "Deployment", Route: "deployments", Shared: true, Owner: "ReleaseId", Project: "ProjectId", Environments: "EnvironmentId", Tenants: "TenantId", Order: document.NewestFirst, Silent: true,
		Template: `{"Name":"","ReleaseId":"","EnvironmentId":"","TenantId":null,"ProjectId":"","ChannelId":null,"TaskId":null,"DeploymentProcessId":null,"ManifestVariableSetId":null,"Comments":null,"Created":null,
			"QueueTime":null,"QueueTimeExpiry":null,"UseGuidedFailure":false,"SkipActions":[""],"SpecificMachineIds":[""],"ExcludedMachineIds":[""],"DeployedToMachineIds":[""],"ForcePackageDownload":false,
			"ForcePackageRedeployment":false,"FormValues":{},"DeployedBy":null,"DeployedById":null,"FailureEncountered":false,"TentacleRetentionPeriod":null,"Changes":[],"ChangesMarkdown":null}`,
		Without: "create edit all list", Permission: collection.Verbs{View: "DeploymentView", Create: "DeploymentCreate", Edit: "DeploymentCreate", Delete: "DeploymentDelete"},
		Filters: map[string]string{"projects": "ProjectId", "environments": "EnvironmentId", "tenants": "TenantId", "channels": "ChannelId"},
		Query:   "skip,take,ids,projects,environments,tenants,channels,taskState,partialName",
		Links: map[string]string{"Project": "projects/{Project}", "Release": "releases/{Owner}", "Web": "/app#/{Space}/deployments/{Id}", "Artifacts": "artifacts?regarding={Id}",
			"Interruptions": "interruptions?regarding={Id}"},
		Remove: Forget,
		Actions: []collection.Action{
			{Method: "GET", Path: "deployments", Handle: func(c *collection.Call) (any, error) { return List(c, "Deployments") }},
			{Method: "POST", Path: "deployments", Permission: "DeploymentCreate", Handle: r.post},
			{Method: "POST", Path: "deployments/create/untenanted/v1", Permission: "DeploymentCreate", Handle: r.untenanted},
			{Method: "POST", Path: "deployments/create/tenanted/v1", Permission: "DeploymentCreate", Handle: r.tenanted},
			{Method: "GET", Path: "releases/{id}/progression", Permission: "ReleaseView", Handle: progression},
			{Method: "GET", Path: "releases/{id}/deployments/template", Permission: "ReleaseView", Handle: deploymentTemplate},
			{Method: "GET", Path: "releases/{id}/deployments/preview/{environment}", Permission: "ReleaseView", Handle: deploymentPreview},
			{Method: "GET", Path: "releases/{id}/deployments/preview/{environment}/{tenant}", Permission: "ReleaseView", Handle: deploymentPreview},
			{Method: "POST", Path: "releases/{id}/deployments/previews", Permission: "ReleaseView", Handle: deploymentPreviews},
		},
	}}
}

// List lists deployments or runs, the newest first. The ledger finds them: a page costs what it holds, not what there ever was.
func List(c *collection.Call, kind string) (any, error) {
	k := c.Service.Kind(kind)
	w := ledger.Query{Kind: kind, Space: c.Space}
	for parameter, to := range map[string]*[]string{"projects": &w.Projects, "environments": &w.Environments, "tenants": &w.Tenants, "channels": &w.Channels, "runbooks": &w.Lines, "taskState": &w.States} {
		*to = collection.Split(c.Query, parameter)
	}
	path := collection.Base(c.Space) + "/" + k.Route
	page := collection.Page[collection.Document]{ItemType: k.Type, Skip: collection.Number(c.Query, "skip", 0), Take: cmp.Or(collection.Number(c.Query, "take", collection.DefaultTake), collection.DefaultTake), Path: path,
		Template: path + "{/id}{?" + k.Query + "}"}
	all := collection.Request{Principal: c.Principal, Space: c.Space, Named: c.Named, Query: url.Values{}}
	named := len(collection.Split(c.Query, "ids"))+len(c.Query["partialName"])+len(c.Query["name"]) > 0
	if named || !c.Principal.Set.Unrestricted(k.Permission.View, c.Space) {
		// Names and restricted grants are asked of each.
		entries, err := ledger.List(c.Context, c.Service.Store.DB.Read(), w)
		if err != nil {
			return nil, err
		}
		fits := make(map[string]bool, len(entries))
		for _, e := range entries {
			fits[e.ID] = true
		}
		p, err := c.Service.List(c.Context, c.Request, k, collection.Listing{Filter: func(o octopus.Object) bool { return fits[o.Text("Id")] }})
		p.Path, p.Template = page.Path, page.Template
		return p, err
	}
	var err error
	if page.Total, err = ledger.Count(c.Context, c.Service.Store.DB.Read(), w); err != nil {
		return nil, err
	}
	w.Skip, w.Take = page.Skip, page.Take
	entries, err := ledger.List(c.Context, c.Service.Store.DB.Read(), w)
	if err != nil || len(entries) == 0 {
		return page, err
	}
	for len(entries) > 0 {
		const atOnce = 500 // parameters of one statement
		some := entries[:min(atOnce, len(entries))]
		entries = entries[len(some):]
		ids := make([]string, 0, len(some))
		for _, e := range some {
			ids = append(ids, e.ID)
		}
		all.Query.Set("ids", strings.Join(ids, ","))
		p, err := c.Service.List(c.Context, all, k, collection.Listing{All: true})
		if err != nil {
			return nil, err
		}
		page.Items = append(page.Items, p.Items...)
	}
	return page, nil
}

// Forget removes what belongs to the deployment or run that is being deleted: its place in the ledger, and its task with log and
// artifacts. It refuses while the task has not ended.
func Forget(c *collection.Change) error {
	e, ok, err := ledger.Get(c.Context, c.Tx, c.ID)
	if err != nil || !ok {
		return err
	}
	if !e.Ended() && e.Task != "" {
		return problem.Invalid("'" + c.Old.Text("Name") + "' has not ended: cancel its task first.")
	}
	if err := ledger.Remove(c.Context, c.Tx, c.ID); err != nil {
		return err
	}
	at := *c
	at.Note("Deleted", e.Space, c.Kind.Noun()+" "+c.Old.Text("Name")+" was deleted", c.Old.Text("Name"), []string{e.ID, e.Project, e.Source, e.Environment}, collection.ChangeDetails{DocumentContext: mustText(c.Old)})
	if e.Task == "" {
		return nil
	}
	return c.Delete("ServerTasks", e.Task)
}

// NotUnderWay refuses to delete a release or snapshot while something that it was deployed or run by has not ended.
func NotUnderWay(c *collection.Change, source string) error {
	open, err := ledger.List(c.Context, c.Tx, ledger.Query{Source: source, Open: true, Take: 1})
	if err != nil || len(open) == 0 {
		return err
	}
	return problem.Invalid("'" + c.Old.Text(c.Kind.Title) + "' is on its way somewhere: wait for the task " + open[0].Task + " to end, or cancel it.")
}

func mustText(o octopus.Object) []byte {
	text, err := o.MarshalJSON()
	if err != nil { // it was parsed
		return []byte("{}")
	}
	return text
}

// post takes a deployment as a resource.
func (r *rules) post(c *collection.Call) (any, error) {
	var sent Sent
	if err := c.Decode(&sent); err != nil {
		return nil, err
	}
	o := sent.Order()
	if o.Release == "" || o.Environment == "" {
		return nil, problem.Invalid("Please provide values for ReleaseId and EnvironmentId.")
	}
	made, err := r.place(c, o)
	if err != nil {
		return nil, err
	}
	d, err := c.Service.Get(c.Context, c.Request, c.Service.Kind("Deployments"), made[0].Text("Id"))
	if err != nil { // whoever may deploy need not see deployments
		return collection.Made{Value: made[0]}, nil
	}
	return collection.Made{Value: d}, nil
}

// Sent is what clients say of a deployment or run as a resource.
type Sent struct {
	ReleaseID                      string `json:"ReleaseId"`
	RunbookID                      string `json:"RunbookId"`
	RunbookSnapshotID              string `json:"RunbookSnapshotId"`
	EnvironmentID                  string `json:"EnvironmentId"`
	TenantID                       string `json:"TenantId"`
	QueueTime, QueueTimeExpiry     part.Moment
	UseGuidedFailure               *bool
	SkipActions                    []string
	SpecificMachineIDs             []string `json:"SpecificMachineIds"`
	ExcludedMachineIDs             []string `json:"ExcludedMachineIds"`
	FormValues                     map[string]part.Answer
	ForcePackageDownload           bool
	ForcePackageRedeployment       bool
	Comments                       string
	DeploymentFreezeNames          []string
	DeploymentFreezeOverrideReason string
}

// Order is what was sent, as an order.
func (s Sent) Order() Order {
	o := Order{Release: s.ReleaseID, Environment: s.EnvironmentID, Tenant: s.TenantID, QueueTime: s.QueueTime.Time, Expires: s.QueueTimeExpiry.Time, Guided: s.UseGuidedFailure, SkipActions: s.SkipActions,
		SpecificMachines: s.SpecificMachineIDs, ExcludeMachines: s.ExcludedMachineIDs, ForceDownload: s.ForcePackageDownload, ForceRedeploy: s.ForcePackageRedeployment, Comments: s.Comments,
		FreezeNames: s.DeploymentFreezeNames, FreezeReason: s.DeploymentFreezeOverrideReason, Form: map[string]string{}}
	for id, a := range s.FormValues {
		o.Form[id] = string(a)
	}
	return o
}

// place deploys all orders or none.
func (r *rules) place(c *collection.Call, orders ...Order) ([]octopus.Object, error) {
	for _, o := range orders {
		if len(o.Form)+len(o.Named) > 0 { // one of them may be secret
			if err := c.Service.Ready(); err != nil {
				return nil, err
			}
		}
	}
	var made []octopus.Object
	err := c.Transact(func(change *collection.Change) error {
		made = made[:0]
		for _, o := range orders {
			d, err := Deploy(r.Host, change, o)
			if err != nil {
				return err
			}
			made = append(made, d)
		}
		return nil
	})
	return made, err
}
