package reporthttp

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"odcm"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/report"
	"odcm/manager/report/schedule"
	"odcm/manager/report/summary"
)

const rowsPerPage = 50

type scheduleList struct {
	rows        []schedule.Schedule
	first, next string
	ready       bool
}

// form is what a plan is filled in on.
type form struct {
	plan            schedule.Plan
	asked           url.Values // the plan's query
	action, submit  string
	reports, spaces []design.Option
	names           map[report.Dimension][]string
}

// shown is a schedule on its page.
type shown struct {
	schedule.Schedule
	sendings []schedule.Sending
	form     form
}

// asks are the fields of the form that say what a report is asked.
var asks = []string{"space", "project", "environment", "tenant", "kind", "by", "period"}

var (
	frames = []design.Option{{Value: "week", Label: "The last whole week"}, {Value: "month", Label: "The last whole month"}, {Value: "7d", Label: "The last 7 days"}, {Value: "30d", Label: "The last 30 days"},
		{Value: "90d", Label: "The last 90 days"}, {Value: "12m", Label: "The last 12 months"}}
	rows      = []design.Option{{Value: "", Label: "Spaces"}, {Value: "project", Label: "Projects"}, {Value: "environment", Label: "Environments"}, {Value: "tenant", Label: "Tenants"}}
	anyPeriod = append([]design.Option{{Value: "", Label: "As suits the time"}}, periods...)
)

// everies are the days on which a report can be sent, in one list: which day there is depends on how often.
var everies = func() []design.Option {
	all := []design.Option{{Value: "daily 0", Label: "Every day"}}
	for day := range 7 {
		all = append(all, design.Option{Value: fmt.Sprintf("weekly %d", day+1), Label: "Every " + time.Weekday((day+1)%7).String()})
	}
	for day := range 31 {
		label := fmt.Sprintf("Every month on day %d", day+1)
		if day == 30 {
			label = "Every month on its last day"
		}
		all = append(all, design.Option{Value: fmt.Sprintf("monthly %d", day+1), Label: label})
	}
	return all
}()

// sorted names the hidden field by whose column the report's page was sorted: another report, or other rows, may not have it.
func sorted(report, by string) string { return "sort-" + report + "-" + by }

func every(p schedule.Plan) string { return fmt.Sprintf("%s %d", p.Every, p.Day) }

// frame is what the plan's query says of the time: fixed days are written as one choice.
func (f form) frame() string {
	if f.asked.Get("from") != "" {
		return f.asked.Get("from") + ".." + f.asked.Get("to")
	}
	return cmp.Or(f.asked.Get("last"), "30d")
}

// frames are the times to choose from, with the one that is chosen.
func (f form) frames() []design.Option {
	chosen := f.frame()
	if slices.ContainsFunc(frames, func(o design.Option) bool { return o.Value == chosen }) {
		return frames
	}
	label := "The last " + strings.NewReplacer("d", " days", "m", " months").Replace(chosen)
	if from, to, fixed := strings.Cut(chosen, ".."); fixed {
		label = from + " to " + to
	}
	return append([]design.Option{{Value: chosen, Label: label}}, frames...)
}

// choices are the names of a dimension, with the one that is chosen.
func choices(names []string, chosen string) []design.Option {
	options := []design.Option{{Value: "", Label: "All"}}
	if chosen != "" && !slices.Contains(names, chosen) {
		names = append([]string{chosen}, names...)
	}
	for _, name := range names {
		options = append(options, design.Option{Value: name, Label: name})
	}
	return options
}

// form makes the form with what there is to choose from.
func (h *handler) form(r *http.Request, plan schedule.Plan, action, submit string) (f form, err error) {
	ctx, p := r.Context(), web.Principal(r.Context())
	f = form{plan: plan, action: action, submit: submit, reports: h.reports(r), names: map[report.Dimension][]string{}}
	if f.asked, err = url.ParseQuery(plan.Query); err != nil {
		return f, odcm.E(odcm.Invalid, "request.query", "The filters cannot be read.").Because(err)
	}
	chosen := f.asked.Get("space")
	if f.spaces, err = h.spaces(ctx, p, chosen); err != nil {
		return f, err
	}
	for of := range titles {
		f.names[of], err = h.Reports.Choices(ctx, p, of, summary.Request{Space: chosen})
		if err != nil && odcm.KindOf(err) != odcm.NotFound { // a Space that is gone leaves its name to be changed
			return f, err
		}
	}
	return f, nil
}

var reportsCrumb = design.Crumb{Label: "Reports", Href: "/reports"}

var schedulesCrumb = design.Crumb{Label: "Sent by e-mail", Href: "/report-schedules"}

func clock(p schedule.Plan) string { return fmt.Sprintf("%02d:%02d", p.Hour, p.Minute) }

func lines(all []string) string { return strings.Join(all, "\n") }

// when says a plan's times in words.
func when(p schedule.Plan) string {
	at := " at " + clock(p) + " (" + p.Zone + ")"
	switch p.Every {
	case schedule.Weekly:
		return time.Weekday(p.Day%7).String() + "s" + at
	case schedule.Monthly:
		return fmt.Sprintf("Day %d of the month%s", p.Day, at)
	}
	return "Every day" + at
}

func (h *handler) schedulesPage(w http.ResponseWriter, r *http.Request) error {
	after, err := web.ReadCursor[schedule.Position](r.URL.Query().Get("cursor"))
	if err != nil {
		return err
	}
	l := scheduleList{ready: h.Schedules.Ready()}
	if l.rows, err = h.Schedules.List(r.Context(), web.Principal(r.Context()), after, rowsPerPage+1); err != nil {
		return err
	}
	if len(l.rows) > rowsPerPage {
		l.rows = l.rows[:rowsPerPage]
		last := l.rows[rowsPerPage-1]
		l.next = "/report-schedules?cursor=" + web.Cursor(schedule.Position{Name: last.Name, ID: last.ID})
	}
	if after != (schedule.Position{}) {
		l.first = "/report-schedules"
	}
	return h.Site.Render(w, r, http.StatusOK, web.Page{Title: "Sent by e-mail", Nav: "reports", Crumbs: []design.Crumb{reportsCrumb}, Intro: "Reports that go out by themselves.",
		Actions: design.Button(design.ButtonProps{Label: "Schedule a report", Icon: "plus", Kind: "primary", Href: "/report-schedules/new"}), Body: schedulesBody(l)})
}

// reports are those that the principal may be sent.
func (h *handler) reports(r *http.Request) (options []design.Option) {
	for _, k := range h.Reports.Allowed(r.Context(), web.Principal(r.Context())) {
		options = append(options, design.Option{Value: k.Name, Label: k.Title})
	}
	return options
}

func (h *handler) newSchedulePage(w http.ResponseWriter, r *http.Request) error {
	if !h.Schedules.Allowed(r.Context(), web.Principal(r.Context())) {
		return odcm.E(odcm.Denied, "identity.role-missing", "You may not schedule reports: ask an administrator of ODCM.")
	}
	q := r.URL.Query()
	plan := schedule.Plan{Report: q.Get("report"), Every: schedule.Weekly, Day: 1, Hour: 8, Zone: q.Get("zone")}
	for _, name := range []string{"report", "offset"} {
		q.Del(name)
	}
	if q.Get("last") == "" && q.Get("from") == "" {
		q.Set("last", "week")
	}
	plan.Query = q.Encode()
	f, err := h.form(r, plan, "/report-schedules", "Schedule")
	if err != nil {
		return err
	}
	return h.Site.Render(w, r, http.StatusOK, web.Page{Title: "Send a report by e-mail", Nav: "reports", Crumbs: []design.Crumb{reportsCrumb, schedulesCrumb},
		Intro: "What it shows is what you may see when it is sent.", Body: scheduleForm(f)})
}

// planOf reads the form.
func planOf(r *http.Request) (p schedule.Plan, err error) {
	if err := r.ParseForm(); err != nil {
		return p, odcm.E(odcm.Invalid, "request.form", "The form cannot be read.").Because(err)
	}
	f := r.PostForm
	q := url.Values{}
	for _, name := range asks {
		if value := f.Get(name); value != "" {
			q.Set(name, value)
		}
	}
	if sort := f.Get(sorted(f.Get("report"), f.Get("by"))); sort != "" {
		q.Set("sort", sort)
	}
	if from, to, fixed := strings.Cut(f.Get("last"), ".."); fixed {
		q.Set("from", from)
		q.Set("to", to)
	} else {
		q.Set("last", from)
	}
	p = schedule.Plan{Name: f.Get("name"), Report: f.Get("report"), Query: q.Encode(), Zone: f.Get("zone"),
		To: strings.FieldsFunc(f.Get("to"), func(c rune) bool { return strings.ContainsRune("\r\n,; ", c) })}
	if n, err := fmt.Sscanf(f.Get("time"), "%d:%d", &p.Hour, &p.Minute); err != nil || n != 2 {
		return p, odcm.E(odcm.Invalid, "report.schedule-invalid", "The time of day is such as 08:30.").OnField("time")
	}
	if n, err := fmt.Sscanf(f.Get("every"), "%s %d", &p.Every, &p.Day); err != nil || n != 2 {
		return p, odcm.E(odcm.Invalid, "report.schedule-invalid", "Choose the days on which it is sent.").OnField("every")
	}
	return p, nil
}

func (h *handler) createSchedule(w http.ResponseWriter, r *http.Request) error {
	plan, err := planOf(r)
	if err != nil {
		return err
	}
	made, err := h.Schedules.Create(r.Context(), web.Principal(r.Context()), plan)
	if err != nil {
		return err
	}
	h.Site.Flash(w, r, "success", "It is sent for the first time on "+made.Due.Format("2 Jan 2006 15:04 UTC")+".")
	web.Redirect(w, r, "/report-schedules/"+url.PathEscape(made.ID))
	return nil
}

func (h *handler) schedulePage(w http.ResponseWriter, r *http.Request) error {
	ctx, p := r.Context(), web.Principal(r.Context())
	found, err := h.Schedules.Get(ctx, p, r.PathValue("id"))
	if err != nil {
		return err
	}
	s := shown{Schedule: found}
	if s.form, err = h.form(r, found.Plan, "/report-schedules/"+found.ID, "Save"); err != nil {
		return err
	}
	if s.sendings, err = h.Schedules.Sendings(ctx, p, found.ID, rowsPerPage); err != nil {
		return err
	}
	return h.Site.Render(w, r, http.StatusOK, web.Page{Title: found.Name, Nav: "reports", Crumbs: []design.Crumb{reportsCrumb, schedulesCrumb}, Intro: when(found.Plan) + ", as " + found.OwnerIs + " sees it.",
		Actions: scheduleActions(s), Body: scheduleBody(s)})
}

func (h *handler) changeSchedule(w http.ResponseWriter, r *http.Request) error {
	plan, err := planOf(r)
	if err != nil {
		return err
	}
	changed, err := h.Schedules.Update(r.Context(), web.Principal(r.Context()), r.PathValue("id"), 0, plan)
	if err != nil {
		return err
	}
	h.Site.Flash(w, r, "success", "Saved.")
	web.Redirect(w, r, "/report-schedules/"+url.PathEscape(changed.ID))
	return nil
}

func (h *handler) actOnSchedule(w http.ResponseWriter, r *http.Request) error {
	ctx, p, id := r.Context(), web.Principal(r.Context()), r.PathValue("id")
	to, said := "/report-schedules/"+url.PathEscape(id), ""
	var err error
	switch r.PathValue("verb") {
	case "send":
		_, err = h.Schedules.SendNow(ctx, p, id)
		said = "It is on its way."
	case "pause":
		_, err = h.Schedules.Pause(ctx, p, id, true)
		said = "Paused."
	case "resume":
		_, err = h.Schedules.Pause(ctx, p, id, false)
		said = "Resumed."
	case "delete":
		err = h.Schedules.Delete(ctx, p, id)
		to, said = "/report-schedules", "Deleted."
	default:
		err = odcm.E(odcm.NotFound, "request.not-found", "There is nothing here.")
	}
	if err != nil {
		return err
	}
	h.Site.Flash(w, r, "success", said)
	web.Redirect(w, r, to)
	return nil
}
