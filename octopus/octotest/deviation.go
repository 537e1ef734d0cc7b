package octotest

import (
	"strings"

	"odcm/octopus/octotest/swagger"
)

// Deviation is a difference from the Swagger document that is right. "*" as Definition or Field stands for any.
type Deviation struct {
	Definition string
	Field      string
	Problem    swagger.Problem
	Reason     string
}

func (d Deviation) covers(f swagger.Finding) bool {
	return d.Problem == f.Problem &&
		(d.Definition == "*" || d.Definition == f.Definition || d.Definition == "ResourceCollection_of_*" && strings.HasPrefix(f.Definition, "ResourceCollection_of_")) &&
		(d.Field == "*" || d.Field == f.Field)
}

// known are the differences between the document of 2020.5 and what real servers are known to answer. Each server shows
// some of them; a test holds every line against the document, so that none is there without need.
var known = []Deviation{
	// What the server's serializer does.
	{"*", "LastModifiedOn", swagger.Missing, "left out where null (recorded tasks)"},
	{"*", "LastModifiedBy", swagger.Missing, "left out where null (recorded tasks)"},
	{"*", "SpaceId", swagger.Missing, "left out by what the whole server owns (recorded tasks, 2017)"},
	{"*", "Id", swagger.Missing, "left out where null: by what has no identity (recorded root and tasks); create looks for it"},
	{"ResourceCollection_of_*", "NumberOfPages", swagger.Missing, "newer than 2017 (recorded tasks)"},
	{"ResourceCollection_of_*", "LastPageNumber", swagger.Missing, "newer than 2017 (recorded tasks)"},
	{"ResourceCollection_of_*", "IsStale", swagger.Unknown, "older and newer than the document (recorded tasks)"},
	{"RootResource", "IsEarlyAccessProgram", swagger.Missing, "newer than 2019.7 (recorded root)"},
	{"RootResource", "HasLongTermSupport", swagger.Missing, "newer than 2019.7 (recorded root)"},
	{"PropertyValueResource", "*", swagger.Type, "written as its text: a converter of the server (MC propertyValueResource)"},
	{"PropertyValueResource", "HasValue", swagger.Unknown, "written as a SensitiveValue where it is one (OC PropertyValueResource)"},
	{"PropertyValueResource", "NewValue", swagger.Unknown, "written as a SensitiveValue where it is one (OC PropertyValueResource)"},
	{"PropertyValueResource", "Hint", swagger.Unknown, "written as a SensitiveValue where it is one (OC SensitiveValue)"},

	// The document shows base classes; answers are of the derived ones.
	{"AccountResource", "*", swagger.Unknown, "base class: fields by AccountType"},
	{"FeedResource", "*", swagger.Unknown, "base class: fields by FeedType"},
	{"EndpointResource", "*", swagger.Unknown, "base class: fields by CommunicationStyle"},
	{"TriggerFilterResource", "*", swagger.Unknown, "base class: fields by FilterType"},
	{"TriggerActionResource", "*", swagger.Unknown, "base class: fields by ActionType"},
	{"WorkerPoolResource", "WorkerType", swagger.Unknown, "base class: of dynamic pools"},
	{"Control", "*", swagger.Unknown, "base class: fields by control"},

	// Enumerations that grew.
	{"AccountResource", "AccountType", swagger.Value, "newer kinds of account"},
	{"FeedResource", "FeedType", swagger.Value, "newer kinds of feed"},
	{"EndpointResource", "CommunicationStyle", swagger.Value, "newer kinds of endpoint"},
	{"TriggerFilterResource", "FilterType", swagger.Value, "newer kinds of filter"},
	{"TriggerActionResource", "ActionType", swagger.Value, "newer kinds of action"},
	{"VariableResource", "Type", swagger.Value, "newer kinds of variable"},
	{"RetentionPeriod", "Strategy", swagger.Unknown, "newer than 2020.5"},
	{"RunbookRetentionPeriod", "Strategy", swagger.Unknown, "newer than 2020.5"},
	{"RunbookRetentionPeriod", "Unit", swagger.Unknown, "newer than 2020.5"},
	{"UserPermissionSetResource", "*", swagger.Unknown, "permissions newer than 2020.5"},
	{"UserPermissionSetResource", "SystemPermissions", swagger.Value, "permissions newer than 2020.5"},
	{"GET /api/permissions/all", "*", swagger.Unknown, "permissions newer than 2020.5"},
	{"UserRoleResource", "GrantedSpacePermissions", swagger.Value, "permissions newer than 2020.5"},
	{"UserRoleResource", "GrantedSystemPermissions", swagger.Value, "permissions newer than 2020.5"},

	// Fields newer than 2020.5 (as the C# client of 2026-08 has them).
	{"*", "Slug", swagger.Unknown, "newer than 2020.5: most named resources"},
	{"RootResource", "AuditStreamConfiguration", swagger.Unknown, "newer than 2020.5 (root of 2023.1)"},
	{"SpaceResource", "IsPrivate", swagger.Unknown, "newer than 2020.5"},
	{"SpaceResource", "PrivateSpaceOwner", swagger.Unknown, "newer than 2020.5 (OC SpaceResource)"},
	{"SpaceResource", "Icon", swagger.Unknown, "newer than 2020.5"},
	{"SensitiveValue", "Hint", swagger.Unknown, "newer than 2020.5"},
	{"EnvironmentResource", "EnvironmentTags", swagger.Unknown, "newer than 2020.5"},
	{"EnvironmentResource", "Type", swagger.Unknown, "newer than 2020.5"},
	{"ProjectResource", "PersistenceSettings", swagger.Unknown, "newer than 2020.5"},
	{"ProjectResource", "VersionControlSettings", swagger.Missing, "became PersistenceSettings"},
	{"ProjectResource", "ProjectTags", swagger.Unknown, "newer than 2020.5"},
	{"ProjectResource", "Icon", swagger.Unknown, "newer than 2020.5"},
	{"ProjectResource", "ForcePackageDownload", swagger.Unknown, "newer than 2020.5"},
	{"ProjectResource", "AllowIgnoreChannelRules", swagger.Unknown, "newer than 2020.5"},
	{"ProjectResource", "CombineHealthAndSyncStatusInDashboardLiveStatus", swagger.Unknown, "newer than 2020.5"},
	{"VersioningStrategyResource", "DonorPackageStepId", swagger.Unknown, "the official Go client reads and writes it (GO projects)"},
	{"ReleaseCreationStrategyResource", "ReleaseCreationPackageStepId", swagger.Unknown, "the official Go client reads and writes it (GO projects)"},
	{"ChannelResource", "GitReferenceRules", swagger.Unknown, "newer than 2020.5"},
	{"ChannelResource", "GitResourceRules", swagger.Unknown, "newer than 2020.5"},
	{"ChannelResource", "Type", swagger.Unknown, "newer than 2020.5"},
	{"ChannelResource", "CustomFieldDefinitions", swagger.Unknown, "newer than 2020.5"},
	{"PhaseResource", "IsPriorityPhase", swagger.Unknown, "newer than 2020.5"},
	{"DeploymentActionResource", "StepPackageVersion", swagger.Unknown, "newer than 2020.5"},
	{"DeploymentActionResource", "GitDependencies", swagger.Unknown, "newer than 2020.5"},
	{"DeploymentActionResource", "Inputs", swagger.Unknown, "newer than 2020.5"},
	{"DeploymentActionContainerResource", "Dockerfile", swagger.Unknown, "newer than 2020.5"},
	{"DeploymentActionContainerResource", "GitUrl", swagger.Unknown, "newer than 2020.5"},
	{"ActionTemplateResource", "GitDependencies", swagger.Unknown, "newer than 2020.5"},
	{"ActionTemplateResource", "StepPackageId", swagger.Unknown, "newer than 2020.5"},
	{"ActionTemplateResource", "StepPackageVersion", swagger.Unknown, "newer than 2020.5"},
	{"ActionTemplateResource", "Inputs", swagger.Unknown, "newer than 2020.5"},
	{"ActionTemplateParameterResource", "AllowClear", swagger.Unknown, "newer than 2020.5"},
	{"CommunityActionTemplateResource", "*", swagger.Unknown, "ExternalId, Packages, StepPackageId and others are newer than 2020.5"},
	{"TenantResource", "IsDisabled", swagger.Unknown, "newer than 2020.5"},
	{"TenantResource", "Icon", swagger.Unknown, "newer than 2020.5"},
	{"TagSetResource", "Type", swagger.Unknown, "newer than 2020.5"},
	{"TagSetResource", "Scopes", swagger.Unknown, "newer than 2020.5"},
	{"DeploymentTargetResource", "SkipInitialHealthCheck", swagger.Unknown, "newer than 2020.5"},
	{"DeploymentTargetResource", "TargetTags", swagger.Unknown, "newer than 2020.5"},
	{"DeploymentTargetResource", "Architecture", swagger.Unknown, "newer than 2020.5"},
	{"DeploymentTargetResource", "Status", swagger.Missing, "deprecated for HealthStatus and gone"},
	{"DeploymentTargetResource", "HasLatestCalamari", swagger.Missing, "deprecated and gone"},
	{"WorkerResource", "SkipInitialHealthCheck", swagger.Unknown, "newer than 2020.5"},
	{"WorkerResource", "Architecture", swagger.Unknown, "newer than 2020.5"},
	{"WorkerResource", "Status", swagger.Missing, "deprecated for HealthStatus and gone"},
	{"WorkerResource", "HasLatestCalamari", swagger.Missing, "deprecated and gone"},
	{"MachinePolicyResource", "MachineRpcCallRetryPolicy", swagger.Unknown, "newer than 2020.5"},
	{"MachineUpdatePolicy", "KubernetesAgentUpdateBehavior", swagger.Unknown, "newer than 2020.5"},
	{"ReleaseResource", "CustomFields", swagger.Unknown, "newer than 2020.5"},
	{"ReleaseResource", "SelectedGitResources", swagger.Unknown, "newer than 2020.5"},
	{"RunbookResource", "ForcePackageDownload", swagger.Unknown, "newer than 2020.5"},
	{"RunbookResource", "RunbookTags", swagger.Unknown, "newer than 2020.5"},
	{"RunbookSnapshotResource", "SelectedGitResources", swagger.Unknown, "newer than 2020.5"},
	{"TaskResource", "ProjectId", swagger.Unknown, "newer than 2020.5"},
	{"TaskResource", "EstimatedRemainingQueueDurationSeconds", swagger.Unknown, "newer than 2020.5"},
	{"TaskResource", "UnmetPreconditions", swagger.Unknown, "newer than 2020.5"},
	{"TaskResource", "State", swagger.Missing, "always there; listed in no recording older than 2017"},
	{"EventNotificationSubscription", "WebhookLastProcessedEventAutoId", swagger.Type, "null until an event was sent"},
	{"EventNotificationSubscription", "EmailDigestLastProcessedEventAutoId", swagger.Type, "null until an event was sent"},
	{"EventResource", "IpAddress", swagger.Unknown, "newer than 2020.5"},
	{"ApiKeyResource", "ApiKey", swagger.Type, "a sensitive value in lists since 2021 (OC ApiKeyResource)"},
	{"ApiKeyResource", "Expires", swagger.Unknown, "newer than 2020.5"},
	{"ApiKeyResource", "ApiKey", swagger.Missing, "shown once, when made"},
	{"UserResource", "Password", swagger.Missing, "can only be written"},
	{"LicenseStatusResource", "LicenseKind", swagger.Unknown, "newer than 2020.5 (OC LicenseStatusResource)"},
	{"LicenseLimitStatusResource", "*", swagger.Unknown, "newer than 2020.5 (OC LicenseStatusResource)"},
	{"FeaturesConfigurationResource", "*", swagger.Unknown, "features newer than 2020.5"},
	{"CertificateResource", "SubjectAlternativeNames", swagger.Missing, "newer servers only where the certificate has them"},

	// Where the document is wrong about itself.
	{"PUT /api/spaces/{id}", "200", swagger.Status, "the document says 201; servers answer 200, and clients insist on it"},
	{"POST /api/users/{userId}/apikeys", "201", swagger.Status, "the document says 200; newer servers answer 201 (GO users)"},
}

// untold are operations whose answer the document does not describe, or which are newer than it. A nil answer means that
// only the error shape and JSON are checked.
var untold = []struct {
	method, path string
	answer       swagger.Schema
	why          string
}{
	{"GET", "/api/users/me", swagger.Named("UserResource"), "no schema in the document"},
	{"GET", "/api/octopusservernodes/summary", open(swagger.Schema{"Nodes": swagger.Schema{"type": "array", "items": open(swagger.Schema{
		"Id": text, "Name": text, "MaxConcurrentTasks": number, "IsInMaintenanceMode": boolean, "LastSeen": text, "Rank": text,
		"IsLeader": boolean, "IsOffline": boolean, "RunningTaskCount": number})}}), "no schema in the document (OC OctopusServerNodeSummaryResource)"},
	{"GET", "/api/serverstatus", open(swagger.Schema{"IsInMaintenanceMode": boolean, "IsUpgradeAvailable": boolean, "IsDatabaseEncrypted": boolean,
		"IsMajorMinorUpgrade": boolean, "MaintenanceExpires": text, "MaximumAvailableVersion": text, "MaximumAvailableVersionCoveredByLicense": text}),
		"no schema in the document (OC ServerStatusResource)"},
	{"GET", "/api/serverstatus/system-info", nil, "no schema in the document"},
	{"GET", "/api/events", open(swagger.Schema{"ItemType": text, "TotalResults": number, "ItemsPerPage": number, "Links": open(swagger.Schema{}),
		"Items": swagger.List("EventResource")}), "no schema in the document"},
	{"GET", "/api/users/{id}/spaces", swagger.List("SpaceResource"), "no answer in the document"},
	{"GET", "/api/variables/names", swagger.Schema{"type": "array", "items": text}, "no schema in the document"},
	{"GET", "/api/upgradeconfiguration", open(swagger.Schema{"NotificationMode": text, "IncludeStatistics": boolean, "AllowChecking": boolean}),
		"no schema in the document (OC UpgradeConfigurationResource)"},
	{"GET", "/api/actiontemplates/{id}/versions/{version}", swagger.Named("ActionTemplateResource"), "no schema in the document"},
	{"POST", "/api/users/login", swagger.Named("UserResource"), "no schema in the document"},
	{"POST", "/api/releases/create/v1", open(swagger.Schema{"ReleaseId": text, "ReleaseVersion": text}), "newer than 2020.5 (GO releases)"},
	{"POST", "/api/projects/import-export/export", open(swagger.Schema{"TaskId": text, "ProjectIds": swagger.Schema{"type": "array", "items": text}}), "newer than 2020.5 (MC projectExportResponse)"},
	{"POST", "/api/projects/import-export/import/preview", open(swagger.Schema{"Projects": swagger.Schema{"type": "array", "items": open(swagger.Schema{"Name": text, "Channels": swagger.Schema{"type": "array", "items": text},
		"Runbooks": swagger.Schema{"type": "array", "items": text}})}, "Environments": swagger.Schema{"type": "array", "items": text}}), "newer than 2020.5 (MC projectImportPreviewResponse)"},
	{"GET", "/api/retentionpolicies", open(swagger.Schema{"Id": text, "SpaceId": text, "RetentionType": text, "Strategy": text}), "newer than 2020.5 (GO retention)"},
	{"GET", "/api/capabilities", open(swagger.Schema{"Capabilities": swagger.Schema{"type": "array", "items": text}}), "newer than 2020.5"},
	{"GET", "/api/configuration/feature-toggles", open(swagger.Schema{"FeatureToggles": swagger.Schema{"type": "array", "items": open(swagger.Schema{
		"Name": text, "IsEnabled": boolean})}}), "newer than 2020.5"},
	{"PUT", "/api/users/{id}/revoke-sessions", nil, "newer than 2020.5 (root of 2023.1)"},
	{"POST", "/api/serviceaccounts/{id}/oidcidentities/create/v1", oidcIdentity, "newer than 2020.5 (GO serviceaccounts)"},
	{"GET", "/api/serviceaccounts/{id}/oidcidentities/v1", open(swagger.Schema{"ServerUrl": text, "ExternalId": text, "Count": number,
		"OidcIdentities": swagger.Schema{"type": "array", "items": oidcIdentity}}), "newer than 2020.5 (GO serviceaccounts)"},
	{"GET", "/api/serviceaccounts/{id}/oidcidentities/{identity}/v1", oidcIdentity, "newer than 2020.5 (GO serviceaccounts)"},
	{"PUT", "/api/serviceaccounts/{id}/oidcidentities/{identity}/v1", nil, "newer than 2020.5 (GO serviceaccounts: it answers nothing of use)"},
	{"DELETE", "/api/serviceaccounts/{id}/oidcidentities/{identity}/v1", nil, "newer than 2020.5 (GO serviceaccounts)"},
	{"GET", "/.well-known/openid-configuration", open(swagger.Schema{"issuer": text, "token_endpoint": text, "jwks_uri": text}), "newer than 2020.5 (CLI login)"},
}

// oidcIdentity is what a service account trusts.
var oidcIdentity = open(swagger.Schema{"Id": text, "Name": text, "Issuer": text, "Subject": text, "Audience": text, "ServiceAccountId": text})

// open is the schema of an object that has at least these properties.
func open(properties swagger.Schema) swagger.Schema {
	return swagger.Schema{"type": "object", "properties": properties, "additionalProperties": swagger.Schema{}}
}

var text, number, boolean = swagger.Schema{"type": "string"}, swagger.Schema{"type": "integer"}, swagger.Schema{"type": "boolean"}
