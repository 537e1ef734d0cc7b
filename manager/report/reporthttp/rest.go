package reporthttp

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"odcm/api"
	"odcm/kit/web"
	"odcm/manager/report"
	"odcm/manager/report/schedule"
	"odcm/manager/report/summary"
)

// answer is a body without more.
type answer[T any] struct{ Body T }

func (h *handler) operation(id, method, path, summary string, status int) huma.Operation {
	return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, DefaultStatus: status, Tags: []string{"Reports"}}
}

func (h *handler) rest() {
	a := h.Site.API()
	web.Register(a, h.operation("list-reports", "GET", "/reports", "List the reports that you may read", http.StatusOK), h.list)
	op := h.operation("get-report", "GET", "/reports/{name}", "Read a report over a time, as JSON or CSV", http.StatusOK)
	op.Responses = map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{
		"application/json": {Schema: a.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.Report](), true, "Report")},
		"text/csv":         {Schema: &huma.Schema{Type: huma.TypeString}},
	}}}
	web.Register(a, op, h.get)
	web.Register(a, h.operation("list-reported-deployments", "GET", "/reported-deployments", "List single deployments and runbook runs, the newest first", http.StatusOK), h.single)
}

func (h *handler) list(ctx context.Context, _ *struct{}) (*answer[api.Page[api.ReportKind]], error) {
	page := api.Page[api.ReportKind]{Items: []api.ReportKind{}}
	for _, k := range h.Reports.Allowed(ctx, web.Principal(ctx)) {
		page.Items = append(page.Items, api.ReportKind{Name: k.Name, Title: k.Title, Intro: k.Intro})
	}
	return &answer[api.Page[api.ReportKind]]{page}, nil
}

// Filter is what every question takes. It is exported because the framework reads no other embedded fields.
type Filter struct {
	Space       string `query:"space" maxLength:"200" doc:"Identifier or slug of the one Space"`
	Project     string `query:"project" maxLength:"200" doc:"Name or identifier of the one project"`
	Environment string `query:"environment" maxLength:"200" doc:"Name or identifier of the one environment"`
	Tenant      string `query:"tenant" maxLength:"200" doc:"Name or identifier of the one tenant"`
	Kind        string `query:"kind" enum:"deployment,runbook-run,all" default:"deployment"`
	From        string `query:"from" maxLength:"10" doc:"First day: 2026-01-31"`
	To          string `query:"to" maxLength:"10" doc:"Last day"`
	Last        string `query:"last" maxLength:"10" doc:"Instead: 30d, 12m, week or month for the last whole ones" default:"30d"`
	Zone        string `query:"zone" maxLength:"100" doc:"Time zone of the days: Europe/Berlin" default:"UTC"`
}

func (f Filter) values() url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"space": f.Space, "project": f.Project, "environment": f.Environment, "tenant": f.Tenant, "kind": f.Kind, "from": f.From, "to": f.To, "last": f.Last, "zone": f.Zone} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

func (h *handler) get(ctx context.Context, in *struct {
	Filter
	Name   string `path:"name" maxLength:"50"`
	Period string `query:"period" enum:"day,week,month" doc:"What a point of a chart stands for; as suits the time if absent"`
	By     string `query:"by" enum:"space,project,environment,tenant" default:"space" doc:"What the rows of deployments are"`
	Sort   string `query:"sort" maxLength:"50" doc:"Key of a column; after - the other way round"`
	Offset int    `query:"offset" minimum:"0" maximum:"1000000"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"50" doc:"Rows at most; a CSV has all"`
	Format string `query:"format" enum:"json,csv" default:"json"`
}) (*huma.StreamResponse, error) {
	q := in.values()
	for name, value := range map[string]string{"period": in.Period, "by": in.By, "sort": in.Sort, "offset": strconv.Itoa(in.Offset), "limit": strconv.Itoa(in.Limit)} {
		q.Set(name, value)
	}
	asked, err := summary.ParseRequest(q, h.Reports.Now())
	if err != nil {
		return nil, err
	}
	if in.Format == "csv" {
		asked.Offset, asked.Limit = 0, everything
	}
	made, err := h.Reports.Report(ctx, web.Principal(ctx), in.Name, asked)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		_, w := humago.Unwrap(c)
		var err error
		if in.Format == "csv" {
			csvHeaders(w, made)
			err = made.WriteCSV(w)
		} else {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Cache-Control", "no-store")
			err = json.NewEncoder(w).Encode(toReport(made))
		}
		if err != nil {
			panic(http.ErrAbortHandler) // half an answer must not be taken for the whole
		}
	}}, nil
}

func toReport(r *summary.Report) api.Report {
	v := view{Report: r}
	out := api.Report{Name: r.Name, Title: r.Title, From: r.Request.From, To: r.Request.To, Zone: r.Request.Zone.String(), Period: r.Request.Period, Figures: []api.ReportFigure{}, Charts: []api.ReportChart{},
		Columns: []api.ReportColumn{}, Rows: [][]any{}, Total: r.Total, Notes: append([]string{}, r.Notes...)}
	for _, f := range r.Figures {
		out.Figures = append(out.Figures, api.ReportFigure{Label: f.Label, Value: f.Value, Detail: f.Detail})
	}
	for _, c := range r.Charts {
		made := api.ReportChart{Title: c.Title, Labels: append([]string{}, c.Labels...), Series: []api.ReportSeries{}}
		for _, s := range c.Series {
			made.Series = append(made.Series, api.ReportSeries{Name: s.Name, Values: append([]float64{}, s.Values...)})
		}
		out.Charts = append(out.Charts, made)
	}
	for _, c := range r.Columns {
		unit := string(c.Unit)
		if c.Unit == summary.Text {
			unit = "text"
		}
		out.Columns = append(out.Columns, api.ReportColumn{Key: c.Key, Label: c.Label, Unit: unit})
	}
	for _, row := range r.Rows {
		cells := make([]any, len(r.Columns))
		for i, c := range r.Columns {
			cells[i] = c.Value(row.Cells[i])
		}
		out.Rows = append(out.Rows, cells)
	}
	if v.next() != "" {
		out.Next = strconv.Itoa(r.Request.Offset + len(r.Rows))
	}
	return out
}

func (h *handler) single(ctx context.Context, in *struct {
	Filter
	Cursor string `query:"cursor" maxLength:"1000" doc:"Next of the page before; absent for the first page"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"50" doc:"How many at most"`
}) (*answer[api.Page[api.ReportedDeployment]], error) {
	asked, err := summary.ParseRequest(in.values(), h.Reports.Now())
	if err != nil {
		return nil, err
	}
	after, err := web.ReadCursor[report.Position](in.Cursor)
	if err != nil {
		return nil, err
	}
	found, err := h.Reports.Single(ctx, web.Principal(ctx), asked, after, in.Limit)
	if err != nil {
		return nil, err
	}
	page := api.Page[api.ReportedDeployment]{Items: []api.ReportedDeployment{}}
	for _, d := range found {
		page.Items = append(page.Items, api.ReportedDeployment{Space: string(d.Space), Kind: string(d.Kind), ID: d.ID, Project: either(d.ProjectName, d.Project),
			Environment: either(d.EnvironmentName, d.Environment), Tenant: either(d.TenantName, d.Tenant), Version: d.Version, By: d.By, Outcome: string(d.Outcome),
			Created: optional(d.Created), Started: optional(d.Started), Ended: optional(d.Ended)})
	}
	if len(found) == in.Limit {
		page.Next = web.Cursor(found[len(found)-1].Position)
	}
	return &answer[api.Page[api.ReportedDeployment]]{page}, nil
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// ByID names a schedule in an address; see [Filter].
type ByID struct {
	ID string `path:"id" maxLength:"100"`
}

func (h *handler) restSchedules() {
	a := h.Site.API()
	web.Register(a, h.operation("list-report-schedules", "GET", "/report-schedules", "List your schedules of reports; an administrator sees all", http.StatusOK), h.schedules)
	web.Register(a, h.operation("create-report-schedule", "POST", "/report-schedules", "Have a report sent by e-mail", http.StatusCreated), func(ctx context.Context, in *struct{ Body api.ReportPlan }) (*answer[api.ReportSchedule], error) {
		made, err := h.Schedules.Create(ctx, web.Principal(ctx), toPlan(in.Body))
		return &answer[api.ReportSchedule]{toSchedule(made)}, err
	})
	web.Register(a, h.operation("get-report-schedule", "GET", "/report-schedules/{id}", "Read a schedule", http.StatusOK), func(ctx context.Context, in *ByID) (*answer[api.ReportSchedule], error) {
		found, err := h.Schedules.Get(ctx, web.Principal(ctx), in.ID)
		return &answer[api.ReportSchedule]{toSchedule(found)}, err
	})
	web.Register(a, h.operation("change-report-schedule", "PUT", "/report-schedules/{id}", "Change a schedule", http.StatusOK), h.change)
	web.Register(a, h.operation("pause-report-schedule", "PUT", "/report-schedules/{id}/paused", "Pause or resume a schedule", http.StatusOK), func(ctx context.Context, in *struct {
		ByID
		Body api.ReportPause
	}) (*answer[api.ReportSchedule], error) {
		changed, err := h.Schedules.Pause(ctx, web.Principal(ctx), in.ID, in.Body.Paused)
		return &answer[api.ReportSchedule]{toSchedule(changed)}, err
	})
	web.Register(a, h.operation("delete-report-schedule", "DELETE", "/report-schedules/{id}", "Delete a schedule", http.StatusNoContent), func(ctx context.Context, in *ByID) (*struct{}, error) {
		return nil, h.Schedules.Delete(ctx, web.Principal(ctx), in.ID)
	})
	web.Register(a, h.operation("send-report", "POST", "/report-schedules/{id}/sendings", "Send a schedule's report now", http.StatusAccepted), func(ctx context.Context, in *ByID) (*answer[api.ReportSending], error) {
		sent, err := h.Schedules.SendNow(ctx, web.Principal(ctx), in.ID)
		return &answer[api.ReportSending]{toSending(sent)}, err
	})
	web.Register(a, h.operation("list-report-sendings", "GET", "/report-schedules/{id}/sendings", "List what was sent, the newest first", http.StatusOK), func(ctx context.Context, in *struct {
		ByID
		Limit int `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"How many at most"`
	}) (*answer[api.Page[api.ReportSending]], error) {
		all, err := h.Schedules.Sendings(ctx, web.Principal(ctx), in.ID, in.Limit)
		page := api.Page[api.ReportSending]{Items: []api.ReportSending{}}
		for _, s := range all {
			page.Items = append(page.Items, toSending(s))
		}
		return &answer[api.Page[api.ReportSending]]{page}, err
	})
}

func toPlan(p api.ReportPlan) schedule.Plan {
	return schedule.Plan{Name: p.Name, Report: p.Report, Query: p.Query, Every: schedule.Every(p.Every), Day: p.Day, Hour: p.Hour, Minute: p.Minute, Zone: p.Zone, To: p.To}
}

func toSchedule(s schedule.Schedule) api.ReportSchedule {
	return api.ReportSchedule{ID: s.ID, Owner: string(s.Owner), Paused: s.Paused, Reason: s.Reason, Due: s.Due, Created: s.Created, Revision: s.Revision, ReportPlan: api.ReportPlan{
		Name: s.Name, Report: s.Report, Query: s.Query, Every: string(s.Every), Day: s.Day, Hour: s.Hour, Minute: s.Minute, Zone: s.Zone, To: s.To}}
}

func toSending(s schedule.Sending) api.ReportSending {
	return api.ReportSending{Period: s.Period, At: s.At, Recipients: s.To, Error: s.Error}
}

func (h *handler) schedules(ctx context.Context, in *struct {
	Cursor string `query:"cursor" maxLength:"1000" doc:"Next of the page before; absent for the first page"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"How many at most"`
}) (*answer[api.Page[api.ReportSchedule]], error) {
	after, err := web.ReadCursor[schedule.Position](in.Cursor)
	if err != nil {
		return nil, err
	}
	all, err := h.Schedules.List(ctx, web.Principal(ctx), after, in.Limit)
	if err != nil {
		return nil, err
	}
	page := api.Page[api.ReportSchedule]{Items: []api.ReportSchedule{}}
	for _, s := range all {
		page.Items = append(page.Items, toSchedule(s))
	}
	if len(all) == in.Limit {
		last := all[len(all)-1]
		page.Next = web.Cursor(schedule.Position{Name: last.Name, ID: last.ID})
	}
	return &answer[api.Page[api.ReportSchedule]]{page}, nil
}

func (h *handler) change(ctx context.Context, in *struct {
	ByID
	IfMatch string `header:"If-Match" doc:"The revision that you read"`
	Body    api.ReportPlan
}) (*answer[api.ReportSchedule], error) {
	revision := int64(0)
	if in.IfMatch != "" {
		var err error
		if revision, err = web.IfMatch(in.IfMatch); err != nil {
			return nil, err
		}
	}
	changed, err := h.Schedules.Update(ctx, web.Principal(ctx), in.ID, revision, toPlan(in.Body))
	return &answer[api.ReportSchedule]{toSchedule(changed)}, web.OrStale(revision, err)
}
