package permission

import "strings"

// Role is a built-in user role.
type Role struct {
	ID, Name, Description string
	Space, System         []Name
}

// views is what everyone with a hand in projects can see.
const views = "ActionTemplateView ArtifactView DeploymentView EnvironmentView EventView FeedView InterruptionView LibraryVariableSetView " +
	"LifecycleView MachineView MachinePolicyView ProcessView ProjectView ProjectGroupView ReleaseView RunbookView RunbookRunView " +
	"TaskView TaskViewLog TenantView TriggerView VariableView VariableViewUnscoped WorkerView AccountView CertificateView TeamView"

const contributes = views + " ProcessEdit ProjectEdit VariableEdit VariableEditUnscoped TriggerCreate TriggerEdit TriggerDelete " +
	"RunbookEdit RunbookSnapshotCreate ArtifactCreate ArtifactEdit"

const leads = contributes + " ReleaseCreate ReleaseEdit ReleaseDelete DefectReport DefectResolve"

const deploys = contributes + " DeploymentCreate DeploymentDelete RunbookRunCreate RunbookRunDelete TaskCancel TaskCreate " +
	"InterruptionViewSubmitResponsible DefectReport DefectResolve"

var roles = []struct{ id, name, text, space string }{
	{"buildserver", "Build server", "Build servers can push packages and build information, create releases and deploy them.",
		"BuiltInFeedPush BuiltInFeedDownload BuiltInFeedAdminister BuildInformationPush BuildInformationAdminister FeedView ProjectView ProcessView ReleaseCreate ReleaseView " +
			"DeploymentCreate DeploymentView EnvironmentView LifecycleView LibraryVariableSetView TaskView TaskViewLog TenantView VariableView VariableViewUnscoped ArtifactView EventView"},
	{"certificatemanager", "Certificate manager", "Certificate managers can edit certificates and export their private keys.",
		"CertificateCreate CertificateDelete CertificateEdit CertificateExportPrivateKey CertificateView EnvironmentView TenantView EventView"},
	{"deploymentcreator", "Deployment creator", "Deployment creators can create and view deployments.",
		"DeploymentCreate DeploymentView EnvironmentView ProjectView ReleaseView ProcessView TaskView TaskViewLog TenantView LifecycleView RunbookRunCreate RunbookRunView RunbookView"},
	{"environmentmanager", "Environment manager", "Environment managers can view and edit infrastructure including environments, machines, workers and proxies.",
		"EnvironmentCreate EnvironmentDelete EnvironmentEdit EnvironmentView MachineCreate MachineDelete MachineEdit MachineView MachinePolicyCreate MachinePolicyDelete MachinePolicyEdit MachinePolicyView " +
			"AccountCreate AccountDelete AccountEdit AccountView CertificateCreate CertificateDelete CertificateEdit CertificateView ProxyCreate ProxyDelete ProxyEdit ProxyView WorkerEdit WorkerView TaskCreate TaskView TaskViewLog TaskCancel EventView TenantView"},
	{"environmentviewer", "Environment viewer", "Environment viewers can view environments and deployment targets, but not edit them.",
		"EnvironmentView MachineView MachinePolicyView AccountView CertificateView EventView TaskView TaskViewLog TenantView WorkerView"},
	{"insightsreportmanager", "Insights report manager", "Insights report managers can view and edit insights reports.",
		"InsightsReportCreate InsightsReportDelete InsightsReportEdit InsightsReportView ProjectView ProjectGroupView EnvironmentView TenantView"},
	{"packagepublisher", "Package publisher", "Package publishers can push packages to the built-in repository.", "BuiltInFeedPush BuildInformationPush FeedView"},
	{"projectcontributor", "Project contributor", "Project contributors can edit and view projects, but not release or deploy them.", contributes},
	{"projectdeployer", "Project deployer", "Project deployers have all the rights of a project contributor, and can deploy releases and run runbooks.", deploys},
	{"projectinitiator", "Project initiator", "Project initiators can create projects.",
		contributes + " ProjectCreate ProjectDelete ProjectGroupCreate ProjectGroupEdit LifecycleCreate LifecycleEdit LibraryVariableSetCreate LibraryVariableSetEdit"},
	{"projectlead", "Project lead", "Project leads have all the rights of a project contributor, and can create releases.", leads},
	{"projectviewer", "Project viewer", "Project viewers have read-only access to projects.", views},
	{"releasecreator", "Release creator", "Release creators can create and view releases, but not deploy them.",
		"ReleaseCreate ReleaseEdit ReleaseView ProjectView ProcessView FeedView LifecycleView LibraryVariableSetView VariableView VariableViewUnscoped EnvironmentView"},
	{"runbookconsumer", "Runbook consumer", "Runbook consumers can view and run runbooks.",
		"RunbookView RunbookRunCreate RunbookRunView ProjectView EnvironmentView TaskView TaskViewLog TenantView InterruptionView InterruptionViewSubmitResponsible ArtifactView ProcessView LibraryVariableSetView VariableView VariableViewUnscoped"},
	{"runbookproducer", "Runbook producer", "Runbook producers can edit and run runbooks.",
		"RunbookView RunbookEdit RunbookSnapshotCreate RunbookRunCreate RunbookRunDelete RunbookRunView ProjectView EnvironmentView TaskView TaskViewLog TaskCancel TenantView InterruptionView " +
			"InterruptionViewSubmitResponsible ArtifactView ArtifactCreate ProcessView LibraryVariableSetView VariableView VariableViewUnscoped TriggerView TriggerCreate TriggerEdit TriggerDelete"},
	{"tenantmanager", "Tenant manager", "Tenant managers can edit tenants and their tags.",
		"TenantCreate TenantDelete TenantEdit TenantView TagSetCreate TagSetDelete TagSetEdit ProjectView EnvironmentView VariableView VariableEdit LibraryVariableSetView EventView"},
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
		{SpaceManager, "Space manager", "Space managers can do everything within their space.", allSpace, []Name{}},
	}
	for _, r := range roles {
		role := Role{ID: "userroles-" + r.id, Name: r.name, Description: r.text, System: []Name{}}
		for _, name := range strings.Fields(r.space) {
			role.Space = append(role.Space, Name(name))
		}
		built = append(built, role)
	}
	return built
}
