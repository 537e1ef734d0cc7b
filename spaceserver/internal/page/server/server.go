// Package server is the pages of the whole server: the audit trail, nodes, maintenance, how people sign in, licence, spaces.
package server

import (
	"encoding/json"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/a-h/templ"

	"odcm/kit/web/design"
	"odcm/octopus"
	"odcm/spaceserver/internal/page/catalog"
	"odcm/spaceserver/internal/page/visit"
	"odcm/spaceserver/internal/permission"
)

const base = "/configuration"

// Serve adds the pages.
func Serve(d *visit.Desk) {
	d.Show("/audit", audit)
	d.Show(base, overview)
	d.Do(base+"/maintenance", overview, func(v *visit.Visit) (string, string) {
		on := v.Form("on") == "true"
		o := v.Get("/maintenanceconfiguration")
		o.Set("IsInMaintenanceMode", on)
		v.Put("/maintenanceconfiguration", o)
		return base, map[bool]string{true: "The server is in maintenance mode.", false: "Maintenance mode has ended."}[on]
	})
	d.Do(base+"/nodes/{node}", overview, func(v *visit.Visit) (string, string) {
		o := v.Get("/octopusservernodes/" + url.PathEscape(v.Path("node")))
		o.Set("IsInMaintenanceMode", v.Form("drain") == "true")
		v.Put("/octopusservernodes/"+url.PathEscape(v.Path("node")), o)
		return base, "Saved."
	})
	d.Show(base+"/sign-in", providers)
	d.Form(base+"/sign-in/{section}", section, saveSection)
	spaces().Serve(d)
}

func tabs(v *visit.Visit, on string) []design.Tab {
	var list []design.Tab
	for _, t := range []struct {
		label, path string
		needs       permission.Name
	}{{"Server", base, permission.ConfigureServer}, {"Spaces", base + "/spaces", ""}, {"Sign-in", base + "/sign-in", permission.ConfigureServer}} {
		if t.needs == "" || v.Holds(t.needs) {
			list = append(list, design.Tab{Label: t.label, Href: t.path, On: t.path == on})
		}
	}
	return list
}

// event is one of the audit trail.
type event struct {
	ID                          string `json:"Id"`
	Category, Username, Message string
	UserID                      string `json:"UserId"`
	Occurred                    time.Time
	SpaceID                     string `json:"SpaceId"`
	IPAddress                   string `json:"IpAddress"`
	References                  []struct {
		ID     string `json:"ReferencedDocumentId"`
		Start  int    `json:"StartIndex"`
		Length int
	} `json:"MessageReferences"`
	Related []string `json:"RelatedDocumentIds"`
	Changes struct {
		Differences json.RawMessage
	} `json:"ChangeDetails"`
}

// difference is a change of one member.
type difference struct{ path, old, new string }

func (e event) differences() []difference {
	var list []map[string]json.RawMessage
	if json.Unmarshal(e.Changes.Differences, &list) != nil {
		return nil
	}
	var all []difference
	for _, d := range list {
		get := func(names ...string) string {
			for _, name := range names {
				raw, ok := d[name]
				if !ok || string(raw) == "null" {
					continue
				}
				var text string
				if json.Unmarshal(raw, &text) == nil {
					return text
				}
				return string(raw)
			}
			return ""
		}
		all = append(all, difference{get("Path", "path"), get("OldValue", "oldValue"), get("NewValue", "newValue", "Value", "value")})
	}
	return all
}

// piece is a part of a message: plain, or a link to what it names.
type piece struct{ text, href string }

// pieces split the message where it names documents. Places count bytes, as package
// collection writes them; those that do not fit the message are left out.
func (e event) pieces() []piece {
	text := e.Message
	var all []piece
	at := 0
	for _, r := range e.References {
		end := r.Start + r.Length
		if r.Start < at || end < r.Start || end > len(text) || !utf8.ValidString(text[r.Start:end]) {
			continue
		}
		href := e.page(r.ID)
		if href == "" || e.Category == "Deleted" {
			continue
		}
		all = append(all, piece{text: text[at:r.Start]}, piece{text[r.Start:end], href})
		at = end
	}
	return append(all, piece{text: text[at:]})
}

// page is where a document that the event names is shown: what a task is about with the task.
func (e event) page(id string) string {
	if kind, _, _ := strings.Cut(id, "-"); kind == "Deployments" || kind == "RunbookRuns" || kind == "Interruptions" {
		for _, related := range e.Related {
			if strings.HasPrefix(related, "ServerTasks-") {
				return documentPage(e.SpaceID, related)
			}
		}
	}
	return documentPage(e.SpaceID, id)
}

// documentPage is the page of a document by its id, "" where it has none.
func documentPage(space, id string) string {
	kind, _, _ := strings.Cut(id, "-")
	in := "/app/" + space + "/"
	if space == "" {
		in = ""
	}
	switch kind {
	case "ServerTasks":
		return "/tasks/" + id
	case "Users":
		return "/people/users/" + id
	case "Teams", "teams":
		return "/people/teams/" + id
	case "Spaces":
		return "/app/" + id + "/dashboard"
	}
	if part := map[string]string{"variableset": "variables", "deploymentprocess": "process"}[kind]; part != "" && in != "" {
		owner := strings.TrimPrefix(id, kind+"-")
		if number, ok := strings.CutPrefix(owner, "Projects-"); ok && !strings.Contains(number, "-") { // else it is a release's copy
			return in + "projects/" + owner + "/" + part
		}
	}
	if page := pages[kind]; page != "" && in != "" {
		return in + page + "/" + id
	}
	return ""
}

// pages are where documents of a kind in a space have their pages.
var pages = map[string]string{"Projects": "projects", "Environments": "infrastructure/environments", "Machines": "infrastructure/targets", "Accounts": "infrastructure/accounts", "Releases": "releases",
	"Tenants": "tenants", "TagSets": "library/tagsets", "Feeds": "library/feeds", "Lifecycles": "library/lifecycles", "ActionTemplates": "library/templates", "LibraryVariableSets": "library/sets"}

type trail struct {
	Items        []event
	TotalResults int
}

const take = 50

func audit(v *visit.Visit) visit.Page {
	query := url.Values{}
	for _, name := range []string{"users", "projects", "environments", "eventCategories", "documentTypes", "from", "to", "spaces"} {
		if value := v.Query(name); value != "" {
			query.Set(name, value)
		}
	}
	var t trail
	skip := number(v.Query("skip"))
	query.Set("skip", text(skip))
	query.Set("take", text(take))
	v.Into(&t, "/events?"+query.Encode())
	return visit.Page{Title: "Audit", Nav: visit.Audit, Intro: "Who did what, when, from where.", Body: events(v, t, skip)}
}

func overview(v *visit.Visit) visit.Page {
	if !v.Holds(permission.ConfigureServer) && !v.Administers() {
		v.Leave(base + "/spaces")
		return visit.Page{}
	}
	nodes := v.Get("/octopusservernodes/summary").Objects("Nodes")
	return visit.Page{Title: "Configuration", Nav: visit.Configuration, Tabs: tabs(v, base), Body: server(v, nodes, v.Try("/serverstatus"), v.Try("/licenses/licenses-current-status"), v.Try("/maintenanceconfiguration"))}
}

func providers(v *visit.Visit) visit.Page {
	v.Need(permission.ConfigureServer)
	var list []octopus.Object
	for _, o := range v.Get("/configuration?take=200").Objects("Items") {
		if strings.HasPrefix(o.Text("Id"), "authentication") {
			list = append(list, o)
		}
	}
	return visit.Page{Title: "Configuration", Nav: visit.Configuration, Tabs: tabs(v, base+"/sign-in"), Body: sections(v, list)}
}

// setting is a member of a section of settings, with what its metadata says of it.
type setting struct {
	name, label, help, value string
	flag, secret, list, has  bool
}

func settings(v *visit.Visit) (octopus.Object, octopus.Object, []setting) {
	id := url.PathEscape(v.Path("section"))
	about, values := v.Get("/configuration/"+id), v.Get("/configuration/"+id+"/values")
	described := map[string]octopus.Object{}
	for _, t := range v.Try("/configuration/" + id + "/metadata").Objects("Types") {
		for _, p := range t.Objects("Properties") {
			described[p.Text("Name")] = p
		}
	}
	var list []setting
	for name, raw := range values.All() {
		if name == "Id" || name == "Links" || name == "LastModifiedOn" || name == "LastModifiedBy" {
			continue
		}
		d := described[name]
		s := setting{name: name, label: d.Text("DisplayInfo"), help: d.Object("DisplayInfo").Text("Description"), value: strings.Trim(string(raw), `"`)}
		s.label = d.Object("DisplayInfo").Text("Label")
		if s.label == "" {
			s.label = name
		}
		var one string
		var many []string
		switch {
		case string(raw) == "true" || string(raw) == "false":
			s.flag = true
		case strings.Contains(string(raw), `"HasValue"`) || d.Text("Type") == "SensitiveValue" || strings.HasSuffix(name, "Secret"):
			s.secret, s.value, s.has = true, "", values.Object(name).Bool("HasValue")
		case json.Unmarshal(raw, &one) == nil:
			s.value = one
		case json.Unmarshal(raw, &many) == nil:
			s.list, s.value = true, strings.Join(many, "\n")
		case len(raw) > 0 && raw[0] == '{':
			continue
		}
		list = append(list, s)
	}
	return about, values, list
}

func section(v *visit.Visit) visit.Page {
	v.Need(permission.ConfigureServer)
	about, _, list := settings(v)
	return visit.Page{Title: about.Text("Name"), Intro: about.Text("Description"), Nav: visit.Configuration, Crumbs: []design.Crumb{{Label: "Sign-in", Href: base + "/sign-in"}}, Body: sectionForm(v, list)}
}

func saveSection(v *visit.Visit) (string, string) {
	about, values, list := settings(v)
	for _, s := range list {
		raw, _ := values.Get(s.name)
		switch {
		case s.flag:
			values.Set(s.name, v.Flag(s.name))
		case s.secret:
			if text := v.Text(s.name); text != "" {
				values.Set(s.name, map[string]any{"HasValue": true, "NewValue": text})
			}
		case s.list:
			values.Set(s.name, v.Lines(s.name))
		case len(raw) > 0 && raw[0] >= '0' && raw[0] <= '9':
			values.Set(s.name, number(v.Form(s.name)))
		default:
			values.Set(s.name, v.Form(s.name))
		}
	}
	v.Put("/configuration/"+url.PathEscape(v.Path("section"))+"/values", values)
	return base + "/sign-in", "Saved " + about.Text("Name") + "."
}

func spaces() *catalog.Kind {
	return &catalog.Kind{
		One: "space", Many: "Spaces", Icon: "box", Nav: visit.Configuration, Base: base + "/spaces", Route: "/spaces", Tabs: tabs,
		Intro: "Each space has projects, environments and teams of its own.", Empty: "There is no space that you may see.",
		View: "SpaceView", Create: "SpaceCreate", Edit: "SpaceEdit", Delete: "SpaceDelete", Start: map[string]any{},
		Columns: []catalog.Column{{Label: "Id", Text: catalog.Member("Id")}, {Label: "Description", Text: catalog.Member("Description")},
			{Label: "Default", Cell: func(_ *visit.Visit, o octopus.Object) templ.Component { return defaultMark(o) }}},
		Fields: []catalog.Field{
			{Path: "Name", Label: "Name", Required: true}, {Path: "Description", Label: "Description", As: catalog.Area},
			{Path: "SpaceManagersTeamMembers", Label: "Managers", As: catalog.Many, Options: func(v *visit.Visit) []design.Option {
				var options []design.Option
				for _, o := range v.Maybe("/users/all") {
					options = append(options, design.Option{Value: o.Text("Id"), Label: o.Text("DisplayName")})
				}
				return options
			}},
			{Path: "IsDefault", Label: "The default space", Help: "Routes that name no space mean it.", As: catalog.Flag},
			{Path: "TaskQueueStopped", Label: "Start no tasks", Help: "A space can be deleted only while it starts none.", As: catalog.Flag},
		},
	}
}

// noTime is for what tells no time.
func noTime() time.Time { return time.Time{} }
