package spaceserver_test

import (
	"bufio"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"odcm/octopus"
	"odcm/spaceserver"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/kinds"
	"odcm/spaceserver/internal/kinds/host"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/rest"
	"odcm/spaceserver/internal/transfer"
)

// TestEveryRouteWithEveryRole asks every route of the API as someone who holds one built-in role and nothing else. What the
// role may is in testdata/roles.txt, what the route needs in testdata/routes.txt, both from the public documentation.
func TestEveryRouteWithEveryRole(t *testing.T) {
	t.Parallel()
	roles, needs := readRoles(t), readRoutes(t)
	w := start(t, spaceserver.Options{})
	v := &visitors{things: things{w: w, made: map[string]string{"spaces": "Spaces-1"}}}
	for _, name := range roles.names {
		role := fields{"UserRoleId": roleID(name)}
		if len(roles.space[name]) > 0 {
			role["SpaceId"] = "Spaces-1"
		}
		v.people = append(v.people, visitor{name, w.user(strings.ReplaceAll(strings.ToLower(name), " ", "-"), role)})
	}
	asked := 0
	ask := func(route collection.Action, need string, server bool) {
		for _, p := range v.people {
			asked++
			v.ask(p, route, server, roles.may(p.role, need))
		}
	}
	for _, route := range routes(t) {
		need, ok := needs.of(route, false)
		if !ok {
			t.Errorf("%s %s is not in testdata/routes.txt: say what the documentation says it needs", route.Method, route.Path)
			continue
		}
		ask(route, need, route.Scope == collection.InSystem || route.Scope == collection.InBoth && ofServer(need))
		if route.Scope != collection.InBoth || ofServer(need) {
			continue
		}
		if need, ok = needs.of(route, true); !ok {
			t.Errorf("%s /%s is not in testdata/routes.txt: the route answers without a space too", route.Method, route.Path)
			continue
		}
		ask(route, need, true)
	}
	if asked < 10_000 {
		t.Errorf("%d questions: the test sees too little", asked)
	}
	for route := range needs.exact {
		if !needs.used[route] {
			t.Errorf("%s is in testdata/routes.txt and not a route", route)
		}
	}
	// What is asked about things that are not there shows less: a 404 may be for want of the thing. These are all.
	slices.Sort(v.absent)
	if got := strings.Join(slices.Compact(v.absent), "\n"); got != strings.Join(absent, "\n") {
		t.Errorf("asked about what is not there:\n%s", got)
	}
}

// absent are the routes that there is nothing to ask about: no provider to sign in with is set up, and nothing runs by schedule.
var absent = []string{"GET externalgroups/{provider}", "GET externalusers/{provider}", "GET scheduler/{name}/logs", "GET signin/{provider}", "GET users/authenticatedToken/{provider}",
	"POST users/authenticate/{provider}", "POST users/authenticatedToken/{provider}"}

// TestRolesAreTheDocumentedOnes compares the built-in roles with the documentation, permission by permission.
func TestRolesAreTheDocumentedOnes(t *testing.T) {
	t.Parallel()
	documented := readRoles(t)
	built := permission.BuiltIn()
	if len(built) != len(documented.names) {
		t.Errorf("%d built-in roles, the documentation has %d", len(built), len(documented.names))
	}
	for _, role := range built {
		name := ""
		for _, n := range documented.names {
			if strings.EqualFold(n, role.Name) {
				name = n
			}
		}
		for where, grants := range map[string][2][]string{"space": {texts(role.Space), documented.space[name]}, "system": {texts(role.System), documented.system[name]}} {
			for _, want := range grants[1] {
				if !slices.Contains(grants[0], want) {
					t.Errorf("%s lacks %s (%s)", role.Name, want, where)
				}
			}
			for _, got := range grants[0] {
				// What came after the page was written goes to who may do everything.
				if !slices.Contains(grants[1], got) && role.ID != permission.SpaceManager && role.ID != permission.SystemAdministrator && role.ID != permission.SystemManager {
					t.Errorf("%s has %s (%s), which the documentation does not give it", role.Name, got, where)
				}
			}
		}
	}
}

func texts(names []permission.Name) []string {
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = string(n)
	}
	return list
}

func roleID(name string) string {
	return "userroles-" + strings.ReplaceAll(strings.ToLower(name), " ", "")
}

// roleTable is testdata/roles.txt.
type roleTable struct {
	names         []string
	space, system map[string][]string
}

func readRoles(t *testing.T) roleTable {
	t.Helper()
	table := roleTable{space: map[string][]string{}, system: map[string][]string{}}
	for _, line := range readLines(t, "roles.txt") {
		columns := strings.Split(line, "\t")
		if len(columns) != 3 {
			t.Fatalf("roles.txt: %q has not three columns", line)
		}
		if !slices.Contains(table.names, columns[0]) {
			table.names = append(table.names, columns[0])
		}
		if columns[1] == "space" {
			table.space[columns[0]] = append(table.space[columns[0]], columns[2])
		} else {
			table.system[columns[0]] = append(table.system[columns[0]], columns[2])
		}
	}
	return table
}

// may tells whether the role is enough for a need: see testdata/routes.txt.
func (r roleTable) may(role, need string) bool {
	if role == "System Administrator" {
		return true // may do anything, in every space
	}
	held := func(one string) bool {
		name, system := strings.CutPrefix(one, "system:")
		switch {
		case one == "anonymous", one == "signed-in":
			return true
		case one == "enters":
			return len(r.space[role]) > 0
		case system:
			return slices.Contains(r.system[role], name)
		}
		return slices.Contains(r.space[role], name)
	}
	return slices.ContainsFunc(strings.Split(need, "|"), func(all string) bool {
		return !slices.ContainsFunc(strings.Split(all, "+"), func(one string) bool { return !held(one) })
	})
}

// needTable is testdata/routes.txt.
type needTable struct {
	kinds map[string][4]string // route of a kind -> view, create, edit, delete
	exact map[string]string    // "GET accounts/{id}/usages" -> need
	used  map[string]bool
}

func readRoutes(t *testing.T) needTable {
	t.Helper()
	table := needTable{kinds: map[string][4]string{}, exact: map[string]string{}, used: map[string]bool{}}
	for _, line := range readLines(t, "routes.txt") {
		columns := strings.Fields(line)
		switch {
		case len(columns) == 6 && columns[0] == "kind":
			table.kinds[columns[1]] = [4]string(columns[2:])
		case len(columns) == 3:
			table.exact[columns[0]+" "+columns[1]] = columns[2]
		default:
			t.Fatalf("routes.txt: %q is neither a kind with its four permissions nor a route with its need", line)
		}
	}
	return table
}

// of finds what a route needs in the space, or on the server if it answers there too: its own line, or that of its kind where
// it is one of the usual verbs.
func (n needTable) of(a collection.Action, server bool) (string, bool) {
	key := a.Method + " " + a.Path
	if server {
		key = a.Method + " /" + a.Path
	}
	if need, ok := n.exact[key]; ok || server {
		n.used[key] = true
		return need, ok
	}
	segments := strings.Split(a.Path, "/")
	last := segments[len(segments)-1]
	if last == "all" || last == "{id}" {
		segments = segments[:len(segments)-1]
	}
	if len(segments) == 3 && segments[1] == "{owner}" {
		segments = segments[2:]
	}
	four, ok := n.kinds[strings.Join(segments, "/")]
	if !ok {
		return "", false
	}
	return four[map[string]int{http.MethodGet: 0, http.MethodPost: 1, http.MethodPut: 2, http.MethodDelete: 3}[a.Method]], true
}

// ofServer tells whether a need has nothing to do with a space.
func ofServer(need string) bool {
	return strings.HasPrefix(need, "system:") || need == "signed-in" || need == "anonymous" || need == "nobody"
}

func readLines(t *testing.T, name string) []string {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var lines []string
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		if line := strings.TrimSpace(scanner.Text()); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	return lines
}

// routes are all that the server answers but pages.
func routes(t *testing.T) []collection.Action {
	t.Helper()
	h := &host.Host{}
	s, err := collection.New(collection.Options{Kinds: kinds.Table(h)})
	if err != nil {
		t.Fatal(err)
	}
	handler, err := rest.New(rest.Options{Service: s, Actions: slices.Concat(kinds.Actions(h), transfer.New(h, s).Actions()), Page: func(*rest.Handler) http.Handler { return http.NotFoundHandler() }})
	if err != nil {
		t.Fatal(err)
	}
	return handler.Routes()
}

type visitor struct {
	role string
	*world
}

type visitors struct {
	things
	people []visitor
	absent []string
}

// ask sends one request. Who may not is told 403, or 404 where the thing is not shown to him; who may is told neither 401
// nor 403, and of what there is, not 404.
func (v *visitors) ask(p visitor, a collection.Action, server, may bool) {
	t := v.w.t
	t.Helper()
	// What goes by being asked for is made for each of those who may.
	path, real := v.path(a, server, may && (a.Method == http.MethodDelete || strings.HasSuffix(a.Path, "/deprovision")))
	if !real {
		v.absent = append(v.absent, a.Method+" "+a.Path)
	}
	status, text := p.send(a.Method, path, v.body(a, path))
	denied := status == http.StatusForbidden || status == http.StatusUnauthorized
	hidden := status == http.StatusNotFound && !strings.Contains(string(text), "There is no logo")
	word := "may not"
	switch {
	case may && !denied && (!hidden || !real), !may && (denied || hidden):
		return
	case may:
		word = "may"
	}
	t.Errorf("%s %s: a %s %s, and was answered %d: %.150s", a.Method, path, p.role, word, status, text)
}

// body is what is sent along: what is there already, or nothing that could be made of it.
func (v *visitors) body(a collection.Action, path string) any {
	switch {
	case a.Method == http.MethodPut:
		if status, text := v.w.send(http.MethodGet, path, nil); status == http.StatusOK {
			if o, err := octopus.ParseObject(text); err == nil {
				return o
			}
		}
		return fields{}
	case strings.HasSuffix(a.Path, "create/v1") && a.Scope == collection.InSpace: // finds its project by name
		return fields{"spaceId": "Spaces-1", "projectName": v.once("projects"), "runbookName": v.once("runbooks")}
	case a.Method == http.MethodPost:
		return fields{}
	}
	return nil
}

// path fills in a route. real is false where it names something that is not there.
func (v *visitors) path(a collection.Action, server, fresh bool) (path string, real bool) {
	segments, real := strings.Split(a.Path, "/"), true
	last := len(segments) - 1
	for last > 0 && segments[last][0] != '{' {
		last--
	}
	for i, s := range segments {
		if !strings.HasPrefix(s, "{") || i == 0 {
			continue
		}
		of := kindOf(segments[:i+1], server)
		if strings.HasPrefix(a.Path, "packages/{id}/{version}") && i == 1 {
			of = "packages name"
		}
		id := ""
		if fresh && i == last {
			id = v.make(of)
		} else {
			id = v.once(of)
		}
		if id == "" {
			id, real = "Nothing-0", false
		}
		segments[i] = id
	}
	path = strings.Join(segments, "/")
	switch {
	case slices.Contains([]string{".well-known", "token", "signin"}, segments[0]):
		return "/" + path, real
	case path == "root":
		return "/api", real
	case path == "spacehome":
		return "/api/Spaces-1", real
	case server:
		return "/api/" + path, real
	}
	return "/api/Spaces-1/" + path, real
}

// kindOf names what the last segment of a path, a parameter, stands for: mostly the segment before it, or the parameter itself.
func kindOf(segments []string, server bool) string {
	before, parameter := segments[len(segments)-2], strings.Trim(segments[len(segments)-1], "{}")
	switch parameter {
	case "project", "environment", "tenant", "channel":
		if before == "environments" || before == "ephemeral" {
			return "ephemeral"
		}
		return parameter + "s"
	case "name":
		return before + " name"
	case "space", "identity", "key", "provider":
		return parameter
	case "version":
		return segments[0] + " version"
	}
	switch path := strings.Join(segments[:len(segments)-1], "/"); {
	case path == "scheduler":
		return path
	case strings.HasPrefix(path, "progression"):
		return "projects"
	case before == "authentication":
		return "users"
	case before == "rerun", server && before == "tasks":
		return map[bool]string{true: "/tasks", false: "tasks"}[server]
	case server && (before == "teams" || before == "scopeduserroles" || before == "events"):
		return "/" + before
	case path == "communityactiontemplates":
		return path
	}
	return before
}
