package odcm_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// floor says which packages of the module a package may import. The first pattern that matches a package is its floor; a
// package on no floor fails. "$room" stands for the room's own folder. Tests may import anything but the roof's inside.
type floor struct {
	pattern string
	may     []string
	why     string
}

// The table is the architecture: it is read from the ground up, and imports only go down.
var floors = []floor{
	{"odcm", nil, "the ground: words that every room says"},
	{"odcm/octopus", nil, "the wire to Octopus is data only"},
	{"odcm/octopus/octoclient", []string{"odcm", "odcm/octopus", "odcm/kit/egress"}, "a client of any Octopus server"},
	{"odcm/octopus/octotest", []string{"odcm", "odcm/octopus", "odcm/octopus/*"}, "the suite that any Octopus server must pass"},
	{"odcm/octopus/octotest/swagger", nil, "answers against a real server's own document"},
	{"odcm/api", nil, "ODCM's own REST types: data only"},
	{"odcm/apiclient", []string{"odcm", "odcm/api"}, "what the CLI and others call ODCM with"},
	{"odcm/agentapi", nil, "the wire between manager and agent"},
	{"odcm/agentapi/*", []string{"odcm/agentapi"}, "generated from the wire"},
	{"odcm/kit/web/design", nil, "style sheet, script and components, for any house's pages"},
	{"odcm/kit/*", []string{"odcm", "odcm/kit/*"}, "tools know no house"},
	{"odcm/spaceserver", []string{"odcm/octopus", "odcm/kit/*", "odcm/spaceserver/*"}, "another house: the manager reaches it as it reaches any Octopus"},
	{"odcm/spaceserver/*", []string{"odcm/octopus", "odcm/kit/*", "odcm/spaceserver/*"}, "its inside"},
	{"odcm/simulate", []string{"odcm"}, "servers that are not there, to try ODCM at size"},
	{"odcm/agent", []string{"odcm", "odcm/agentapi", "odcm/agentapi/*", "odcm/kit/*", "odcm/agent/*"}, "another house: reached by its wire"},
	{"odcm/agent/*", []string{"odcm", "odcm/agentapi", "odcm/kit/*", "odcm/agent/*"}, "its inside"},
	{"odcm/manager", []string{"*"}, "the roof sees all rooms and contains no rule"},
	{"odcm/manager/identity/person", []string{"odcm", "odcm/kit/*"}, "words that all of identity says"},
	{"odcm/manager/identity/password", []string{"odcm", "odcm/kit/*"}, "rules of its own"},
	{"odcm/manager/identity/session", []string{"odcm", "odcm/kit/*", "odcm/manager/identity/person"}, "rules of its own"},
	{"odcm/manager/identity/role", []string{"odcm", "odcm/manager/identity/person"}, "rules of its own"},
	{"odcm/manager/identity", []string{"odcm", "odcm/octopus", "odcm/api", "odcm/kit/*", "odcm/manager/identity/person", "odcm/manager/identity/password", "odcm/manager/identity/session"}, "a room's root may stand on words and rules of its own that know no door"},
	{"odcm/manager/$room", []string{"odcm", "odcm/octopus", "odcm/api", "odcm/kit/*"}, "rules: no HTTP, no SQL, no other room"},
	{"odcm/manager/$room/*", []string{"odcm", "odcm/octopus", "odcm/octopus/octoclient", "odcm/api", "odcm/agentapi", "odcm/agentapi/*", "odcm/kit/*", "odcm/manager/$room", "odcm/manager/$room/*"}, "a room's doors: stores, adapters, pages"},
	{"odcm/cli", []string{"odcm", "odcm/api", "odcm/apiclient", "odcm/kit/config", "odcm/cli/*"}, "a client of the API"},
	{"odcm/cmd/*", []string{"*"}, "the only main"},
	{"odcm/test", []string{"*"}, "whole-product stories"},
	{"odcm/test/*", []string{"*"}, "whole-product stories"},
}

// rules are the floors from which no door may be seen.
var rules = []string{"odcm/manager/$room", "odcm/manager/identity", "odcm/manager/identity/person", "odcm/manager/identity/password",
	"odcm/manager/identity/session", "odcm/manager/identity/role"}

// barred packages of the standard library and of modules may not be imported by rules: they belong to the doors.
var barred = map[string]string{
	"net/http":                      "rules do not speak HTTP",
	"database/sql/driver":           "rules do not speak to drivers",
	"github.com/danielgtaylor/huma": "rules do not speak HTTP",
}

func TestFloors(t *testing.T) {
	t.Parallel()
	packages := list(t)
	if len(packages) < 5 {
		t.Fatalf("go list found %d packages: the test sees nothing", len(packages))
	}
	for _, p := range packages {
		f, room, ok := floorOf(p.ImportPath)
		if !ok {
			t.Errorf("%s stands on no floor: add it to the table in floors_test.go, with the reason", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			if strings.HasPrefix(imported, "odcm") && !allowed(f, room, imported) {
				t.Errorf("%s imports %s: %s may import only %v (%s)", p.ImportPath, imported, f.pattern, f.may, f.why)
			}
			if slices.Contains(rules, f.pattern) {
				for bad, why := range barred {
					if imported == bad || strings.HasPrefix(imported, bad+"/") {
						t.Errorf("%s imports %s: %s", p.ImportPath, imported, why)
					}
				}
			}
		}
	}
}

// TestTheTableRefuses shows that the table can fail.
func TestTheTableRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ from, to string }{
		{"odcm", "odcm/kit/db"},
		{"odcm/manager/space", "odcm/manager/fleet"},
		{"odcm/manager/space", "odcm/manager/space/spacesql"},
		{"odcm/manager/space/spacehttp", "odcm/manager/fleet"},
		{"odcm/manager/identity", "odcm/manager/identity/identitysql"},
		{"odcm/manager/identity/session", "odcm/manager/identity/identitysql"},
		{"odcm/kit/db", "odcm/manager/space"},
		{"odcm/spaceserver", "odcm/manager"},
		{"odcm/cli", "odcm/manager"},
	} {
		if f, room, ok := floorOf(c.from); !ok || allowed(f, room, c.to) {
			t.Errorf("%s may import %s", c.from, c.to)
		}
	}
	if _, _, ok := floorOf("odcm/utils"); ok {
		t.Error("odcm/utils stands on a floor")
	}
}

func floorOf(pkg string) (f floor, room string, ok bool) {
	for _, f := range floors {
		pattern := f.pattern
		if strings.Contains(pattern, "$room") {
			parts := strings.Split(pkg, "/")
			if len(parts) < 3 || parts[1] != "manager" {
				continue
			}
			room = parts[2]
			pattern = strings.ReplaceAll(pattern, "$room", room)
		}
		if match(pattern, pkg) {
			return f, room, true
		}
	}
	return floor{}, "", false
}

func allowed(f floor, room, imported string) bool {
	for _, may := range f.may {
		if match(strings.ReplaceAll(may, "$room", room), imported) {
			return true
		}
	}
	return false
}

// match takes a path, or a folder and all below it: "odcm/kit/*".
func match(pattern, pkg string) bool {
	if pattern == "*" {
		return true
	}
	if dir, ok := strings.CutSuffix(pattern, "/*"); ok {
		return strings.HasPrefix(pkg, dir+"/")
	}
	return path.Clean(pattern) == pkg
}

type listed struct {
	ImportPath string
	Imports    []string
}

func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v: %s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var packages []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}
