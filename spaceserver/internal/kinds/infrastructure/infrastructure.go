// Package infrastructure is where something is deployed to and what that takes: environments, machines and their policies,
// workers and their pools, proxies, accounts, Git credentials and certificates.
package infrastructure

import (
	"slices"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/host"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

const scoped = `"EnvironmentIds":[""],"TenantedDeploymentParticipation":` + part.Tenanted + `,"TenantIds":[""],"TenantTags":[""]`

const condition = `"Thumbprint":null,"Uri":null,"IsDisabled":false,"MachinePolicyId":"","HealthStatus":"Unknown|Healthy|HasWarnings|Unhealthy|Unavailable",
	"HasLatestCalamari":true,"StatusSummary":null,"IsInProcess":false,"OperatingSystem":"Unknown","ShellName":"Unknown","ShellVersion":"Unknown","Architecture":"Unknown"`

// Kinds are environments, machines, workers and what these need.
func Kinds(h *host.Host) []*collection.Kind {
	return []*collection.Kind{
		{
			Name: "Environments", Type: "Environment", Route: "environments", Slugged: true, Environments: "Id", Order: document.ByPosition, Position: "SortOrder",
			Template: `{"Name":"","Slug":"","Description":"","SortOrder":0,"UseGuidedFailure":false,"AllowDynamicInfrastructure":true,"EnvironmentTags":[""],
				"ExtensionSettings":[{"ExtensionId":"","Values":null}]}`,
			Required:   []string{"Name"},
			Permission: collection.Quartet("Environment"),
			Query:      "name,skip,ids,take,partialName",
			Links: map[string]string{"Machines": "environments/{Id}/machines{?skip,take,partialName,roles,isDisabled,healthStatuses,commStyles,tenantIds,tenantTags}",
				"SinglyScopedVariableDetails": "environments/{Id}/singlyScopedVariableDetails"},
			Prepare: part.AtTheEnd("Environments"),
			Actions: []collection.Action{
				{Method: "GET", Path: "environments/{id}/machines", Handle: func(c *collection.Call) (any, error) {
					return part.Related(c, "Environments", "Machines", "EnvironmentIds")
				}},
				{Method: "GET", Path: "environments/{id}/metadata", Permission: "EnvironmentView", Handle: func(*collection.Call) (any, error) { return []any{}, nil }},
				{Method: "PUT", Path: "environments/sortorder", Permission: "EnvironmentEdit", Writes: true, Handle: part.SortOrder("Environments")},
				{Method: "GET", Path: "environments/summary", Permission: "EnvironmentView", Handle: environmentSummary},
			},
		},
		{
			Name: "Machines", Type: "DeploymentTarget", Route: "machines", Slugged: true, Environments: "EnvironmentIds", Tenants: "TenantIds",
			Template:   `{"Name":"","Slug":"",` + scoped + `,"Roles":[""],` + condition + `,"Endpoint":null}`,
			Required:   []string{"Name", "EnvironmentIds", "Endpoint"},
			Ours:       []string{"HealthStatus", "HasLatestCalamari", "StatusSummary", "IsInProcess"},
			Permission: collection.Quartet("Machine"),
			References: []collection.Reference{{Path: "EnvironmentIds[]", Kind: "Environments"}, {Path: "TenantIds[]", Kind: "Tenants"}, {Path: "MachinePolicyId", Kind: "MachinePolicies"},
				{Path: "Endpoint.AccountId", Kind: "Accounts"}, {Path: "Endpoint.ProxyId", Kind: "Proxies"}, {Path: "Endpoint.DefaultWorkerPoolId", Kind: "WorkerPools"}},
			Filters: map[string]string{"roles": "Roles", "isDisabled": "IsDisabled", "healthStatuses": "HealthStatus", "commStyles": "Endpoint.CommunicationStyle",
				"tenantIds": "TenantIds", "tenantTags": "TenantTags", "environmentIds": "EnvironmentIds", "thumbprint": "Thumbprint", "shellNames": "ShellName"},
			Query:   "skip,take,name,ids,partialName,roles,isDisabled,healthStatuses,commStyles,tenantIds,tenantTags,environmentIds,thumbprint,deploymentId,shellNames",
			Links:   map[string]string{"Connection": "machines/{Id}/connection", "TasksTemplate": "machines/{Id}/tasks{?skip,take,type}", "Web": "/app#/{Space}/infrastructure/machines/{Id}"},
			Prepare: prepareMachine(true), Settle: settleTarget(h), Remove: forget,
			Actions: append(machineActions("machines", "Machines", "MachineCreate"), collection.Action{Method: "GET", Path: "machineroles/all", Permission: "MachineView", Handle: allRoles}),
		},
		{
			Name: "MachinePolicies", Type: "MachinePolicy", Route: "machinepolicies",
			Template: `{"Name":"","Description":null,"IsDefault":false,"MachineHealthCheckPolicy":{"PowerShellHealthCheckPolicy":{"RunType":"InheritFromDefault","ScriptBody":null},
				"BashHealthCheckPolicy":{"RunType":"InheritFromDefault","ScriptBody":null},"HealthCheckInterval":"01:00:00","HealthCheckCron":null,"HealthCheckCronTimezone":"UTC","HealthCheckType":"RunScript"},
				"MachineConnectivityPolicy":{"MachineConnectivityBehavior":"ExpectedToBeOnline"},"MachineCleanupPolicy":{"DeleteMachinesBehavior":"DoNotDelete","DeleteMachinesElapsedTimeSpan":"1.00:00:00"},
				"MachineUpdatePolicy":{"CalamariUpdateBehavior":"UpdateOnDeployment","TentacleUpdateBehavior":"NeverUpdate","TentacleUpdateAccountId":null,"KubernetesAgentUpdateBehavior":"Update"},
				"MachineRpcCallRetryPolicy":{"Enabled":true,"RetryDuration":"00:02:30","HealthCheckRetryDuration":"00:02:30"},"PollingRequestQueueTimeout":"00:10:00",
				"PollingRequestMaximumMessageProcessingTimeout":"00:10:00","ConnectionRetrySleepInterval":"00:00:01","ConnectionRetryCountLimit":5,"ConnectionRetryTimeLimit":"00:05:00","ConnectionConnectTimeout":"00:01:00"}`,
			Required:   []string{"Name"},
			Ours:       []string{"IsDefault"},
			Permission: collection.Quartet("MachinePolicy"),
			Links:      map[string]string{"Machines": "machinepolicies/{Id}/machines", "Workers": "machinepolicies/{Id}/workers"},
			Remove:     keepDefault, Settle: planAnew(h),
			Actions: []collection.Action{
				{Method: "GET", Path: "machinepolicies/template", Permission: "MachinePolicyView", Handle: func(c *collection.Call) (any, error) {
					o := c.Service.Kind("MachinePolicies").Blank()
					o.Set("Links", map[string]string{"Self": collection.Base(c.Space) + "/machinepolicies/template"})
					return o, nil
				}},
				{Method: "GET", Path: "machinepolicies/{id}/machines", Handle: func(c *collection.Call) (any, error) {
					return part.Related(c, "MachinePolicies", "Machines", "MachinePolicyId")
				}},
				{Method: "GET", Path: "machinepolicies/{id}/workers", Handle: func(c *collection.Call) (any, error) {
					return part.Related(c, "MachinePolicies", "Workers", "MachinePolicyId")
				}},
			},
		},
		{
			Name: "Workers", Type: "Worker", Route: "workers", Slugged: true,
			Template:   `{"Name":"","Slug":"","WorkerPoolIds":[""],` + condition + `,"Endpoint":null}`,
			Required:   []string{"Name", "WorkerPoolIds", "Endpoint"},
			Ours:       []string{"HealthStatus", "HasLatestCalamari", "StatusSummary", "IsInProcess"},
			Permission: collection.Verbs{View: "WorkerView", Create: "WorkerEdit", Edit: "WorkerEdit", Delete: "WorkerEdit"},
			References: []collection.Reference{{Path: "WorkerPoolIds[]", Kind: "WorkerPools"}, {Path: "MachinePolicyId", Kind: "MachinePolicies"}, {Path: "Endpoint.AccountId", Kind: "Accounts"}},
			Filters:    map[string]string{"isDisabled": "IsDisabled", "healthStatuses": "HealthStatus", "commStyles": "Endpoint.CommunicationStyle", "workerPoolIds": "WorkerPoolIds", "thumbprint": "Thumbprint", "shellNames": "ShellName"},
			Query:      "skip,take,name,ids,partialName,isDisabled,healthStatuses,commStyles,workerPoolIds,thumbprint,shellNames",
			Links:      map[string]string{"Connection": "workers/{Id}/connection", "Web": "/app#/{Space}/infrastructure/workers/{Id}"},
			Prepare:    prepareMachine(false), Settle: planHealth(h), Remove: forget,
			Actions: machineActions("workers", "Workers", "WorkerEdit"),
		},
		{
			Name: "WorkerPools", Type: "WorkerPool", Route: "workerpools", Slugged: true, Order: document.ByPosition, Position: "SortOrder",
			Template:   `{"Name":"","Slug":"","Description":null,"SortOrder":0,"WorkerPoolType":"StaticWorkerPool|DynamicWorkerPool","IsDefault":false,"CanAddWorkers":true,"WorkerType":null}`,
			Required:   []string{"Name"},
			Permission: collection.Verbs{View: "WorkerView", Create: "WorkerEdit", Edit: "WorkerEdit", Delete: "WorkerEdit"},
			Query:      "name,skip,ids,take,partialName",
			Links:      map[string]string{"Workers": "workerpools/{Id}/workers{?skip,take,partialName,isDisabled,healthStatuses,commStyles}"},
			Prepare:    part.AtTheEnd("WorkerPools"), Remove: keepDefault, Settle: oneDefault("WorkerPools"),
			Actions: []collection.Action{
				{Method: "GET", Path: "workerpools/{id}/workers", Handle: func(c *collection.Call) (any, error) {
					return part.Related(c, "WorkerPools", "Workers", "WorkerPoolIds")
				}},
				{Method: "PUT", Path: "workerpools/sortorder", Permission: "WorkerEdit", Writes: true, Handle: part.SortOrder("WorkerPools")},
				{Method: "GET", Path: "workerpools/summary", Permission: "WorkerView", Handle: poolSummary},
				{Method: "GET", Path: "workerpools/dynamicworkertypes", Permission: "WorkerView", Handle: func(*collection.Call) (any, error) {
					return map[string]any{"WorkerTypes": []any{}}, nil // there are no dynamic workers outside Octopus Cloud
				}},
				{Method: "GET", Path: "workerpools/supportedtypes", Permission: "WorkerView", Handle: func(*collection.Call) (any, error) {
					return map[string]any{"SupportedPoolTypes": []string{"StaticWorkerPool"}, "Links": map[string]string{}}, nil
				}},
			},
		},
		{
			Name: "Proxies", Type: "Proxy", Route: "proxies",
			Template:   `{"Name":"","ProxyType":"HTTP","Host":"","Port":80,"Username":null,"Password":null}`,
			Required:   []string{"Name", "Host"},
			Permission: collection.Quartet("Proxy"),
		},
		{
			Name: "Accounts", Type: "Account", Route: "accounts", Slugged: true, Environments: "EnvironmentIds", Everywhere: true, Tenants: "TenantIds",
			Template:   `{"AccountType":"","Name":"","Slug":"","Description":"",` + scoped + `}`,
			Required:   []string{"Name", "AccountType"},
			Permission: collection.Quartet("Account"),
			References: []collection.Reference{{Path: "EnvironmentIds[]", Kind: "Environments"}, {Path: "TenantIds[]", Kind: "Tenants"}},
			Filters:    map[string]string{"accountType": "AccountType"}, Query: "skip,take,ids,partialName,accountType",
			Links:   map[string]string{"Usages": "accounts/{Id}/usages"},
			Prepare: prepareAccount,
			Actions: []collection.Action{
				{Method: "GET", Path: "accounts/{id}/usages", Handle: func(c *collection.Call) (any, error) { return accountUsages(c) }},
				{Method: "GET", Path: "accounts/azureenvironments", Permission: "AccountView", Handle: func(*collection.Call) (any, error) { return []any{}, nil }},
			},
		},
		{
			Name: "GitCredentials", Type: "GitCredential", Route: "git-credentials",
			Template:   `{"Name":"","Description":null,"Details":{"Type":"UsernamePassword"},"RepositoryRestrictions":{"Enabled":false,"AllowedRepositories":[""]}}`,
			Required:   []string{"Name"},
			Permission: collection.Verbs{View: "GitCredentialView", Create: "GitCredentialEdit", Edit: "GitCredentialEdit", Delete: "GitCredentialEdit"},
			Filters:    map[string]string{"name": "Name"}, Query: "skip,take,name",
			Links: map[string]string{"Usage": "git-credentials/{Id}/usage"},
		},
	}
}

func keepDefault(c *collection.Change) error {
	if c.Old.Bool("IsDefault") {
		return problem.Invalid("This is the space's default " + c.Kind.Noun() + ": it cannot be deleted.")
	}
	return nil
}

// oneDefault takes the mark from the others when one becomes the default.
func oneDefault(kind string) func(c *collection.Change) error {
	return func(c *collection.Change) error {
		if !c.New.Bool("IsDefault") || c.Old.Bool("IsDefault") {
			return nil
		}
		rows, err := c.List(document.Query{Kind: kind, Spaces: []string{c.Space}, Contains: `"IsDefault":true`})
		if err != nil {
			return err
		}
		for _, row := range rows {
			if row.ID == c.ID {
				continue
			}
			err := c.Edit(kind, row.ID, func(o *octopus.Object) error {
				o.Set("IsDefault", false)
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
}

// prepareMachine fills in the space's default policy and, from the endpoint, thumbprint and address.
func prepareMachine(target bool) func(c *collection.Change) error {
	return func(c *collection.Change) error {
		endpoint := c.New.Object("Endpoint")
		if endpoint.Len() == 0 {
			return problem.Invalid("Please provide a value for Endpoint.")
		}
		if target && len(c.New.Texts("EnvironmentIds")) == 0 {
			return problem.Invalid("Please select at least one environment.")
		}
		if !target && len(c.New.Texts("WorkerPoolIds")) == 0 {
			return problem.Invalid("Please select at least one worker pool.")
		}
		for _, member := range []string{"Thumbprint", "Uri"} {
			if !c.New.Has(member) && endpoint.Text(member) != "" {
				c.New.Set(member, endpoint.Text(member))
			}
		}
		if c.New.Text("MachinePolicyId") != "" {
			return nil
		}
		rows, err := c.List(document.Query{Kind: "MachinePolicies", Spaces: []string{c.Space}, Contains: `"IsDefault":true`, Take: 1})
		if err != nil || len(rows) == 0 {
			return err
		}
		c.New.Set("MachinePolicyId", rows[0].ID)
		return nil
	}
}

func machineActions(route, kind string, create permission.Name) []collection.Action {
	distinct := func(member string) func(c *collection.Call) (any, error) {
		return func(c *collection.Call) (any, error) {
			names := map[string]bool{}
			p, err := c.Service.List(c.Context, c.Request, c.Service.Kind(kind), collection.Listing{All: true})
			for _, d := range p.Items {
				names[d.Object().Text(member)] = true
			}
			delete(names, "Unknown")
			return sortedNames(names), err
		}
	}
	view := "MachineView"
	if kind == "Workers" {
		view = "WorkerView"
	}
	return []collection.Action{
		{Method: "GET", Path: route + "/{id}/connection", Handle: connection(kind, route)},
		{Method: "GET", Path: route + "/{id}/tasks", Handle: machineTasks(kind, route)},
		{Method: "GET", Path: route + "/discover", Permission: create, Handle: discover(create, kind)},
		{Method: "GET", Path: route + "/operatingsystem/names/all", Permission: permission.Name(view), Handle: distinct("OperatingSystem")},
		{Method: "GET", Path: route + "/operatingsystem/shells/all", Permission: permission.Name(view), Handle: distinct("ShellName")},
	}
}

func sortedNames(set map[string]bool) []string {
	names := []string{}
	for name := range set {
		if name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func allRoles(c *collection.Call) (any, error) {
	roles := map[string]bool{}
	p, err := c.Service.List(c.Context, c.Request, c.Service.Kind("Machines"), collection.Listing{All: true})
	for _, d := range p.Items {
		for _, role := range d.Object().Texts("Roles") {
			roles[role] = true
		}
	}
	return sortedNames(roles), err
}

func prepareAccount(c *collection.Change) error {
	known := []string{"None", "UsernamePassword", "SshKeyPair", "Token", "AzureSubscription", "AzureServicePrincipal", "AzureOidc", "AmazonWebServicesAccount",
		"AmazonWebServicesRoleAccount", "AmazonWebServicesOidcAccount", "GoogleCloudAccount", "GoogleCloudOidcAccount", "GenericOidcAccount"}
	if !slices.Contains(known, c.New.Text("AccountType")) {
		return problem.Invalid("There is no account type '" + c.New.Text("AccountType") + "'.")
	}
	if !c.Creating && c.Old.Text("AccountType") != c.New.Text("AccountType") {
		return problem.Invalid("The type of an account cannot be changed.")
	}
	return nil
}

func accountUsages(c *collection.Call) (any, error) {
	d, err := c.Find("Accounts", c.Param("id"))
	if err != nil {
		return nil, err
	}
	targets := []any{}
	p, err := c.Service.List(c.Context, c.Request, c.Service.Kind("Machines"), collection.Listing{All: true,
		Filter: func(o octopus.Object) bool { return o.Object("Endpoint").Text("AccountId") == d.ID }})
	for _, m := range p.Items {
		targets = append(targets, map[string]string{"TargetId": m.ID, "TargetName": m.Object().Text("Name")})
	}
	return map[string]any{"Id": d.ID, "Targets": targets, "DeploymentProcesses": []any{}, "LibraryVariableSets": []any{}, "ProjectVariableSets": []any{},
		"Releases": []any{}, "RunbookProcesses": []any{}, "RunbookSnapshots": []any{}, "Links": map[string]string{"Self": collection.Base(d.Space) + "/accounts/" + d.ID + "/usages"}}, err
}
