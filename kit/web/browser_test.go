package web_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/a-h/templ"
	"github.com/chromedp/chromedp"

	"odcm"
	"odcm/kit/db/dbtest"
	"odcm/kit/signal"
	"odcm/kit/web"
	"odcm/kit/web/design"
)

// TestInABrowser drives what the script does, in a headless Chromium under the site's own Content-Security-Policy. With
// ODCM_SCREENSHOTS set to a folder it leaves pictures of the gallery there.
func TestInABrowser(t *testing.T) {
	t.Parallel()
	ctx := startBrowser(t)
	bus, err := signal.New(t.Context(), dbtest.Open(t, dbtest.SQLite(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close()
	site := web.New(web.Options{Authenticator: everyone{}, Logger: slog.New(slog.DiscardHandler), Bus: bus, Gallery: true})
	defer site.Stop(context.Background())
	site.AddNav(web.NavItem{ID: "home", Label: "Home", Icon: "home", Href: "/"}, web.NavItem{ID: "tasks", Label: "Tasks", Icon: "tasks", Href: "/tasks"})
	var state atomic.Value
	var tasks atomic.Int64
	var notice atomic.Value
	state.Store("online")
	notice.Store("")
	tile := func() templ.Component {
		return design.Tile(design.TileProps{Title: "Payments", Href: "/spaces/1", Status: state.Load().(string), Live: "space/1"})
	}
	site.Live().Fragment("space", func(context.Context, string) (templ.Component, error) {
		if state.Load() == "" {
			return nil, odcm.E(odcm.NotFound, "", "gone")
		}
		return tile(), nil
	}, nil)
	site.Handle("GET /{$}", func(w http.ResponseWriter, r *http.Request) error {
		return site.Render(w, r, http.StatusOK, web.Page{Title: "Spaces", Nav: "home", Notice: notice.Load().(string), Body: body(
			design.Search("/", r.URL.Query().Get("q"), "Find a Space"),
			with(design.Tiles(), tile()),
			with(design.Card(design.CardProps{Title: "Tasks", ID: "tasks", Region: "task"}),
				body(templ.Raw(fmt.Sprintf(`<p id="count">%d tasks for «%s»</p>`, tasks.Load(), templ.EscapeString(r.URL.Query().Get("q")))),
					design.Input(design.Field{Name: "note", Label: "Note"}))),
			with(design.Form(design.FormProps{Action: "/spaces", Submit: "Create", ID: "create"}), design.Input(design.Field{Name: "name", Label: "Name"})),
			design.Button(design.ButtonProps{Label: "Delist", Dialog: "confirm"}),
			design.ConfirmDialog(design.Confirm{ID: "confirm", Title: "Delist?", Action: "/spaces", Button: "Delist", Danger: true, Type: "Payments"}),
		)})
	})
	site.Handle("POST /spaces", func(w http.ResponseWriter, r *http.Request) error {
		if r.PostFormValue("name") == "" {
			return odcm.E(odcm.Invalid, "space.no-name", "Give it a name.").OnField("name")
		}
		site.Flash(w, r, "success", "Space is being created.")
		web.Redirect(w, r, "/tasks")
		return nil
	})
	site.Handle("GET /tasks", func(w http.ResponseWriter, r *http.Request) error {
		return site.Render(w, r, http.StatusOK, web.Page{Title: "Tasks", Nav: "tasks", Body: templ.Raw("<p>tasks</p>")})
	})
	if err := site.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(site)
	defer server.Close()

	do := func(steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, steps...); err != nil {
			t.Fatal(err)
		}
	}
	eventually := func(what, js string) {
		t.Helper()
		var ok bool
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(15 * time.Millisecond) {
			if ok, err = chromedp.Run(ctx, chromedp.Evaluate[bool](js)); err == nil && ok {
				return
			}
		}
		html, _ := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
		t.Fatalf("%s: never (%v)\n%s", what, err, html)
	}

	do(chromedp.Navigate("about:blank"))
	watching, stopWatching := context.WithCancel(ctx)
	messages := chromedp.Console(watching)
	do(chromedp.EmulateViewport(1440, 900), chromedp.Navigate(server.URL+"/"))
	eventually("no live stream", `!document.documentElement.hasAttribute("data-disconnected")`)

	do(chromedp.SendKeys("#field-note", "half a sen"))
	state.Store("offline")
	bus.Publish("space/1")
	eventually("the tile follows", `document.querySelector("[data-live='space/1'] .pill").dataset.state == "offline"`)
	tasks.Store(7)
	bus.Publish("task/9")
	eventually("the region follows", `document.querySelector("#count").textContent.startsWith("7 tasks")`)
	eventually("typing goes on meanwhile", `document.activeElement.id == "field-note" && document.activeElement.value == "half a sen"`)
	state.Store("")
	bus.Publish("space/1")
	eventually("what is gone goes", `!document.querySelector("[data-live]")`)

	do(chromedp.SendKeys("[data-search]", "pay"))
	eventually("search as one types", `document.querySelector("#count").textContent.includes("«pay»") && location.search == "?q=pay" && document.activeElement.value == "pay"`)

	do(chromedp.Click("#create button"))
	eventually("the error stands beside its field", `document.querySelector("#create [data-error-for=name]").textContent == "Give it a name." && document.activeElement.getAttribute("aria-invalid") == "true"`)

	do(chromedp.Click("[data-open=confirm]"))
	eventually("the dialog asks for the name", `document.querySelector("#confirm").open && document.querySelector("#confirm .danger").disabled`)
	do(chromedp.SendKeys("#confirm-type", "Payments"))
	eventually("the name is enough", `!document.querySelector("#confirm .danger").disabled`)
	do(chromedp.KeyEvent("\x1b"))

	do(chromedp.KeyEvent("k", chromedp.KeyModifiers(chromedp.ModifierCtrl)))
	eventually("the palette opens", `document.querySelector("#palette").open && document.querySelectorAll("#choices a").length == 2`)
	do(chromedp.SendKeys("#palette input", "task"))
	eventually("the palette finds", `document.querySelectorAll("#choices a").length == 1 && document.querySelector("#choices a").getAttribute("aria-selected") == "true"`)
	do(chromedp.KeyEvent("\r"))
	eventually("the palette goes there", `location.pathname == "/tasks"`)

	eventually("the page is ready", `document.readyState == "complete"`)
	do(chromedp.Click(".side .user summary"))
	eventually("the menu opens", `document.querySelector(".side .user").open`)
	do(chromedp.Click(".side [value=dark]"))
	eventually("the theme changes", `document.documentElement.dataset.theme == "dark" && getComputedStyle(document.body).colorScheme == "dark"`)
	do(chromedp.Navigate(server.URL + "/"))
	eventually("the theme is remembered", `document.documentElement.dataset.theme == "dark"`)
	do(chromedp.KeyEvent("k", chromedp.KeyModifiers(chromedp.ModifierCtrl)))
	eventually("the palette opens again", `document.querySelector("#palette").open`)
	do(chromedp.SendKeys("#palette input", "light"))
	eventually("the palette offers the theme", `document.querySelector("#choices [aria-selected=true]")?.value == "light"`)
	do(chromedp.KeyEvent("\r"))
	eventually("the palette changes the theme", `document.documentElement.dataset.theme == "light" && !document.querySelector("#palette").open && location.pathname == "/"`)
	notice.Store("2 offline")
	bus.Publish("task/9")
	eventually("the tab tells what is wrong", `document.title == "(2 offline) Spaces · ODCM" && document.querySelector("link[rel=icon]").href.includes("icon-alert")`)
	do(chromedp.SendKeys("#field-name", "x"), chromedp.Click("#create button"))
	eventually("the form leads on, with a message", `location.pathname == "/tasks" && document.querySelector(".toast p").textContent == "Space is being created."`)

	for _, width := range []int64{320, 390, 1440} {
		for _, theme := range []string{"light", "dark"} {
			do(chromedp.EmulateViewport(width, 900), chromedp.Navigate(server.URL+"/_design?theme="+theme))
			eventually(fmt.Sprint("the gallery fits into ", width), `document.scrollingElement.scrollWidth <= innerWidth`)
			if dir := os.Getenv("ODCM_SCREENSHOTS"); dir != "" {
				picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("design-%d-%s.png", width, theme)), picture, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	do(chromedp.EmulateViewport(1440, 900), chromedp.Navigate(server.URL+"/api/v1/docs"))
	eventually("the API's page shows the API", `document.body.innerText.includes("ODCM API")`)

	stopWatching()
	for m, err := range messages {
		if err != nil {
			break
		}
		if m.Type == "error" && m.Source == "network" {
			continue // answers that this test asked for: 422
		}
		t.Errorf("the browser complains: %s %s", m.Source, m)
	}
}

// everyone is an Authenticator that knows everyone as Lisa.
type everyone struct{}

func (everyone) Authenticate(*http.Request) (odcm.Principal, error) {
	return odcm.Principal{User: "user-lisa", Name: "Lisa Shipping"}, nil
}

func body(parts ...templ.Component) templ.Component { return templ.Join(parts...) }

func with(c, child templ.Component) templ.Component {
	return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		return c.Render(templ.WithChildren(ctx, child), w)
	})
}

func startBrowser(t *testing.T) context.Context {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a browser, which takes seconds to start")
	}
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("needs Chromium (make deps): %v", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.UserDataDir(t.TempDir()))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return ctx
}
