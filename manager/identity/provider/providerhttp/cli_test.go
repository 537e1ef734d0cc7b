package providerhttp_test

import (
	"bytes"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"odcm"
	"odcm/cli"
)

// TestCommandLine does with the command line what administrators do.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	b := setup(t)
	server := httptest.NewServer(b.site)
	t.Cleanup(server.Close)
	run := func(input string, args ...string) (string, error) {
		t.Helper()
		root := &cobra.Command{Use: "odcm", SilenceErrors: true}
		root.AddCommand(cli.Commands("test")...)
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetErr(&out)
		root.SetIn(strings.NewReader(input))
		root.SetArgs(append(append([]string{"provider"}, args...), "--url", server.URL, "--api-key", "odcm_test"))
		err := root.ExecuteContext(t.Context())
		return out.String(), err
	}
	says := func(out string, err error, parts ...string) {
		t.Helper()
		if err != nil {
			t.Errorf("%v: %s", err, out)
		}
		for _, part := range parts {
			if !strings.Contains(out, part) {
				t.Errorf("%q is missing in %s", part, out)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "base")
	if err := os.WriteFile(file, []byte("dc=x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := run("", "kinds")
	says(out, err, "active-directory", "LDAP directory")
	out, err = run("", "kinds", "ldap")
	says(out, err, "bindPassword", "servers")
	if out, err = run("", "kinds", "nis"); err == nil {
		t.Errorf("an unknown kind: %s", out)
	}
	out, err = run("s3cret\n", "create", "ldap", "--name", "Staff", "--set", "servers=127.0.0.1:1", "--set", "bindUser=cn=reader,dc=x", "--set-file", "base="+file, "--secret-file", "bindPassword=-", "--sync-every", "30m")
	says(out, err, "Staff", "bindPassword", "(set)", "dc=x")
	all, err := b.service.List(t.Context(), odcm.System)
	if err != nil || len(all) != 1 || all[0].Settings["base"] != "dc=x" || all[0].SyncEvery.Minutes() != 30 {
		t.Fatalf("%+v, %v", all, err)
	}
	id := string(all[0].ID)
	out, err = run("", "list")
	says(out, err, "Staff", "ldap", "no")
	out, err = run("", "edit", id, "--enabled", "--set", "security=starttls", "--order", "4")
	says(out, err, "yes", "starttls", "(set)")
	if out, err = run("", "test", id); err == nil || !strings.Contains(out, "Nothing listens") {
		t.Errorf("%v: %s", err, out)
	}
	out, err = run("", "sync", id, "--accept")
	says(out, err)
	out, err = run("", "get", id, "-o", "json")
	says(out, err, `"order": 4`, `"findings"`)
	if strings.Contains(out, "s3cret") {
		t.Error("the secret is shown")
	}
	if out, err = run("", "edit", id, "--set", "nonsense"); err == nil {
		t.Errorf("a setting without a value: %s", out)
	}
	out, err = run("", "delete", id)
	says(out, err)
	if all, err := b.service.List(t.Context(), odcm.System); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
}
