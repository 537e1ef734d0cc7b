package test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"odcm/test/browser"
	"odcm/test/directory"
	"odcm/test/upstream"
)

// TestSignOnStory is the promise of one sign-on, in real browsers against a real Active Directory domain, another company's
// OpenID provider and two servers of somebody else: an administrator joins them all, a developer signs in once and walks from
// Space to Space, a consultant comes in by the company that sent him, and who may deploy is who is in a group, from the
// moment that he joins to the moment that he leaves.
func TestSignOnStory(t *testing.T) {
	if testing.Short() {
		t.Skip("needs browsers, a domain and real processes")
	}
	t.Parallel()
	domain := directory.Start(t)
	dir, program := t.TempDir(), build(t)
	s := &signOnStory{t: t, domain: domain, odcm: startManager(t, program, filepath.Join(dir, "odcm"))}
	s.shop = startSpaceServer(t, program, filepath.Join(dir, "shop"), "127.0.0.1:0")
	s.till = startSpaceServer(t, program, filepath.Join(dir, "till"), "127.0.0.1:0")
	s.release = s.shop.stock(t)
	s.till.stock(t)

	admin := s.person()
	admin.signIn(s.odcm.username, s.odcm.password)
	s.addDomain(admin)
	s.addCompany(admin)
	s.enlist(admin, s.shop, "Web shop", "signon-plan")
	s.enlist(admin, s.till, "Till", "")
	s.makeGroup(admin, "Engineering", directory.Admins)
	s.makeGroup(admin, "Developers", directory.Empty)
	admin.look("signon-groups", "/groups", "Developers")
	s.grant(admin, "web-shop", "Engineering")
	s.grant(admin, "till", "Engineering")

	// The consultant is invited: without a mail server the administrator hands the link over.
	admin.open("/people/invite")
	admin.Type(`input[name="email"]`, "casey@contoso.example")
	admin.Type(`input[name="displayName"]`, "Casey Consultant")
	admin.Press("Invite")
	admin.until(`document.querySelector(".secret code")`)
	link := browser.Eval[string](admin.Tab, `document.querySelector(".secret code").innerText`)
	s.grant(admin, "till", "Casey Consultant")

	s.developerWalks(s.person())
	s.consultantComes(s.person(), link)

	// Whoever administers a Space maps groups to its teams, and sees nothing else of ODCM.
	carol := s.person()
	carol.signIn("carol", directory.Password)
	admin.open("/spaces/web-shop/access/grant?q=carol")
	admin.tick("Carol Test")
	admin.Press("Administers the Space in ODCM")
	admin.Press("See what happens")
	admin.confirm("Let in")
	carol.open("/spaces/web-shop/access/map")
	carol.tick("Developers")
	carol.pick("team", "Deployers")
	carol.Press("See what happens")
	carol.confirm("Map")
	carol.shows("Deployers")
	if got := browser.Eval[int](carol.Tab, status(s.odcm.url+"/spaces/till/access")); got != http.StatusNotFound {
		t.Errorf("who administers the Web shop gets %d of the Till", got)
	}

	s.joinsAndLeaves(admin)

	admin.look("signon-people", "/people", "casey@contoso.example")
	admin.look("signon-providers", "/providers", "Contoso")
	admin.look("signon-access", "/spaces/web-shop/access", "Deployers")
	admin.look("signon-explain", "/access/explain?user=alice&space=web-shop", "Ways in")
}

type signOnStory struct {
	t          *testing.T
	domain     *directory.Domain
	odcm       runningManager
	shop, till *spaceServer
	release    string
	developer  *walker
}

// walker is a person at a browser of his own, and what ODCM is to him.
type walker struct {
	*browser.Tab
	t    *testing.T
	odcm string
}

func (s *signOnStory) person() *walker { return &walker{browser.Open(s.t), s.t, s.odcm.url} }

func (v *walker) open(path string) {
	v.t.Helper()
	v.Go(v.odcm + path)
	v.until(`document.querySelector("h1")`)
}

func (v *walker) until(expression string) {
	v.t.Helper()
	v.Until(30*time.Second, expression)
}

func (v *walker) shows(text string) {
	v.t.Helper()
	v.until(fmt.Sprintf(`document.body && document.body.innerText.includes(%q)`, text))
}

// look takes the pictures of a page of ODCM, once it shows the text.
func (v *walker) look(name, path, text string) {
	v.t.Helper()
	v.open(path)
	v.shows(text)
	v.shoot(name)
}

func (v *walker) shoot(name string) {
	v.t.Helper()
	if *pictures && name != "" {
		v.Shoot(filepath.Join("..", "docs", "pictures"), name, browser.Views...)
	}
}

func (v *walker) signIn(username, password string) {
	v.t.Helper()
	v.open("/")
	v.until(`location.pathname === "/sign-in"`)
	v.credentials(username, password)
	v.until(`location.pathname !== "/sign-in" && document.querySelector("h1")`)
}

func (v *walker) credentials(username, password string) {
	v.t.Helper()
	v.Type(`input[name="username"]`, username)
	v.Type(`input[name="password"]`, password)
	v.Press("Sign in")
}

// write puts a text of several lines, which keys would send line by line, into a field.
func (v *walker) write(selector, text string) {
	v.t.Helper()
	v.until(fmt.Sprintf(`document.querySelector(%q)`, selector))
	browser.Eval[bool](v.Tab, fmt.Sprintf(`(e => { e.value = %q; return e.dispatchEvent(new Event("input", {bubbles: true})) })(document.querySelector(%q))`, text, selector))
}

// pick chooses what the list calls so.
func (v *walker) pick(field, label string) {
	v.t.Helper()
	v.until(fmt.Sprintf(`window.picked = [...document.querySelectorAll('select[name=%q] option')].find(o => o.label === %q)?.value`, field, label))
	v.Choose(fmt.Sprintf(`select[name=%q]`, field), browser.Eval[string](v.Tab, `window.picked`))
}

// tick chooses the card that is called so.
func (v *walker) tick(label string) {
	v.t.Helper()
	v.until(fmt.Sprintf(`window.ticked = [...document.querySelectorAll("main label.option")].find(o => o.querySelector("b").innerText === %q)?.querySelector("input")`, label))
	browser.Eval[bool](v.Tab, `window.ticked.click() || window.ticked.checked`)
}

// confirm saves what a review shows, and waits for the access of the Space.
func (v *walker) confirm(button string) {
	v.t.Helper()
	v.until(`location.pathname.endsWith("/review")`)
	v.Press(button)
	v.until(`location.pathname.endsWith("/access")`)
}

// test tries a provider's settings and switches it on.
func (v *walker) test(picture string) {
	v.t.Helper()
	v.Press("Test connection")
	v.until(`!document.querySelector("#test").innerText.includes("Not tested yet") && !document.querySelector("#test").innerText.includes("Going on")`)
	if said := browser.Eval[string](v.Tab, `[...document.querySelectorAll("#test [data-state=failed]")].map(e => e.innerText).join("\n")`); said != "" {
		v.t.Fatalf("the test of the connection failed: %s", said)
	}
	v.shoot(picture)
	v.Press("Switch on")
	v.until(`[...document.querySelectorAll("button")].some(b => b.innerText.trim() === "Switch off")`)
}

// status is what a page answers to a browser that asks for the address.
func status(url string) string {
	return fmt.Sprintf(`(x => { x.open("GET", %q, false); x.send(); return x.status })(new XMLHttpRequest())`, url)
}

// addDomain adds the Active Directory domain, by LDAPS with an authority of its own.
func (s *signOnStory) addDomain(admin *walker) {
	s.t.Helper()
	admin.open("/providers/new?kind=active-directory")
	admin.Type(`input[name="name"]`, "Head office")
	admin.Type(`input[name="domain"]`, directory.DNSName)
	admin.Type(`input[name="netbios"]`, directory.NetBIOS)
	admin.Type(`textarea[name="servers"]`, s.domain.Address)
	admin.write(`textarea[name="ca"]`, s.domain.CA)
	admin.write(`input[name="serverName"]`, directory.Host)
	admin.Type(`input[name="bindUser"]`, directory.Service)
	admin.Type(`input[name="bindPassword"]`, directory.Password)
	admin.Press("Add")
	admin.until(`document.querySelector("#test")`)
	admin.test("signon-provider")
	if strings.Contains(browser.Eval[string](admin.Tab, `document.documentElement.outerHTML`), directory.Password) {
		s.t.Error("the page holds the password of the service account")
	}
}

// addCompany adds the other company's provider, which has to be told where it sends people back to.
func (s *signOnStory) addCompany(admin *walker) {
	s.t.Helper()
	const object = "0a0a0a0a-1111-4222-8333-444444444444"
	admin.open("/providers/new?kind=entra-id")
	admin.Type(`input[name="name"]`, "Contoso")
	admin.Type(`input[name="tenant"]`, upstream.Tenant)
	admin.Type(`input[name="clientId"]`, "odcm")
	admin.Type(`input[name="clientSecret"]`, "A-secret-of-Contoso")
	admin.Choose(`select[name="admit"]`, "invited")
	admin.Press("Add")
	admin.until(`document.querySelector("#state code")`)
	back := browser.Eval[string](admin.Tab, `document.querySelector("#state code").innerText`)
	graph := upstream.NewGraph(s.t, nil, upstream.GraphUser{ID: object, Name: "Casey", UPN: "casey@contoso.example", Mail: "casey@contoso.example", Enabled: true})
	contoso := upstream.Entra(s.t, graph, map[string]upstream.User{"casey": {Password: "Contoso-knows-me", Claims: upstream.EntraClaims("casey", object)}},
		upstream.Client{ID: "odcm", Secret: "A-secret-of-Contoso", Redirect: []string{back}})
	admin.write(`input[name="authority"]`, contoso.Origin)
	admin.write(`input[name="graphUrl"]`, graph.URL)
	admin.Press("Save")
	admin.shows("The settings are saved")
	admin.test("")
}

// enlist takes a server in, with one sign-on as the plan proposes it.
func (s *signOnStory) enlist(admin *walker, server *spaceServer, name, picture string) {
	s.t.Helper()
	admin.open("/spaces/enlist")
	admin.Type(`input[name="url"]`, server.url)
	admin.Type(`input[name="apiKey"]`, octopusKey)
	admin.Press("Prove and plan")
	admin.until(`document.querySelector("input[name='signIn']:checked")`)
	admin.Type(`main input[type="text"]`, name)
	admin.shoot(picture)
	admin.Press("Enlist")
	admin.until(`[...document.querySelectorAll("a")].some(a => a.innerText.trim() === "To the Spaces")`)
}

// makeGroup makes a group of ODCM and puts one of the domain into it.
func (s *signOnStory) makeGroup(admin *walker, name, external string) {
	s.t.Helper()
	admin.open("/groups/new")
	admin.Type(`input[name="name"]`, name)
	admin.Press("Create")
	admin.until(`/^\/groups\/[^/]+\/add$/.test(location.pathname)`)
	add := browser.Eval[string](admin.Tab, `location.pathname`)
	admin.open(add + "?q=" + external)
	admin.tick(external)
	admin.Press("Add")
	admin.until(`location.pathname === "` + strings.TrimSuffix(add, "/add") + `" && document.querySelector("#members table")`)
}

func (s *signOnStory) grant(admin *walker, space, who string) {
	s.t.Helper()
	admin.open("/spaces/" + space + "/access/grant?q=" + strings.ReplaceAll(who, " ", "+"))
	admin.tick(who)
	admin.Press("See what happens")
	admin.confirm("Let in")
	admin.shows(who)
}

// developerWalks signs the developer in once, with his password of the domain, and takes him from Space to Space.
func (s *signOnStory) developerWalks(v *walker) {
	s.t.Helper()
	s.developer = v
	v.Go(s.shop.url + "/app")
	v.until(`location.origin === "` + s.odcm.url + `" && location.pathname === "/sign-in"`)
	v.shows("Web shop")
	v.shoot("signon-sign-in")
	v.credentials("alice", directory.Password)
	v.until(`location.origin === "` + s.shop.url + `" && location.pathname.startsWith("/app/Spaces-1/")`)
	v.shows("Orders")

	// There is one menu beside the page and one above it, of which a window has room for either.
	const menu = `[...document.querySelectorAll("odcm-spaces")].find(m => m.checkVisibility()).shadowRoot`
	const till = `[...` + menu + `.querySelectorAll("li a")].find(a => a.textContent.includes("Till"))`
	for _, view := range browser.Views {
		if *pictures {
			v.Look(view)
			v.until(menu + `.querySelector(".open span").textContent === "Web shop"`)
			v.ClickOn(menu + `.querySelector(".open")`)
			v.until(till)
			v.Shoot(filepath.Join("..", "docs", "pictures"), "signon-menu", view)
			v.Go(s.shop.url + "/app/Spaces-1/dashboard")
		}
	}
	v.until(menu + `.querySelector(".open span").textContent === "Web shop"`)
	v.ClickOn(menu + `.querySelector(".open")`)
	v.until(till)
	v.ClickOn(till)
	took := v.Until(30*time.Second, `location.origin === "`+s.till.url+`" && location.pathname.startsWith("/app/Spaces-1/")`)
	s.t.Logf("from one Space into the other took %s, without signing in", took.Round(time.Millisecond))
}

// consultantComes accepts the invitation with the account that he has at his company, and finds the one Space that is his.
func (s *signOnStory) consultantComes(v *walker, link string) {
	s.t.Helper()
	v.Go(link)
	v.shows("Welcome, Casey Consultant")
	v.shoot("signon-invitation")
	v.Press("Contoso")
	v.until(`document.title === "Upstream"`)
	v.Type(`input[name="username"]`, "casey")
	v.Type(`input[name="password"]`, "Contoso-knows-me")
	v.Press("Sign in")
	v.until(`location.origin === "` + s.odcm.url + `" && document.querySelector("a[href='/spaces/till']")`)
	if browser.Eval[bool](v.Tab, `!!document.querySelector("a[href='/spaces/web-shop']")`) {
		s.t.Error("the consultant sees a Space that he may not enter")
	}
	v.Go(s.till.url + "/app")
	v.until(`location.origin === "` + s.till.url + `" && location.pathname.startsWith("/app/Spaces-1/")`)
	v.Go(s.shop.url + "/app")
	v.until(`document.body && !location.pathname.startsWith("/app/Spaces-1/") && /may not enter/i.test(document.body.innerText)`)
}

// joinsAndLeaves has the developer deploy while he is in the group, and at no other time.
func (s *signOnStory) joinsAndLeaves(admin *walker) {
	s.t.Helper()
	v, page := s.developer, s.shop.url+"/app/Spaces-1/releases/"+s.release+"/deploy"
	v.Go(s.shop.url + "/app/Spaces-1/releases/" + s.release)
	v.shows("1.0.0")
	if got := browser.Eval[int](v.Tab, status(page)); got != http.StatusForbidden {
		s.t.Errorf("before he joins, the page to deploy answers %d", got)
	}
	s.refused(v, "before he joins", "Dev")

	admin.open("/groups?q=Developers")
	admin.Press("Developers")
	admin.until(`document.querySelector("#members")`)
	group := browser.Eval[string](admin.Tab, `location.pathname`)
	admin.open(group + "/add?q=alice")
	admin.tick("Alice Test")
	admin.Press("Add")
	s.t.Logf("joined in ODCM: he may deploy after %s", s.waits(v, page, http.StatusOK))
	s.deploys(v, page)
	s.refused(v, "as a member", "Production")
	admin.open(group)
	admin.Press("Remove Alice Test")
	s.t.Logf("removed in ODCM: he may not deploy after %s", s.waits(v, page, http.StatusForbidden))
	s.refused(v, "after he left", "Dev")

	// The same by the directory, where ODCM is told nothing and looks.
	if err := s.domain.AddMember(directory.Empty, directory.PersonDN("alice")); err != nil {
		s.t.Fatal(err)
	}
	s.t.Logf("joined in Active Directory: he may deploy after %s", s.waits(v, page, http.StatusOK))
	s.deploys(v, page)
	if err := s.domain.RemoveMember(directory.Empty, directory.PersonDN("alice")); err != nil {
		s.t.Fatal(err)
	}
	s.t.Logf("removed in Active Directory: he may not deploy after %s", s.waits(v, page, http.StatusForbidden))
	s.refused(v, "after he left in the directory", "Dev")
}

// waits asks for the page until it answers so, and returns how long that took.
func (s *signOnStory) waits(v *walker, page string, want int) time.Duration {
	s.t.Helper()
	return v.Until(30*time.Second, fmt.Sprintf("%s === %d", status(page), want)).Round(time.Millisecond)
}

// deploys deploys to Dev by the page, to its end; Production is not among what he may choose.
func (s *signOnStory) deploys(v *walker, page string) {
	s.t.Helper()
	v.Go(page)
	v.Press("Dev")
	v.until(`[...document.querySelectorAll("button")].some(b => b.innerText.trim() === "Deploy to Dev")`)
	v.Press("Deploy to Dev")
	v.until(state("succeeded"))
	v.until(logged("Orders are taken in Dev"))
}

// refused orders a deployment as a script in the page would, past whatever the page offers.
func (s *signOnStory) refused(v *walker, when, environment string) {
	s.t.Helper()
	got := browser.Eval[int](v.Tab, fmt.Sprintf(`(x => {
		x.open("POST", "/api/Spaces-1/deployments", false)
		x.setRequestHeader("Content-Type", "application/json")
		x.setRequestHeader("X-Octopus-Csrf-Token", document.cookie.match(/Octopus-Csrf-Token_[^=]+=([^;]+)/)[1])
		x.send(JSON.stringify({ReleaseId: %q, EnvironmentId: %q}))
		return x.status })(new XMLHttpRequest())`, s.release, s.shop.named(s.t, "environments", environment)))
	if got != http.StatusForbidden {
		s.t.Errorf("%s, a deployment to %s is answered with %d", when, environment, got)
	}
}

// stock gives a server what there is to deploy, and a team that may deploy it to Dev. Everyone who may enter may look. It returns
// the release.
func (s *spaceServer) stock(t testing.TB) (release string) {
	t.Helper()
	const space = "/api/Spaces-1/"
	dev := s.create(t, space+"environments", map[string]any{"Name": "Dev"})
	production := s.create(t, space+"environments", map[string]any{"Name": "Production"})
	lifecycle := s.create(t, space+"lifecycles", map[string]any{"Name": "To customers", "Phases": []any{
		map[string]any{"Name": "Dev", "OptionalDeploymentTargets": []string{dev}}, map[string]any{"Name": "Production", "OptionalDeploymentTargets": []string{production}}}})
	project := s.create(t, space+"projects", map[string]any{"Name": "Orders", "ProjectGroupId": "ProjectGroups-1", "LifecycleId": lifecycle})
	var process map[string]any
	s.ask(t, http.MethodGet, space+"deploymentprocesses/deploymentprocess-"+project, nil, &process)
	process["Steps"] = []any{map[string]any{"Name": "Take orders", "Properties": map[string]any{}, "Actions": []any{map[string]any{"Name": "Take orders", "ActionType": "Octopus.Script",
		"Properties": map[string]any{"Octopus.Action.RunOnServer": "true", "Octopus.Action.Script.ScriptSource": "Inline", "Octopus.Action.Script.Syntax": "Bash",
			"Octopus.Action.Script.ScriptBody": `echo "Orders are taken in #{Octopus.Environment.Name}"`}}}}}
	s.ask(t, http.MethodPut, space+"deploymentprocesses/deploymentprocess-"+project, process, &process)
	release = s.create(t, space+"releases", map[string]any{"ProjectId": project, "Version": "1.0.0"})

	team := s.create(t, "/api/teams", map[string]any{"Name": "Deployers", "SpaceId": "Spaces-1"})
	s.create(t, "/api/scopeduserroles", map[string]any{"TeamId": team, "UserRoleId": "userroles-projectdeployer", "SpaceId": "Spaces-1", "EnvironmentIds": []string{dev}})
	s.create(t, "/api/scopeduserroles", map[string]any{"TeamId": "teams-everyone", "UserRoleId": "userroles-projectviewer", "SpaceId": "Spaces-1"})
	return release
}

// named finds what is called so.
func (s *spaceServer) named(t testing.TB, kind, name string) string {
	t.Helper()
	var page struct {
		Items []struct{ ID, Name string }
	}
	s.ask(t, http.MethodGet, "/api/Spaces-1/"+kind, nil, &page)
	for _, i := range page.Items {
		if i.Name == name {
			return i.ID
		}
	}
	t.Fatalf("there is no %s called %s", kind, name)
	return ""
}
