package spaceserver_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"software.sslmate.com/src/go-pkcs12"

	"odcm/octopus"
	"odcm/spaceserver"
)

// scopes says who sees and changes what. The columns are people who may do everything in a space, as far as their role is
// restricted: web to a project; sales to a project group; dev to an environment; acme to a tenant; webdev to a project and an
// environment; two holds a role for Web in Live and, in another team, one for Shop in Dev. "c" sees and changes, "s" sees, "-"
// sees nothing of it. What a permission can be restricted to is in the permissions' SupportedRestrictions; how projects and
// groups add up in security/users-and-teams ("Restricting project and project group access"). That what holds in several
// environments is seen in each of them and changed in all only, and that what names no environment is changed by those who
// may in all, is not said there: the careful reading.
const scopes = `
	thing                   web sales dev acme webdev two
	projects Web            c   -     c   c    c      c
	projects Shop           -   c     c   c    -      c
	projectgroups Default   s   -     c   c    s      s
	projectgroups Sales     -   c     c   c    -      s
	deploymentprocesses Web c   -     c   c    c      c
	channels Web            c   -     c   c    c      c
	releases Web            c   -     c   c    c      c
	releases Shop           -   c     c   c    -      c
	runbooks Web            c   -     c   c    c      c
	runbookProcesses Shop   -   c     c   c    -      c
	projecttriggers Web     c   -     c   c    c      c
	projecttriggers Shop    -   c     c   c    -      c
	libraryvariablesets Set c   c     c   c    c      c
	environments Dev        c   c     c   c    c      c
	environments Zlive      c   c     -   c    -      c
	tenants Acme            c   c     c   c    c      c
	tenants Zbeta           c   c     c   -    c      c
	machines Mdev           c   c     c   c    c      c
	machines Zmlive         c   c     -   c    -      c
	machines Mboth          c   c     s   c    s      s
	machines Macme          c   c     c   c    c      c
	machines Zmbeta         c   c     c   -    c      c
	accounts Adev           c   c     c   c    c      c
	accounts Zalive         c   c     -   c    -      c
	accounts Aany           c   c     s   c    s      s
	accounts Zabeta         c   c     s   -    s      s
	certificates Cdev       c   c     c   c    c      c
	certificates Zclive     c   c     -   c    -      c
	deployments WebDev      c   -     c   c    c      -
	deployments WebLive     c   -     -   c    -      c
	deployments ShopDev     -   c     c   c    -      c
	deployments WebDevAcme  c   -     c   c    c      -
	deployments WebDevBeta  c   -     c   -    c      -
	runbookRuns WebDev      c   -     c   c    c      -
	runbookRuns WebLive     c   -     -   c    -      c
	runbookRuns ShopDev     -   c     c   c    -      c
	tasks WebDev            c   -     c   c    c      -
	tasks WebLive           c   -     -   c    -      c
	tasks ShopDev           -   c     c   c    -      c
	tasks WebDevBeta        c   -     c   -    c      -
	interruptions WebDev    c   -     c   c    c      -
	interruptions WebLive   c   -     -   c    -      c
	interruptions WebDevBeta c  -     c   -    c      -
	artifacts WebDev        c   -     c   c    c      -
	artifacts WebLive       c   -     -   c    -      c
	artifacts WebDevBeta    c   -     c   -    c      -
`

// scoped is a server with two projects, environments and tenants, and people whose roles are restricted.
type scoped struct {
	w      *world
	ids    map[string]string // "machines Mdev" -> its id
	people map[string]*world
}

func newScoped(t *testing.T, w *world) *scoped {
	t.Helper()
	s := &scoped{w: w, ids: map[string]string{"projectgroups Default": "ProjectGroups-1"}, people: map[string]*world{}}
	add := func(kind, name string, body fields) string {
		if _, ok := body["Name"]; !ok {
			body["Name"] = name
		}
		id := w.create(space+kind, body).Text("Id")
		s.ids[kind+" "+name] = id
		return id
	}
	dev, live := add("environments", "Dev", fields{}), add("environments", "Zlive", fields{})
	groups := map[string]string{"Web": "ProjectGroups-1", "Shop": add("projectgroups", "Sales", fields{})}
	lifecycle := w.create(space+"lifecycles", fields{"Name": "Any", "Phases": []fields{{"Name": "Any", "OptionalDeploymentTargets": []string{dev, live}}}}).Text("Id")
	both, project, release, run := []string{dev, live}, map[string]string{}, map[string]string{}, map[string]string{}
	for _, name := range []string{"Web", "Shop"} {
		p := add("projects", name, fields{"ProjectGroupId": groups[name], "LifecycleId": lifecycle, "TenantedDeploymentMode": "TenantedOrUntenanted"})
		project[name] = p
		w.process(p, step("Approve", "Octopus.Manual", fields{"Octopus.Action.Manual.Instructions": "Look"}))
		s.ids["deploymentprocesses "+name] = "deploymentprocess-" + p
		add("channels", name, fields{"Name": "Channel of " + name, "ProjectId": p})
		release[name] = add("releases", name, fields{"ProjectId": p, "Version": "1.0"})
		book := add("runbooks", name, fields{"Name": "Runbook of " + name, "ProjectId": p, "EnvironmentScope": "All"})
		s.ids["runbookProcesses "+name] = "RunbookProcess-" + book
		run[name] = book
		add("projecttriggers", name, fields{"Name": "Trigger of " + name, "ProjectId": p, "Filter": fields{"FilterType": "CronExpressionSchedule", "CronExpression": "0 0 1 1 *", "Timezone": "UTC"},
			"Action": fields{"ActionType": "DeployLatestRelease", "SourceEnvironmentIds": []string{dev}, "DestinationEnvironmentId": dev}})
	}
	connected := fields{"ProjectEnvironments": fields{project["Web"]: both, project["Shop"]: both}}
	acme, beta := add("tenants", "Acme", connected), add("tenants", "Zbeta", fields{"ProjectEnvironments": connected["ProjectEnvironments"]})
	add("libraryvariablesets", "Set", fields{})
	tenanted := func(ids []string, tenants ...string) fields {
		f := fields{"EnvironmentIds": ids}
		if len(tenants) > 0 {
			f["TenantIds"], f["TenantedDeploymentParticipation"] = tenants, "Tenanted"
		}
		return f
	}
	for name, f := range map[string]fields{"Mdev": tenanted([]string{dev}), "Zmlive": tenanted([]string{live}), "Mboth": tenanted(both), "Macme": tenanted([]string{dev}, acme), "Zmbeta": tenanted([]string{dev}, beta)} {
		f["Roles"], f["Endpoint"] = []string{"r"}, fields{"CommunicationStyle": "None"}
		add("machines", name, f)
	}
	for name, f := range map[string]fields{"Adev": tenanted([]string{dev}), "Zalive": tenanted([]string{live}), "Aany": tenanted(nil), "Zabeta": tenanted(nil, beta)} {
		f["AccountType"], f["Username"] = "UsernamePassword", "u"
		add("accounts", name, f)
	}
	c, key := selfSigned(t, "acme.test")
	pfx, err := pkcs12.Modern.Encode(key, c, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]string{"Cdev": dev, "Zclive": live} {
		add("certificates", name, fields{"CertificateData": fields{"NewValue": base64.StdEncoding.EncodeToString(pfx)}, "EnvironmentIds": []string{in}})
	}
	for _, d := range []struct{ name, project, environment, tenant string }{{"WebDev", "Web", dev, ""}, {"WebLive", "Web", live, ""}, {"ShopDev", "Shop", dev, ""}, {"WebDevAcme", "Web", dev, acme}, {"WebDevBeta", "Web", dev, beta}} {
		body := fields{"ReleaseId": release[d.project], "EnvironmentId": d.environment}
		if d.tenant != "" {
			body["TenantId"] = d.tenant
		}
		made := w.create(space+"deployments", body)
		s.ids["deployments "+d.name], s.ids["tasks "+d.name] = made.Text("Id"), made.Text("TaskId")
		s.ids["interruptions "+d.name] = w.asked(made.Text("TaskId")).Text("Id")
		add("artifacts", d.name, fields{"Name": "", "Filename": d.name + ".txt", "ServerTaskId": made.Text("TaskId")})
	}
	for _, r := range []struct{ name, project, environment string }{{"WebDev", "Web", dev}, {"WebLive", "Web", live}, {"ShopDev", "Shop", dev}} {
		p := w.get(space + "runbookProcesses/RunbookProcess-" + run[r.project])
		p.Set("Steps", []fields{bash("Say", "true")})
		w.want(http.StatusOK, http.MethodPut, space+"runbookProcesses/RunbookProcess-"+run[r.project], p)
		snapshot := w.create(space+"runbookSnapshots", fields{"Name": "Snapshot " + r.name, "RunbookId": run[r.project], "ProjectId": project[r.project]}).Text("Id")
		s.ids["runbookRuns "+r.name] = w.create(space+"runbookRuns", fields{"RunbookId": run[r.project], "RunbookSnapshotId": snapshot, "EnvironmentId": r.environment}).Text("Id")
	}
	manager := func(restricted fields) fields {
		restricted["UserRoleId"], restricted["SpaceId"] = "userroles-spacemanager", "Spaces-1"
		return restricted
	}
	web, shop := []string{project["Web"]}, []string{project["Shop"]}
	s.people["web"] = w.user("web", manager(fields{"ProjectIds": web}))
	s.people["sales"] = w.user("sales", manager(fields{"ProjectGroupIds": []string{groups["Shop"]}}))
	s.people["dev"] = w.user("dev", manager(fields{"EnvironmentIds": both[:1]}))
	s.people["acme"] = w.user("acme", manager(fields{"TenantIds": []string{acme}}))
	s.people["webdev"] = w.user("webdev", manager(fields{"ProjectIds": web, "EnvironmentIds": both[:1]}))
	s.people["two"] = w.user("two", manager(fields{"ProjectIds": web, "EnvironmentIds": both[1:]}))
	second := w.create("/api/teams", fields{"Name": "second team of two", "MemberUserIds": []string{s.people["two"].get("/api/users/me").Text("Id")}})
	w.create("/api/scopeduserroles", manager(fields{"TeamId": second.Text("Id"), "ProjectIds": shop, "EnvironmentIds": both[:1]}))
	return s
}

func TestRestrictedRolesReachWhatTheyAreFor(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{})
	s := newScoped(t, w)
	lines := strings.Split(strings.TrimSpace(scopes), "\n")
	columns := strings.Fields(lines[0])[1:]
	hidden := map[string][]string{} // by person: names and ids that nothing may tell
	for _, line := range lines[1:] {
		f := strings.Fields(line)
		kind, name := f[0], f[1]
		id := s.ids[kind+" "+name]
		if id == "" {
			t.Fatalf("there is no %s %s", kind, name)
		}
		for i, person := range columns {
			expected := f[2+i]
			if expected == "-" && kind == "projects" {
				hidden[person] = append(hidden[person], `"Name":"`+name+`"`)
			}
			if expected == "-" && strings.HasPrefix(name, "Z") {
				hidden[person] = append(hidden[person], `"`+name+`"`)
			}
			if expected == "-" && slices.Contains([]string{"deployments", "tasks", "runbookRuns"}, kind) {
				hidden[person] = append(hidden[person], `"`+id+`"`)
			}
			t.Run(kind+"/"+name+"/"+person, func(t *testing.T) { s.check(t, s.people[person], kind, id, expected) })
		}
	}
	for person, texts := range hidden {
		t.Run("nothing else tells "+person, func(t *testing.T) {
			for _, path := range []string{"dashboard", "dashboard/dynamic?includePrevious=true", "dashboardconfiguration", "progression/" + s.ids["projects Web"], "projects/" + s.ids["projects Web"] + "/progression",
				"progression/runbooks/" + s.ids["projects Web"], "progression/runbooks/taskRuns", "environments/summary", "environments/v2", "machineroles/all", "releases/" + s.ids["releases Web"] + "/progression",
				"releases/" + s.ids["releases Web"] + "/deployments", "releases/" + s.ids["releases Web"] + "/deployments/template", "reporting/deployments/xml", "variables/variableset-" + s.ids["projects Web"],
				"projects/" + s.ids["projects Web"] + "/summary", "lifecycles/Lifecycles-1/preview", "lifecycles/Lifecycles-1/projects", "projectgroups/ProjectGroups-1/projects", "runbooks/" + s.ids["runbooks Web"] + "/environments",
				"tenants/variables-missing", "tenantvariables/all", "environments/" + s.ids["environments Dev"] + "/machines", "tasks?active=true&take=1000", "tasks/all", "events?take=1000&excludeDifference=true", "artifacts?take=1000",
				"interruptions?take=1000&pendingOnly=true", "channels/" + s.ids["channels Web"] + "/releases", "runbookSnapshots?take=1000", "accounts/" + s.ids["accounts Adev"] + "/usages", "accounts/all", "machines/all"} {
				status, text := s.people[person].send(http.MethodGet, space+path, nil)
				for _, secret := range texts {
					if status == http.StatusOK && strings.Contains(string(text), secret) {
						at := strings.Index(string(text), secret)
						t.Errorf("%s tells %s: ...%s", path, secret, text[max(0, at-150):min(len(text), at+60)])
					}
				}
			}
			if _, text := s.people[person].send(http.MethodGet, "/api/spaces/Spaces-1/search?keyword=z", nil); slices.ContainsFunc(texts, func(secret string) bool { return strings.Contains(string(text), secret) }) {
				t.Errorf("the search tells of %v: %s", texts, text)
			}
		})
	}
}

// TestNothingIsMadeBeyondARestriction: what a restricted role may make, and where it may move things, ends where it does.
func TestNothingIsMadeBeyondARestriction(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{})
	s := newScoped(t, w)
	dev, live, web, shop := s.ids["environments Dev"], s.ids["environments Zlive"], s.ids["projects Web"], s.ids["projects Shop"]
	target := func(environment string) fields {
		return fields{"Name": "M", "EnvironmentIds": []string{environment}, "Roles": []string{"r"}, "Endpoint": fields{"CommunicationStyle": "None"}}
	}
	moved := w.get(space + "machines/" + s.ids["machines Mdev"])
	moved.Set("EnvironmentIds", []string{dev, live})
	project := func(group string) fields {
		return fields{"Name": "P", "ProjectGroupId": group, "LifecycleId": "Lifecycles-1"}
	}
	for name, a := range map[string]struct {
		who, method, path string
		body              any
	}{
		"a release of another project":              {"web", "POST", "releases", fields{"ProjectId": shop, "Version": "2.0"}},
		"that by its name":                          {"web", "POST", "releases/create/v1", fields{"spaceId": "Spaces-1", "projectName": "Shop", "releaseVersion": "2.0"}},
		"a deployment of another project":           {"web", "POST", "deployments", fields{"ReleaseId": s.ids["releases Shop"], "EnvironmentId": dev}},
		"a deployment to another environment":       {"dev", "POST", "deployments", fields{"ReleaseId": s.ids["releases Web"], "EnvironmentId": live}},
		"one by the names of both":                  {"dev", "POST", "deployments/create/untenanted/v1", fields{"spaceId": "Spaces-1", "projectName": "Web", "releaseVersion": "1.0", "environmentNames": []string{"Zlive"}}},
		"a deployment where two teams do not meet":  {"two", "POST", "deployments", fields{"ReleaseId": s.ids["releases Web"], "EnvironmentId": dev}},
		"a deployment for another tenant":           {"acme", "POST", "deployments", fields{"ReleaseId": s.ids["releases Web"], "EnvironmentId": dev, "TenantId": s.ids["tenants Zbeta"]}},
		"a run in another environment":              {"dev", "POST", "runbookRuns", fields{"RunbookId": s.ids["runbooks Web"], "EnvironmentId": live}},
		"a run of another project":                  {"web", "POST", "runbookRuns", fields{"RunbookId": s.ids["runbooks Shop"], "EnvironmentId": dev}},
		"a runbook of another project":              {"web", "POST", "runbooks", fields{"Name": "R", "ProjectId": shop}},
		"a channel of another project":              {"web", "POST", "channels", fields{"Name": "C", "ProjectId": shop}},
		"a trigger of another project":              {"web", "POST", "projecttriggers", fields{"Name": "T", "ProjectId": shop, "Filter": fields{"FilterType": "CronExpressionSchedule", "CronExpression": "0 0 1 1 *"}, "Action": fields{"ActionType": "DeployLatestRelease"}}},
		"a target in another environment":           {"dev", "POST", "machines", target(live)},
		"a target moved into another environment":   {"dev", "PUT", "machines/" + moved.Text("Id"), moved},
		"an account for another environment":        {"dev", "POST", "accounts", fields{"Name": "A", "AccountType": "UsernamePassword", "Username": "u", "EnvironmentIds": []string{live}}},
		"an account for all environments":           {"dev", "POST", "accounts", fields{"Name": "A", "AccountType": "UsernamePassword", "Username": "u"}},
		"a project in another group":                {"sales", "POST", "projects", project("ProjectGroups-1")},
		"a project where only projects are held":    {"web", "POST", "projects", project("ProjectGroups-1")},
		"a tenant where only one is held":           {"acme", "POST", "tenants", fields{"Name": "T"}},
		"an artifact of another project's task":     {"web", "POST", "artifacts", fields{"Filename": "f", "ServerTaskId": s.ids["tasks ShopDev"]}},
		"a task in another environment":             {"dev", "POST", "tasks", fields{"Name": "Health", "SpaceId": "Spaces-1", "Arguments": fields{"EnvironmentId": live}}},
		"the end of another environment's task":     {"dev", "POST", "tasks/" + s.ids["tasks WebLive"] + "/cancel", nil},
		"an answer in another environment":          {"dev", "POST", "interruptions/" + s.ids["interruptions WebLive"] + "/submit", fields{"Result": "Proceed"}},
		"the content of another project's artifact": {"sales", "PUT", "artifacts/" + s.ids["artifacts WebDev"] + "/content", "stolen"},
		"the variables of another project":          {"web", "PUT", "variables/variableset-" + shop, fields{"Version": 0, "Variables": []any{}}},
		"the process of another project":            {"sales", "PUT", "projects/" + web + "/deploymentprocesses", fields{"Version": 1, "Steps": []any{}}},
	} {
		status, text := s.people[a.who].send(a.method, space+a.path, a.body)
		// What is looked up by its name and hidden is not there.
		unknown := status == http.StatusBadRequest && strings.Contains(string(text), "There is no environment")
		if status != http.StatusForbidden && status != http.StatusNotFound && !unknown {
			t.Errorf("%s: %d: %.200s", name, status, text)
		}
	}
	// A project that comes to the group is one of the group at once, with all that belongs to it.
	made := s.people["sales"].create(space+"projects", project(s.ids["projectgroups Sales"])).Text("Id")
	s.people["sales"].create(space+"releases", fields{"ProjectId": made, "Version": "1.0"})
	s.people["dev"].create(space+"machines", target(dev))
	w.want(http.StatusOK, http.MethodDelete, space+"artifacts/"+s.ids["artifacts WebDev"], nil)
}

// check asks about one thing in every way in which it could be read or changed.
func (s *scoped) check(t *testing.T, p *world, kind, id, expected string) {
	t.Helper()
	p = &world{t: t, url: p.url, key: p.key}
	path, sees := space+kind+"/"+id, expected != "-"
	status, _ := p.send(http.MethodGet, path, nil)
	if sees != (status == http.StatusOK) || !sees && status != http.StatusNotFound {
		t.Errorf("reading it: %d", status)
	}
	full := s.w.get(path)
	name := full.Text("Name")
	if slices.Contains([]string{"releases", "deployments", "runbookRuns", "tasks"}, kind) { // not found by it, or shared by several
		name = ""
	}
	for _, query := range []string{"take=1000", "ids=" + id + "," + "Nothing-1", "partialName=" + url.QueryEscape(name) + "&take=1000"} {
		if kind == "deploymentprocesses" || kind == "runbookProcesses" || strings.HasPrefix(query, "partialName") && name == "" {
			continue
		}
		page := p.get(space + kind + "?" + query)
		items := page.Objects("Items")
		found := slices.ContainsFunc(items, func(o octopus.Object) bool { return o.Text("Id") == id })
		if found != sees || page.Int("TotalResults") != int64(len(items)) {
			t.Errorf("a list by %s: found %v, %d of %d", query, found, len(items), page.Int("TotalResults"))
		}
	}
	if slug := full.Text("Slug"); slug != "" && !sees {
		p.want(http.StatusNotFound, http.MethodGet, space+kind+"/"+slug, nil)
	}
	if name != "" && !sees {
		p.want(http.StatusNotFound, http.MethodGet, space+kind+"/"+url.PathEscape(name), nil)
	}
	// An event about something in two environments is seen by whom one of them is open to, as the thing is.
	total := p.get(space + "events?take=1&regarding=" + id).Int("TotalResults")
	if all := s.w.get(space + "events?take=1&regarding=" + id).Int("TotalResults"); !sees && total != 0 && kind != "environments" || sees && total == 0 && all > 0 && kind != "projectgroups" {
		_, text := p.send(http.MethodGet, space+"events?take=1000&excludeDifference=true&regarding="+id, nil)
		t.Errorf("%d events of %d: %s", total, all, text)
	}
	if kind == "tasks" {
		for _, part := range []string{"/details", "/raw", "/queued-behind"} {
			if status, _ := p.send(http.MethodGet, path+part, nil); sees != (status == http.StatusOK) {
				t.Errorf("its %s: %d", part, status)
			}
		}
	}
	method, changed, body := http.MethodPut, path, any(full)
	switch kind {
	case "interruptions":
		changed, body = path+"/responsible", nil
	case "tasks": // what has not ended cannot be forced into another state than one of the end: refused, but as nonsense
		method, changed, body = http.MethodPost, path+"/state", fields{"State": "Nonsense"}
	case "deployments", "runbookRuns": // under way: refused, but not for want of the permission
		method, body = http.MethodDelete, nil
		if expected == "c" {
			return
		}
	}
	status, text := p.send(method, changed, body)
	if want := map[string]int{"c": http.StatusOK, "s": http.StatusForbidden, "-": http.StatusNotFound}[expected]; status != want && (expected != "c" || kind != "tasks" || status != http.StatusBadRequest) {
		t.Errorf("changing it: %d: %.200s", status, text)
	}
}
