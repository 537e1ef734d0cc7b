package spacehttp

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"odcm"
	"odcm/kit/task"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/space"
)

var toSpaces = []design.Crumb{{Label: "Spaces", Href: "/spaces"}}

type newView struct {
	versions []space.Version
	servers  []space.Server
}

func (v newView) room() bool {
	for _, s := range v.servers {
		if s.Online && s.Capacity > 0 {
			return true
		}
	}
	return false
}

func (v newView) versionOptions() []design.Option {
	var options []design.Option
	for _, x := range v.versions {
		options = append(options, design.Option{Value: x.Number, Label: x.Product + " " + x.Number, On: x.Default})
	}
	return options
}

func (v newView) serverOptions() []design.Option {
	options := []design.Option{{Value: "", Label: "The one with the most room", On: true}}
	for _, s := range v.servers {
		o := design.Option{Value: string(s.ID), Label: s.Name, Disabled: !s.Online || s.Capacity < 1,
			Detail: fmt.Sprintf("%d run there, room for %d more", s.Instances, s.Capacity)}
		if s.Reason != "" {
			o.Detail = s.Reason
		}
		options = append(options, o)
	}
	return options
}

func (h *Handler) newPage(w http.ResponseWriter, r *http.Request) error {
	versions, servers, err := h.Spaces.Launchable(r.Context(), web.Principal(r.Context()))
	if err != nil {
		return err
	}
	return h.Site.Render(w, r, http.StatusOK, web.Page{Title: "Create a Space", Nav: "spaces", Crumbs: toSpaces,
		Intro: "A blank Octopus of its own, on a server that ODCM runs.", Body: newPage(newView{versions, servers})})
}

// newForm creates the Space and goes to its page, which shows the progress and turns into the Space when it is online.
func (h *Handler) newForm(w http.ResponseWriter, r *http.Request) error {
	sp, err := h.Spaces.Create(r.Context(), web.Principal(r.Context()), space.Creation{Name: r.PostFormValue("name"),
		Description: r.PostFormValue("description"), Version: r.PostFormValue("version"), Server: odcm.ServerID(r.PostFormValue("server"))})
	if err != nil {
		return err
	}
	web.Redirect(w, r, "/spaces/"+sp.Slug)
	return nil
}

// enlistPage asks for the connection, or shows the plan where there is a draft of one.
func (h *Handler) enlistPage(w http.ResponseWriter, r *http.Request) error {
	page := web.Page{Title: "Enlist a server", Nav: "spaces", Crumbs: toSpaces, Body: connectPage(),
		Intro: "Take Spaces of an Octopus that you have under management."}
	if draft := r.URL.Query().Get("draft"); draft != "" {
		plan, err := h.Spaces.Resume(r.Context(), web.Principal(r.Context()), draft)
		if err != nil {
			return err
		}
		page.Body = planPage(draft, plan)
	} else if err := h.mayEnlist(r); err != nil {
		return err
	}
	return h.Site.Render(w, r, http.StatusOK, page)
}

func (h *Handler) mayEnlist(r *http.Request) error {
	if p := web.Principal(r.Context()); !h.Spaces.May(r.Context(), p, space.ActionEnlist, "") {
		return odcm.E(odcm.Denied, "space.may-not-enlist", "You may not enlist servers: ask an ODCM administrator.")
	}
	return nil
}

// connectForm proves the server and goes on to the plan. The key stays behind in a sealed draft: the address that leads
// on has only the draft's id, which opens nothing to anybody else.
func (h *Handler) connectForm(w http.ResponseWriter, r *http.Request) error {
	draft, _, err := h.Spaces.Begin(r.Context(), web.Principal(r.Context()), space.Connection{URL: r.PostFormValue("url"),
		APIKey: space.Secret(r.PostFormValue("apiKey")), TLS: space.TLS{CA: r.PostFormValue("ca"), Thumbprint: r.PostFormValue("thumbprint")}})
	if err != nil {
		return err
	}
	web.Redirect(w, r, "/spaces/enlist?"+url.Values{"draft": {draft}}.Encode())
	return nil
}

func nameField(octopusSpace string) string { return "name-" + octopusSpace }

func (h *Handler) enlistForm(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	var choices []space.Choice
	for _, id := range r.PostForm["space"] {
		choices = append(choices, space.Choice{Octopus: id, Name: r.PostForm.Get(nameField(id))})
	}
	e := space.Enlistment{Choices: choices}
	readPlan(r.PostForm, &e)
	made, err := h.Spaces.Finish(r.Context(), web.Principal(r.Context()), r.PostForm.Get("draft"), e)
	if err != nil {
		return onForm(err, choices)
	}
	web.Redirect(w, r, workingHref(made[0].Task))
	return nil
}

// onForm moves what is wrong with spaces[2].name to the form's field for the third choice.
func onForm(err error, choices []space.Choice) error {
	var e *odcm.Error
	if !errors.As(err, &e) {
		return err
	}
	moved := odcm.E(e.Kind, e.Code, "%s", e.Message).Because(err)
	for _, f := range e.Fields {
		f.Field = formField(f.Field, choices)
		moved.Fields = append(moved.Fields, f)
	}
	return moved
}

func formField(field string, choices []space.Choice) string {
	rest, ok := strings.CutPrefix(field, "spaces")
	if !ok {
		return field
	}
	index, tail, _ := strings.Cut(strings.TrimPrefix(rest, "["), "]")
	if i, err := strconv.Atoi(index); err == nil && i < len(choices) && tail == ".name" {
		return nameField(choices[i].Octopus)
	}
	return "space"
}

func workingHref(id odcm.TaskID) string {
	return "/spaces/working?" + url.Values{"task": {string(id)}}.Encode()
}

type workingView struct {
	progressView
	spaces []space.Entry
}

func (v workingView) enlists() bool { return v.task.Kind == "space.enlist" }

// at is the wizard's step: behind the last one when all is done.
func (v workingView) at() int {
	if v.task.State == task.Succeeded {
		return len(enlistSteps)
	}
	return len(enlistSteps) - 1
}

func (v workingView) onward() string {
	if len(v.spaces) == 1 {
		return "/spaces/" + v.spaces[0].Slug
	}
	return "/spaces"
}

func (h *Handler) workingPage(w http.ResponseWriter, r *http.Request) error {
	ctx, p := r.Context(), web.Principal(r.Context())
	progress, err := h.progress(ctx, odcm.TaskID(r.URL.Query().Get("task")))
	if err != nil {
		return err
	}
	if !h.mayWatch(ctx, p, progress.task) {
		return odcm.E(odcm.NotFound, "task.not-found", "There is no such task, or you may not see it.")
	}
	v := workingView{progressView: progress}
	if v.spaces, _, err = h.Spaces.List(ctx, p, space.Filter{Task: progress.task.ID, Limit: space.MaxPage}); err != nil {
		return err
	}
	return h.Site.Render(w, r, http.StatusOK, web.Page{Title: progress.task.Title, Nav: "spaces", Crumbs: toSpaces, Body: workingPage(v)})
}
