package spaceserver_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"odcm/spaceserver"
	"odcm/spaceserver/internal/entitlement"
	"odcm/spaceserver/internal/signin/issuertest"
)

// TestTheSnapshotLetsKnownPeopleIn signs somebody in by way of an ODCM, which then does not answer any more.
func TestTheSnapshotLetsKnownPeopleIn(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		i := issuertest.New(t, "space-server", clientSecret)
		i.Entitle(entitlement.Type, map[string][]string{"00u1": {"Engineers"}}, nil)
		w.trust("authentication-od", i, nil)
		team := w.create("/api/teams", fields{"Name": "Engineers", "ExternalSecurityGroups": []fields{{"Id": "Engineers", "DisplayName": "Engineers"}}})
		w.create("/api/scopeduserroles", fields{"UserRoleId": "userroles-environmentmanager", "TeamId": team.Text("Id"), "SpaceId": "Spaces-1"})
		i.Set(map[string]any{"groups": []string{}})
		known := w.browser()
		if got := known.signIn("Okta", "/"); got.status != http.StatusFound {
			t.Fatalf("%d: %s", got.status, got.body)
		}
		page := known.do("GET", "/app/Spaces-1/dashboard", nil)
		if !strings.Contains(page.body, `src="`+i.URL+`/spaces.js"`) || !strings.Contains(page.header.Get("Content-Security-Policy"), "script-src 'self' "+i.URL+";") {
			t.Errorf("the menu of Spaces is not in the header: %v", page.header)
		}
		if got := known.do("GET", "/api/Spaces-1/environments", nil); got.status != http.StatusForbidden {
			t.Errorf("who is in no group may look: %d", got.status)
		}
		known.do("POST", "/sign-out", url.Values{})

		i.Fail(true)
		page = known.do("GET", "/app/Spaces-1/dashboard", nil)
		if !strings.Contains(page.body, "ODCM does not answer") || !strings.Contains(page.body, "Go on as ada") {
			t.Fatalf("nothing is offered: %s", page.body)
		}
		if got := known.do("POST", "/sign-in/known", url.Values{"next": {"/app/Spaces-1/dashboard"}}); got.location != "/app/Spaces-1/dashboard" || known.me() != "ada" {
			t.Fatalf("%d to %q as %q: %s", got.status, got.location, known.me(), got.body)
		}
		if got := known.do("GET", "/api/Spaces-1/environments", nil); got.status != http.StatusOK {
			t.Errorf("the groups of the snapshot do not count: %d", got.status)
		}
		if events := w.get("/api/events?eventCategories=LoginSucceeded").Objects("Items"); len(events) != 1 || !strings.Contains(events[0].Text("Message"), "entitlement snapshot") {
			t.Errorf("events: %v", events)
		}

		stranger := w.browser()
		if page := stranger.do("GET", "/app/Spaces-1/dashboard", nil); strings.Contains(page.body, "Go on as") {
			t.Error("a browser that is not known is offered to go on")
		}
		if got := stranger.do("POST", "/sign-in/known", url.Values{}); got.status != http.StatusBadRequest || stranger.me() != "" {
			t.Errorf("a browser that is not known is let in: %d as %q", got.status, stranger.me())
		}
		w.want(http.StatusOK, http.MethodPut, "/api/users/"+w.get("/api/users/ada").Text("Id"), fields{"Username": "ada", "DisplayName": "Ada", "IsActive": false})
		if got := known.do("POST", "/sign-in/known", url.Values{}); got.status != http.StatusBadRequest || known.me() != "" {
			t.Errorf("who is disabled here is let in: %d as %q", got.status, known.me())
		}
	})
}

// TestTheSnapshotLetsNobodyElseIn shows each way in which a snapshot does not count.
func TestTheSnapshotLetsNobodyElseIn(t *testing.T) {
	t.Parallel()
	past, people := time.Now().Add(-time.Hour).Unix(), map[string][]string{"00u1": nil}
	for name, entitle := range map[string]func(i *issuertest.Issuer){
		"not named": func(i *issuertest.Issuer) { i.Entitle(entitlement.Type, nil, nil) },
		"ended": func(i *issuertest.Issuer) {
			i.Entitle(entitlement.Type, people, map[string]any{"iat": past - 60, "exp": past})
		},
		"of the future": func(i *issuertest.Issuer) {
			i.Entitle(entitlement.Type, people, map[string]any{"iat": time.Now().Add(time.Hour).Unix()})
		},
		"without an end":   func(i *issuertest.Issuer) { i.Entitle(entitlement.Type, people, map[string]any{"exp": 0}) },
		"another server's": func(i *issuertest.Issuer) { i.Entitle(entitlement.Type, people, map[string]any{"aud": "other"}) },
		"another issuer's": func(i *issuertest.Issuer) {
			i.Entitle(entitlement.Type, people, map[string]any{"iss": "https://other.example"})
		},
		"an id_token":  func(i *issuertest.Issuer) { i.Entitle("JWT", people, nil) },
		"ODCM answers": func(i *issuertest.Issuer) { i.Entitle(entitlement.Type, people, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, spaceserver.Options{})
			i := issuertest.New(t, "space-server", clientSecret)
			entitle(i)
			w.trust("authentication-od", i, nil)
			b := w.browser()
			if got := b.signIn("Okta", "/"); got.status != http.StatusFound {
				t.Fatalf("%d: %s", got.status, got.body) // what is wrong with the snapshot is no reason to keep somebody out
			}
			b.do("POST", "/sign-out", url.Values{})
			i.Fail(name != "ODCM answers")
			if got := b.do("POST", "/sign-in/known", url.Values{}); got.status != http.StatusBadRequest || b.me() != "" {
				t.Errorf("let in: %d as %q", got.status, b.me())
			}
		})
	}
}

// TestAutoLoginLeadsToODCMBesideAForm keeps the form as the way in for emergencies.
func TestAutoLoginLeadsToODCMBesideAForm(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		i := issuertest.New(t, "space-server", clientSecret)
		i.Entitle(entitlement.Type, nil, nil)
		w.trust("authentication-generic-oidc", i, nil)
		w.configure("authentication", fields{"AutoLoginEnabled": true})
		if got := w.browser().do("GET", "/app/Spaces-1/dashboard", nil); got.status != http.StatusOK {
			t.Errorf("led away to a provider that is not known to be an ODCM: %d", got.status)
		}
		w.browser().signIn("GenericOidc", "/")
		if got := w.browser().do("GET", "/app/Spaces-1/dashboard", nil); got.status != http.StatusFound || !strings.HasPrefix(got.location, "/signin/GenericOidc?return=") {
			t.Errorf("not led to ODCM: %d %q", got.status, got.location)
		}
		if got := w.browser().do("GET", "/sign-in", nil); got.status != http.StatusOK || !strings.Contains(got.body, `name="password"`) {
			t.Errorf("no form at its own address: %d", got.status)
		}
	})
}
