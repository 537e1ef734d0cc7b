package octotest

import (
	"strconv"

	"odcm/octopus"
)

// fields is a body to send.
type fields = map[string]any

// Kind is a kind of resource. Which of list, all, get, create, change and delete it has, the Swagger document says; the
// table says what the document cannot: a minimal body that is valid, and a field to change.
type Kind struct {
	Route        string                  // "environments", below the space or, if System, below /api
	System       bool                    // belongs to the whole server
	Definition   string                  // of the resource, in the document
	Body         func(s *session) fields // minimal and valid; what it refers to, need makes
	Change       string                  // a field to change; "" where there is no PUT
	To           any                     // its new value, another than the one that Body or the server gives
	Named        bool                    // has a name that must not be empty and is unique
	ByName       bool                    // GET {route}/{name} finds it, or answers a 404 without Errors
	Secret       string                  // a field of Body that is a sensitive value
	BeforeDelete func(o *octopus.Object) // what must be put before DELETE is allowed
	// Settled waits until what was made changes no more by itself, and returns it as it is then.
	Settled func(s *session, o octopus.Object) octopus.Object
}

func (s *session) kind(route string) *Kind {
	for i := range s.kinds {
		if s.kinds[i].Route == route {
			return &s.kinds[i]
		}
	}
	panic("octotest: no kind " + route) // a defect of the suite
}

// kinds is the table. Its order is that of the exercise; what refers to another kind need not come after it.
func kinds() []Kind {
	return []Kind{
		{Route: "spaces", System: true, Definition: "SpaceResource", Change: "Description", To: "changed", Named: true,
			Body: func(s *session) fields {
				return fields{"Name": s.name("Sp"), "SpaceManagersTeams": []string{}, "SpaceManagersTeamMembers": []string{s.me.ID()}}
			},
			BeforeDelete: func(o *octopus.Object) { o.Set("TaskQueueStopped", true) }},
		{Route: "users", System: true, Definition: "UserResource", Change: "DisplayName", To: "changed",
			Body: func(s *session) fields {
				name := s.name("user")
				return fields{"Username": name, "DisplayName": name, "IsActive": true, "IsService": false, "Password": s.secret(), "EmailAddress": ""}
			}},
		{Route: "userroles", System: true, Definition: "UserRoleResource", Change: "Description", To: "changed", Named: true,
			Body: func(s *session) fields {
				return fields{"Name": s.name("role"), "GrantedSpacePermissions": []string{"EnvironmentView"}, "GrantedSystemPermissions": []string{}}
			}},
		{Route: "teams", Definition: "TeamResource", Change: "MemberUserIds", To: []string{}, Named: true,
			Body: func(s *session) fields {
				return fields{"Name": s.name("team"), "MemberUserIds": []string{s.me.ID()}, "SpaceId": s.server.Space}
			}},
		{Route: "scopeduserroles", Definition: "ScopedUserRoleResource", Change: "ProjectIds", To: []string{},
			Body: func(s *session) fields {
				return fields{"TeamId": s.id("teams"), "UserRoleId": s.id("userroles"), "SpaceId": s.server.Space, "ProjectIds": []string{s.id("projects")},
					"ProjectGroupIds": []string{}, "EnvironmentIds": []string{}, "TenantIds": []string{}}
			}},
		{Route: "environments", Definition: "EnvironmentResource", Change: "UseGuidedFailure", To: true, Named: true, ByName: true,
			Body: func(s *session) fields { return fields{"Name": s.name("environment")} }},
		{Route: "lifecycles", Definition: "LifecycleResource", Change: "Description", To: "changed", Named: true, ByName: true,
			Body: func(s *session) fields {
				return fields{"Name": s.name("lifecycle"), "Phases": []any{}, "ReleaseRetentionPolicy": keepForever(), "TentacleRetentionPolicy": keepForever()}
			}},
		{Route: "projectgroups", Definition: "ProjectGroupResource", Change: "Description", To: "changed", Named: true, ByName: true,
			Body: func(s *session) fields { return fields{"Name": s.name("group")} }},
		{Route: "projects", Definition: "ProjectResource", Change: "Description", To: "changed", Named: true, ByName: true,
			Body: func(s *session) fields {
				return fields{"Name": s.name("project"), "ProjectGroupId": s.id("projectgroups"), "LifecycleId": s.id("lifecycles")}
			}},
		{Route: "channels", Definition: "ChannelResource", Change: "Description", To: "changed", Named: true,
			Body: func(s *session) fields {
				return fields{"Name": s.name("channel"), "ProjectId": s.id("projects"), "Rules": []any{}, "TenantTags": []string{}}
			}},
		{Route: "libraryvariablesets", Definition: "LibraryVariableSetResource", Change: "Description", To: "changed", Named: true,
			Body: func(s *session) fields { return fields{"Name": s.name("set"), "ContentType": "Variables"} }},
		{Route: "runbooks", Definition: "RunbookResource", Change: "Description", To: "changed", Named: true,
			Body: func(s *session) fields { return fields{"Name": s.name("runbook"), "ProjectId": s.id("projects")} }},
		{Route: "runbookSnapshots", Definition: "RunbookSnapshotResource", Change: "Notes", To: "changed",
			Body: func(s *session) fields {
				return fields{"Name": s.name("snapshot"), "ProjectId": s.id("projects"), "RunbookId": s.id("runbooks"), "SelectedPackages": []any{}}
			}},
		{Route: "projecttriggers", Definition: "ProjectTriggerResource", Change: "IsDisabled", To: true, Named: true,
			Body: func(s *session) fields {
				return fields{"Name": s.name("trigger"), "ProjectId": s.id("projects"), "IsDisabled": false,
					"Filter": fields{"FilterType": "MachineFilter", "EnvironmentIds": []string{}, "Roles": []string{}, "EventGroups": []string{"Machine"}, "EventCategories": []string{}},
					"Action": fields{"ActionType": "AutoDeploy", "ShouldRedeployWhenMachineHasBeenDeployedTo": false}}
			}},
		{Route: "releases", Definition: "ReleaseResource", Change: "ReleaseNotes", To: "changed",
			Body: func(s *session) fields {
				s.names++
				return fields{"ProjectId": s.id("projects"), "ChannelId": s.id("channels"), "Version": "1.0." + strconv.Itoa(s.names), "SelectedPackages": []any{}}
			}},
		{Route: "tenants", Definition: "TenantResource", Change: "Description", To: "changed", Named: true, ByName: true,
			Body: func(s *session) fields {
				return fields{"Name": s.name("tenant"), "TenantTags": []string{}, "ProjectEnvironments": fields{}}
			}},
		{Route: "tagsets", Definition: "TagSetResource", Change: "Description", To: "changed", Named: true,
			Body: func(s *session) fields {
				return fields{"Name": s.name("tags"), "Tags": []any{fields{"Name": "blue", "Color": "#0000FF", "Description": ""}}}
			}},
		{Route: "machinepolicies", Definition: "MachinePolicyResource", Change: "Description", To: "changed", Named: true,
			Body: func(s *session) fields {
				template := fields{} // what clients do: the server's own template with another name
				for name, value := range s.get(s.in("machinepolicies/template")).All() {
					if name != "Links" {
						template[name] = value
					}
				}
				template["Name"], template["IsDefault"] = s.name("policy"), false
				return template
			}},
		{Route: "machines", Definition: "DeploymentTargetResource", Change: "IsDisabled", To: true, Named: true, ByName: true,
			Body: func(s *session) fields {
				return fields{"Name": s.name("target"), "EnvironmentIds": []string{s.id("environments")}, "Roles": []string{"web"},
					"MachinePolicyId": s.id("machinepolicies"), "IsDisabled": false, "Endpoint": fields{"CommunicationStyle": "None"}}
			}},
		{Route: "workerpools", Definition: "WorkerPoolResource", Change: "Description", To: "changed", Named: true,
			Body: func(s *session) fields { return fields{"Name": s.name("pool"), "WorkerPoolType": "StaticWorkerPool"} }},
		{Route: "workers", Definition: "WorkerResource", Change: "IsDisabled", To: true, Named: true,
			Body: func(s *session) fields {
				return fields{"Name": s.name("worker"), "WorkerPoolIds": []string{s.id("workerpools")}, "MachinePolicyId": s.id("machinepolicies"), "IsDisabled": false,
					"Endpoint": fields{"CommunicationStyle": "TentaclePassive", "Uri": "https://192.0.2.1:10933/", "Thumbprint": "0123456789ABCDEF0123456789ABCDEF01234567"}}
			}},
		{Route: "proxies", Definition: "ProxyResource", Change: "Port", To: 3129, Named: true, Secret: "Password",
			Body: func(s *session) fields {
				return fields{"Name": s.name("proxy"), "Host": "192.0.2.2", "Port": 3128, "ProxyType": "HTTP", "Username": "u", "Password": octopus.Secret(s.secret())}
			}},
		{Route: "accounts", Definition: "AccountResource", Change: "Description", To: "changed", Named: true, Secret: "Password",
			Body: func(s *session) fields {
				return fields{"Name": s.name("account"), "AccountType": "UsernamePassword", "Username": "u", "Password": octopus.Secret(s.secret()),
					"EnvironmentIds": []string{}, "TenantIds": []string{}, "TenantTags": []string{}, "TenantedDeploymentParticipation": "Untenanted"}
			}},
		{Route: "certificates", Definition: "CertificateResource", Change: "Notes", To: "changed", Named: true, Secret: "CertificateData",
			Body: func(s *session) fields {
				return fields{"Name": s.name("certificate"), "CertificateData": octopus.Secret(s.certificate()), "Password": fields{"HasValue": false, "NewValue": nil},
					"EnvironmentIds": []string{}, "TenantIds": []string{}, "TenantTags": []string{}, "TenantedDeploymentParticipation": "Untenanted"}
			}},
		{Route: "feeds", Definition: "FeedResource", Change: "DownloadAttempts", To: 7, Named: true, ByName: true, Secret: "Password",
			Body: func(s *session) fields {
				return fields{"Name": s.name("feed"), "FeedType": "NuGet", "FeedUri": "https://192.0.2.3/nuget/v3/index.json", "EnhancedMode": false,
					"DownloadAttempts": 5, "DownloadRetryBackoffSeconds": 10, "Username": "u", "Password": octopus.Secret(s.secret()),
					"PackageAcquisitionLocationOptions": []string{"Server", "ExecutionTarget"}}
			}},
		{Route: "actiontemplates", Definition: "ActionTemplateResource", Change: "Description", To: "changed", Named: true,
			Body: func(s *session) fields {
				return fields{"Name": s.name("template"), "ActionType": "Octopus.Script", "Packages": []any{},
					"Properties": fields{"Octopus.Action.Script.ScriptSource": "Inline", "Octopus.Action.Script.Syntax": "Bash", "Octopus.Action.Script.ScriptBody": "echo #{Words}"},
					"Parameters": []any{fields{"Name": "Words", "Label": "Words", "HelpText": "", "DefaultValue": "hello", "DisplaySettings": fields{"Octopus.ControlType": "SingleLineText"}}}}
			}},
		{Route: "subscriptions", Definition: "SubscriptionResource", Change: "IsDisabled", To: true, Named: true,
			Body: func(s *session) fields {
				return fields{"Name": s.name("subscription"), "Type": "Event", "IsDisabled": false,
					"EventNotificationSubscription": fields{"Filter": fields{}, "WebhookURI": "https://192.0.2.4/hook", "WebhookTimeout": "00:00:10", "WebhookTeams": []string{}, "EmailTeams": []string{}}}
			}},
		{Route: "artifacts", Definition: "ArtifactResource", Change: "Filename", To: "changed.txt",
			Body: func(s *session) fields {
				return fields{"Filename": s.name("file") + ".txt", "ServerTaskId": s.id("tasks")}
			}},
		{Route: "tasks", Definition: "TaskResource", Settled: (*session).ended,
			Body: func(s *session) fields {
				return fields{"Name": "Health", "Description": s.name("Check"), "SpaceId": s.server.Space, "Arguments": fields{"MachineIds": []string{}}}
			}},
		{Route: "deploymentprocesses", Definition: "DeploymentProcessResource"},
		{Route: "runbookProcesses", Definition: "RunbookProcessResource"},
		{Route: "deployments", Definition: "DeploymentResource"},
		{Route: "runbookRuns", Definition: "RunbookRunResource"},
		{Route: "interruptions", Definition: "InterruptionResource"},
		{Route: "communityactiontemplates", System: true, Definition: "CommunityActionTemplateResource"},
		{Route: "octopusservernodes", System: true, Definition: "OctopusServerNodeResource"},
	}
}

func keepForever() fields {
	return fields{"Unit": "Items", "QuantityToKeep": 0, "ShouldKeepForever": true}
}
