package manager

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"odcm/kit/web"
	"odcm/manager/audit/audithttp"
	"odcm/manager/fleet/fleethttp"
	"odcm/manager/identity"
	"odcm/manager/identity/identityhttp"
	"odcm/manager/monitor/monitorhttp"
	"odcm/manager/space/spacehttp"
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
	(&spacehttp.Handler{Spaces: m.space, Tasks: m.tasks, Site: m.site, History: monitorhttp.HistoryOf(m.monitor), Count: health{m}.Count}).Mount()
	monitorhttp.Register(m.site, m.monitor)
	taskhttp.Register(m.site, task.New(m.tasks, identity.NewAuthorizer()), m.tasks)
	fleethttp.Register(fleethttp.Options{Site: m.site, Fleet: m.fleet, Manager: m.AgentAddress()})
	audithttp.Register(m.site, m.audit, nil)
	identityhttp.Register(m.site, authenticator, nil)
	m.site.Mount("GET /healthz", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok\n") }))
	m.site.Mount("GET /readyz", http.HandlerFunc(m.ready))
	m.site.Mount("GET /metrics", promhttp.HandlerFor(m.metrics, promhttp.HandlerOpts{}))
	return nil
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
