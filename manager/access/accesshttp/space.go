package accesshttp

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/a-h/templ"

	"odcm"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/access"
	"odcm/manager/access/admit"
)

// spaceView is the access page of one Space.
type spaceView struct {
	place             access.Place
	grants            []admit.Listed
	moreGrants        bool
	mapped            []admit.Mapped
	people            []admit.Entrant
	total             int
	text, first, next string
	standing          access.Standing
	tells             bool // whether anything is known of what has arrived
	mayGrant, mayMap  bool
	mayRevoke         bool
	pushed            templ.Component
}

func (v spaceView) href(tail string) string { return "/spaces/" + v.place.Slug + "/access" + tail }

func (h *handler) spacePage(w http.ResponseWriter, r *http.Request) error {
	ctx, p, ref := r.Context(), web.Principal(r.Context()), r.PathValue("id")
	v := spaceView{text: r.URL.Query().Get("q")}
	var err error
	if v.place, err = h.Access.Place(ctx, p, ref); err != nil {
		return err
	}
	grants, next, err := h.Grants.Grants(ctx, p, admit.Filter{Space: string(v.place.Space), Limit: admit.MaxPage})
	if err != nil {
		return err
	}
	v.grants, v.moreGrants = grants, next != (admit.Position{})
	if v.mapped, err = h.Grants.Mappings(ctx, p, string(v.place.Space)); err != nil {
		return err
	}
	after, err := web.ReadCursor[odcm.UserID](r.URL.Query().Get("cursor"))
	if err != nil {
		return err
	}
	var behind odcm.UserID
	v.people, v.total, behind, err = h.Grants.People(ctx, p, string(v.place.Space), admit.EntrantFilter{Text: v.text, After: after, Limit: rowsPerPage})
	if err != nil {
		return err
	}
	q := url.Values{}
	if v.text != "" {
		q.Set("q", v.text)
	}
	if after != "" {
		v.first = v.href("?" + q.Encode())
	}
	if behind != "" {
		q.Set("cursor", web.Cursor(behind))
		v.next = v.href("?" + q.Encode())
	}
	if v.standing, err = h.Grants.Standing(ctx, p, string(v.place.Space)); err != nil {
		return err
	}
	v.tells = v.standing != (access.Standing{})
	v.mayGrant = h.Access.Allowed(ctx, p, access.ActionGrant, v.place.Space)
	v.mayRevoke = h.Access.Allowed(ctx, p, access.ActionRevoke, v.place.Space)
	v.mayMap = h.Access.Allowed(ctx, p, access.ActionMap, v.place.Space)
	if h.Pushed != nil {
		if v.pushed, err = h.Pushed(ctx, p, v.place.Space); err != nil {
			return err
		}
	}
	tabs := h.Tabs(v.place.Slug)
	mine := Tab(v.place.Slug)
	mine.On = true
	return h.Site.Render(w, r, http.StatusOK, h.frame(v.place, web.Page{Title: v.place.Name, Tabs: append(tabs, mine), Actions: spaceActions(v), Body: spaceBody(v)}))
}

func (v spaceView) follows() string {
	return "grant.access/" + string(v.place.Space) + " account.access/" + string(v.place.Space)
}

// enter says in a few words how many may enter.
func (v spaceView) enter() string { return plural(v.total, "person", "people") }

// took is how long the last revocation took, for people.
func (v spaceView) took() string {
	if v.standing.Revoke == 0 {
		return "–"
	}
	return design.Took(v.standing.Revoke)
}

// behind says how much of what was pushed has not arrived.
func (v spaceView) behind() string {
	s := v.standing
	switch {
	case s.Failed > 0:
		return fmt.Sprintf("%d refused there", s.Failed)
	case s.Pending > 0:
		return fmt.Sprintf("%d on their way", s.Pending)
	case s.Drifted > 0:
		return fmt.Sprintf("%d changed there", s.Drifted)
	}
	return "everything has arrived"
}

// arrivalLook is how an arrival is shown: a state of the design system and a word.
func arrivalLook(a access.Arrival) (tone, word string) {
	switch a.State {
	case access.Applied:
		return "success", "Applied"
	case access.Pending:
		return "info", "On the way"
	case access.Failed:
		return "danger", "Refused"
	case access.Drifted:
		return "warning", "Changed there"
	}
	return "neutral", "Unknown"
}

// --- letting in and mapping: search, then choose, then review ---
