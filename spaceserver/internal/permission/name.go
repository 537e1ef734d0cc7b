package permission

import "strings"

// Name is a permission: "ProjectView".
type Name string

// Permissions that code names; the rest are only in [All].
const (
	None             Name = ""
	AdministerSystem Name = "AdministerSystem"
	ConfigureServer  Name = "ConfigureServer"
)

// Description says where a permission applies.
type Description struct {
	Name         Name
	Text         string
	Restrictions []string // what a grant can be restricted to
	Space        bool     // grants in a space
	System       bool     // grants on the whole server
}

const (
	project     = "Projects,ProjectGroups"
	environment = "Environments"
	tenant      = "Tenants"
	deployment  = project + "," + environment + "," + tenant
)

// table lists what can be granted: the name, where (s space, y system), what it can be restricted to, what it allows.
var table = []struct{ name, where, restrictions, text string }{
	{"AdministerSystem", "y", "", "Do anything on this server, in every space"},
	{"ConfigureServer", "y", "", "Configure server settings such as authentication, nodes and SMTP"},
	{"AccountCreate", "s", environment + "," + tenant, "Create accounts"},
	{"AccountDelete", "s", environment + "," + tenant, "Delete accounts"},
	{"AccountEdit", "s", environment + "," + tenant, "Edit accounts"},
	{"AccountView", "s", environment + "," + tenant, "View accounts"},
	{"ActionTemplateCreate", "s", "", "Create step templates"},
	{"ActionTemplateDelete", "s", "", "Delete step templates"},
	{"ActionTemplateEdit", "s", "", "Edit step templates"},
	{"ActionTemplateView", "s", "", "View step templates"},
	{"ArtifactCreate", "s", deployment, "Create artifacts"},
	{"ArtifactDelete", "s", deployment, "Delete artifacts"},
	{"ArtifactEdit", "s", deployment, "Edit the details of artifacts"},
	{"ArtifactView", "s", deployment, "View artifacts"},
	{"BuildInformationAdminister", "s", "", "Replace or delete build information"},
	{"BuildInformationPush", "s", "", "Create build information"},
	{"BuiltInFeedAdminister", "s", "", "Replace or delete packages in the built-in repository"},
	{"BuiltInFeedDownload", "s", "", "Download packages from the built-in repository"},
	{"BuiltInFeedPush", "s", "", "Push packages to the built-in repository"},
	{"CertificateCreate", "s", environment + "," + tenant, "Create certificates"},
	{"CertificateDelete", "s", environment + "," + tenant, "Delete certificates"},
	{"CertificateEdit", "s", environment + "," + tenant, "Edit certificates"},
	{"CertificateExportPrivateKey", "s", environment + "," + tenant, "Export certificates with their private keys"},
	{"CertificateView", "s", environment + "," + tenant, "View certificates"},
	{"DefectReport", "s", project, "Block a release from going further"},
	{"DefectResolve", "s", project, "Unblock a release"},
	{"DeploymentCreate", "s", deployment, "Deploy releases"},
	{"DeploymentDelete", "s", deployment, "Delete deployments"},
	{"DeploymentView", "s", deployment, "View deployments"},
	{"DeploymentFreezeAdminister", "y", "", "Create, edit and delete deployment freezes"},
	{"EnvironmentCreate", "s", "", "Create environments"},
	{"EnvironmentDelete", "s", environment, "Delete environments"},
	{"EnvironmentEdit", "s", environment, "Edit environments"},
	{"EnvironmentView", "s", environment, "View environments"},
	{"EventRetentionDelete", "y", "", "Delete archived events"},
	{"EventRetentionView", "y", "", "View archived events"},
	{"EventView", "sy", deployment, "View the audit trail"},
	{"FeedEdit", "s", "", "Edit feeds"},
	{"FeedView", "s", "", "View feeds"},
	{"GitCredentialEdit", "s", "", "Edit Git credentials"},
	{"GitCredentialView", "s", "", "View Git credentials"},
	{"InsightsReportCreate", "s", "", "Create insights reports"},
	{"InsightsReportDelete", "s", "", "Delete insights reports"},
	{"InsightsReportEdit", "s", "", "Edit insights reports"},
	{"InsightsReportView", "s", "", "View insights reports"},
	{"InterruptionSubmit", "s", deployment, "Answer interruptions of any team"},
	{"InterruptionView", "sy", deployment, "View interruptions"},
	{"InterruptionViewSubmitResponsible", "s", deployment, "Answer interruptions of one's own teams"},
	{"LibraryVariableSetCreate", "s", "", "Create library variable sets"},
	{"LibraryVariableSetDelete", "s", "", "Delete library variable sets"},
	{"LibraryVariableSetEdit", "s", "", "Edit library variable sets"},
	{"LibraryVariableSetView", "s", "", "View library variable sets"},
	{"LifecycleCreate", "s", "", "Create lifecycles"},
	{"LifecycleDelete", "s", "", "Delete lifecycles"},
	{"LifecycleEdit", "s", "", "Edit lifecycles"},
	{"LifecycleView", "s", "", "View lifecycles"},
	{"MachineCreate", "s", environment + "," + tenant, "Create deployment targets"},
	{"MachineDelete", "s", environment + "," + tenant, "Delete deployment targets"},
	{"MachineEdit", "s", environment + "," + tenant, "Edit deployment targets"},
	{"MachineView", "s", environment + "," + tenant, "View deployment targets"},
	{"MachinePolicyCreate", "s", "", "Create machine policies"},
	{"MachinePolicyDelete", "s", "", "Delete machine policies"},
	{"MachinePolicyEdit", "s", "", "Edit machine policies"},
	{"MachinePolicyView", "s", "", "View machine policies"},
	{"ProcessEdit", "s", project, "Edit deployment processes and channels"},
	{"ProcessView", "s", project, "View deployment processes and channels"},
	{"ProjectCreate", "s", "ProjectGroups", "Create projects"},
	{"ProjectDelete", "s", project, "Delete projects"},
	{"ProjectEdit", "s", project, "Edit projects"},
	{"ProjectView", "s", project, "View projects"},
	{"ProjectGroupCreate", "s", "", "Create project groups"},
	{"ProjectGroupDelete", "s", "ProjectGroups", "Delete project groups"},
	{"ProjectGroupEdit", "s", "ProjectGroups", "Edit project groups"},
	{"ProjectGroupView", "s", "ProjectGroups", "View project groups"},
	{"ProxyCreate", "s", "", "Create proxies"},
	{"ProxyDelete", "s", "", "Delete proxies"},
	{"ProxyEdit", "s", "", "Edit proxies"},
	{"ProxyView", "s", "", "View proxies"},
	{"ReleaseCreate", "s", project, "Create releases"},
	{"ReleaseDelete", "s", project, "Delete releases"},
	{"ReleaseEdit", "s", project, "Edit releases"},
	{"ReleaseView", "s", project, "View releases"},
	{"RunbookEdit", "s", deployment, "Edit runbooks"},
	{"RunbookView", "s", deployment, "View runbooks"},
	{"RunbookRunCreate", "s", deployment, "Run runbooks"},
	{"RunbookRunDelete", "s", deployment, "Delete runbook runs"},
	{"RunbookRunView", "s", deployment, "View runbook runs"},
	{"RunbookSnapshotCreate", "s", project, "Create runbook snapshots"},
	{"SpaceCreate", "y", "", "Create spaces"},
	{"SpaceDelete", "y", "", "Delete spaces"},
	{"SpaceEdit", "y", "", "Edit spaces"},
	{"SpaceView", "y", "", "View every space"},
	{"SubscriptionCreate", "s", "", "Create subscriptions"},
	{"SubscriptionDelete", "s", "", "Delete subscriptions"},
	{"SubscriptionEdit", "s", "", "Edit subscriptions"},
	{"SubscriptionView", "s", "", "View subscriptions"},
	{"TagSetCreate", "s", "", "Create tag sets"},
	{"TagSetDelete", "s", "", "Delete tag sets"},
	{"TagSetEdit", "s", "", "Edit tag sets"},
	{"TaskCancel", "sy", deployment, "Cancel tasks"},
	{"TaskCreate", "sy", deployment, "Create tasks"},
	{"TaskEdit", "sy", deployment, "Edit tasks"},
	{"TaskView", "sy", deployment, "View tasks"},
	{"TaskViewLog", "sy", deployment, "View the logs of tasks"},
	{"TeamCreate", "sy", "", "Create teams"},
	{"TeamDelete", "sy", "", "Delete teams"},
	{"TeamEdit", "sy", "", "Edit teams"},
	{"TeamView", "sy", "", "View teams"},
	{"TelemetryView", "y", "", "View telemetry"},
	{"TenantCreate", "s", tenant, "Create tenants"},
	{"TenantDelete", "s", tenant, "Delete tenants"},
	{"TenantEdit", "s", project + "," + tenant, "Edit tenants"},
	{"TenantView", "s", project + "," + tenant, "View tenants"},
	{"TriggerCreate", "s", project, "Create triggers"},
	{"TriggerDelete", "s", project, "Delete triggers"},
	{"TriggerEdit", "s", project, "Edit triggers"},
	{"TriggerView", "s", project, "View triggers"},
	{"UserEdit", "y", "", "Edit users"},
	{"UserInvite", "y", "", "Invite users"},
	{"UserView", "y", "", "View users"},
	{"UserRoleEdit", "y", "", "Edit user roles"},
	{"UserRoleView", "y", "", "View user roles"},
	{"VariableEdit", "s", deployment, "Edit variables"},
	{"VariableEditUnscoped", "s", project, "Edit variables that no scope restricts"},
	{"VariableView", "s", deployment, "View variables"},
	{"VariableViewUnscoped", "s", project, "View variables that no scope restricts"},
	{"WorkerEdit", "s", "", "Edit workers and worker pools"},
	{"WorkerView", "s", "", "View workers and worker pools"},
}

// All lists every permission, in the order of the table.
func All() []Description {
	all := make([]Description, len(table))
	for i, row := range table {
		all[i] = Description{Name: Name(row.name), Text: row.text, Space: strings.Contains(row.where, "s"), System: strings.Contains(row.where, "y"), Restrictions: []string{}}
		if row.restrictions != "" {
			all[i].Restrictions = strings.Split(row.restrictions, ",")
		}
	}
	return all
}
