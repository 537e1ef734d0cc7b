// Package spacehttp is how people and programs reach package space: REST operations, pages, live fragments, and the
// endpoint that the webhooks of Spaces call.
package spacehttp

import (
	"context"
	"io"
	"net/http"

	"odcm"
	"odcm/kit/task"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/space"
)

// Tasks shows how far a task is. kit/task.Engine is one.
type Tasks interface {
	Get(ctx context.Context, id odcm.TaskID) (task.Task, error)
	Steps(ctx context.Context, id odcm.TaskID) ([]task.StepInfo, error)
	Log(ctx context.Context, id odcm.TaskID, after int64, limit int) ([]task.Line, error)
}

// Handler serves the room. All fields but the last are required.
type Handler struct {
	Spaces *space.Service
	Tasks  Tasks
	Site   *web.Site
	// History draws what happened to a Space over time, on its page; nothing if nil. The roof fills it from the monitor.
	History HistoryFunc
}

// Mount adds the room's pages, operations and fragments to the site.
func (h *Handler) Mount() {
	h.rest()
	h.pages()
	h.Site.SetSwitcher(h.palette)
	h.Site.HandlePublic("POST /hooks/spaces/{id}", h.hook)
}

// hookLimit bounds what a webhook may send, in bytes. What it says is not used: it only wakes.
const hookLimit = 64 << 10

// hook takes the call of a Space's webhook. The secret is looked at before the body is read.
func (h *Handler) hook(w http.ResponseWriter, r *http.Request) error {
	if err := h.Spaces.Hear(r.Context(), odcm.SpaceID(r.PathValue("id")), space.Secret(r.Header.Get(space.SecretHeader))); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, hookLimit)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// palette fills the switcher of every page.
func (h *Handler) palette(ctx context.Context, p odcm.Principal, text string) ([]design.Choice, error) {
	sw, err := h.Spaces.Switcher(ctx, p, text)
	if err != nil {
		return nil, err
	}
	var found []design.Choice
	for _, group := range []struct {
		label   string
		entries []space.Entry
	}{{"Starred", sw.Starred}, {"Recent", sw.Recent}, {"Spaces", sw.Others}} {
		for _, e := range group.entries {
			found = append(found, design.Choice{Group: group.label, Label: e.Name, Detail: e.URL, Href: "/spaces/" + e.Slug, Status: statusOf(e.Health)})
		}
	}
	return found, nil
}
