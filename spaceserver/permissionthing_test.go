package spaceserver_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"

	"software.sslmate.com/src/go-pkcs12"

	"odcm/octopus"
)

// things makes what questions are asked about, as the administrator.
type things struct {
	w     *world
	made  map[string]string // id of one that is read and never deleted, by its kind
	count int
}

// once is one of a kind, made when it is first asked for; "" where there can be none.
func (v *things) once(kind string) string {
	if id, ok := v.made[kind]; ok {
		return id
	}
	id := v.make(kind)
	v.made[kind] = id
	return id
}

// make makes one of a kind, by the segment of a route that names it, with a slash before it for one of the server.
func (v *things) make(kind string) string {
	v.count++
	name := fmt.Sprintf("Thing %d", v.count)
	post := func(path string, body fields) string {
		v.w.t.Helper()
		status, text := v.w.send(http.MethodPost, path, body)
		if status != http.StatusCreated && status != http.StatusOK {
			v.w.t.Fatalf("POST %s: status %d: %s", path, status, text)
		}
		o, err := octopus.ParseObject(text)
		if err != nil {
			v.w.t.Fatal(err)
		}
		return o.Text("Id")
	}
	in := func(route string, body fields) string { return post(space+route, body) }
	first := func(path string) string { return v.w.get(path).Objects("Items")[0].Text("Id") }
	switch kind {
	case "accounts":
		return in(kind, fields{"Name": name, "AccountType": "UsernamePassword", "Username": "u"})
	case "actiontemplates":
		return in(kind, fields{"Name": name, "ActionType": "Octopus.Script"})
	case "actiontemplates version":
		return "1"
	case "apikeys", "key":
		return post("/api/users/"+v.once("users")+"/apikeys", fields{"Purpose": name})
	case "artifacts":
		id := in(kind, fields{"Filename": "f.txt", "ServerTaskId": v.once("tasks")})
		v.w.want(http.StatusOK, http.MethodPut, space+"artifacts/"+id+"/content", "content")
		return id
	case "build-information":
		return in(kind, fields{"PackageId": "Acme", "Version": fmt.Sprintf("1.0.%d", v.count), "OctopusBuildInformation": fields{}})
	case "certificates":
		c, key := selfSigned(v.w.t, "acme.test")
		pfx, err := pkcs12.Modern.Encode(key, c, nil, "")
		if err != nil {
			v.w.t.Fatal(err)
		}
		return in(kind, fields{"Name": name, "CertificateData": fields{"NewValue": base64.StdEncoding.EncodeToString(pfx)}})
	case "channels":
		return in(kind, fields{"Name": name, "ProjectId": v.once("projects")})
	case "communityactiontemplates":
		return post("/api/communityactiontemplates", fields{"Name": name, "Type": "Octopus.Script"})
	case "configuration":
		return first("/api/configuration")
	case "deploymentfreezes":
		return post("/api/deploymentfreezes", fields{"Name": name, "Start": "2040-01-01T00:00:00Z", "End": "2040-01-02T00:00:00Z"})
	case "deploymentprocesses":
		return "deploymentprocess-" + v.once("projects")
	case "deployments":
		return in(kind, fields{"ReleaseId": v.once("releases"), "EnvironmentId": v.once("environments")})
	case "environments", "parentenvironments", "lifecycles", "projectgroups", "machinepolicies", "tenants":
		return in(kind, fields{"Name": name})
	case "ephemeral":
		parent, project := v.once("parentenvironments"), v.once("projects")
		if _, ok := v.made["ephemeral channel"]; !ok {
			v.made["ephemeral channel"] = in("channels", fields{"Name": name, "ProjectId": project, "Type": "EphemeralEnvironment", "ParentEnvironmentId": parent})
		}
		return in("projects/"+project+"/environments/ephemeral", fields{"EnvironmentName": name})
	case "events":
		return first("/api/Spaces-1/events?take=1")
	case "/events":
		return first("/api/events?take=1&documentTypes=Users")
	case "feeds":
		return in(kind, fields{"Name": name, "FeedType": "NuGet", "FeedUri": "https://example.com/nuget"})
	case "git-credentials":
		return in(kind, fields{"Name": name, "Details": fields{"Type": "UsernamePassword", "Username": "u"}})
	case "identity":
		return post("/api/serviceaccounts/"+v.once("serviceaccounts")+"/oidcidentities/create/v1", fields{"Name": name, "Issuer": "https://example.com", "Subject": name})
	case "interruptions":
		project := v.w.project(name).Text("Id")
		v.w.process(project, step("Approve", "Octopus.Manual", fields{"Octopus.Action.Manual.Instructions": "Look"}))
		task := v.w.deploy(v.w.release(project, "1.0"), v.once("environments"), nil)
		id := v.w.asked(task).Text("Id")
		v.w.want(http.StatusOK, http.MethodPut, space+"interruptions/"+id+"/responsible", nil)
		return id
	case "invitations":
		return post("/api/users/invitations", fields{"AddToTeamIds": []string{v.once("teams")}})
	case "libraryvariablesets":
		return in(kind, fields{"Name": name})
	case "machines":
		return in(kind, fields{"Name": name, "EnvironmentIds": []string{v.once("environments")}, "Roles": []string{"r"}, "Endpoint": fields{"CommunicationStyle": "None"}})
	case "octopusservernodes":
		return first("/api/octopusservernodes")
	case "packages":
		_, o := v.w.upload(http.MethodPost, space+"packages/raw", fmt.Sprintf("Acme.1.0.%d.zip", v.count), []byte(name))
		return o.Text("Id")
	case "packages name":
		v.make("packages") // another version of it
		return "Acme"
	case "packages version":
		return strings.TrimPrefix(v.once("packages"), "packages-Acme.")
	case "projects":
		return in(kind, fields{"Name": name, "ProjectGroupId": "ProjectGroups-1", "LifecycleId": "Lifecycles-1"})
	case "proxies":
		return in(kind, fields{"Name": name, "Host": "proxy.example.com", "Port": 8080})
	case "projecttriggers", "triggers":
		return in("projecttriggers", fields{"Name": name, "ProjectId": v.once("projects"), "Filter": fields{"FilterType": "CronExpressionSchedule", "CronExpression": "0 0 1 1 *", "Timezone": "UTC"},
			"Action": fields{"ActionType": "DeployLatestRelease", "SourceEnvironmentIds": []string{v.once("environments")}, "DestinationEnvironmentId": v.once("environments")}})
	case "ratelimitingpolicies":
		return first("/api/ratelimitingpolicies")
	case "releases":
		return in(kind, fields{"ProjectId": v.once("projects"), "Version": fmt.Sprintf("1.0.%d", v.count)})
	case "retentionpolicies":
		return first(space + "retentionpolicies")
	case "runbooks":
		id := in(kind, fields{"Name": name, "ProjectId": v.once("projects"), "EnvironmentScope": "All"})
		process := v.w.get(space + "runbookProcesses/RunbookProcess-" + id)
		process.Set("Steps", []fields{bash("Say", "echo hello")})
		v.w.want(http.StatusOK, http.MethodPut, space+"runbookProcesses/RunbookProcess-"+id, process)
		return id
	case "runbookProcesses":
		return "RunbookProcess-" + v.once("runbooks")
	case "runbookRuns":
		return in(kind, fields{"RunbookId": v.once("runbooks"), "RunbookSnapshotId": v.once("runbookSnapshots"), "EnvironmentId": v.once("environments")})
	case "runbookSnapshots":
		return in(kind, fields{"Name": name, "RunbookId": v.once("runbooks"), "ProjectId": v.once("projects")})
	case "runbookSnapshots name":
		return v.w.get(space + "runbookSnapshots/" + v.once("runbookSnapshots")).Text("Name")
	case "scopeduserroles":
		return in(kind, fields{"TeamId": v.once("teams"), "UserRoleId": "userroles-projectviewer", "SpaceId": "Spaces-1"})
	case "/scopeduserroles":
		return post("/api/scopeduserroles", fields{"TeamId": v.once("/teams"), "UserRoleId": "userroles-systemmanager"})
	case "serviceaccounts":
		return post("/api/users", fields{"Username": "s" + fmt.Sprint(v.count), "DisplayName": name, "IsService": true})
	case "space":
		return "Spaces-1"
	case "spaces":
		id := post("/api/spaces", fields{"Name": name, "SpaceManagersTeams": []string{"teams-administrators"}})
		o := v.w.get("/api/spaces/" + id)
		o.Set("TaskQueueStopped", true)
		v.w.want(http.StatusOK, http.MethodPut, "/api/spaces/"+id, o)
		return id
	case "subscriptions":
		return in(kind, fields{"Name": name, "Type": "Event", "EventNotificationSubscription": fields{"WebhookURI": "https://example.com/hook", "Filter": fields{}}})
	case "tagsets":
		return in(kind, fields{"Name": name, "Tags": []any{}})
	case "tasks":
		return post("/api/tasks", fields{"Name": "Health", "SpaceId": "Spaces-1", "Description": name, "Arguments": fields{}})
	case "/tasks":
		return post("/api/tasks", fields{"Name": "Retention", "Description": name, "Arguments": fields{}})
	case "teams":
		return in(kind, fields{"Name": name, "SpaceId": "Spaces-1"})
	case "/teams":
		return post("/api/teams", fields{"Name": name})
	case "userroles":
		return post("/api/userroles", fields{"Name": name, "GrantedSpacePermissions": []string{"ProjectView"}})
	case "users":
		return post("/api/users", fields{"Username": "u" + fmt.Sprint(v.count), "DisplayName": name, "Password": "long enough for " + name})
	case "variables":
		return "variableset-" + v.once("projects")
	case "workerpools":
		return in(kind, fields{"Name": name, "WorkerPoolType": "StaticWorkerPool"})
	case "workers":
		return in(kind, fields{"Name": name, "WorkerPoolIds": []string{v.once("workerpools")}, "Endpoint": fields{"CommunicationStyle": "None"}})
	}
	return ""
}
