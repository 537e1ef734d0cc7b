package task

import (
	"context"
	"slices"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/interruption"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

// interruptions is the kind of questions to people (InterruptionResource in the Swagger document). ProjectId, EnvironmentId
// and TenantId decide who sees one; they are not answered.
func (r *rules) interruptions() *collection.Kind {
	on := func(method, path string, handle func(c *collection.Call) (any, error)) collection.Action {
		return collection.Action{Method: method, Path: path, Handle: handle}
	}
	return &collection.Kind{
		Name: "Interruptions", Type: "Interruption", Route: "interruptions", Title: "Title", Shared: true, Silent: true, Order: document.NewestFirst, Owner: "TaskId",
		Project: "ProjectId", Environments: "EnvironmentId", Tenants: "TenantId",
		Template: `{"Title":"","Type":"","Created":null,"IsPending":true,"IsLinkedToOtherInterruption":false,"Form":{},"RelatedDocumentIds":[""],"ResponsibleTeamIds":[""],"ResponsibleUserId":null,"TaskId":null,"CorrelationId":null,
			"CanTakeResponsibility":false,"HasResponsibility":false,"ProjectId":"","EnvironmentId":"","TenantId":""}`,
		Without: "list create edit delete all", Permission: collection.Verbs{View: "InterruptionView"},
		Filters: map[string]string{"regarding": "RelatedDocumentIds"}, Query: "skip,take,regarding,pendingOnly,ids",
		Links:   map[string]string{"Submit": "interruptions/{Id}/submit", "Responsible": "interruptions/{Id}/responsible"},
		Present: r.presentInterruption,
		Actions: []collection.Action{
			on("GET", "interruptions", func(c *collection.Call) (any, error) {
				l := collection.Listing{}
				if strings.EqualFold(c.Query.Get("pendingOnly"), "true") {
					l.Filter = func(o octopus.Object) bool { return o.Bool("IsPending") }
				}
				return listed(c, c.Service.Kind("Interruptions"), l)
			}),
			on("GET", "interruptions/{id}/responsible", r.responsible),
			on("PUT", "interruptions/{id}/responsible", r.takeResponsibility),
			on("POST", "interruptions/{id}/submit", r.submit),
		},
	}
}

func (r *rules) presentInterruption(v *collection.View, o *octopus.Object) error {
	may, err := r.mayAnswer(v.Context, v.Request.Principal, v.Row, *o)
	o.Set("CanTakeResponsibility", may && o.Bool("IsPending"))
	o.Set("HasResponsibility", o.Text("ResponsibleUserId") == v.Request.Principal.ID)
	withoutPlace(o)
	return err
}

// mayAnswer tells whether someone may answer an interruption: with InterruptionSubmit any in what the permission is
// restricted to, with InterruptionViewSubmitResponsible those that are meant for one of their teams, or for nobody in
// particular (docs, security, users-and-teams, system-and-space-permissions).
func (r *rules) mayAnswer(ctx context.Context, p permission.Principal, row document.Row, o octopus.Object) (bool, error) {
	t := placeOf(row, o)
	if p.Set.Changes("InterruptionSubmit", t) {
		return true, nil
	}
	if !p.Set.Changes("InterruptionViewSubmitResponsible", t) {
		return false, nil
	}
	teams := o.Texts("ResponsibleTeamIds")
	if len(teams) == 0 {
		return true, nil
	}
	return r.inAny(ctx, p, teams)
}

// placeOf is what restricted grants look at of an interruption or an artifact.
func placeOf(row document.Row, o octopus.Object) permission.Target {
	t := permission.Target{Space: row.Space, Project: row.Project}
	for member, to := range map[string]*[]string{"EnvironmentId": &t.Environments, "TenantId": &t.Tenants} {
		if id := o.Text(member); id != "" {
			*to = []string{id}
		}
	}
	return t
}

// answerable finds the interruption of the route as it is stored, which the caller may answer.
func (r *rules) answerable(c *collection.Call) (document.Row, octopus.Object, error) {
	d, err := c.Find("Interruptions", c.Param("id"))
	if err != nil {
		return document.Row{}, octopus.Object{}, err
	}
	o, err := octopus.ParseObject(d.Body)
	if err != nil {
		return d.Row, o, err
	}
	may, err := r.mayAnswer(c.Context, c.Principal, d.Row, o)
	if err == nil && !may {
		err = problem.Denied("InterruptionSubmit")
	}
	return d.Row, o, err
}

// responsible is who has taken responsibility.
func (r *rules) responsible(c *collection.Call) (any, error) {
	d, err := c.Find("Interruptions", c.Param("id"))
	if err != nil {
		return nil, err
	}
	return r.user(c, d.Object().Text("ResponsibleUserId"))
}

func (r *rules) user(c *collection.Call, id string) (any, error) {
	if id == "" {
		return nil, problem.New(404, "Nobody has taken responsibility for the interruption.")
	}
	return c.Service.Get(c.Context, collection.Request{Principal: permission.System()}, c.Service.Kind("Users"), id)
}

func (r *rules) takeResponsibility(c *collection.Call) (any, error) {
	row, _, err := r.answerable(c)
	if err != nil {
		return nil, err
	}
	err = c.Transact(func(change *collection.Change) error {
		if err := c.Service.MayChange(c.Principal); err != nil {
			return err
		}
		return change.In(row.Space).Edit("Interruptions", row.ID, func(o *octopus.Object) error {
			if !o.Bool("IsPending") {
				return problem.Invalid("The interruption has been answered already.")
			}
			o.Set("ResponsibleUserId", c.Principal.ID)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return r.user(c, c.Principal.ID)
}

func (r *rules) submit(c *collection.Call) (any, error) {
	body, err := c.Object()
	if err != nil {
		return nil, err
	}
	row, _, err := r.answerable(c)
	if err != nil {
		return nil, err
	}
	err = c.Transact(func(change *collection.Change) error {
		if err := c.Service.MayChange(c.Principal); err != nil {
			return err
		}
		return interruption.Submit(change.In(row.Space), r.Queue, row.ID, body)
	})
	if err != nil {
		return nil, err
	}
	return c.Find("Interruptions", row.ID)
}

// inAny tells whether the user is in one of the teams, as a member or through groups of a sign-in provider.
func (r *rules) inAny(ctx context.Context, p permission.Principal, teams []string) (bool, error) {
	u, err := r.Identity.ByID(ctx, p.ID)
	if err != nil {
		return false, err
	}
	for _, team := range u.Teams {
		if slices.Contains(teams, team.ID) {
			return true, nil
		}
	}
	return false, nil
}
