// Package workspace reads Google Workspace through its Directory API.
package workspace

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/jwt"

	"odcm"
	"odcm/manager/identity/oidc/wire"
	"odcm/manager/identity/person"
)

// Workspace is the Directory API of Google Workspace, asked as a service account that acts for an administrator.
type Workspace struct {
	wire    wire.Client
	base    string
	account *jwt.Config
	nested  bool

	mu    sync.Mutex
	token *oauth2.Token
}

// New reads the service account's key: odcm.Invalid on "serviceAccount" or "adminEmail" where one is not right. Base is
// "https://admin.googleapis.com"; nested counts groups that a person's groups are in, each of which costs a request.
func New(client wire.Client, base, key, admin string, nested bool) (*Workspace, error) {
	account, err := readServiceAccount(key, admin)
	if err != nil {
		return nil, err
	}
	return &Workspace{wire: client, base: strings.TrimSuffix(base, "/"), account: account, nested: nested}, nil
}

// readServiceAccount reads a key as Google's console writes it.
func readServiceAccount(text, admin string) (*jwt.Config, error) {
	var key struct {
		Type     string
		Email    string `json:"client_email"`
		Key      string `json:"private_key"`
		KeyID    string `json:"private_key_id"`
		TokenURL string `json:"token_uri"`
	}
	wrong := func(what string) error {
		return odcm.E(odcm.Invalid, "provider.service-account-invalid", "The service account key %s. Give the whole JSON file.", what).OnField("serviceAccount")
	}
	if err := json.Unmarshal([]byte(text), &key); err != nil {
		return nil, wrong("is not JSON") // the cause may show a piece of the key
	}
	at, err := url.Parse(key.TokenURL)
	switch {
	case key.Type != "service_account" || key.Email == "" || key.Key == "":
		return nil, wrong("is not that of a service account")
	case err != nil || !wire.Safe(at):
		return nil, wrong("has no token_uri that begins with https://")
	case !strings.Contains(admin, "@"):
		return nil, odcm.E(odcm.Invalid, "provider.admin-missing", "Give the e-mail address of an administrator: a service account alone may not read the directory.").OnField("adminEmail")
	}
	return &jwt.Config{Email: key.Email, PrivateKey: []byte(key.Key), PrivateKeyID: key.KeyID, Subject: admin, TokenURL: key.TokenURL,
		Scopes: []string{"https://www.googleapis.com/auth/admin.directory.group.readonly", "https://www.googleapis.com/auth/admin.directory.user.readonly"}}, nil
}

func (w *Workspace) get(ctx context.Context, path string, query url.Values, v any) error {
	w.mu.Lock()
	token := w.token
	w.mu.Unlock()
	if !token.Valid() {
		var err error
		if token, err = w.account.TokenSource(w.wire.With(ctx)).Token(); err != nil {
			return wire.NotExchanged(ctx, err)
		}
		w.mu.Lock()
		w.token = token
		w.mu.Unlock()
	}
	return w.wire.Do(ctx, wire.Call{Method: http.MethodGet, URL: w.base + "/admin/directory/v1/" + path + "?" + query.Encode(), Header: wire.Bearer(token)}, v)
}

// member is a user or a group as the Directory API tells of it.
type member struct {
	ID    string `json:"id"`
	Email string `json:"email"`
	Name  string `json:"name"`
}

// memo keeps which groups groups are in, for one reading.
type memo struct {
	mu     sync.Mutex
	groups map[string][]member
}

func (m *memo) get(id string) ([]member, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	groups, ok := m.groups[id]
	return groups, ok
}

func (m *memo) put(id string, groups []member) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.groups[id] = groups
}

// memberOf lists the groups that a user or a group is in itself. Memo spares asking twice in one reading.
func (w *Workspace) memberOf(ctx context.Context, id string, memo *memo) ([]member, error) {
	if groups, ok := memo.get(id); ok {
		return groups, nil
	}
	var groups []member
	query := url.Values{"userKey": {id}, "maxResults": {"200"}}
	for {
		var p struct {
			Groups []member
			Next   string `json:"nextPageToken"`
		}
		if err := w.get(ctx, "groups", query, &p); err != nil {
			return nil, err
		}
		if groups = append(groups, p.Groups...); len(groups) > wire.MaxGroups {
			return nil, wire.TooManyGroups()
		}
		if p.Next == "" {
			memo.put(id, groups)
			return groups, nil
		}
		if p.Next == query.Get("pageToken") {
			return nil, errors.New("a list without end")
		}
		query.Set("pageToken", p.Next)
	}
}

// GroupsOf lists the person's groups, nested ones too where they count.
func (w *Workspace) GroupsOf(ctx context.Context, id string) ([]person.ExternalGroup, error) {
	return w.groupsOf(ctx, id, &memo{groups: map[string][]member{}})
}

// groupsOf lists the person's groups and, where nested ones count, those that they are in, however they turn in circles.
func (w *Workspace) groupsOf(ctx context.Context, id string, memo *memo) ([]person.ExternalGroup, error) {
	var groups []person.ExternalGroup
	seen := map[string]bool{id: true}
	for ask := []string{id}; len(ask) > 0; {
		var next []string
		for _, one := range ask {
			in, err := w.memberOf(ctx, one, memo)
			if err != nil {
				return nil, err
			}
			for _, g := range in {
				if !wire.Fits(g.ID) || seen[g.ID] {
					continue
				}
				if len(groups) == wire.MaxGroups {
					return nil, wire.TooManyGroups()
				}
				seen[g.ID] = true
				groups, next = append(groups, g.group()), append(next, g.ID)
			}
		}
		if ask = next; !w.nested {
			break
		}
	}
	return groups, nil
}

func (m member) group() person.ExternalGroup {
	g := person.ExternalGroup{ID: m.ID, Name: wire.Clean(m.Name, 200)}
	if g.Name == "" {
		g.Name = wire.Clean(m.Email, 200)
	}
	return g
}
