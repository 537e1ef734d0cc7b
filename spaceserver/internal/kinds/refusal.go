package kinds

import (
	"strings"

	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/kinds/release"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

// refusals are routes of Octopus that this server knows and does not serve, each with the reason: a client should learn
// more than that there is no such route.
func refusals() []collection.Action {
	var actions []collection.Action
	for _, r := range []struct {
		method, path string
		needed       permission.Name
		reason       string
	}{
		{"POST", "migrations/partialexport", "", "This Space server version does not take part in migrations."},
		{"POST", "migrations/import", "", "This Space server version does not take part in migrations."},
		{"POST", "certificates/generate", "CertificateCreate", "This Space server makes no certificates: send one that you have."},
	} {
		scope := collection.InSpace
		if strings.HasPrefix(r.path, "migrations") {
			scope = collection.InBoth
		}
		actions = append(actions, collection.Action{Method: r.method, Path: r.path, Scope: scope, Permission: r.needed, Handle: func(*collection.Call) (any, error) { return nil, problem.Unsupported("%s", r.reason) }})
	}
	return append(actions, collection.Action{Method: "GET", Path: "channels/rule-test", Handle: release.TestRule}, collection.Action{Method: "POST", Path: "channels/rule-test", Handle: release.TestRule})
}
