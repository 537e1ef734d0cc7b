package accesshttp

import (
	"errors"
	"net/http"

	"odcm"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/access"
	"odcm/manager/access/admit"
)

type grantForm struct {
	place      access.Place
	text       string
	candidates []admit.Candidate
}

const candidatesShown = 12

func (h *handler) grantPage(w http.ResponseWriter, r *http.Request) error {
	ctx, p := r.Context(), web.Principal(r.Context())
	f := grantForm{text: r.URL.Query().Get("q")}
	var err error
	if f.place, err = h.Access.Place(ctx, p, r.PathValue("id")); err != nil {
		return err
	}
	if f.candidates, err = h.Grants.Candidates(ctx, p, string(f.place.Space), f.text, false, candidatesShown); err != nil {
		return err
	}
	return h.Site.Render(w, r, http.StatusOK, h.under(f.place, web.Page{Title: "Let somebody in", Intro: "A group or a person who may enter " + f.place.Name + ".", Body: grantBody(f)}))
}

func (f grantForm) options() []design.Option {
	var all []design.Option
	for i, c := range f.candidates {
		o := design.Option{Value: "user:" + string(c.User), Label: c.Name, Detail: "Person · " + c.Detail, On: i == 0}
		if c.Group != "" {
			o.Value, o.Detail = "group:"+string(c.Group), "Group · "+c.Detail
		}
		all = append(all, o)
	}
	return all
}

type mapForm struct {
	place      access.Place
	text       string
	team       string // chosen already
	candidates []admit.Candidate
	teams      []access.Team
	failure    string // why the teams cannot be listed
}

func (h *handler) mapPage(w http.ResponseWriter, r *http.Request) error {
	ctx, p := r.Context(), web.Principal(r.Context())
	f := mapForm{text: r.URL.Query().Get("q"), team: r.URL.Query().Get("team")}
	var err error
	if f.place, err = h.Access.Place(ctx, p, r.PathValue("id")); err != nil {
		return err
	}
	if f.candidates, err = h.Grants.Candidates(ctx, p, string(f.place.Space), f.text, true, candidatesShown); err != nil {
		return err
	}
	if f.teams, err = h.Grants.TeamsOn(ctx, p, string(f.place.Space)); err != nil {
		var public *odcm.Error
		if !errors.As(err, &public) || public.Kind == odcm.Internal || public.Kind == odcm.Denied {
			return err
		}
		f.failure = public.Message
	}
	return h.Site.Render(w, r, http.StatusOK, h.under(f.place, web.Page{Title: "Map a group to a team",
		Intro: "Whoever is in the group and may enter " + f.place.Name + " is then in the Octopus team.", Body: mapBody(f)}))
}

func (f mapForm) groups() []design.Option {
	var all []design.Option
	for i, c := range f.candidates {
		all = append(all, design.Option{Value: string(c.Group), Label: c.Name, Detail: c.Detail, On: i == 0})
	}
	return all
}

func (f mapForm) teamOptions() []design.Option {
	var all []design.Option
	for _, t := range f.teams {
		all = append(all, design.Option{Value: t.ID, Label: t.Name})
	}
	return all
}

// --- the review: what would happen, before it is saved ---
