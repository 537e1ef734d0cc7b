package alerthttp

import (
	"context"
	"net/http"
	"time"

	"odcm"
	"odcm/api"
	"odcm/kit/web"
	"odcm/manager/alert"
	"odcm/manager/alert/desk"
	"odcm/manager/alert/receiver"
)

func (h *handler) restSettings() {
	a := h.Site.API()
	web.Register(a, op("list-alert-rules", "GET", "/rules", "List rules, by name", http.StatusOK), h.rules)
	web.Register(a, op("get-alert-rule", "GET", "/rules/{id}", "Get a rule", http.StatusOK), h.rule)
	web.Register(a, op("create-alert-rule", "POST", "/rules", "Make a rule", http.StatusCreated), h.putRule)
	web.Register(a, op("update-alert-rule", "PUT", "/rules/{id}", "Change a rule", http.StatusOK), h.changeRule)
	web.Register(a, op("delete-alert-rule", "DELETE", "/rules/{id}", "Delete a rule; what it found is over", http.StatusNoContent), h.deleter(desk.KindRule))
	web.Register(a, op("preview-alert-rule", "POST", "/rules/preview", "Say what a rule would find now; keeps nothing", http.StatusOK), h.preview)
	web.Register(a, op("list-alert-receivers", "GET", "/receivers", "List receivers, by name", http.StatusOK), h.receivers)
	web.Register(a, op("get-alert-receiver", "GET", "/receivers/{id}", "Get a receiver, without its secrets", http.StatusOK), h.receiver)
	web.Register(a, op("create-alert-receiver", "POST", "/receivers", "Make a receiver", http.StatusCreated), h.putReceiver)
	web.Register(a, op("update-alert-receiver", "PUT", "/receivers/{id}", "Change a receiver; secrets that are absent stay", http.StatusOK), h.changeReceiver)
	web.Register(a, op("delete-alert-receiver", "DELETE", "/receivers/{id}", "Delete a receiver", http.StatusNoContent), h.deleter(desk.KindReceiver))
	web.Register(a, op("test-alert-receiver", "POST", "/receivers/{id}/test", "Send a test now, and explain what goes wrong", http.StatusNoContent), h.restTest)
	web.Register(a, op("list-silences", "GET", "/silences", "List silences that have not ended, or those that have", http.StatusOK), h.silences)
	web.Register(a, op("get-silence", "GET", "/silences/{id}", "Get a silence", http.StatusOK), h.silence)
	web.Register(a, op("create-silence", "POST", "/silences", "Keep incidents quiet for a time", http.StatusCreated), h.putSilence)
	web.Register(a, op("end-silence", "DELETE", "/silences/{id}", "End a silence now; it stays in the list of those that ended", http.StatusNoContent), h.restEndSilence)
	web.Register(a, op("list-maintenance-windows", "GET", "/windows", "List maintenance windows, by name", http.StatusOK), h.windows)
	web.Register(a, op("get-maintenance-window", "GET", "/windows/{id}", "Get a maintenance window", http.StatusOK), h.window)
	web.Register(a, op("create-maintenance-window", "POST", "/windows", "Make a maintenance window", http.StatusCreated), h.putWindow)
	web.Register(a, op("update-maintenance-window", "PUT", "/windows/{id}", "Change a maintenance window", http.StatusOK), h.changeWindow)
	web.Register(a, op("delete-maintenance-window", "DELETE", "/windows/{id}", "Delete a maintenance window", http.StatusNoContent), h.deleter(desk.KindWindow))
}

// all answers with everything: there are a few hundred at most.
func all[T, V any](items []T, err error, to func(T) V) (*answer[api.Page[V]], error) {
	page := api.Page[V]{Items: []V{}}
	for _, v := range items {
		page.Items = append(page.Items, to(v))
	}
	return &answer[api.Page[V]]{page}, err
}

func one[T, V any](v T, revision int64, err error, to func(T) V) (*revised[V], error) {
	if err != nil {
		return nil, err
	}
	return &revised[V]{ETag: web.ETag(revision), Body: to(v)}, nil
}

// deleter answers operations that delete something of a kind.
func (h *handler) deleter(kind string) func(context.Context, *struct {
	ByID
	Match
}) (*struct{}, error) {
	return func(ctx context.Context, in *struct {
		ByID
		Match
	}) (*struct{}, error) {
		revision, err := web.IfMatch(in.IfMatch)
		if err != nil {
			return nil, err
		}
		return nil, web.OrStale(revision, h.Desk.Delete(ctx, web.Principal(ctx), kind, in.ID, revision))
	}
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

func toRule(r alert.Rule) api.AlertRule {
	return api.AlertRule{ID: r.ID, Revision: r.Revision, AlertRuleSettings: api.AlertRuleSettings{Name: r.Name, Signal: string(r.Signal), Is: r.Is, Op: string(r.Op),
		Threshold: r.Threshold, Kind: r.Kind, Matchers: r.Matchers.String(), FailureThreshold: r.FailureThreshold, SuccessThreshold: r.SuccessThreshold,
		Severity: string(r.Severity), Receivers: r.Receivers, GroupBy: r.GroupBy, GroupWaitSeconds: seconds(r.GroupWait), EscalateAfterSeconds: seconds(r.EscalateAfter),
		EscalateTo: r.EscalateTo, RepeatEverySeconds: seconds(r.RepeatEvery), FlapChanges: r.FlapChanges, FlapWindowSeconds: seconds(r.FlapWindow),
		FlapRestSeconds: seconds(r.FlapRest), Enabled: r.Enabled}}
}

func fromRule(id string, revision int64, s api.AlertRuleSettings) (alert.Rule, error) {
	m, err := alert.ParseMatchers(s.Matchers)
	return alert.Rule{ID: id, Revision: revision, Name: s.Name, Signal: alert.Signal(s.Signal), Is: s.Is, Op: alert.Op(s.Op), Threshold: s.Threshold, Kind: s.Kind, Matchers: m,
		FailureThreshold: max(s.FailureThreshold, 1), SuccessThreshold: max(s.SuccessThreshold, 1), Severity: alert.Severity(s.Severity), Receivers: s.Receivers,
		GroupBy: s.GroupBy, GroupWait: time.Duration(s.GroupWaitSeconds) * time.Second, EscalateAfter: time.Duration(s.EscalateAfterSeconds) * time.Second,
		EscalateTo: s.EscalateTo, RepeatEvery: time.Duration(s.RepeatEverySeconds) * time.Second, FlapChanges: s.FlapChanges,
		FlapWindow: time.Duration(s.FlapWindowSeconds) * time.Second, FlapRest: time.Duration(s.FlapRestSeconds) * time.Second, Enabled: s.Enabled}, err
}

func (h *handler) rules(ctx context.Context, _ *struct{}) (*answer[api.Page[api.AlertRule]], error) {
	found, err := h.Desk.Rules(ctx, web.Principal(ctx))
	return all(found, err, toRule)
}

func (h *handler) rule(ctx context.Context, in *ByID) (*revised[api.AlertRule], error) {
	r, err := h.Desk.Rule(ctx, web.Principal(ctx), in.ID)
	return one(r, r.Revision, err, toRule)
}

func (h *handler) keepRule(ctx context.Context, id, match string, s api.AlertRuleSettings) (*revised[api.AlertRule], error) {
	revision, err := web.IfMatch(match)
	if err != nil {
		return nil, err
	}
	r, err := fromRule(id, revision, s)
	if err != nil {
		return nil, err
	}
	r, err = h.Desk.SaveRule(ctx, web.Principal(ctx), r)
	return one(r, r.Revision, web.OrStale(revision, err), toRule)
}

func (h *handler) putRule(ctx context.Context, in *struct{ Body api.AlertRuleSettings }) (*revised[api.AlertRule], error) {
	return h.keepRule(ctx, "", "", in.Body)
}

func (h *handler) changeRule(ctx context.Context, in *struct {
	ByID
	Match
	Body api.AlertRuleSettings
}) (*revised[api.AlertRule], error) {
	return h.keepRule(ctx, in.ID, in.IfMatch, in.Body)
}

func (h *handler) preview(ctx context.Context, in *struct{ Body api.AlertRuleSettings }) (*answer[api.AlertPreview], error) {
	r, err := fromRule("", 0, in.Body)
	if err != nil {
		return nil, err
	}
	found, err := h.Desk.Preview(ctx, web.Principal(ctx), r)
	if err != nil {
		return nil, err
	}
	v := api.AlertPreview{Total: len(found), Items: []api.AlertPreviewItem{}}
	for _, f := range found[:min(len(found), desk.MaxPage)] {
		v.Items = append(v.Items, api.AlertPreviewItem{Subject: f.Subject, Kind: f.Kind, Name: f.Name, Says: f.Says()})
	}
	return &answer[api.AlertPreview]{v}, nil
}

func toReceiver(r receiver.Receiver) api.AlertReceiver {
	return api.AlertReceiver{ID: r.ID, Revision: r.Revision, Name: r.Name, Kind: string(r.Kind), To: r.To, Shown: r.Shown, CA: r.CA, Default: r.Default, Enabled: r.Enabled, Key: r.Secrets.Key}
}

func (h *handler) receivers(ctx context.Context, _ *struct{}) (*answer[api.Page[api.AlertReceiver]], error) {
	found, err := h.Desk.Receivers(ctx, web.Principal(ctx))
	return all(found, err, toReceiver)
}

func (h *handler) receiver(ctx context.Context, in *ByID) (*revised[api.AlertReceiver], error) {
	r, err := h.Desk.Receiver(ctx, web.Principal(ctx), in.ID)
	return one(r, r.Revision, err, toReceiver)
}

func (h *handler) keepReceiver(ctx context.Context, id, match string, s api.AlertReceiverSettings) (*revised[api.AlertReceiver], error) {
	revision, err := web.IfMatch(match)
	if err != nil {
		return nil, err
	}
	r, err := h.Desk.SaveReceiver(ctx, web.Principal(ctx), receiver.Receiver{ID: id, Revision: revision, Name: s.Name, Kind: receiver.Kind(s.Kind), To: s.To, CA: s.CA,
		Default: s.Default, Enabled: s.Enabled, Secrets: receiver.Secrets{URL: s.URL, Key: s.Key}})
	return one(r, r.Revision, web.OrStale(revision, err), toReceiver)
}

func (h *handler) putReceiver(ctx context.Context, in *struct{ Body api.AlertReceiverSettings }) (*revised[api.AlertReceiver], error) {
	return h.keepReceiver(ctx, "", "", in.Body)
}

func (h *handler) changeReceiver(ctx context.Context, in *struct {
	ByID
	Match
	Body api.AlertReceiverSettings
}) (*revised[api.AlertReceiver], error) {
	return h.keepReceiver(ctx, in.ID, in.IfMatch, in.Body)
}

func (h *handler) restTest(ctx context.Context, in *ByID) (*struct{}, error) {
	return nil, h.Desk.TestReceiver(ctx, web.Principal(ctx), in.ID)
}

func (h *handler) toSilence(s alert.Silence) api.Silence {
	return api.Silence{ID: s.ID, Revision: s.Revision, Matchers: s.Matchers.String(), Space: string(s.Space), From: s.From.UTC(), Until: s.Until.UTC(), Comment: s.Comment,
		By: s.By, Active: s.Active(h.Now())}
}

func (h *handler) silences(ctx context.Context, in *struct {
	OnePage
	Ended bool `query:"ended" doc:"Those that have ended"`
}) (*answer[api.Page[api.Silence]], error) {
	after, err := web.ReadCursor[string](in.Cursor)
	if err != nil {
		return nil, err
	}
	found, more, err := h.Desk.Silences(ctx, web.Principal(ctx), in.Ended, after, in.Limit)
	page, err := all(found, err, h.toSilence)
	if more {
		page.Body.Next = web.Cursor(found[len(found)-1].ID)
	}
	return page, err
}

func (h *handler) silence(ctx context.Context, in *ByID) (*revised[api.Silence], error) {
	s, err := h.Desk.Silence(ctx, web.Principal(ctx), in.ID)
	return one(s, s.Revision, err, h.toSilence)
}

func (h *handler) putSilence(ctx context.Context, in *struct{ Body api.NewSilence }) (*revised[api.Silence], error) {
	m, err := alert.ParseMatchers(in.Body.Matchers)
	if err != nil {
		return nil, err
	}
	s := alert.Silence{Matchers: m, Space: odcm.SpaceID(in.Body.Space), Until: in.Body.Until, Comment: in.Body.Comment}
	if in.Body.From != nil {
		s.From = *in.Body.From
	}
	s, err = h.Desk.CreateSilence(ctx, web.Principal(ctx), s)
	return one(s, s.Revision, err, h.toSilence)
}

func (h *handler) restEndSilence(ctx context.Context, in *struct {
	ByID
	Match
}) (*struct{}, error) {
	revision, err := web.IfMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	return nil, web.OrStale(revision, h.Desk.EndSilence(ctx, web.Principal(ctx), in.ID, revision))
}

func (h *handler) toWindow(w alert.Window) api.MaintenanceWindow {
	return api.MaintenanceWindow{ID: w.ID, Revision: w.Revision, Active: w.Active(h.Now()), Next: optional(w.Next(h.Now())), MaintenanceSettings: api.MaintenanceSettings{
		Name: w.Name, Matchers: w.Matchers.String(), From: optional(w.From), Schedule: w.Schedule, Zone: w.Zone, LastsSeconds: seconds(w.Lasts), Enabled: w.Enabled}}
}

func (h *handler) windows(ctx context.Context, _ *struct{}) (*answer[api.Page[api.MaintenanceWindow]], error) {
	found, err := h.Desk.Windows(ctx, web.Principal(ctx))
	return all(found, err, h.toWindow)
}

func (h *handler) window(ctx context.Context, in *ByID) (*revised[api.MaintenanceWindow], error) {
	w, err := h.Desk.Window(ctx, web.Principal(ctx), in.ID)
	return one(w, w.Revision, err, h.toWindow)
}

func (h *handler) keepWindow(ctx context.Context, id, match string, s api.MaintenanceSettings) (*revised[api.MaintenanceWindow], error) {
	revision, err := web.IfMatch(match)
	if err != nil {
		return nil, err
	}
	m, err := alert.ParseMatchers(s.Matchers)
	if err != nil {
		return nil, err
	}
	w := alert.Window{ID: id, Revision: revision, Name: s.Name, Matchers: m, Schedule: s.Schedule, Zone: s.Zone, Lasts: time.Duration(s.LastsSeconds) * time.Second, Enabled: s.Enabled}
	if s.From != nil {
		w.From = *s.From
	}
	w, err = h.Desk.SaveWindow(ctx, web.Principal(ctx), w)
	return one(w, w.Revision, web.OrStale(revision, err), h.toWindow)
}

func (h *handler) putWindow(ctx context.Context, in *struct{ Body api.MaintenanceSettings }) (*revised[api.MaintenanceWindow], error) {
	return h.keepWindow(ctx, "", "", in.Body)
}

func (h *handler) changeWindow(ctx context.Context, in *struct {
	ByID
	Match
	Body api.MaintenanceSettings
}) (*revised[api.MaintenanceWindow], error) {
	return h.keepWindow(ctx, in.ID, in.IfMatch, in.Body)
}
