package fleethttp

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"odcm"
	"odcm/api"
	"odcm/kit/web"
	"odcm/manager/fleet"
)

type answer[T any] struct{ Body T }

type onePage struct {
	Cursor string `query:"cursor" maxLength:"200" doc:"Next of the page before; absent for the first page"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"How many at most"`
}

func (h *handler) registerAPI(a huma.API) {
	op := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"Servers"}}
	}
	web.Register(a, op("list-servers", http.MethodGet, "/servers", "The machines of the fleet, the first enrolled first"), h.apiList)
	web.Register(a, op("get-server", http.MethodGet, "/servers/{id}", "A machine of the fleet and its instances"), h.apiGet)
	create := op("create-enrolment-token", http.MethodPost, "/servers/enrolment-tokens", "Make a token with which one machine becomes a server")
	create.DefaultStatus = http.StatusCreated
	web.Register(a, create, h.apiToken)
}

func (h *handler) apiList(ctx context.Context, in *onePage) (*answer[api.Page[api.Server]], error) {
	servers, next, err := h.page(ctx, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	page := api.Page[api.Server]{Items: make([]api.Server, 0, len(servers)), Next: next}
	for _, s := range servers {
		page.Items = append(page.Items, h.toServer(s))
	}
	return &answer[api.Page[api.Server]]{page}, nil
}

func (h *handler) apiGet(ctx context.Context, in *struct {
	ID string `path:"id" maxLength:"100"`
}) (*answer[api.ServerDetail], error) {
	s, instances, err := h.Fleet.Get(ctx, web.Principal(ctx), odcm.ServerID(in.ID))
	if err != nil {
		return nil, err
	}
	detail := api.ServerDetail{Server: h.toServer(s), Runs: make([]api.ServerInstance, 0, len(instances))}
	for _, i := range instances {
		detail.Runs = append(detail.Runs, toInstance(i))
	}
	return &answer[api.ServerDetail]{detail}, nil
}

func (h *handler) apiToken(ctx context.Context, in *struct{ Body api.NewEnrolmentToken }) (*answer[api.EnrolmentToken], error) {
	t, err := h.token(ctx, in.Body.Note, time.Duration(in.Body.ExpiresIn)*time.Second)
	if err != nil {
		return nil, err
	}
	return &answer[api.EnrolmentToken]{api.EnrolmentToken{Token: t.token, Manager: t.manager, Command: t.command(), Expires: t.expires}}, nil
}

func (h *handler) toServer(s fleet.Server) api.Server {
	room, reason := s.Room(h.Now())
	a := api.Server{ID: string(s.ID), Name: s.Name, Online: s.Online(h.Now()), AgentVersion: s.AgentVersion, Enrolled: s.Enrolled, Room: room, RoomReason: reason,
		Versions: append([]string{}, s.Versions...), Instances: s.Counts.Instances, Running: s.Counts.Running, Capacity: api.ServerCapacity(s.Capacity)}
	if !s.LastSeen.IsZero() {
		a.LastSeen = &s.LastSeen
	}
	return a
}

func toInstance(i fleet.Instance) api.ServerInstance {
	o := i.Observed
	return api.ServerInstance{ID: string(i.ID), Name: i.Name, Version: i.Version, Desired: string(i.Desired), State: string(o.State), Reason: o.Reason, Since: o.Since,
		URL: o.URL, OwnVersion: o.Version, InstallationID: o.InstallationID, PID: o.PID, Port: o.Port, Restarts: o.Restarts, Memory: o.Memory}
}
