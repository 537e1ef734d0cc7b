// Package people is the pages of teams, users, service accounts and roles, and one's own profile with its API keys.
package people

import (
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"odcm/kit/web/design"
	"odcm/octopus"
	"odcm/spaceserver/internal/page/catalog"
	"odcm/spaceserver/internal/page/visit"
	"odcm/spaceserver/internal/permission"
)

const base = "/people/"

// Serve adds the pages.
func Serve(d *visit.Desk) {
	for _, k := range []*catalog.Kind{teams(), users("users", false), users("services", true), roles()} {
		k.Serve(d)
	}
	d.Do(base+"teams/{id}/roles", nil, grant)
	d.Do(base+"teams/{id}/roles/{role}/delete", nil, func(v *visit.Visit) (string, string) {
		v.Delete("/scopeduserroles/" + v.Path("role"))
		return base + "teams/" + v.Path("id"), "The role was taken away."
	})
	d.Show("/profile", func(v *visit.Visit) visit.Page {
		me := v.Get("/users/me")
		return visit.Page{Title: me.Text("DisplayName"), Intro: me.Text("EmailAddress"), Body: profile(v, me, keys(v, me), "")}
	})
	serveKeys(d)
}

func tabs(v *visit.Visit, on string) []design.Tab {
	var list []design.Tab
	for _, t := range []struct {
		label, path string
		needs       permission.Name
	}{{"Teams", "teams", "TeamView"}, {"Users", "users", "UserView"}, {"Service accounts", "services", "UserView"}, {"Roles", "roles", "UserRoleView"}} {
		if v.May(t.needs) {
			list = append(list, design.Tab{Label: t.label, Href: base + t.path, On: base+t.path == on})
		}
	}
	return list
}

func teams() *catalog.Kind {
	return &catalog.Kind{
		One: "team", Many: "Teams", Icon: "users", Nav: visit.People, Base: base + "teams", Route: "/teams", Tabs: tabs,
		Intro: "People are in teams, and teams have roles.", Empty: "Put people into teams and give the teams roles.",
		View: "TeamView", Create: "TeamCreate", Edit: "TeamEdit", Delete: "TeamDelete", Start: map[string]any{},
		Columns: []catalog.Column{
			{Label: "Where", Text: func(v *visit.Visit, o octopus.Object) string {
				for _, s := range v.Spaces() {
					if s.ID == o.Text("SpaceId") {
						return s.Name
					}
				}
				if id := o.Text("SpaceId"); id != "" {
					return id
				}
				return "Whole server"
			}},
			{Label: "Members", Number: true, Text: func(_ *visit.Visit, o octopus.Object) string { return number(len(o.Texts("MemberUserIds"))) }},
			{Label: "Description", Text: catalog.Member("Description")},
		},
		Fields: []catalog.Field{
			{Path: "Name", Label: "Name", Required: true}, {Path: "Description", Label: "Description", As: catalog.Area},
			{Path: "SpaceId", Label: "Where", As: catalog.Choice, Once: true, Options: spaces},
			{Path: "MemberUserIds", Label: "Members", As: catalog.Many, Options: members},
			{Path: "ExternalSecurityGroups", Label: "Groups of sign-in providers", As: catalog.Area, Help: "One a line: its id, and its name behind a |. Whoever signs in with the group is a member.", Get: groups, Put: putGroups},
		},
		More: func(v *visit.Visit, o octopus.Object) templ.Component {
			return teamRoles(v, o, v.Maybe("/teams/"+o.Text("Id")+"/scopeduserroles/all"), v.Maybe("/userroles/all"))
		},
	}
}

func spaces(v *visit.Visit) []design.Option {
	options := []design.Option{{Label: "Whole server"}}
	for _, s := range v.Spaces() {
		options = append(options, design.Option{Value: s.ID, Label: "Only the space " + s.Name})
	}
	return options
}

func members(v *visit.Visit) []design.Option {
	var options []design.Option
	for _, o := range v.Maybe("/users/all") {
		options = append(options, design.Option{Value: o.Text("Id"), Label: first(o.Text("DisplayName"), o.Text("Username"))})
	}
	return options
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func groups(o octopus.Object) string {
	var lines []string
	for _, g := range o.Objects("ExternalSecurityGroups") {
		lines = append(lines, strings.TrimSuffix(g.Text("Id")+" | "+g.Text("DisplayName"), " | "))
	}
	return strings.Join(lines, "\n")
}

func putGroups(_ *visit.Visit, o *octopus.Object, text string) {
	list := []map[string]any{}
	for line := range strings.Lines(text) {
		id, name, _ := strings.Cut(line, "|")
		if id = strings.TrimSpace(id); id != "" {
			list = append(list, map[string]any{"Id": id, "DisplayName": first(strings.TrimSpace(name), id)})
		}
	}
	o.Set("ExternalSecurityGroups", list)
}

// grant gives a team a role, on the whole or on parts of a space.
func grant(v *visit.Visit) (string, string) {
	role := v.Get("/userroles/" + v.Form("UserRoleId"))
	request := map[string]any{"TeamId": v.Path("id"), "UserRoleId": v.Form("UserRoleId"), "ProjectIds": v.Forms("ProjectIds"), "EnvironmentIds": v.Forms("EnvironmentIds"),
		"TenantIds": v.Forms("TenantIds"), "ProjectGroupIds": v.Forms("ProjectGroupIds")}
	if len(role.Texts("GrantedSpacePermissions")) > 0 {
		request["SpaceId"] = v.Form("SpaceId")
	}
	v.Post("/scopeduserroles", request)
	return base + "teams/" + v.Path("id"), "The team has the role now."
}

func users(path string, service bool) *catalog.Kind {
	k := &catalog.Kind{
		One: "user", Many: "Users", Icon: "user", Nav: visit.People, Base: base + path, Route: "/users", Query: "take=500", Tabs: tabs, Plain: true,
		Empty: "Nobody is here yet.", View: "UserView", Create: "UserEdit", Edit: "UserEdit", Delete: "UserEdit", Start: map[string]any{"IsActive": true},
		Columns: []catalog.Column{
			{Label: "Username", Text: catalog.Member("Username")},
			{Label: "State", Cell: func(_ *visit.Visit, o octopus.Object) templ.Component {
				if o.Bool("IsActive") {
					return design.Status("enabled")
				}
				return design.Status("disabled")
			}},
		},
		Fields: []catalog.Field{
			{Path: "DisplayName", Label: "Name", Required: true}, {Path: "Username", Label: "Username", Required: true, Once: true},
			{Path: "EmailAddress", Label: "Email"},
			{Path: "Password", Label: "Password", As: catalog.Secret, Put: func(v *visit.Visit, o *octopus.Object, text string) {
				if o.Delete("Password"); text != "" {
					o.Set("Password", text)
				}
			}},
			{Path: "IsActive", Label: "May sign in", As: catalog.Flag},
		},
		Keep: func(o octopus.Object) bool { return o.Bool("IsService") == service },
		More: func(v *visit.Visit, o octopus.Object) templ.Component {
			return userTeams(v, o, v.Maybe("/users/"+o.Text("Id")+"/teams?includeSystem=true&spaces=all"), keys(v, o))
		},
	}
	if service {
		k.One, k.Many, k.Icon, k.Intro = "service account", "Service accounts", "cpu", "Accounts for programs: they have API keys and no password."
		k.Empty = "Give each program that calls this server an account of its own."
		k.Start = map[string]any{"IsActive": true, "IsService": true}
		k.Fields = slices.DeleteFunc(k.Fields, func(f catalog.Field) bool { return f.Path == "Password" || f.Path == "EmailAddress" })
	}
	return k
}

func roles() *catalog.Kind {
	return &catalog.Kind{
		One: "role", Many: "Roles", Icon: "shield", Nav: visit.People, Base: base + "roles", Route: "/userroles", Tabs: tabs,
		Intro: "What a team with a role may do.", View: "UserRoleView", Create: "UserRoleEdit", Edit: "UserRoleEdit", Delete: "UserRoleEdit", Start: map[string]any{},
		Columns: []catalog.Column{
			{Label: "Description", Text: catalog.Member("Description")},
			{Label: "Permissions", Number: true, Text: func(_ *visit.Visit, o octopus.Object) string {
				return number(len(o.Texts("GrantedSpacePermissions")) + len(o.Texts("GrantedSystemPermissions")))
			}},
		},
		Fields: []catalog.Field{
			{Path: "Name", Label: "Name", Required: true}, {Path: "Description", Label: "Description", As: catalog.Area},
			{Path: "GrantedSpacePermissions", Label: "In spaces", As: catalog.Many, Options: permissions(false)},
			{Path: "GrantedSystemPermissions", Label: "On the whole server", As: catalog.Many, Options: permissions(true)},
		},
	}
}

func permissions(system bool) func(*visit.Visit) []design.Option {
	return func(*visit.Visit) []design.Option {
		var options []design.Option
		for _, d := range permission.All() {
			if system && d.System || !system && d.Space {
				options = append(options, design.Option{Value: string(d.Name), Label: string(d.Name)})
			}
		}
		return options
	}
}

// keys are the API keys of a user, as far as the visitor may see them.
func keys(v *visit.Visit, user octopus.Object) []octopus.Object {
	return v.Try("/users/" + user.Text("Id") + "/apikeys?take=200").Objects("Items")
}

// serveKeys adds the forms about API keys. A new key is shown once, on the page that made it: it is in no address, no cookie
// and no history of the browser.
func serveKeys(d *visit.Desk) {
	d.Answer("/profile/keys", func(v *visit.Visit) visit.Page {
		request := map[string]any{"Purpose": v.Form("Purpose")}
		if days := v.Form("Days"); days != "" {
			n := 0
			for _, r := range days {
				if r < '0' || r > '9' || n > 10000 {
					v.Refuse("The number of days is not readable.")
					break
				}
				n = n*10 + int(r-'0')
			}
			request["Expires"] = v.Now().Add(time.Duration(n) * 24 * time.Hour)
		}
		id := v.Form("user")
		if id == "" {
			id = v.Who.ID
		}
		made := v.Post("/users/"+id+"/apikeys", request)
		owner := v.Get("/users/" + id)
		return visit.Page{Title: owner.Text("DisplayName"), Body: profile(v, owner, keys(v, owner), made.Text("ApiKey"))}
	})
	d.Do("/profile/keys/{user}/{key}/delete", nil, func(v *visit.Visit) (string, string) {
		v.Delete("/users/" + v.Path("user") + "/apikeys/" + v.Path("key"))
		if v.Path("user") == v.Who.ID {
			return "/profile", "The key is void."
		}
		return base + "users/" + v.Path("user"), "The key is void."
	})
}
