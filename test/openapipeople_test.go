package test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// asker asks for what has to do with people, and compares each answer with the document.
type asker struct {
	t   testing.TB
	url string
	d   *document
}

// ask sends a request as the administrator, insists on the status and gives what the answer says.
func (w asker) ask(want int, method, path string, body any) (said struct {
	ID, Provider, Secret, Token string
	Items, Identities           []struct{ ID string }
}) {
	w.t.Helper()
	text := ""
	if body != nil {
		text = asJSON(body)
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+"/api/v1"+path, strings.NewReader(text))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+adminKey)
	if text != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := w.d.RoundTrip(r)
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != want {
		w.t.Fatalf("%s %s: %s %s %v, want %d", method, path, res.Status, b, err, want)
	}
	_ = json.Unmarshal(b, &said) // an answer may be empty, or no object
	return said
}

type m = map[string]any

// people walks through everything about people, how they come in and what they may enter. Space is one whose server answers.
func (w asker) people(space string) {
	w.t.Helper()
	user := func(name string) string { return w.ask(201, "POST", "/users", m{"username": name}).ID }
	ada, twin, other := user("ada"), user("ada-too"), user("another")
	w.ask(200, "GET", "/users?q=ada&state=active", nil)
	w.ask(200, "GET", "/users/ada", nil)
	w.ask(200, "PATCH", "/users/"+ada, m{"displayName": "Ada"})
	w.ask(201, "POST", "/users/"+ada+"/emails", m{"address": "ada@example.com"})
	w.ask(201, "POST", "/users/"+ada+"/emails", m{"address": "countess@example.com"})
	w.ask(200, "PATCH", "/users/"+ada+"/emails/ada@example.com", m{"verified": true})
	w.ask(204, "DELETE", "/users/"+ada+"/emails/countess@example.com", nil)
	w.ask(200, "POST", "/users/"+ada+"/password-link", nil)
	w.ask(200, "GET", "/users/"+ada+"/sessions", nil)
	w.ask(204, "DELETE", "/users/"+ada+"/sessions", nil)
	w.ask(201, "POST", "/invitations", m{"email": "guest@example.com"})
	w.ask(200, "POST", "/users/guest@example.com/invitation", nil)
	w.ask(200, "GET", "/guest", nil)
	w.ask(200, "PUT", "/guest", m{"on": false})

	w.ask(200, "GET", "/merge-proposals", nil)
	w.ask(204, "POST", "/distinctions", m{"one": ada, "other": other})
	w.ask(204, "POST", "/merges", m{"keep": ada, "gone": twin})

	developers, testers := w.ask(201, "POST", "/groups", m{"name": "Developers"}).ID, w.ask(201, "POST", "/groups", m{"name": "Testers"}).ID
	w.ask(200, "PATCH", "/groups/"+developers, m{"description": "Who develop"})
	w.ask(200, "PATCH", "/groups/"+developers+"/members", m{"add": []string{ada, testers}})
	w.ask(200, "PATCH", "/groups/"+testers+"/members", m{"add": []string{other}})
	for _, path := range []string{"/groups", "/groups/Developers", "/groups/" + developers + "/members", "/groups/" + developers + "/users", "/users/" + other + "/groups"} {
		w.ask(200, "GET", path, nil)
	}
	w.access(space, developers)
	w.ask(204, "DELETE", "/groups/"+testers+"?force=true", nil)
	w.providers()
	w.parties()
	w.ask(200, "PATCH", "/users/"+other, m{"disabled": true})
	w.ask(204, "DELETE", "/users/"+other, nil)
}

func (w asker) access(space, group string) {
	w.t.Helper()
	team := w.ask(200, "GET", "/spaces/"+space+"/teams", nil).Items[0].ID
	mapping := "/access/mappings?" + url.Values{"space": {space}, "team": {team}, "group": {group}}.Encode()
	w.ask(200, "POST", "/access/what-if", m{"changes": []m{{"kind": "grant", "space": space, "group": group}}})
	grant := w.ask(201, "POST", "/access/grants", m{"space": space, "group": group, "note": "To work"}).ID
	w.ask(204, "POST", "/access/mappings", m{"space": space, "team": team, "group": group})
	for _, path := range []string{"/access/grants", "/access/explain?user=ada&space=" + space, "/spaces/" + space + "/entrants", "/spaces/" + space + "/mappings",
		"/spaces/" + space + "/accounts", "/spaces/" + space + "/pushed"} {
		w.ask(200, "GET", path, nil)
	}
	w.ask(204, "PUT", "/spaces/"+space+"/pushed", m{"drift": "leave"})
	w.ask(204, "POST", "/spaces/"+space+"/accounts", m{"choices": []m{{"account": "Users-1", "do": "local"}}})
	w.ask(204, "DELETE", mapping, nil)
	w.ask(204, "DELETE", "/access/grants/"+grant, nil)
}

func (w asker) providers() {
	w.t.Helper()
	w.ask(200, "GET", "/provider-kinds", nil)
	id := w.ask(201, "POST", "/providers", m{"kind": "ldap", "name": "Example", "enabled": true, "settings": m{"servers": "127.0.0.1:1", "bindUser": "cn=odcm", "base": "dc=example,dc=com"},
		"secrets": m{"bindPassword": "of the service account"}}).ID
	w.ask(200, "GET", "/providers", nil)
	w.ask(200, "GET", "/providers/"+id, nil)
	w.ask(200, "PATCH", "/providers/"+id, m{"order": 2})
	w.ask(200, "POST", "/providers/"+id+"/test", nil)
	w.ask(202, "POST", "/providers/"+id+"/sync", nil)
	w.ask(204, "DELETE", "/providers/"+id, nil)

	directory := w.ask(201, "POST", "/scim-directories", m{"name": "Pushes"}).Provider
	w.ask(200, "GET", "/scim-directories", nil)
	w.ask(200, "PATCH", "/scim-directories/"+directory, m{"trustEmail": true})
	token := w.ask(201, "POST", "/scim-directories/"+directory+"/tokens", m{"purpose": "a walk"})
	r, err := http.NewRequestWithContext(w.t.Context(), "POST", w.url+"/scim/v2/Users",
		strings.NewReader(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"pushed","externalId":"17","active":true}`))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token.Token)
	r.Header.Set("Content-Type", "application/scim+json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 201 {
		w.t.Fatalf("push somebody: %s", res.Status)
	}
	w.ask(200, "GET", "/scim-directories/"+directory, nil)
	linked := w.ask(200, "GET", "/users/pushed", nil).Identities
	if len(linked) != 1 {
		w.t.Fatalf("who was pushed has the identities %v", linked)
	}
	w.ask(204, "DELETE", "/users/pushed/identities/"+linked[0].ID, nil)
	w.ask(204, "DELETE", "/scim-directories/"+directory+"/tokens/"+token.ID, nil)
	w.ask(204, "DELETE", "/scim-directories/"+directory, nil)
}

// parties walks through what is signed in to, for which somebody signs in.
func (w asker) parties() {
	w.t.Helper()
	const back = "http://wiki.example.com/callback"
	settings := m{"name": "Wiki", "redirectUris": []string{back}, "plainHttp": true}
	party := w.ask(201, "POST", "/relying-parties", settings)
	w.ask(200, "GET", "/relying-parties", nil)
	w.ask(200, "GET", "/relying-parties/"+party.ID, nil)
	secret := w.ask(200, "POST", "/relying-parties/"+party.ID+"/secret", nil).Secret
	w.ask(200, "PUT", "/relying-parties/"+party.ID, settings)
	w.signIn(party.ID, secret, back)
	w.ask(204, "DELETE", "/relying-parties/"+party.ID, nil)
	w.ask(200, "GET", "/signing-keys", nil)
	w.ask(204, "POST", "/signing-keys/ES256/rotate", nil)
}

// signIn signs the administrator in to a relying party, by a browser, and takes that back.
func (w asker) signIn(party, secret, back string) {
	w.t.Helper()
	browser := signedIn(w.t, w.url)
	arrived := errors.New("arrived")
	browser.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), back) {
			return arrived
		}
		return nil
	}
	const verifier = "a-verifier-that-is-long-enough-to-be-one-43-and-more"
	sum := sha256.Sum256([]byte(verifier))
	res, err := browser.Get(w.url + "/oauth2/authorize?" + url.Values{"client_id": {party}, "redirect_uri": {back}, "response_type": {"code"}, "scope": {"openid offline_access"},
		"state": {"s"}, "nonce": {"n"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}}.Encode())
	var to *url.Error
	if !errors.As(err, &to) || !errors.Is(err, arrived) {
		b := new(bytes.Buffer)
		if res != nil {
			_, _ = b.ReadFrom(res.Body)
		}
		w.t.Fatalf("authorize: %v %.600s", err, b)
	}
	landed, err := url.Parse(to.URL)
	if err != nil {
		w.t.Fatal(err)
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {landed.Query().Get("code")}, "redirect_uri": {back}, "client_id": {party}, "client_secret": {secret},
		"code_verifier": {verifier}}
	answered, err := http.PostForm(w.url+"/oauth2/token", form)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answered.Body.Close()
	if b, _ := io.ReadAll(answered.Body); answered.StatusCode != 200 {
		w.t.Fatalf("token: %s %s", answered.Status, b)
	}
	all := w.ask(200, "GET", "/applications", nil).Items
	if len(all) != 1 {
		w.t.Fatalf("applications: %+v", all)
	}
	w.ask(204, "DELETE", "/applications/"+party, nil)
}
