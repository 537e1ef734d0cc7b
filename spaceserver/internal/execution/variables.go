package execution

import (
	"context"
	"encoding/json"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/execution/plan"
	"odcm/spaceserver/internal/execution/run"
	"odcm/spaceserver/internal/prompt"
	"odcm/spaceserver/internal/script"
	"odcm/spaceserver/internal/variable"
)

// sets are the variables of an execution, read once.
type sets struct {
	variable.Sets

	system  []value // of the whole execution
	modules map[script.Syntax]map[string]string
	bypass  bool // OctopusBypassDeploymentMutex
}

// value is a variable of the server's own.
type value struct {
	name, text string
	sensitive  bool
}

// readVariables reads the frozen sets of the project and of the library, the tenant's values, what people answered to
// prompts, and what the server itself has to say.
func (x *execution) readVariables(ctx context.Context) (s sets, err error) {
	if s.Project, err = x.readSet(ctx, x.source.Text(x.kind.variables)); err != nil {
		return s, err
	}
	for _, id := range x.source.Texts("LibraryVariableSetSnapshotIds") {
		set, err := x.readSet(ctx, id)
		if err != nil {
			return s, err
		}
		if set = s.takeModules(set); len(set) > 0 {
			s.Library = append(s.Library, set)
		}
	}
	answers, secret, err := prompt.Values(ctx, x.service, x.kind.name, x.document.Text("Id"), x.space)
	if err != nil {
		return s, err
	}
	for id := range secret {
		x.task.Recorder.Mask(answers[id])
	}
	s.Sets = s.Answer(answers)
	if x.tenant.Len() > 0 {
		if err := x.tenantVariables(ctx, &s); err != nil {
			return s, err
		}
	}
	for _, list := range append([][]variable.Variable{s.Tenant, s.Project}, s.Library...) {
		for _, v := range list {
			s.bypass = s.bypass || strings.EqualFold(v.Name, "OctopusBypassDeploymentMutex") && strings.EqualFold(v.Value, "true")
			if err := x.expandAccount(ctx, &s, v); err != nil {
				return s, err
			}
		}
	}
	s.system, err = x.system(ctx, s.system)
	return s, err
}

// readSet reads a frozen set with its secrets.
func (x *execution) readSet(ctx context.Context, id string) ([]variable.Variable, error) {
	o, err := x.need(ctx, "VariableSets", id, "the snapshot of its variables")
	if err != nil {
		return nil, err
	}
	secrets, err := x.service.Secrets(ctx, "VariableSets", id, x.space)
	if err != nil {
		return nil, err
	}
	return variable.Read(o, secrets), nil
}

// takeModules takes script modules out of a set: they are text for scripts, not variables of theirs (docs: deployments/
// custom-scripts/script-modules; ScriptVariables.cs in OctopusDeploy/Calamari).
func (s *sets) takeModules(set []variable.Variable) (rest []variable.Variable) {
	const module, language = "Octopus.Script.Module[", "Octopus.Script.Module.Language["
	languages := map[string]script.Syntax{}
	for _, v := range set {
		if name, ok := strings.CutPrefix(v.Name, language); ok {
			languages[strings.TrimSuffix(name, "]")] = script.Syntax(v.Value)
		}
	}
	for _, v := range set {
		name, ok := strings.CutPrefix(v.Name, module)
		if !ok {
			if !strings.HasPrefix(v.Name, language) {
				rest = append(rest, v)
			}
			continue
		}
		name = strings.TrimSuffix(name, "]")
		syntax := languages[name]
		if syntax == "" {
			syntax = script.PowerShell
		}
		if s.modules == nil {
			s.modules = map[script.Syntax]map[string]string{}
		}
		if s.modules[syntax] == nil {
			s.modules[syntax] = map[string]string{}
		}
		s.modules[syntax][name] = v.Value
	}
	return rest
}

// template is a variable template of a project or a library set: ActionTemplateParameter in the Swagger document.
type template struct {
	ID           string `json:"Id"`
	Name         string
	DefaultValue plan.Property
}

// tenantVariables adds the tenant's values for the templates of the project and of the library sets that it includes, or
// the templates' defaults (docs: tenants/tenant-variables).
func (x *execution) tenantVariables(ctx context.Context, s *sets) error {
	id := "tenantvariables-" + x.tenant.Text("Id")
	kept, _, err := x.get(ctx, "TenantVariables", id)
	if err != nil {
		return err
	}
	secrets, err := x.service.Secrets(ctx, "TenantVariables", id, x.space)
	if err != nil {
		return err
	}
	add := func(kind string, owner octopus.Object, list, member string) error {
		templates := octopus.As[[]template](owner, "Templates")
		if len(templates) == 0 {
			return nil
		}
		defaults, err := x.service.Secrets(ctx, kind, owner.Text("Id"), x.space)
		if err != nil {
			return err
		}
		for _, t := range templates {
			if raw, entry, ok := x.tenantValue(kept.Objects(list), member, owner.Text("Id"), t.ID); ok {
				var p plan.Property
				if err := json.Unmarshal(raw, &p); err != nil {
					return err
				}
				if plain, ok := secrets["/"+list+"/"+entry+"/Value"]; ok {
					p = plan.Property{Text: plain, Secret: true}
				}
				s.Tenant = append(s.Tenant, variable.Variable{ID: entry, Name: t.Name, Value: p.Text, Sensitive: p.Secret, Origin: id})
				continue
			}
			if plain, ok := defaults["/Templates/"+t.ID+"/DefaultValue"]; ok {
				t.DefaultValue = plan.Property{Text: plain, Secret: true}
			}
			s.Project = append(s.Project, variable.Variable{ID: t.ID, Name: t.Name, Value: t.DefaultValue.Text, Sensitive: t.DefaultValue.Secret, Origin: owner.Text("Id")})
		}
		return nil
	}
	if err := add("Projects", x.project, "Project", "ProjectId"); err != nil {
		return err
	}
	for _, set := range x.project.Texts("IncludedLibraryVariableSetIds") {
		owner, ok, err := x.get(ctx, "LibraryVariableSets", set)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := add("LibraryVariableSets", owner, "Common", "LibraryVariableSetId"); err != nil {
			return err
		}
	}
	return nil
}

// tenantValue finds what a tenant has set for a template: for this environment before for all.
func (x *execution) tenantValue(values []octopus.Object, member, owner, template string) (raw json.RawMessage, id string, found bool) {
	for _, v := range values {
		if v.Text(member) != owner || v.Text("TemplateId") != template {
			continue
		}
		in, here := v.Object("Scope").Texts("EnvironmentIds"), false
		for _, environment := range in {
			here = here || environment == x.environment.Text("Id")
		}
		if !here && (len(in) > 0 || found) {
			continue
		}
		value, _ := v.Get("Value")
		if len(value) == 0 || string(value) == "null" {
			continue
		}
		raw, id, found = value, v.Text("Id"), true
		if here {
			break
		}
	}
	return raw, id, found
}

// accountMembers are what a variable that names an account offers besides the account's id, as members of accounts and the
// names that they have in variables (docs: projects/variables/username-password-account-variables and its neighbours).
var accountMembers = []struct {
	member, name string
	secret       bool
}{
	{"Username", "Username", false}, {"Password", "Password", true}, {"Token", "Token", true},
	{"AccessKey", "AccessKey", false}, {"SecretKey", "SecretKey", true}, {"JsonKey", "JsonKey", true},
	{"SubscriptionNumber", "SubscriptionNumber", false}, {"ClientId", "Client", false}, {"TenantId", "TenantId", false},
	{"PrivateKeyFile", "PrivateKeyFile", true}, {"PrivateKeyPassphrase", "PrivateKeyPassphrase", true},
}

// expandAccount adds what a variable of the type of an account or a certificate stands for.
func (x *execution) expandAccount(ctx context.Context, s *sets, v variable.Variable) error {
	switch {
	case v.Type == "Certificate":
		return x.expandCertificate(ctx, s, v)
	case !strings.HasSuffix(v.Type, "Account"):
		return nil
	}
	account, ok, err := x.get(ctx, "Accounts", v.Value)
	if err != nil || !ok {
		return err
	}
	secrets, err := x.service.Secrets(ctx, "Accounts", v.Value, x.space)
	if err != nil {
		return err
	}
	for _, m := range accountMembers {
		text := account.Text(m.member)
		if m.secret {
			text = secrets["/"+m.member]
		}
		if text != "" {
			s.add(v, m.name, text, m.secret)
		}
	}
	return nil
}

// expandCertificate adds what a certificate variable offers (docs: projects/variables/certificate-variables).
func (x *execution) expandCertificate(ctx context.Context, s *sets, v variable.Variable) error {
	certificate, ok, err := x.get(ctx, "Certificates", v.Value)
	if err != nil || !ok {
		return err
	}
	secrets, err := x.service.Secrets(ctx, "Certificates", v.Value, x.space)
	if err != nil {
		return err
	}
	for _, m := range []struct{ member, name string }{{"Name", "Name"}, {"Thumbprint", "Thumbprint"}, {"SubjectDistinguishedName", "Subject"}, {"SubjectCommonName", "SubjectCommonName"},
		{"SubjectOrganization", "SubjectOrganization"}, {"IssuerDistinguishedName", "Issuer"}, {"IssuerCommonName", "IssuerCommonName"}, {"IssuerOrganization", "IssuerOrganization"},
		{"NotBefore", "NotBefore"}, {"NotAfter", "NotAfter"}} {
		s.add(v, m.name, certificate.Text(m.member), false)
	}
	s.add(v, "RawOriginal", secrets["/CertificateData"], true)
	s.add(v, "Password", secrets["/Password"], true)
	return nil
}

// add gives a variable a member, with the scope of the variable's own value.
func (s *sets) add(v variable.Variable, name, text string, sensitive bool) {
	member := variable.Variable{ID: v.ID + "." + name, Name: v.Name + "." + name, Value: text, Sensitive: sensitive, Scope: v.Scope, Origin: v.Origin}
	s.Project = append(s.Project, member)
}

// place is where variables are wanted; the zero place is the whole execution.
type place struct {
	work    *plan.Work
	job     *plan.Job
	machine *plan.Machine
}

// Variables implements [run.Work].
func (x *execution) Variables(p *run.Piece) (*variable.Collection, error) {
	c, err := x.resolve(place{p.Work, p.Job, p.Machine})
	if err == nil {
		x.task.Recorder.Mask(c.Secrets()...)
	}
	return c, err
}

// resolve chooses the values for a place, and adds the server's own.
func (x *execution) resolve(at place) (*variable.Collection, error) {
	wanted := variable.Place{Environment: x.environment.Text("Id"), Tenant: x.tenant.Text("Id"), Channel: x.channel.Text("Id"), ProcessOwner: x.project.Text("Id"), Project: x.project.Text("Id"),
		TenantTags: x.tenant.Texts("TenantTags")}
	if x.runbook.Len() > 0 {
		wanted.ProcessOwner = x.runbook.Text("Id")
	}
	if at.job != nil {
		wanted.Action = at.job.Action.ID
	}
	if at.work != nil {
		wanted.StepRoles = at.work.Roles
	}
	if at.machine != nil {
		wanted.Machine, wanted.Roles = at.machine.ID, at.machine.Roles
	}
	c := variable.Resolve(x.sets.Sets, wanted)
	for _, v := range x.sets.system {
		c.Set(v.name, v.text, v.sensitive)
	}
	x.ofPlan(c)
	if at.work != nil {
		x.ofWork(c, at)
	}
	return c, nil
}
