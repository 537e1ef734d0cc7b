package spaceserver_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"odcm/octopus"
	"odcm/spaceserver"
	"odcm/spaceserver/internal/signin/issuertest"
)

// upload sends a file by the form of a page.
func (p *person) upload(path, name string, content []byte) (int, string, http.Header) {
	p.t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	part, err := form.CreateFormFile("file", name)
	if err == nil {
		_, err = part.Write(content)
	}
	if err != nil || form.Close() != nil {
		p.t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodPost, p.w.url+path, &b)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", form.FormDataContentType())
	return p.do(r)
}

// fieldName finds the fields of a form.
var fieldName = regexp.MustCompile(`name="([^"]+)"`)

func TestPagesTakePackages(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{AdminPassword: adminPassword})
	p := w.visit("admin", adminPassword)
	const packages = "/app/Spaces-1/library/packages"
	if status, text, header := p.upload(packages+"/upload", "Acme.Web.1.2.3.zip", zipped(t, "index.html", "hello")); status != http.StatusSeeOther || header.Get("Location") != packages {
		t.Fatalf("upload: status %d: %s", status, refusal.FindString(text))
	}
	if _, text := p.look(packages); !strings.Contains(text, "Acme.Web") || !strings.Contains(text, "1.2.3") || !strings.Contains(text, "Uploaded Acme.Web 1.2.3.") {
		t.Error("the list does not show the package, or does not say what was done")
	}
	for name, content := range map[string][]byte{"Acme.Web.1.2.3.zip": zipped(t, "index.html", "other"), "noversion.zip": zipped(t, "a", "b")} {
		status, text, _ := p.upload(packages+"/upload", name, content)
		if status < 400 || status >= 500 {
			t.Errorf("%s: status %d", name, status)
		}
		sound(t, packages, text)
	}
	id := w.get("/api/Spaces-1/packages").Objects("Items")[0].Text("Id")
	p.must(packages+"/"+id+"/delete", url.Values{})
	if _, text := p.look(packages); strings.Contains(text, "<b>Acme.Web</b>") {
		t.Error("a deleted package is in the list")
	}
}

func TestPagesEditFeeds(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{AdminPassword: adminPassword})
	p := w.visit("admin", adminPassword)
	const feeds = "/app/Spaces-1/library/feeds"
	p.must(feeds+"/new?type=NuGet", url.Values{"FeedType": {"NuGet"}, "Name": {"Team"}, "FeedUri": {"https://packages.example.com/v3/index.json"}, "Username": {"reader"}, "Password": {"shelf life"}})
	feed := func() octopus.Object {
		for _, o := range w.get("/api/Spaces-1/feeds").Objects("Items") {
			if o.Text("FeedType") == "NuGet" {
				return o
			}
		}
		t.Fatal("there is no such feed")
		return octopus.Object{}
	}
	if o := feed(); !o.Object("Password").Bool("HasValue") || o.Text("Username") != "reader" {
		t.Errorf("the feed is %s", text(o))
	}
	at := feeds + "/" + feed().Text("Id")
	_, page := p.look(at)
	sound(t, at, page)
	if strings.Contains(page, "shelf life") || !strings.Contains(page, "kept as it is") {
		t.Error("the form shows the password, or does not say that there is one")
	}
	p.must(at, url.Values{"FeedType": {"NuGet"}, "Name": {"Team feed"}, "FeedUri": {"https://packages.example.com/v3/index.json"}, "Username": {"reader"}, "Password": {""}})
	if o := feed(); o.Text("Name") != "Team feed" || !o.Object("Password").Bool("HasValue") {
		t.Errorf("after a change without a password the feed is %s", text(o))
	}
	p.must(at+"/delete", url.Values{})
}

func TestPagesDeployToTenants(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{AdminPassword: adminPassword})
	p := w.visit("admin", adminPassword)
	const in = "/app/Spaces-1/"
	environment := w.environments("Dev")[0]
	project := w.project("Web")
	w.process(project.Text("Id"), bash("Greet", `echo "for #{Octopus.Deployment.Tenant.Name}: #{Colour}, #{Licence}"`))
	project = w.get("/api/Spaces-1/projects/" + project.Text("Id"))
	project.Set("TenantedDeploymentMode", "Tenanted")
	project.Set("Templates", []any{fields{"Name": "Colour", "Label": "Colour of the shop", "DefaultValue": "grey", "DisplaySettings": fields{"Octopus.ControlType": "SingleLineText"}},
		fields{"Name": "Licence", "Label": "Licence", "DisplaySettings": fields{"Octopus.ControlType": "Sensitive"}}})
	w.want(http.StatusOK, http.MethodPut, "/api/Spaces-1/projects/"+project.Text("Id"), project)
	tenants := map[string]string{}
	for _, name := range []string{"Contoso", "Fabrikam"} {
		p.must(in+"tenants/new", url.Values{"Name": {name}})
		id := w.get("/api/Spaces-1/tenants?partialName=" + name).Objects("Items")[0].Text("Id")
		tenants[name] = id
		p.must(in+"tenants/"+id+"/connect", url.Values{"connected": {project.Text("Id") + "/" + environment}})
		at := in + "tenants/" + id + "/variables"
		_, page := p.look(at)
		sound(t, at, page)
		form := url.Values{}
		for _, field := range fieldName.FindAllStringSubmatch(page, -1) {
			if strings.HasPrefix(field[1], "project/") {
				form.Set(field[1], map[bool]string{true: "blue like " + name, false: "a key of " + name}[len(form) == 0])
			}
		}
		if len(form) != 2 {
			t.Fatalf("the page of the tenant's variables has the fields %v", form)
		}
		p.must(at, form)
		_, page = p.look(at)
		if !strings.Contains(page, "blue like "+name) || strings.Contains(page, "a key of") || !strings.Contains(page, "kept as it is") {
			t.Errorf("%s: the variables are not kept, or the secret shows", name)
		}
	}
	release := w.release(project.Text("Id"), "1.0.0")
	at := in + "releases/" + release + "/deploy?environment=" + environment
	_, page := p.look(at)
	sound(t, at, page)
	for _, id := range tenants {
		if !strings.Contains(page, `value="`+id+`"`) {
			t.Errorf("the page does not offer the tenant %s", id)
		}
		at += "&tenant=" + id
	}
	form := url.Values{"EnvironmentIds": {environment}, "TenantIds": {tenants["Contoso"], tenants["Fabrikam"]}}
	if location := p.must(at, form); location != in+"releases/"+release {
		t.Errorf("two deployments lead to %s", location)
	}
	for _, o := range w.get("/api/Spaces-1/deployments").Objects("Items") {
		name := map[bool]string{true: "Contoso", false: "Fabrikam"}[o.Text("TenantId") == tenants["Contoso"]]
		task, log := w.outcome(o.Text("TaskId"))
		if task.Text("State") != "Success" || !strings.Contains(log, "for "+name+": blue like "+name+", ********") {
			t.Errorf("%s: %s\n%s", name, task.Text("State"), log)
		}
	}
	if _, page := p.look(in + "dashboard"); !strings.Contains(page, "2 tenants") {
		t.Error("the dashboard does not tell of the tenants")
	}
}

func TestPagesAnswerFailures(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{AdminPassword: adminPassword})
	p := w.visit("admin", adminPassword)
	environment := w.environments("Dev")[0]
	project := w.project("Web").Text("Id")
	w.process(project, bash("Fails", "exit 3"), bash("After", "echo after"))
	release := w.release(project, "1.0.0")
	asks := regexp.MustCompile(`checked[^>]* name="UseGuidedFailure"`)
	deploy := "/app/Spaces-1/releases/" + release + "/deploy?environment=" + environment
	if _, page := p.look(deploy); asks.MatchString(page) {
		t.Error("a person is asked in an environment that does not say so")
	}
	o := w.get("/api/Spaces-1/environments/" + environment)
	o.Set("UseGuidedFailure", true)
	w.want(http.StatusOK, http.MethodPut, "/api/Spaces-1/environments/"+environment, o)
	if _, page := p.look(deploy); !asks.MatchString(page) {
		t.Error("nobody is asked in an environment that says so")
	}
	for answer, want := range map[string]string{"Ignore": "Success", "Fail": "Failed"} {
		id := w.deploy(release, environment, fields{"UseGuidedFailure": true})
		question := w.asked(id)
		base := "/tasks/" + id + "/interruptions/" + question.Text("Id")
		p.must(base+"/responsible", url.Values{})
		_, page := p.look("/tasks/" + id)
		sound(t, "/tasks/"+id, page)
		for _, button := range []string{"Retry", "Ignore", "Fail"} {
			if !strings.Contains(page, `value="`+button+`"`) {
				t.Errorf("the page does not offer %s", button)
			}
		}
		if status, _, _ := p.send(base+"/submit", url.Values{"Guidance": {"Dance"}}); status < 400 || status >= 500 {
			t.Errorf("an answer that is none: status %d", status)
		}
		p.must(base+"/submit", url.Values{"Guidance": {answer}, "Notes": {"as seen"}})
		if task, log := w.outcome(id); task.Text("State") != want {
			t.Errorf("%s: %s\n%s", answer, task.Text("State"), log)
		}
	}
}

func TestPagesEditStepsOfARollingDeployment(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{AdminPassword: adminPassword})
	p := w.visit("admin", adminPassword)
	project := w.project("Web").Text("Id")
	rolling := on("web", bash("Take out", "echo out"))
	rolling["Name"] = "Rolling"
	rolling["Actions"] = append(rolling["Actions"].([]fields), bash("Put back", "echo back")["Actions"].([]fields)...)
	w.process(project, rolling)
	at := "/app/Spaces-1/projects/" + project + "/process"
	step := func() octopus.Object {
		return w.get("/api/Spaces-1/projects/" + project + "/deploymentprocesses").Objects("Steps")[0]
	}
	second := step().Objects("Actions")[1].Text("Id")
	edit := at + "/steps/" + step().Text("Id") + "?action=" + second
	_, page := p.look(edit)
	sound(t, edit, page)
	if !strings.Contains(page, "echo back") {
		t.Fatalf("the page of the child step does not show its script")
	}
	p.must(edit, url.Values{"Name": {"Put back"}, "Where": {"targets"}, "Syntax": {"Bash"}, "Script": {"echo welcome back"}, "Roles": {"web"}, "Window": {"1"}, "Condition": {"Success"}, "StartTrigger": {"StartAfterPrevious"}})
	got := step()
	actions := got.Objects("Actions")
	if got.Text("Name") != "Rolling" || len(actions) != 2 || actions[0].Object("Properties").Text("Octopus.Action.Script.ScriptBody") != "echo out" ||
		actions[1].Object("Properties").Text("Octopus.Action.Script.ScriptBody") != "echo welcome back" || got.Object("Properties").Text("Octopus.Action.MaxParallelism") != "1" {
		t.Errorf("the step is %s", text(got))
	}
	// Another child is added, and one is taken away.
	add := at + "/steps/" + got.Text("Id") + "/add?type=Octopus.Script"
	_, page = p.look(add)
	sound(t, add, page)
	p.must(add, url.Values{"Name": {"Look"}, "Where": {"targets"}, "Syntax": {"Bash"}, "Script": {"echo look"}, "Roles": {"web"}, "Condition": {"Success"}, "StartTrigger": {"StartAfterPrevious"}})
	if got = step(); len(got.Objects("Actions")) != 3 || got.Objects("Actions")[2].Text("Name") != "Look" || got.Text("Name") != "Rolling" {
		t.Errorf("with another child the step is %s", text(got))
	}
	p.must(at+"/steps/"+got.Text("Id")+"/delete?action="+second, url.Values{})
	if got = step(); len(got.Objects("Actions")) != 2 || got.Objects("Actions")[1].Text("Name") != "Look" {
		t.Errorf("without a child the step is %s", text(got))
	}
	sound(t, at, func() string { _, page := p.look(at); return page }())
}

func TestPagesConfigureSignIn(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{AdminPassword: adminPassword})
	p := w.visit("admin", adminPassword)
	i := issuertest.New(t, "space-server", clientSecret)
	const okta = "/configuration/sign-in/authentication-od"
	_, page := p.look(okta)
	sound(t, okta, page)
	form := url.Values{}
	values := w.get("/api/configuration/authentication-od/values")
	for name := range values.All() {
		if list := values.Texts(name); len(list) > 0 {
			form.Set(name, strings.Join(list, "\n"))
		} else if text := values.Text(name); text != "" {
			form.Set(name, text)
		} else if values.Bool(name) {
			form.Set(name, "on")
		}
	}
	if status, text, _ := p.send(okta, url.Values{"IsEnabled": {"on"}, "Issuer": {"nowhere"}, "ClientId": {"x"}}); status != http.StatusBadRequest {
		t.Errorf("an issuer that is none: status %d: %s", status, refusal.FindString(text))
	}
	for name, value := range map[string]string{"IsEnabled": "on", "Issuer": i.URL, "ClientId": "space-server", "ClientSecret": clientSecret} {
		form.Set(name, value)
	}
	p.must(okta, form)
	form.Set("ClientSecret", "")
	p.must(okta, form)
	values = w.get("/api/configuration/authentication-od/values")
	if !values.Bool("IsEnabled") || values.Text("Issuer") != i.URL || !values.Object("ClientSecret").Bool("HasValue") {
		t.Errorf("the section is %s", text(values))
	}
	if _, page = p.look(okta); strings.Contains(page, clientSecret) {
		t.Error("the page shows the client's secret")
	}
	stranger := &person{t, w, &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	_, page = stranger.look("/app/Spaces-1/dashboard")
	sound(t, "sign-in", page)
	if !strings.Contains(page, "Sign in with Okta") || !strings.Contains(page, `type="password"`) {
		t.Error("the form does not offer the provider beside the password")
	}

	// The provider alone, and at once: whoever signs out is asked, and comes to the page that they wanted.
	w.configure("authentication", fields{"AutoLoginEnabled": true})
	w.configure("authentication-usernamepassword", fields{"IsEnabled": false})
	r, err := http.NewRequest(http.MethodGet, w.url+"/app/Spaces-1/projects?q=x", nil)
	if err != nil {
		t.Fatal(err)
	}
	if status, _, header := stranger.do(r); status != http.StatusFound || header.Get("Location") != "/signin/Okta?return=%2Fapp%2FSpaces-1%2Fprojects%3Fq%3Dx" {
		t.Errorf("status %d to %q", status, header.Get("Location"))
	}
	if status, page := stranger.look("/sign-in"); status != http.StatusOK || !strings.Contains(page, "Sign in with Okta") || strings.Contains(page, `type="password"`) {
		t.Errorf("the form: status %d", status)
	}
	if status, _, header := p.send("/sign-out", url.Values{}); status != http.StatusSeeOther || header.Get("Location") != "/sign-in" {
		t.Errorf("signed out: status %d to %q", status, header.Get("Location"))
	}
	i.Set(map[string]any{"sub": "ada", "email": "ada@example.com", "preferred_username": "ada", "name": "Ada"})
	b := w.browser()
	got := b.do("GET", "/app/Spaces-1/projects", nil)
	if got.status != http.StatusFound || !strings.HasPrefix(got.location, "/signin/Okta?") {
		t.Fatalf("%d to %q", got.status, got.location)
	}
	if got = b.do("GET", b.do("GET", got.location, nil).location, nil); got.status == http.StatusFound {
		got = b.do("GET", got.location, nil)
	} else {
		got = b.post(got)
	}
	if got.status != http.StatusFound || got.location != "/app/Spaces-1/projects" || b.me() != "ada" {
		t.Errorf("signed in: %d to %q as %q", got.status, got.location, b.me())
	}
}
