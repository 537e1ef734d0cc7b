package trigger

import (
	"encoding/json"
	"errors"
	"slices"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/deployment"
	"odcm/spaceserver/internal/kinds/host"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/kinds/release"
	"odcm/spaceserver/internal/kinds/runbook"
	"odcm/spaceserver/internal/ledger"
	"odcm/spaceserver/internal/problem"
)

// actor carries out the action of a trigger, as the server's own doing.
type actor struct {
	*host.Host
	change *collection.Change
	part.Reader
	project, action octopus.Object
	name            string
	doings          *[]string // what it did, for the event
}

func (a actor) did(what string) { *a.doings = append(*a.doings, what) }

// deploy orders a deployment.
func (a actor) deploy(o deployment.Order) error {
	o.Trigger = a.name
	made, err := deployment.Deploy(a.Host, a.change, o)
	if err == nil {
		a.did("queued " + made.Text("Id"))
	}
	return err
}

// tenants are those that the action is for, "" for none: those it names, and those with the tags it names that are connected to
// the project in one of the environments.
func (a actor) tenants(environments ...string) ([]string, error) {
	ids, tags := a.action.Texts("TenantIds"), a.action.Texts("TenantTags")
	if len(ids)+len(tags) == 0 {
		return []string{""}, nil
	}
	if len(tags) == 0 {
		return ids, nil
	}
	all, err := a.List(document.Query{Kind: "Tenants"})
	for _, t := range all {
		connected := t.Object("ProjectEnvironments").Texts(a.project.Text("Id"))
		if t.Bool("IsDisabled") || !part.Tagged(t.Texts("TenantTags"), tags) || !slices.ContainsFunc(environments, func(id string) bool { return slices.Contains(connected, id) }) {
			continue
		}
		if !slices.Contains(ids, t.Text("Id")) {
			ids = append(ids, t.Text("Id"))
		}
	}
	return ids, err
}

// named are the answers to prompts that the action holds: a JSON object as text.
func (a actor) named() map[string]string {
	text := a.action.Text("Variables")
	if text == "" {
		text = a.action.Text("Variable")
	}
	var named map[string]string
	if json.Unmarshal([]byte(text), &named) != nil {
		return nil
	}
	return named
}

// each does something for every tenant. What is refused for one does not keep the others.
func each(tenants []string, do func(tenant string) error) error {
	var refused []error
	for _, t := range tenants {
		switch err := do(t); {
		case problem.IsRefusal(err):
			refused = append(refused, err)
		case err != nil:
			return err
		}
	}
	return errors.Join(refused...)
}

// deployLatest deploys what was deployed successfully to a source environment last, to the destination.
func (a actor) deployLatest() error {
	destination := a.action.Text("DestinationEnvironmentId")
	sources := a.action.Texts("SourceEnvironmentIds")
	if one := a.action.Text("SourceEnvironmentId"); one != "" {
		sources = append(sources, one)
	}
	tenants, err := a.tenants(destination)
	if err != nil {
		return err
	}
	shown, err := ledger.List(a.Context, a.Q, ledger.Query{Kind: ledger.Deployments, Space: a.Space, Project: a.project.Text("Id"), Shown: true})
	if err != nil {
		return err
	}
	good := func(tenant string, in func(e ledger.Entry) bool) (ledger.Entry, bool) {
		for _, e := range shown { // the newest first
			if e.Good && e.Tenant == tenant && in(e) {
				return e, true
			}
		}
		return ledger.Entry{}, false
	}
	channel := a.action.Text("ChannelId")
	return each(tenants, func(tenant string) error {
		latest, found := good(tenant, func(e ledger.Entry) bool {
			return slices.Contains(sources, e.Environment) && (channel == "" || e.Channel == channel)
		})
		id := latest.Source
		if len(sources) == 0 {
			if id, found, err = a.newest(channel); err != nil {
				return err
			}
		}
		if !found {
			return problem.Invalid("There is no release to deploy: nothing was deployed to the source environment successfully yet.")
		}
		now, there := good(tenant, func(e ledger.Entry) bool { return e.Environment == destination })
		if there && now.Source == id && !a.action.Bool("ShouldRedeployWhenReleaseIsCurrent") {
			return nil
		}
		return a.deploy(deployment.Order{Release: id, Environment: destination, Tenant: tenant, Named: a.named()})
	})
}

// newest is the project's newest release, of the channel where one is named.
func (a actor) newest(channel string) (string, bool, error) {
	const looked = 200
	all, err := a.List(document.Query{Kind: "Releases", Owner: a.project.Text("Id"), Order: document.NewestFirst, Take: looked})
	for _, o := range all {
		if channel == "" || o.Text("ChannelId") == channel {
			return o.Text("Id"), true, nil
		}
	}
	return "", false, err
}

// deployNew makes a release with the next version and the newest packages, and deploys it.
func (a actor) deployNew() error {
	environment := a.action.Text("EnvironmentId")
	tenants, err := a.tenants(environment)
	if err != nil {
		return err
	}
	made, err := release.Make(a.change, a.project, a.action.Text("ChannelId"))
	if err != nil {
		return err
	}
	id := made.Text("Id")
	a.did("made release " + made.Text("Version"))
	return each(tenants, func(tenant string) error {
		done, err := ledger.List(a.Context, a.Q, ledger.Query{Source: id, Environment: environment, Tenant: tenant, Untenanted: tenant == "", Take: 1})
		if err != nil || len(done) > 0 { // the lifecycle has deployed it there already
			return err
		}
		return a.deploy(deployment.Order{Release: id, Environment: environment, Tenant: tenant, Named: a.named()})
	})
}

// runRunbook runs the published snapshot of a runbook in each of the environments.
func (a actor) runRunbook() error {
	environments := a.action.Texts("EnvironmentIds")
	tenants, err := a.tenants(environments...)
	if err != nil {
		return err
	}
	return each(environments, func(environment string) error {
		return each(tenants, func(tenant string) error {
			made, err := runbook.Run(a.Host, a.change, runbook.Order{Runbook: a.action.Text("RunbookId"), Order: deployment.Order{Environment: environment, Tenant: tenant, Named: a.named(), Trigger: a.name}})
			if err == nil {
				a.did("queued " + made.Text("Id"))
			}
			return err
		})
	})
}
