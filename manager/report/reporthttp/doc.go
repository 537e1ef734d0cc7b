// Package reporthttp is how people and programs reach package report: pages with charts, downloads, REST operations, and the
// schedules by which reports are sent.
package reporthttp

import (
	"context"

	"odcm"
	"odcm/kit/web"
	"odcm/manager/report/schedule"
	"odcm/manager/report/summary"
)

// Options are what the pages and operations stand on. All are required.
type Options struct {
	Site      *web.Site
	Reports   *summary.Service
	Schedules *schedule.Service
}

type handler struct{ Options }

// Register adds the room's pages and operations to the site.
func Register(o Options) {
	h := &handler{o}
	s := o.Site
	s.AddNav(web.NavItem{ID: "reports", Label: "Reports", Icon: "chart", Href: "/reports", Order: 40, Show: func(p odcm.Principal) bool {
		return len(h.Reports.Allowed(context.Background(), p)) > 0
	}}, web.NavItem{Label: "Send a report by e-mail", Icon: "mail", Href: "/report-schedules/new", Order: 41, PaletteOnly: true, Show: func(p odcm.Principal) bool {
		return h.Schedules.Allowed(context.Background(), p)
	}})
	s.Handle("GET /reports", h.overviewPage)
	s.Handle("GET /reports/{name}", h.reportPage)
	s.Handle("GET /reports/{name}/chart", h.chart)
	s.Handle("GET /reports/{name}/csv", h.download)
	s.Handle("GET /report-schedules", h.schedulesPage)
	s.Handle("GET /report-schedules/new", h.newSchedulePage)
	s.Handle("POST /report-schedules", h.createSchedule)
	s.Handle("GET /report-schedules/{id}", h.schedulePage)
	s.Handle("POST /report-schedules/{id}", h.changeSchedule)
	s.Handle("POST /report-schedules/{id}/{verb}", h.actOnSchedule)
	h.rest()
	h.restSchedules()
}
