// Package browser drives a headless Chromium in tests.
package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Tab is one tab of a browser that ends with the test.
type Tab struct {
	t   testing.TB
	ctx context.Context
}

// View is a size and a colour scheme to look at a page in.
type View struct {
	Name          string
	Width, Height int64
	Scheme        string // "light" or "dark"
}

// Views are what every page is looked at in.
var Views = []View{
	{"desktop-light", 1440, 900, "light"},
	{"desktop-dark", 1440, 900, "dark"},
	{"phone-light", 390, 844, "light"},
	{"phone-dark", 390, 844, "dark"},
}

// Open starts a browser with a profile of its own. Where Chromium is not installed the test is skipped with the reason, or
// fails where CI is set.
func Open(t testing.TB) *Tab {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("chromium is not installed (make deps)")
		}
		t.Skip("chromium is not installed: make deps")
	}
	o := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1440, 900))
	for _, flag := range []string{"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync", "hide-scrollbars"} {
		o = append(o, chromedp.Flag(flag, true)) // it must not look for its maker's servers
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), o...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits until the browser is gone, so that its profile can be removed
		cancel()
	})
	tab := &Tab{t, ctx}
	tab.do(chromedp.Navigate("about:blank")) // without a limit in time: the first run starts the browser
	return tab
}

// limit bounds each step; what a test waits for is there long before.
const limit = 20 * time.Second

func (b *Tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.fail(err)
	}
}

func (b *Tab) limited(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.fail(err)
	}
}

// fail says where the browser was.
func (b *Tab) fail(err error) {
	b.t.Helper()
	where, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("location.href"))
	text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.body ? document.body.innerText.slice(0, 1500) : ''"))
	b.t.Fatalf("browser: %v\nat %s\n%s", err, where, text)
}

// Go opens the address.
func (b *Tab) Go(url string) {
	b.t.Helper()
	b.limited(chromedp.Navigate(url))
}

// Type writes text into the field that the selector finds, as keys.
func (b *Tab) Type(selector, text string) {
	b.t.Helper()
	b.limited(chromedp.Focus(selector))
	Eval[bool](b, `document.activeElement.select() || true`) // what is typed takes the place of what was there
	b.limited(chromedp.SendKeys(selector, text))
}

// Click clicks what the selector finds.
func (b *Tab) Click(selector string) {
	b.t.Helper()
	b.limited(chromedp.Click(selector))
}

// Press clicks the button, link, menu or box in sight that is called that or begins with such a line, at its place on the page
// as a hand would.
func (b *Tab) Press(name string) {
	b.t.Helper()
	b.Until(limit/2, fmt.Sprintf(`window.pressed = [...(document.querySelector("dialog[open]") || document).querySelectorAll("button, a, summary, label")]
		.find(e => !e.disabled && e.checkVisibility({visibilityProperty: true}) && (e.innerText.trim().split("\n")[0].trim() === %[1]q || e.getAttribute("aria-label") === %[1]q))`, name))
	b.ClickOn("window.pressed")
}

// ClickOn clicks what the JavaScript expression is, at its place on the page: also what is within a component.
func (b *Tab) ClickOn(expression string) {
	b.t.Helper()
	b.limited(chromedp.Click(chromedp.JSPath(expression)))
}

// Choose picks a value of the select that the selector finds.
func (b *Tab) Choose(selector, value string) {
	b.t.Helper()
	b.limited(chromedp.WaitVisible(selector))
	Eval[bool](b, fmt.Sprintf(`(e => { e.value = %q; return e.dispatchEvent(new Event("change", {bubbles: true})) })(document.querySelector(%q))`, value, selector))
}

// Key presses a key where the focus is, with Ctrl if control is set.
func (b *Tab) Key(key string, control bool) {
	b.t.Helper()
	if control {
		b.limited(chromedp.KeyEvent(key, chromedp.KeyModifiers(chromedp.ModifierCtrl)))
	} else {
		b.limited(chromedp.KeyEvent(key))
	}
}

// Until waits until the JavaScript expression is true, without reloading, and returns how long that took.
func (b *Tab) Until(within time.Duration, expression string) time.Duration {
	b.t.Helper()
	began := time.Now()
	for {
		// A page that is just being left has no answer: ask the next one.
		if ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("!!("+expression+")")); err == nil && ok {
			return time.Since(began)
		}
		if time.Since(began) > within {
			b.fail(fmt.Errorf("waited %s for %s", within, expression))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Eval returns what the JavaScript expression is.
func Eval[T any](b *Tab, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.fail(err)
	}
	return v
}

// Look resizes the window and changes the colour scheme.
func (b *Tab) Look(v View) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: v.Scheme}},
	}); err != nil {
		b.fail(err)
	}
	b.limited(chromedp.EmulateViewport(v.Width, v.Height))
}

// settle is how long a page is left alone before its picture is taken: what has just changed shines for a while.
const settle = 1500 * time.Millisecond

// Shoot writes a picture of the whole page to DIR/NAME.VIEW.png for each of the views, and returns to the first one.
func (b *Tab) Shoot(dir, name string, views ...View) {
	b.t.Helper()
	for _, v := range views {
		b.Look(v)
		b.limited(chromedp.Sleep(settle))
		picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
		if err != nil {
			b.fail(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+"."+v.Name+".png"), picture, 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
	b.Look(Views[0])
}
