// Package infrastructure is the pages of environments, deployment targets, workers and accounts.
package infrastructure

import (
	"strings"

	"github.com/a-h/templ"

	"odcm/kit/web/design"
	"odcm/octopus"
	"odcm/spaceserver/internal/page/catalog"
	"odcm/spaceserver/internal/page/visit"
	"odcm/spaceserver/internal/permission"
)

// Serve adds the pages.
func Serve(d *visit.Desk) {
	d.Show("/app/{space}/infrastructure", func(v *visit.Visit) visit.Page {
		for _, t := range tabs(v, "") {
			v.Leave(t.Href)
			break
		}
		return visit.Page{Title: "Infrastructure", Nav: visit.Infrastructure}
	})
	// The links in documents of targets and workers.
	d.Show("/app/{space}/infrastructure/machines/{id}", func(v *visit.Visit) visit.Page {
		v.Leave(v.To("infrastructure/targets", v.Path("id")))
		return visit.Page{}
	})
	d.Do("/app/{space}/infrastructure/targets/health", nil, func(v *visit.Visit) (string, string) {
		arguments := map[string]any{}
		if id := v.Form("machine"); id != "" {
			arguments["MachineIds"] = []string{id}
		}
		made := v.Post("tasks", map[string]any{"Name": "Health", "Description": "Check the health of deployment targets", "SpaceId": v.Space.ID, "Arguments": arguments})
		return "/tasks/" + made.Text("Id"), ""
	})
	for _, k := range []*catalog.Kind{environments(), targets(), workers(), accounts()} {
		k.Serve(d)
	}
}

func tabs(v *visit.Visit, on string) []design.Tab {
	var list []design.Tab
	for _, t := range []struct {
		label, path string
		needs       permission.Name
	}{{"Environments", base + "environments", "EnvironmentView"}, {"Targets", base + "targets", "MachineView"}, {"Workers", base + "workers", "WorkerView"}, {"Accounts", base + "accounts", "AccountView"}} {
		if v.May(t.needs) {
			list = append(list, design.Tab{Label: t.label, Href: v.To(t.path), On: t.path == on})
		}
	}
	return list
}

func environments() *catalog.Kind {
	return &catalog.Kind{
		One: "environment", Many: "Environments", Icon: "globe", Nav: visit.Infrastructure, Base: base + "environments", Route: "environments", Tabs: tabs,
		Intro: "Where software goes, in the order of the way there.", Empty: "Environments are where software goes: development, test, production.",
		View: "EnvironmentView", Create: "EnvironmentCreate", Edit: "EnvironmentEdit", Delete: "EnvironmentDelete",
		Columns: []catalog.Column{
			{Label: "Description", Text: catalog.Member("Description")},
			{Label: "Guided failure", Text: func(_ *visit.Visit, o octopus.Object) string { return yes(o.Bool("UseGuidedFailure"), "Asks a person") }},
		},
		Fields: []catalog.Field{
			{Path: "Name", Label: "Name", Required: true},
			{Path: "Description", Label: "Description", As: catalog.Area},
			{Path: "UseGuidedFailure", Label: "Guided failure", Help: "Asks a person what to do when a step fails.", As: catalog.Flag},
			{Path: "AllowDynamicInfrastructure", Label: "Scripts may add and remove targets", As: catalog.Flag},
		},
	}
}

// styles are the kinds of targets that this server reaches.
var styles = []catalog.Type{{Value: "Ssh", Label: "SSH target"}, {Value: "None", Label: "Cloud region"}}

const (
	base  = "infrastructure/"
	style = "Endpoint.CommunicationStyle"
)

var endpoint = []catalog.Field{
	{Path: "Endpoint.Host", Label: "Host", Types: []string{"Ssh"}, Required: true, Placeholder: "web-01.example.com"},
	{Path: "Endpoint.Port", Label: "Port", As: catalog.Number, Types: []string{"Ssh"}, Required: true},
	{Path: "Endpoint.Fingerprint", Label: "Fingerprint of the host's key", Types: []string{"Ssh"}, Help: "SHA256:… as ssh-keygen -lf prints it. The connection is refused where the host shows another key."},
	{Path: "Endpoint.AccountId", Label: "Account", As: catalog.Choice, Types: []string{"Ssh"}, Required: true, Options: catalog.From("accounts/all", "Choose an account"), Help: "An SSH key pair, or a username and password."},
	{Path: "IsDisabled", Label: "Disabled: nothing is deployed to it", As: catalog.Flag},
}

func start(more map[string]any) map[string]any {
	more["Endpoint"] = map[string]any{"Port": 22}
	return more
}

func targets() *catalog.Kind {
	return &catalog.Kind{
		One: "target", Many: "Targets", Icon: "server", Nav: visit.Infrastructure, Base: base + "targets", Route: "machines", Tabs: tabs,
		Intro: "Machines that packages are deployed to and scripts run on, found by their roles.", Empty: "Add the machines that you deploy to: anything that SSH reaches. A cloud region needs no machine: its steps run on the server.",
		View: "MachineView", Create: "MachineCreate", Edit: "MachineEdit", Delete: "MachineDelete", Type: style, Types: styles, Start: start(map[string]any{}),
		Columns: []catalog.Column{
			{Label: "Health", Cell: func(_ *visit.Visit, o octopus.Object) templ.Component { return design.Status(visit.Health(o)) }},
			{Label: "Kind", Text: kindOf},
			{Label: "Environments", Text: catalog.Named("EnvironmentIds", "environments/all", "")},
			{Label: "Roles", Text: catalog.Member("Roles")},
		},
		Fields: append([]catalog.Field{
			{Path: "Name", Label: "Name", Required: true},
			{Path: "EnvironmentIds", Label: "Environments", As: catalog.Many, Options: catalog.From("environments/all", "")},
			{Path: "Roles", Label: "Roles", As: catalog.Words, Required: true, Help: "One a line. Steps run on the targets with their roles."},
		}, append(endpoint, tenanted...)...),
		Above: checkAll, Actions: checkOne, More: health,
	}
}

var tenanted = []catalog.Field{
	{Path: "TenantedDeploymentParticipation", Label: "Tenants", As: catalog.Choice, Required: true, Options: catalog.Static("Untenanted", "Not for deployments to tenants", "TenantedOrUntenanted", "With or without tenants", "Tenanted", "For tenants only")},
	{Path: "TenantIds", Label: "For the tenants", As: catalog.Many, Options: catalog.From("tenants/all", "")},
	{Path: "TenantTags", Label: "For tenants with the tags", As: catalog.Words, Help: "One a line, as Tag set/Tag."},
}

func workers() *catalog.Kind {
	return &catalog.Kind{
		One: "worker", Many: "Workers", Icon: "cpu", Nav: visit.Infrastructure, Base: base + "workers", Route: "workers", Tabs: tabs,
		Empty: "Steps run on this server itself. Workers take them elsewhere.",
		View:  "WorkerView", Create: "WorkerEdit", Edit: "WorkerEdit", Delete: "WorkerEdit", Type: style, Types: styles[:1], Start: start(map[string]any{}),
		Columns: []catalog.Column{
			{Label: "Health", Cell: func(_ *visit.Visit, o octopus.Object) templ.Component { return design.Status(visit.Health(o)) }},
			{Label: "Pools", Text: catalog.Named("WorkerPoolIds", "workerpools/all", "")},
		},
		Fields: append([]catalog.Field{
			{Path: "Name", Label: "Name", Required: true},
			{Path: "WorkerPoolIds", Label: "Pools", As: catalog.Many, Options: catalog.From("workerpools/all", "")},
		}, endpoint...),
	}
}

var accountTypes = []catalog.Type{{Value: "SshKeyPair", Label: "SSH key pair"}, {Value: "UsernamePassword", Label: "Username and password"}, {Value: "Token", Label: "Token"},
	{Value: "AmazonWebServicesAccount", Label: "AWS access key"}, {Value: "AzureServicePrincipal", Label: "Azure service principal"}, {Value: "GoogleCloudAccount", Label: "Google Cloud"}}

func accounts() *catalog.Kind {
	return &catalog.Kind{
		One: "account", Many: "Accounts", Icon: "key", Nav: visit.Infrastructure, Base: base + "accounts", Route: "accounts", Tabs: tabs,
		Intro: "How this server signs in at targets and clouds.", Empty: "An account holds the key or the password for targets or a cloud. It is sealed and never shown.",
		View: "AccountView", Create: "AccountCreate", Edit: "AccountEdit", Delete: "AccountDelete", Type: "AccountType", Types: accountTypes, Start: map[string]any{},
		Columns: []catalog.Column{
			{Label: "Type", Text: func(_ *visit.Visit, o octopus.Object) string { return accountType(o.Text("AccountType")) }},
			{Label: "Environments", Text: catalog.Named("EnvironmentIds", "environments/all", "All")},
		},
		Fields: []catalog.Field{
			{Path: "Name", Label: "Name", Required: true},
			{Path: "Description", Label: "Description", As: catalog.Area},
			{Path: "Username", Label: "Username", Types: []string{"SshKeyPair", "UsernamePassword"}, Required: true},
			{Path: "Password", Label: "Password", As: catalog.Secret, Types: []string{"UsernamePassword"}},
			{Path: "PrivateKeyFile", Label: "Private key", As: catalog.Code, Types: []string{"SshKeyPair"}, Required: true, Help: "The text of the key file, in OpenSSH's or PEM format. Leave it empty to keep the one there is.", Get: func(octopus.Object) string { return "" }, Put: putKey},
			{Path: "PrivateKeyPassphrase", Label: "Passphrase of the key", As: catalog.Secret, Types: []string{"SshKeyPair"}},
			{Path: "Token", Label: "Token", As: catalog.Secret, Types: []string{"Token"}},
			{Path: "AccessKey", Label: "Access key", Types: []string{"AmazonWebServicesAccount"}, Required: true},
			{Path: "SecretKey", Label: "Secret key", As: catalog.Secret, Types: []string{"AmazonWebServicesAccount"}},
			{Path: "SubscriptionNumber", Label: "Subscription", Types: []string{"AzureServicePrincipal"}, Required: true},
			{Path: "TenantId", Label: "Directory (tenant)", Types: []string{"AzureServicePrincipal"}, Required: true},
			{Path: "ClientId", Label: "Application (client)", Types: []string{"AzureServicePrincipal"}, Required: true},
			{Path: "Password", Label: "Client secret", As: catalog.Secret, Types: []string{"AzureServicePrincipal"}},
			{Path: "JsonKey", Label: "Key file (JSON)", As: catalog.Secret, Types: []string{"GoogleCloudAccount"}},
			{Path: "EnvironmentIds", Label: "Environments", As: catalog.Many, Options: catalog.From("environments/all", ""), Help: "Where it may be used; everywhere if none is chosen."},
		},
	}
}

func putKey(v *visit.Visit, o *octopus.Object, text string) {
	if strings.TrimSpace(text) != "" {
		o.Set("PrivateKeyFile", map[string]any{"HasValue": true, "NewValue": text})
	}
}

func accountType(value string) string {
	for _, t := range accountTypes {
		if t.Value == value {
			return t.Label
		}
	}
	return value
}

func kindOf(_ *visit.Visit, o octopus.Object) string {
	switch kind := o.Object("Endpoint").Text("CommunicationStyle"); kind {
	case "Ssh":
		return "SSH"
	case "None":
		return "Cloud region"
	case "TentaclePassive", "TentacleActive":
		return "Tentacle"
	default:
		return kind
	}
}

func yes(on bool, text string) string {
	if on {
		return text
	}
	return ""
}
