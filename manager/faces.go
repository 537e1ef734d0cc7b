package manager

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"odcm"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/access/accesshttp"
	"odcm/manager/alert/alerthttp"
	"odcm/manager/audit/audithttp"
	"odcm/manager/fleet/fleethttp"
	"odcm/manager/identity/group/grouphttp"
	"odcm/manager/identity/identityhttp"
	"odcm/manager/identity/provider/providerhttp"
	"odcm/manager/identity/scim/scimhttp"
	"odcm/manager/identity/userhttp"
	"odcm/manager/licence/licencehttp"
	"odcm/manager/monitor/monitorhttp"
	"odcm/manager/space"
	"odcm/manager/space/spacehttp"
	"odcm/manager/sso"
	"odcm/manager/sso/partyhttp"
	"odcm/manager/sso/ssohttp"
	"odcm/manager/task"
	"odcm/manager/task/taskhttp"
)

// openFaces puts every room's pages and operations on one site.
func (m *Manager) openFaces(context.Context) error {
	m.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	authenticator := &identityhttp.Authenticator{Service: m.identity, Secure: m.secure(), Proxies: m.o.TrustedProxies}
	m.site = web.New(web.Options{
		Version: m.o.Version, Authenticator: authenticator, Logger: m.log, DB: m.db, Bus: m.bus, Secure: m.secure(), Metrics: m.metrics,
	})
	m.board = &spacehttp.Handler{Spaces: m.space, Tasks: m.tasks, Site: m.site, History: monitorhttp.HistoryOf(m.monitor), Tabs: m.tabs, Vitals: health{m}.Vitals}
	m.board.Mount()
	m.openEntrance(authenticator)
	monitorhttp.Register(m.site, m.monitor)
	taskhttp.Register(m.site, task.New(m.tasks, m.authorizer), m.tasks)
	fleethttp.Register(fleethttp.Options{Site: m.site, Fleet: m.fleet, Manager: m.AgentAddress()})
	audithttp.Register(m.site, m.audit, nil)
	licencehttp.Register(licencehttp.Options{Site: m.site, Licence: m.licence, Authorizer: m.authorizer})
	m.showReports(m.reporting)
	alerthttp.Register(alerthttp.Options{Site: m.site, Desk: m.alerting.desk})
	m.site.Mount("GET /healthz", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok\n") }))
	m.site.Mount("GET /readyz", http.HandlerFunc(m.ready))
	m.site.Mount("GET /metrics", promhttp.HandlerFor(m.metrics, promhttp.HandlerOpts{}))
	return nil
}

// Patterns lists what the site handles, beside the operations of its API.
func (m *Manager) Patterns() []string { return m.site.Patterns() }

// openEntrance puts on the site how people come in, and what lets them.
func (m *Manager) openEntrance(authenticator *identityhttp.Authenticator) {
	identityhttp.Register(identityhttp.Options{Site: m.site, Authenticator: authenticator, Letters: m.letters,
		SignIn: identityhttp.SignIn{Providers: m.providers, Sealer: m.sealer, Onward: m.onward, Logger: m.log}})
	userhttp.Register(userhttp.Options{Site: m.site, People: m.identity, Letters: m.letters, Merges: m.merges, Groups: m.groups, Authorizer: m.authorizer,
		Providers: m.providers, Outbox: m.outbox})
	grouphttp.Register(grouphttp.Options{Site: m.site, Groups: m.groups})
	providerhttp.Register(providerhttp.Options{Site: m.site, Providers: m.providers})
	scimhttp.Register(scimhttp.Options{Site: m.site, SCIM: m.scim})
	accesshttp.Register(accesshttp.Options{Site: m.site, Access: m.access, Grants: m.grants, Explain: m.explain, Pushed: accesshttp.Pushed(m.roster, m.access)})
	accesshttp.RegisterAccounts(m.site, m.roster, m.push)
	partyhttp.Register(partyhttp.Options{Service: m.sso, Site: m.site, Settings: identityhttp.Settings})
	m.door = ssohttp.Register(ssohttp.Options{Service: m.sso, Devices: m.devices, Logout: m.logout, Keys: m.keys, Site: m.site, SignIn: identityhttp.SignInURL, Logger: m.log,
		Session: func(r *http.Request) (string, odcm.UserID, bool) {
			a, err := authenticator.BySession(r)
			return string(a.Session), a.Principal.User, err == nil
		},
		SignOut: func(w http.ResponseWriter, r *http.Request) error { return authenticator.SignOut(w, r, m.site) },
	})
}

// onward names the Space, and the origin, that a sign-in leads to by way of the OpenID Provider: the page says so, and lets the
// browser go there.
func (m *Manager) onward(ctx context.Context, path string) (identityhttp.Destination, bool) {
	u, err := url.Parse(path)
	if err != nil || u.Path != ssohttp.AuthorizePath {
		return identityhttp.Destination{}, false
	}
	party, err := m.sso.Get(ctx, odcm.System, sso.PartyID(u.Query().Get("client_id")))
	to, bad := url.Parse(u.Query().Get("redirect_uri"))
	if err != nil || bad != nil || !slices.Contains(party.RedirectURIs, to.String()) {
		return identityhttp.Destination{}, false
	}
	return identityhttp.Destination{Name: m.called(ctx, party), Origin: to.Scheme + "://" + to.Host}, true
}

// called is what people call a relying party: a server is its Space to them, where it has one.
func (m *Manager) called(ctx context.Context, party sso.Party) string {
	if party.Kind == sso.KindSpace {
		if on, err := (places{m}).On(ctx, party.Instance); err == nil && len(on) == 1 {
			return on[0].Name
		}
	}
	return party.Name
}

// tabs are what other rooms have about a Space, for who may read it.
func (m *Manager) tabs(ctx context.Context, p odcm.Principal, s space.Space) []design.Tab {
	if s.State != space.StateActive || !m.access.Allowed(ctx, p, "access.read", s.ID) {
		return nil
	}
	return []design.Tab{accesshttp.Tab(s.Slug)}
}

// secure tells whether people come over TLS, here or at a proxy before it.
func (m *Manager) secure() bool { return strings.HasPrefix(m.o.PublicURL, "https://") }

// ready tells a load balancer whether this replica can answer: whether its database does.
func (m *Manager) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	var one int
	if err := m.db.Read().QueryRowContext(ctx, "SELECT 1").Scan(&one); err != nil {
		m.log.Error("not ready", "error", err)
		answer(w, http.StatusServiceUnavailable, "the database does not answer\n")
		return
	}
	answer(w, http.StatusOK, "ready\n")
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}
