package transfer_test

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/identity"
	"odcm/spaceserver/internal/kinds"
	"odcm/spaceserver/internal/kinds/host"
	"odcm/spaceserver/internal/kinds/people"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/queue"
	"odcm/spaceserver/internal/transfer"
)

// noSealer keeps what it seals as it is.
type noSealer struct{}

func (noSealer) Ready() error { return nil }
func (noSealer) Seal(plain []byte, place string) (string, error) {
	return place + "|" + string(plain), nil
}
func (noSealer) Open(sealed, place string) ([]byte, error) { return []byte(sealed[len(place)+1:]), nil }

type fields = map[string]any

// world is a server's documents, without HTTP.
type world struct {
	fail interface {
		Helper()
		Fatalf(string, ...any)
	}
	context   context.Context
	service   *collection.Service
	transfers *transfer.Transfers
}

func begin(t *testing.T, d *db.DB) *world {
	t.Helper()
	store, err := document.Open(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	here := &host.Host{Version: "2026.1.0", Data: t.TempDir(), Identity: identity.New(store, time.Now)}
	service, err := collection.New(collection.Options{Store: store, Kinds: kinds.Table(here), Sealer: noSealer{}})
	if err != nil {
		t.Fatal(err)
	}
	here.Queue = queue.New(queue.Options{Service: service, Node: "one"}) // never started
	if _, err := people.Seed(t.Context(), here, service, "admin", "API-FIRSTADMINISTRATOR", "00000000-0000-0000-0000-000000000000"); err != nil {
		t.Fatal(err)
	}
	return &world{t, t.Context(), service, transfer.New(here, service)}
}

func (w *world) create(space, kind string, body fields) octopus.Object {
	w.fail.Helper()
	o, err := octopus.NewObject(body)
	if err != nil {
		w.fail.Fatalf("%v", err)
	}
	d, err := w.service.Create(w.context, collection.Request{Principal: permission.System(), Space: space}, w.service.Kind(kind), o)
	if err != nil {
		w.fail.Fatalf("%s: %v", kind, err)
	}
	return d.Object()
}

// edit changes a document as a client does: it reads, sets members and sends all of it.
func (w *world) edit(space, kind, id string, members fields) {
	w.fail.Helper()
	r := collection.Request{Principal: permission.System(), Space: space}
	d, err := w.service.Get(w.context, r, w.service.Kind(kind), id)
	if err != nil {
		w.fail.Fatalf("%s %s: %v", kind, id, err)
	}
	o := d.Object()
	for name, value := range members {
		o.Set(name, value)
	}
	if _, err := w.service.Update(w.context, r, w.service.Kind(kind), id, o); err != nil {
		w.fail.Fatalf("%s %s: %v", kind, id, err)
	}
}

func (w *world) space(name string) string {
	w.fail.Helper()
	id := w.create("", "Spaces", fields{"Name": name, "SpaceManagersTeamMembers": []string{}, "SpaceManagersTeams": []string{"teams-everyone"}}).Text("Id")
	if err := w.service.ReadDirectory(w.context); err != nil {
		w.fail.Fatalf("%v", err)
	}
	return id
}

func (w *world) gather(space string, projects ...string) (*transfer.Bundle, string) {
	w.fail.Helper()
	b, _, err := w.transfers.Gather(w.context, space, projects...)
	if err != nil {
		w.fail.Fatalf("gather: %v", err)
	}
	text, err := transfer.Canonical(b)
	if err != nil {
		w.fail.Fatalf("gather: %v", err)
	}
	return b, text
}

func (w *world) place(b *transfer.Bundle, space string) error {
	return w.service.Transact(w.context, collection.Request{Principal: permission.System(), Space: space}, func(c *collection.Change) error { return transfer.Place(b, c) })
}

func (w *world) first(space, kind, name string) string {
	w.fail.Helper()
	rows, _, err := w.service.Store.List(w.context, w.service.Store.DB.Read(), document.Query{Kind: kind, Spaces: []string{space}, Name: strings.ToLower(name)})
	if err != nil || len(rows) != 1 {
		w.fail.Fatalf("%d of kind %s named %s in %s, %v", len(rows), kind, name, space, err)
	}
	return rows[0].ID
}

// draw makes a project with some of everything that a project can have.
func (w *world) draw(t *rapid.T, space string) string {
	yes := func(label string) bool { return rapid.Bool().Draw(t, label) }
	word := func(label string) string { return rapid.StringMatching(`[A-Z][a-z]{1,6}( [a-z]{1,4})?`).Draw(t, label) }
	var environments []string
	for n := range rapid.IntRange(1, 3).Draw(t, "environments") {
		environments = append(environments, w.create(space, "Environments", fields{"Name": fmt.Sprintf("%s %d", word("environment"), n)}).Text("Id"))
	}
	some := func(label string) []string {
		list := []string{}
		for _, e := range environments {
			if yes(label) {
				list = append(list, e)
			}
		}
		return list
	}
	lifecycle := w.first(space, "Lifecycles", "Default Lifecycle")
	if yes("lifecycle") {
		lifecycle = w.create(space, "Lifecycles", fields{"Name": word("lifecycle") + " L", "Phases": []fields{{"Name": "First", "OptionalDeploymentTargets": some("phase")}}}).Text("Id")
	}
	w.create(space, "TagSets", fields{"Name": "Ring", "Tags": []fields{{"Name": "Early"}, {"Name": "Late"}}})
	account := w.create(space, "Accounts", fields{"Name": word("account") + " A", "AccountType": "Token", "EnvironmentIds": some("account in"), "Token": fields{"HasValue": true, "NewValue": word("token")}}).Text("Id")
	feed := w.first(space, "Feeds", "Octopus Server (built-in)")
	if yes("feed") {
		feed = w.create(space, "Feeds", fields{"Name": "Outside", "FeedType": "NuGet", "FeedUri": "https://example.test", "Username": "me", "Password": fields{"HasValue": true, "NewValue": "feed me"}}).Text("Id")
	}
	library := w.create(space, "LibraryVariableSets", fields{"Name": word("set") + " V", "Templates": []fields{{"Name": "Colour"}}})
	w.edit(space, "VariableSets", library.Text("VariableSetId"), fields{"Variables": w.variables(t, environments, account)})
	project := w.create(space, "Projects", fields{"Name": word("project") + " P", "Slug": rapid.SampledFrom([]string{"", "my-own"}).Draw(t, "slug"), "Description": word("description"), "ProjectGroupId": w.first(space, "ProjectGroups", "Default Project Group"), "LifecycleId": lifecycle,
		"IncludedLibraryVariableSetIds": []string{library.Text("Id")}, "Templates": []fields{{"Name": "Key", "DisplaySettings": fields{"Octopus.ControlType": "Sensitive"}}}})
	id := project.Text("Id")
	channels := []string{}
	if yes("channel") {
		channels = append(channels, w.create(space, "Channels", fields{"Name": "Hotfix", "ProjectId": id, "LifecycleId": lifecycle, "TenantTags": []string{"Ring/Late"}, "Rules": []fields{{"VersionRange": "[1.0,2.0)", "Tag": "^$", "ActionPackages": []fields{{"DeploymentAction": "Run"}}}}}).Text("Id"))
	}
	template := w.create(space, "ActionTemplates", fields{"Name": word("template") + " T", "ActionType": "Octopus.Script", "Properties": fields{"Octopus.Action.Script.ScriptBody": "echo 1"}}).Text("Id")
	for range rapid.IntRange(0, 2).Draw(t, "newer versions") {
		w.edit(space, "ActionTemplates", template, fields{"Description": word("newer")})
	}
	steps := []fields{{"Name": "Run", "Properties": fields{"Octopus.Action.TargetRoles": "web"}, "Actions": []fields{{"Name": "Run", "ActionType": "Octopus.Script", "Environments": some("step in"), "Channels": channels, "TenantTags": []string{"Ring/Early"},
		"Packages": []fields{{"Name": "", "PackageId": "Acme", "FeedId": feed}}, "Properties": fields{"Octopus.Action.Template.Id": template, "Octopus.Action.Template.Version": "1", "Secret": fields{"HasValue": true, "NewValue": word("in a step")}}}}}}
	w.edit(space, "DeploymentProcesses", "deploymentprocess-"+id, fields{"Steps": steps})
	w.edit(space, "VariableSets", "variableset-"+id, fields{"Variables": w.variables(t, environments, account)})
	if yes("runbook") {
		book := w.create(space, "Runbooks", fields{"Name": word("runbook"), "ProjectId": id, "EnvironmentScope": "Specified", "Environments": some("runbook in")}).Text("Id")
		steps[0]["Actions"].([]fields)[0]["Channels"] = []string{}
		w.edit(space, "RunbookProcesses", "RunbookProcess-"+book, fields{"Steps": steps})
	}
	if yes("tenant") {
		w.create(space, "Tenants", fields{"Name": word("tenant"), "TenantTags": []string{"Ring/Early"}, "ProjectEnvironments": fields{id: some("tenant in")}})
	}
	return id
}

func (w *world) variables(t *rapid.T, environments []string, account string) (list []fields) {
	for n := range rapid.IntRange(0, 4).Draw(t, "variables") {
		v := fields{"Name": fmt.Sprintf("V%d", n), "Value": rapid.StringMatching(`[ -~]{0,12}`).Draw(t, "value"), "Type": "String", "Scope": fields{}}
		switch rapid.IntRange(0, 3).Draw(t, "kind of variable") {
		case 0:
			v["Type"], v["IsSensitive"], v["Value"] = "Sensitive", true, "s"+rapid.StringMatching(`[ -~]{0,12}`).Draw(t, "secret")
		case 1:
			v["Type"], v["Value"] = "AmazonWebServicesAccount", account
		case 2:
			v["Scope"] = fields{"Environment": environments[:1], "Role": []string{"web"}, "TenantTag": []string{"Ring/Late"}}
		}
		list = append(list, v)
	}
	return list
}

// TestProjectsTravel: what was exported, imported into an empty space and exported again is the same but for ids.
func TestProjectsTravel(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := begin(t, d)
		n, failed := 0, false
		rapid.Check(t, func(r *rapid.T) {
			if n++; n > 12 && !failed { // a tenth of what rapid would do: each makes two spaces
				return
			}
			defer func() { failed = failed || r.Failed() }()
			w := &world{r, w.context, w.service, w.transfers}
			from, to := w.space(fmt.Sprintf("From %d", n)), w.space(fmt.Sprintf("To %d", n))
			first, want := w.gather(from, w.draw(r, from))
			if err := w.place(first, to); err != nil {
				r.Fatalf("import: %v", err)
			}
			name := strings.TrimPrefix(strings.SplitN(want[strings.Index(want, "\nProjects/")+1:], " {", 2)[0], "Projects/")
			if _, got := w.gather(to, w.first(to, "Projects", name)); got != want {
				r.Fatalf("it is not the same.\nexported: %s\nagain:    %s", different(want, got), different(got, want))
			}
			if err := w.place(first, to); err != nil { // everything is there: nothing changes
				r.Fatalf("again: %v", err)
			}
			if _, got := w.gather(to, w.first(to, "Projects", name)); got != want {
				r.Fatalf("a second import changed it.\nbefore: %s\nafter:  %s", different(want, got), different(got, want))
			}
		})
	})
}

// different are the lines of one that the other lacks.
func different(one, other string) string {
	lines := strings.Split(other, "\n")
	return strings.Join(slices.DeleteFunc(strings.Split(one, "\n"), func(s string) bool { return slices.Contains(lines, s) }), "\n")
}

// sample is a world with a project, and its export.
func sample(t *testing.T) (*world, *transfer.Bundle, []byte) {
	t.Helper()
	w := begin(t, dbtest.Open(t, dbtest.SQLite(t)))
	space := w.space("From")
	project := w.create(space, "Projects", fields{"Name": "Web", "ProjectGroupId": w.first(space, "ProjectGroups", "Default Project Group"), "LifecycleId": w.first(space, "Lifecycles", "Default Lifecycle")}).Text("Id")
	w.edit(space, "VariableSets", "variableset-"+project, fields{"Variables": []fields{{"Name": "Key", "Type": "Sensitive", "IsSensitive": true, "Value": "open sesame"}}})
	b, _ := w.gather(space, project)
	file, err := w.transfers.Zip(b, "a password")
	if err != nil {
		t.Fatal(err)
	}
	return w, b, file
}

func TestFilesOpenOnlyAsTheyWere(t *testing.T) {
	t.Parallel()
	w, b, file := sample(t)
	if bytes.Contains(unpacked(t, file), []byte("sesame")) {
		t.Error("the file shows a secret")
	}
	again, err := w.transfers.Unzip(file, "a password")
	if err != nil {
		t.Fatal(err)
	}
	want, _ := transfer.Canonical(b)
	if got, _ := transfer.Canonical(again); got != want {
		t.Errorf("read again: %s\nwant %s", got, want)
	}
	entry := func(name, content string) []byte { return rezip(t, file, name, content) }
	for name, bad := range map[string][]byte{"cut": file[:len(file)/2], "empty": nil, "no zip": []byte("PK and nothing else"), "another zip": entry("export.json", `{"Format":"something else"}`), "newer": entry("export.json", `{"Format":"project-export","FormatVersion":99}`),
		"one more": entry("documents/Users/Users-1.json", `{"Kind":"Users","Id":"Users-1","Body":{}}`), "one replaced": entry(firstName(t, file), `{}`), "a bomb": entry("documents/x", strings.Repeat("0", 17<<20))} {
		if _, err := w.transfers.Unzip(bad, "a password"); err == nil {
			t.Errorf("%s: it was read", name)
		}
	}
	if _, err := w.transfers.Unzip(file, "another password"); err == nil || !strings.Contains(err.Error(), "password") {
		t.Errorf("a wrong password: %v", err)
	}
}

// TestImportIsAllOrNothing: a document that is refused leaves nothing of the others.
func TestImportIsAllOrNothing(t *testing.T) {
	t.Parallel()
	w, b, _ := sample(t)
	to := w.space("To")
	lifecycle, _, err := w.transfers.Gather(w.context, to) // nothing
	if err != nil || len(transfer.KindsOf(lifecycle)) != 0 {
		t.Fatalf("%v, %v", transfer.KindsOf(lifecycle), err)
	}
	before, _, _ := w.service.Store.List(w.context, w.service.Store.DB.Read(), document.Query{Kind: "Projects", Spaces: []string{to}})
	err = w.service.Transact(w.context, collection.Request{Principal: permission.System(), Space: to}, func(c *collection.Change) error {
		if err := transfer.Place(b, c); err != nil {
			return err
		}
		return fmt.Errorf("the disk is full")
	})
	after, _, _ := w.service.Store.List(w.context, w.service.Store.DB.Read(), document.Query{Kind: "Projects", Spaces: []string{to}})
	if err == nil || len(after) != len(before) {
		t.Errorf("%d projects, %v", len(after), err)
	}
}

// TestValuesForTargetsAreLeftOut: without their scope they would apply everywhere.
func TestValuesForTargetsAreLeftOut(t *testing.T) {
	t.Parallel()
	w, _, _ := sample(t)
	space := w.space("Targets")
	environment := w.create(space, "Environments", fields{"Name": "Test"}).Text("Id")
	machine := w.create(space, "Machines", fields{"Name": "One", "EnvironmentIds": []string{environment}, "Roles": []string{"web"}, "Endpoint": fields{"CommunicationStyle": "None"}}).Text("Id")
	project := w.create(space, "Projects", fields{"Name": "Web", "ProjectGroupId": w.first(space, "ProjectGroups", "Default Project Group"), "LifecycleId": w.first(space, "Lifecycles", "Default Lifecycle")}).Text("Id")
	w.edit(space, "VariableSets", "variableset-"+project, fields{"Variables": []fields{{"Name": "Here", "Value": "1", "Scope": fields{"Machine": []string{machine}}}, {"Name": "Everywhere", "Value": "2"}}})
	b, warned, err := w.transfers.Gather(w.context, space, project)
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := transfer.Canonical(b); strings.Contains(text, "Here") || !strings.Contains(text, "Everywhere") || len(warned) != 1 || strings.Contains(text, machine) {
		t.Errorf("%v: %s", warned, text)
	}
}

func unpacked(t *testing.T, file []byte) []byte {
	t.Helper()
	var all bytes.Buffer
	for _, f := range archive(t, file) {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = all.ReadFrom(r)
	}
	return all.Bytes()
}

func archive(t *testing.T, file []byte) []*zip.File {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	return z.File
}

func firstName(t *testing.T, file []byte) string { return archive(t, file)[0].Name }

// rezip is the file with one entry replaced or added.
func rezip(t *testing.T, file []byte, name, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range archive(t, file) {
		if f.Name != name {
			if err := w.Copy(f); err != nil {
				t.Fatal(err)
			}
		}
	}
	e, err := w.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = e.Write([]byte(content))
	_ = w.Close()
	return b.Bytes()
}
