package grouphttp

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"odcm"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/identity/group"
)

func (h *handler) listPage(w http.ResponseWriter, r *http.Request) error {
	ctx, p, q := r.Context(), web.Principal(r.Context()), r.URL.Query()
	v := listView{text: q.Get("q"), kind: q.Get("kind"), provider: q.Get("provider"), first: q.Get("cursor") == "", mayCreate: h.Groups.May(ctx, p, group.ActionCreate), now: h.Now()}
	after, err := web.ReadCursor[group.Position](q.Get("cursor"))
	if err != nil {
		return err
	}
	var more bool
	if v.groups, more, err = h.Groups.List(ctx, p, group.Query{Text: v.text, Kind: group.Kind(v.kind), Provider: odcm.ProviderID(v.provider), After: after, Limit: pageSize}); err != nil {
		return err
	}
	if more {
		v.next = v.href(url.Values{"cursor": {web.Cursor(v.groups[len(v.groups)-1].Position())}})
	}
	if v.sources, err = h.Groups.Sources(ctx); err != nil {
		return err
	}
	page := web.Page{Title: "Groups", Nav: "groups", Intro: "Who belongs together. Groups get access to Spaces, and teams there.", Body: listBody(v)}
	if v.mayCreate {
		page.Actions = design.Button(design.ButtonProps{Label: "Create", Icon: "plus", Kind: "primary", Href: "/groups/new"})
	}
	return h.Site.Render(w, r, http.StatusOK, page)
}

func crumbs(more ...design.Crumb) []design.Crumb {
	return append([]design.Crumb{{Label: "Groups", Href: "/groups"}}, more...)
}

func (h *handler) newPage(w http.ResponseWriter, r *http.Request) error {
	if err := h.Groups.Permit(r.Context(), web.Principal(r.Context()), group.ActionCreate); err != nil {
		return err
	}
	return h.renderNew(w, r, http.StatusOK, group.NewGroup{}, nil)
}

func (h *handler) renderNew(w http.ResponseWriter, r *http.Request, status int, n group.NewGroup, fault error) error {
	return h.Site.Render(w, r, status, web.Page{Title: "Create a group", Nav: "groups", Crumbs: crumbs(), Body: newBody(n, web.Fields(fault))})
}

func (h *handler) createForm(w http.ResponseWriter, r *http.Request) error {
	n := group.NewGroup{Name: r.PostFormValue("name"), Description: r.PostFormValue("description")}
	g, err := h.Groups.Create(r.Context(), web.Principal(r.Context()), n)
	switch kind := odcm.KindOf(err); {
	case kind == odcm.Invalid && !web.Enhanced(r), kind == odcm.Exists && !web.Enhanced(r):
		return h.renderNew(w, r, web.StatusOf(err), n, err)
	case err != nil:
		return err
	}
	web.Redirect(w, r, href(g.ID, "add"))
	return nil
}

// href is the address of a group's page.
func href(id odcm.GroupID, tab string) string {
	address := "/groups/" + url.PathEscape(string(id))
	if tab != "" {
		address += "/" + tab
	}
	return address
}

// frame is what the three tabs of a group share.
func (h *handler) frame(r *http.Request, tab string) (groupView, web.Page, error) {
	ctx, p := r.Context(), web.Principal(r.Context())
	g, err := h.Groups.Get(ctx, p, h.id(r))
	if err != nil {
		return groupView{}, web.Page{}, err
	}
	v := groupView{Group: g, now: h.Now()}
	if g.IsExternal() {
		sources, err := h.Groups.Sources(ctx)
		if err != nil {
			return groupView{}, web.Page{}, err
		}
		if i := slices.IndexFunc(sources, func(s group.Source) bool { return s.ID == g.External.Provider }); i >= 0 {
			v.source = sources[i]
		}
	}
	v.mayUpdate = !g.IsExternal() && h.Groups.May(ctx, p, group.ActionUpdate)
	v.mayEdit = !g.IsExternal() && h.Groups.May(ctx, p, group.ActionEdit)
	v.mayDelete = h.Groups.May(ctx, p, group.ActionDelete)
	page := web.Page{Title: g.Name, Nav: "groups", Crumbs: crumbs(), Intro: g.Description, Actions: groupActions(v)}
	for _, t := range []design.Tab{{Label: "Members", Href: href(g.ID, "")}, {Label: "Everyone", Href: href(g.ID, "everyone")}, {Label: "Nesting", Href: href(g.ID, "nesting")}} {
		t.On = t.Href == href(g.ID, tab)
		page.Tabs = append(page.Tabs, t)
	}
	return v, page, nil
}

func (h *handler) membersPage(w http.ResponseWriter, r *http.Request) error {
	v, page, err := h.frame(r, "")
	if err != nil {
		return err
	}
	after, err := web.ReadCursor[group.Position](r.URL.Query().Get("cursor"))
	if err != nil {
		return err
	}
	var more bool
	if v.members, more, err = h.Groups.Members(r.Context(), web.Principal(r.Context()), v.ID, after, pageSize); err != nil {
		return err
	}
	v.first = r.URL.Query().Get("cursor") == ""
	if more {
		v.next = href(v.ID, "") + "?cursor=" + web.Cursor(v.members[len(v.members)-1].Position())
	}
	page.Body = membersBody(v)
	return h.Site.Render(w, r, http.StatusOK, page)
}

func (h *handler) everyonePage(w http.ResponseWriter, r *http.Request) error {
	v, page, err := h.frame(r, "everyone")
	if err != nil {
		return err
	}
	after, err := web.ReadCursor[odcm.UserID](r.URL.Query().Get("cursor"))
	if err != nil {
		return err
	}
	reached, total, more, err := h.Groups.Reach(r.Context(), web.Principal(r.Context()), v.ID, after, pageSize)
	if err != nil {
		return err
	}
	v.first = r.URL.Query().Get("cursor") == ""
	if more {
		v.next = href(v.ID, "everyone") + "?cursor=" + web.Cursor(reached[len(reached)-1].User.ID)
	}
	page.Body = everyoneBody(v, reached, total)
	return h.Site.Render(w, r, http.StatusOK, page)
}

func (h *handler) nestingPage(w http.ResponseWriter, r *http.Request) error {
	v, page, err := h.frame(r, "nesting")
	if err != nil {
		return err
	}
	p := web.Principal(r.Context())
	tree, err := h.Groups.Tree(r.Context(), p, v.ID)
	if err != nil {
		return err
	}
	within, err := h.Groups.Within(r.Context(), p, v.ID)
	if err != nil {
		return err
	}
	page.Body = nestingBody(v, tree, within)
	return h.Site.Render(w, r, http.StatusOK, page)
}

func (h *handler) addPage(w http.ResponseWriter, r *http.Request) error {
	p := web.Principal(r.Context())
	if err := h.Groups.Permit(r.Context(), p, group.ActionEdit); err != nil {
		return err
	}
	g, err := h.Groups.Get(r.Context(), p, h.id(r))
	if err != nil {
		return err
	}
	v := addView{Group: g, text: r.URL.Query().Get("q")}
	if v.found, v.silent, err = h.Groups.Pick(r.Context(), p, v.text); err != nil {
		return err
	}
	v.found = slices.DeleteFunc(v.found, func(c group.Choice) bool { return c.Ref == string(g.ID) })
	return h.Site.Render(w, r, http.StatusOK, web.Page{Title: "Add to " + g.Name, Nav: "groups", Crumbs: crumbs(design.Crumb{Label: g.Name, Href: href(g.ID, "")}), Body: addBody(v)})
}

func (h *handler) editForm(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return odcm.E(odcm.Invalid, "request.malformed", "The form could not be read: go back and try again.").Because(err)
	}
	add, remove := r.PostForm["add"], r.PostForm["remove"]
	if len(add)+len(remove) == 0 {
		return odcm.E(odcm.Invalid, "group.nobody-chosen", "Choose who is to be added.").OnField("add")
	}
	if _, err := h.edit(r.Context(), web.Principal(r.Context()), h.id(r), add, remove, 0); err != nil {
		return err
	}
	if len(add) > 0 {
		h.Site.Flash(w, r, "success", plural(len(add), "member was", "members were")+" added.")
	}
	web.Redirect(w, r, href(h.id(r), ""))
	return nil
}

func (h *handler) updateForm(w http.ResponseWriter, r *http.Request) error {
	revision, err := strconv.ParseInt(r.PostFormValue("revision"), 10, 64)
	if err != nil {
		return odcm.E(odcm.Invalid, "request.malformed", "The form is not complete: load the page again.")
	}
	name, text := r.PostFormValue("name"), r.PostFormValue("description")
	if _, err := h.Groups.Update(r.Context(), web.Principal(r.Context()), h.id(r), group.Update{Name: &name, Description: &text, Revision: revision}); err != nil {
		return err
	}
	web.Redirect(w, r, href(h.id(r), ""))
	return nil
}

func (h *handler) deleteForm(w http.ResponseWriter, r *http.Request) error {
	if err := h.Groups.Delete(r.Context(), web.Principal(r.Context()), h.id(r), group.Deletion{Force: r.PostFormValue("force") == "on"}); err != nil {
		return err
	}
	h.Site.Flash(w, r, "success", "The group was deleted.")
	web.Redirect(w, r, "/groups")
	return nil
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
