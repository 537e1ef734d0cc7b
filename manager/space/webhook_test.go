package space_test

import (
	"strings"
	"testing"

	"odcm"
	"odcm/manager/space"
	"odcm/manager/space/spacetest"
	"odcm/octopus"
)

func hookOf(t *testing.T, m *spacetest.Manager) octopus.Object {
	t.Helper()
	all := m.Outside.Hooks(theirURL, "Spaces-1")
	if len(all) != 1 {
		t.Fatalf("%d subscriptions", len(all))
	}
	return all[0]
}

// edit changes the webhook as somebody at the server might.
func edit(t *testing.T, m *spacetest.Manager, f func(o, hook *octopus.Object)) {
	t.Helper()
	o := hookOf(t, m).Clone()
	hook := o.Object("EventNotificationSubscription").Clone()
	f(&o, &hook)
	o.Set("EventNotificationSubscription", hook)
	m.Outside.Change(theirURL, func(s *spacetest.Server) { s.Subscriptions["Spaces-1"] = []octopus.Object{o} })
}

func TestWebhook(t *testing.T) {
	t.Parallel()
	url := theirURL
	public := spacetest.PublicURL
	m := start(t, func(o *space.Options) { o.PublicURL = func() string { return public } })
	m.Succeed(t, enlist(t, m, space.Choice{Octopus: "Spaces-1", Name: "Theirs"}))
	id := get(t, m, "theirs").ID
	reconcile := func(t *testing.T) space.Hook {
		t.Helper()
		if err := m.Spaces.Webhook().Reconcile(t.Context(), string(id)); err != nil {
			t.Fatal(err)
		}
		return get(t, m, "theirs").Hook
	}

	t.Run("posts to ODCM with a secret", func(t *testing.T) {
		hook := hookOf(t, m).Object("EventNotificationSubscription")
		if hook.Text("WebhookURI") != public+"/hooks/spaces/"+string(id) || hook.Text("WebhookHeaderKey") != space.SecretHeader || len(hook.Text("WebhookHeaderValue")) < 26 {
			t.Errorf("got %v", hook)
		}
		if err := m.Spaces.Hear(t.Context(), id, space.Secret(hook.Text("WebhookHeaderValue"))); err != nil {
			t.Fatal(err)
		}
		if heard := <-m.Heard; heard != id {
			t.Errorf("heard %s", heard)
		}
		for _, wrong := range []space.Secret{"", "wrong", space.Secret(hook.Text("WebhookHeaderValue") + "x")} {
			wantError(t, m.Spaces.Hear(t.Context(), id, wrong), odcm.Unauthenticated, "space.hook-refused", "")
			wantError(t, m.Spaces.Hear(t.Context(), "space-none", wrong), odcm.Unauthenticated, "space.hook-refused", "")
		}
		if len(m.Heard) != 0 {
			t.Error("a wrong secret woke somebody")
		}
	})
	t.Run("is left alone while it is right", func(t *testing.T) {
		before := get(t, m, "theirs").Hook.Applied
		if h := reconcile(t); !h.Applied.Equal(before) || h.Repairs != 0 {
			t.Errorf("got %+v", h)
		}
	})
	t.Run("is repaired, and the drift told, keeping fields that ODCM does not know", func(t *testing.T) {
		edit(t, m, func(o, hook *octopus.Object) {
			o.Set("IsDisabled", true)
			o.Set("FromTheFuture", map[string]any{"a": 1})
			hook.Set("WebhookURI", "https://elsewhere.test")
			filter := hook.Object("Filter").Clone()
			filter.Set("Projects", []string{"Projects-1"})
			hook.Set("Filter", filter)
		})
		h := reconcile(t)
		if h.Repairs != 1 || h.Drift != "IsDisabled, WebhookURI, Projects" || h.State != space.HookApplied {
			t.Errorf("got %+v", h)
		}
		o := hookOf(t, m)
		if raw, _ := o.Get("FromTheFuture"); string(raw) != `{"a":1}` || o.Bool("IsDisabled") {
			t.Errorf("got %v", o)
		}
		if h := reconcile(t); h.Repairs != 1 {
			t.Errorf("it was repaired again: %+v", h)
		}
	})
	t.Run("comes back when somebody deletes it", func(t *testing.T) {
		m.Outside.Change(url, func(s *spacetest.Server) { s.Subscriptions["Spaces-1"] = nil })
		if h := reconcile(t); h.Repairs != 2 || h.Subscription != hookOf(t, m).ID() {
			t.Errorf("got %+v", h)
		}
	})
	t.Run("moves with ODCM's own address, which is no drift", func(t *testing.T) {
		public = "https://moved.test/"
		if h := reconcile(t); h.Repairs != 2 || !strings.HasPrefix(h.URL, "https://moved.test/hooks/") {
			t.Errorf("got %+v", h)
		}
	})
	t.Run("believes a header that the server hides", func(t *testing.T) {
		m.Outside.Change(url, func(s *spacetest.Server) { s.HidesHeader = true })
		before := get(t, m, "theirs").Hook.Applied
		if h := reconcile(t); !h.Applied.Equal(before) {
			t.Error("it was written again though nothing differs")
		}
	})
	t.Run("waits while the server is offline, and says so", func(t *testing.T) {
		m.Outside.Change(url, func(s *spacetest.Server) { s.Fails = odcm.E(odcm.Unavailable, "space.unreachable", "Nothing answers.") })
		err := m.Spaces.Webhook().Reconcile(t.Context(), string(id))
		wantError(t, err, odcm.Unavailable, "space.unreachable", "")
		if h := get(t, m, "theirs").Hook; h.State != space.HookPending || h.Reason != "Nothing answers." {
			t.Errorf("got %+v", h)
		}
		m.Outside.Change(url, func(s *spacetest.Server) { s.Fails = nil })
	})
	t.Run("is skipped with the reason where it cannot be had", func(t *testing.T) {
		m.Outside.Change(url, func(s *spacetest.Server) {
			s.Forbids = odcm.E(odcm.Denied, "space.key-lacks-permission", "The key lacks SubscriptionView.")
		})
		if h := reconcile(t); h.State != space.HookSkipped || h.Reason != "The key lacks SubscriptionView." {
			t.Errorf("got %+v", h)
		}
		m.Outside.Change(url, func(s *spacetest.Server) { s.Forbids = nil })
		public = ""
		if h := reconcile(t); h.State != space.HookSkipped || !strings.Contains(h.Reason, "public URL") {
			t.Errorf("got %+v", h)
		}
		public = spacetest.PublicURL
		if h := reconcile(t); h.State != space.HookApplied {
			t.Errorf("got %+v", h)
		}
	})
	t.Run("is nobody's business once the Space is gone", func(t *testing.T) {
		if err := m.Spaces.Webhook().Reconcile(t.Context(), "space-gone"); err != nil {
			t.Error(err)
		}
	})
}

// A Space may be delisted while the reconciler is about to write: what it writes then must not stay behind.
func TestWebhookDoesNotOutliveTheSpace(t *testing.T) {
	t.Parallel()
	m := start(t, nil)
	m.Succeed(t, enlist(t, m, space.Choice{Octopus: "Spaces-1", Name: "Theirs"}))
	id := get(t, m, "theirs").ID
	edit(t, m, func(o, _ *octopus.Object) { o.Set("IsDisabled", true) })
	was := hookOf(t, m).ID()
	m.Outside.OnPut(func() {
		sp, err := m.Spaces.Delist(t.Context(), spacetest.Barry, "theirs", space.Delisting{})
		if err != nil {
			t.Error(err)
			return
		}
		m.Done(t, sp.Task)
		// The server takes the change although the subscription was deleted meanwhile: the worst that it can do.
		m.Outside.Change(theirURL, func(s *spacetest.Server) {
			var o octopus.Object
			o.Set("Id", was)
			s.Subscriptions["Spaces-1"] = []octopus.Object{o}
		})
	})
	if err := m.Spaces.Webhook().Reconcile(t.Context(), string(id)); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, m)
}

func TestWebhookOfSomebodyElse(t *testing.T) {
	t.Parallel()
	m := start(t, nil)
	before, err := octopus.ParseObject([]byte(`{"Id":"Subscriptions-7","Name":"ODCM","Type":"Event","IsDisabled":true,"SpaceId":"Spaces-1",
		"EventNotificationSubscription":{"WebhookURI":"https://theirs.test","WebhookHeaderValue":"theirs","Filter":{"Users":["Users-1"]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	m.Outside.Change(theirURL, func(s *spacetest.Server) { s.Subscriptions["Spaces-1"] = []octopus.Object{before} })
	m.Succeed(t, enlist(t, m, space.Choice{Octopus: "Spaces-1", Name: "Theirs"}))
	if got := hookOf(t, m); got.ID() != "Subscriptions-7" || got.Bool("IsDisabled") {
		t.Errorf("got %v", got)
	}
	sp, err := m.Spaces.Delist(t.Context(), spacetest.Barry, "theirs", space.Delisting{})
	if err != nil {
		t.Fatal(err)
	}
	m.Succeed(t, sp.Task)
	want, _ := before.MarshalJSON()
	if got, _ := hookOf(t, m).MarshalJSON(); string(got) != string(want) {
		t.Errorf("it was not put back: got %s, want %s", got, want)
	}
}

// Whatever a server holds under our name, writing once is enough: what was written differs from nothing.
func FuzzDesiredHook(f *testing.F) {
	for _, seed := range []string{
		`{}`,
		`{"Id":"Subscriptions-1","Name":"ODCM","IsDisabled":null,"EventNotificationSubscription":null}`,
		`{"name":"odcm","EventNotificationSubscription":{"webhookuri":"x","WebhookHeaderValue":{"HasValue":true},"Filter":{"Users":["Users-1"],"Tags":null,"New":[1]}}}`,
		`{"EventNotificationSubscription":{"Filter":"none","WebhookHeaderKey":7}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		actual, err := octopus.ParseObject([]byte(text))
		if err != nil {
			t.Skip()
		}
		wanted, _ := space.DesiredHook(actual, "Spaces-1", "https://odcm.test/h", "secret", false)
		again, difference := space.DesiredHook(wanted, "Spaces-1", "https://odcm.test/h", "secret", false)
		if len(difference) > 0 {
			t.Fatalf("%s differs again in %v", text, difference)
		}
		a, _ := wanted.MarshalJSON()
		b, _ := again.MarshalJSON()
		if string(a) != string(b) {
			t.Fatalf("%s became %s, then %s", text, a, b)
		}
		for name := range actual.All() { // nothing that the server had is lost
			if !wanted.Has(name) && actual.Has(name) {
				t.Fatalf("%s lost %s", text, name)
			}
		}
	})
}
