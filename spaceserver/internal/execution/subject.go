package execution

import (
	"context"
	"errors"
	"slices"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/execution/plan"
	"odcm/spaceserver/internal/execution/step"
	"odcm/spaceserver/internal/queue"
)

// kind is what deployments and runbook runs differ in.
type kind struct {
	name      string // of the documents
	source    string // kind of what is deployed or run
	member    string // with its id
	process   string // kind of its frozen process
	frozen    string // member of the source with the frozen process's id
	variables string // and with that of the project's frozen variables
}

var (
	deployment = kind{"Deployments", "Releases", "ReleaseId", "DeploymentProcesses", "ProjectDeploymentProcessSnapshotId", "ProjectVariableSetSnapshotId"}
	runbookRun = kind{"RunbookRuns", "RunbookSnapshots", "RunbookSnapshotId", "RunbookProcesses", "FrozenRunbookProcessId", "FrozenProjectVariableSetId"}
)

// subject is everything that an execution is about, as it is read once.
type subject struct {
	kind                                                  kind
	service                                               *collection.Service
	space                                                 string
	document                                              octopus.Object // the deployment or the run
	source                                                octopus.Object // the release or the runbook's snapshot
	project, group, runbook, environment, tenant, channel octopus.Object
	lifecycle                                             octopus.Object
	by                                                    octopus.Object // the user who asked
	process                                               plan.Process
	defaults                                              map[string]map[string]plan.Property // of templates' parameters, by the actions' ids
}

// read reads the documents. What is gone since the task was queued is named.
func (e *Engine) read(ctx context.Context, t *queue.Task, k kind, id string) (*subject, error) {
	s := &subject{kind: k, service: e.options.Service, space: t.Space}
	var err error
	if s.document, err = s.need(ctx, k.name, id, "it"); err != nil {
		return nil, err
	}
	if s.source, err = s.need(ctx, k.source, s.document.Text(k.member), "what it was made of"); err != nil {
		return nil, err
	}
	if s.project, err = s.need(ctx, "Projects", s.document.Text("ProjectId"), "its project"); err != nil {
		return nil, err
	}
	if s.environment, err = s.need(ctx, "Environments", s.document.Text("EnvironmentId"), "its environment"); err != nil {
		return nil, err
	}
	if tenant := s.document.Text("TenantId"); tenant != "" {
		if s.tenant, err = s.need(ctx, "Tenants", tenant, "its tenant"); err != nil {
			return nil, err
		}
	}
	channel, lifecycle := s.source.Text("ChannelId"), s.project.Text("LifecycleId")
	for _, may := range []struct {
		kind string
		id   func() string
		into *octopus.Object
	}{
		{"Channels", func() string { return channel }, &s.channel},
		{"Lifecycles", func() string { return first(s.channel.Text("LifecycleId"), lifecycle) }, &s.lifecycle},
		{"ProjectGroups", func() string { return s.project.Text("ProjectGroupId") }, &s.group},
		{"Runbooks", func() string { return s.document.Text("RunbookId") }, &s.runbook},
		{"Users", func() string { return t.By }, &s.by},
	} {
		if *may.into, _, err = s.get(ctx, may.kind, may.id()); err != nil {
			return nil, err
		}
	}
	if err := s.readProcess(ctx); err != nil {
		return nil, err
	}
	return s, s.readTemplates(ctx)
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// get reads a document of the space or of the whole server.
func (s *subject) get(ctx context.Context, kind, id string) (octopus.Object, bool, error) {
	if id == "" {
		return octopus.Object{}, false, nil
	}
	store := s.service.Store
	space := s.space
	switch s.service.Kind(kind).Scope {
	case collection.InSystem:
		space = ""
	case collection.InBoth:
		space = "*"
	}
	o, err := store.Object(ctx, store.DB.Read(), kind, id, space)
	if errors.Is(err, document.ErrNone) {
		return octopus.Object{}, false, nil
	}
	return o, err == nil, err
}

// need reads a document that must be there.
func (s *subject) need(ctx context.Context, kind, id, what string) (octopus.Object, error) {
	o, ok, err := s.get(ctx, kind, id)
	if err == nil && !ok {
		err = plan.Refusal("Nothing was run, because " + what + " (" + first(id, "no id") + ") is gone.")
	}
	return o, err
}

// readProcess reads the frozen process with its secrets.
func (s *subject) readProcess(ctx context.Context) error {
	id := s.source.Text(s.kind.frozen)
	o, err := s.need(ctx, s.kind.process, id, "the snapshot of its process")
	if err != nil {
		return err
	}
	if err := o.Decode(&s.process); err != nil {
		return plan.Refusal("The snapshot of the process (" + id + ") cannot be read: " + err.Error())
	}
	secrets, err := s.service.Secrets(ctx, s.kind.process, id, s.space)
	if err != nil {
		return err
	}
	for i := range s.process.Steps {
		t := &s.process.Steps[i]
		fill(t.Properties, secrets, "/Steps/"+t.ID)
		for j := range t.Actions {
			a := &t.Actions[j]
			fill(a.Properties, secrets, "/Steps/"+t.ID+"/Actions/"+a.ID)
			implyPackage(a)
		}
	}
	return nil
}

// fill puts secrets to the properties that they belong to.
func fill(properties plan.Properties, secrets map[string]string, path string) {
	for name := range properties {
		if secret, ok := secrets[path+"/Properties/"+name]; ok {
			properties[name] = plan.Property{Text: secret, Secret: true}
		}
	}
}

// implyPackage gives an action the package that only its properties name, as clients of older servers write it.
func implyPackage(a *plan.Action) {
	id := a.Properties.Get("Octopus.Action.Package.PackageId")
	if id == "" || slices.ContainsFunc(a.Packages, func(p plan.Package) bool { return p.Name == "" }) {
		return
	}
	if a.ActionType == step.Package || strings.EqualFold(a.Properties.Get("Octopus.Action.Script.ScriptSource"), "Package") {
		a.Packages = append([]plan.Package{{PackageID: id, FeedID: a.Properties.Get("Octopus.Action.Package.FeedId")}}, a.Packages...)
	}
}

// guided tells whether people are asked about failures: as the deployment says, or else the project (or runbook), or else
// the environment (docs: releases/guided-failures).
func (s *subject) guided() bool {
	if s.document.Has("UseGuidedFailure") {
		return s.document.Bool("UseGuidedFailure")
	}
	owner := s.project
	if s.runbook.Len() > 0 {
		owner = s.runbook
	}
	switch owner.Text("DefaultGuidedFailureMode") {
	case "On":
		return true
	case "Off":
		return false
	}
	return s.environment.Bool("UseGuidedFailure")
}

// policy is what is said of targets that are not well.
func (s *subject) policy() plan.Policy {
	if s.runbook.Len() > 0 {
		return octopus.As[plan.Policy](s.runbook, "ConnectivityPolicy")
	}
	return octopus.As[plan.Policy](s.project, "ProjectConnectivityPolicy")
}

func (s *subject) selected() []plan.Selected {
	return octopus.As[[]plan.Selected](s.source, "SelectedPackages")
}

// retention is how many installations targets keep: as the lifecycle's phase of the environment says, or the lifecycle
// (docs: administration/retention-policies).
func (s *subject) retention() step.Retention {
	policy := s.lifecycle.Object("TentacleRetentionPolicy")
	for _, phase := range s.lifecycle.Objects("Phases") {
		environments := append(phase.Texts("AutomaticDeploymentTargets"), phase.Texts("OptionalDeploymentTargets")...)
		if own := phase.Object("TentacleRetentionPolicy"); own.Len() > 0 && slices.Contains(environments, s.environment.Text("Id")) {
			policy = own
		}
	}
	n := int(policy.Int("QuantityToKeep"))
	switch {
	case policy.Bool("ShouldKeepForever") || policy.Text("Strategy") == "Forever" || n <= 0:
		return step.Retention{Forever: true}
	case policy.Text("Unit") == "Days":
		return step.Retention{Days: n}
	}
	return step.Retention{Items: n}
}

// readMachines reads the targets of the environment and, where a step may need them, workers with the default pool.
func (s *subject) readMachines(ctx context.Context) (machines, workers []plan.Machine, pool string, err error) {
	targets := slices.ContainsFunc(s.process.Steps, func(t plan.Step) bool { return t.Properties.Get("Octopus.Action.TargetRoles") != "" })
	if targets {
		if machines, err = s.machines(ctx, document.Query{Kind: "Machines", Contains: `"` + s.environment.Text("Id") + `"`}); err != nil {
			return nil, nil, "", err
		}
	}
	if workers, err = s.machines(ctx, document.Query{Kind: "Workers"}); err != nil || len(workers) == 0 {
		return machines, workers, "", err
	}
	store := s.service.Store
	rows, _, err := store.List(ctx, store.DB.Read(), document.Query{Kind: "WorkerPools", Spaces: []string{s.space}, Contains: `"IsDefault":true`, Take: 1})
	if err == nil && len(rows) > 0 {
		pool = rows[0].ID
	}
	return machines, workers, pool, err
}

func (s *subject) machines(ctx context.Context, q document.Query) ([]plan.Machine, error) {
	q.Spaces = []string{s.space}
	var all []plan.Machine
	for row, err := range s.service.Store.Each(ctx, s.service.Store.DB.Read(), q) {
		if err != nil {
			return nil, err
		}
		o, err := octopus.ParseObject(row.Body)
		if err != nil {
			return nil, err
		}
		var m plan.Machine
		if err := o.Decode(&m); err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}
