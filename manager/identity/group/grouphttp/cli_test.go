package grouphttp_test

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"testing"

	"odcm"
	"odcm/cli"
)

// TestCommandLine types the commands of odcm group against the site.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.user("bob", "Bob")
	server := httptest.NewServer(w.site)
	t.Cleanup(server.Close)
	run := func(args ...string) (string, error) {
		t.Helper()
		for _, cmd := range cli.Commands("test") {
			if cmd.Name() == "group" {
				var out bytes.Buffer
				cmd.SetArgs(append(args, "--url", server.URL, "--api-key", "odcm_x"))
				cmd.SetOut(&out)
				cmd.SetErr(&out)
				cmd.SilenceErrors = true
				err := cmd.ExecuteContext(t.Context())
				return out.String(), err
			}
		}
		t.Fatal("there is no command group")
		return "", nil
	}
	shows := func(text string, args ...string) {
		t.Helper()
		out, err := run(args...)
		if err != nil || !strings.Contains(out, text) {
			t.Errorf("%v: %v in %q", args, err, out)
		}
	}
	shows("Developers", "create", "Developers", "--description", "They develop")
	shows("Core", "create", "Core")
	shows("", "add", "Developers", "Core")
	shows("", "add", "Core", "bob")
	shows("They develop", "get", "developers")
	shows("Developers", "list", "-q", "dev")
	shows("group", "members", "Developers")
	shows("Core > Developers", "members", "Developers", "--all")
	shows("Makers", "edit", "Developers", "--name", "Makers")
	if _, err := run("delete", "Core"); odcm.CodeOf(err) != "group.in-use" {
		t.Errorf("delete what is used: %v", err)
	}
	if _, err := run("add", "Core", "Makers"); odcm.CodeOf(err) != "group.cycle" {
		t.Errorf("a cycle: %v", err)
	}
	shows("", "remove", "Makers", "Core")
	shows("", "delete", "Core")
	if _, err := run("get", "Core"); odcm.KindOf(err) != odcm.NotFound {
		t.Errorf("get what is deleted: %v", err)
	}
}
