package test

import (
	"bufio"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// scraped is one family of a scrape.
type scraped struct {
	kind   string
	series []string // the label names of each series, without le
}

var (
	typed  = regexp.MustCompile(`^# TYPE (\S+) (\S+)$`)
	series = regexp.MustCompile(`^([a-z_0-9]+)(?:\{(.*)\})? \S+$`)
	label  = regexp.MustCompile(`([a-z_]+)="(?:[^"\\]|\\.)*"`)
)

// scrape reads the text format of Prometheus.
func scrape(t *testing.T, address string) map[string]*scraped {
	t.Helper()
	res, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(res.Body)
		t.Fatalf("%s: %s", res.Status, body)
	}
	families := map[string]*scraped{}
	var last string
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if m := typed.FindStringSubmatch(lines.Text()); m != nil {
			last = m[1]
			families[last] = &scraped{kind: m[2]}
			continue
		}
		m := series.FindStringSubmatch(lines.Text())
		if m == nil || !strings.HasPrefix(m[1], last) {
			continue
		}
		var names []string
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			if l[1] != "le" {
				names = append(names, l[1])
			}
		}
		slices.Sort(names)
		families[last].series = append(families[last].series, strings.Join(names, " "))
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return families
}

// TestMetrics holds what a manager exports to the list that rules and dashboard are held to.
func TestMetrics(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real processes")
	}
	t.Parallel()
	dir := t.TempDir()
	t.Cleanup(func() { endAll(t, dir) })
	h := houses{Data: filepath.Join(dir, "odcm"), Manager: true}.start(t)
	defer h.stop()
	_ = scrape(t, h.URL+"/metrics") // a request is counted once it is answered
	found := scrape(t, h.URL+"/metrics")
	for name, family := range found {
		want, ok := exported[name]
		if !ok && strings.HasPrefix(name, "odcm_") {
			t.Errorf("%s (%s) is exported, and stands neither in the list nor on the dashboard", name, family.kind)
		}
		if !ok {
			continue
		}
		if family.kind != want.kind {
			t.Errorf("%s is a %s, the list says %s", name, family.kind, want.kind)
		}
		for _, labels := range family.series {
			if labels != want.labels {
				t.Errorf("%s has the labels %q, the list says %q", name, labels, want.labels)
			}
		}
	}
	for _, list := range []map[string]metric{exported, ofLibraries} {
		for _, name := range slices.Sorted(maps.Keys(list)) {
			if list[name].always && found[name] == nil {
				t.Errorf("%s is not exported", name)
			}
		}
	}
	for _, name := range []string{"odcm_http_requests_total", "odcm_http_request_seconds"} {
		if found[name] == nil || len(found[name].series) == 0 {
			t.Errorf("%s counts nothing", name)
		}
	}
}
