package spaceserver_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"odcm/kit/db/dbtest"
	"odcm/spaceserver"
)

func TestPermissionsAreEnforced(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		web, shop := w.project("Web"), w.project("Shop")
		w.create("/api/Spaces-1/environments", fields{"Name": "Dev"})
		w.create("/api/Spaces-1/environments", fields{"Name": "Live"})
		me := w.get("/api/users/me").Text("Id")
		w.create("/api/spaces", fields{"Name": "Second", "SpaceManagersTeamMembers": []string{me}})

		viewer := w.user("viewer", fields{"UserRoleId": "userroles-projectviewer", "SpaceId": "Spaces-1", "ProjectIds": []string{web.Text("Id")}, "EnvironmentIds": []string{"Environments-1"}})
		contributor := w.user("contributor", fields{"UserRoleId": "userroles-projectcontributor", "SpaceId": "Spaces-1", "ProjectIds": []string{web.Text("Id")}})
		grouped := w.user("grouped", fields{"UserRoleId": "userroles-projectviewer", "SpaceId": "Spaces-1", "ProjectGroupIds": []string{"ProjectGroups-1"}})
		system := w.user("system-manager", fields{"UserRoleId": "userroles-systemmanager"})
		nobody := w.user("nobody")
		webVariables, shopVariables := "/api/Spaces-1/variables/"+web.Text("VariableSetId"), "/api/Spaces-1/variables/"+shop.Text("VariableSetId")

		for _, c := range []struct {
			who    *world
			status int
			method string
			path   string
			body   any
		}{
			{w.as(""), 401, "GET", "/api/Spaces-1/projects", nil},
			{w.as("API-WRONG"), 401, "GET", "/api/Spaces-1/projects", nil},
			{viewer, 200, "GET", "/api/Spaces-1/projects/web", nil},
			{viewer, 404, "GET", "/api/Spaces-1/projects/shop", nil},
			{viewer, 403, "GET", webVariables, nil}, // "Project contributors: editing and viewing variables" (user-roles)
			{contributor, 200, "GET", webVariables, nil},
			{contributor, 404, "GET", shopVariables, nil},
			{viewer, 403, "PUT", webVariables, fields{"Version": 0}},
			{viewer, 403, "DELETE", "/api/Spaces-1/projects/web", nil},
			{viewer, 403, "POST", "/api/Spaces-1/environments", fields{"Name": "New"}},
			{viewer, 404, "GET", "/api/Spaces-1/environments/live", nil},
			{viewer, 403, "GET", "/api/Spaces-2/projects", nil},
			{viewer, 404, "GET", "/api/spaces/Spaces-2", nil},
			{viewer, 403, "POST", "/api/spaces", fields{"Name": "Mine"}},
			{viewer, 403, "PUT", "/api/maintenanceconfiguration", fields{"IsInMaintenanceMode": true}},
			{viewer, 200, "GET", "/api/users/me", nil},
			{viewer, 200, "GET", "/api/users", nil}, // UserView comes with the role, on the whole server
			{nobody, 403, "GET", "/api/users", nil},
			{viewer, 403, "GET", "/api/users/" + me + "/apikeys", nil},
			{viewer, 403, "POST", "/api/users/" + me + "/apikeys", fields{"Purpose": "steal"}},
			{contributor, 200, "PUT", webVariables, fields{"Version": 0, "Variables": []any{}}},
			{contributor, 404, "PUT", shopVariables, fields{"Version": 0}},
			{contributor, 403, "POST", "/api/Spaces-1/releases", fields{"ProjectId": web.Text("Id"), "Version": "1"}},
			{grouped, 200, "GET", "/api/Spaces-1/projects/shop", nil},
			{system, 200, "GET", "/api/users", nil},
			{system, 403, "POST", "/api/userroles", fields{"Name": "Root", "GrantedSystemPermissions": []string{"AdministerSystem"}}},
			{system, 403, "POST", "/api/scopeduserroles", fields{"UserRoleId": "userroles-systemadministrator", "TeamId": "teams-managers"}},
			{system, 403, "GET", "/api/Spaces-1/projects", nil},
			{nobody, 403, "GET", "/api/Spaces-1/projects", nil},
			{nobody, 200, "GET", "/api/users/me", nil},
			{nobody, 403, "GET", "/api/events", nil},
		} {
			if got, text := c.who.send(c.method, c.path, c.body); got != c.status {
				t.Errorf("%s %s: status %d, want %d: %.200s", c.method, c.path, got, c.status, text)
			}
		}
		for who, want := range map[*world]int64{viewer: 1, contributor: 1, grouped: 2, w: 2} {
			if got := who.get("/api/Spaces-1/projects").Int("TotalResults"); got != want {
				t.Errorf("%d projects are listed, want %d", got, want)
			}
		}
		if got := nobody.get("/api/spaces").Int("TotalResults"); got != 0 {
			t.Errorf("someone without a role sees %d spaces", got)
		}
	})
}

func TestWhoIsDisabledIsOutAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		bob := w.user("bob", fields{"UserRoleId": "userroles-spacemanager", "SpaceId": "Spaces-1"})
		me := bob.get("/api/users/me")
		w.want(http.StatusBadRequest, http.MethodDelete, "/api/users/"+w.get("/api/users/me").Text("Id"), nil)
		me.Set("IsActive", false)
		w.want(http.StatusOK, http.MethodPut, "/api/users/"+me.Text("Id"), me)
		bob.want(http.StatusUnauthorized, http.MethodGet, "/api/users/me", nil)
		me.Set("IsActive", true)
		w.want(http.StatusOK, http.MethodPut, "/api/users/"+me.Text("Id"), me)
		bob.get("/api/Spaces-1/environments")
		w.want(http.StatusOK, http.MethodDelete, "/api/users/"+me.Text("Id"), nil)
		bob.want(http.StatusUnauthorized, http.MethodGet, "/api/users/me", nil)
	})
}

func TestSignInWithSessionAndCSRF(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, database string) {
		w := start(t, spaceserver.Options{Database: database, AdminPassword: adminPassword})
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Jar: jar}
		post := func(path, csrf, body string) int {
			r, err := http.NewRequest(http.MethodPost, w.url+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if csrf != "" {
				r.Header.Set("X-Octopus-Csrf-Token", csrf)
			}
			answer, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			return answer.StatusCode
		}
		if got := post("/api/users/login", "", `{"Username":"admin","Password":"wrong"}`); got != http.StatusBadRequest {
			t.Errorf("a wrong password: status %d", got)
		}
		if got := post("/api/users/login", "", `{"username":"ADMIN","password":"`+adminPassword+`","State":{"UsingSecureConnection":false}}`); got != http.StatusOK {
			t.Fatalf("sign-in: status %d", got)
		}
		home, _ := url.Parse(w.url)
		csrf := ""
		for _, c := range jar.Cookies(home) {
			if strings.HasPrefix(c.Name, "Octopus-Csrf-Token_") {
				csrf = c.Value
			}
		}
		if got := post("/api/Spaces-1/environments", "", `{"Name":"Dev"}`); got != http.StatusForbidden {
			t.Errorf("without the CSRF header: status %d", got)
		}
		if got := post("/api/Spaces-1/environments", csrf, `{"Name":"Dev"}`); got != http.StatusCreated {
			t.Errorf("with the CSRF header: status %d", got)
		}
		if got := post("/api/users/logout", csrf, ``); got != http.StatusOK {
			t.Errorf("sign-out: status %d", got)
		}
		if got := post("/api/Spaces-1/environments", csrf, `{"Name":"Test"}`); got != http.StatusUnauthorized {
			t.Errorf("after sign-out: status %d", got)
		}
	})
}

// TestSecretsNeverComeBack writes secrets in both shapes and looks for them in every answer, in the events and in the
// files of the database.
func TestSecretsNeverComeBack(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{})
	const secret = "very-SECRET-value"
	w.project("Web")
	account := w.create("/api/Spaces-1/accounts", fields{"Name": "A", "AccountType": "UsernamePassword", "Username": "u", "Password": fields{"HasValue": true, "NewValue": secret}})
	if !account.Object("Password").Bool("HasValue") {
		t.Errorf("account: %v", account)
	}
	set := w.want(http.StatusOK, http.MethodPut, "/api/Spaces-1/variables/variableset-Projects-1", fields{"Version": 0, "Variables": []any{
		fields{"Name": "password", "Value": secret, "Type": "Sensitive"}, fields{"Name": "plain", "Value": "x"}}})
	process := w.get("/api/Spaces-1/deploymentprocesses/deploymentprocess-Projects-1")
	process.Set("Steps", []any{fields{"Name": "s", "Actions": []any{fields{"ActionType": "Octopus.Script", "Properties": fields{"P": fields{"HasValue": true, "NewValue": secret}}}}}})
	process = w.want(http.StatusOK, http.MethodPut, "/api/Spaces-1/deploymentprocesses/deploymentprocess-Projects-1", process)
	w.create("/api/Spaces-1/releases", fields{"ProjectId": "Projects-1", "Version": "1.0.0"})
	w.create("/api/Spaces-1/projects?clone=Projects-1", fields{"Name": "Copy", "ProjectGroupId": "ProjectGroups-1", "LifecycleId": "Lifecycles-1"})

	// Reading and writing back keeps them; null and an empty text do what they say.
	w.want(http.StatusOK, http.MethodPut, "/api/Spaces-1/variables/variableset-Projects-1", set)
	account = w.want(http.StatusOK, http.MethodPut, "/api/Spaces-1/accounts/"+account.Text("Id"), account)
	if !account.Object("Password").Bool("HasValue") {
		t.Error("writing back what was read lost the password")
	}
	step := process.Objects("Steps")[0].Objects("Actions")[0].Object("Properties").Object("P")
	if !step.Bool("HasValue") {
		t.Errorf("the step's secret: %v", step)
	}
	copied := w.get("/api/Spaces-1/deploymentprocesses/deploymentprocess-Projects-2").Objects("Steps")[0].Objects("Actions")[0].Object("Properties").Object("P")
	if !copied.Bool("HasValue") {
		t.Errorf("the copy's secret: %v", copied)
	}
	for _, path := range []string{"/api/events?take=1000", "/api/Spaces-1/accounts/all", "/api/Spaces-1/variables/all", "/api/Spaces-1/deploymentprocesses?take=1000", "/api/Spaces-1/releases"} {
		if _, text := w.send(http.MethodGet, path, nil); strings.Contains(string(text), secret) {
			t.Errorf("%s tells the secret", path)
		}
	}
	files, err := filepath.Glob(filepath.Join(w.data, "*"))
	if err != nil || len(files) < 3 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), secret) {
			t.Errorf("%s holds the secret in clear", filepath.Base(f))
		}
	}
	account.Set("Password", fields{"HasValue": true, "NewValue": ""})
	if w.want(http.StatusOK, http.MethodPut, "/api/Spaces-1/accounts/"+account.Text("Id"), account).Object("Password").Bool("HasValue") {
		t.Error("an empty new value did not clear the password")
	}
}

func TestEventsFollowEveryChange(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		made := w.create("/api/Spaces-1/environments", fields{"Name": "Dev"})
		made.Set("Description", "changed")
		w.want(http.StatusOK, http.MethodPut, "/api/Spaces-1/environments/Environments-1", made)
		w.want(http.StatusBadRequest, http.MethodPost, "/api/Spaces-1/environments", fields{"Name": "dev"})
		w.want(http.StatusOK, http.MethodDelete, "/api/Spaces-1/environments/Environments-1", nil)
		var categories []string
		for _, e := range w.get("/api/events?regarding=Environments-1").Objects("Items") {
			categories = append(categories, e.Text("Category"))
		}
		if got := strings.Join(categories, " "); got != "Deleted Modified Created" {
			t.Errorf("events, newest first: %s", got)
		}
		modified := w.get("/api/events?eventCategories=Modified").Objects("Items")[0]
		differences := modified.Object("ChangeDetails").Objects("Differences")
		if len(differences) != 1 || differences[0].Text("path") != "/Description" {
			t.Errorf("differences: %v", differences)
		}
		after, err := strconv.Atoi(strings.TrimPrefix(modified.Text("Id"), "Events-"))
		if err != nil {
			t.Fatal(err)
		}
		rest := w.get("/api/events?fromAutoId=" + strconv.Itoa(after+1)).Objects("Items")
		if len(rest) != 1 || rest[0].Text("Category") != "Deleted" {
			t.Errorf("behind the cursor: %v", rest)
		}
	})
}

func TestBadInputIsRefusedWhole(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{MaxBody: 64 << 10})
	for name, c := range map[string]struct {
		method, path, body string
		status             int
	}{
		"not JSON":                {"POST", "/api/Spaces-1/environments", `{"Name":`, 400},
		"nothing":                 {"POST", "/api/Spaces-1/environments", ``, 400},
		"an array":                {"POST", "/api/Spaces-1/environments", `[1]`, 400},
		"not UTF-8":               {"POST", "/api/Spaces-1/environments", "{\"Name\":\"\xff\"}", 400},
		"a wrong type":            {"POST", "/api/Spaces-1/environments", `{"Name":"x","SortOrder":"first"}`, 400},
		"no name":                 {"POST", "/api/Spaces-1/environments", `{"Name":"  "}`, 400},
		"a NUL":                   {"POST", "/api/Spaces-1/environments", `{"Name":"a\u0000b"}`, 400},
		"too large":               {"POST", "/api/Spaces-1/environments", `{"Name":"` + strings.Repeat("x", 70<<10) + `"}`, 413},
		"an unknown choice":       {"POST", "/api/Spaces-1/projects", `{"Name":"x","TenantedDeploymentMode":"Sometimes"}`, 400},
		"a missing reference":     {"POST", "/api/Spaces-1/projects", `{"Name":"x","ProjectGroupId":"ProjectGroups-9","LifecycleId":"Lifecycles-1"}`, 400},
		"a route unknown":         {"GET", "/api/Spaces-1/nonsense", ``, 404},
		"a space unknown":         {"GET", "/api/Spaces-99/environments", ``, 404},
		"a method unknown":        {"PATCH", "/api/Spaces-1/environments", `{}`, 405},
		"a deployment of nothing": {"POST", "/api/Spaces-1/deployments/create/untenanted/v1", `{}`, 400},
		"an odd page":             {"GET", "/api/Spaces-1/environments?skip=-5&take=99999999999999999999", ``, 200},
		"an odd time":             {"GET", "/api/events?from=yesterday", ``, 400},
	} {
		t.Run(name, func(t *testing.T) {
			before := w.get("/api/events?take=1").Int("TotalResults")
			at := &world{t: t, url: w.url, key: w.key}
			answer := at.want(c.status, c.method, c.path, c.body)
			if c.status >= 400 && answer.Text("ErrorMessage") == "" {
				t.Errorf("no ErrorMessage: %v", answer)
			}
			if after := w.get("/api/events?take=1").Int("TotalResults"); after != before {
				t.Errorf("%d events more: something was done", after-before)
			}
		})
	}
}
