package spaceserver_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"odcm/octopus"
	"odcm/spaceserver"
)

// selfSigned makes a certificate and its key.
func selfSigned(t *testing.T, name string) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name, Organization: []string{"Acme"}}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{name}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}

func TestCertificates(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first, key := selfSigned(t, "first.test")
		pfx, err := pkcs12.Modern.Encode(key, first, nil, "secret")
		if err != nil {
			t.Fatal(err)
		}
		data := base64.StdEncoding.EncodeToString(pfx)
		w.want(http.StatusBadRequest, "POST", "/api/certificates", fields{"Name": "wrong", "CertificateData": fields{"NewValue": data}, "Password": fields{"NewValue": "other"}})
		made := w.create("/api/certificates", fields{"Name": "web", "CertificateData": fields{"HasValue": true, "NewValue": data}, "Password": fields{"HasValue": true, "NewValue": "secret"}})
		if made.Text("CertificateDataFormat") != "Pkcs12" || !made.Bool("HasPrivateKey") || !made.Bool("SelfSigned") || made.Bool("IsExpired") || made.Text("SubjectCommonName") != "first.test" || made.Text("SerialNumber") != "07" {
			t.Errorf("made: %s", text(made))
		}
		path := "/api/certificates/" + made.Text("Id")
		_, exported := w.send("GET", path+"/export?format=Pem&includePrivateKey=true", nil)
		if block, rest := pem.Decode(exported); block == nil || string(block.Bytes) != string(first.Raw) || !strings.Contains(string(rest), "PRIVATE KEY") {
			t.Errorf("export: %s", exported)
		}
		second, _ := selfSigned(t, "second.test")
		old := w.want(http.StatusOK, "POST", path+"/replace", fields{"CertificateData": base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: second.Raw}))})
		now := w.get(path)
		if old.Text("ReplacedBy") != made.Text("Id") || !old.Has("Archived") || now.Text("SubjectCommonName") != "second.test" || now.Bool("HasPrivateKey") {
			t.Errorf("replaced: %s\nold: %s", text(now), text(old))
		}
		if _, exported := w.send("GET", "/api/certificates/"+old.Text("Id")+"/export?format=Der", nil); string(exported) != string(first.Raw) {
			t.Error("the old one is not kept")
		}
		w.want(http.StatusBadRequest, "GET", path+"/export?includePrivateKey=true", nil) // it has none
	})
}

// TestTenantVariables: a tenant's values read in the older and in the newer form, and secrets stay when what was read is
// sent back in either.
func TestTenantVariables(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		environment := w.create("/api/environments", fields{"Name": "Test"}).Text("Id")
		project := w.create("/api/projects", fields{"Name": "Web", "ProjectGroupId": "ProjectGroups-1", "LifecycleId": "Lifecycles-1", "Templates": []fields{
			{"Id": "colour", "Name": "Colour", "DefaultValue": ""}, {"Id": "key", "Name": "Key", "DisplaySettings": fields{"Octopus.ControlType": "Sensitive"}}}}).Text("Id")
		tenant := w.create("/api/tenants", fields{"Name": "Acme", "ProjectEnvironments": fields{project: []string{environment}}}).Text("Id")
		path := "/api/Spaces-1/tenants/" + tenant
		if missing := octopus.As[[]fields](octopusObject(t, w, "/api/tenants/variables-missing?tenantId="+tenant), "all"); len(missing) != 1 || len(missing[0]["MissingVariables"].([]any)) != 2 {
			t.Errorf("missing: %v", missing)
		}
		w.want(http.StatusOK, "PUT", path+"/projectvariables", fields{"Variables": []fields{
			{"ProjectId": project, "TemplateId": "colour", "Value": "blue", "Scope": fields{"EnvironmentIds": []string{environment}}},
			{"ProjectId": project, "TemplateId": "key", "Value": fields{"HasValue": true, "NewValue": "open sesame"}, "Scope": fields{"EnvironmentIds": []string{}}}}})
		older := w.get(path + "/variables")
		values := older.Object("ProjectVariables").Object(project).Object("Variables").Object(environment)
		if values.Text("colour") != "blue" || !values.Object("key").Bool("HasValue") || values.Object("key").Has("NewValue") {
			t.Fatalf("older form: %s", text(older))
		}
		again := w.want(http.StatusOK, "PUT", path+"/variables", older)
		if !again.Object("ProjectVariables").Object(project).Object("Variables").Object(environment).Object("key").Bool("HasValue") {
			t.Errorf("the secret was lost: %s", text(again))
		}
		newer := w.get(path + "/projectvariables?includeMissingVariables=true")
		if list := newer.Objects("Variables"); len(list) != 2 || len(newer.Objects("MissingVariables")) != 0 {
			t.Errorf("newer form: %s", text(newer))
		}
		if text, _ := newer.MarshalJSON(); strings.Contains(string(text), "sesame") {
			t.Errorf("a secret is shown: %s", text)
		}
		w.want(http.StatusOK, "DELETE", path, nil)
	})
}

// octopusObject gets an array and wraps it as an object with the one member "all".
func octopusObject(t *testing.T, w *world, path string) octopus.Object {
	t.Helper()
	status, text := w.send("GET", path, nil)
	if status != http.StatusOK {
		t.Fatalf("GET %s: %d %s", path, status, text)
	}
	o, err := octopus.ParseObject([]byte(`{"all":` + string(text) + `}`))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestCommunityTemplate is installed into a space, updated there, and brings the steps that were made from it along.
func TestCommunityTemplate(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		community := w.create("/api/communityactiontemplates", fields{"Name": "Say", "Type": "Octopus.Script", "Version": 1, "Properties": fields{"Body": "echo #{Words}"},
			"Parameters": []fields{{"Name": "Words", "DefaultValue": "hello"}}})
		installation := "/api/communityactiontemplates/" + community.Text("Id") + "/installation/Spaces-1"
		template := w.create(installation, fields{})
		w.want(http.StatusBadRequest, "POST", installation, fields{}) // once is enough
		project := w.project("Web")
		process := w.get("/api/deploymentprocesses/" + project.Text("DeploymentProcessId"))
		process.Set("Steps", []fields{{"Name": "Say", "Actions": []fields{{"Name": "Say", "ActionType": "Octopus.Script", "Properties": fields{"Octopus.Action.Template.Id": template.Text("Id"),
			"Octopus.Action.Template.Version": "1", "Body": "echo #{Words}", "Words": "mine", "Octopus.Action.RunOnServer": "true"}}}}})
		w.want(http.StatusOK, "PUT", "/api/deploymentprocesses/"+process.Text("Id"), process)

		community.Set("Properties", fields{"Body": "echo louder #{Words}", "Syntax": "Bash"})
		community.Set("Parameters", []fields{{"Name": "Words", "DefaultValue": "hello"}, {"Name": "Volume"}})
		w.want(http.StatusOK, "PUT", "/api/communityactiontemplates/"+community.Text("Id"), community)
		if newer := w.want(http.StatusOK, "PUT", installation, fields{}); newer.Int("Version") != 2 || newer.Text("Id") != template.Text("Id") {
			t.Fatalf("updated: %s", text(newer))
		}
		usage := octopusObject(t, w, "/api/actiontemplates/"+template.Text("Id")+"/usage").Objects("all")
		if len(usage) != 1 || usage[0].Text("Version") != "1" {
			t.Fatalf("usage: %v", usage)
		}
		update := func(body fields) octopus.Object {
			body["Version"], body["ActionsToUpdate"] = 2, []fields{{"ProcessId": process.Text("Id"), "ActionIds": []string{usage[0].Text("ActionId")}}}
			status, text := w.send("POST", "/api/actiontemplates/"+template.Text("Id")+"/actionsUpdate", body)
			o, err := octopus.ParseObject([]byte(`{"all":` + string(text) + `}`))
			if status != http.StatusOK || err != nil || len(o.Objects("all")) != 1 {
				t.Fatalf("update: %d %s", status, text)
			}
			return o.Objects("all")[0]
		}
		if r := update(fields{}); r.Text("Outcome") != "DefaultParamterValueMissing" || strings.Join(r.Texts("NamesOfNewParametersMissingDefaultValue"), "") != "Volume" {
			t.Errorf("without a value: %s", text(r))
		}
		if r := update(fields{"DefaultPropertyValues": fields{"Volume": "11"}}); r.Text("Outcome") != "Success" {
			t.Errorf("with a value: %s", text(r))
		}
		properties := w.get("/api/deploymentprocesses/" + process.Text("Id")).Objects("Steps")[0].Objects("Actions")[0].Object("Properties")
		for name, want := range map[string]string{"Body": "echo louder #{Words}", "Syntax": "Bash", "Words": "mine", "Volume": "11", "Octopus.Action.RunOnServer": "true", "Octopus.Action.Template.Version": "2"} {
			if properties.Text(name) != want {
				t.Errorf("%s is %q, want %q", name, properties.Text(name), want)
			}
		}
	})
}

// TestTasksAreHonest: what was not done is not told to be done.
func TestTasksAreHonest(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{})
	environment := w.create("/api/environments", fields{"Name": "Test"}).Text("Id")
	target := fields{"Name": "Region", "EnvironmentIds": []string{environment}, "Roles": []string{"web"}, "Endpoint": fields{"CommunicationStyle": "None"}}
	w.create("/api/machines", target)
	task, log := w.outcome(w.create("/api/tasks", fields{"Name": "Health", "SpaceId": "Spaces-1"}).Text("Id"))
	if task.Text("State") != "Success" || !strings.Contains(log, "Region") {
		t.Errorf("%s\n%s", text(task), log)
	}
	for name, status := range map[string]int{"Upgrade": http.StatusNotImplemented, "Deploy": http.StatusBadRequest, "": http.StatusBadRequest} {
		w.want(status, "POST", "/api/tasks", fields{"Name": name, "SpaceId": "Spaces-1"})
	}
	w.want(http.StatusBadRequest, "POST", "/api/deployments", fields{})
	if n := len(w.get("/api/tasks").Objects("Items")); n != 1 {
		t.Errorf("%d tasks, want the one that ran", n)
	}
}

// TestLibraryIsGuarded: who may only look changes nothing, runs nothing and gets no private key.
func TestLibraryIsGuarded(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{})
	environment := w.create("/api/environments", fields{"Name": "Test"}).Text("Id")
	tenant := w.create("/api/tenants", fields{"Name": "Acme"}).Text("Id")
	c, key := selfSigned(t, "guarded.test")
	pfx, err := pkcs12.Modern.Encode(key, c, nil, "secret")
	if err != nil {
		t.Fatal(err)
	}
	certificate := w.create("/api/certificates", fields{"Name": "web", "CertificateData": fields{"NewValue": base64.StdEncoding.EncodeToString(pfx)}, "Password": fields{"NewValue": "secret"}}).Text("Id")
	community := w.create("/api/communityactiontemplates", fields{"Name": "Say", "Type": "Octopus.Script"}).Text("Id")
	release := w.create("/api/releases", fields{"ProjectId": w.project("Web").Text("Id"), "Version": "1.0.0"}).Text("Id")
	w.upload("POST", "/api/Spaces-1/packages/raw", "Acme.1.0.0.zip", []byte("x"))
	artifact := w.create("/api/artifacts", fields{"Filename": "log.txt", "ServerTaskId": w.create("/api/tasks", fields{"Name": "Health", "SpaceId": "Spaces-1"}).Text("Id")}).Text("Id")
	if status, _ := w.send("PUT", "/api/artifacts/"+artifact+"/content", "content"); status != http.StatusOK {
		t.Errorf("content of an artifact: %d", status)
	}

	var granted []string // every permission to look
	for name := range w.get("/api/permissions/all").All() {
		if strings.HasSuffix(name, "View") {
			granted = append(granted, name)
		}
	}
	role := w.create("/api/userroles", fields{"Name": "Looker", "GrantedSpacePermissions": granted}).Text("Id")
	looker := w.user("looker", fields{"UserRoleId": role, "SpaceId": "Spaces-1"})
	if _, content := looker.send("GET", "/api/Spaces-1/artifacts/"+artifact+"/content", nil); string(content) != "content" {
		t.Errorf("an artifact holds %q", content)
	}
	if status, _ := looker.upload("POST", "/api/Spaces-1/packages/raw", "Acme.2.0.0.zip", []byte("x")); status != http.StatusForbidden {
		t.Errorf("a package was pushed: %d", status)
	}
	for _, refused := range []struct{ method, path string }{
		{"DELETE", "packages/packages-Acme.1.0.0"}, {"DELETE", "packages/bulk?ids=packages-Acme.1.0.0"}, {"POST", "build-information"},
		{"GET", "certificates/" + certificate + "/export?includePrivateKey=true"}, {"POST", "certificates/" + certificate + "/archive"}, {"POST", "certificates/" + certificate + "/replace"},
		{"PUT", "tenants/" + tenant + "/variables"}, {"PUT", "tenants/" + tenant + "/commonvariables"}, {"POST", "communityactiontemplates/" + community + "/installation"},
		{"POST", "tasks"}, {"POST", "releases/" + release + "/defects"}, {"POST", "parentenvironments"}, {"DELETE", "artifacts/" + artifact}, {"PUT", "artifacts/" + artifact + "/content"},
	} {
		body := fields{"Name": "x", "PackageId": "x", "Version": "1", "Description": "x", "CertificateData": base64.StdEncoding.EncodeToString(c.Raw), "SpaceId": "Spaces-1"}
		if status, answer := looker.send(refused.method, "/api/Spaces-1/"+refused.path, body); status != http.StatusForbidden {
			t.Errorf("%s %s: %d %s", refused.method, refused.path, status, answer)
		}
	}
	for _, path := range []string{"/api/communityactiontemplates", "/api/deploymentfreezes"} {
		if status, answer := looker.send("POST", path, fields{"Name": "x", "Type": "x", "Start": "2030-01-01T00:00:00Z", "End": "2030-01-02T00:00:00Z"}); status != http.StatusForbidden {
			t.Errorf("POST %s: %d %s", path, status, answer)
		}
	}
	looker.get("/api/Spaces-1/packages/packages-Acme.1.0.0")
	looker.get("/api/Spaces-1/environments/" + environment)
	looker.get("/api/communityactiontemplates/" + community)
	looker.get("/api/deploymentfreezes")
	looker.want(http.StatusForbidden, "GET", "/api/smtpconfiguration", nil)
}

// TestDefects keep a release until they are resolved.
func TestDefects(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{})
	release := w.create("/api/releases", fields{"ProjectId": w.project("Web").Text("Id"), "Version": "1.0.0"}).Text("Id")
	path := "/api/releases/" + release + "/defects"
	w.want(http.StatusBadRequest, "POST", path+"/resolve", fields{})
	w.want(http.StatusOK, "POST", path, fields{"Description": "It burns"})
	w.want(http.StatusBadRequest, "POST", path, fields{"Description": "It still burns"})
	if o := w.want(http.StatusOK, "POST", path+"/resolve", fields{}); o.Text("Status") != "Resolved" {
		t.Errorf("resolved: %s", text(o))
	}
	if items := w.get(path).Objects("Items"); len(items) != 1 || items[0].Text("Status") != "Resolved" {
		t.Errorf("list: %v", items)
	}
}

func text(o octopus.Object) string {
	b, err := o.MarshalJSON()
	if err != nil {
		return err.Error()
	}
	return string(b)
}
