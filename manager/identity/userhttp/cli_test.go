package userhttp_test

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"odcm"
	"odcm/cli"
	"odcm/manager/identity/group"
	"odcm/manager/identity/group/grouphttp"
)

// TestCommandLineInvitesIntoGroups names groups as people do.
func TestCommandLineInvitesIntoGroups(t *testing.T) {
	t.Parallel()
	b := setup(t)
	grouphttp.Register(grouphttp.Options{Site: b.site, Groups: b.groups})
	server := httptest.NewServer(b.site)
	t.Cleanup(server.Close)
	invite := func(args ...string) (string, error) {
		root := &cobra.Command{Use: "odcm", SilenceErrors: true}
		root.AddCommand(cli.Commands("test")...)
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetErr(&out)
		root.SetArgs(append([]string{"user", "invite", "--url", server.URL, "--api-key", b.keys[odcm.Administrator]}, args...))
		err := root.ExecuteContext(t.Context())
		return out.String(), err
	}
	g, err := b.groups.Create(t.Context(), odcm.System, group.NewGroup{Name: "Developers"})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := invite("kim@consult.example", "--group", "Painters"); odcm.KindOf(err) != odcm.NotFound {
		t.Errorf("into a group that is not there: %v %s", err, out)
	}
	if out, err := invite("geoff@consult.example", "--group", "developers"); err != nil || !strings.Contains(out, "https://odcm.example.com/invitation") {
		t.Fatalf("%v %s", err, out)
	}
	all, _, err := b.groups.Members(t.Context(), odcm.System, g.ID, group.Position{}, 10)
	if err != nil || len(all) != 1 || all[0].User == nil || all[0].User.Username != "geoff@consult.example" {
		t.Errorf("in it are %+v, %v", all, err)
	}
}
