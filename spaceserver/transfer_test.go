package spaceserver_test

import (
	"net/http"
	"strings"
	"testing"
)

// succeeds waits until a task has ended well.
func (w *world) succeeds(id string) {
	w.t.Helper()
	if task, log := w.outcome(id); task.Text("State") != "Success" {
		w.t.Fatalf("%s\n%s", text(task), log)
	}
}

func password(p string) fields { return fields{"HasValue": true, "NewValue": p} }

// TestProjectsMove goes the way of people: export, look at the artifact, preview, import from the other space and from a file.
func TestProjectsMove(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		const routes = "/projects/import-export"
		project := w.project("Web").Text("Id")
		library := w.create("/api/libraryvariablesets", fields{"Name": "Shared"})
		set := w.get("/api/variables/" + library.Text("VariableSetId"))
		set.Set("Variables", []fields{{"Name": "Key", "Type": "Sensitive", "IsSensitive": true, "Value": "open sesame"}})
		w.want(http.StatusOK, "PUT", "/api/variables/"+set.Text("Id"), set)
		o := w.get("/api/projects/" + project)
		o.Set("IncludedLibraryVariableSetIds", []string{library.Text("Id")})
		w.want(http.StatusOK, "PUT", "/api/projects/"+project, o)
		me := w.get("/api/users/me").Text("Id")
		other := w.create("/api/spaces", fields{"Name": "Other", "SpaceManagersTeamMembers": []string{me}}).Text("Id")
		there := "/api/" + other

		w.want(http.StatusBadRequest, "POST", "/api/Spaces-1"+routes+"/export", fields{"IncludedProjectIds": []string{project}, "Password": fields{"HasValue": false}})
		w.want(http.StatusNotFound, "POST", "/api/Spaces-1"+routes+"/export", fields{"IncludedProjectIds": []string{"Projects-999"}, "Password": password("p")})
		task := w.want(http.StatusOK, "POST", "/api/Spaces-1"+routes+"/export", fields{"IncludedProjectIds": []string{project}, "Password": password("p")}).Text("TaskId")
		w.succeeds(task)
		artifacts := w.get("/api/Spaces-1/artifacts?regarding=" + task).Objects("Items")
		if len(artifacts) != 1 || !strings.HasSuffix(artifacts[0].Text("Filename"), ".zip") {
			t.Fatalf("artifacts: %v", artifacts)
		}
		_, file := w.send("GET", "/api/Spaces-1/artifacts/"+artifacts[0].Text("Id")+"/content", nil)
		if _, shown := w.send("GET", "/api/tasks/"+task, nil); strings.Contains(string(file)+string(shown), "sesame") {
			t.Error("the export shows a secret")
		}

		source := fields{"Type": "space", "SpaceId": "Spaces-1", "TaskId": task}
		w.want(http.StatusBadRequest, "POST", there+routes+"/import", fields{"ImportSource": source, "Password": password("wrong")})
		preview := w.want(http.StatusOK, "POST", there+routes+"/import/preview", fields{"ImportSource": source, "Password": password("p")})
		if made := preview.Objects("Projects"); len(made) != 1 || made[0].Text("Name") != "Web" || strings.Join(made[0].Texts("Channels"), "") != "Default" || strings.Join(preview.Object("Existing").Texts("Lifecycles"), "") != "Default Lifecycle" {
			t.Errorf("preview: %s", text(preview))
		}
		w.succeeds(w.want(http.StatusOK, "POST", there+routes+"/import", fields{"ImportSource": source, "Password": password("p")}).Text("TaskId"))
		moved := w.get(there + "/projects/web")
		if moved.Text("Id") == project || moved.Text("SpaceId") != other || len(moved.Texts("IncludedLibraryVariableSetIds")) != 1 {
			t.Errorf("imported: %s", text(moved))
		}
		if sets := w.get(there + "/variables/variableset-" + moved.Texts("IncludedLibraryVariableSetIds")[0]).Objects("Variables"); len(sets) != 1 || !sets[0].Bool("IsSensitive") || sets[0].Text("Value") != "" {
			t.Errorf("variables: %v", sets)
		}
		w.want(http.StatusBadRequest, "POST", there+routes+"/import", fields{"ImportSource": source, "Password": password("p")}) // it is there now

		third := "/api/" + w.create("/api/spaces", fields{"Name": "Third", "SpaceManagersTeamMembers": []string{me}}).Text("Id")
		if status, o := w.upload("POST", third+routes+"/import-files", "web.zip", []byte("no export")); status != http.StatusCreated {
			t.Fatalf("upload: %d %s", status, text(o))
		}
		_, uploaded := w.upload("POST", third+routes+"/import-files", "web.zip", file)
		files := w.get(third + routes + "/import-files").Objects("ProjectImportFiles")
		if len(files) != 2 || files[0].Text("Id") != uploaded.Text("Id") || files[0].Text("FileName") != "web.zip" {
			t.Fatalf("files: %v", files)
		}
		w.want(http.StatusBadRequest, "POST", third+routes+"/import", fields{"ImportSource": fields{"Type": "upload", "UploadedFileId": files[1].Text("Id")}, "Password": password("p")})
		w.succeeds(w.want(http.StatusOK, "POST", third+routes+"/import", fields{"ImportSource": fields{"Type": "upload", "UploadedFileId": files[0].Text("Id")}, "Password": password("p")}).Text("TaskId"))
		w.get(third + "/projects/web")
		w.want(http.StatusNotFound, "POST", there+routes+"/import", fields{"ImportSource": fields{"Type": "upload", "UploadedFileId": files[0].Text("Id")}, "Password": password("p")}) // of another space

		// Who may only look gets no secrets out by a password of their own, and brings nothing in.
		var granted []string
		for name := range w.get("/api/permissions/all").All() {
			if strings.HasSuffix(name, "View") {
				granted = append(granted, name)
			}
		}
		role := w.create("/api/userroles", fields{"Name": "Looker", "GrantedSpacePermissions": granted}).Text("Id")
		looker := w.user("looker", fields{"UserRoleId": role, "SpaceId": "Spaces-1"})
		looker.want(http.StatusForbidden, "POST", "/api/Spaces-1"+routes+"/export", fields{"IncludedProjectIds": []string{project}, "Password": password("mine")})
		looker.want(http.StatusForbidden, "POST", "/api/Spaces-1"+routes+"/import", fields{"ImportSource": source, "Password": password("p")})
		looker.want(http.StatusForbidden, "POST", there+routes+"/import/preview", fields{"ImportSource": source, "Password": password("p")})
	})
}
