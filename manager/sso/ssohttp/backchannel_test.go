package ssohttp_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"odcm/kit/egress"
	"odcm/manager/sso"
	"odcm/manager/sso/ssohttp"
)

func TestBackchannel(t *testing.T) {
	t.Parallel()
	var got []string
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.PostFormValue("logout_token"))
		if status == http.StatusFound {
			w.Header().Set("Location", "http://169.254.169.254/latest")
		}
		w.WriteHeader(status)
	}))
	defer server.Close()
	client, err := egress.New(egress.Policy{}, egress.Limits{}).Client(egress.TLS{})
	if err != nil {
		t.Fatal(err)
	}
	b := ssohttp.Backchannel{Client: client}
	for _, c := range []struct {
		status int
		ok     bool
	}{{200, true}, {204, true}, {400, false}, {500, false}, {302, false}} {
		status = c.status
		if err := b.Deliver(t.Context(), server.URL, "a.b.c"); (err == nil) != c.ok || got[len(got)-1] != "a.b.c" {
			t.Errorf("%d: %v", c.status, err)
		}
	}
	if err := b.Deliver(t.Context(), "http://169.254.169.254/latest/meta-data", "a.b.c"); err == nil {
		t.Error("the cloud's metadata service was asked")
	}
}

// TestSigningOutIsDelivered though the relying party does not answer at first.
func TestSigningOutIsDelivered(t *testing.T) {
	t.Parallel()
	p := start(t)
	c := begin(t, p, func(p *sso.Party) { p.LogoutURI = "https://rp.example.com/logged-out" })
	got := c.signIn(map[string]string{"scope": "openid offline_access"})
	c.signIn(nil)
	p.World.Deafen(1)
	c.signOut(map[string]string{"id_token_hint": got.text("id_token")})
	again := c.refresh(got.text("refresh_token"))
	if again.status != 200 {
		t.Errorf("what is to outlive the session did not: %s", again.raw)
	}
	if told := p.World.Told(); len(told) != 0 {
		t.Fatalf("%v", told)
	}
	eventually(t, func() bool { // as time passes in the test's world; the hint stands in for the timer
		p.World.Pass(time.Second)
		p.Bus.Publish(sso.TopicLogout)
		return len(p.World.Told()) == 1
	})
	p.World.Change("user-ann", func(p *sso.Person) { p.Disabled = true })
	if err := p.SignedOut(t.Context(), "user-ann"); err != nil {
		t.Fatal(err)
	}
	wantError(t, c.refresh(again.text("refresh_token")), 400, "invalid_grant")
}
