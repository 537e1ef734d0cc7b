package test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// metric is one that ODCM exports.
type metric struct {
	kind   string // counter, gauge, histogram
	labels string // its own, sorted
	always bool   // it is there from the start; others come with what they count
}

// exported are all metrics of ODCM's own, which a scrape is held against. Rules and dashboard may name no other.
var exported = map[string]metric{
	"odcm_access_drift":               {kind: "counter", always: true},
	"odcm_alerts_firing":              {kind: "gauge", labels: "rule severity"},
	"odcm_http_request_seconds":       {kind: "histogram", labels: "route"},
	"odcm_http_requests_total":        {kind: "counter", labels: "method route status"},
	"odcm_live_streams":               {kind: "gauge", always: true},
	"odcm_notification_delay_seconds": {kind: "histogram", always: true},
	"odcm_notifications_total":        {kind: "counter", labels: "receiver result"},
	"odcm_probe_duration_seconds":     {kind: "histogram", always: true},
	"odcm_probe_lateness_seconds":     {kind: "histogram", always: true},
	"odcm_revoke_lag_seconds":         {kind: "histogram", always: true},
	"odcm_space_status":               {kind: "gauge", labels: "space status"},
	"odcm_space_up":                   {kind: "gauge", labels: "space"},
	"odcm_targets":                    {kind: "gauge", always: true},
}

// ofLibraries are metrics of libraries and of Prometheus itself that rules and dashboard name.
var ofLibraries = map[string]metric{
	"go_goroutines":                 {kind: "gauge", always: true},
	"go_memstats_heap_inuse_bytes":  {kind: "gauge", always: true},
	"process_cpu_seconds_total":     {kind: "counter", always: true},
	"process_max_fds":               {kind: "gauge", always: true},
	"process_open_fds":              {kind: "gauge", always: true},
	"process_resident_memory_bytes": {kind: "gauge", always: true},
	"up":                            {kind: "gauge"},
}

var (
	named    = regexp.MustCompile(`\b(?:odcm|go|process)_[a-z0-9_]+|\bup\b`)
	quoted   = regexp.MustCompile(`"[^"]*"`)
	grouped  = regexp.MustCompile(`\bby \(([^)]*)\)`)
	selector = regexp.MustCompile(`([a-z_]+)(?:=~|!~|!=|=)""`)
	alerted  = regexp.MustCompile(`(?m)^ +(?:- alert: (\w+)|expr: (.+))$`)
)

// namedIn finds the metrics of an expression, histograms by their own name, and says what is wrong with it.
func namedIn(expr string) (found []string, wrong []string) {
	bare := quoted.ReplaceAllString(expr, `""`)
	known := map[string]bool{"job": true, "instance": true, "le": true}
	groups := grouped.FindAllStringSubmatch(bare, -1)
	labels := selector.FindAllStringSubmatch(bare, -1)
	for _, name := range named.FindAllString(grouped.ReplaceAllString(bare, ""), -1) {
		m, ok := exported[name]
		if !ok {
			m, ok = ofLibraries[name]
		}
		for _, suffix := range []string{"_bucket", "_count", "_sum"} {
			if base, cut := strings.CutSuffix(name, suffix); cut && !ok && exported[base].kind == "histogram" {
				m, ok, name = exported[base], true, base
			}
		}
		if !ok {
			wrong = append(wrong, "ODCM exports no "+name)
		}
		found = append(found, name)
		for _, l := range strings.Fields(m.labels) {
			known[l] = true
		}
	}
	for _, g := range groups {
		for _, l := range strings.Split(g[1], ",") {
			labels = append(labels, []string{"", strings.TrimSpace(l)})
		}
	}
	for _, l := range labels {
		if !known[l[1]] {
			wrong = append(wrong, "no metric in it has the label "+l[1])
		}
	}
	if len(found) == 0 {
		wrong = append(wrong, "it names no metric")
	}
	return found, wrong
}

func monitoring(name string) string { return filepath.Join("..", "docs", "monitoring", name) }

func promtool(t *testing.T, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("promtool is not installed (make deps)")
		}
		t.Skip("promtool is not installed: make deps")
	}
	if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// TestPrometheusRules holds the rules to what ODCM exports, and each alert to when it is to fire.
func TestPrometheusRules(t *testing.T) {
	t.Parallel()
	rules, err := os.ReadFile(monitoring("odcm.rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile(monitoring("odcm.rules.test.yml"))
	if err != nil {
		t.Fatal(err)
	}
	alert, n := "", 0
	for _, m := range alerted.FindAllStringSubmatch(string(rules), -1) {
		if m[1] != "" {
			alert = m[1]
			n++
			if !regexp.MustCompile(`alertname: ` + alert + `\s+exp_alerts:\s+- exp_labels`).Match(tests) {
				t.Errorf("no test shows that %s fires", alert)
			}
			continue
		}
		if _, wrong := namedIn(m[2]); len(wrong) > 0 {
			t.Errorf("%s: %s", alert, strings.Join(wrong, "; "))
		}
	}
	if n < 10 {
		t.Errorf("%d alerts were found: the test sees nothing", n)
	}
	promtool(t, "check", "rules", "--lint=all", "--lint-fatal", monitoring("odcm.rules.yml"))
	promtool(t, "test", "rules", monitoring("odcm.rules.test.yml"))
}

// dashboard is what the test reads of Grafana's JSON.
type dashboard struct {
	UID, Title    string
	SchemaVersion int
	Panels        []struct {
		ID          int
		Type, Title string
		GridPos     struct{ X, Y, W, H int }
		Targets     []struct{ Expr, RefID string }
	}
}

// TestGrafanaDashboard holds the dashboard to what ODCM exports; its expressions are checked as rules are, and its panels lie side by side.
func TestGrafanaDashboard(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(monitoring("odcm.dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	if d.UID == "" || d.Title == "" || d.SchemaVersion == 0 || len(d.Panels) < 10 {
		t.Errorf("%q %q, version %d, %d panels", d.UID, d.Title, d.SchemaVersion, len(d.Panels))
	}
	var rules strings.Builder
	rules.WriteString("groups:\n- name: dashboard\n  rules:\n")
	ids, taken, shown := map[int]bool{}, map[[2]int]string{}, map[string]bool{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("%s: another panel has number %d", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s lies on %s, or beyond the edge", p.Title, cmp.Or(other, "nothing"))
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("%s shows nothing", p.Title)
		}
		for i, target := range p.Targets {
			found, wrong := namedIn(target.Expr)
			if len(wrong) > 0 {
				t.Errorf("%s: %s", p.Title, strings.Join(wrong, "; "))
			}
			for _, name := range found {
				shown[name] = true
			}
			expr := strings.NewReplacer("$__rate_interval", "5m", "$job", "odcm").Replace(target.Expr)
			fmt.Fprintf(&rules, "  - {record: 'panel:%d:%d', expr: %q}\n", p.ID, i, expr)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(exported)) {
		if !shown[name] {
			t.Errorf("no panel shows %s", name)
		}
	}
	path := filepath.Join(t.TempDir(), "panels.yml")
	if err := os.WriteFile(path, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", path)
}

// TestExportedMetricsAreDeclared looks in the source for those that a scrape shows only once they count something.
func TestExportedMetricsAreDeclared(t *testing.T) {
	t.Parallel()
	declared := map[string]bool{}
	literal := regexp.MustCompile(`"(odcm_[a-z_]+)"`)
	for _, root := range []string{"kit", "manager"} {
		err := filepath.WalkDir(filepath.Join("..", root), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range literal.FindAllStringSubmatch(string(text), -1) {
				declared[m[1]] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(exported)) {
		if !declared[name] {
			t.Errorf("nobody declares %s", name)
		}
	}
}
