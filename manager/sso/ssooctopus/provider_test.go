package ssooctopus_test

import (
	"context"
	"testing"

	"odcm/kit/db/dbtest"
	"odcm/manager/sso/grant"
	"odcm/manager/sso/point"
	"odcm/manager/sso/ssotest"
	"odcm/octopus"
)

// older is a server of before 2022.2.4498: its slots have no secret, and take ID tokens by the browser's form post.
type older struct{ point.Server }

func (o older) Values(ctx context.Context, id string) (octopus.Object, error) {
	v, err := o.Server.Values(ctx, id)
	v.Delete("ClientSecret")
	return v, err
}

// TestWithTheProviderItself points a real Space server at the real OpenID Provider, in both flows that Octopus has had.
func TestWithTheProviderItself(t *testing.T) {
	t.Parallel()
	for name, wrap := range map[string]func(point.Server) point.Server{
		"a code and a secret":           nil,
		"an ID token and no secret yet": func(s point.Server) point.Server { return older{s} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			provider := ssotest.New(t, dbtest.Open(t, dbtest.SQLite(t)), func(o *grant.Options) {
				probing := point.Probing{Store: w.store, People: o.People, Access: o.Access}
				o.People, o.Access = probing, probing
			})
			w.pointer = point.New(point.Options{Store: w.store, Provider: provider, Servers: w, Instances: w})
			before := w.all()
			w.wrap = wrap
			is, err := w.point(point.Choices{})
			if err != nil {
				t.Fatal(err)
			}
			if (is.Secret == "") != (wrap != nil) || is.Tested.IsZero() {
				t.Errorf("tested %v, with a secret %v", is.Tested, is.Secret != "")
			}
			if err := w.pointer.Reconcile(t.Context(), "space-1"); err != nil {
				t.Fatal(err)
			}
			if left, err := w.pointer.Undo(t.Context(), instance, w.server()); err != nil || len(left) != 0 || w.all() != before {
				t.Errorf("undo: %v %v\n%s\n%s", left, err, before, w.all())
			}
			if _, err := provider.Store.PartyOf(t.Context(), instance); err == nil {
				t.Error("the relying party is left")
			}
		})
	}
}
