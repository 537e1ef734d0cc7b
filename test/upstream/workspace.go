package upstream

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Workspace stands in for the Directory API of Google Workspace, and for where service accounts get their tokens.
type Workspace struct {
	URL            string
	ServiceAccount string // the key's JSON file
	Admin          string // as whom it must act

	key    *rsa.PrivateKey
	mu     sync.Mutex
	people []WorkspaceUser
	groups map[string][]WorkspaceGroup // by the identifier of a person or of a group
	fails  int
}

// WorkspaceUser is an account.
type WorkspaceUser struct {
	ID        string            `json:"id"`
	Email     string            `json:"primaryEmail"`
	Name      map[string]string `json:"name"`
	Suspended bool              `json:"suspended"`
}

// WorkspaceGroup is a group.
type WorkspaceGroup struct {
	ID    string `json:"id"`
	Email string `json:"email"`
	Name  string `json:"name"`
}

// NewWorkspace starts one, until the test ends.
func NewWorkspace(t testing.TB, people ...WorkspaceUser) *Workspace {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	d := &Workspace{Admin: "admin@acme.example", key: key, people: people, groups: map[string][]WorkspaceGroup{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", d.token)
	mux.HandleFunc("GET /admin/directory/v1/groups", d.listGroups)
	mux.HandleFunc("GET /admin/directory/v1/users", d.listUsers)
	mux.HandleFunc("GET /admin/directory/v1/users/{id}", d.oneUser)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		fails := d.fails
		d.mu.Unlock()
		if fails != 0 && r.URL.Path != "/token" {
			refuse(w, fails, "forbidden")
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	d.URL = server.URL
	file, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "odcm@project.example", "private_key_id": "one",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": server.URL + "/token",
	})
	if err != nil {
		t.Fatal(err)
	}
	d.ServiceAccount = string(file)
	return d
}

// Put sets which groups a person or a group is in itself.
func (d *Workspace) Put(member string, groups ...WorkspaceGroup) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.groups[member] = groups
}

// Suspend suspends an account.
func (d *Workspace) Suspend(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.people {
		if d.people[i].ID == id {
			d.people[i].Suspended = true
		}
	}
}

// Fail makes every answer about the directory one of that status; 0 ends it.
func (d *Workspace) Fail(status int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fails = status
}

// token checks the assertion as Google does (RFC 7523): whose key, for whom, as whom, for what.
func (d *Workspace) token(w http.ResponseWriter, r *http.Request) {
	no := func() { answer(w, http.StatusUnauthorized, map[string]string{"error": "unauthorized_client"}) }
	assertion, err := jwt.ParseSigned(r.PostFormValue("assertion"), []jose.SignatureAlgorithm{jose.RS256})
	if err != nil || r.PostFormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		no()
		return
	}
	var claims jwt.Claims
	var more struct {
		Scope string `json:"scope"`
	}
	if assertion.Claims(&d.key.PublicKey, &claims, &more) != nil || claims.Subject != d.Admin || claims.Issuer != "odcm@project.example" ||
		claims.Validate(jwt.Expected{AnyAudience: jwt.Audience{d.URL + "/token"}, Time: time.Now()}) != nil ||
		!strings.Contains(more.Scope, "admin.directory.group.readonly") {
		no()
		return
	}
	answer(w, http.StatusOK, map[string]any{"access_token": "directory-token", "token_type": "Bearer", "expires_in": 3600})
}

func (d *Workspace) may(w http.ResponseWriter, r *http.Request) bool {
	if r.Header.Get("Authorization") != "Bearer directory-token" {
		refuse(w, http.StatusUnauthorized, "unauthorized")
		return false
	}
	return true
}

// listGroups gives one group a page, so that whoever reads one page only is found out.
func (d *Workspace) listGroups(w http.ResponseWriter, r *http.Request) {
	if !d.may(w, r) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	q := r.URL.Query()
	found := d.groups[q.Get("userKey")]
	if q.Get("userKey") == "" {
		seen := map[string]bool{}
		prefix := strings.ToLower(strings.Trim(strings.TrimSuffix(strings.TrimPrefix(q.Get("query"), "name:"), "*"), "'"))
		for _, groups := range d.groups {
			for _, g := range groups {
				if !seen[g.ID] && strings.HasPrefix(strings.ToLower(g.Name), prefix) {
					seen[g.ID], found = true, append(found, g)
				}
			}
		}
		answer(w, http.StatusOK, map[string]any{"groups": found})
		return
	}
	for i, g := range found {
		if q.Get("pageToken") == "" || q.Get("pageToken") == g.ID {
			page := map[string]any{"groups": []WorkspaceGroup{g}}
			if i+1 < len(found) {
				page["nextPageToken"] = found[i+1].ID
			}
			answer(w, http.StatusOK, page)
			return
		}
	}
	answer(w, http.StatusOK, map[string]any{}) // the real one leaves an empty list out, too
}

func (d *Workspace) listUsers(w http.ResponseWriter, r *http.Request) {
	if !d.may(w, r) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	text := strings.ToLower(strings.Trim(r.URL.Query().Get("query"), "'"))
	found := []WorkspaceUser{}
	for _, p := range d.people {
		if strings.Contains(strings.ToLower(p.Email+" "+p.Name["fullName"]), text) {
			found = append(found, p)
		}
	}
	answer(w, http.StatusOK, map[string]any{"users": found})
}

func (d *Workspace) oneUser(w http.ResponseWriter, r *http.Request) {
	if !d.may(w, r) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.people {
		if p.ID == r.PathValue("id") {
			answer(w, http.StatusOK, p)
			return
		}
	}
	refuse(w, http.StatusNotFound, "notFound")
}
