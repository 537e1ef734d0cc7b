package monitorhttp

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"odcm/api"
	"odcm/kit/web"
	"odcm/manager/monitor"
)

// day is how far back one looks who does not say.
const day = 24 * time.Hour

type handler struct {
	service *monitor.Service

	mu   sync.Mutex
	last *monitor.Board // of which body is made
	body []byte
}

// Register adds the room's operations to the site.
func Register(site *web.Site, s *monitor.Service) {
	h := &handler{service: s}
	web.Register(site.API(), huma.Operation{
		OperationID: "list-statuses", Method: http.MethodGet, Path: "/statuses", Tags: []string{"Monitoring"},
		Summary: "How all Spaces are doing that you may enter", Description: "All in one answer, made to be asked often; by identifier of the Space.",
		Responses: map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{"application/json": {
			Schema: site.API().OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.Page[api.SpaceStatus]](), true, "Statuses"),
		}}}},
	}, h.statuses)
	web.Register(site.API(), huma.Operation{
		OperationID: "get-space-status-history", Method: http.MethodGet, Path: "/spaces/{id}/status-history", Tags: []string{"Monitoring"},
		Summary: "How a Space was doing over a time",
	}, h.history)
}

// statuses answers with a body that is made anew only when something changed.
func (h *handler) statuses(ctx context.Context, _ *struct{}) (*huma.StreamResponse, error) {
	board, err := h.service.Statuses(ctx, web.Principal(ctx))
	if err != nil {
		return nil, err
	}
	body, err := h.encoded(board)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		_, w := humago.Unwrap(c)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(body) // the client is gone if it fails
	}}, nil
}

func (h *handler) encoded(board *monitor.Board) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last == board {
		return h.body, nil
	}
	page := api.Page[api.SpaceStatus]{Items: make([]api.SpaceStatus, 0, len(board.Spaces))}
	for id, health := range board.Spaces {
		page.Items = append(page.Items, api.SpaceStatus{Space: string(id), Status: word(health.Status), Reason: health.Reason, Since: health.Since})
	}
	slices.SortFunc(page.Items, func(a, b api.SpaceStatus) int { return cmp.Compare(a.Space, b.Space) })
	body, err := json.Marshal(page)
	if err == nil {
		h.last, h.body = board, body
	}
	return body, err
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
