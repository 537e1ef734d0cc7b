package spaceserver_test

import (
	"archive/zip"
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"odcm/octopus"
	"odcm/spaceserver"
)

// upload sends a file as the clients do, and returns status and answer.
func (w *world) upload(method, path, name string, content []byte) (int, octopus.Object) {
	w.t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	part, err := form.CreateFormFile("file", name)
	if err != nil {
		w.t.Fatal(err)
	}
	_, _ = part.Write(content)
	_ = form.Close()
	r, err := http.NewRequest(method, w.url+path, &b)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.Header.Set("X-NuGet-ApiKey", w.key)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	o, err := octopus.ParseObject(text)
	if err != nil {
		w.t.Fatalf("%s %s: %d %s", method, path, answer.StatusCode, text)
	}
	return answer.StatusCode, o
}

// files lists what lies in the folder of packages.
func (w *world) files() (names []string) {
	w.t.Helper()
	err := filepath.WalkDir(filepath.Join(w.data, "packages"), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		w.t.Fatal(err)
	}
	return names
}

func TestPackages(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		status, made := w.upload("POST", "/api/Spaces-1/packages/raw", "Acme.Web.1.0.0.zip", []byte("one"))
		if status != http.StatusCreated || made.Text("PackageId") != "Acme.Web" || made.Text("FeedId") != "feeds-builtin" {
			t.Fatalf("first: %d %s", status, text(made))
		}
		if status, _ := w.upload("POST", "/api/Spaces-1/packages/raw", "acme.web.1.0.0.zip", []byte("two")); status != http.StatusConflict {
			t.Errorf("the same in another case: %d", status)
		}
		if len(w.files()) != 1 {
			t.Errorf("what was refused left %v", w.files())
		}
		status, _ = w.upload("POST", "/api/Spaces-1/packages/raw?overwriteMode=OverwriteExisting", "Acme.Web.1.0.0.zip", []byte("two"))
		_, content := w.send("GET", "/api/Spaces-1/packages/packages-Acme.Web.1.0.0/raw", nil)
		if status != http.StatusOK || string(content) != "two" || len(w.files()) != 1 {
			t.Errorf("replaced: %d, %q, %v", status, content, w.files())
		}
		for _, version := range []string{"1.0.1-rc.1", "1.10.0", "1.9.0"} {
			w.upload("POST", "/api/Spaces-1/packages/raw", "Acme.Web."+version+".zip", []byte(version))
		}
		var versions []string
		for _, v := range w.get("/api/Spaces-1/feeds/feeds-builtin/packages/versions?packageId=acme.web&includePreRelease=false&versionRange=[1.0,2.0)").Objects("Items") {
			versions = append(versions, v.Text("Version"))
		}
		if strings.Join(versions, " ") != "1.10.0 1.9.0 1.0.0" {
			t.Errorf("versions: %v", versions)
		}
		if found := w.get("/api/Spaces-1/feeds/feeds-builtin/packages/search?term=acme").Objects("Items"); len(found) != 1 || found[0].Text("LatestVersion") != "1.10.0" {
			t.Errorf("search: %v", found)
		}
		w.want(http.StatusOK, "DELETE", "/api/Spaces-1/packages/packages-Acme.Web.1.0.0", nil)
		if w.want(http.StatusNotFound, "GET", "/api/Spaces-1/packages/packages-Acme.Web.1.0.0", nil); len(w.files()) != 3 {
			t.Errorf("deleted: %v", w.files())
		}
	})
}

// TestPackagesOfSpacesAreApart: two spaces hold the same package with other content, and each deletes its own.
func TestPackagesOfSpacesAreApart(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		me := w.get("/api/users/me").Text("Id")
		other := w.create("/api/spaces", fields{"Name": "Other", "SpaceManagersTeamMembers": []string{me}}).Text("Id")
		for _, space := range []string{"Spaces-1", other} {
			if status, o := w.upload("POST", "/api/"+space+"/packages/raw", "Acme.1.0.0.zip", []byte(space)); status != http.StatusCreated {
				t.Fatalf("%s: %d %s", space, status, text(o))
			}
		}
		w.upload("POST", "/api/"+other+"/packages/raw?overwriteMode=OverwriteExisting", "Acme.1.0.0.zip", []byte("changed"))
		for space, want := range map[string]string{"Spaces-1": "Spaces-1", other: "changed"} {
			if _, content := w.send("GET", "/api/"+space+"/packages/packages-Acme.1.0.0/raw", nil); string(content) != want {
				t.Errorf("%s has %q", space, content)
			}
		}
		w.want(http.StatusOK, "DELETE", "/api/Spaces-1/packages/packages-Acme.1.0.0", nil)
		w.get("/api/" + other + "/packages/packages-Acme.1.0.0")
	})
}

// TestContentGoesWithItsSpace, at the latest when the next space gets its first file.
func TestContentGoesWithItsSpace(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{})
	other := w.create("/api/spaces", fields{"Name": "Other", "SpaceManagersTeamMembers": []string{w.get("/api/users/me").Text("Id")}})
	w.upload("POST", "/api/"+other.Text("Id")+"/packages/raw", "Acme.1.0.0.zip", []byte("gone"))
	other.Set("TaskQueueStopped", true)
	w.want(http.StatusOK, "PUT", "/api/spaces/"+other.Text("Id"), other)
	w.want(http.StatusOK, "DELETE", "/api/spaces/"+other.Text("Id"), nil)
	w.upload("POST", "/api/Spaces-1/packages/raw", "Acme.1.0.0.zip", []byte("here"))
	if left := w.files(); len(left) != 1 || !strings.Contains(left[0], "Spaces-1") {
		t.Errorf("there is %v", left)
	}
}

// TestNuGetPush: NuGet's push names the file nothing; the package says itself what it is.
func TestNuGetPush(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	archive := zip.NewWriter(&b)
	file, err := archive.Create("Acme.Library.nuspec")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(file, `<?xml version="1.0"?><package xmlns="http://schemas.microsoft.com/packaging/2010/07/nuspec.xsd"><metadata><id>Acme.Library</id><version>2.1.0-beta.3</version><description>Good</description></metadata></package>`)
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	w := start(t, spaceserver.Options{})
	w.key = adminKey
	for _, path := range []string{"/nuget/packages/", "/Spaces-1/nuget/packages?replace=true"} {
		if status, o := w.upload("PUT", path, "package", b.Bytes()); status/100 != 2 || o.Text("Id") != "packages-Acme.Library.2.1.0-beta.3" || o.Text("Description") != "Good" {
			t.Errorf("%s: %d %s", path, status, text(o))
		}
	}
}

// TestBrokenUploads leave nothing behind.
func TestBrokenUploads(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{MaxPackage: 1 << 10})
	for name, content := range map[string][]byte{"noversion.zip": []byte("x"), "../../Escape.1.0.0.zip": nil, "Large.1.0.0.zip": make([]byte, 1<<12)} {
		status, o := w.upload("POST", "/api/packages/raw", name, content)
		if name[0] == '.' { // only the last part of a path is a file's name
			if o.Text("PackageId") != "Escape" {
				t.Errorf("%s: %d %s", name, status, text(o))
			}
			continue
		}
		if status != http.StatusBadRequest && status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %d %s", name, status, text(o))
		}
	}
	w.want(http.StatusBadRequest, "POST", "/api/packages/raw", "{}")
	w.want(http.StatusNotFound, "POST", "/api/packages/Large/1.0.0/delta", "{}")
	if status, _ := w.upload("POST", "/api/packages/Escape/1.0.0/delta", "Escape.1.0.1.zip", []byte("no delta")); status != http.StatusBadRequest {
		t.Errorf("a broken delta: %d", status)
	}
	if len(w.files()) != 1 {
		t.Errorf("there is %v", w.files())
	}
}
