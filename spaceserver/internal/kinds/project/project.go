// Package project is what is deployed and how: project groups, lifecycles, projects, their processes, variables, channels,
// triggers and runbooks, and the snapshots that releases and runbook runs keep of them.
package project

import (
	"encoding/json"
	"strconv"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/problem"
)

const (
	retention    = `{"Strategy":"Default|Count|Forever","Unit":"Items|Days","QuantityToKeep":0,"ShouldKeepForever":true}`
	connectivity = `{"SkipMachineBehavior":"None|SkipUnavailableMachines","TargetRoles":[""],"AllowDeploymentsToNoTargets":false,"ExcludeUnhealthyTargets":false}`
	steps        = `[{"Id":"<guid>","Name":"","PackageRequirement":"LetOctopusDecide|BeforePackageAcquisition|AfterPackageAcquisition","Properties":{},
		"Condition":"Success|Failure|Always|Variable","StartTrigger":"StartAfterPrevious|StartWithPrevious",
		"Actions":[{"Id":"<guid>","Name":"","ActionType":"","Notes":null,"IsDisabled":false,"CanBeUsedForProjectVersioning":false,"IsRequired":false,"WorkerPoolId":null,
			"Container":{"Image":null,"FeedId":null},"WorkerPoolVariable":null,"Environments":[""],"ExcludedEnvironments":[""],"Channels":[""],"TenantTags":[""],
			"Packages":[{"Id":"<guid>","Name":null,"PackageId":null,"FeedId":null,"AcquisitionLocation":null,"Properties":{}}],"Condition":"Success|Variable|Always|Failure","Properties":{}}]}]`
)

// Kinds are projects, what groups and leads them, and what each has of its own; and library variable sets.
func Kinds() []*collection.Kind {
	return []*collection.Kind{
		{
			Name: "ProjectGroups", Type: "ProjectGroup", Route: "projectgroups", Slugged: true, ProjectGroup: "Id",
			Template:   `{"Name":"","Slug":"","Description":null,"EnvironmentIds":[""],"RetentionPolicyId":null}`,
			Required:   []string{"Name"},
			Permission: collection.Quartet("ProjectGroup"),
			References: []collection.Reference{{Path: "EnvironmentIds[]", Kind: "Environments"}},
			Links:      map[string]string{"Projects": "projectgroups/{Id}/projects"},
			Actions: []collection.Action{{Method: "GET", Path: "projectgroups/{id}/projects", Handle: func(c *collection.Call) (any, error) {
				return part.Related(c, "ProjectGroups", "Projects", "ProjectGroupId")
			}}},
		},
		{
			Name: "Lifecycles", Type: "Lifecycle", Route: "lifecycles", Slugged: true,
			Template: `{"Name":"","Slug":"","Description":null,"Phases":[{"Id":"<guid>","Name":"","AutomaticDeploymentTargets":[""],"OptionalDeploymentTargets":[""],
				"MinimumEnvironmentsBeforePromotion":0,"IsOptionalPhase":false,"IsPriorityPhase":false,"ReleaseRetentionPolicy":null,"TentacleRetentionPolicy":null}],
				"ReleaseRetentionPolicy":` + retention + `,"TentacleRetentionPolicy":` + retention + `}`,
			Required:   []string{"Name"},
			Permission: collection.Quartet("Lifecycle"),
			References: []collection.Reference{{Path: "Phases[].AutomaticDeploymentTargets[]", Kind: "Environments"}, {Path: "Phases[].OptionalDeploymentTargets[]", Kind: "Environments"}},
			Links:      map[string]string{"Projects": "lifecycles/{Id}/projects", "Preview": "lifecycles/{Id}/preview"},
			Actions: []collection.Action{
				{Method: "GET", Path: "lifecycles/{id}/projects", Handle: lifecycleProjects},
				{Method: "GET", Path: "lifecycles/{id}/preview", Handle: previewLifecycle},
			},
		},
		{
			// Decides: grants that are restricted to a project group follow its projects.
			Name: "Projects", Type: "Project", Route: "projects", Slugged: true, Project: "Id", ProjectGroup: "ProjectGroupId", Decides: true,
			Template: `{"VariableSetId":null,"DeploymentProcessId":null,"ClonedFromProjectId":null,"DiscreteChannelRelease":false,"IncludedLibraryVariableSetIds":[""],
				"DefaultToSkipIfAlreadyInstalled":false,"TenantedDeploymentMode":` + part.Tenanted + `,"DefaultGuidedFailureMode":"EnvironmentDefault|Off|On",
				"VersioningStrategy":{"Template":"#{Octopus.Version.LastMajor}.#{Octopus.Version.LastMinor}.#{Octopus.Version.NextPatch}","DonorPackage":null,"DonorPackageStepId":null},
				"ReleaseCreationStrategy":{"ChannelId":null,"ReleaseCreationPackage":null,"ReleaseCreationPackageStepId":null},"Templates":` + part.Parameters + `,"AutoDeployReleaseOverrides":[],
				"ReleaseNotesTemplate":null,"DeploymentChangesTemplate":null,"Name":"","Slug":"","Description":"","IsDisabled":false,"ProjectGroupId":"","LifecycleId":"","AutoCreateRelease":false,
				"ForcePackageDownload":false,"ProjectConnectivityPolicy":` + connectivity + `,"ProjectTags":[""],"ExtensionSettings":[],"Icon":null,
				"IsVersionControlled":false,"PersistenceSettings":{"Type":"Database|VersionControlled"}}`,
			Required:   []string{"Name", "ProjectGroupId", "LifecycleId"},
			Ours:       []string{"VariableSetId", "DeploymentProcessId", "ClonedFromProjectId", "IsVersionControlled"},
			Permission: collection.Quartet("Project"),
			References: []collection.Reference{{Path: "ProjectGroupId", Kind: "ProjectGroups"}, {Path: "LifecycleId", Kind: "Lifecycles"}, {Path: "IncludedLibraryVariableSetIds[]", Kind: "LibraryVariableSets"}},
			Filters:    map[string]string{"clonedFromProjectId": "ClonedFromProjectId"},
			Query:      "name,skip,ids,clone,take,partialName,clonedFromProjectId",
			Links: map[string]string{"Channels": "projects/{Id}/channels{/id}{?skip,take,partialName}", "Releases": "projects/{Id}/releases{/version}{?skip,take,searchByVersion}",
				"Triggers": "projects/{Id}/triggers{?skip,take,partialName,triggerActionType,triggerActionCategory,runbooks}", "OrderChannels": "projects/{Id}/channels/order",
				"DeploymentProcess": "deploymentprocesses/deploymentprocess-{Id}", "DeploymentSettings": "projects/{Id}/deploymentsettings", "Variables": "variables/variableset-{Id}",
				"Runbooks": "projects/{Id}/runbooks{?skip,take,partialName}", "RunbookSnapshots": "projects/{Id}/runbookSnapshots{/name}{?skip,take,searchByName}", "Progression": "progression/{Id}{?aggregate}",
				"Summary": "projects/{Id}/summary", "Logo": "projects/{Id}/logo", "Metadata": "projects/{Id}/metadata", "Web": "/app#/{Space}/projects/{Id}", "Branches": "projects/{Id}/git/branches"},
			Prepare: prepareProject, Settle: settleProject,
			Actions: projectActions(),
		},
		{
			Name: "DeploymentProcesses", Type: "DeploymentProcess", Route: "deploymentprocesses", Title: "-", Owner: "ProjectId", Project: "ProjectId", Versioned: true,
			Template:   `{"ProjectId":"","Steps":` + steps + `,"Version":0,"LastSnapshotId":null}`,
			Ours:       []string{"ProjectId", "LastSnapshotId"},
			Without:    "create delete all",
			Query:      "skip,take,ids",
			Permission: collection.Verbs{View: "ProcessView", Create: "ProcessEdit", Edit: "ProcessEdit", Delete: "ProcessEdit"},
			References: []collection.Reference{{Path: "Steps[].Actions[].Environments[]", Kind: "Environments"}, {Path: "Steps[].Actions[].ExcludedEnvironments[]", Kind: "Environments"},
				{Path: "Steps[].Actions[].Channels[]", Kind: "Channels"}, {Path: "Steps[].Actions[].WorkerPoolId", Kind: "WorkerPools"}},
			Number:  func(c *collection.Change) (string, error) { return "deploymentprocess-" + c.New.Text("ProjectId"), nil },
			Links:   map[string]string{"Project": "projects/{Owner}", "Template": "deploymentprocesses/{Id}/template{?channel,releaseId}"},
			Prepare: prepareProcess,
			Actions: []collection.Action{{Method: "GET", Path: "deploymentprocesses/{id}/template", Handle: releaseTemplate}},
		},
		{
			Name: "VariableSets", Type: "VariableSet", Route: "variables", Title: "-", Owner: "OwnerId", Project: "OwnerId", Versioned: true, RootLink: "Variables", Query: "ids",
			Template: `{"OwnerId":"","Version":0,"Variables":[{"Id":"<guid>","Name":"","Value":null,"Description":null,"Scope":{},"IsEditable":true,"Prompt":null,"Type":"String","IsSensitive":false}],"ScopeValues":{}}`,
			Ours:     []string{"OwnerId", "ScopeValues"},
			Without:  "create delete",
			References: []collection.Reference{{Path: "Variables[].Scope.Environment[]", Kind: "Environments"}, {Path: "Variables[].Scope.Machine[]", Kind: "Machines"},
				{Path: "Variables[].Scope.Channel[]", Kind: "Channels"}},
			Permission: collection.Verbs{View: "VariableView", Create: "VariableEdit", Edit: "VariableEdit", Delete: "VariableEdit"},
			Number:     func(c *collection.Change) (string, error) { return "variableset-" + c.New.Text("OwnerId"), nil },
			Permit:     permitVariables, Prepare: prepareVariables, Present: presentVariables,
			Actions: variableActions(),
		},
		{
			Name: "Channels", Type: "Channel", Route: "channels", Slugged: true, Owner: "ProjectId", Project: "ProjectId",
			Template: `{"Name":"","Slug":"","Description":null,"ProjectId":"","LifecycleId":null,"IsDefault":false,"Type":"Lifecycle|EphemeralEnvironment",
				"Rules":[{"Id":"<guid>","VersionRange":null,"Tag":null,"ActionPackages":[]}],"GitReferenceRules":[""],"GitResourceRules":[],"TenantTags":[""],"CustomFieldDefinitions":[]}`,
			Required:   []string{"Name", "ProjectId"},
			Permission: collection.Verbs{View: "ProcessView", Create: "ProcessEdit", Edit: "ProcessEdit", Delete: "ProcessEdit"},
			References: []collection.Reference{{Path: "ProjectId", Kind: "Projects"}, {Path: "LifecycleId", Kind: "Lifecycles"}, {Path: "ParentEnvironmentId", Kind: "ParentEnvironments"}},
			Under:      []string{"projects"},
			Links:      map[string]string{"Project": "projects/{Owner}", "Releases": "channels/{Id}/releases{?skip,take,searchByVersion}"},
			Prepare:    prepareChannel, Settle: settleChannel, Remove: removeChannel,
			Actions: []collection.Action{
				{Method: "GET", Path: "channels/{id}/releases", Handle: func(c *collection.Call) (any, error) { return part.Related(c, "Channels", "Releases", "ChannelId") }},
			},
		},
		{
			Name: "LibraryVariableSets", Type: "LibraryVariableSet", Route: "libraryvariablesets", RootLink: "LibraryVariables",
			Template:   `{"Name":"","Description":null,"VariableSetId":null,"ContentType":"Variables|ScriptModule","Templates":` + part.Parameters + `}`,
			Required:   []string{"Name"},
			Ours:       []string{"VariableSetId"},
			Permission: collection.Quartet("LibraryVariableSet"),
			Filters:    map[string]string{"contentType": "ContentType"}, Query: "skip,contentType,take,ids,partialName",
			Links:  map[string]string{"Variables": "variables/variableset-{Id}", "Usages": "libraryvariablesets/{Id}/usages"},
			Settle: settleLibrarySet,
			Prepare: func(c *collection.Change) error {
				c.New.Set("VariableSetId", "variableset-"+c.ID)
				return nil
			},
			Actions: []collection.Action{{Method: "GET", Path: "libraryvariablesets/{id}/usages", Handle: librarySetUsages}},
		},
	}
}

func prepareProject(c *collection.Change) error {
	c.New.Set("VariableSetId", "variableset-"+c.ID)
	c.New.Set("DeploymentProcessId", "deploymentprocess-"+c.ID)
	if !strings.EqualFold(c.New.Object("PersistenceSettings").Text("Type"), "Database") {
		return problem.Invalid("This Space server keeps projects in its database: version-controlled projects are not supported.")
	}
	if !c.Creating {
		return nil
	}
	if source := c.Query.Get("clone"); source != "" {
		if _, ok, err := c.Get("Projects", source); err != nil || !ok {
			return part.OrInvalid(err, "There is no project '"+source+"' to clone.")
		}
		c.New.Set("ClonedFromProjectId", source)
	}
	return nil
}

// settleProject makes what every project has: variables, process, and a default channel; copies of the source's where
// the project is a clone.
func settleProject(c *collection.Change) error {
	if !c.Creating {
		return nil
	}
	if source := c.New.Text("ClonedFromProjectId"); source != "" {
		return cloneProject(c, source)
	}
	for _, its := range []struct {
		kind string
		body map[string]any
	}{
		{"VariableSets", map[string]any{"OwnerId": c.ID}},
		{"DeploymentProcesses", map[string]any{"ProjectId": c.ID}},
		{"Channels", map[string]any{"ProjectId": c.ID, "Name": "Default", "IsDefault": true}},
	} {
		if _, err := c.Create(its.kind, part.Object(its.body)); err != nil {
			return err
		}
	}
	return nil
}

func cloneProject(c *collection.Change, source string) error {
	mine := func(o *octopus.Object) {
		for _, member := range []string{"ProjectId", "OwnerId"} {
			if o.Has(member) {
				o.Set(member, c.ID)
			}
		}
	}
	channels, err := c.List(document.Query{Kind: "Channels", Owner: source, Order: document.OldestFirst})
	if err != nil {
		return err
	}
	renamed := map[string]string{}
	for _, channel := range channels {
		made, err := c.Copy("Channels", channel.ID, "", mine)
		if err != nil {
			return err
		}
		renamed[channel.ID] = made.Text("Id")
	}
	process := func(o *octopus.Object) {
		mine(o)
		rename(o, "Steps", renamed)
		rename(o, "Variables", renamed)
		o.Set("Version", 0)
		o.Set("LastSnapshotId", nil)
	}
	if _, err := c.Copy("VariableSets", "variableset-"+source, "variableset-"+c.ID, process); err != nil {
		return err
	}
	_, err = c.Copy("DeploymentProcesses", "deploymentprocess-"+source, "deploymentprocess-"+c.ID, process)
	return err
}

// rename replaces ids wherever they stand as a text of their own in a member.
func rename(o *octopus.Object, member string, renamed map[string]string) {
	raw, ok := o.Get(member)
	if !ok {
		return
	}
	text := string(raw)
	for from, to := range renamed {
		text = strings.ReplaceAll(text, `"`+from+`"`, `"`+to+`"`)
	}
	o.Set(member, json.RawMessage(text))
}

func prepareProcess(c *collection.Change) error {
	c.New.Delete("LastSnapshotId")
	if c.Old.Has("LastSnapshotId") {
		c.New.Set("LastSnapshotId", c.Old.Text("LastSnapshotId"))
	} else {
		c.New.Set("LastSnapshotId", nil)
	}
	// Steps and actions have slugs of their own, and names that are distinct within the process.
	list := c.New.Objects("Steps")
	taken, slugs := map[string]bool{}, map[string]bool{}
	for i := range list {
		if err := nameStep(&list[i], taken, slugs); err != nil {
			return err
		}
	}
	c.New.Set("Steps", part.Some(list))
	return nil
}

func nameStep(step *octopus.Object, taken, slugs map[string]bool) error {
	name := strings.ToLower(step.Text("Name"))
	if name == "" {
		return problem.Invalid("Please provide a name for each step.")
	}
	if taken[name] {
		return problem.Invalid("There are two steps with the name '" + step.Text("Name") + "': names must be distinct.")
	}
	taken[name] = true
	distinctSlug(step, slugs)
	actions := step.Objects("Actions")
	for i := range actions {
		if actions[i].Text("Name") == "" {
			actions[i].Set("Name", step.Text("Name"))
		}
		if actions[i].Text("ActionType") == "" {
			return problem.Invalid("Please provide an action type for the action '" + actions[i].Text("Name") + "'.")
		}
		distinctSlug(&actions[i], map[string]bool{})
	}
	step.Set("Actions", part.Some(actions))
	return nil
}

func distinctSlug(o *octopus.Object, slugs map[string]bool) {
	slug := o.Text("Slug")
	if slug == "" {
		slug = collection.Slug(o.Text("Name"))
	}
	base := slug
	for n := 1; slugs[slug]; n++ {
		slug = base + "-" + strconv.Itoa(n)
	}
	slugs[slug] = true
	o.Set("Slug", slug)
}

// settleChannel keeps one default channel in each project.
func settleChannel(c *collection.Change) error {
	if !c.New.Bool("IsDefault") {
		return nil
	}
	rows, err := c.List(document.Query{Kind: "Channels", Owner: c.New.Text("ProjectId")})
	if err != nil {
		return err
	}
	for _, row := range rows {
		o, err := octopus.ParseObject(row.Body)
		if err != nil {
			return err
		}
		if row.ID == c.ID || !o.Bool("IsDefault") {
			continue
		}
		err = c.Edit("Channels", row.ID, func(o *octopus.Object) error {
			o.Set("IsDefault", false)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func removeChannel(c *collection.Change) error {
	if !c.Old.Bool("IsDefault") {
		return nil
	}
	if _, there, err := c.Get("Projects", c.Old.Text("ProjectId")); err != nil || !there {
		return err
	}
	rows, err := c.List(document.Query{Kind: "Channels", Owner: c.Old.Text("ProjectId")})
	if err != nil || c.Cascading() {
		return err
	}
	if len(rows) == 1 {
		return problem.Invalid("A project needs at least one channel: this one is its last.")
	}
	return problem.Invalid("The default channel cannot be deleted. Make another one the default first.")
}

func settleLibrarySet(c *collection.Change) error {
	if !c.Creating {
		return nil
	}
	_, err := c.Create("VariableSets", part.Object(map[string]any{"OwnerId": c.ID}))
	return err
}

// prepareChannel refuses a channel for ephemeral environments without a parent to make them under.
func prepareChannel(c *collection.Change) error {
	if c.New.Text("Type") == "EphemeralEnvironment" && c.New.Text("ParentEnvironmentId") == "" {
		return problem.Invalid("Please provide a value for ParentEnvironmentId.")
	}
	return nil
}
