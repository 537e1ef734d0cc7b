package design_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"flag"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"
	"golang.org/x/net/html"

	"odcm/kit/web/design"
)

var update = flag.Bool("update", false, "write the goldens again")

func render(t testing.TB, c templ.Component) string {
	t.Helper()
	var b bytes.Buffer
	if err := c.Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func with(c templ.Component, child string) templ.Component {
	return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		return c.Render(templ.WithChildren(ctx, templ.Raw(child)), w)
	})
}

func TestGoldens(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)
	for name, c := range map[string]templ.Component{
		"gallery": design.Gallery(),
		"shell-extra": with(design.Shell(design.Frame{
			Assets: design.NewAssets("/a/"), Product: "Space server", Title: "Dashboard", Theme: "auto", User: "Ada", Find: "Find a project", Menu: templ.Raw("<b>Menu</b>"), SettingsHref: "/profile", Extra: []string{"docs.js", "design.css"},
		}), "<p>body</p>"),
		"area": design.Textarea(design.Field{Name: "script", Label: "Script", Attrs: templ.Attributes{"rows": "12"}}),
		"mark": design.Mark("succeeded"),
		"shell": with(design.Shell(design.Frame{
			Assets: design.NewAssets("/a/"), Product: "ODCM", Version: "1.2", Title: "Payments", Intro: "A Space", Theme: "auto", Since: "e-1", Space: "Payments",
			Crumbs: []design.Crumb{{Label: "Spaces", Href: "/spaces"}}, Tabs: []design.Tab{{Label: "Overview", Href: "#", On: true}}, User: "Lisa Shipping", UserDetail: "Member",
			Nav: []design.NavGroup{{Label: "Fleet", Items: []design.NavLink{{Label: "Servers", Icon: "server", Href: "/servers", On: true}}}}, Flash: "Done.", FlashTone: "success",
		}), "<p>body</p>"),
		"bare":    with(design.Shell(design.Frame{Assets: design.NewAssets("/a/"), Product: "ODCM", Title: "Sign in", Bare: true, Theme: "dark"}), "<p>body</p>"),
		"field":   design.Input(design.Field{Name: "url", Label: "Address", Help: "Where it is.", Error: "Wrong.", Value: `"><script>`, Required: true}),
		"tile":    design.Tile(design.TileProps{Title: "Payments", Href: "javascript:alert(1)", Status: "offline", Reason: "refused", Live: "space/space-1"}),
		"time":    design.Time(at),
		"never":   design.Time(time.Time{}),
		"choices": design.Choices([]design.Choice{{Group: "Starred", Label: "A", Href: "/a", Status: "online"}, {Group: "Starred", Label: "B", Href: "/b", Icon: "home"}}),
		"problem": design.Problem(404, "No such Space.", "not-found", "R1"),
		"docs":    design.APIDocs(design.NewAssets("/a/"), "ODCM", "/openapi.json"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Hashes of assets change with every touch of the style sheet; the goldens are about structure.
			got := regexp.MustCompile(`(/a/[a-z-]+)-[\w-]{12}\.`).ReplaceAllString(render(t, c), "$1-HASH.")
			got = strings.ReplaceAll(got, "><", ">\n<") + "\n"
			path := filepath.Join("testdata", name+".html")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s differs from its golden (go test ./kit/web/design -update, then look at the difference)", name)
			}
		})
	}
}

// TestMarkupIsStrictAndAccessible reads every component as a browser and a screen reader do.
func TestMarkupIsStrictAndAccessible(t *testing.T) {
	t.Parallel()
	page := render(t, with(design.Shell(design.Frame{
		Assets: design.NewAssets("/a/"), Product: "ODCM", Title: "Design", User: "Lisa Shipping",
		Nav: []design.NavGroup{{Items: []design.NavLink{{Label: "Home", Icon: "home", Href: "/"}}}},
	}), render(t, design.Gallery())))
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	ids, refs, nodes := map[string]int{}, map[string]string{}, 0
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		nodes++
		attrs := map[string]string{}
		for _, a := range n.Attr {
			attrs[a.Key] = a.Val
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
				t.Errorf("<%s %s>: the Content-Security-Policy forbids it", n.Data, a.Key)
			}
		}
		if id := attrs["id"]; id != "" {
			ids[id]++
		}
		for _, key := range []string{"for", "aria-labelledby", "aria-describedby", "aria-controls", "data-open"} {
			for ref := range strings.FieldsSeq(attrs[key]) {
				refs[ref] = "<" + n.Data + " " + key + ">"
			}
		}
		switch n.Data {
		case "style":
			t.Error("an inline style sheet")
		case "script":
			if attrs["src"] == "" || n.FirstChild != nil {
				t.Error("an inline script")
			}
		case "svg":
			if attrs["aria-hidden"] != "true" && attrs["aria-label"] == "" {
				t.Errorf("a picture without words: %v", n.Attr)
			}
		case "button", "a", "summary":
			if strings.TrimSpace(words(n)) == "" && attrs["aria-label"] == "" {
				t.Errorf("<%s> has no name: %v", n.Data, n.Attr)
			}
		case "img":
			t.Error("a picture that is not ours")
		}
	}
	if nodes < 500 {
		t.Fatalf("only %d elements: the test sees nothing", nodes)
	}
	for id, n := range ids {
		if n > 1 {
			t.Errorf("%d elements have the id %s", n, id)
		}
	}
	for ref, where := range refs {
		if ids[ref] == 0 {
			t.Errorf("%s refers to %q, which is not there", where, ref)
		}
	}
}

func words(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return b.String()
}

func TestAddressesCannotRunScript(t *testing.T) {
	t.Parallel()
	if got := render(t, design.Button(design.ButtonProps{Label: "x", Href: "javascript:alert(1)"})); strings.Contains(got, "javascript:") {
		t.Error(got)
	}
}

func TestIcons(t *testing.T) {
	t.Parallel()
	if len(design.Icons()) < 40 {
		t.Errorf("%d icons", len(design.Icons()))
	}
	for _, name := range design.Icons() {
		got := render(t, design.Icon(name))
		if !regexp.MustCompile(`<path d="[MLHVCSQTAZmlhvcsqtaz0-9 .,-]+">`).MatchString(got) {
			t.Errorf("%s: %s", name, got)
		}
	}
	if render(t, design.Icon("no such")) != render(t, design.Icon("dot")) {
		t.Error("an unknown icon is not a dot")
	}
}

func FuzzCharts(f *testing.F) {
	f.Add(1.0, 2.0, 3.0, 0.5)
	f.Add(math.NaN(), math.Inf(1), -math.MaxFloat64, math.MaxFloat64)
	f.Add(5.0, 5.0, 5.0, 0.0)
	f.Fuzz(func(t *testing.T, a, b, c, share float64) {
		for _, got := range []string{
			render(t, design.Sparkline([]float64{a, b, c}, "line")),
			render(t, design.History([]design.Sample{{State: "online", Share: share}, {State: "offline", Share: 1}}, "strip")),
		} {
			if strings.Contains(got, "NaN") || strings.Contains(got, "Inf") {
				t.Errorf("%v %v %v %v: %s", a, b, c, share, got)
			}
		}
	})
}

func TestAssets(t *testing.T) {
	t.Parallel()
	a := design.NewAssets("/assets/")
	if design.NewAssets("/assets/").URL("design.css") != a.URL("design.css") {
		t.Error("two replicas give the same file different names")
	}
	get := func(path, encoding string) *http.Response {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("Accept-Encoding", encoding)
		rec := httptest.NewRecorder()
		a.ServeHTTP(rec, r)
		return rec.Result()
	}
	for name, kind := range map[string]string{"design.css": "text/css; charset=utf-8", "design.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml", "docs.js": "text/javascript; charset=utf-8"} {
		file, err := os.ReadFile("asset/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, encoding := range []string{"", "br", "gzip, br", "gzip;q=0"} {
			r := get(a.URL(name), encoding)
			body := io.Reader(r.Body)
			if zipped := r.Header.Get("Content-Encoding") == "gzip"; zipped != (encoding == "gzip, br") {
				t.Errorf("%s for %q: gzip %v", name, encoding, zipped)
			} else if zipped {
				if body, err = gzip.NewReader(body); err != nil {
					t.Fatal(err)
				}
			}
			got, err := io.ReadAll(body)
			if err != nil || !bytes.Equal(got, file) {
				t.Errorf("%s for %q: %d bytes, %v", name, encoding, len(got), err)
			}
			h := r.Header
			if h.Get("Content-Type") != kind || h.Get("Cache-Control") != "public, max-age=31536000, immutable" || h.Get("Vary") != "Accept-Encoding" {
				t.Errorf("%s: %v", name, h)
			}
		}
	}
	if r := get("/assets/design-old.css", ""); r.StatusCode != 404 || strings.Contains(r.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("a name that is not known: %d %v", r.StatusCode, r.Header)
	}
}

// TestContrast reads the tokens of the style sheet and measures them by WCAG 2.2, success criteria 1.4.3 and 1.4.11, in
// both themes.
func TestContrast(t *testing.T) {
	t.Parallel()
	css, err := os.ReadFile("asset/design.css")
	if err != nil {
		t.Fatal(err)
	}
	token := regexp.MustCompile(`--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)`)
	global := map[string][2]string{}
	tones := map[string]map[string][2]string{}
	for line := range strings.Lines(string(css)) {
		into := global
		if m := regexp.MustCompile(`^\s*\[data-tone="([a-z]+)"\].*--ink:`).FindStringSubmatch(line); m != nil {
			into = map[string][2]string{}
			tones[m[1]] = into
		}
		for _, m := range token.FindAllStringSubmatch(line, -1) {
			into[m[1]] = [2]string{m[2], m[3]}
		}
	}
	if len(global) < 12 || len(tones) < 6 {
		t.Fatalf("found %d tokens and %d tones: the test sees nothing", len(global), len(tones))
	}
	check := func(what string, fg, bg [2]string, least float64) {
		t.Helper()
		for i, theme := range []string{"light", "dark"} {
			if c := contrast(fg[i], bg[i]); c < least {
				t.Errorf("%s, %s: %.2f, want at least %.1f", what, theme, c, least)
			}
		}
	}
	for _, ink := range []string{"text", "muted", "faint", "accent"} {
		for _, ground := range []string{"ground", "surface", "raised", "sunken", "hover"} {
			check(ink+" on "+ground, global[ink], global[ground], 4.5)
		}
	}
	white := [2]string{"#ffffff", "#ffffff"}
	for _, fill := range []string{"accent-fill", "accent-fill-hover", "danger-fill", "danger-fill-hover"} {
		check("white on "+fill, white, global[fill], 4.5)
	}
	check("accent on accent-tint", global["accent"], global["accent-tint"], 4.5)
	check("border of fields", global["field-line"], global["surface"], 3)
	for name, tone := range tones {
		if name == "accent" {
			continue // made of the tokens above
		}
		check(name+": ink on tint", tone["ink"], tone["tint"], 4.5)
		check(name+": ink on surface", tone["ink"], global["surface"], 4.5)
		check(name+": text on tint", global["text"], tone["tint"], 4.5)
	}
}

func contrast(a, b string) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + .05) / (min(x, y) + .05)
}

func luminance(hex string) float64 {
	var l float64
	for i, weight := range []float64{.2126, .7152, .0722} {
		n, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		if err != nil {
			panic(fmt.Sprint(hex, err))
		}
		c := float64(n) / 255
		if c <= .04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+.055)/1.055, 2.4)
		}
		l += weight * c
	}
	return l
}
