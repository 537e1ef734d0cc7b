package apiclient

import (
	"context"
	"iter"
	"net/http"
	"net/url"

	"odcm/api"
)

// Incidents lists incidents, the newest first; the query is the operation's own.
func (c *Client) Incidents(ctx context.Context, query url.Values) iter.Seq2[api.Incident, error] {
	return list[api.Incident](ctx, c, "/alerts/incidents", query)
}

// Incident gets an incident with its timeline.
func (c *Client) Incident(ctx context.Context, id string) (i api.IncidentDetail, err error) {
	return i, c.do(ctx, call{method: http.MethodGet, path: "/alerts/incidents/" + escape(id)}, &i)
}

// AcknowledgeIncident takes an incident on.
func (c *Client) AcknowledgeIncident(ctx context.Context, id, note string) error {
	return c.do(ctx, call{method: http.MethodPost, path: "/alerts/incidents/" + escape(id) + "/acknowledge", in: api.NewAcknowledgement{Note: note}}, nil)
}

// Deliveries lists who was told what, the newest first.
func (c *Client) Deliveries(ctx context.Context, query url.Values) iter.Seq2[api.Delivery, error] {
	return list[api.Delivery](ctx, c, "/alerts/deliveries", query)
}

// RetryDelivery tells a receiver again that refused.
func (c *Client) RetryDelivery(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodPost, path: "/alerts/deliveries/" + escape(id) + "/retry"}, nil)
}

// AlertRules lists rules.
func (c *Client) AlertRules(ctx context.Context) iter.Seq2[api.AlertRule, error] {
	return list[api.AlertRule](ctx, c, "/alerts/rules", nil)
}

// SaveAlertRule makes a rule without identifier, and changes any other.
func (c *Client) SaveAlertRule(ctx context.Context, id string, s api.AlertRuleSettings) (r api.AlertRule, err error) {
	in := call{method: http.MethodPost, path: "/alerts/rules", in: s}
	if id != "" {
		in.method, in.path = http.MethodPut, "/alerts/rules/"+escape(id)
	}
	return r, c.do(ctx, in, &r)
}

// PreviewAlertRule says what a rule would find now.
func (c *Client) PreviewAlertRule(ctx context.Context, s api.AlertRuleSettings) (p api.AlertPreview, err error) {
	return p, c.do(ctx, call{method: http.MethodPost, path: "/alerts/rules/preview", in: s}, &p)
}

// AlertReceivers lists receivers.
func (c *Client) AlertReceivers(ctx context.Context) iter.Seq2[api.AlertReceiver, error] {
	return list[api.AlertReceiver](ctx, c, "/alerts/receivers", nil)
}

// CreateAlertReceiver makes a receiver.
func (c *Client) CreateAlertReceiver(ctx context.Context, s api.AlertReceiverSettings) (r api.AlertReceiver, err error) {
	return r, c.do(ctx, call{method: http.MethodPost, path: "/alerts/receivers", in: s}, &r)
}

// TestAlertReceiver sends a test.
func (c *Client) TestAlertReceiver(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodPost, path: "/alerts/receivers/" + escape(id) + "/test"}, nil)
}

// Silences lists silences.
func (c *Client) Silences(ctx context.Context, ended bool) iter.Seq2[api.Silence, error] {
	q := url.Values{}
	if ended {
		q.Set("ended", "true")
	}
	return list[api.Silence](ctx, c, "/alerts/silences", q)
}

// CreateSilence keeps incidents quiet for a time.
func (c *Client) CreateSilence(ctx context.Context, n api.NewSilence) (s api.Silence, err error) {
	return s, c.do(ctx, call{method: http.MethodPost, path: "/alerts/silences", in: n}, &s)
}

// EndSilence ends a silence now.
func (c *Client) EndSilence(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: "/alerts/silences/" + escape(id)}, nil)
}

// MaintenanceWindows lists maintenance windows.
func (c *Client) MaintenanceWindows(ctx context.Context) iter.Seq2[api.MaintenanceWindow, error] {
	return list[api.MaintenanceWindow](ctx, c, "/alerts/windows", nil)
}

// CreateMaintenanceWindow makes a maintenance window.
func (c *Client) CreateMaintenanceWindow(ctx context.Context, s api.MaintenanceSettings) (w api.MaintenanceWindow, err error) {
	return w, c.do(ctx, call{method: http.MethodPost, path: "/alerts/windows", in: s}, &w)
}

// DeleteAlertSetting deletes a rule, a receiver or a window: the kind is "rules", "receivers" or "windows".
func (c *Client) DeleteAlertSetting(ctx context.Context, kind, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: "/alerts/" + escape(kind) + "/" + escape(id)}, nil)
}
