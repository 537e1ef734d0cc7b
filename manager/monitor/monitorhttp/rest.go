package monitorhttp

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"odcm/api"
	"odcm/kit/web"
	"odcm/manager/monitor"
)

// day is how far back one looks who does not say.
const day = 24 * time.Hour

type handler struct{ service *monitor.Service }

// Register adds the room's operations to the site.
func Register(site *web.Site, s *monitor.Service) {
	h := &handler{service: s}
	web.Register(site.API(), huma.Operation{
		OperationID: "list-statuses", Method: http.MethodGet, Path: "/statuses", Tags: []string{"Monitoring"},
		Summary: "How all Spaces are doing that you may enter", Description: "All in one answer, made to be asked often; by identifier of the Space.",
		Responses: map[string]*huma.Response{"304": {Description: "Not Modified"}, "200": {Description: "OK", Content: map[string]*huma.MediaType{"application/json": {
			Schema: site.API().OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.Page[api.SpaceStatus]](), true, "Statuses"),
		}}}},
	}, (&statuses{service: s}).list)
	web.Register(site.API(), huma.Operation{
		OperationID: "get-space-status-history", Method: http.MethodGet, Path: "/spaces/{id}/status-history", Tags: []string{"Monitoring"},
		Summary: "How a Space was doing over a time",
	}, h.history)
	web.Register(site.API(), huma.Operation{
		OperationID: "get-space-uptime", Method: http.MethodGet, Path: "/spaces/{id}/uptime", Tags: []string{"Monitoring"},
		Summary: "How much of the time the server of a Space answered, over a day, a week, a month, a quarter and a year",
	}, h.uptime)
}

// word is the status as the wire has it.
func word(s monitor.Status) string {
	if s == monitor.Unknown {
		return "unknown"
	}
	return string(s)
}

type historyInput struct {
	ID   string    `path:"id" doc:"Identifier or slug of the Space" maxLength:"100"`
	From time.Time `query:"from" doc:"24 hours before to, if absent"`
	To   time.Time `query:"to" doc:"Now, if absent"`
}

type historyOutput struct{ Body api.StatusHistory }

func (h *handler) history(ctx context.Context, in *historyInput) (*historyOutput, error) {
	if in.To.IsZero() {
		in.To = time.Now()
	}
	if in.From.IsZero() {
		in.From = in.To.Add(-day)
	}
	found, err := h.service.History(ctx, web.Principal(ctx), in.ID, in.From.UTC(), in.To.UTC())
	if err != nil {
		return nil, err
	}
	out := &historyOutput{api.StatusHistory{From: in.From.UTC(), To: in.To.UTC(), Uptime: found.Uptime,
		WatchedSeconds: int64(found.Watched.Seconds()), Periods: make([]api.StatusPeriod, len(found.Periods))}}
	for i, p := range found.Periods {
		out.Body.Periods[i] = api.StatusPeriod{From: p.From, To: p.To, Status: word(p.Status), Reason: p.Reason}
		out.Body.To = p.To // at most now
	}
	return out, nil
}
