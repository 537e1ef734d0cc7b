package octotest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"slices"
	"strconv"
	"strings"

	"odcm/octopus"
)

// scenarios are what is not the life of one kind.
func (s *session) scenarios() {
	s.do("root", s.checkRoot)
	s.do("root/links", s.rootLinks)
	s.do("root/space", s.spaceRoot)
	s.do("recorded/tasks", s.recordedTasks)
	s.do("tasks/life", s.taskLife)
	s.do("errors/no-key", func() { s.keyless("") })
	s.do("errors/wrong-key", func() { s.keyless("API-WRONGWRONGWRONGWRONGWRONG") })
	s.do("errors/invalid-json", s.invalidJSON)
	s.do("errors/unknown-route", func() {
		if a := s.send(request{method: "GET", path: "/api/nothing/of/this/name"}); a.status != 404 {
			s.problemf("%s: status %d instead of 404", a.what, a.status)
		}
	})
	s.do("names/any-case", s.anyCase)
	s.do("paging", s.paging)
	s.do("space/both-routes", s.bothRoutes)
	for _, path := range reads {
		s.do("read/"+strings.NewReplacer("{", "", "}", "").Replace(path), func() { s.read(path) })
	}
	for _, route := range settings {
		s.do("setting/"+route, func() { s.setting(octopus.Route(route)) })
	}
	s.do("setting/dashboardconfiguration", func() { s.setting(s.in("dashboardconfiguration")) })
	s.do("project/owns", s.projectOwns)
	s.do("events/created", s.eventsCreated)
	s.do("process/version", s.processVersion)
	s.do("variables/version", s.variableVersion)
	s.do("variables/secret", s.variableSecret)
	s.do("template/version", s.templateVersion)
	s.do("apikeys", s.apiKeys)
	s.do("sign-in", s.signIn)
	s.do("invitations", s.invitations)
	s.do("sign-in/providers", s.providers)
	s.do("apikeys/dates", s.keyDates)
	s.do("sign-in/service-accounts", s.trusted)
	s.do("sign-in/values", s.signInValues)
	s.do("sign-in/revoked", s.revoked)
	s.do("read/chosen", s.chosen)
	s.do("events/people", s.peopleEvents)
	s.do("packages", s.packages)
	s.do("packages/order", s.packageOrder)
	s.do("project/export", s.exportProject)
	s.do("build-information", s.buildInformation)
	s.do("executions/create-release", s.createRelease)
	s.do("executions/deploy", s.deploymentLife)
	s.do("ping", s.ping)
	s.do("octoclient", s.client)
}

// reads are routes to get, checked against the document by send. A leading "~" means below the space.
var reads = []string{
	"authentication", "capabilities", "configuration", "configuration/feature-toggles", "externalsecuritygroupproviders",
	"licenses/licenses-current", "licenses/licenses-current-status", "octopusservernodes/summary", "permissions/all", "serverstatus",
	"serverstatus/health", "serverstatus/system-info", "serverstatus/timezones", "serverconfiguration", "serverconfiguration/settings",
	"teammembership?userId={me}", "users/{me}/permissions", "users/{me}/permissions/configuration", "users/{me}/spaces", "users/{me}/teams",
	"users/authentication", "events/agents", "events/categories", "events/documenttypes", "events/groups", "scheduler", "tasks/tasktypes",
	"~accounts/{accounts}/usages", "~actiontemplates/categories", "~actiontemplates/search", "~actiontemplates/{actiontemplates}/usage",
	"~actiontemplates/{actiontemplates}/versions/{actiontemplates.Version}", "~channels/{channels}/releases", "~certificates/{certificates}/usages", "~dashboard", "~dashboard/dynamic",
	"~environments/summary", "~environments/{environments}/machines", "~events", "~feeds/feeds-builtin", "~feeds/stats",
	"~libraryvariablesets/{libraryvariablesets}/usages", "~lifecycles/{lifecycles}/preview", "~lifecycles/{lifecycles}/projects",
	"~machinepolicies/template", "~machinepolicies/{machinepolicies}/machines", "~machineroles/all", "~machines/{machines}/connection",
	"~machines/{machines}/tasks", "~packages", "~progression/{projects}", "~projectgroups/{projectgroups}/projects", "~projects/{projects}/channels",
	"~projects/{projects}/releases", "~projects/{projects}/runbooks", "~projects/{projects}/summary", "~projects/{projects}/triggers",
	"~deploymentprocesses/{projects.DeploymentProcessId}", "~deploymentprocesses/{projects.DeploymentProcessId}/template",
	"~retentionpolicies?RetentionType=LifecycleRelease", "~retentionpolicies?RetentionType=LifecycleTentacle", "~releases/{releases}/deployments", "~releases/{releases}/progression", "~releases/{releases}/defects",
	"~runbookProcesses/{runbooks.RunbookProcessId}", "~runbookProcesses/{runbooks.RunbookProcessId}/runbookSnapshotTemplate",
	"~tasks/{tasks}/details", "~teams/{teams}/scopeduserroles", "~tenants/{tenants}/variables", "~tenants/status",
	"~variables/{projects.VariableSetId}", "~variables/{libraryvariablesets.VariableSetId}", "~variables/names",
	"~workerpools/summary", "~workerpools/supportedtypes", "~workerpools/{workerpools}/workers", "~workers/{workers}/connection",
}

// settings are documents of the whole server that are got and put; putting back what was read changes nothing.
var settings = []string{"maintenanceconfiguration", "featuresconfiguration", "performanceconfiguration", "upgradeconfiguration"}

func (s *session) read(path string) {
	if rest, ok := strings.CutPrefix(path, "~"); ok {
		path = s.in(rest)
	} else {
		path = octopus.Route() + "/" + s.fill(path)
	}
	s.want(s.send(request{method: "GET", path: path}), 200)
}

func (s *session) setting(path string) {
	before := s.get(path)
	s.put(path, before)
	s.compare("GET "+path+" after putting back", s.get(path), before)
}

func (s *session) checkRoot() {
	anonymous := ""
	var first octopus.Object
	for _, path := range []string{"/api", "/api/"} {
		root := octopus.Root{Object: s.object(s.want(s.send(request{method: "GET", path: path, key: &anonymous}), 200))}
		if root.Application() != "Octopus Deploy" {
			s.problemf("GET %s: Application %q; clients insist on \"Octopus Deploy\"", path, root.Application())
		}
		if !root.Version().Valid() {
			s.problemf("GET %s: Version %q is no version", path, root.Version())
		}
		if !strings.HasPrefix(root.APIVersion(), "3.0.") {
			s.problemf("GET %s: ApiVersion %q; clients accept 3.0.x", path, root.APIVersion())
		}
		if root.Link("Self") == "" {
			s.problemf("GET %s: no link Self", path)
		}
		if first.Len() > 0 {
			s.compare("GET "+path, root.Object, first)
		}
		first = root.Object
	}
	for _, problem := range shape("", first, s.root, "Links") {
		s.problemf("GET /api, next to the recorded answer of 2019.7: %s", problem)
	}
}

// rootLinks: a root without links is of no use to clients that follow them. Of the links that a real server was recorded
// with, those must be there that lead to what the suite asks for; a default space's are on the root too.
func (s *session) rootLinks() {
	asked := map[string]bool{}
	for _, k := range s.kinds {
		asked[strings.ToLower(k.Route)] = true
	}
	for _, path := range append(append([]string{}, reads...), settings...) {
		asked[strings.ToLower(strings.TrimPrefix(path, "~"))] = true
	}
	root := s.get(octopus.RootRoute)
	for name := range s.root.Object("Links").All() {
		recorded, _, _ := strings.Cut(s.root.Link(name), "{")
		route := strings.TrimPrefix(strings.TrimPrefix(recorded, "/api/"), "Spaces-1/")
		switch link := root.Link(name); {
		case link == "" && asked[strings.ToLower(route)]:
			s.problemf("GET /api: no link %s, which leads to %s", name, recorded)
		case link != "" && (!strings.HasPrefix(link, "/") || strings.Count(link, "{") != strings.Count(link, "}")):
			s.problemf("GET /api: link %s is %q, no template of a path", name, link)
		}
	}
}

// recordedTasks compares a page of tasks with a recorded one.
func (s *session) recordedTasks() {
	s.id("tasks")
	live, old := octopus.Page{Object: s.get(s.in("tasks"))}, octopus.Page{Object: s.tasks}
	if len(live.Items()) == 0 {
		s.fatalf("GET tasks: none")
	}
	problems := shape("", live.Object, old.Object, "Items", "Links", "IsStale")
	problems = append(problems, shape("Items.", live.Items()[0], old.Items()[0], "Arguments", "Links")...)
	for _, problem := range problems {
		s.problemf("GET tasks, next to the recorded answer of 2017: %s", problem)
	}
	for _, link := range []string{"Self", "Web", "Raw", "Cancel", "Details", "Artifacts", "Interruptions"} {
		if live.Items()[0].Link(link) == "" {
			s.problemf("GET tasks: no link %s", link)
		}
	}
}

// shape tells which names of the recorded object the live one lacks or has with another JSON type. Null fits any.
func shape(at string, live, recorded octopus.Object, except ...string) (problems []string) {
	for name, raw := range recorded.All() {
		if slices.Contains(except, name) {
			continue
		}
		got, ok := live.Get(name)
		if !ok {
			problems = append(problems, at+name+" is missing")
		} else if a, b := jsonType(got), jsonType(raw); a != b && a != "null" && b != "null" {
			problems = append(problems, fmt.Sprintf("%s%s is %s, recorded is %s", at, name, a, b))
		}
	}
	return problems
}

func jsonType(raw json.RawMessage) string {
	switch raw[0] {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	return "number"
}

// spaceRoot: no Version on the space's root; the official Go client's tests want it empty.
func (s *session) spaceRoot() {
	root := s.get(octopus.SpaceRoute(s.server.Space))
	for _, name := range []string{"Version", "ApiVersion"} {
		if root.Text(name) != "" {
			s.problemf("GET %s: has a %s", octopus.SpaceRoute(s.server.Space), name)
		}
	}
	for _, link := range []string{"Self", "Web", "Environments", "Projects", "Lifecycles", "Feeds", "Machines", "Tenants"} {
		if root.Link(link) == "" {
			s.problemf("GET %s: no link %s", octopus.SpaceRoute(s.server.Space), link)
		}
	}
}

func (s *session) keyless(key string) {
	s.want(s.send(request{method: "GET", path: octopus.MeRoute, key: &key}), 401)
	s.want(s.send(request{method: "POST", path: s.in("environments"), body: fields{"Name": s.name("never")}, key: &key}), 401)
}

func (s *session) invalidJSON() {
	for _, body := range []string{`{"Name":`, `[]`, `"text"`, ``} {
		a := s.send(request{method: "POST", path: s.in("environments"), body: []byte(body)})
		if a.status != 400 {
			s.problemf("%s with body %q: status %d instead of 400", a.what, body, a.status)
		}
	}
}

// anyCase: clients send "Name" and "name".
func (s *session) anyCase() {
	name := s.name("environment")
	o := s.post(s.in("environments"), fields{"name": name, "description": "any case"})
	if o.Name() != name || o.Text("Description") != "any case" {
		s.problemf("POST with names in lower case: Name %q, Description %q", o.Name(), o.Text("Description"))
	}
	s.delete(s.in("environments/" + o.ID()))
}

func (s *session) paging() {
	prefix := s.name("page")
	ids := map[string]bool{}
	for range 3 {
		o := s.post(s.in("environments"), fields{"Name": prefix + s.name("")})
		ids[o.ID()] = true
		defer s.delete(s.in("environments/" + o.ID()))
	}
	query := "environments?partialName=" + strings.ReplaceAll(prefix, " ", "%20")
	for skip, want := range map[string]int{"0": 2, "2": 1, "3": 0} {
		p := octopus.Page{Object: s.get(s.in(query + "&take=2&skip=" + skip))}
		if len(p.Items()) != want || p.Total() != 3 || p.Int("ItemsPerPage") != 2 {
			s.problemf("skip=%s take=2: %d items of %d, %d for a page; want %d of 3, 2", skip, len(p.Items()), p.Total(), p.Int("ItemsPerPage"), want)
		}
		if next := p.Next(); (skip == "0") != (next != "") {
			s.problemf("skip=%s take=2: Page.Next is %q", skip, next)
		} else if next != "" {
			if rest := (octopus.Page{Object: s.get(next)}).Items(); len(rest) != 1 || !ids[rest[0].ID()] {
				s.problemf("GET Page.Next: %d items, want the last one", len(rest))
			}
		}
	}
	if p := (octopus.Page{Object: s.get(s.in(query + "&take=2147483647"))}); len(p.Items()) != 3 {
		s.problemf("take=2147483647: %d items, want 3", len(p.Items()))
	}
	if p := (octopus.Page{Object: s.get(s.in("environments"))}); p.Int("ItemsPerPage") != octopus.DefaultTake {
		s.problemf("without take: ItemsPerPage %d, want %d", p.Int("ItemsPerPage"), octopus.DefaultTake)
	}
}

// bothRoutes: what a space owns answers at /api/X for the default space and at /api/{space}/X.
func (s *session) bothRoutes() {
	space := octopus.Space{Object: s.get(octopus.Route("spaces", s.server.Space))}
	if !strings.Contains(space.Link("Web"), "/app#/") {
		s.problemf("GET spaces/%s: link Web is %q; the official CLI wants /app#/ in it", s.server.Space, space.Link("Web"))
	}
	if !space.IsDefault() {
		return
	}
	id := s.id("environments")
	s.compare("GET without the space", s.get(octopus.Route("environments", id)), s.get(s.in("environments/"+id)))
}

// projectOwns: a project comes with a default channel, a process and variables.
func (s *session) projectOwns() {
	project := octopus.Project{Object: s.need("projects")}
	defaults := 0
	for _, channel := range (octopus.Page{Object: s.get(s.in("projects/{projects}/channels"))}).Items() {
		if channel.Bool("IsDefault") {
			defaults++
		}
	}
	if defaults != 1 {
		s.problemf("a new project has %d default channels", defaults)
	}
	if set := s.get(s.in("variables/" + project.VariableSetID())); set.Text("OwnerId") != project.ID() {
		s.problemf("the variables of %s are owned by %q", project.ID(), set.Text("OwnerId"))
	}
	if process := s.get(s.in("deploymentprocesses/" + project.DeploymentProcessID())); process.Text("ProjectId") != project.ID() {
		s.problemf("the process of %s is of %q", project.ID(), process.Text("ProjectId"))
	}
}

// eventsCreated: what was made is in the audit, and the cursor fromAutoId finds it.
func (s *session) eventsCreated() {
	id := s.id("environments")
	events := octopus.Page{Object: s.get(s.in("events?regarding=" + id))}.Items()
	if len(events) == 0 || events[len(events)-1].Text("Category") != "Created" || !slices.Contains(events[len(events)-1].Texts("RelatedDocumentIds"), id) {
		s.fatalf("GET events?regarding=%s: %d events, the oldest of which does not tell of the creation", id, len(events))
	}
	if who := events[0].Text("UserId"); who != s.me.ID() {
		s.problemf("the event's UserId is %q, not %s", who, s.me.ID())
	}
	tail := octopus.Page{Object: s.get(s.in("events?fromAutoId=1&take=1"))}
	if len(tail.Items()) == 0 {
		s.problemf("GET events?fromAutoId=1: nothing")
	}
}

// createRelease: the executions API takes names in camel case and answers in Pascal case, on 2022.3 and newer.
func (s *session) createRelease() {
	root := octopus.Root{Object: s.get(octopus.RootRoute)}
	if !root.Version().AtLeast("2022.3.5512") {
		return
	}
	s.names++
	version := "2.0." + strconv.Itoa(s.names)
	made := s.post(s.in("releases/create/v1"), fields{"spaceId": s.server.Space, "spaceIdOrName": s.server.Space, "projectName": s.need("projects").Name(), "releaseVersion": version})
	if made.Text("ReleaseVersion") != version {
		s.problemf("POST releases/create/v1: ReleaseVersion %q, want %s", made.Text("ReleaseVersion"), version)
	}
	if release := s.get(s.in("releases/" + made.Text("ReleaseId"))); release.Text("Version") != version || release.Text("ProjectId") != s.id("projects") {
		s.problemf("the release is %s of %s", release.Text("Version"), release.Text("ProjectId"))
	}
	s.delete(s.in("releases/" + made.Text("ReleaseId")))
}

// processVersion: a process is put with the version that was read; an older one is refused (OctopusDeploy/Issues 716).
func (s *session) processVersion() {
	path := s.in("deploymentprocesses/{projects.DeploymentProcessId}")
	old := s.get(path)
	changed := old.Clone()
	changed.Set("Steps", []any{fields{
		"Name": "Hello", "PackageRequirement": "LetOctopusDecide", "Condition": "Success", "StartTrigger": "StartAfterPrevious", "Properties": fields{},
		"Actions": []any{fields{"Name": "Hello", "ActionType": "Octopus.Script", "IsDisabled": false, "Packages": []any{},
			"Properties": fields{"Octopus.Action.Script.ScriptSource": "Inline", "Octopus.Action.Script.Syntax": "Bash", "Octopus.Action.Script.ScriptBody": "echo hello"}}},
	}})
	put := s.put(path, changed)
	if put.Int("Version") <= old.Int("Version") {
		s.problemf("PUT %s: Version %d after %d", path, put.Int("Version"), old.Int("Version"))
	}
	steps := put.Objects("Steps")
	if len(steps) != 1 || steps[0].ID() == "" || len(steps[0].Objects("Actions")) != 1 || steps[0].Objects("Actions")[0].ID() == "" {
		raw, _ := put.Get("Steps")
		s.problemf("PUT %s: the step and its action have no identity: %.300s", path, raw)
	}
	s.outdated(path, changed)
}

func (s *session) variableVersion() {
	path := s.in("variables/{projects.VariableSetId}")
	old := s.get(path)
	changed := old.Clone()
	changed.Set("Variables", []any{variable("Colour", "blue", false)})
	put := s.put(path, changed)
	if put.Int("Version") <= old.Int("Version") {
		s.problemf("PUT %s: Version %d after %d", path, put.Int("Version"), old.Int("Version"))
	}
	if vs := put.Objects("Variables"); len(vs) != 1 || vs[0].ID() == "" || vs[0].Text("Value") != "blue" {
		s.problemf("PUT %s: the variable is not as it was sent, or has no identity", path)
	}
	s.outdated(path, changed)
}

func variable(name, value string, sensitive bool) fields {
	kind := "String"
	if sensitive {
		kind = "Sensitive"
	}
	return fields{"Name": name, "Value": value, "Type": kind, "IsSensitive": sensitive, "IsEditable": true, "Scope": fields{}}
}

// outdated puts a body whose version is not the current one. The status is 409 on some versions and 400 on others; the
// message is the same (OctopusDeploy/Issues 7936, 8464, 9559).
func (s *session) outdated(path string, body octopus.Object) {
	s.want(s.send(request{method: "PUT", path: path, body: body}), 409, 400)
}

func (s *session) variableSecret() {
	path := s.in("variables/{libraryvariablesets.VariableSetId}")
	set := s.get(path)
	set.Set("Variables", []any{variable("Password", s.secret(), true)})
	for _, o := range []octopus.Object{s.put(path, set), s.get(path), s.put(path, s.get(path))} {
		vs := o.Objects("Variables")
		if len(vs) != 1 || vs[0].Has("Value") || !vs[0].Bool("IsSensitive") {
			s.problemf("%s: a sensitive variable must read with Value null", path)
		}
	}
}

func (s *session) templateVersion() {
	path := s.in("actiontemplates/{actiontemplates}")
	before := octopus.ActionTemplate{Object: s.get(path)}
	changed := before.Clone()
	changed.Set("Description", "version "+s.run)
	if after := (octopus.ActionTemplate{Object: s.put(path, changed)}); after.Version() != before.Version()+1 {
		s.problemf("PUT %s: Version %d after %d, want one more", path, after.Version(), before.Version())
	}
}

// packages: any name of the form's field will do; a second time is a conflict, unless the mode says otherwise.
func (s *session) packages() {
	id := "Octotest" + strings.ReplaceAll(s.run, "-", "")
	upload := func(field, mode string) reply {
		var b bytes.Buffer
		form := multipart.NewWriter(&b)
		part, err := form.CreateFormFile(field, id+".1.0.0.zip")
		if err != nil {
			panic(err) // a buffer takes everything
		}
		_, _ = part.Write(emptyZip)
		_ = form.Close()
		return s.send(request{method: "POST", path: s.in("packages/raw") + mode, body: b.Bytes(), contentType: form.FormDataContentType()})
	}
	made := s.object(s.want(upload("file", "?overwriteMode=FailIfExists"), 201))
	path := s.in("packages/" + made.ID())
	if made.Text("PackageId") != id || made.Text("Version") != "1.0.0" || made.Int("PackageSizeBytes") != int64(len(emptyZip)) {
		s.problemf("POST packages/raw: %s %s of %d bytes", made.Text("PackageId"), made.Text("Version"), made.Int("PackageSizeBytes"))
	}
	s.want(upload("fileToUpload", "?overwriteMode=FailIfExists"), 409)
	s.want(upload("fileToUpload", "?overwriteMode=OverwriteExisting"), 200, 201)
	s.want(upload("x", "?overwriteMode=IgnoreIfExists"), 200, 201)
	s.get(path)
	if a := s.want(s.send(request{method: "GET", path: path + "/raw"}), 200); !bytes.Equal(a.body, emptyZip) {
		s.problemf("%s: not the bytes that were uploaded", a.what)
	}
	versions := octopus.Page{Object: s.get(s.in("feeds/feeds-builtin/packages/versions?packageId=" + id))}
	if len(versions.Items()) != 1 || versions.Items()[0].Text("Version") != "1.0.0" {
		s.problemf("GET packages/versions: %d versions, want the one", len(versions.Items()))
	}
	s.get(s.in("feeds/feeds-builtin/packages/search?term=" + id))
	s.delete(path)
	s.want(s.send(request{method: "GET", path: path}), 404)
}

// emptyZip is an archive with nothing in it.
var emptyZip = append([]byte("PK\x05\x06"), make([]byte, 18)...)

func (s *session) buildInformation() {
	route := s.in("build-information")
	made := s.post(route, fields{"PackageId": "Octotest" + s.run, "Version": "1.0.0",
		"OctopusBuildInformation": fields{"BuildEnvironment": "Test", "BuildNumber": "1", "Branch": "main", "Commits": []any{}}})
	s.get(route)
	s.compare("GET build information", s.get(route+"/"+made.ID()), made)
	s.delete(route + "/" + made.ID())
}

func (s *session) ping() {
	anonymous := ""
	a := s.send(request{method: "GET", path: octopus.PingRoute, key: &anonymous})
	if a.status != 200 && a.status != 418 {
		s.problemf("%s: status %d instead of 200, or 418 when drained", a.what, a.status)
	}
	summary := octopus.Nodes{Object: s.get(octopus.NodesRoute)}
	if len(summary.Nodes()) == 0 {
		s.problemf("GET %s: no nodes", octopus.NodesRoute)
	}
	for _, n := range summary.Nodes() {
		for _, name := range []string{"Name", "MaxConcurrentTasks", "IsInMaintenanceMode", "LastSeen", "Rank", "IsOffline", "RunningTaskCount"} {
			if _, ok := n.Get(name); !ok {
				s.problemf("GET %s: a node has no %s", octopus.NodesRoute, name)
			}
		}
	}
}
