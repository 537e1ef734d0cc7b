package provider_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"odcm"
	"odcm/manager/identity/provider"
)

var member = odcm.Principal{User: "user-bob", Roles: []odcm.Role{odcm.Member}}

func TestSecrets(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	p := w.add("one", 1)
	if got := slices.Sorted(maps.Keys(p.Secrets)); !slices.Equal(got, []string{"password"}) || p.Secrets["password"] != "" {
		t.Errorf("shown: %v", p.Secrets)
	}
	stored := w.store.rows[p.ID]
	if strings.Contains(stored.Sealed["password"], "secret of one") || len(stored.Secrets) != 0 {
		t.Errorf("stored: %+v", stored)
	}
	secrets := func() map[string]string {
		t.Helper()
		if _, err := w.Source(ctx, p.ID); err != nil {
			t.Fatal(err)
		}
		f := w.fakes["one"]
		return f.opened[len(f.opened)-1].Secrets
	}
	update := func(change func(p *provider.Provider)) error {
		n, err := w.Get(ctx, odcm.System, p.ID)
		if err != nil {
			t.Fatal(err)
		}
		change(&n)
		_, err = w.Update(ctx, odcm.System, n)
		return err
	}
	if err := update(func(p *provider.Provider) { p.Name = "First"; p.Secrets["keytab"] = "k" }); err != nil {
		t.Fatal(err)
	}
	if got := secrets(); got["password"] != "secret of one" || got["keytab"] != "k" {
		t.Errorf("kept: %v", got)
	}
	if err := update(func(p *provider.Provider) { delete(p.Secrets, "keytab"); p.Secrets["password"] = " new" }); err != nil {
		t.Fatal(err)
	}
	if got := secrets(); got["password"] != " new" || got["keytab"] != "" {
		t.Errorf("replaced: %v", got)
	}
	if err := update(func(p *provider.Provider) { delete(p.Secrets, "password") }); odcm.CodeOf(err) != "provider.setting-missing" {
		t.Errorf("a required secret was forgotten: %v", err)
	}
	for _, e := range w.store.events {
		if strings.Contains(e, "secret of") || strings.Contains(e, " new") {
			t.Errorf("a secret is in an event: %s", e)
		}
	}
}

func TestSettingsAreChecked(t *testing.T) {
	t.Parallel()
	w := open(t)
	right := func() provider.Provider {
		return provider.Provider{Kind: provider.LDAP, Name: "One", Settings: map[string]string{"which": "one"}, Secrets: map[string]string{"password": "x"}}
	}
	for name, c := range map[string]struct {
		change func(p *provider.Provider)
		code   string
	}{
		"no such kind":     {func(p *provider.Provider) { p.Kind = "nis" }, "provider.kind-unknown"},
		"no name":          {func(p *provider.Provider) { p.Name = " " }, "provider.name-invalid"},
		"a long name":      {func(p *provider.Provider) { p.Name = strings.Repeat("n", 61) }, "provider.name-invalid"},
		"no such setting":  {func(p *provider.Provider) { p.Settings["x"] = "y" }, "provider.setting-unknown"},
		"a secret as none": {func(p *provider.Provider) { p.Settings["password"] = "y" }, "provider.setting-unknown"},
		"none as a secret": {func(p *provider.Provider) { p.Secrets["which"] = "y" }, "provider.setting-unknown"},
		"no choice":        {func(p *provider.Provider) { p.Settings["mode"] = "c" }, "provider.setting-invalid"},
		"two lines":        {func(p *provider.Provider) { p.Settings["which"] = "o\nne" }, "provider.setting-invalid"},
		"no text":          {func(p *provider.Provider) { p.Settings["which"] = "\xff" }, "provider.setting-invalid"},
		"too long":         {func(p *provider.Provider) { p.Settings["which"] = strings.Repeat("n", 5000) }, "provider.setting-invalid"},
		"missing":          {func(p *provider.Provider) { p.Settings["which"] = " " }, "provider.setting-missing"},
		"secret missing":   {func(p *provider.Provider) { p.Secrets = nil }, "provider.setting-missing"},
		"too often":        {func(p *provider.Provider) { p.SyncEvery = time.Second }, "provider.interval-invalid"},
		"not to be opened": {func(p *provider.Provider) { p.Settings["which"] = "four" }, "fake.which"},
		"negative":         {func(p *provider.Provider) { p.Order = -1 }, "provider.order-invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			p := right()
			c.change(&p)
			if _, err := w.Create(t.Context(), odcm.System, p); odcm.KindOf(err) != odcm.Invalid || odcm.CodeOf(err) != c.code {
				t.Errorf("%v", err)
			}
		})
	}
	if len(w.store.rows) != 0 {
		t.Errorf("%d were made", len(w.store.rows))
	}
	if _, err := w.Create(t.Context(), odcm.System, right()); err != nil {
		t.Error(err)
	}
}

func TestOnlyWhoMay(t *testing.T) {
	t.Parallel()
	w := open(t)
	p, ctx := w.add("one", 1), t.Context()
	_, err1 := w.List(ctx, member)
	_, err2 := w.Get(ctx, member, p.ID)
	_, err3 := w.Create(ctx, member, p)
	_, err4 := w.Update(ctx, member, p)
	_, err5 := w.Test(ctx, member, p.ID)
	_, err6 := w.FindGroups(ctx, member, p.ID, "", 1)
	_, err8 := w.Leaving(ctx, member, p.ID)
	_, err7 := w.FindPeople(ctx, member, p.ID, "", 1)
	for i, err := range []error{err1, err2, err3, err4, err5, err6, err7, err8, w.Delete(ctx, member, p.ID, provider.Deletion{Confirmed: true}), w.SyncNow(ctx, member, p.ID, true), w.StartTest(ctx, member, p.ID)} {
		if odcm.KindOf(err) != odcm.Denied {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func TestSourceFollowsItsSettings(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		other := w.replica()
		go func() { _ = other.Run(ctx, w.bus.subscribe()) }()
		p, f := w.add("one", 1), w.fakes["one"]
		for range 3 {
			if _, err := other.Source(ctx, p.ID); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		before := len(f.opened)
		p.Order = 7
		if _, err := w.Update(ctx, odcm.System, p); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := other.Source(ctx, p.ID); err != nil {
			t.Fatal(err)
		}
		if last := f.opened[len(f.opened)-1]; last.Order != 7 || len(f.opened) != before+2 { // once to check the settings, once to use them
			t.Errorf("opened %d times, the last of order %d", len(f.opened), last.Order)
		}
		enabled, err := other.Enabled(ctx)
		if err != nil || len(enabled) != 1 || enabled[0].Secrets["password"] != "" {
			t.Errorf("%v, %v", enabled, err)
		}
		now, err := w.Get(ctx, odcm.System, p.ID)
		if err != nil {
			t.Fatal(err)
		}
		now.Enabled = false
		if _, err := w.Update(ctx, odcm.System, now); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := other.Source(ctx, p.ID); odcm.KindOf(err) != odcm.NotFound {
			t.Errorf("switched off: %v", err)
		}
		if f.closed != len(f.opened) {
			t.Errorf("switched off: closed %d of %d", f.closed, len(f.opened))
		}
		cancel()
		synctest.Wait()
		if err := other.Close(); err != nil || f.closed != len(f.opened) {
			t.Errorf("closed %d of %d, %v", f.closed, len(f.opened), err)
		}
	})
}

func TestFindingsComeOneByOne(t *testing.T) {
	t.Parallel()
	w := open(t)
	p, seen := w.add("one", 1), w.bus.subscribe()
	result, err := w.Test(t.Context(), odcm.System, p.ID)
	if err != nil || result.OK() || len(result.Findings) != 2 || result.Ended.IsZero() {
		t.Errorf("%+v, %v", result, err)
	}
	if len(seen) != 4 { // begun, two findings, ended
		t.Errorf("%d hints", len(seen))
	}
	if err := w.StartTest(t.Context(), odcm.System, p.ID); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if kept := w.store.rows[p.ID].Test; len(kept.Findings) != 2 || kept.Ended.IsZero() {
		t.Errorf("%+v", kept)
	}
}
