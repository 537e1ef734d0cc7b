// Package server is the server itself: its spaces, its root document, status, nodes, maintenance mode, licence and
// configuration, and the audit trail with its subscriptions.
package server

import (
	"runtime"
	"slices"
	"time"

	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/configuration"
	"odcm/spaceserver/internal/kinds/host"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

// rules are what the routes of the server ask of it.
type rules struct{ *host.Host }

// Actions are the routes of the server itself: status, nodes, maintenance, licence, configuration, audit trail.
func Actions(h *host.Host) []collection.Action {
	s := &rules{h}
	system := func(method, path string, permission permission.Name, handle func(c *collection.Call) (any, error)) collection.Action {
		return collection.Action{Method: method, Path: path, Scope: collection.InSystem, Permission: permission, Handle: handle}
	}
	open := func(path string, handle func(c *collection.Call) (any, error)) collection.Action {
		return collection.Action{Method: "GET", Path: path, Scope: collection.InSystem, Anonymous: true, Handle: handle}
	}
	value := func(v any) func(*collection.Call) (any, error) {
		return func(*collection.Call) (any, error) { return v, nil }
	}
	actions := []collection.Action{
		open("root", s.root),
		{Method: "GET", Path: "spacehome", Scope: collection.InSpace, Handle: s.spaceHome},
		open("authentication", s.authentication),
		{Method: "POST", Path: "authentication/checklogininitiated", Scope: collection.InSystem, Anonymous: true, Handle: value(map[string]any{"WasLoginInitiated": false, "ProviderName": ""})},
		system("GET", "externalsecuritygroupproviders", "", func(c *collection.Call) (any, error) { return s.SignIn.GroupProviders(c.Context) }),
		system("GET", "externalgroups/{provider}", "TeamView", unsearchable),
		system("GET", "externalusers/{provider}", "UserView", unsearchable),
		system("GET", "permissions/all", "", allPermissions),
		system("GET", "capabilities", "", value(map[string]any{"Capabilities": []string{}})),
		system("GET", "serverstatus", "", s.status),
		system("GET", "serverstatus/system-info", permission.AdministerSystem, s.systemInfo),
		system("GET", "serverstatus/logs", permission.AdministerSystem, func(*collection.Call) (any, error) { return s.Recent.Messages(), nil }),
		system("GET", "serverstatus/extensions", "", value([]any{})),
		system("GET", "serverstatus/timezones", "", value([]map[string]any{{"Id": "UTC", "Name": "(UTC) Coordinated Universal Time", "IsLocal": true, "Links": map[string]string{}}})),
		system("GET", "configuration/feature-toggles", "", value(map[string]any{"FeatureToggles": []any{}})),
		system("GET", "configuration/enabled-feature-toggles", "", value([]any{})),
	}
	return slices.Concat(actions, s.licence(), s.nodes(), s.configuration(), events())
}

// authentication tells whoever is not signed in how to do so (AuthenticationResource).
func (s *rules) authentication(c *collection.Call) (any, error) {
	elements, err := s.SignIn.Elements(c.Context)
	if err != nil {
		return nil, err
	}
	o, err := configuration.Read(c.Context, c.Service.Store, configuration.Authentication)
	forms := slices.ContainsFunc(elements, func(e map[string]any) bool { return e["FormsLoginEnabled"] == true })
	return map[string]any{"AuthenticationProviders": elements, "AutoLoginEnabled": o.Bool("AutoLoginEnabled"), "AnyAuthenticationProvidersSupportPasswordManagement": forms,
		"Links": map[string]string{"Self": "/api/authentication"}}, err
}

// unsearchable answers a search for groups or people with a provider that offers none: those of OpenID do not. Octopus has
// the routes for LDAP and Active Directory.
func unsearchable(c *collection.Call) (any, error) {
	return nil, problem.NotFound("ExternalSecurityGroupProvider", c.Param("provider"))
}

func allPermissions(*collection.Call) (any, error) {
	o := part.Object(nil)
	for _, d := range permission.All() {
		o.Set(string(d.Name), map[string]any{"Description": d.Text, "SupportedRestrictions": d.Restrictions, "CanApplyAtSpaceLevel": d.Space, "CanApplyAtSystemLevel": d.System})
	}
	return o, nil
}

func (s *rules) status(c *collection.Call) (any, error) {
	return map[string]any{"Id": "serverstatus", "IsInMaintenanceMode": c.Service.ReadOnly(), "MaintenanceExpires": nil, "IsUpgradeAvailable": false, "IsDatabaseEncrypted": false, "IsMajorMinorUpgrade": false,
		"MaximumAvailableVersion": s.Version, "MaximumAvailableVersionCoveredByLicense": s.Version,
		"Links": map[string]string{"Self": "/api/serverstatus", "SystemInfo": "/api/serverstatus/system-info", "RecentLogs": "/api/serverstatus/logs", "Health": "/api/serverstatus/health"}}, nil
}

func (s *rules) systemInfo(c *collection.Call) (any, error) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	up := c.Service.Now().Sub(s.Started).Round(time.Second)
	return map[string]any{"Version": s.Version, "OSVersion": runtime.GOOS + "/" + runtime.GOARCH, "ClrVersion": "none: ODCM's Space server, " + runtime.Version(), "ThreadCount": runtime.NumGoroutine(),
		"WorkingSetBytes": m.Sys - m.HeapReleased, "Uptime": up.String(), "Links": map[string]string{"Self": "/api/serverstatus/system-info"}}, nil
}
