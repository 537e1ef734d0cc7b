package graph

import (
	"context"
	"errors"
	"net/http"

	"odcm"
	"odcm/manager/identity/oidc/wire"
)

// Step tells of a step of a test: said where err is nil. It returns whether it is.
type Step func(name, said string, err error) bool

// Test reads one user and one group: which of the two is refused tells which permission is missing.
func (g *Graph) Test(ctx context.Context, tenant string, step Step) bool {
	token, err := g.appToken(ctx, tenant)
	if !step("Token for Microsoft Graph", "Tenant "+tenant+" gives the application one.", err) {
		return false
	}
	for _, ask := range []struct{ path, step, permission string }{
		{"/users?$top=1&$select=id,accountEnabled", "Read accounts in Microsoft Graph", "User.Read.All"},
		{"/groups?$top=1&$select=id,displayName", "Read groups in Microsoft Graph", "GroupMember.Read.All"},
	} {
		var p page[object]
		err := g.o.Wire.Do(ctx, wire.Call{Method: http.MethodGet, URL: g.o.Base + ask.path, Header: wire.Bearer(token)}, &p)
		if s := (*wire.Status)(nil); errors.As(err, &s) && s.Code == http.StatusForbidden {
			err = odcm.E(odcm.Invalid, "provider.permission-missing", "Grant the application %s in the tenant (of the kind Application, not Delegated), and give an administrator's consent.", ask.permission)
		}
		if !step(ask.step, "Allowed.", err) {
			return false
		}
	}
	return true
}
