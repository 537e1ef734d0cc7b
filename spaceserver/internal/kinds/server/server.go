// Package server is the server itself: its spaces, its root document, status, nodes, maintenance mode, licence and
// configuration, and the audit trail with its subscriptions.
package server

import (
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/kinds/host"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/kinds/people"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

// Names of settings.
const (
	Maintenance = "maintenance" // "true" while on
	section     = "section/"    // + id of a configuration section
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
		open("authentication", func(*collection.Call) (any, error) {
			return map[string]any{"AuthenticationProviders": people.Providers(), "AutoLoginEnabled": false, "AnyAuthenticationProvidersSupportPasswordManagement": true,
				"Links": map[string]string{"Self": "/api/authentication"}}, nil
		}),
		{Method: "POST", Path: "authentication/checklogininitiated", Scope: collection.InSystem, Anonymous: true, Handle: value(map[string]any{"WasLoginInitiated": false, "ProviderName": ""})},
		open(".well-known/openid-configuration", s.discovery),
		open("octopusservernodes/ping", s.ping),
		open("serverstatus/hosted/internal", s.ping),
		system("GET", "externalsecuritygroupproviders", "", value([]any{})),
		system("GET", "permissions/all", "", allPermissions),
		system("GET", "capabilities", "", value(map[string]any{"Capabilities": []string{}})),
		system("GET", "serverstatus", "", s.status),
		system("GET", "serverstatus/health", "", s.health),
		system("GET", "serverstatus/system-info", permission.AdministerSystem, s.systemInfo),
		system("GET", "serverstatus/logs", permission.AdministerSystem, value([]any{})),
		system("GET", "serverstatus/extensions", "", value([]any{})),
		system("GET", "serverstatus/timezones", "", value([]map[string]any{{"Id": "UTC", "Name": "(UTC) Coordinated Universal Time", "IsLocal": true, "Links": map[string]string{}}})),
		system("GET", "octopusservernodes", "", s.listNodes),
		system("GET", "octopusservernodes/all", "", func(c *collection.Call) (any, error) { n, err := s.node(c); return []any{n}, err }),
		system("GET", "octopusservernodes/summary", "", s.nodeSummary),
		system("GET", "octopusservernodes/{id}", "", s.getNode),
		system("PUT", "octopusservernodes/{id}", permission.ConfigureServer, s.putNode),
		system("GET", "octopusservernodes/{id}/details", "", func(c *collection.Call) (any, error) {
			return map[string]any{"Id": s.NodeID(), "RunningTasks": 0}, s.known(c)
		}),
		system("GET", "maintenanceconfiguration", "", getMaintenance),
		system("PUT", "maintenanceconfiguration", permission.AdministerSystem, s.putMaintenance),
		system("GET", "licenses/licenses-current", "", value(map[string]any{"Id": "licenses-current", "LicenseText": "", "SerialNumber": "", "Links": map[string]string{"Self": "/api/licenses/licenses-current"}})),
		system("PUT", "licenses/licenses-current", permission.ConfigureServer, func(*collection.Call) (any, error) {
			return nil, problem.Unsupported("ODCM's Space server needs no licence and keeps none.")
		}),
		system("GET", "licenses/licenses-current-status", "", licenceStatus),
		system("GET", "licenses/licenses-current-usage", "", value(map[string]any{"Limits": []any{}, "SpacesUsage": []any{}})),
		system("GET", "configuration/feature-toggles", "", value(map[string]any{"FeatureToggles": []any{}})),
		system("GET", "configuration/enabled-feature-toggles", "", value([]any{})),
	}
	return slices.Concat(actions, s.configuration(), events())
}

// discovery answers that this server gives out no tokens of its own yet: the issuer and nothing that would be a promise.
func (s *rules) discovery(*collection.Call) (any, error) {
	return nil, problem.New(http.StatusNotFound, "This Space server version exchanges no OpenID Connect tokens: use an API key.")
}

func allPermissions(*collection.Call) (any, error) {
	o := part.Object(nil)
	for _, d := range permission.All() {
		o.Set(string(d.Name), map[string]any{"Description": d.Text, "SupportedRestrictions": d.Restrictions, "CanApplyAtSpaceLevel": d.Space, "CanApplyAtSystemLevel": d.System})
	}
	return o, nil
}

// known refuses any node but this one.
func (s *rules) known(c *collection.Call) error {
	if id := c.Param("id"); !strings.EqualFold(id, s.NodeID()) && !strings.EqualFold(id, s.Node) {
		return problem.NotFound("OctopusServerNode", id)
	}
	return nil
}

func (s *rules) isDraining(c *collection.Call) (bool, error) {
	return s.Draining(c.Context, c.Service)
}

// ping tells load balancers whether to send work here: 418 when draining, as an Octopus server does.
func (s *rules) ping(c *collection.Call) (any, error) {
	drained, err := s.isDraining(c)
	if err != nil {
		return nil, err
	}
	status := http.StatusOK
	if drained {
		status = http.StatusTeapot
	}
	return collection.Answer{Status: status, Value: map[string]any{"Id": s.NodeID(), "Name": s.Node, "IsInMaintenanceMode": drained}}, nil
}

func (s *rules) node(c *collection.Call) (octopus.Object, error) {
	drained, err := s.isDraining(c)
	o := part.Object(nil)
	o.Set("Id", s.NodeID())
	o.Set("Name", s.Node)
	o.Set("MaxConcurrentTasks", 5)
	o.Set("IsInMaintenanceMode", drained)
	self := "/api/octopusservernodes/" + s.NodeID()
	o.Set("Links", map[string]string{"Self": self, "Node": self, "Details": self + "/details"})
	return o, err
}

func (s *rules) listNodes(c *collection.Call) (any, error) {
	n, err := s.node(c)
	return part.Page(c, "OctopusServerNode", "octopusservernodes", []octopus.Object{n}), err
}

func (s *rules) getNode(c *collection.Call) (any, error) {
	if err := s.known(c); err != nil {
		return nil, err
	}
	return s.node(c)
}

func (s *rules) putNode(c *collection.Call) (any, error) {
	body, err := c.Object()
	if err != nil {
		return nil, err
	}
	if err := s.known(c); err != nil {
		return nil, err
	}
	err = c.Transact(func(change *collection.Change) error {
		if err := c.Service.MayChange(c.Principal); err != nil {
			return err
		}
		change.Note("Modified", "", "node "+s.Node+" was changed", s.Node, []string{s.NodeID()}, collection.ChangeDetails{})
		return s.SetDraining(change, body.Bool("IsInMaintenanceMode"))
	})
	if err != nil {
		return nil, err
	}
	return s.node(c)
}

func (s *rules) nodeSummary(c *collection.Call) (any, error) {
	n, err := s.node(c)
	if err != nil {
		return nil, err
	}
	n.Set("LastSeen", c.Service.Now())
	n.Set("Rank", "Leader")
	n.Set("IsLeader", true)
	n.Set("IsOffline", false)
	n.Set("RunningTaskCount", 0)
	return map[string]any{"Nodes": []octopus.Object{n}, "Links": map[string]string{"Self": "/api/octopusservernodes/summary"}}, nil
}

func (s *rules) status(c *collection.Call) (any, error) {
	return map[string]any{"Id": "serverstatus", "IsInMaintenanceMode": c.Service.ReadOnly(), "MaintenanceExpires": nil, "IsUpgradeAvailable": false, "IsDatabaseEncrypted": false, "IsMajorMinorUpgrade": false,
		"MaximumAvailableVersion": s.Version, "MaximumAvailableVersionCoveredByLicense": s.Version,
		"Links": map[string]string{"Self": "/api/serverstatus", "SystemInfo": "/api/serverstatus/system-info", "RecentLogs": "/api/serverstatus/logs", "Health": "/api/serverstatus/health"}}, nil
}

func (s *rules) health(c *collection.Call) (any, error) {
	drained, err := s.isDraining(c)
	text := "Octopus is operating normally"
	if drained {
		text = "All nodes are draining: no new tasks are started"
	}
	return map[string]any{"Id": "serverstatus-health", "Description": text, "IsOperatingNormally": !drained, "IsEntireClusterReadOnly": c.Service.ReadOnly(), "IsEntireClusterDrainingTasks": drained,
		"IsCompliantWithLicense": true, "Links": map[string]string{"Self": "/api/serverstatus/health"}}, err
}

func (s *rules) systemInfo(*collection.Call) (any, error) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return map[string]any{"Version": s.Version, "OSVersion": runtime.GOOS + "/" + runtime.GOARCH, "ClrVersion": "none: ODCM's Space server, " + runtime.Version(), "ThreadCount": runtime.NumGoroutine(),
		"WorkingSetBytes": m.Sys, "Uptime": "", "Links": map[string]string{"Self": "/api/serverstatus/system-info"}}, nil
}

func getMaintenance(c *collection.Call) (any, error) {
	return map[string]any{"Id": Maintenance, "IsInMaintenanceMode": c.Service.ReadOnly(), "Links": map[string]string{"Self": "/api/maintenanceconfiguration"}}, nil
}

func (s *rules) putMaintenance(c *collection.Call) (any, error) {
	body, err := c.Object()
	if err != nil {
		return nil, err
	}
	on := body.Bool("IsInMaintenanceMode")
	err = c.Transact(func(change *collection.Change) error {
		if on != c.Service.ReadOnly() {
			category, text := "MaintenanceModeExited", "maintenance mode was turned off"
			if on {
				category, text = "MaintenanceModeEntered", "maintenance mode was turned on"
			}
			change.Note(category, "", text, "", []string{Maintenance}, collection.ChangeDetails{})
		}
		return c.Service.Store.Set(c.Context, change.Tx, Maintenance, strconv.FormatBool(on))
	})
	if err != nil {
		return nil, err
	}
	c.Service.SetReadOnly(on)
	return getMaintenance(c)
}

func licenceStatus(c *collection.Call) (any, error) {
	limits := []any{}
	for _, l := range []struct{ name, kind string }{{"Projects", "Projects"}, {"Deployment Targets", "Machines"}, {"Tenants", "Tenants"}, {"Workers", "Workers"}, {"Spaces", "Spaces"}, {"Users", "Users"}} {
		n, err := c.Service.Store.Count(c.Context, c.Service.Store.DB.Read(), l.kind, "*")
		if err != nil {
			return nil, err
		}
		limits = append(limits, map[string]any{"Name": l.name, "EffectiveLimit": 2147483647, "EffectiveLimitDescription": "Unlimited", "CurrentUsage": n, "IsUnlimited": true, "Disposition": "Information", "Message": ""})
	}
	return map[string]any{"Id": "licenses-current-status", "LicenseKind": "CommunityEdition", "IsCompliant": true, "ComplianceSummary": "ODCM's Space server needs no licence.", "EffectiveExpiryDate": "9999-12-31",
		"DaysToEffectiveExpiryDate": 2147483647, "Limits": limits, "Messages": []any{}, "PermissionsMode": "Full", "HostingEnvironment": "SelfHosted", "IsClusterTaskLimitControlledByLicense": false,
		"IsNodeTaskLimitControlledByLicense": false, "EffectiveClusterTaskLimit": 5, "EffectiveNodeTaskLimit": 5, "DoesExpiryBlockKeyActivities": false, "Links": map[string]string{"Self": "/api/licenses/licenses-current-status"}}, nil
}

// sections are the configuration that can be read and kept. The server acts on none of them but keeps what is set, so
// that a client that sets a section reads it back.
var sections = []struct{ id, name, description, preset string }{
	{"authentication", "Authentication", "Sign-in of this server", `{"IsAutoLoginEnabled":false,"TrustedRedirectUrls":null,"UserApiKeysEnabled":true,"ApiKeyMaxExpiryDays":null}`},
	{"authentication-usernamepassword", "Username / Password", "Sign-in with a password kept by this server", `{"IsEnabled":true}`},
	{"authentication-od", "Okta", "Sign-in through an OpenID provider, in the slot of Okta", `{"IsEnabled":false,"Issuer":null,"ClientId":null,"ClientSecret":{"HasValue":false,"NewValue":null,"Hint":null},"RoleClaimType":"groups","UsernameClaimType":"preferred_username","AllowAutoUserCreation":true}`},
	{"server-folders", "Server folders", "Where this server keeps files", `{"LogsDirectory":null,"ArtifactsDirectory":null,"PackagesDirectory":null}`},
}

func (s *rules) configuration() []collection.Action {
	find := func(c *collection.Call) (int, error) {
		for i, section := range sections {
			if strings.EqualFold(section.id, c.Param("id")) {
				return i, nil
			}
		}
		return 0, problem.NotFound("Configuration", c.Param("id"))
	}
	describe := func(i int) map[string]any {
		self := "/api/configuration/" + sections[i].id
		return map[string]any{"Id": sections[i].id, "Name": sections[i].name, "Description": sections[i].description, "Links": map[string]string{"Self": self, "Values": self + "/values", "Metadata": self + "/metadata"}}
	}
	values := func(c *collection.Call, i int) (octopus.Object, error) {
		kept, err := c.Service.Store.Setting(c.Context, c.Service.Store.DB.Read(), section+sections[i].id)
		if err != nil {
			return octopus.Object{}, err
		}
		if kept == "" {
			kept = sections[i].preset
		}
		return octopus.ParseObject([]byte(kept))
	}
	on := func(method, path string, handle func(c *collection.Call) (any, error)) collection.Action {
		return collection.Action{Method: method, Path: path, Scope: collection.InSystem, Permission: permission.ConfigureServer, Handle: handle}
	}
	return []collection.Action{
		on("GET", "configuration", func(c *collection.Call) (any, error) {
			all := []map[string]any{}
			for i := range sections {
				all = append(all, describe(i))
			}
			return part.Page(c, "ConfigurationSection", "configuration", all), nil
		}),
		on("GET", "configuration/{id}", func(c *collection.Call) (any, error) { i, err := find(c); return describe(i), err }),
		on("GET", "configuration/{id}/metadata", func(c *collection.Call) (any, error) {
			_, err := find(c)
			return map[string]any{"Description": "", "Types": []any{}}, err
		}),
		on("GET", "configuration/{id}/values", func(c *collection.Call) (any, error) {
			i, err := find(c)
			if err != nil {
				return nil, err
			}
			return values(c, i)
		}),
		on("PUT", "configuration/{id}/values", func(c *collection.Call) (any, error) {
			i, err := find(c)
			if err != nil {
				return nil, err
			}
			body, err := c.Object()
			if err != nil {
				return nil, err
			}
			err = c.Transact(func(change *collection.Change) error {
				if err := c.Service.MayChange(c.Principal); err != nil {
					return err
				}
				text, err := change.Conceal(section+sections[i].id, body)
				if err != nil {
					return err
				}
				change.Note("Modified", "", "configuration of "+sections[i].name+" was changed", sections[i].name, []string{sections[i].id}, collection.ChangeDetails{})
				return c.Service.Store.Set(c.Context, change.Tx, section+sections[i].id, string(text))
			})
			if err != nil {
				return nil, err
			}
			return values(c, i)
		}),
		on("GET", "serverconfiguration", func(*collection.Call) (any, error) {
			return map[string]any{"Id": "serverconfiguration", "ServerUri": s.URL(), "Links": map[string]string{"Self": "/api/serverconfiguration"}}, nil
		}),
		on("GET", "serverconfiguration/settings", func(*collection.Call) (any, error) { return []any{}, nil }),
		on("GET", "scheduler", func(*collection.Call) (any, error) {
			return map[string]any{"IsRunning": true, "TaskStatus": []any{}, "Links": map[string]string{"Self": "/api/scheduler"}}, nil
		}),
		on("GET", "scheduler/{name}/logs", func(c *collection.Call) (any, error) { return nil, problem.NotFound("ScheduledTask", c.Param("name")) }),
		guarded(s.kept("smtpconfiguration", "GET")), s.kept("smtpconfiguration", "PUT"),
		s.kept("featuresconfiguration", "GET"), s.kept("featuresconfiguration", "PUT"), s.kept("performanceconfiguration", "GET"), s.kept("performanceconfiguration", "PUT"),
		s.kept("upgradeconfiguration", "GET"), s.kept("upgradeconfiguration", "PUT"),
		on("GET", "smtpconfiguration/isconfigured", func(*collection.Call) (any, error) { return map[string]any{"IsConfigured": false}, nil }),
	}
}

// presets are settings that have a route of their own. The server acts on none of them; what is set is kept and read back.
var presets = map[string]string{
	"featuresconfiguration": `{"Id":"features","IsCommunityActionTemplatesEnabled":true,"IsBuiltInWorkerEnabled":false,"IsActionContainersEnabled":false,"IsConfigurationAsCodeEnabled":false,
		"IsKubernetesEnabled":true,"IsHelpSidebarEnabled":true,"HelpSidebarSupportLink":null}`,
	"smtpconfiguration":        `{"Id":"smtp","SmtpHost":null,"SmtpPort":25,"SendEmailFrom":null,"SmtpLogin":null,"SmtpPassword":{"HasValue":false,"NewValue":null,"Hint":null},"EnableSsl":false,"Timeout":12000}`,
	"performanceconfiguration": `{"Id":"performance","DefaultDashboardRenderMode":"VirtualizeColumns"}`,
	"upgradeconfiguration":     `{"Id":"upgrade","NotificationMode":"NeverNotify","IncludeStatistics":false,"AllowChecking":false}`,
}

// guarded lets only those read who configure the server: it tells of its surroundings.
func guarded(a collection.Action) collection.Action {
	a.Permission = permission.ConfigureServer
	return a
}

func (s *rules) kept(name, method string) collection.Action {
	read := func(c *collection.Call) (any, error) {
		text, err := c.Service.Store.Setting(c.Context, c.Service.Store.DB.Read(), section+name)
		if err != nil {
			return nil, err
		}
		if text == "" {
			text = presets[name]
		}
		o, err := octopus.ParseObject([]byte(text))
		o.Set("Links", map[string]string{"Self": "/api/" + name})
		return o, err
	}
	a := collection.Action{Method: method, Path: name, Scope: collection.InSystem, Handle: read}
	if method != http.MethodPut {
		return a
	}
	a.Permission, a.Writes = permission.ConfigureServer, true
	a.Handle = func(c *collection.Call) (any, error) {
		body, err := c.Object()
		if err != nil {
			return nil, err
		}
		err = c.Transact(func(change *collection.Change) error {
			text, err := change.Conceal(section+name, body)
			if err != nil {
				return err
			}
			change.Note("Modified", "", name+" was changed", name, []string{name}, collection.ChangeDetails{})
			return c.Service.Store.Set(c.Context, change.Tx, section+name, string(text))
		})
		if err != nil {
			return nil, err
		}
		return read(c)
	}
	return a
}
