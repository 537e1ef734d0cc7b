package audithttp

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"odcm"
	"odcm/api"
	"odcm/kit/eventlog"
	"odcm/kit/web"
)

// Filter is what both operations take. It is exported because huma reads no parameters from embedded types that are not.
type Filter struct {
	Type    []string  `query:"type,explode" maxItems:"50" doc:"Only events of these types" example:"space.enlisted"`
	Subject string    `query:"subject" maxLength:"100" doc:"Only events about the thing of this identifier"`
	Actor   string    `query:"actor" maxLength:"100" doc:"Only what the user of this identifier did"`
	Text    string    `query:"text" maxLength:"200" doc:"Only events whose type, name or actor's name contains this, without regard to case"`
	From    time.Time `query:"from" doc:"Only events at or after this time"`
	To      time.Time `query:"to" doc:"Only events before this time"`
}

func (f Filter) log() eventlog.Filter {
	return eventlog.Filter{Types: f.Type, Subject: f.Subject, Actor: f.Actor, Text: f.Text, From: f.From, To: f.To}
}

type listInput struct {
	Filter
	Cursor string `query:"cursor" maxLength:"200" doc:"Next of the page before; absent for the first page"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"How many at most"`
}

type listOutput struct{ Body api.Page[api.Event] }

type exportInput struct {
	Filter
	Format string `query:"format" enum:"csv,jsonl" default:"csv" doc:"csv: comma-separated values with a header line; jsonl: one JSON object per line"`
}

func (h *handler) registerAPI(a huma.API) {
	web.Register(a, huma.Operation{
		OperationID: "list-audit-events", Method: http.MethodGet, Path: "/audit/events", Tags: []string{"Audit"},
		Summary: "What everyone did, newest first", Description: "For administrators and auditors.",
	}, h.list)
	web.Register(a, huma.Operation{
		OperationID: "export-audit-events", Method: http.MethodGet, Path: "/audit/export", Tags: []string{"Audit"},
		Summary: "Every event that matches, newest first, as a file", Description: "For administrators and auditors. " +
			"In CSV a cell that a spreadsheet would take for a formula is preceded by an apostrophe.",
		Responses: map[string]*huma.Response{"200": {Description: "The file", Content: map[string]*huma.MediaType{
			formats["csv"]: {Schema: &huma.Schema{Type: huma.TypeString}}, formats["jsonl"]: {Schema: &huma.Schema{Type: huma.TypeString}},
		}}},
	}, h.export)
}

func (h *handler) list(ctx context.Context, in *listInput) (*listOutput, error) {
	f := in.log()
	var err error
	if f.Before, err = web.ReadCursor[odcm.EventID](in.Cursor); err != nil {
		return nil, err
	}
	f.Limit = in.Limit
	events, err := h.service.List(ctx, web.Principal(ctx), f)
	if err != nil {
		return nil, err
	}
	out := &listOutput{api.Page[api.Event]{Items: make([]api.Event, len(events))}}
	for i, e := range events {
		out.Body.Items[i] = toAPI(e)
	}
	if len(events) == in.Limit { // there may be more; the next page may turn out empty
		out.Body.Next = web.Cursor(events[len(events)-1].ID)
	}
	return out, nil
}

func toAPI(e odcm.Event) api.Event {
	return api.Event{ID: int64(e.ID), Time: e.Time, Type: e.Type, Subject: e.Subject, Name: e.Name, Actor: string(e.Actor), By: e.By,
		Via: e.Via, Address: e.Address, Before: e.Before, After: e.After}
}
