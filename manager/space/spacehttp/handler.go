// Package spacehttp is how people and programs reach package space: REST operations, pages, live fragments, and the
// endpoint that the webhooks of Spaces call.
package spacehttp

import (
	"context"
	"io"
	"net/http"
	"sync"

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

// Handler serves the room. Spaces, Tasks and Site are required.
type Handler struct {
	Spaces *space.Service
	Tasks  Tasks
	Site   *web.Site
	// History draws what happened to a Space over time, on its page; nothing if nil. The roof fills it from the monitor.
	History HistoryFunc
	// Vitals tells what else is known of a Space's server, for its page; nil knows nothing.
	Vitals func(ctx context.Context, p odcm.Principal, id odcm.SpaceID) (Vitals, error)
	// Trusts knows the trusts between Spaces, for the map; nil where nobody does.
	Trusts Trusts
	// Tabs are pages about a Space that other rooms have, for who looks; none if nil.
	Tabs func(ctx context.Context, p odcm.Principal, s space.Space) []design.Tab

	viewers sync.Map // odcm.UserID -> odcm.Principal: who looks at views of their own
}

// BoardChanged has every view of the board drawn again that a page shows: Spaces.FollowBoard calls it.
func (h *Handler) BoardChanged() { h.Site.Live().Redraw("board") }

// Mount adds the room's pages, operations and fragments to the site.
func (h *Handler) Mount() {
	h.rest()
	h.pages()
	h.embed()
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

// enoughFound is with how many Spaces the palette no longer looks for names that are only similar.
const enoughFound = 8

// palette fills the switcher of every page.
func (h *Handler) palette(ctx context.Context, p odcm.Principal, text string) ([]design.Choice, error) {
	sw, err := h.Spaces.Switcher(ctx, p, text)
	if err != nil {
		return nil, err
	}
	var found []design.Choice
	shown := map[odcm.SpaceID]bool{}
	for _, group := range []struct {
		label   string
		entries []space.Entry
	}{{"Starred", sw.Starred}, {"Recent", sw.Recent}, {"Spaces", sw.Others}} {
		for _, e := range group.entries {
			shown[e.ID] = true
			found = append(found, choice(group.label, e))
		}
	}
	if text == "" || len(found) >= enoughFound {
		return found, nil
	}
	// Few have that in their names: look for those whose letters it has.
	some, _, err := h.Spaces.List(ctx, p, space.Filter{States: []space.State{space.StateActive}, Limit: space.MaxPage})
	for _, e := range some {
		if len(found) < enoughFound && !shown[e.ID] && web.Matches(e.Name, text) {
			found = append(found, choice("Similar", e))
		}
	}
	return found, err
}

func choice(group string, e space.Entry) design.Choice {
	return design.Choice{Group: group, Label: e.Name, Detail: host(e.URL), Href: "/spaces/" + e.Slug, Status: shownState(e)}
}
