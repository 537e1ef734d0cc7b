package server

import (
	"net/http"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/configuration"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

// configuration are the routes of the sections of settings, and of the settings that have a route of their own.
func (s *rules) configuration() []collection.Action {
	on := func(method, path string, handle func(c *collection.Call) (any, error)) collection.Action {
		return collection.Action{Method: method, Path: path, Scope: collection.InSystem, Permission: permission.ConfigureServer, Handle: handle}
	}
	return []collection.Action{
		on("GET", "configuration", func(c *collection.Call) (any, error) {
			all := []map[string]any{}
			for _, section := range configuration.Sections() {
				all = append(all, describe(section))
			}
			return part.Page(c, "ConfigurationSection", "configuration", all), nil
		}),
		on("GET", "configuration/{id}", inSection(func(_ *collection.Call, section configuration.Section) (any, error) { return describe(section), nil })),
		on("GET", "configuration/{id}/metadata", inSection(func(_ *collection.Call, section configuration.Section) (any, error) { return section.Metadata(), nil })),
		on("GET", "configuration/{id}/values", inSection(sectionValues)),
		on("PUT", "configuration/{id}/values", inSection(putSection)),
		guarded(s.kept("serverconfiguration", "GET")), s.kept("serverconfiguration", "PUT"),
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

// inSection finds the section of the route.
func inSection(handle func(c *collection.Call, section configuration.Section) (any, error)) func(c *collection.Call) (any, error) {
	return func(c *collection.Call) (any, error) {
		section, ok := configuration.Find(c.Param("id"))
		if !ok {
			return nil, problem.NotFound("Configuration", c.Param("id"))
		}
		return handle(c, section)
	}
}

func describe(section configuration.Section) map[string]any {
	self := "/api/configuration/" + section.ID
	return map[string]any{"Id": section.ID, "Name": section.Name, "Description": section.Description, "Links": map[string]string{"Self": self, "Values": self + "/values", "Metadata": self + "/metadata"}}
}

func sectionValues(c *collection.Call, section configuration.Section) (any, error) {
	o, err := configuration.Read(c.Context, c.Service.Store, section.ID)
	if err != nil {
		return nil, err
	}
	o.Set("Id", section.ID)
	o.Set("Links", map[string]string{"Self": "/api/configuration/" + section.ID + "/values"})
	return o, nil
}

func putSection(c *collection.Call, section configuration.Section) (any, error) {
	sent, err := c.Object()
	if err != nil {
		return nil, err
	}
	kept, err := configuration.Read(c.Context, c.Service.Store, section.ID)
	if err != nil {
		return nil, err
	}
	values, err := section.Accept(kept, sent)
	if err != nil {
		return nil, err
	}
	if err := c.Service.Ready(); err != nil {
		return nil, err
	}
	setting := configuration.Setting(section.ID)
	err = c.Transact(func(change *collection.Change) error {
		if err := c.Service.MayChange(c.Principal); err != nil {
			return err
		}
		text, err := change.Conceal(setting, values)
		if err != nil {
			return err
		}
		clean, err := octopus.ParseObject(text)
		if err != nil {
			return err
		}
		change.Decides() // sessions, keys and sign-in follow it on every node
		change.Note("Modified", "", "configuration of "+section.Name+" was changed", section.Name, []string{section.ID},
			collection.ChangeDetails{DocumentContext: text, Differences: collection.Differences(kept, clean)})
		return c.Service.Store.Set(c.Context, change.Tx, setting, string(text))
	})
	if err != nil {
		return nil, err
	}
	return sectionValues(c, section)
}

// presets are settings that have a route of their own. What is set is kept and read back; of it the server follows its own
// address.
var presets = map[string]string{
	"featuresconfiguration": `{"Id":"features","IsCommunityActionTemplatesEnabled":true,"IsBuiltInWorkerEnabled":false,"IsActionContainersEnabled":false,"IsConfigurationAsCodeEnabled":false,
		"IsKubernetesEnabled":true,"IsHelpSidebarEnabled":true,"HelpSidebarSupportLink":null}`,
	"smtpconfiguration":        `{"Id":"smtp","SmtpHost":null,"SmtpPort":25,"SendEmailFrom":null,"SmtpLogin":null,"SmtpPassword":{"HasValue":false,"NewValue":null,"Hint":null},"EnableSsl":false,"Timeout":12000}`,
	"performanceconfiguration": `{"Id":"performance","DefaultDashboardRenderMode":"VirtualizeColumns"}`,
	"upgradeconfiguration":     `{"Id":"upgrade","NotificationMode":"NeverNotify","IncludeStatistics":false,"AllowChecking":false}`,
	"serverconfiguration":      `{"Id":"serverconfiguration","ServerUri":null}`,
}

// guarded lets only those read who configure the server: it tells of its surroundings.
func guarded(a collection.Action) collection.Action {
	a.Permission = permission.ConfigureServer
	return a
}

func (s *rules) kept(name, method string) collection.Action {
	setting := configuration.Setting(name)
	read := func(c *collection.Call) (any, error) {
		text, err := c.Service.Store.Setting(c.Context, c.Service.Store.DB.Read(), setting)
		if err != nil {
			return nil, err
		}
		if text == "" {
			text = presets[name]
		}
		o, err := octopus.ParseObject([]byte(text))
		if name == "serverconfiguration" && o.Text("ServerUri") == "" {
			o.Set("ServerUri", s.URL())
		}
		o.Set("Links", map[string]string{"Self": "/api/" + name})
		return o, err
	}
	a := collection.Action{Method: method, Path: name, Scope: collection.InSystem, Handle: read}
	if method != http.MethodPut {
		return a
	}
	a.Permission, a.Writes = permission.ConfigureServer, true
	if name == "serverconfiguration" { // "AdministerSystem: ... the public URL" (default-permissions)
		a.Permission = permission.AdministerSystem
	}
	a.Handle = func(c *collection.Call) (any, error) {
		body, err := c.Object()
		if err != nil {
			return nil, err
		}
		if err := c.Service.Ready(); err != nil {
			return nil, err
		}
		err = c.Transact(func(change *collection.Change) error {
			text, err := change.Conceal(setting, body)
			if err != nil {
				return err
			}
			change.Note("Modified", "", name+" was changed", name, []string{name}, collection.ChangeDetails{})
			return c.Service.Store.Set(c.Context, change.Tx, setting, string(text))
		})
		if err != nil {
			return nil, err
		}
		return read(c)
	}
	return a
}
