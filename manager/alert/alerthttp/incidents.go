package alerthttp

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"odcm"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/alert"
	"odcm/manager/alert/desk"
)

// group is what one rule found.
type group struct {
	rule      string
	incidents []alert.Incident
}

func (g group) title() string {
	if n := len(g.incidents); n > 1 {
		return g.rule + " (" + strconv.Itoa(n) + ")"
	}
	return g.rule
}

type nowView struct {
	all    []alert.Incident
	groups []group
	more   bool
}

func (h *handler) nowPage(w http.ResponseWriter, r *http.Request) error {
	ctx, p := r.Context(), web.Principal(r.Context())
	open, next, err := h.Desk.Incidents(ctx, p, desk.IncidentFilter{Phase: "open", Limit: 200})
	if err != nil {
		return err
	}
	v := nowView{all: open, more: next.ID != ""}
	firing := 0
	for _, severity := range []alert.Severity{alert.Critical, alert.Warning, alert.Info} {
		at := map[string]int{}
		for _, i := range open {
			if i.Severity != severity {
				continue
			}
			if i.Phase == alert.Firing {
				firing++
			}
			k, known := at[i.Rule]
			if !known {
				k = len(v.groups)
				at[i.Rule] = k
				v.groups = append(v.groups, group{rule: i.RuleName})
			}
			v.groups[k].incidents = append(v.groups[k].incidents, i)
		}
	}
	page := web.Page{Title: "Alerts", Nav: "alerts", Intro: "What is wrong now, the gravest first.", Tabs: h.tabs(ctx, p, "/alerts"), Body: nowBody(v)}
	if firing > 0 {
		page.Notice = strconv.Itoa(firing) + " firing"
	}
	return h.Site.Render(w, r, http.StatusOK, page)
}

// standing says who knows of an incident.
func standing(i alert.Incident) string {
	switch {
	case i.Phase == alert.Resolved:
		return ""
	case !i.Acked.At.IsZero():
		return i.Acked.By + " has taken it on"
	case i.Quiet != "":
		return "Quiet: " + i.Quiet
	case i.Phase == alert.Pending:
		return "Not yet"
	case len(i.Told) == 0:
		return "Nobody yet"
	}
	return strconv.Itoa(len(i.Told)) + " told"
}

func tone(s alert.Severity) string {
	switch s {
	case alert.Critical:
		return "danger"
	case alert.Warning:
		return "warning"
	}
	return "info"
}

func noteTone(kind string) string {
	switch kind {
	case "firing", "flapping":
		return "danger"
	case "resolved", "stable":
		return "success"
	case "acknowledged":
		return "accent"
	}
	return "neutral"
}

func stateTone(state string) string {
	switch state {
	case "sent", "handed-over":
		return "success"
	case "parked", "expired":
		return "danger"
	case "queued":
		return "info"
	}
	return "neutral"
}

// stateName says how a delivery went.
func stateName(t desk.Told) string {
	switch t.State {
	case "handed-over":
		return "given to mail"
	case "merged":
		return "said with the one before"
	case "parked":
		return "refused"
	case "queued":
		if t.Attempts > 0 {
			return "tried " + strconv.FormatInt(t.Attempts, 10) + " times"
		}
		return "waits"
	}
	return t.State
}

type historyView struct {
	filter      desk.IncidentFilter
	all         []alert.Incident
	rules       []alert.Rule
	first, next string
}

func (v historyView) ruleOptions() []design.Option {
	options := []design.Option{{Value: "", Label: "Any"}}
	for _, r := range v.rules {
		options = append(options, design.Option{Value: r.ID, Label: r.Name})
	}
	return options
}

func (h *handler) historyPage(w http.ResponseWriter, r *http.Request) error {
	ctx, p, q := r.Context(), web.Principal(r.Context()), r.URL.Query()
	v := historyView{filter: desk.IncidentFilter{Text: q.Get("q"), Phase: q.Get("state"), Severity: q.Get("severity"), Rule: q.Get("rule"), Limit: pageSize}}
	var err error
	if v.filter.Before, err = web.ReadCursor[desk.Position](q.Get("cursor")); err != nil {
		return err
	}
	var next desk.Position
	if v.all, next, err = h.Desk.Incidents(ctx, p, v.filter); err != nil {
		return err
	}
	if h.Desk.Allowed(ctx, p, desk.ActionList) {
		if v.rules, err = h.Desk.Rules(ctx, p); err != nil {
			return err
		}
	}
	v.first, v.next = pager(r.URL, next.ID != "", web.Cursor(next))
	return h.Site.Render(w, r, http.StatusOK, web.Page{Title: "Alerts", Nav: "alerts", Tabs: h.tabs(ctx, p, "/alerts/history"), Body: historyBody(v)})
}

// pager makes the addresses of the first and the next page.
func pager(at *url.URL, more bool, cursor string) (first, next string) {
	q := at.Query()
	if q.Get("cursor") != "" {
		q.Del("cursor")
		first = at.Path + "?" + q.Encode()
	}
	if more {
		q.Set("cursor", cursor)
		next = at.Path + "?" + q.Encode()
	}
	return first, next
}

type incidentView struct{ d desk.Detail }

func (v incidentView) facts() []design.Fact {
	i := v.d.Incident
	facts := []design.Fact{{Label: "State", Content: state(i)}, {Label: "Began", Content: design.Time(i.Since)}}
	if !i.Fired.IsZero() {
		facts = append(facts, design.Fact{Label: "Fires since", Content: design.Time(i.Fired)})
	}
	if !i.Resolved.IsZero() {
		facts = append(facts, design.Fact{Label: "Over since", Content: design.Time(i.Resolved)}, design.Fact{Label: "Lasted", Value: alert.Took(max(i.Resolved.Sub(i.Since), 0))})
	}
	if i.Quiet != "" && i.Phase != alert.Resolved {
		facts = append(facts, design.Fact{Label: "Nobody is told", Value: i.Quiet})
	}
	if !i.Acked.At.IsZero() {
		facts = append(facts, design.Fact{Label: "Taken on by", Value: strings.TrimSpace(i.Acked.By + ". " + i.Acked.Note)})
	}
	if i.Kind == alert.KindSpace {
		facts = append(facts, design.Fact{Label: "Space", Content: linkTo("/spaces/"+i.Subject, i.Name)})
	}
	return facts
}

func (h *handler) incidentPage(w http.ResponseWriter, r *http.Request) error {
	d, err := h.Desk.Incident(r.Context(), web.Principal(r.Context()), r.PathValue("id"))
	if err != nil {
		return err
	}
	return h.Site.Render(w, r, http.StatusOK, web.Page{Title: d.RuleName + ": " + d.Name, Nav: "alerts", Crumbs: []design.Crumb{{Label: "Alerts", Href: "/alerts"}}, Body: incidentBody(incidentView{d})})
}

func (h *handler) acknowledge(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if err := h.Desk.Acknowledge(r.Context(), web.Principal(r.Context()), id, strings.TrimSpace(r.PostFormValue("note"))); err != nil {
		return err
	}
	h.Site.Flash(w, r, "success", "You have taken it on.")
	web.Redirect(w, r, "/alerts/incidents/"+url.PathEscape(id))
	return nil
}

func (h *handler) silenceIncident(w http.ResponseWriter, r *http.Request) error {
	ctx, p, id := r.Context(), web.Principal(r.Context()), r.PathValue("id")
	d, err := h.Desk.Incident(ctx, p, id)
	if err != nil {
		return err
	}
	hours, err := strconv.Atoi(r.PostFormValue("hours"))
	if err != nil || hours < 1 || hours > 24*366 {
		return odcm.E(odcm.Invalid, "alert.silence-time", "Say for how many hours.").OnField("hours")
	}
	s := alert.Silence{Until: h.Now().Add(time.Duration(hours) * time.Hour), Comment: r.PostFormValue("comment")}
	if d.Kind == alert.KindSpace {
		s.Space = odcm.SpaceID(d.Subject)
	} else if s.Matchers, err = alert.ParseMatchers(`name=` + quoted(d.Name)); err != nil {
		return err
	}
	if _, err := h.Desk.CreateSilence(ctx, p, s); err != nil {
		return err
	}
	h.Site.Flash(w, r, "success", d.Name+" is silent.")
	web.Redirect(w, r, "/alerts/incidents/"+url.PathEscape(id))
	return nil
}

func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

type deliveriesView struct {
	state       string
	all         []desk.Told
	first, next string
	edits       bool
}

func (v deliveriesView) chips() (all []design.Chip) {
	for _, c := range [][2]string{{"", "All"}, {"queued", "Waiting"}, {"parked", "Refused"}, {"expired", "Given up"}} {
		all = append(all, design.Chip{Label: c[1], Href: "/alerts/deliveries?state=" + c[0], On: v.state == c[0]})
	}
	return all
}

func (h *handler) deliveriesPage(w http.ResponseWriter, r *http.Request) error {
	ctx, p, q := r.Context(), web.Principal(r.Context()), r.URL.Query()
	f := desk.DeliveryFilter{State: q.Get("state"), Receiver: q.Get("receiver"), Limit: pageSize}
	before, err := web.ReadCursor[place](q.Get("cursor"))
	if err != nil {
		return err
	}
	f.Before = before
	told, more, err := h.Desk.Deliveries(ctx, p, f)
	if err != nil {
		return err
	}
	v := deliveriesView{state: f.State, all: told, edits: h.Desk.Allowed(ctx, p, desk.ActionConfigure)}
	if len(told) > 0 {
		last := told[len(told)-1]
		v.first, v.next = pager(r.URL, more, web.Cursor(place{last.Created, last.ID}))
	}
	return h.Site.Render(w, r, http.StatusOK, web.Page{Title: "Alerts", Nav: "alerts", Tabs: h.tabs(ctx, p, "/alerts/deliveries"), Body: deliveriesBody(v)})
}

func (h *handler) retry(w http.ResponseWriter, r *http.Request) error {
	if err := h.Desk.Retry(r.Context(), web.Principal(r.Context()), r.PathValue("id")); err != nil {
		return err
	}
	h.Site.Flash(w, r, "success", "It is tried again.")
	web.Redirect(w, r, "/alerts/deliveries?state=queued")
	return nil
}
