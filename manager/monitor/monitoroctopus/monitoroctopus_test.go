package monitoroctopus_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"odcm"
	"odcm/kit/egress"
	"odcm/manager/monitor"
	"odcm/manager/monitor/monitoroctopus"
	"odcm/octopus/octoclient"
)

const key = "API-TESTTESTTESTTESTTESTTESTTEST"

// octopus answers as a server does; ping is the status of its pings, and denied paths get 403.
type octopus struct {
	ping   atomic.Int64
	denied string
}

func (o *octopus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	answers := map[string]string{
		"/api":                          `{"Application":"Octopus Deploy","Version":"2025.4.1","ApiVersion":"3.0.0","Links":{}}`,
		"/api/users/me":                 `{"Id":"Users-1","Username":"admin"}`,
		"/api/maintenanceconfiguration": `{"Id":"maintenance","IsInMaintenanceMode":true}`,
		"/api/tasks": `{"ItemType":"Task","TotalResults":2,"Items":[{"Id":"ServerTasks-2","State":"Queued","QueueTime":"2026-01-02T03:05:05Z"},
			{"Id":"ServerTasks-1","State":"Queued","QueueTime":"2026-01-02T03:04:05Z"}]}`,
		"/api/octopusservernodes/summary": `{"Nodes":[{"Name":"a","IsLeader":true,"MaxConcurrentTasks":5,"RunningTaskCount":2,"LastSeen":"2026-01-02T03:04:05Z"},
			{"Name":"b","IsOffline":true,"IsInMaintenanceMode":true}]}`,
		"/api/licenses/licenses-current-status": `{"LicenseKind":"Trial","IsCompliant":false,"DaysToEffectiveExpiryDate":5,"Limits":[{"Name":"Projects","EffectiveLimit":10,"CurrentUsage":11}]}`,
	}
	path := strings.TrimSuffix(r.URL.Path, "/")
	switch {
	case path == "/api/octopusservernodes/ping":
		if r.Header.Get("X-Octopus-ApiKey") != "" {
			w.WriteHeader(http.StatusTeapot + 1) // a ping must not carry the key
			return
		}
		w.WriteHeader(int(o.ping.Load()))
	case path != "/api" && r.Header.Get("X-Octopus-ApiKey") != key:
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"ErrorMessage":"The API key you provided was not valid."}`)
	case o.denied != "" && strings.Contains(path, o.denied):
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"ErrorMessage":"You do not have permission."}`)
	case answers[path] != "":
		_, _ = io.WriteString(w, answers[path])
	default:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"ErrorMessage":"Not found."}`)
	}
}

func setup(t *testing.T, o *octopus, secret string) (*monitoroctopus.Prober, monitor.Target, *httptest.Server) {
	t.Helper()
	o.ping.Store(200)
	server := httptest.NewServer(o)
	t.Cleanup(server.Close)
	p := monitoroctopus.New(egress.New(egress.Policy{}, egress.Limits{}), octoclient.NewBudgets(octoclient.Limits{}))
	return p, monitor.Target{Instance: "instance-1", URL: server.URL, Revision: 1, Key: func(context.Context) (string, error) { return secret, nil }}, server
}

func TestPing(t *testing.T) {
	t.Parallel()
	o := &octopus{}
	p, target, server := setup(t, o, key)
	for _, code := range []int{200, 418, 503} {
		o.ping.Store(int64(code))
		if pong, err := p.Ping(t.Context(), target); err != nil || pong.Code != code || pong.Took <= 0 {
			t.Errorf("%+v, %v; want %d", pong, err, code)
		}
	}
	server.Close()
	if _, err := p.Ping(t.Context(), target); odcm.KindOf(err) != odcm.Unavailable {
		t.Errorf("gone: %v", err)
	}
	moved := httptest.NewServer(o)
	defer moved.Close()
	target.URL, target.Revision = moved.URL, 2
	if _, err := p.Ping(t.Context(), target); err != nil {
		t.Errorf("at its new address: %v", err)
	}
	target.URL, target.Revision = "http://169.254.169.254", 3
	p.Forget(target.Instance)
	if _, err := p.Ping(t.Context(), target); err == nil {
		t.Error("a cloud's metadata was asked")
	}
	hang := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer hang.Close()
	target.URL, target.Revision = hang.URL, 4
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := p.Ping(ctx, target); odcm.KindOf(err) != odcm.Unavailable {
		t.Errorf("hanging: %v", err)
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	t.Run("everything", func(t *testing.T) {
		t.Parallel()
		p, target, _ := setup(t, &octopus{}, key)
		d, err := p.Inspect(t.Context(), target, monitor.Detail{}, monitor.Whole)
		if err != nil || d.Version != "2025.4.1" || !d.Maintenance || len(d.Nodes) != 2 || d.Licence == nil {
			t.Fatalf("%+v, %v", d, err)
		}
		if a, b := d.Nodes[0], d.Nodes[1]; a.Name != "a" || !a.Leader || a.Tasks != 2 || a.TaskCap != 5 || a.LastSeen.IsZero() || !b.Offline || !b.Draining {
			t.Errorf("nodes %+v", d.Nodes)
		}
		if q := d.Queue; q == nil || q.Waiting != 2 || q.Executing != 2 || q.Oldest < time.Hour {
			t.Errorf("queue %+v", q)
		}
		if l := d.Licence; l.Kind != "Trial" || l.Compliant || *l.DaysLeft != 5 || l.Limits[0] != (monitor.Limit{Name: "Projects", Used: 11, Allowed: 10}) {
			t.Errorf("licence %+v", l)
		}
	})
	t.Run("without the permission for the licence", func(t *testing.T) {
		t.Parallel()
		p, target, _ := setup(t, &octopus{denied: "licenses"}, key)
		if d, err := p.Inspect(t.Context(), target, monitor.Detail{}, monitor.Whole); err != nil || d.Licence != nil || len(d.Nodes) != 2 {
			t.Errorf("%+v, %v", d, err)
		}
	})
	t.Run("with a key that is refused", func(t *testing.T) {
		t.Parallel()
		p, target, _ := setup(t, &octopus{}, "API-OTHEROTHEROTHEROTHEROTHEROTH")
		d, err := p.Inspect(t.Context(), target, monitor.Detail{}, monitor.Whole)
		if odcm.KindOf(err) != odcm.Unauthenticated && odcm.KindOf(err) != odcm.Denied {
			t.Errorf("%+v, %v", d, err)
		}
		if strings.Contains(err.Error(), "API-OTHER") {
			t.Errorf("the error tells the key: %v", err)
		}
	})
}
