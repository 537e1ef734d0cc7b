package upstream

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Graph stands in for Microsoft Graph: users, groups, memberships, pages, batches, refusals.
type Graph struct {
	URL   string // "http://127.0.0.1:…/v1.0"
	Token string // what applications must bring; any other token is a person's

	mu     sync.Mutex
	people map[string]GraphUser
	groups []GraphGroup
	in     map[string][]string // groups of a person, nested ones flattened
	fails  int                 // status of every answer, 0 for none
	asked  []string            // paths
	// PageSize is how many groups a page holds; set it before the first request.
	PageSize int
}

// GraphUser is an account.
type GraphUser struct {
	ID      string `json:"id"`
	Name    string `json:"displayName"`
	UPN     string `json:"userPrincipalName"`
	Mail    string `json:"mail,omitempty"`
	Enabled bool   `json:"accountEnabled"`
}

// GraphGroup is a group.
type GraphGroup struct {
	ID   string `json:"id"`
	Name string `json:"displayName"`
}

// NewGraph starts one, until the test ends.
func NewGraph(t testing.TB, groups []GraphGroup, people ...GraphUser) *Graph {
	t.Helper()
	g := &Graph{Token: "application-token", people: map[string]GraphUser{}, groups: groups, in: map[string][]string{}, PageSize: 100}
	for _, p := range people {
		g.people[p.ID] = p
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1.0/users", g.application(g.users))
	mux.HandleFunc("GET /v1.0/groups", g.application(g.listGroups))
	mux.HandleFunc("POST /v1.0/users/{id}/getMemberObjects", g.application(g.memberObjects))
	mux.HandleFunc("POST /v1.0/$batch", g.application(g.batch))
	mux.HandleFunc("GET /v1.0/me/transitiveMemberOf/microsoft.graph.group", g.mine)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		fails := g.fails
		g.asked = append(g.asked, r.Method+" "+r.URL.Path)
		g.mu.Unlock()
		if fails != 0 {
			refuse(w, fails, "generalException")
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	g.URL = server.URL + "/v1.0"
	return g
}

// Put adds a person to groups, or takes them out of those that are not named.
func (g *Graph) Put(person string, groups ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.in[person] = groups
}

// Set replaces an account.
func (g *Graph) Set(u GraphUser) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.people[u.ID] = u
}

// Remove deletes an account.
func (g *Graph) Remove(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.people, id)
}

// Fail makes every answer one of that status; 0 ends it.
func (g *Graph) Fail(status int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fails = status
}

// Asked lists what was asked for, as "GET /v1.0/users".
func (g *Graph) Asked() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.asked...)
}

func (g *Graph) application(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+g.Token {
			refuse(w, http.StatusUnauthorized, "InvalidAuthenticationToken")
			return
		}
		h(w, r)
	}
}

func refuse(w http.ResponseWriter, status int, code string) {
	answer(w, status, map[string]any{"error": map[string]any{"code": code, "message": "refused"}})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

var inFilter = regexp.MustCompile(`^id in \(('[0-9a-f-]{36}',?)+\)$`)

func (g *Graph) users(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	filter, found := r.URL.Query().Get("$filter"), []GraphUser{}
	if filter != "" && (!inFilter.MatchString(filter) || strings.Count(filter, ",") > 14) {
		refuse(w, http.StatusBadRequest, "Request_UnsupportedQuery")
		return
	}
	words, ok := searched(w, r)
	if !ok {
		return
	}
	for _, p := range g.people {
		if filter != "" && !strings.Contains(filter, "'"+p.ID+"'") || !matches(words, p.Name, p.UPN, p.Mail) {
			continue
		}
		found = append(found, p)
	}
	answer(w, http.StatusOK, map[string]any{"value": found})
}

var searchClause = regexp.MustCompile(`"(\w+):((?:[^"\\]|\\.)*)"`)

// searched reads $search, which Graph takes only with a header that says that the answer may be old.
func searched(w http.ResponseWriter, r *http.Request) (words []string, ok bool) {
	search := r.URL.Query().Get("$search")
	if search != "" && r.Header.Get("ConsistencyLevel") != "eventual" {
		refuse(w, http.StatusBadRequest, "Request_UnsupportedQuery")
		return nil, false
	}
	for _, m := range searchClause.FindAllStringSubmatch(search, -1) {
		words = append(words, strings.ToLower(m[2]))
	}
	return words, true
}

func matches(words []string, texts ...string) bool {
	for _, w := range words {
		for _, t := range texts {
			if strings.Contains(strings.ToLower(t), w) {
				return true
			}
		}
	}
	return len(words) == 0
}

func (g *Graph) listGroups(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	words, ok := searched(w, r)
	if !ok {
		return
	}
	found := []GraphGroup{}
	for _, group := range g.groups {
		if matches(words, group.Name) {
			found = append(found, group)
		}
	}
	answer(w, http.StatusOK, map[string]any{"value": found})
}

func (g *Graph) memberObjects(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	status, body := g.memberships(r.PathValue("id"))
	answer(w, status, body)
}

func (g *Graph) memberships(id string) (int, any) {
	if _, ok := g.people[id]; !ok {
		return http.StatusNotFound, map[string]any{"error": map[string]any{"code": "Request_ResourceNotFound"}}
	}
	return http.StatusOK, map[string]any{"value": append([]string{}, g.in[id]...)}
}

func (g *Graph) batch(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Requests []struct{ ID, Method, URL string }
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || len(in.Requests) > 20 {
		refuse(w, http.StatusBadRequest, "BadRequest")
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	responses := []any{}
	for _, one := range in.Requests {
		id := strings.TrimSuffix(strings.TrimPrefix(one.URL, "/users/"), "/getMemberObjects")
		status, body := g.memberships(id)
		responses = append(responses, map[string]any{"id": one.ID, "status": status, "body": body})
	}
	answer(w, http.StatusOK, map[string]any{"responses": responses})
}

// mine pages the groups of the one person of the test.
func (g *Graph) mine(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("ConsistencyLevel") != "eventual" || !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
		refuse(w, http.StatusBadRequest, "Request_UnsupportedQuery")
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	at, _ := strconv.Atoi(r.URL.Query().Get("$skiptoken"))
	end := min(at+g.PageSize, len(g.groups))
	page := map[string]any{"value": g.groups[at:end]}
	if end < len(g.groups) {
		next := url.Values{"$skiptoken": {strconv.Itoa(end)}}
		page["@odata.nextLink"] = g.URL + "/me/transitiveMemberOf/microsoft.graph.group?" + next.Encode()
	}
	answer(w, http.StatusOK, page)
}
