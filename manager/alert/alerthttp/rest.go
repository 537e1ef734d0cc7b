package alerthttp

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"odcm/api"
	"odcm/kit/web"
	"odcm/manager/alert"
	"odcm/manager/alert/desk"
)

// answer is a body without more.
type answer[T any] struct{ Body T }

// revised is a body with its entity tag.
type revised[T any] struct {
	ETag string `header:"ETag"`
	Body T
}

// OnePage is what every list takes. It is exported because the framework reads no other embedded fields.
type OnePage struct {
	Cursor string `query:"cursor" maxLength:"1000" doc:"Next of the page before; absent for the first page"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"How many at most"`
}

// ByID names something; see [OnePage].
type ByID struct {
	ID string `path:"id" maxLength:"100"`
}

// Match is for changes; see [OnePage].
type Match struct {
	IfMatch string `header:"If-Match" maxLength:"100" doc:"ETag that was read; absent: whatever it is now"`
}

func op(id, method, path, summary string, status int) huma.Operation {
	return huma.Operation{OperationID: id, Method: method, Path: "/alerts" + path, Summary: summary, DefaultStatus: status, Tags: []string{"Alerts"}}
}

func (h *handler) rest() {
	a := h.Site.API()
	web.Register(a, op("list-incidents", "GET", "/incidents", "List incidents, the newest first", http.StatusOK), h.incidents)
	web.Register(a, op("get-incident", "GET", "/incidents/{id}", "Get an incident with its timeline and who was told", http.StatusOK), h.incident)
	web.Register(a, op("acknowledge-incident", "POST", "/incidents/{id}/acknowledge", "Take an incident on: nobody else is fetched", http.StatusNoContent), h.restAcknowledge)
	web.Register(a, op("list-deliveries", "GET", "/deliveries", "List who was told what, the newest first", http.StatusOK), h.deliveries)
	web.Register(a, op("retry-delivery", "POST", "/deliveries/{id}/retry", "Tell a receiver again that refused", http.StatusNoContent), h.restRetry)
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func toIncident(i alert.Incident) api.Incident {
	v := api.Incident{ID: i.ID, Rule: i.Rule, RuleName: i.RuleName, Severity: string(i.Severity), Subject: i.Subject, Kind: i.Kind, Name: i.Name, Labels: i.Labels,
		State: string(i.Phase), Summary: i.Summary, Since: i.Since.UTC(), Fired: optional(i.Fired), Resolved: optional(i.Resolved), Flapping: i.Flapping, Quiet: i.Quiet}
	if !i.Acked.At.IsZero() {
		v.Acknowledged = &api.Acknowledgement{By: i.Acked.By, At: i.Acked.At.UTC(), Note: i.Acked.Note}
	}
	return v
}

func (h *handler) incidents(ctx context.Context, in *struct {
	OnePage
	State    string    `query:"state" enum:"open,pending,firing,resolved" doc:"Open is what is not resolved; absent: all"`
	Rule     string    `query:"rule" maxLength:"100"`
	Severity string    `query:"severity" enum:"critical,warning,info"`
	Subject  string    `query:"subject" maxLength:"100" doc:"Identifier of a Space or a machine"`
	Text     string    `query:"q" maxLength:"200" doc:"Part of the name"`
	From     time.Time `query:"from" doc:"Began at or after"`
	To       time.Time `query:"to" doc:"Began before"`
}) (*answer[api.Page[api.Incident]], error) {
	f := desk.IncidentFilter{Phase: in.State, Rule: in.Rule, Severity: in.Severity, Subject: in.Subject, Text: in.Text, From: in.From, To: in.To, Limit: in.Limit}
	var err error
	if f.Before, err = web.ReadCursor[desk.Position](in.Cursor); err != nil {
		return nil, err
	}
	all, next, err := h.Desk.Incidents(ctx, web.Principal(ctx), f)
	if err != nil {
		return nil, err
	}
	page := api.Page[api.Incident]{Items: []api.Incident{}}
	for _, i := range all {
		page.Items = append(page.Items, toIncident(i))
	}
	if next.ID != "" {
		page.Next = web.Cursor(next)
	}
	return &answer[api.Page[api.Incident]]{page}, nil
}

func (h *handler) incident(ctx context.Context, in *ByID) (*answer[api.IncidentDetail], error) {
	d, err := h.Desk.Incident(ctx, web.Principal(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	v := api.IncidentDetail{Incident: toIncident(d.Incident), Timeline: []api.IncidentNote{}, Deliveries: []api.Delivery{}}
	for _, n := range d.Notes {
		v.Timeline = append(v.Timeline, api.IncidentNote{At: n.At.UTC(), Kind: n.Kind, Text: n.Text})
	}
	for _, t := range d.Deliveries {
		v.Deliveries = append(v.Deliveries, toDelivery(t))
	}
	return &answer[api.IncidentDetail]{v}, nil
}

func toDelivery(t desk.Told) api.Delivery {
	v := api.Delivery{ID: t.ID, Receiver: t.Receiver, ReceiverName: t.ReceiverName, Kind: t.Kind, Title: t.Title, State: t.State, Attempts: t.Attempts, Error: t.Error,
		Created: t.Created.UTC(), Finished: optional(t.Finished)}
	if t.State == "queued" {
		v.Due = optional(t.Due)
	}
	return v
}

func (h *handler) restAcknowledge(ctx context.Context, in *struct {
	ByID
	Body api.NewAcknowledgement
}) (*struct{}, error) {
	return nil, h.Desk.Acknowledge(ctx, web.Principal(ctx), in.ID, in.Body.Note)
}

// place is where a page of deliveries begins.
type place struct {
	Created time.Time `json:"created"`
	ID      string    `json:"id"`
}

func (h *handler) deliveries(ctx context.Context, in *struct {
	OnePage
	State    string `query:"state" enum:"queued,sent,handed-over,merged,parked,expired"`
	Receiver string `query:"receiver" maxLength:"100"`
}) (*answer[api.Page[api.Delivery]], error) {
	f := desk.DeliveryFilter{State: in.State, Receiver: in.Receiver, Limit: in.Limit}
	before, err := web.ReadCursor[place](in.Cursor)
	if err != nil {
		return nil, err
	}
	f.Before = before
	all, more, err := h.Desk.Deliveries(ctx, web.Principal(ctx), f)
	if err != nil {
		return nil, err
	}
	page := api.Page[api.Delivery]{Items: []api.Delivery{}}
	for _, t := range all {
		page.Items = append(page.Items, toDelivery(t))
	}
	if more {
		last := all[len(all)-1]
		page.Next = web.Cursor(place{last.Created, last.ID})
	}
	return &answer[api.Page[api.Delivery]]{page}, nil
}

func (h *handler) restRetry(ctx context.Context, in *ByID) (*struct{}, error) {
	return nil, h.Desk.Retry(ctx, web.Principal(ctx), in.ID)
}
