package spaceserver_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"odcm/kit/db/dbtest"
	"odcm/spaceserver"
)

func TestRootIsWhatClientsInsistOn(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{})
	for _, path := range []string{"/api", "/api/"} {
		root := w.as("").get(path)
		if root.Text("Application") != "Octopus Deploy" || root.Text("Version") != spaceserver.Version || root.Text("ApiVersion") != "3.0.0" || root.Text("InstallationId") == "" {
			t.Errorf("%s: %v", path, root)
		}
		if got := root.Object("Links").Text("Environments"); !strings.HasPrefix(got, "/api/Spaces-1/environments{/id}{?") {
			t.Errorf("link to environments: %q", got)
		}
	}
	home := w.get("/api/Spaces-1")
	if home.Has("Version") || home.Text("Id") != "Spaces-1" || !home.Object("Links").Has("Projects") {
		t.Errorf("space home: %v", home)
	}
}

func TestSpacesAreNamedInThreeWays(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{})
	for _, path := range []string{"/api/environments", "/api/Spaces-1/environments", "/api/spaces/Spaces-1/environments", "/api/spaces-1/Environments"} {
		if got := w.get(path).Text("ItemType"); got != "Environment" {
			t.Errorf("%s: %s", path, got)
		}
	}
}

func TestLookUpByIDNameOrSlug(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		made := w.create("/api/Spaces-1/environments", `{"name":"Pre Production","description":"x","myOwn":{"deep":[1,2.50,null]}}`)
		if made.Text("Id") != "Environments-1" || made.Text("Slug") != "pre-production" {
			t.Fatalf("made %v", made)
		}
		for _, key := range []string{"Environments-1", "pre-production", "Pre%20Production", "pre%20production"} {
			got := w.get("/api/Spaces-1/environments/" + key)
			if got.Text("Name") != "Pre Production" {
				t.Errorf("by %s: %v", key, got)
			}
			if own, _ := got.Get("myOwn"); string(own) != `{"deep":[1,2.50,null]}` {
				t.Errorf("a field that nobody listed became %s", own)
			}
		}
		if got := w.get("/api/Spaces-1/environments?partialName=PROD&take=2147483647"); got.Int("TotalResults") != 1 {
			t.Errorf("by part of the name: %v", got)
		}
		none := w.want(http.StatusNotFound, http.MethodGet, "/api/Spaces-1/environments/Nowhere", nil)
		if none.Has("Errors") || none.Text("ErrorMessage") == "" {
			t.Errorf("a 404 must have ErrorMessage only: %v", none)
		}
	})
}

func TestPagesLinkToEachOther(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			w.create("/api/Spaces-1/environments", fields{"Name": name})
		}
		path, seen := "/api/Spaces-1/environments?take=2", ""
		for path != "" {
			page := w.get(path)
			if page.Int("TotalResults") != 5 || page.Int("NumberOfPages") != 3 {
				t.Fatalf("page: %v", page)
			}
			for _, item := range page.Objects("Items") {
				seen += item.Text("Name")
			}
			path = page.Object("Links").Text("Page.Next")
		}
		if seen != "abcde" {
			t.Errorf("seen %q", seen)
		}
	})
}

func TestNamesAreDistinctInAnyCase(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.create("/api/Spaces-1/environments", fields{"Name": "Dev"})
		refused := w.want(http.StatusBadRequest, http.MethodPost, "/api/Spaces-1/environments", fields{"Name": "DEV"})
		if len(refused.Texts("Errors")) != 1 || !strings.Contains(refused.Texts("Errors")[0], "already in use") {
			t.Errorf("refused with %v", refused)
		}
		if got := w.get("/api/Spaces-1/environments").Int("TotalResults"); got != 1 {
			t.Errorf("%d environments", got)
		}
	})
}

func TestAProjectBringsItsPartsAndTakesThem(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		p := w.project("Web")
		channels := w.get("/api/Spaces-1/projects/web/channels")
		if channels.Int("TotalResults") != 1 || !channels.Objects("Items")[0].Bool("IsDefault") {
			t.Errorf("channels: %v", channels)
		}
		w.get("/api/Spaces-1/variables/" + p.Text("VariableSetId"))
		w.get("/api/Spaces-1/deploymentprocesses/" + p.Text("DeploymentProcessId"))
		w.create("/api/Spaces-1/releases", fields{"ProjectId": p.Text("Id"), "Version": "1.0.0"})
		refused := w.want(http.StatusBadRequest, http.MethodDelete, "/api/Spaces-1/projectgroups/ProjectGroups-1", nil)
		if !strings.Contains(refused.Texts("Errors")[0], "project 'Web'") {
			t.Errorf("a group in use was refused with %v", refused)
		}
		w.want(http.StatusOK, http.MethodDelete, "/api/Spaces-1/projects/"+p.Text("Id"), nil)
		for _, path := range []string{"variables/variableset-Projects-1", "deploymentprocesses/deploymentprocess-Projects-1", "channels/Channels-1", "releases/Releases-1"} {
			w.want(http.StatusNotFound, http.MethodGet, "/api/Spaces-1/"+path, nil)
		}
		w.want(http.StatusOK, http.MethodDelete, "/api/Spaces-1/projectgroups/ProjectGroups-1", nil)
	})
}

func TestOldVersionsConflict(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.project("Web")
		path := "/api/Spaces-1/deploymentprocesses/deploymentprocess-Projects-1"
		process := w.get(path)
		process.Set("Steps", []any{fields{"Name": "one", "Actions": []any{fields{"ActionType": "Octopus.Script"}}}})
		if got := w.want(http.StatusOK, http.MethodPut, path, process).Int("Version"); got != 1 {
			t.Errorf("version %d", got)
		}
		conflict := w.want(http.StatusConflict, http.MethodPut, path, process)
		if conflict.Text("ErrorMessage") == "" {
			t.Errorf("conflict: %v", conflict)
		}
	})
}

func TestSpacesAreApartAndGoWhole(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		me := w.get("/api/users/me").Text("Id")
		space := w.create("/api/spaces", fields{"Name": "Second", "SpaceManagersTeamMembers": []string{me}})
		id := space.Text("Id")
		if got := space.Object("Links").Text("Web"); !strings.Contains(got, "/app#/") {
			t.Errorf("Links.Web is %q", got)
		}
		w.create("/api/"+id+"/environments", fields{"Name": "Dev"})
		w.create("/api/Spaces-1/environments", fields{"Name": "Dev"})
		if got := w.get("/api/environments").Int("TotalResults"); got != 1 {
			t.Errorf("the default space has %d environments", got)
		}
		w.want(http.StatusNotFound, http.MethodGet, "/api/"+id+"/environments/Environments-2", nil)
		w.want(http.StatusBadRequest, http.MethodDelete, "/api/spaces/"+id, nil)
		space.Set("TaskQueueStopped", true)
		w.want(http.StatusOK, http.MethodPut, "/api/spaces/"+id, space)
		w.want(http.StatusOK, http.MethodDelete, "/api/spaces/"+id, nil)
		w.want(http.StatusNotFound, http.MethodGet, "/api/"+id+"/environments", nil)
		w.want(http.StatusBadRequest, http.MethodDelete, "/api/spaces/Spaces-1", nil)
	})
}

func TestDrainingAndMaintenance(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{})
	w.as("").want(http.StatusOK, http.MethodGet, "/api/octopusservernodes/ping", nil)
	node := w.get("/api/octopusservernodes").Objects("Items")[0]
	node.Set("IsInMaintenanceMode", true)
	w.want(http.StatusOK, http.MethodPut, "/api/octopusservernodes/"+node.Text("Id"), node)
	w.as("").want(http.StatusTeapot, http.MethodGet, "/api/octopusservernodes/ping", nil)

	manager := w.user("manager", fields{"UserRoleId": "userroles-spacemanager", "SpaceId": "Spaces-1"})
	w.want(http.StatusOK, http.MethodPut, "/api/maintenanceconfiguration", fields{"Id": "maintenance", "IsInMaintenanceMode": true})
	manager.want(http.StatusServiceUnavailable, http.MethodPost, "/api/Spaces-1/environments", fields{"Name": "Dev"})
	manager.get("/api/Spaces-1/environments")
	w.create("/api/Spaces-1/environments", fields{"Name": "Dev"})
	w.want(http.StatusOK, http.MethodPut, "/api/maintenanceconfiguration", fields{"IsInMaintenanceMode": false})
	manager.create("/api/Spaces-1/environments", fields{"Name": "Test"})
}

func TestARestartKeepsEverything(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url string) {
		o := spaceserver.Options{Database: url, Data: t.TempDir()}
		var installation string
		t.Run("first", func(t *testing.T) {
			w := start(t, o)
			installation = w.get("/api").Text("InstallationId")
			w.create("/api/Spaces-1/proxies", fields{"Name": "P", "Host": "h", "Password": fields{"HasValue": true, "NewValue": "s3cret"}})
		})
		t.Run("second", func(t *testing.T) {
			w := start(t, o)
			if got := w.get("/api").Text("InstallationId"); got != installation {
				t.Errorf("installation %s became %s", installation, got)
			}
			if !w.get("/api/Spaces-1/proxies/Proxies-1").Object("Password").Bool("HasValue") {
				t.Error("the password is gone")
			}
			if got := w.get("/api/users").Int("TotalResults"); got != 1 {
				t.Errorf("%d users", got)
			}
		})
	})
}

// TestReplicasShareADatabase starts two servers on one PostgreSQL at once: they agree on the installation, and what one
// changes the other answers by.
func TestReplicasShareADatabase(t *testing.T) {
	t.Parallel()
	url := dbtest.PostgreSQL(t)
	var both [2]*world
	var starting sync.WaitGroup
	key := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for i := range both {
		starting.Go(func() { both[i] = start(t, spaceserver.Options{Database: url, Data: t.TempDir(), KeyBase64: key}) })
	}
	starting.Wait()
	if t.Failed() {
		return
	}
	a, b := both[0], both[1]
	if one, other := a.get("/api").Text("InstallationId"), b.get("/api").Text("InstallationId"); one != other {
		t.Errorf("installations %s and %s", one, other)
	}
	bob := a.user("bob", fields{"UserRoleId": "userroles-spacemanager", "SpaceId": "Spaces-1"})
	elsewhere := &world{t: t, url: b.url, key: bob.key}
	me := elsewhere.get("/api/users/me")
	space := a.create("/api/spaces", fields{"Name": "Second", "SpaceManagersTeamMembers": []string{me.Text("Id")}}).Text("Id")
	me.Set("IsActive", false)
	a.want(http.StatusOK, http.MethodPut, "/api/users/"+me.Text("Id"), me)
	deadline := time.Now().Add(10 * time.Second)
	for {
		outside, _ := elsewhere.send(http.MethodGet, "/api/users/me", nil)
		known, _ := b.send(http.MethodGet, "/api/"+space+"/environments", nil)
		if outside == http.StatusUnauthorized && known == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after 10 s the other replica answers %d and %d", outside, known)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestATakenPortIsTold(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{})
	s, err := spaceserver.New(spaceserver.Options{Data: t.TempDir(), Listen: strings.TrimPrefix(w.url, "http://")})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(context.Background()); err == nil || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("start on a taken port: %v", err)
	}
}

// user makes a user in a team of its own with the role, and returns a caller with an API key of its own.
func (w *world) user(name string, roles ...fields) *world {
	w.t.Helper()
	user := w.create("/api/users", fields{"Username": name, "DisplayName": name, "Password": "long enough " + name})
	team := w.create("/api/teams", fields{"Name": "team of " + name, "MemberUserIds": []string{user.Text("Id")}})
	for _, role := range roles {
		role["TeamId"] = team.Text("Id")
		w.create("/api/scopeduserroles", role)
	}
	key := w.create("/api/users/"+user.Text("Id")+"/apikeys", fields{"Purpose": "test"})
	return w.as(key.Text("ApiKey"))
}
