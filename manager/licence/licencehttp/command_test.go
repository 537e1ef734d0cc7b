package licencehttp_test

import (
	"bytes"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"odcm/cli"
)

// TestCommandLine does with the command line what administrators do.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	s := serve(t, 60)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	run := func(args ...string) (string, error) {
		root := &cobra.Command{Use: "odcm", SilenceErrors: true}
		root.AddCommand(cli.Commands("test")...)
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetErr(&out)
		root.SetArgs(append(append([]string{"licence"}, args...), "--url", server.URL, "--api-key", "odcm_test"))
		err := root.ExecuteContext(t.Context())
		return out.String(), err
	}
	want := func(args []string, parts ...string) {
		t.Helper()
		out, err := run(args...)
		if err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
		for _, part := range parts {
			if !strings.Contains(out, part) {
				t.Errorf("%v: %q is missing in %s", args, part, out)
			}
		}
	}
	want([]string{"show"}, "60, free for any number", "none is needed")
	want([]string{"servers"}, "Team 0", "exceeded", "Targets 60 of 50; Users 3", "Team 59")
	want([]string{"servers", "--state", "expired", "--limit", "2"}, "-3")
	want([]string{"totals"}, "Targets", "510")
	file := filepath.Join(t.TempDir(), "entitlement.json")
	if err := os.WriteFile(file, s.file(t, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	want([]string{"install", file}, "E-7", "Example <Ltd>", "valid", "Support")
	want([]string{"show"}, "Example <Ltd>")
	want([]string{"remove"})
	if out, err := run("remove"); err == nil {
		t.Errorf("removed again: %s", out)
	}
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := run("install", file); err == nil || !strings.Contains(err.Error(), "no entitlement") {
		t.Errorf("nonsense: %v, %s", err, out)
	}
}
