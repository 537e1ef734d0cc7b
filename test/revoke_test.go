package test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"odcm/api"
	"odcm/apiclient"
	"odcm/manager"
	"odcm/test/directory"
)

// revokedIn is how many Spaces somebody loses when an account of the domain is disabled.
const revokedIn = 200

// TestDisabledInTheDomain lets somebody in by a Windows ticket of a real Active Directory domain and by groups three deep,
// into very many Spaces, each on a server of its own, and measures how long it takes until all are lost when the account is
// disabled in the domain.
func TestDisabledInTheDomain(t *testing.T) {
	d := directory.Start(t)
	// What two hundred servers keep is not to be marked over and over by one process: in earnest each has its own.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	o := open(t, func(m *manager.Options) { m.ProveWithin = patience }) // the machine is busy with the servers
	c, err := apiclient.New(apiclient.Options{URL: o.m.URL(), APIKey: adminKey})
	if err != nil {
		t.Fatal(err)
	}
	domain := o.trust(c, d)

	// The ticket signs her in, and groups arrive that nobody made.
	ticket, err := d.Ticket(t.Context(), "alice", directory.Password)
	if err != nil {
		t.Fatal(err)
	}
	alice := o.byTicket(ticket, domain)
	me := o.who(alice, o.m.URL()+"/api/v1/me")
	if me["username"] != "alice" || me["displayName"] != "Alice Test" {
		t.Fatalf("the ticket signs %v in", me)
	}
	groups := o.groupsOf(c, domain, "alice")
	for _, name := range []string{directory.OnCall, directory.Team, directory.Admins} {
		if groups[name] == "" {
			t.Errorf("alice is not in the group %s, but in %v", name, groups)
		}
	}

	// The outermost group may enter every Space: she is brought to each, and signs in to one.
	began := time.Now()
	servers := o.enlistMany(c, revokedIn)
	t.Logf("%d Spaces were enlisted after %s", revokedIn, time.Since(began).Round(time.Millisecond))
	began = time.Now()
	for space := range servers {
		if _, err := c.Grant(t.Context(), api.NewAccessGrant{Space: space, Group: groups[directory.Admins]}, ""); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "she has arrived in every Space", func() bool { return len(o.acknowledged("alice", true)) == revokedIn })
	t.Logf("she had arrived in all of them %s later", time.Since(began).Round(time.Millisecond))
	there := map[string]*http.Client{}
	for space, s := range servers {
		browser, name := o.enters(alice, s)
		if name != "alice" {
			t.Fatalf("in a Space she is %q", name)
		}
		there[space] = browser
	}

	// Disabled in the domain, and nowhere else.
	disabled := time.Now()
	if err := d.Disable("alice", true); err != nil {
		t.Fatal(err)
	}
	var known time.Duration
	var lags []time.Duration
	lost := map[string]bool{}
	until(t, "she has lost every Space", func() bool {
		if known == 0 && o.status(alice, o.m.URL()+"/api/v1/me") == http.StatusUnauthorized {
			known = time.Since(disabled)
		}
		for space, at := range o.acknowledged("alice", false) {
			if lost[space] {
				continue
			}
			lost[space] = true
			lags = append(lags, at.Sub(disabled))
			if status := o.status(there[space], servers[space].url+"/api/users/me"); status != http.StatusUnauthorized {
				t.Errorf("%s was acknowledged, and answers her session with %d", space, status)
			}
		}
		return len(lost) == revokedIn
	})
	slices.Sort(lags)
	t.Logf("from the account's being disabled in the domain: ODCM ended the session after %s; shut on the server, over %d Spaces: median %s, worst %s",
		known.Round(time.Millisecond), len(lags), lags[len(lags)/2].Round(time.Millisecond), lags[len(lags)-1].Round(time.Millisecond))
	if worst := lags[len(lags)-1]; worst > 30*time.Second {
		t.Errorf("the last Space was lost after %s", worst)
	}
	for space, s := range servers {
		if s.active(t, "alice") {
			t.Errorf("the account in %s is active", space)
		}
	}
	if known == 0 {
		t.Error("her session at ODCM lasts")
	}
	// She still has a ticket that is valid for hours.
	answer, err := directory.Negotiate(t.Context(), ticket, strings.TrimPrefix(o.m.URL(), "http://"), "/sign-in/windows/"+domain)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(answer, "\r\nLocation:") || !strings.Contains(answer, "disabled") {
		t.Errorf("the ticket that she has yet is answered\n%s", answer)
	}
}

// trust makes the domain a provider, with its keytab, and has it tested.
func (o *office) trust(c *apiclient.Client, d *directory.Domain) (id string) {
	o.t.Helper()
	p, err := c.CreateProvider(o.t.Context(), api.NewProvider{Kind: "active-directory", Name: "Test domain", Enabled: true,
		Settings: map[string]string{"domain": directory.DNSName, "netbios": directory.NetBIOS, "servers": d.Address, "serverName": directory.Host, "ca": d.CA,
			"bindUser": directory.Service, "kerberos": "true", "servicePrincipal": directory.ServicePrincipal},
		Secrets: map[string]string{"bindPassword": directory.Password, "keytab": base64.StdEncoding.EncodeToString(d.Keytab)}})
	if err != nil {
		o.t.Fatal(err)
	}
	test, err := c.TestProvider(o.t.Context(), p.ID)
	for err == nil && test.Ended == nil {
		time.Sleep(50 * time.Millisecond)
		p, err = c.Provider(o.t.Context(), p.ID)
		test = *p.Test
	}
	if err != nil || !test.OK {
		o.t.Fatalf("the test of the domain: %+v, %v", test, err)
	}
	return p.ID
}

// byTicket signs in as curl --negotiate does and returns a browser with what it was given.
func (o *office) byTicket(ticket []string, domain string) *http.Client {
	o.t.Helper()
	at, err := url.Parse(o.m.URL())
	if err != nil {
		o.t.Fatal(err)
	}
	answer, err := directory.Negotiate(o.t.Context(), ticket, at.Host, "/sign-in/windows/"+domain)
	if err != nil {
		o.t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		o.t.Fatal(err)
	}
	for line := range strings.Lines(answer) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if !strings.EqualFold(name, "Set-Cookie") {
			continue
		}
		cookie, err := http.ParseSetCookie(value)
		if err != nil {
			o.t.Fatal(err)
		}
		jar.SetCookies(at, []*http.Cookie{cookie})
	}
	if !strings.Contains(answer, " 303 ") || len(jar.Cookies(at)) == 0 {
		o.t.Fatalf("the ticket is answered\n%s", answer)
	}
	return &http.Client{Jar: jar, Timeout: patience}
}

// groupsOf are the groups of the provider that the person is in, by name.
func (o *office) groupsOf(c *apiclient.Client, provider, username string) map[string]string {
	o.t.Helper()
	all, err := apiclient.Collect(c.Groups(o.t.Context(), apiclient.GroupFilter{Kind: "external", Provider: provider}), 0)
	if err != nil {
		o.t.Fatal(err)
	}
	ids := map[string]string{}
	for _, g := range all {
		users, err := apiclient.Collect(c.GroupUsers(o.t.Context(), g.ID), 0)
		if err != nil {
			o.t.Fatal(err)
		}
		if slices.ContainsFunc(users, func(u api.GroupUser) bool { return u.Username == username }) {
			ids[g.Name] = g.ID
		}
	}
	return ids
}

// enlistMany enlists so many servers, each with one Space, and returns them by the Spaces' identifiers.
func (o *office) enlistMany(c *apiclient.Client, n int) map[string]*theirServer {
	o.t.Helper()
	servers := make(map[string]*theirServer, n)
	var mu sync.Mutex
	var enlisting errgroup.Group
	enlisting.SetLimit(4)
	for i := range n {
		s := newTheirServer(o.t)
		enlisting.Go(func() error {
			e, err := c.Enlist(o.t.Context(), api.Enlistment{Connection: api.Connection{URL: s.url, APIKey: theirKey}, SignIn: "on",
				Spaces: []api.EnlistedSpace{{OctopusSpace: "Spaces-1", Name: fmt.Sprintf("Space %d", i+1)}}}, "")
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				servers[e.Spaces[0].ID] = s
			}
			return err
		})
	}
	if err := enlisting.Wait(); err != nil {
		o.t.Fatal(err)
	}
	until(o.t, "every Space is enlisted", func() bool {
		var active int
		if err := o.d.Read().QueryRowContext(o.t.Context(), "SELECT COUNT(*) FROM space WHERE state = 'active'").Scan(&active); err != nil {
			o.t.Fatal(err)
		}
		return active == n
	})
	return servers
}

// acknowledged are the Spaces that have the person in, or out, and since when.
func (o *office) acknowledged(username string, in bool) map[string]time.Time {
	o.t.Helper()
	rows, err := o.d.Read().QueryContext(o.t.Context(), `SELECT space_id, applied FROM access_arrival JOIN identity_user ON identity_user.id = person_id
		WHERE username = $1 AND enter = $2 AND state = 'applied'`, username, in)
	if err != nil {
		o.t.Fatal(err)
	}
	defer rows.Close()
	found := map[string]time.Time{}
	for rows.Next() {
		var space string
		var applied int64
		if err := rows.Scan(&space, &applied); err != nil {
			o.t.Fatal(err)
		}
		found[space] = time.UnixMilli(applied)
	}
	if err := rows.Err(); err != nil {
		o.t.Fatal(err)
	}
	return found
}

// enters signs in to a server by way of ODCM, where the browser is signed in, and returns who it is there. It does so in a
// browser of its own: servers on one address share cookies, and two hundred are no load to measure under.
func (o *office) enters(signedIn *http.Client, s *theirServer) (*http.Client, any) {
	o.t.Helper()
	at, err := url.Parse(o.m.URL())
	if err != nil {
		o.t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		o.t.Fatal(err)
	}
	jar.SetCookies(at, signedIn.Jar.Cookies(at))
	browser := &http.Client{Jar: jar, Timeout: patience}
	o.status(browser, s.url+"/signin/GenericOidc?return=/api/users/me")
	return browser, o.who(browser, s.url+"/api/users/me")["Username"]
}

// who is the JSON that the browser is shown.
func (o *office) who(browser *http.Client, address string) (said map[string]any) {
	o.t.Helper()
	r, err := browser.Get(address)
	if err != nil {
		o.t.Fatal(err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(&said); err != nil || r.StatusCode != http.StatusOK {
		o.t.Fatalf("%s: %s %v, %v", address, r.Status, said, err)
	}
	return said
}

func (o *office) status(browser *http.Client, address string) int {
	o.t.Helper()
	r, err := browser.Get(address)
	if err != nil {
		o.t.Fatal(err)
	}
	_ = r.Body.Close()
	return r.StatusCode
}

// active asks the server itself whether the account may sign in.
func (s *theirServer) active(t testing.TB, username string) bool {
	t.Helper()
	var page struct {
		Items []struct {
			Username string
			IsActive bool
		}
	}
	s.get(t, "/api/users?take=1000", &page)
	for _, u := range page.Items {
		if u.Username == username {
			return u.IsActive
		}
	}
	t.Fatalf("%s has no account %s", s.url, username)
	return false
}
