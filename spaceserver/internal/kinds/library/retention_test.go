package library_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/octopus"
	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/identity"
	"odcm/spaceserver/internal/kinds"
	"odcm/spaceserver/internal/kinds/host"
	"odcm/spaceserver/internal/kinds/library"
	"odcm/spaceserver/internal/kinds/people"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/queue"
)

type noSealer struct{}

func (noSealer) Ready() error { return nil }
func (noSealer) Seal(plain []byte, place string) (string, error) {
	return place + "|" + string(plain), nil
}
func (noSealer) Open(sealed, place string) ([]byte, error) { return []byte(sealed[len(place)+1:]), nil }

type fields = map[string]any

const space = "Spaces-1"

// feed is a server's documents and the files of its packages, without HTTP.
type feed struct {
	*testing.T
	service *collection.Service
	data    string
	now     time.Time
}

func begin(t *testing.T, d *db.DB) *feed {
	t.Helper()
	store, err := document.Open(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	f := &feed{T: t, data: t.TempDir(), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	here := &host.Host{Data: f.data, Identity: identity.New(store, time.Now)}
	if f.service, err = collection.New(collection.Options{Store: store, Kinds: kinds.Table(here), Sealer: noSealer{}, Now: func() time.Time { return f.now }}); err != nil {
		t.Fatal(err)
	}
	here.Queue = queue.New(queue.Options{Service: f.service, Node: "one"}) // never started
	if _, err := people.Seed(t.Context(), here, f.service, "admin", "API-FIRSTADMINISTRATOR", "00000000-0000-0000-0000-000000000000"); err != nil {
		t.Fatal(err)
	}
	if err := f.service.ReadDirectory(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f
}

// make adds documents as the server's own doing.
func (f *feed) make(kind string, body fields) (id string) {
	f.Helper()
	o, err := octopus.NewObject(body)
	if err != nil {
		f.Fatal(err)
	}
	err = f.service.Transact(f.Context(), collection.Request{Principal: permission.System(), Space: space}, func(c *collection.Change) error {
		made, err := c.Create(kind, o)
		id = made.Text("Id")
		return err
	})
	if err != nil {
		f.Fatalf("%s: %v", kind, err)
	}
	return id
}

func (f *feed) edit(kind, id string, members fields) {
	f.Helper()
	err := f.service.Transact(f.Context(), collection.Request{Principal: permission.System(), Space: space}, func(c *collection.Change) error {
		return c.Edit(kind, id, func(o *octopus.Object) error {
			for name, value := range members {
				o.Set(name, value)
			}
			return nil
		})
	})
	if err != nil {
		f.Fatal(err)
	}
}

// push adds a package as old as so many days.
func (f *feed) push(id, number string, days int) {
	f.Helper()
	f.make("Packages", fields{"Id": "packages-" + id + "." + number, "PackageId": id, "Version": number, "FileExtension": ".zip", "Hash": "abc", "Published": f.now.AddDate(0, 0, -days)})
	f.file(strings.ToLower(id+"."+number) + "-abc.zip")
}

func (f *feed) file(name string) {
	f.Helper()
	path := filepath.Join(f.data, "packages", space, name)
	old := time.Now().Add(-2 * time.Hour)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("x"), 0o600), os.Chtimes(path, old, old)); err != nil {
		f.Fatal(err)
	}
}

// clean runs retention and tells which packages and files are left.
func (f *feed) clean() (packages, files string) {
	f.Helper()
	if err := library.NewRetention(f.service, f.data).Run(f.Context(), activity.Discard().Root("Retention")); err != nil {
		f.Fatal(err)
	}
	rows, _, err := f.service.Store.List(f.Context(), f.service.Store.DB.Read(), document.Query{Kind: "Packages"})
	if err != nil {
		f.Fatal(err)
	}
	var ids, names []string
	for _, row := range rows {
		ids = append(ids, strings.TrimPrefix(row.ID, "packages-"))
	}
	entries, err := os.ReadDir(filepath.Join(f.data, "packages", space))
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), "-abc.zip"))
	}
	return strings.Join(ids, " "), strings.Join(names, " ")
}

func TestRetention(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := begin(t, d)
		project := f.make("Projects", fields{"Name": "Web", "ProjectGroupId": "ProjectGroups-1", "LifecycleId": "Lifecycles-1"})
		f.edit("DeploymentProcesses", "deploymentprocess-"+project, fields{"Steps": []fields{{"Name": "S", "Actions": []fields{
			{"Name": "Deploy", "ActionType": "Octopus.TentaclePackage", "Packages": []fields{{"Name": "", "PackageId": "Used", "FeedId": "feeds-builtin"}}},
			{"Name": "Any", "ActionType": "Octopus.TentaclePackage", "Packages": []fields{{"Name": "", "PackageId": "#{Which}", "FeedId": "feeds-builtin"}}}}}}})
		for _, p := range []struct {
			id, number string
			days       int
		}{{"Used", "1.0.0", 90}, {"Used", "2.0.0", 90}, {"Other", "1.0.0", 90}, {"Other", "2.0.0", 1}, {"Either", "3.0.0", 90}} {
			f.push(p.id, p.number, p.days)
		}
		f.make("Releases", fields{"ProjectId": project, "Version": "1", "ChannelId": "Channels-1", "SelectedPackages": []fields{{"ActionName": "Deploy", "Version": "1.0.0"}, {"ActionName": "Any", "Version": "3.0.0"}}})
		f.make("BuildInformation", fields{"$name": "gone@1.0.0", "PackageId": "Gone", "Version": "1.0.0", "Created": f.now.AddDate(0, 0, -101)})
		f.make("BuildInformation", fields{"$name": "used@1.0.0", "PackageId": "Used", "Version": "1.0.0", "Created": f.now.AddDate(0, 0, -101)})
		f.file("orphan.1.0.0")

		const all = "Either.3.0.0 Other.1.0.0 Other.2.0.0 Used.1.0.0 Used.2.0.0"
		if packages, files := f.clean(); packages != all || files != strings.ToLower(all) {
			t.Errorf("a feed that keeps for ever has %q, files %q", packages, files)
		}
		if n, err := f.service.Store.Count(t.Context(), d.Read(), "BuildInformation", space); err != nil || n != 1 {
			t.Errorf("%d records of build information, %v", n, err)
		}
		f.edit("Feeds", "feeds-builtin", fields{"DeleteUnreleasedPackagesAfterDays": 30})
		const kept = "Either.3.0.0 Other.2.0.0 Used.1.0.0"
		if packages, files := f.clean(); packages != kept || files != strings.ToLower(kept) {
			t.Errorf("left %q, files %q", packages, files)
		}
		var n int
		err := d.Read().QueryRowContext(t.Context(), "SELECT count(*) FROM spaceserver_event WHERE category = 'Deleted' AND document_type = 'Package'").Scan(&n)
		if err != nil || n != 2 {
			t.Errorf("%d events, %v", n, err)
		}
	})
}

func TestStoreOpens(t *testing.T) {
	t.Parallel()
	f := begin(t, dbtest.Open(t, dbtest.SQLite(t)))
	f.push("Acme.Web", "1.2.0", 1)
	store := library.NewStore(f.service, f.data)
	for _, number := range []string{"1.2.0", "1.2", "1.2.0.0"} {
		p, err := store.Open(t.Context(), space, "acme.web", number)
		if err != nil || p.Name != "Acme.Web.1.2.0.zip" || p.Hash != "abc" {
			t.Errorf("%s: %+v, %v", number, p, err)
		}
	}
	for _, missing := range []struct{ space, id, number string }{{space, "Acme.Web", "1.2.1"}, {space, "Acme", "1.2.0"}, {"Spaces-2", "Acme.Web", "1.2.0"}, {space, "Acme.Web", "../x"}} {
		var told *problem.Error
		if p, err := store.Open(t.Context(), missing.space, missing.id, missing.number); !errors.As(err, &told) || told.Status != 404 {
			t.Errorf("%v: %+v, %v", missing, p, err)
		}
	}
	if err := os.RemoveAll(filepath.Join(f.data, "packages")); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), space, "Acme.Web", "1.2.0"); err == nil || !strings.Contains(err.Error(), "not on this server's disk") {
		t.Errorf("without its file: %v", err)
	}
}
