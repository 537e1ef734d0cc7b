package permission

import "strings"

// Role is a built-in user role.
type Role struct {
	ID, Name, Description string
	Space, System         []Name
}

// people is what lets someone see with whom they work: granted on the whole server, wherever the role is held.
const people = "TeamView UserView UserRoleView"

// views is what everyone with a hand in projects can see.
const views = "ReleaseView ProjectView DeploymentView ProcessView EnvironmentView ArtifactView EventView ProjectGroupView LibraryVariableSetView TeamView TaskView " +
	"InterruptionView LifecycleView MachinePolicyView TenantView TriggerView CertificateView RunbookView RunbookRunView"

const contributes = views + " ArtifactCreate ActionTemplateView ActionTemplateCreate ActionTemplateEdit ActionTemplateDelete ProcessEdit ProjectEdit FeedView " +
	"LibraryVariableSetCreate LibraryVariableSetEdit LibraryVariableSetDelete TaskCreate InterruptionViewSubmitResponsible MachineView DefectReport DefectResolve " +
	"VariableView VariableEdit TriggerCreate TriggerDelete TriggerEdit RunbookEdit RunbookSnapshotCreate"

// infrastructure is what can be seen of it.
const infrastructure = "EnvironmentView MachineView TaskView TeamView AccountView MachinePolicyView CertificateView ProxyView WorkerView"

const consumes = "ProjectView EnvironmentView ArtifactView EventView ProjectGroupView LibraryVariableSetView TeamView FeedView TaskView InterruptionView MachinePolicyView TenantView " +
	"TriggerView CertificateView MachineView RunbookView RunbookRunView RunbookRunCreate"

// roles are those of the documentation's page security/users-and-teams/default-permissions, but the three that are made of
// all permissions. RunbookSnapshotCreate and DeploymentFreezeAdminister are in the page's newer edition only, beside
// RunbookEdit and for space managers.
var roles = []struct{ id, name, text, system, space string }{
	{"buildserver", "Build server", "Build servers can push packages and build information, create releases and deploy them.", "",
		"BuiltInFeedAdminister BuiltInFeedDownload BuiltInFeedPush DeploymentCreate DeploymentView EnvironmentView FeedView LibraryVariableSetView LifecycleView BuildInformationPush " +
			"BuildInformationAdminister ProcessView ProjectView ReleaseCreate ReleaseView TaskView TenantView RunbookView RunbookEdit RunbookSnapshotCreate RunbookRunView RunbookRunCreate"},
	{"certificatemanager", "Certificate manager", "Certificate managers can edit certificates and export their private keys.", "",
		"CertificateView CertificateCreate CertificateEdit CertificateDelete CertificateExportPrivateKey EnvironmentView TenantView"},
	{"deploymentcreator", "Deployment creator", "Deployment creators can create and view deployments and runbook runs.", "",
		"DeploymentCreate DeploymentView EnvironmentView LifecycleView ProcessView ProjectView ReleaseView TaskView TenantView LibraryVariableSetView RunbookView RunbookRunView RunbookRunCreate"},
	{"environmentmanager", "Environment manager", "Environment managers can view and edit infrastructure including environments, machines, workers and proxies.", "TeamView",
		infrastructure + " EnvironmentCreate EnvironmentEdit EnvironmentDelete MachineCreate MachineEdit MachineDelete TaskCreate TaskCancel AccountCreate AccountEdit AccountDelete " +
			"ProxyCreate ProxyEdit ProxyDelete MachinePolicyCreate MachinePolicyEdit MachinePolicyDelete WorkerEdit"},
	{"environmentviewer", "Environment viewer", "Environment viewers can view environments and deployment targets, but not edit them.", "TeamView", infrastructure},
	{"insightsreportmanager", "Insights report manager", "Insights report managers can view and edit insights reports.", "",
		"InsightsReportView InsightsReportCreate InsightsReportEdit InsightsReportDelete EnvironmentView ProcessView ProjectGroupView ProjectView TenantView"},
	{"packagepublisher", "Package publisher", "Package publishers can push packages and build information to the built-in repository.", "",
		"BuiltInFeedAdminister BuiltInFeedDownload BuiltInFeedPush FeedView BuildInformationPush BuildInformationAdminister"},
	{"projectcontributor", "Project contributor", "Project contributors can edit and view projects, but not release or deploy them.", people, contributes},
	{"projectdeployer", "Project deployer", "Project deployers have all the rights of a project contributor, and can deploy releases and run runbooks.", people,
		contributes + " DeploymentCreate InterruptionSubmit TaskCancel RunbookRunCreate"},
	{"projectinitiator", "Project initiator", "Project initiators can create projects.", people, views + " ProjectCreate ProjectEdit ProjectDelete DefectReport DefectResolve"},
	{"projectlead", "Project lead", "Project leads have all the rights of a project contributor, and can create releases.", people,
		contributes + " ReleaseCreate ReleaseEdit ReleaseDelete ArtifactEdit ArtifactDelete"},
	{"projectviewer", "Project viewer", "Project viewers have read-only access to projects.", people, views},
	{"releasecreator", "Release creator", "Release creators can create and view releases, but not deploy them.", "",
		"EnvironmentView FeedView ProcessView ProjectView ReleaseCreate ReleaseView RunbookView RunbookEdit RunbookSnapshotCreate"},
	{"runbookconsumer", "Runbook consumer", "Runbook consumers can view and run runbooks.", "", consumes},
	{"runbookproducer", "Runbook producer", "Runbook producers can edit and run runbooks.", "",
		consumes + " ProjectCreate ProjectEdit ProjectDelete LifecycleView ActionTemplateView ActionTemplateCreate ActionTemplateEdit ActionTemplateDelete LibraryVariableSetCreate " +
			"LibraryVariableSetEdit LibraryVariableSetDelete TaskCreate TaskCancel InterruptionViewSubmitResponsible VariableView VariableEdit TriggerCreate TriggerDelete TriggerEdit " +
			"RunbookEdit RunbookSnapshotCreate RunbookRunDelete ArtifactCreate ArtifactEdit ArtifactDelete InterruptionSubmit"},
	{"tenantmanager", "Tenant manager", "Tenant managers can edit tenants.", "", "TenantCreate TenantEdit TenantDelete TenantView"},
}

// Built-in roles that code names.
const (
	SystemAdministrator = "userroles-systemadministrator"
	SystemManager       = "userroles-systemmanager"
	SpaceManager        = "userroles-spacemanager"
)

// BuiltIn lists the roles that every server has, with the permissions they grant.
func BuiltIn() []Role {
	all := All()
	var allSpace, allSystem, managed []Name
	for _, d := range all {
		if d.Space {
			allSpace = append(allSpace, d.Name)
		}
		if d.System {
			allSystem = append(allSystem, d.Name)
			if d.Name != AdministerSystem {
				managed = append(managed, d.Name)
			}
		}
	}
	built := []Role{
		{SystemAdministrator, "System administrator", "System administrators can do anything on this server, in every space.", []Name{}, allSystem},
		{SystemManager, "System manager", "System managers can do everything at the level of the server but administer it.", []Name{}, managed},
		{SpaceManager, "Space manager", "Space managers can do everything within their space.", allSpace, names(people + " DeploymentFreezeAdminister")},
	}
	for _, r := range roles {
		built = append(built, Role{ID: "userroles-" + r.id, Name: r.name, Description: r.text, Space: names(r.space), System: names(r.system)})
	}
	return built
}

func names(text string) []Name {
	list := []Name{}
	for name := range strings.FieldsSeq(text) {
		list = append(list, Name(name))
	}
	return list
}
