package alerthttp

import (
	"net/http"
	"time"

	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/alert"
	"odcm/manager/alert/desk"
)

type silencesView struct {
	all         []alert.Silence
	ended       bool
	first, next string
	edits       bool
	now         time.Time
}

func silent(s alert.Silence) string {
	if s.Space != "" {
		return string(s.Space) + " " + s.Matchers.String()
	}
	return s.Matchers.String()
}

func (h *handler) silencesPage(w http.ResponseWriter, r *http.Request) error {
	ctx, p, q := r.Context(), web.Principal(r.Context()), r.URL.Query()
	after, err := web.ReadCursor[string](q.Get("cursor"))
	if err != nil {
		return err
	}
	v := silencesView{ended: q.Get("ended") != "", now: h.Now(), edits: h.Desk.Allowed(ctx, p, desk.ActionSilence)}
	var more bool
	if v.all, more, err = h.Desk.Silences(ctx, p, v.ended, after, pageSize); err != nil {
		return err
	}
	if len(v.all) > 0 {
		v.first, v.next = pager(r.URL, more, web.Cursor(v.all[len(v.all)-1].ID))
	}
	page := web.Page{Body: silencesBody(v)}
	if v.edits {
		page.Actions = design.Button(design.ButtonProps{Label: "Silence something", Icon: "plus", Kind: "primary", Href: "/alerts/silences/new"})
	}
	return h.settings(w, r, http.StatusOK, "/alerts/silences", page)
}

type silenceView struct {
	form
	matchers, from, until, comment string
}

func (h *handler) silencePage(w http.ResponseWriter, r *http.Request) error {
	if err := h.fresh(r.Context(), web.Principal(r.Context())); err != nil {
		return err
	}
	v := silenceView{matchers: r.URL.Query().Get("matchers"), until: h.Now().UTC().Add(4 * time.Hour).Format("2006-01-02T15:04")}
	return h.settings(w, r, http.StatusOK, "/alerts/silences", web.Page{Title: "New silence", Body: silenceBody(v)})
}

func (h *handler) createSilence(w http.ResponseWriter, r *http.Request) error {
	t := &typed{r: r}
	s := alert.Silence{Matchers: t.matchers("matchers"), From: t.moment("from"), Until: t.moment("until"), Comment: t.text("comment")}
	err := t.err()
	if err == nil {
		_, err = h.Desk.CreateSilence(r.Context(), web.Principal(r.Context()), s)
	}
	if err != nil && again(r, err) {
		v := silenceView{matchers: t.text("matchers"), from: t.text("from"), until: t.text("until"), comment: t.text("comment")}
		v.wrong(r, err)
		return h.settings(w, r, web.StatusOf(err), "/alerts/silences", web.Page{Title: "New silence", Body: silenceBody(v)})
	} else if err != nil {
		return err
	}
	h.Site.Flash(w, r, "success", "It is silent.")
	web.Redirect(w, r, "/alerts/silences")
	return nil
}

func (h *handler) endSilence(w http.ResponseWriter, r *http.Request) error {
	if err := h.Desk.EndSilence(r.Context(), web.Principal(r.Context()), r.PathValue("id"), 0); err != nil {
		return err
	}
	h.Site.Flash(w, r, "success", "The silence is over.")
	web.Redirect(w, r, "/alerts/silences")
	return nil
}

type windowsView struct {
	all []alert.Window
	now time.Time
}

// when says when a window is open.
func when(w alert.Window) string {
	if w.Schedule == "" {
		return w.From.UTC().Format("2006-01-02 15:04 MST") + ", for " + alert.Took(w.Lasts)
	}
	zone := w.Zone
	if zone == "" {
		zone = "UTC"
	}
	return w.Schedule + " (" + zone + "), for " + alert.Took(w.Lasts)
}

func (h *handler) windowsPage(w http.ResponseWriter, r *http.Request) error {
	found, err := h.Desk.Windows(r.Context(), web.Principal(r.Context()))
	if err != nil {
		return err
	}
	page := web.Page{Body: windowsBody(windowsView{found, h.Now()})}
	if h.edits(r) {
		page.Actions = design.Button(design.ButtonProps{Label: "Plan maintenance", Icon: "plus", Kind: "primary", Href: "/alerts/windows/new"})
	}
	return h.settings(w, r, http.StatusOK, "/alerts/windows", page)
}

type windowView struct {
	form
	w                     alert.Window
	matchers, from, lasts string
}

func (v windowView) path() string { return pathOf(v.w.ID) }

func (h *handler) windowPage(w http.ResponseWriter, r *http.Request) error {
	ctx, p := r.Context(), web.Principal(r.Context())
	v := windowView{w: alert.Window{Enabled: true, Lasts: 2 * time.Hour}}
	var err error
	if id := identifier(r); id == "" {
		err = h.fresh(ctx, p)
	} else {
		v.w, err = h.Desk.Window(ctx, p, id)
	}
	if err != nil {
		return err
	}
	v.matchers, v.lasts = v.w.Matchers.String(), brief(v.w.Lasts)
	if !v.w.From.IsZero() {
		v.from = v.w.From.UTC().Format("2006-01-02T15:04")
	}
	return h.windowForm(w, r, http.StatusOK, v)
}

func (h *handler) windowForm(w http.ResponseWriter, r *http.Request, status int, v windowView) error {
	v.edits = h.edits(r)
	title := v.w.Name
	if v.w.ID == "" {
		title = "New maintenance window"
	}
	return h.settings(w, r, status, "/alerts/windows", web.Page{Title: title, Body: windowBody(v)})
}

func (h *handler) saveWindow(w http.ResponseWriter, r *http.Request) error {
	rev, err := revision(r)
	if err != nil {
		return err
	}
	t := &typed{r: r}
	kept := alert.Window{ID: identifier(r), Revision: rev, Name: t.text("name"), Matchers: t.matchers("matchers"), Schedule: t.text("schedule"), Zone: t.text("zone"),
		From: t.moment("from"), Lasts: t.time("lasts"), Enabled: t.on("enabled")}
	if err = t.err(); err == nil {
		_, err = h.Desk.SaveWindow(r.Context(), web.Principal(r.Context()), kept)
	}
	if err != nil && again(r, err) {
		v := windowView{w: kept, matchers: t.text("matchers"), from: t.text("from"), lasts: t.text("lasts")}
		v.wrong(r, err)
		return h.windowForm(w, r, web.StatusOf(err), v)
	} else if err != nil {
		return err
	}
	h.Site.Flash(w, r, "success", kept.Name+" was saved.")
	web.Redirect(w, r, "/alerts/windows")
	return nil
}
