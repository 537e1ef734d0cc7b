package server

import (
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/kinds/part"
)

// systemLinks are links of the root document beside those of the kinds, as a server of 2020 to 2023 has them. Clients
// build their requests from these templates; a name that is missing ends some of them.
const systemLinks = `
Authentication /api/authentication
BuildInformationBulk {}/build-information/bulk{?ids}
BuiltInFeedStats {}/feeds/stats
Configuration /api/configuration{/id}
CurrentLicense /api/licenses/licenses-current
CurrentLicenseStatus /api/licenses/licenses-current-status
CurrentUser /api/users/me
Dashboard {}/dashboard{?projectId,releaseId,selectedTenants,selectedTags,showAll,highestLatestVersionPerProjectAndEnvironment}
DashboardConfiguration {}/dashboardconfiguration
DashboardDynamic {}/dashboard/dynamic{?projects,environments,includePrevious}
DeploymentFreezes /api/deploymentfreezes{/id}{?skip,take,ids,partialName}
ActionTemplatesCategories {}/actiontemplates/categories
ActionTemplatesSearch {}/actiontemplates/search
ActionTemplateLogo {}/actiontemplates/{typeOrId}/logo{?cb}
ActionTemplateVersionedLogo {}/actiontemplates/{typeOrId}/versions/{version}/logo{?cb}
DiscoverMachine {}/machines/discover{?host,port,type,proxyId}
DiscoverWorker {}/workers/discover{?host,port,type,proxyId}
EnabledFeatureToggles /api/configuration/enabled-feature-toggles
EnvironmentSortOrder {}/environments/sortorder
EnvironmentsSummary {}/environments/summary{?ids,partialName,machinePartialName,roles,isDisabled,healthStatuses,commStyles,tenantIds,tenantTags,hideEmptyEnvironments,shellNames}
EventAgents /api/events/agents
EventCategories /api/events/categories{?appliesTo}
EventDocumentTypes /api/events/documenttypes
EventGroups /api/events/groups{?appliesTo}
Events /api/events{/id}{?` + eventParameters + `}
ExternalSecurityGroupProviders /api/externalsecuritygroupproviders
ExternalUserSearch /api/users/external-search{?partialName}
FeaturesConfiguration /api/featuresconfiguration
Invitations /api/users/invitations
LoginInitiated /api/authentication/checklogininitiated
MachineOperatingSystems {}/machines/operatingsystem/names/all
MachinePolicyTemplate {}/machinepolicies/template
MachineRoles {}/machineroles/all
MachineShells {}/machines/operatingsystem/shells/all
MaintenanceConfiguration /api/maintenanceconfiguration
OctopusServerClusterSummary /api/octopusservernodes/summary
OctopusServerNodes /api/octopusservernodes{/id}{?skip,take,ids,partialName}
PackageNotesList {}/packages/notes{?packageIds}
PackageUpload {}/packages/raw{?replace,overwriteMode}
Packages {}/packages{/id}{?nuGetPackageId,filter,latest,skip,take,includeNotes}
PackagesBulk {}/packages/bulk{?ids}
PerformanceConfiguration /api/performanceconfiguration
PermissionDescriptions /api/permissions/all
Progression {}/progression/{id}{?aggregate}
Register /api/users/register
RetentionDefaultConfiguration {}/retentionpolicies{/id}{?RetentionType}
Scheduler /api/scheduler/{name}/logs{?verbose,tail}
ServerConfiguration /api/serverconfiguration
ServerConfigurationSettings /api/serverconfiguration/settings
ServerHealthStatus /api/serverstatus/health
ServerStatus /api/serverstatus
SignIn /api/users/login{?returnUrl}
SignOut /api/users/logout
SmtpConfiguration /api/smtpconfiguration
SmtpIsConfigured /api/smtpconfiguration/isconfigured
SpaceHome /api/{spaceId}
SpaceSearch /api/spaces/{id}/search{?keyword}
TagSetSortOrder {}/tagsets/sortorder
TaskTypes /api/tasks/taskTypes
TeamMembership /api/teammembership{?userId,spaces,includeSystem}
TeamMembershipPreviewTeam /api/teammembership/previewteam
TenantTagTest {}/tenants/tag-test{?tenantIds,tags}
TenantVariables {}/tenantvariables/all{?projectId}
TenantsMissingVariables {}/tenants/variables-missing{?tenantId,projectId,environmentId,includeDetails}
TenantsStatus {}/tenants/status
Timezones /api/serverstatus/timezones
UpgradeConfiguration /api/upgradeconfiguration
UserAuthentication /api/users/authentication{/userId}
UserIdentityMetadata /api/users/identity-metadata
VariableNames {}/variables/names{?project,runbook,projectEnvironmentsFilter}
VariablePreview {}/variables/preview{?project,runbook,environment,channel,tenant,action,machine,role}
VersionRuleTest {}/channels/rule-test{?version,versionRange,preReleaseTag,feetType}
Web /app
WorkerOperatingSystems {}/workers/operatingsystem/names/all
WorkerPoolsDynamicWorkerTypes {}/workerpools/dynamicworkertypes
WorkerPoolsSortOrder {}/workerpools/sortorder
WorkerPoolsSummary {}/workerpools/summary{?ids,partialName,machinePartialName,isDisabled,healthStatuses,commStyles,hideEmptyWorkerPools}
WorkerPoolsSupportedTypes {}/workerpools/supportedtypes
WorkerShells {}/workers/operatingsystem/shells/all
`

// links writes the templates for a space; without one, only what belongs to the whole server.
func links(service *collection.Service, space string, system bool) octopus.Object {
	var o octopus.Object
	if space == "" {
		o.Set("Self", "/api")
	} else if system {
		o.Set("Self", "/api")
	} else {
		o.Set("Self", "/api/"+space)
	}
	for _, k := range service.Kinds() {
		if k.Route == "" || k.RootLink == "-" {
			continue
		}
		base := "/api"
		switch {
		case k.Scope == collection.InSpace && space == "", k.Scope != collection.InSpace && !system && k.Scope != collection.InBoth:
			continue
		case k.Scope == collection.InSpace, k.Scope == collection.InBoth && !system:
			base = "/api/" + space
		}
		name := k.RootLink
		if name == "" {
			name = k.Name
		}
		o.Set(name, base+"/"+k.Route+"{/id}{?"+k.Query+"}")
	}
	for line := range strings.Lines(strings.TrimSpace(systemLinks)) {
		name, template, _ := strings.Cut(strings.TrimSpace(line), " ")
		inSpace := strings.HasPrefix(template, "{}")
		if inSpace && space == "" {
			continue
		}
		o.Set(name, strings.Replace(template, "{}", "/api/"+space, 1))
	}
	return o
}

// root is the document at /api (RootResource): what every client reads first.
func (s *rules) root(c *collection.Call) (any, error) {
	o := part.Object(nil)
	o.Set("Application", "Octopus Deploy") // stock clients refuse any other name
	o.Set("Version", s.Version)
	o.Set("ApiVersion", "3.0.0")
	o.Set("InstallationId", s.InstallationID)
	o.Set("IsEarlyAccessProgram", false)
	o.Set("HasLongTermSupport", false)
	o.Set("Links", links(c.Service, c.Service.Directory().Default, true))
	return o, nil
}

// spaceHome is the document at /api/Spaces-1 (SpaceRootResource). It has no Version: clients tell by that where they are.
func (s *rules) spaceHome(c *collection.Call) (any, error) {
	o := part.Object(nil)
	o.Set("Id", c.Space)
	o.Set("Links", links(c.Service, c.Space, false))
	return o, nil
}
