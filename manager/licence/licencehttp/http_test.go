package licencehttp_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"odcm"
	"odcm/api"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
	"odcm/kit/web"
	"odcm/manager/identity/role"
	"odcm/manager/licence"
	"odcm/manager/licence/licencehttp"
	"odcm/manager/licence/licencesql"
)

// who takes the principal's role from a header, administrator where there is none.
type who struct{}

func (who) Authenticate(r *http.Request) (odcm.Principal, error) {
	role := odcm.Role(r.Header.Get("X-Role"))
	if role == "" {
		role = odcm.Administrator
	}
	return odcm.Principal{User: "user-1", Name: "Barry", Roles: []odcm.Role{role}, Via: "session"}, nil
}

// told is what the servers say: as many as there are to be.
type told int

func (n told) Licences(context.Context) ([]licence.Server, error) {
	var all []licence.Server
	for i := range int(n) {
		days := 20 + i
		s := licence.Server{Instance: odcm.InstanceID(fmt.Sprint("instance-", i)), Checked: time.Now(),
			Spaces: []licence.Space{{ID: odcm.SpaceID(fmt.Sprint("space-", i)), Slug: fmt.Sprint("team-", i), Name: fmt.Sprint("Team ", i, " <b>")}}}
		switch i % 4 {
		case 0:
			s.Reading = &licence.Reading{Kind: "CommercialLicense", Compliant: i != 0, DaysLeft: &days,
				Limits: []licence.Limit{{Name: "Targets", Used: 60 - i, Allowed: 50}, {Name: "Users", Used: 3, Unlimited: true}}}
		case 1:
			s.Reading = &licence.Reading{Kind: "CommunityEdition", Compliant: true, Limits: []licence.Limit{{Name: "Targets", Used: 2, Allowed: 10}, {Name: "Projects", Used: 4, Allowed: 10}}}
		case 2:
			gone := -3
			s.Reading = &licence.Reading{Kind: "Trial", DaysLeft: &gone}
		}
		all = append(all, s)
	}
	return all, nil
}

type site struct {
	http.Handler
	key ed25519.PrivateKey
}

func serve(t *testing.T, servers told) site {
	t.Helper()
	d := dbtest.Open(t, dbtest.SQLite(t))
	bus, err := signal.New(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	log, err := eventlog.New(t.Context(), d, bus)
	if err != nil {
		t.Fatal(err)
	}
	store, err := licencesql.New(t.Context(), d, log)
	if err != nil {
		t.Fatal(err)
	}
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	authorizer := role.NewAuthorizer()
	pages := web.New(web.Options{Authenticator: who{}, DB: d, Bus: bus, Version: "test", Logger: slog.New(slog.DiscardHandler), Gallery: true})
	licencehttp.Register(licencehttp.Options{Site: pages, Authorizer: authorizer,
		Licence: licence.New(licence.Options{Store: store, Servers: servers, Authorizer: authorizer, Keys: []ed25519.PublicKey{public}})})
	if err := pages.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pages.Stop(context.Background()) })
	return site{pages, key}
}

// file is an entitlement that is valid for so many days.
func (s site) file(t *testing.T, days int) []byte {
	t.Helper()
	payload, err := json.Marshal(licence.Claim{ID: "E-7", Product: licence.Product, Holder: "Example <Ltd>", NotBefore: time.Now().AddDate(0, 0, -100), Issued: time.Now().AddDate(0, 0, -100),
		Expires: time.Now().AddDate(0, 0, days), Extras: []licence.Extra{{Name: "Support", Detail: "Around the clock"}}})
	if err != nil {
		t.Fatal(err)
	}
	signed := fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(licence.PayloadType), licence.PayloadType, len(payload), payload)
	file, err := json.Marshal(dsse.Envelope{PayloadType: licence.PayloadType, Payload: base64.StdEncoding.EncodeToString(payload),
		Signatures: []dsse.Signature{{KeyID: licence.KeyID(s.key.Public().(ed25519.PublicKey)), Sig: base64.StdEncoding.EncodeToString(ed25519.Sign(s.key, signed))}}})
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func (s site) want(t *testing.T, status int, method, path string, body []byte, role odcm.Role, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	r.Header.Set("X-Role", string(role))
	if !strings.HasPrefix(path, "/api/") {
		r.Header.Set("Accept", "text/html")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != status {
		t.Fatalf("%s %s as %s: %d, want %d: %s", method, path, role, w.Code, status, w.Body)
	}
	return w
}

func read[T any](t *testing.T, w *httptest.ResponseRecorder) (v T) {
	t.Helper()
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return v
}

func TestREST(t *testing.T) {
	t.Parallel()
	s := serve(t, 10)
	const at = "/api/v1/licence"
	put := func(status int, file []byte, role odcm.Role) *httptest.ResponseRecorder {
		t.Helper()
		body, err := json.Marshal(api.EntitlementFile{File: string(file)})
		if err != nil {
			t.Fatal(err)
		}
		return s.want(t, status, "PUT", at+"/entitlement", body, role, "Content-Type", "application/json")
	}
	o := read[api.LicenceOverview](t, s.want(t, 200, "GET", at, nil, odcm.Auditor))
	if o.Spaces != 10 || o.Servers != 10 || o.States["expired"] != 2 || o.States["exceeded"] != 3 || o.States["unknown"] != 2 || o.Totals[0].Name != "Targets" || o.Entitlement != nil {
		t.Errorf("%+v", o)
	}
	first := read[api.Page[api.LicenceServer]](t, s.want(t, 200, "GET", at+"/servers?limit=6", nil, odcm.Auditor))
	second := read[api.Page[api.LicenceServer]](t, s.want(t, 200, "GET", at+"/servers?limit=6&cursor="+first.Next, nil, odcm.Auditor))
	if len(first.Items) != 6 || len(second.Items) != 4 || second.Next != "" || first.Items[0].State != "exceeded" || first.Items[0].Licence.Limits[0].Used != 60 || first.Items[0].Spaces[0].Slug != "team-0" {
		t.Errorf("%+v %+v", first, second)
	}
	if got := read[api.Page[api.LicenceServer]](t, s.want(t, 200, "GET", at+"/servers?state=unknown&q=team%203", nil, odcm.Auditor)); len(got.Items) != 1 || got.Items[0].Licence != nil {
		t.Errorf("%+v", got)
	}
	s.want(t, 422, "GET", at+"/servers?state=bad", nil, odcm.Auditor)
	s.want(t, 422, "GET", at+"/servers?cursor=bad", nil, odcm.Auditor)
	for _, role := range []odcm.Role{odcm.Member, odcm.SpaceAdministrator} {
		s.want(t, 403, "GET", at, nil, role)
		s.want(t, 403, "GET", at+"/servers", nil, role)
		put(403, s.file(t, 10), role)
	}
	put(403, s.file(t, 10), odcm.Auditor)
	s.want(t, 403, "DELETE", at+"/entitlement", nil, odcm.Auditor)
	s.want(t, 404, "DELETE", at+"/entitlement", nil, odcm.Administrator)
	if p := read[api.Problem](t, put(422, []byte(`{"payload":"e30="}`), odcm.Administrator)); p.Code != "licence.file-other" {
		t.Errorf("%+v", p)
	}
	if p := read[api.Problem](t, put(422, bytes.Repeat([]byte("x"), licence.MaxFile+1), odcm.Administrator)); p.Code != "licence.file-large" {
		t.Errorf("%+v", p)
	}
	put(413, bytes.Repeat([]byte("x"), 2<<20), odcm.Administrator)
	if e := read[api.Entitlement](t, put(200, s.file(t, 10), odcm.Administrator)); e.Holder != "Example <Ltd>" || e.Standing != "valid" || *e.DaysLeft != 9 || e.By != "Barry" || len(e.Extras) != 1 {
		t.Errorf("%+v", e)
	}
	if o := read[api.LicenceOverview](t, s.want(t, 200, "GET", at, nil, odcm.Auditor)); o.Entitlement == nil || o.Entitlement.ID != "E-7" {
		t.Errorf("%+v", o)
	}
	s.want(t, 204, "DELETE", at+"/entitlement", nil, odcm.Administrator)
}

// upload is a form with a file.
func upload(t *testing.T, file []byte) (body []byte, contentType string) {
	t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	part, err := form.CreateFormFile("file", "entitlement.json")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write(file)
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), form.FormDataContentType()
}

func says(t *testing.T, w *httptest.ResponseRecorder, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if unwanted, not := strings.CutPrefix(part, "!"); strings.Contains(w.Body.String(), unwanted) == not {
			t.Errorf("%q (with ! it must not be there): %s", part, w.Body)
		}
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	s := serve(t, 120)
	says(t, s.want(t, 200, "GET", "/licence", nil, odcm.Auditor), "Free for any number of Spaces: 120 Spaces on 120 servers", "60 of 50", "Beyond its licence", "Team 0 &lt;b&gt;",
		"No entitlement is installed", `href="/spaces/team-0"`, "beyond licence", "Next", "!Install", "counted by both", "without a limit on 30 servers")
	says(t, s.want(t, 200, "GET", "/licence?state=expired", nil, odcm.Auditor), "3 days ago", "!Beyond its licence</span>")
	says(t, s.want(t, 200, "GET", "/licence?q=nothing+like+it", nil, odcm.Auditor), "No server is like that")
	s.want(t, 403, "GET", "/licence", nil, odcm.Member)
	s.want(t, 422, "GET", "/licence?state=bad", nil, odcm.Auditor)

	send := func(status int, file []byte, role odcm.Role) *httptest.ResponseRecorder {
		t.Helper()
		body, contentType := upload(t, file)
		return s.want(t, status, "POST", "/licence/entitlement", body, role, "Content-Type", contentType)
	}
	send(403, s.file(t, 100), odcm.Auditor)
	says(t, send(422, []byte("nonsense"), odcm.Administrator), "The file is no entitlement", "aria-invalid")
	says(t, send(422, s.file(t, -1), odcm.Administrator), "expired on")
	says(t, s.want(t, 422, "POST", "/licence/entitlement", nil, odcm.Administrator, "Content-Type", "application/x-www-form-urlencoded"), "The file is empty")
	s.want(t, 400, "POST", "/licence/entitlement", []byte("--x"), odcm.Administrator, "Content-Type", "multipart/form-data; boundary=x")
	send(303, s.file(t, 100), odcm.Administrator)
	says(t, s.want(t, 200, "GET", "/licence", nil, odcm.Administrator), "Example &lt;Ltd&gt;", "Around the clock", "Remove the entitlement?", "!The entitlement expires")
	send(303, s.file(t, 10), odcm.Administrator)
	says(t, s.want(t, 200, "GET", "/licence", nil, odcm.Auditor), "The entitlement expires in 9 days", "!Remove the entitlement?")
	s.want(t, 403, "POST", "/licence/entitlement/remove", nil, odcm.Auditor)
	s.want(t, 303, "POST", "/licence/entitlement/remove", nil, odcm.Administrator)
	says(t, s.want(t, 200, "GET", "/licence", nil, odcm.Auditor), "No entitlement is installed")
}

func TestEmptyPage(t *testing.T) {
	t.Parallel()
	says(t, serve(t, 0).want(t, 200, "GET", "/licence", nil, odcm.Administrator), "No server has told of its licence yet", "0 Spaces on 0 servers", "Install")
}
