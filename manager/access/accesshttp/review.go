package accesshttp

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"odcm"
	"odcm/kit/web"
	"odcm/manager/access"
	"odcm/manager/access/admit"
	"odcm/manager/access/explain"
)

// wish is what somebody is about to do to a Space, as the forms send it.
type wish struct {
	kind       explain.ChangeKind
	grant      string // of revoke
	holder     string // of grant: "group:ID", "user:ID"
	administer bool
	until      string // of grant: days, or empty
	note       string
	team       string
	group      string
}

func readWish(v url.Values) wish {
	return wish{kind: explain.ChangeKind(v.Get("kind")), grant: v.Get("grant"), holder: v.Get("holder"), administer: v.Get("administer") == "on", until: v.Get("until"),
		note: v.Get("note"), team: v.Get("team"), group: v.Get("group")}
}

func (x wish) values() map[string]string {
	all := map[string]string{"kind": string(x.kind), "grant": x.grant, "holder": x.holder, "until": x.until, "note": x.note, "team": x.team, "group": x.group}
	if x.administer {
		all["administer"] = "on"
	}
	for name, value := range all {
		if value == "" {
			delete(all, name)
		}
	}
	return all
}

// held splits "group:ID" and "user:ID".
func (x wish) held() (group, user string) {
	kind, id, _ := strings.Cut(x.holder, ":")
	switch kind {
	case "group":
		return id, ""
	case "user":
		return "", id
	}
	return "", ""
}

// expires is the end of the grant. Until is a date, whose last moment counts.
func (x wish) expires() (time.Time, error) {
	if x.until == "" {
		return time.Time{}, nil
	}
	day, err := time.Parse(time.DateOnly, x.until)
	if err != nil {
		return time.Time{}, odcm.E(odcm.Invalid, "access.until", "%q is no date: write it as 2026-12-31.", x.until).OnField("until")
	}
	return day.AddDate(0, 0, 1), nil
}

type review struct {
	place access.Place
	wish  wish
	who   string // the group or person it is about
	team  string
	diff  explain.Difference
	first string
	next  string
}

func (h *handler) reviewPage(w http.ResponseWriter, r *http.Request) error {
	ctx, p, q := r.Context(), web.Principal(r.Context()), r.URL.Query()
	v := review{wish: readWish(q)}
	var err error
	if v.place, err = h.Access.Place(ctx, p, r.PathValue("id")); err != nil {
		return err
	}
	if _, err := v.wish.expires(); err != nil {
		return err
	}
	change, err := h.change(ctx, p, &v)
	if err != nil {
		return err
	}
	from, err := web.ReadCursor[int](q.Get("cursor"))
	if err != nil {
		return err
	}
	if v.diff, err = h.Explain.WhatIf(ctx, p, []explain.Change{change}, from, rowsPerPage); err != nil {
		return err
	}
	q.Del("cursor")
	here := "/spaces/" + v.place.Slug + "/access/review?"
	if from > 0 {
		v.first = here + q.Encode()
	}
	if v.diff.Next > 0 {
		q.Set("cursor", web.Cursor(v.diff.Next))
		v.next = here + q.Encode()
	}
	return h.Site.Render(w, r, http.StatusOK, h.under(v.place, web.Page{Title: v.title(), Intro: "Look at what would happen. Nothing is saved yet.", Body: reviewBody(v)}))
}

// change is the wish as a question, and fills in what the review calls things.
func (h *handler) change(ctx context.Context, p odcm.Principal, v *review) (explain.Change, error) {
	c := explain.Change{Kind: v.wish.kind, Space: string(v.place.Space), Team: v.wish.team, Group: v.wish.group}
	var name string
	var err error
	switch v.wish.kind {
	case explain.ToRevoke:
		g, found := h.Grants.Held(ctx, p, v.wish.grant)
		if !found || g.Space != v.place.Space {
			return c, odcm.E(odcm.NotFound, "access.grant-not-found", "There is no such grant any more.")
		}
		c.Group, c.User = string(g.Holder.Group), string(g.Holder.User)
		name = g.Name
	case explain.ToGrant:
		c.Group, c.User = v.wish.held()
		fallthrough
	case explain.ToMap, explain.ToUnmap:
		if name, v.team, err = h.Explain.Named(ctx, p, c); err != nil {
			return c, err
		}
	default:
		return c, odcm.E(odcm.Invalid, "access.change-kind", "The form is not complete: go back and try again.")
	}
	v.who = name
	if v.who == "" {
		v.who = "somebody who is not known any more"
	}
	return c, nil
}

func (v review) title() string {
	switch v.wish.kind {
	case explain.ToGrant:
		return "Let " + v.who + " in?"
	case explain.ToRevoke:
		return "Take the grant of " + v.who + " away?"
	case explain.ToMap:
		return "Put " + v.who + " into " + v.team + "?"
	}
	return "Take " + v.who + " out of " + v.team + "?"
}

func (v review) button() string {
	switch v.wish.kind {
	case explain.ToGrant:
		return "Let in"
	case explain.ToRevoke:
		return "Take away"
	case explain.ToMap:
		return "Map"
	}
	return "Unmap"
}

func (v review) kind() string {
	if v.wish.kind == explain.ToRevoke || v.wish.kind == explain.ToUnmap {
		return "danger"
	}
	return "primary"
}

func effectLook(e explain.Effect) (tone, words string) {
	switch e.Kind {
	case explain.LosesEntry:
		return "danger", "Loses entry"
	case explain.LeavesTeam:
		return "warning", "Leaves " + e.Team.Name
	case explain.GainsEntry:
		return "success", "May enter"
	}
	return "info", "Joins " + e.Team.Name
}

func (h *handler) save(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return odcm.E(odcm.Invalid, "request.malformed", "The form could not be read: go back and try again.").Because(err)
	}
	ctx, p, x := r.Context(), web.Principal(r.Context()), readWish(r.PostForm)
	place, err := h.Access.Place(ctx, p, r.PathValue("id"))
	if err != nil {
		return err
	}
	said := ""
	switch x.kind {
	case explain.ToGrant:
		group, user := x.held()
		n := admit.NewGrant{Space: string(place.Space), Group: group, User: user, Steward: x.administer, Note: x.note}
		if n.Expires, err = x.expires(); err == nil {
			var g admit.Listed
			g, err = h.Grants.Grant(ctx, p, n)
			said = g.Name + " may enter " + place.Name + "."
		}
	case explain.ToRevoke:
		err, said = h.Grants.Revoke(ctx, p, x.grant), "The grant was taken away."
	case explain.ToMap:
		err, said = h.Grants.Map(ctx, p, string(place.Space), access.Team{ID: x.team}, x.group), "The group was mapped to the team."
	case explain.ToUnmap:
		err, said = h.Grants.Unmap(ctx, p, string(place.Space), x.team, x.group), "The group was taken out of the team."
	default:
		err = odcm.E(odcm.Invalid, "access.change-kind", "The form is not complete: go back and try again.")
	}
	if err != nil {
		return err
	}
	h.Site.Flash(w, r, "success", said)
	web.Redirect(w, r, "/spaces/"+place.Slug+"/access")
	return nil
}

// --- why ---
