package accesshttp

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/a-h/templ"
	"github.com/danielgtaylor/huma/v2"

	"odcm"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/access"
	"odcm/manager/access/push"
	"odcm/manager/access/roster"
)

// accounts are the pages and operations about whose accounts the users of a Space's server are, and about drift.
type accounts struct {
	site   *web.Site
	roster *roster.Roster
	push   *push.Push
}

// RegisterAccounts adds pages and operations of accounts and of the push to the site.
func RegisterAccounts(site *web.Site, r *roster.Roster, p *push.Push) {
	h := &accounts{site, r, p}
	site.Handle("GET /spaces/{id}/access/accounts", h.page)
	site.Handle("POST /spaces/{id}/access/accounts", h.decide)
	site.Handle("POST /spaces/{id}/access/policy", h.policy)
	a := site.API()
	op := func(id, method, path, summary string, status int) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, DefaultStatus: status, Tags: []string{"Access"}}
	}
	web.Register(a, op("list-accounts", "GET", "/spaces/{id}/accounts", "List the users of a Space's server, asking it, with who they are in ODCM", http.StatusOK), h.list)
	web.Register(a, op("decide-accounts", "POST", "/spaces/{id}/accounts", "Say whose accounts of a Space's server are", http.StatusNoContent), h.choose)
	web.Register(a, op("get-pushed", "GET", "/spaces/{id}/pushed", "Say how it stands with the people and teams that ODCM brings to a Space, and what somebody changed there", http.StatusOK), h.pushed)
	web.Register(a, op("set-push-policy", "PUT", "/spaces/{id}/pushed", "Choose what is done about what somebody else changes in a Space", http.StatusNoContent), h.setPolicy)
}

// Pushed draws what differs on a Space's server, for [Options]; nothing for whoever may not see it.
func Pushed(r *roster.Roster, entry *access.Service) PushedFunc {
	return func(ctx context.Context, p odcm.Principal, id odcm.SpaceID) (templ.Component, error) {
		place, s, err := r.PushedTo(ctx, p, string(id))
		if odcm.KindOf(err) == odcm.NotFound || odcm.KindOf(err) == odcm.Denied {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		may := entry.Allowed(ctx, p, access.ActionPolicy, id)
		return pushedCard(pushedView{place, s, may}), nil
	}
}

type pushedView struct {
	place access.Place
	roster.Pushed
	may bool
}

func (v pushedView) href(tail string) string { return "/spaces/" + ref(v.place) + "/access" + tail }

func (v pushedView) drifted() (teams []roster.TeamState) {
	for _, t := range v.Teams {
		if t.Drift.Len() > 0 || t.Failure != "" {
			teams = append(teams, t)
		}
	}
	return teams
}

func (v pushedView) policies() []design.Option {
	return []design.Option{
		{Value: string(roster.Repair), Label: "Put right at once", On: v.Policy != roster.Leave},
		{Value: string(roster.Leave), Label: "Leave and show", On: v.Policy == roster.Leave},
	}
}

// diff says in words what somebody did to a team.
func diff(d roster.TeamDrift) string {
	names := func(all []roster.DriftMember) string {
		var out []string
		for _, m := range all[:min(5, len(all))] {
			out = append(out, m.Name)
		}
		if n := len(all) - len(out); n > 0 {
			out = append(out, fmt.Sprintf("%d more", n))
		}
		return strings.Join(out, ", ")
	}
	var parts []string
	if len(d.Added) > 0 {
		parts = append(parts, "added "+names(d.Added))
	}
	if len(d.Removed) > 0 {
		parts = append(parts, "took out "+names(d.Removed))
	}
	if n := len(d.Groups); n > 0 {
		parts = append(parts, "took out "+plural(n, "group", "groups")+" of ODCM")
	}
	return "Somebody " + strings.Join(parts, "; ") + "."
}

// accountsView is one page of accounts.
type accountsView struct {
	place  access.Place
	freely bool // whether he decides anything, or what the rules suggest alone
	rows   []roster.Seen
	show   string
	text   string
	counts map[string]int
	total  int
	first  string
	next   string
}

func (v accountsView) href(show, text string, from int) string {
	q := url.Values{}
	if show != "" {
		q.Set("show", show)
	}
	if text != "" {
		q.Set("q", text)
	}
	if from > 0 {
		q.Set("from", strconv.Itoa(from))
	}
	return strings.TrimSuffix("/spaces/"+ref(v.place)+"/access/accounts?"+q.Encode(), "?")
}

// sorts of accounts, as the page has them.
var sorts = []struct{ id, label string }{{"conflicts", "To decide"}, {"unmatched", "Nobody's"}, {"known", "Known people"}, {"untouched", "Untouched"}}

func sortOf(s roster.Seen) string {
	switch {
	case s.Untouched != "":
		return "untouched"
	case s.Conflict != roster.NoConflict:
		return "conflicts"
	case s.Person.ID != "":
		return "known"
	}
	return "unmatched"
}

func (v accountsView) chips() []design.Chip {
	chips := []design.Chip{{Label: "All", On: v.show == "", Href: v.href("", v.text, 0)}}
	for _, s := range sorts {
		chips = append(chips, design.Chip{Label: fmt.Sprintf("%s (%d)", s.label, v.counts[s.id]), On: v.show == s.id, Href: v.href(s.id, v.text, 0)})
	}
	return chips
}

func (h *accounts) page(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	place, seen, err := h.roster.AccountsOf(r.Context(), web.Principal(r.Context()), r.PathValue("id"))
	if err != nil {
		return err
	}
	v := accountsView{place: place, freely: h.roster.DecidesAnything(r.Context(), web.Principal(r.Context())), show: q.Get("show"), text: q.Get("q"), counts: map[string]int{}}
	var rows []roster.Seen
	for _, s := range seen {
		if !strings.Contains(strings.ToLower(s.Username+" "+s.DisplayName+" "+s.Email+" "+s.Person.Called()), strings.ToLower(v.text)) {
			continue
		}
		v.counts[sortOf(s)]++
		if v.show == "" || v.show == sortOf(s) {
			rows = append(rows, s)
		}
	}
	v.total = len(rows)
	from, _ := strconv.Atoi(q.Get("from"))
	from = min(max(0, from), len(rows))
	v.rows = rows[from:min(len(rows), from+rowsPerPage)]
	if from > 0 {
		v.first = v.href(v.show, v.text, 0)
	}
	if from+rowsPerPage < len(rows) {
		v.next = v.href(v.show, v.text, from+rowsPerPage)
	}
	page := web.Page{Title: "Accounts", Nav: "spaces", Space: place.Name, Intro: "The users of the server of " + place.Name + ", and who they are in ODCM.", Body: accountsBody(v),
		Crumbs: []design.Crumb{{Label: "Spaces", Href: "/spaces"}, {Label: place.Name, Href: "/spaces/" + ref(place)}, {Label: "Access", Href: "/spaces/" + ref(place) + "/access"}}}
	return h.site.Render(w, r, http.StatusOK, page)
}

const accountField = "account-"

func (h *accounts) decide(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	var choices []roster.Choice
	for name, values := range r.PostForm {
		id, is := strings.CutPrefix(name, accountField)
		if !is || values[0] == "" {
			continue
		}
		do, person, _ := strings.Cut(values[0], "/")
		choices = append(choices, roster.Choice{Account: id, Do: roster.Doing(do), Person: odcm.UserID(person)})
	}
	if err := h.roster.DecideAt(r.Context(), web.Principal(r.Context()), r.PathValue("id"), choices); err != nil {
		return err
	}
	web.Redirect(w, r, "/spaces/"+url.PathEscape(r.PathValue("id"))+"/access/accounts")
	return nil
}

// deeds are what can become of an account, for a select.
func deeds(s roster.Seen, freely bool) []design.Option {
	first := design.Option{Label: "Decide later", On: true}
	switch {
	case s.Untouched == "local":
		return []design.Option{{Label: "Left to the server", On: true}, {Value: string(roster.Undo), Label: "Take that back"}}
	case s.Untouched == "key" && s.Person.ID == "" && len(s.Between) == 0:
		first.Label = "Nobody's, and of ODCM's API key"
	case s.Untouched == "service":
		return []design.Option{{Label: "A service account", On: true}}
	case s.Person.ID != "" && s.Decision != "":
		return []design.Option{{Label: "Is " + s.Person.Called(), On: true}, {Value: string(roster.Undo), Label: "Is somebody else"}}
	case s.Person.ID != "":
		first = design.Option{Label: "Looks like " + s.Person.Called(), On: true}
		s.Between = []access.Person{s.Person}
	case s.Decision == roster.Invited:
		first.Label = "Invited"
	}
	options := []design.Option{first}
	for _, p := range s.Between {
		options = append(options, design.Option{Value: string(roster.Link) + "/" + string(p.ID), Label: "Is " + p.Called()})
	}
	if s.Untouched == "" {
		options = append(options, design.Option{Value: string(roster.Local), Label: "Leave to the server for good"})
	}
	if freely && len(s.Between) == 0 && s.Untouched == "" {
		if s.Email != "" && s.Decision != roster.Invited {
			options = append(options, design.Option{Value: string(roster.Invite), Label: "Invite " + s.Email})
		}
		options = append(options, design.Option{Value: string(roster.Create), Label: "Make a person of it"})
	}
	return options
}

func seenName(s roster.Seen) string {
	name := s.Username
	if s.DisplayName != "" && s.DisplayName != s.Username {
		name = s.DisplayName + " (" + s.Username + ")"
	}
	return name
}

func seenHelp(s roster.Seen) string {
	parts := []string{}
	if s.Email != "" {
		parts = append(parts, s.Email)
	}
	if len(s.Providers) > 0 {
		parts = append(parts, "signs in through "+strings.Join(s.Providers, ", "))
	}
	if !s.Active {
		parts = append(parts, "disabled")
	}
	if s.Untouched == "key" {
		parts = append(parts, "ODCM uses its API key, so it never writes to it")
	}
	text := strings.Join(parts, " · ")
	if why := s.Because(); why != "" {
		text = strings.TrimPrefix(text+" · "+why, " · ")
	}
	return text
}

func (h *accounts) policy(w http.ResponseWriter, r *http.Request) error {
	if err := h.push.SetPolicy(r.Context(), web.Principal(r.Context()), r.PathValue("id"), roster.DriftPolicy(r.PostFormValue("drift"))); err != nil {
		return err
	}
	web.Redirect(w, r, "/spaces/"+url.PathEscape(r.PathValue("id"))+"/access")
	return nil
}
