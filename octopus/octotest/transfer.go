package octotest

import (
	"bytes"
	"mime/multipart"
	"strings"
	"time"

	"odcm/octopus"
)

// packageOrder: versions come newest first, by their numbers and not by their letters, and ranges and tags choose among them.
func (s *session) packageOrder() {
	id := "Ordered" + strings.ReplaceAll(s.run, "-", "")
	for _, version := range []string{"1.9.0", "1.10.0", "1.10.0-rc.2", "1.10.0-rc.10"} {
		var b bytes.Buffer
		form := multipart.NewWriter(&b)
		part, err := form.CreateFormFile("file", id+"."+version+".zip")
		if err != nil {
			panic(err) // a buffer takes everything
		}
		_, _ = part.Write(emptyZip)
		_ = form.Close()
		made := s.object(s.want(s.send(request{method: "POST", path: s.in("packages/raw"), body: b.Bytes(), contentType: form.FormDataContentType()}), 201))
		defer s.delete(s.in("packages/" + made.ID()))
	}
	for query, want := range map[string]string{"": "1.10.0 1.10.0-rc.10 1.10.0-rc.2 1.9.0", "&versionRange=%5B1.0,1.10.0)": "1.10.0-rc.10 1.10.0-rc.2 1.9.0", "&includePreRelease=false": "1.10.0 1.9.0", "&preReleaseTag=%5Erc": "1.10.0-rc.10 1.10.0-rc.2", "&take=1": "1.10.0"} {
		var got []string
		for _, v := range (octopus.Page{Object: s.get(s.in("feeds/feeds-builtin/packages/versions?packageId=" + id + query))}).Items() {
			got = append(got, v.Text("Version"))
		}
		if strings.Join(got, " ") != want {
			s.problemf("GET packages/versions%s: %v, want %s", query, got, want)
		}
	}
}

// exportProject: a project becomes a zip file that is an artifact of the task, and only its password opens it, on 2021.1 and
// newer.
func (s *session) exportProject() {
	project, route := s.need("projects"), s.in("projects/import-export")
	password := func(p string) fields { return fields{"HasValue": true, "NewValue": p} }
	asked := s.post(route+"/export", fields{"IncludedProjectIds": []string{project.ID()}, "Password": password("octotest " + s.run)})
	task := asked.Text("TaskId")
	if !strings.HasPrefix(task, "ServerTasks-") {
		s.fatalf("POST export: TaskId is %q, want the id of a task", task)
	}
	for until := time.Now().Add(time.Minute); ; {
		state := s.get(octopus.Route("tasks", task))
		if state.Bool("IsCompleted") {
			if !state.Bool("FinishedSuccessfully") {
				s.fatalf("the export ended as %s: %s", state.Text("State"), state.Text("ErrorMessage"))
			}
			break
		}
		if time.Now().After(until) {
			s.fatalf("the export did not end within a minute")
		}
		select {
		case <-s.ctx.Done():
			s.fatalf("%v", s.ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
	artifacts := octopus.Page{Object: s.get(s.in("artifacts?regarding=" + task))}.Items()
	if len(artifacts) != 1 {
		s.fatalf("the export has %d artifacts, want one", len(artifacts))
	}
	if a := s.want(s.send(request{method: "GET", path: s.in("artifacts/" + artifacts[0].ID() + "/content")}), 200); !bytes.HasPrefix(a.body, []byte("PK")) {
		s.problemf("%s: no zip file", a.what)
	}
	source := fields{"Type": "space", "SpaceId": s.server.Space, "TaskId": task}
	s.want(s.send(request{method: "POST", path: route + "/import/preview", body: encode(fields{"ImportSource": source, "Password": password("wrong")})}), 400)
	preview := s.post(route+"/import/preview", fields{"ImportSource": source, "Password": password("octotest " + s.run)})
	for _, p := range preview.Objects("Projects") {
		if p.Text("Name") == project.Name() {
			s.problemf("POST import/preview: the project %s is there already and would not be made", p.Text("Name"))
		}
	}
}
