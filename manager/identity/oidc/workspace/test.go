package workspace

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"odcm"
	"odcm/manager/identity/oidc/wire"
)

// Step tells of a step of a test: said where err is nil. It returns whether it is.
type Step func(name, said string, err error) bool

// Test reads an account and a group.
func (w *Workspace) Test(ctx context.Context, step Step) bool {
	for _, ask := range []struct{ path, step string }{
		{"users", "Read accounts in the Directory API"}, {"groups", "Read groups in the Directory API"},
	} {
		var ignored struct{}
		err := w.get(ctx, ask.path, url.Values{"customer": {"my_customer"}, "maxResults": {"1"}}, &ignored)
		if s := (*wire.Status)(nil); errors.As(err, &s) && (s.Code == http.StatusForbidden || s.Name == "unauthorized_client" || s.Name == "access_denied") {
			err = odcm.E(odcm.Invalid, "provider.permission-missing",
				"Not allowed: in the Workspace's admin console, under domain-wide delegation, give the service account's client ID the scopes admin.directory.user.readonly and admin.directory.group.readonly, and act as an administrator who may read both.")
		}
		if !step(ask.step, "Allowed.", err) {
			return false
		}
	}
	return true
}
