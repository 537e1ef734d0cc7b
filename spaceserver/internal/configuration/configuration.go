// Package configuration is the sections of settings below /api/configuration: which there are, what they hold, and reading
// them. Sign-in, sessions and API keys follow theirs.
//
// Members, their defaults and their spelling are those of OctopusClients (AuthenticationConfigResource.cs and the resources
// of its providers).
package configuration

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/shape"
)

// Ids of the sections that the server itself follows.
const (
	Authentication   = "authentication"
	UsernamePassword = "authentication-usernamepassword"
	Guest            = "authentication-guest"
)

// Section is one section. Template says what it holds, as package shape reads templates.
type Section struct {
	ID, Name, Description string
	Template              string
}

// Sections lists all, in the order in which they are shown.
func Sections() []Section {
	const provider = `"IsEnabled":false,"Issuer":null,"ClientId":null,"ClientSecret":null,"AllowAutoUserCreation":true`
	return []Section{
		{Authentication, "Authentication", "Sessions, API keys and where people may go after they signed in",
			`{"AutoLoginEnabled":false,"IsSelfServiceIdentityEditingEnabled":false,"TrustedRedirectUrls":[""],"CookieDomain":null,"SessionTimeoutInSeconds":1200,"MaximumSessionDurationInSeconds":1728000,
			"RememberMeEnabled":true,"UserApiKeysEnabled":true,"ApiKeyDefaultExpiryDays":180,"ApiKeyMaxExpiryDays":null,"OidcConfigurationSettings":{"OidcIssuerUrl":null}}`},
		{UsernamePassword, "Username / Password", "Sign-in with a password that this server keeps", `{"IsEnabled":true}`},
		{Guest, "Guest Login", "Sign-in as the user guest, without a password", `{"IsEnabled":false}`},
		{"authentication-od", "Okta", "Sign-in through an OpenID provider, in the slot of Okta", `{` + provider + `,"RoleClaimType":"groups","UsernameClaimType":"preferred_username"}`},
		{"authentication-aad", "Azure AD", "Sign-in through Microsoft Entra ID", `{` + provider + `,"RoleClaimType":"roles"}`},
		{"authentication-googleapps", "Google Apps", "Sign-in through Google Workspace", `{` + provider + `,"HostedDomain":null}`},
		{"authentication-generic-oidc", "Generic OIDC", "Sign-in through any OpenID provider",
			`{` + provider + `,"RoleClaimType":"groups","UsernameClaimType":"preferred_username","Scopes":["openid","profile","email"],"Resource":null,"DisplayName":null}`},
		{"server-folders", "Server folders", "Where this server keeps files", `{"LogsDirectory":null,"ArtifactsDirectory":null,"PackagesDirectory":null}`},
	}
}

// Find returns the section of the id, in any case.
func Find(id string) (Section, bool) {
	all := Sections()
	i := slices.IndexFunc(all, func(s Section) bool { return strings.EqualFold(s.ID, id) })
	if i < 0 {
		return Section{}, false
	}
	return all[i], true
}

// Setting is the name of the setting that keeps a section.
func Setting(id string) string { return "section/" + id }

// Read returns the values of a section as they were set, without secrets, or its defaults.
func Read(ctx context.Context, store *document.Store, id string) (octopus.Object, error) {
	section, ok := Find(id)
	if !ok {
		return octopus.Object{}, problem.NotFound("Configuration", id)
	}
	kept, err := store.Setting(ctx, store.DB.Read(), Setting(section.ID))
	if err != nil {
		return octopus.Object{}, err
	}
	o := octopus.Object{}
	if kept != "" {
		if o, err = octopus.ParseObject([]byte(kept)); err != nil {
			return o, err
		}
	}
	return section.fit(o)
}

func (s Section) fit(o octopus.Object) (octopus.Object, error) {
	template, err := shape.Parse([]byte(s.Template))
	if err != nil {
		return o, err
	}
	for _, name := range []string{"Id", "Links"} {
		o.Delete(name)
	}
	var wrong []string
	if o = template.FitMembers(o, "", &wrong); len(wrong) > 0 {
		return o, problem.Invalid(wrong...)
	}
	return o, nil
}

// Accept checks what a client sent against what is kept: what was left out stays as it is.
func (s Section) Accept(kept, sent octopus.Object) (octopus.Object, error) {
	for name, value := range kept.All() {
		if _, there := sent.Get(name); !there { // null was sent: it takes a value away
			sent.Set(name, value)
		}
	}
	o, err := s.fit(sent)
	if err != nil {
		return o, err
	}
	// Clients of before sensitive values were objects send the secret as text.
	if secret := o.Text("ClientSecret"); secret != "" {
		o.Set("ClientSecret", map[string]any{"HasValue": true, "NewValue": secret})
	}
	return o, s.check(o)
}

func (s Section) check(o octopus.Object) error {
	var wrong []string
	if strings.Contains(s.Template, `"Issuer"`) && o.Bool("IsEnabled") {
		if u, err := url.Parse(o.Text("Issuer")); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.Fragment != "" {
			wrong = append(wrong, "Issuer must be the provider's absolute address, as https://login.example.com.")
		}
		if o.Text("ClientId") == "" {
			wrong = append(wrong, "ClientId must be the id under which this server is registered with the provider.")
		}
	}
	if s.ID != Authentication {
		return invalid(wrong)
	}
	for name, most := range map[string]int64{"SessionTimeoutInSeconds": 31_536_000, "MaximumSessionDurationInSeconds": 31_536_000} {
		if n := o.Int(name); n < 60 || n > most {
			wrong = append(wrong, name+" must be between 60 seconds and a year.")
		}
	}
	for _, name := range []string{"ApiKeyDefaultExpiryDays", "ApiKeyMaxExpiryDays"} {
		raw, _ := o.Get(name)
		if n := octopus.As[*int64](o, name); string(raw) != "null" && (n == nil || *n < 1 || *n > 36_500) {
			wrong = append(wrong, name+" must be a number of days, or null for no limit.")
		}
	}
	for _, trusted := range o.Texts("TrustedRedirectUrls") {
		if u, err := url.Parse(trusted); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			wrong = append(wrong, "TrustedRedirectUrls: '"+trusted+"' is no absolute address of a web site.")
		}
	}
	slices.Sort(wrong)
	return invalid(wrong)
}

func invalid(wrong []string) error {
	if len(wrong) == 0 {
		return nil
	}
	return problem.Invalid(wrong...)
}

// Metadata describes the members of a section (Metadata.cs in OctopusClients), for clients that draw a form from it.
func (s Section) Metadata() map[string]any {
	o, err := octopus.ParseObject([]byte(s.Template))
	properties := []map[string]any{}
	for name, value := range o.All() {
		if err != nil {
			break
		}
		properties = append(properties, map[string]any{"Name": name, "Type": typeOf(name, value),
			"DisplayInfo": map[string]any{"Label": name, "Description": "", "Required": false, "ReadOnly": false}})
	}
	return map[string]any{"Description": s.Description, "Types": []map[string]any{{"Name": s.Name, "Properties": properties}}}
}

func typeOf(name string, value json.RawMessage) string {
	switch {
	case strings.HasSuffix(name, "Secret"):
		return "SensitiveValue"
	case value[0] == '[':
		return "string[]"
	case value[0] == 't' || value[0] == 'f':
		return "bool"
	case value[0] >= '0' && value[0] <= '9' || strings.HasSuffix(name, "Days"):
		return "int"
	case value[0] == '{':
		return "object"
	}
	return "string"
}
