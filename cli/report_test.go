package cli

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The whole of a report is read page by page, and printed as the flag says.
func TestReport(t *testing.T) {
	l := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		switch {
		case r.URL.Path != "/api/v1/reports/deployments" || q.Get("space") != "payments" || q.Get("from") != "2026-03-01":
			t.Errorf("asked for %s", r.URL)
		case q.Get("format") == "csv":
			w.Header().Set("Content-Type", "text/csv")
			_, _ = w.Write([]byte("space,total\nPayments,3\n"))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		next, name := `,"next":"1"`, "Payments"
		if q.Get("offset") == "1" {
			next, name = "", `Evil\u001b[31m`
		}
		_, _ = w.Write([]byte(`{"name":"deployments","figures":[{"label":"Deployments","value":"3"}],"columns":[{"key":"space","label":"Space","unit":"text"},{"key":"rate","label":"Success","unit":"percent"}],
			"rows":[["` + name + `",0.5]],"total":2,"notes":["Days are those of UTC."]` + next + `}`))
	}))
	defer l.Close()
	run := func(args ...string) string {
		t.Helper()
		cmd := (&session{version: "test"}).reports()
		f := cmd.PersistentFlags()
		f.String("url", l.URL, "")
		f.String("api-key", "ODCM-X", "")
		f.StringP("output", "o", "table", "")
		var out, notes bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetErr(&notes)
		cmd.SetArgs(append([]string{"deployments", "--space", "payments", "--from", "2026-03-01"}, args...))
		if err := cmd.Execute(); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if out := run(); !strings.Contains(out, "SPACE") || !strings.Contains(out, "Payments") || !strings.Contains(out, "50.0 %") || !strings.Contains(out, "Evil\uFFFD[31m") {
		t.Errorf("as a table: %q", out)
	}
	if out := run("--format", "csv"); out != "space,total\nPayments,3\n" {
		t.Errorf("as CSV: %q", out)
	}
	if out := run("-o", "json"); !strings.Contains(out, `"rows": [`) || strings.Contains(out, `"next"`) {
		t.Errorf("as JSON: %s", out)
	}
}
