package test

import (
	"slices"
	"testing"
)

// TestANewNameReachesTheSpace is somebody who enters a Space and is called otherwise from then on. Nothing else wakes the
// reconciler in between: the slow resync would come too late for this test.
func TestANewNameReachesTheSpace(t *testing.T) {
	t.Parallel()
	o, theirs := open(t, nil), newTheirServer(t)
	r := o.want(202, "POST", "/api/v1/spaces/enlist", asJSON(map[string]any{"url": theirs.url, "apiKey": theirKey,
		"spaces": []any{map[string]any{"octopusSpace": "Spaces-1", "name": "Quietharbour"}}}))
	o.ends(r.field("task"), "succeeded")
	ann := o.want(201, "POST", "/api/v1/users", asJSON(map[string]any{"username": "ann", "displayName": "Ann Example"})).field("id")
	o.want(201, "POST", "/api/v1/access/grants", asJSON(map[string]any{"space": "quietharbour", "user": "ann"}))
	type user struct{ Username, DisplayName string }
	called := func(want user) func() bool {
		return func() bool {
			var all struct{ Items []user }
			theirs.get(t, "/api/users?take=100", &all)
			return slices.Contains(all.Items, want)
		}
	}
	until(t, "the server has her account", called(user{"ann", "Ann Example"}))
	o.want(200, "PATCH", "/api/v1/users/"+ann, asJSON(map[string]any{"displayName": "Ann Elsewhere"}))
	until(t, "the server has her new name", called(user{"ann", "Ann Elsewhere"}))
	o.want(200, "PATCH", "/api/v1/users/"+ann, asJSON(map[string]any{"username": "ann.elsewhere"}))
	until(t, "the server has her new user name", called(user{"ann.elsewhere", "Ann Elsewhere"}))
}
