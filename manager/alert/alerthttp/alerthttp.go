// Package alerthttp is how people and programs reach alerts: what fires now, what happened, rules, receivers, silences and
// maintenance windows, by pages and by REST.
package alerthttp

import (
	"context"
	"time"

	"odcm"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/alert/desk"
)

// Options are what the pages and operations stand on; all but Now are required.
type Options struct {
	Site *web.Site
	Desk *desk.Desk
	Now  func() time.Time // time.Now if nil
}

type handler struct{ Options }

// Register puts pages and operations on the site.
func Register(o Options) {
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &handler{o}
	h.rest()
	h.restSettings()
	s := o.Site
	lists := func(p odcm.Principal) bool { return h.Desk.Allowed(context.Background(), p, desk.ActionList) }
	s.AddNav(web.NavItem{ID: "alerts", Label: "Alerts", Icon: "bell", Href: "/alerts", Order: 20},
		web.NavItem{Label: "Alert rules", Icon: "bell", Href: "/alerts/rules", Order: 21, Show: lists, PaletteOnly: true},
		web.NavItem{Label: "Alert receivers", Icon: "bell", Href: "/alerts/receivers", Order: 22, Show: lists, PaletteOnly: true})
	s.Handle("GET /alerts", h.nowPage)
	s.Handle("GET /alerts/history", h.historyPage)
	s.Handle("GET /alerts/incidents/{id}", h.incidentPage)
	s.Handle("POST /alerts/incidents/{id}/acknowledge", h.acknowledge)
	s.Handle("POST /alerts/incidents/{id}/silence", h.silenceIncident)
	s.Handle("GET /alerts/rules", h.rulesPage)
	s.Handle("GET /alerts/rules/{id}", h.rulePage)
	s.Handle("POST /alerts/rules/{id}", h.saveRule)
	s.Handle("GET /alerts/receivers", h.receiversPage)
	s.Handle("GET /alerts/receivers/{id}", h.receiverPage)
	s.Handle("POST /alerts/receivers/{id}", h.saveReceiver)
	s.Handle("POST /alerts/receivers/{id}/test", h.testReceiver)
	s.Handle("GET /alerts/silences", h.silencesPage)
	s.Handle("GET /alerts/silences/new", h.silencePage)
	s.Handle("POST /alerts/silences", h.createSilence)
	s.Handle("POST /alerts/silences/{id}/end", h.endSilence)
	s.Handle("GET /alerts/windows", h.windowsPage)
	s.Handle("GET /alerts/windows/{id}", h.windowPage)
	s.Handle("POST /alerts/windows/{id}", h.saveWindow)
	s.Handle("POST /alerts/{kind}/{id}/delete", h.remove)
	s.Handle("GET /alerts/deliveries", h.deliveriesPage)
	s.Handle("POST /alerts/deliveries/{id}/retry", h.retry)
	s.Live().Fragment("incident", nil, func(p odcm.Principal, id string) bool { return id == "many" || h.Desk.Sees(p, id) })
	s.Live().Fragment("alert-setting", nil, func(p odcm.Principal, _ string) bool { return lists(p) })
}

const pageSize = 50

// tabs are the views that the principal may see.
func (h *handler) tabs(ctx context.Context, p odcm.Principal, at string) (all []design.Tab) {
	views := []design.Tab{{Label: "Now", Href: "/alerts"}, {Label: "History", Href: "/alerts/history"}}
	if h.Desk.Allowed(ctx, p, desk.ActionList) {
		views = append(views, design.Tab{Label: "Rules", Href: "/alerts/rules"}, design.Tab{Label: "Receivers", Href: "/alerts/receivers"},
			design.Tab{Label: "Silences", Href: "/alerts/silences"}, design.Tab{Label: "Maintenance", Href: "/alerts/windows"}, design.Tab{Label: "Told", Href: "/alerts/deliveries"})
	}
	for _, t := range views {
		t.On = t.Href == at
		all = append(all, t)
	}
	return all
}
