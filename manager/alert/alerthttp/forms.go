package alerthttp

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"odcm"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/alert"
	"odcm/manager/alert/desk"
	"odcm/manager/alert/receiver"
)

// form is what the editors have in common.
type form struct {
	whole  string
	fields map[string]string
	edits  bool
}

func (f form) field(name, label, value, help string, required bool) design.Field {
	return design.Field{Name: name, Label: label, Value: value, Help: help, Required: required, Error: f.fields[name]}
}

// wrong shows what is wrong in a form that is drawn again, for browsers without the page's script.
func (f *form) wrong(r *http.Request, err error) {
	if f.fields = web.Fields(err); len(f.fields) == 0 {
		f.whole = web.ProblemOf(r.Context(), err).Detail
	}
}

// again tells whether a form is to be drawn again rather than to be answered with the error.
func again(r *http.Request, err error) bool {
	kind := odcm.KindOf(err)
	return !web.Enhanced(r) && (kind == odcm.Invalid || kind == odcm.Conflict)
}

func revision(r *http.Request) (int64, error) {
	n, err := strconv.ParseInt(r.PostFormValue("revision"), 10, 64)
	if err != nil {
		return 0, odcm.E(odcm.Invalid, "request.malformed", "The form is not complete: load the page again.")
	}
	return n, nil
}

// identifier is what a path names: "new" is nothing yet.
func identifier(r *http.Request) string {
	if id := r.PathValue("id"); id != "new" {
		return id
	}
	return ""
}

func pathOf(id string) string {
	if id == "" {
		return "new"
	}
	return url.PathEscape(id)
}

func (h *handler) settings(w http.ResponseWriter, r *http.Request, status int, at string, page web.Page) error {
	ctx, p := r.Context(), web.Principal(r.Context())
	page.Nav = "alerts"
	if page.Title == "" {
		page.Title, page.Tabs = "Alerts", h.tabs(ctx, p, at)
	} else {
		page.Crumbs = []design.Crumb{{Label: "Alerts", Href: "/alerts"}, {Label: map[string]string{"/alerts/rules": "Rules", "/alerts/receivers": "Receivers",
			"/alerts/silences": "Silences", "/alerts/windows": "Maintenance"}[at], Href: at}}
	}
	return h.Site.Render(w, r, status, page)
}

func (h *handler) edits(r *http.Request) bool {
	return h.Desk.Allowed(r.Context(), web.Principal(r.Context()), desk.ActionConfigure)
}

// fresh refuses the form for something new to those who may not make it.
func (h *handler) fresh(ctx context.Context, p odcm.Principal) error {
	if !h.Desk.Allowed(ctx, p, desk.ActionConfigure) {
		return odcm.E(odcm.Denied, "identity.role-missing", "Setting up alerts is for administrators.")
	}
	return nil
}

type rulesView struct {
	rules []alert.Rule
	names map[string]string
}

func (v rulesView) tells(r alert.Rule) string {
	if len(r.Receivers) == 0 {
		return "The default receivers"
	}
	var all []string
	for _, id := range r.Receivers {
		all = append(all, v.names[id])
	}
	return strings.Join(all, ", ")
}

func (h *handler) rulesPage(w http.ResponseWriter, r *http.Request) error {
	ctx, p := r.Context(), web.Principal(r.Context())
	rules, err := h.Desk.Rules(ctx, p)
	if err != nil {
		return err
	}
	known, err := h.Desk.Receivers(ctx, p)
	if err != nil {
		return err
	}
	v := rulesView{rules, map[string]string{}}
	for _, k := range known {
		v.names[k.ID] = k.Name
	}
	page := web.Page{Body: rulesBody(v)}
	if h.edits(r) {
		page.Actions = design.Button(design.ButtonProps{Label: "Add a rule", Icon: "plus", Kind: "primary", Href: "/alerts/rules/new"})
	}
	return h.settings(w, r, http.StatusOK, "/alerts/rules", page)
}

type ruleView struct {
	form
	rule      alert.Rule
	receivers []receiver.Receiver
	previewed bool
	found     []alert.Reading
}

func (v ruleView) path() string    { return pathOf(v.rule.ID) }
func (v ruleView) groupBy() string { return strings.Join(v.rule.GroupBy, " ") }

func (v ruleView) number() string { return strconv.FormatFloat(v.rule.Threshold, 'g', -1, 64) }

// more tells whether something folded away is wrong.
func (v ruleView) more() bool {
	return slices.ContainsFunc([]string{"kind", "matchers", "groupBy", "groupWait", "repeatEvery", "escalateAfter", "escalateTo", "flapChanges", "flapWindow", "flapRest"},
		func(name string) bool { return v.fields[name] != "" })
}

func (v ruleView) previewTitle() string {
	switch n := len(v.found); n {
	case 0:
		return "This rule would find nothing now"
	case 1:
		return "This rule would fire now for " + v.found[0].Name
	default:
		return fmt.Sprintf("This rule would fire now for %d", n)
	}
}

func (v ruleView) previewTone() string {
	if len(v.found) == 0 {
		return "success"
	}
	return "warning"
}

func (v ruleView) receiverOptions(on []string) (all []design.Option) {
	for _, r := range v.receivers {
		all = append(all, design.Option{Value: r.ID, Label: r.Name, Detail: kindName(r.Kind) + ", " + r.Shown, On: slices.Contains(on, r.ID)})
	}
	return all
}

func (v ruleView) facts() []design.Fact {
	return []design.Fact{{Label: "Severity", Value: string(v.rule.Severity)}, {Label: "Labels", Value: everything(v.rule.Matchers.String())},
		{Label: "Fires after", Value: fmt.Sprint(v.rule.FailureThreshold, " looks")}, {Label: "Is over after", Value: fmt.Sprint(v.rule.SuccessThreshold, " looks")},
		{Label: "On", Value: map[bool]string{true: "yes", false: "no"}[v.rule.Enabled]}}
}

func signalOptions() (all []design.Option) {
	for _, i := range alert.Signals() {
		all = append(all, design.Option{Value: string(i.Signal), Label: i.Label})
	}
	return all
}

// brief writes a time as people type it.
func brief(d time.Duration) string {
	if d == 0 {
		return ""
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func (h *handler) rulePage(w http.ResponseWriter, r *http.Request) error {
	ctx, p := r.Context(), web.Principal(r.Context())
	v := ruleView{rule: alert.Rule{Severity: alert.Warning, FailureThreshold: 1, SuccessThreshold: 1, GroupBy: []string{"server"}, GroupWait: 10 * time.Second, Enabled: true}}
	var err error
	if id := identifier(r); id == "" {
		err = h.fresh(ctx, p)
	} else if v.rule, err = h.Desk.Rule(ctx, p, id); err == nil {
		v.previewed = true
		v.found, err = h.Desk.Preview(ctx, p, v.rule)
	}
	if err != nil {
		return err
	}
	return h.ruleForm(w, r, http.StatusOK, v)
}

func (h *handler) ruleForm(w http.ResponseWriter, r *http.Request, status int, v ruleView) (err error) {
	if v.receivers, err = h.Desk.Receivers(r.Context(), web.Principal(r.Context())); err != nil {
		return err
	}
	v.edits = h.edits(r)
	title := v.rule.Name
	if v.rule.ID == "" {
		title = "New rule"
	}
	return h.settings(w, r, status, "/alerts/rules", web.Page{Title: title, Body: ruleBody(v)})
}

// typed reads what people typed, and gathers what cannot be read.
type typed struct {
	r *http.Request
	e *odcm.Error
}

func (t *typed) bad(name, why string) {
	if t.e == nil {
		t.e = odcm.E(odcm.Invalid, "alert.form", "Some of it cannot be read.")
	}
	t.e.Fields = append(t.e.Fields, odcm.FieldError{Field: name, Message: why})
}

func (t *typed) text(name string) string { return strings.TrimSpace(t.r.PostFormValue(name)) }
func (t *typed) on(name string) bool     { return t.r.PostFormValue(name) != "" }

func (t *typed) whole(name string) int {
	n, err := strconv.Atoi(t.text(name))
	if err != nil && t.text(name) != "" {
		t.bad(name, "Give a whole number.")
	}
	return n
}

func (t *typed) time(name string) time.Duration {
	if t.text(name) == "" {
		return 0
	}
	d, err := time.ParseDuration(t.text(name))
	if err != nil {
		t.bad(name, "Write a time as 30s, 15m or 4h.")
	}
	return d
}

func (t *typed) moment(name string) time.Time {
	if t.text(name) == "" {
		return time.Time{}
	}
	at, err := time.Parse("2006-01-02T15:04", t.text(name))
	if err != nil {
		t.bad(name, "Write date and time as 2026-12-31T18:00.")
	}
	return at
}

func (t *typed) matchers(name string) alert.Matchers {
	m, err := alert.ParseMatchers(t.text(name))
	if err != nil {
		for field, why := range web.Fields(err) {
			t.bad(field, why)
		}
	}
	return m
}

func (t *typed) err() error {
	if t.e == nil {
		return nil
	}
	return t.e
}

func (h *handler) saveRule(w http.ResponseWriter, r *http.Request) error {
	rev, err := revision(r)
	if err != nil {
		return err
	}
	ctx, p, t := r.Context(), web.Principal(r.Context()), &typed{r: r}
	rule := alert.Rule{ID: identifier(r), Revision: rev, Name: t.text("name"), Signal: alert.Signal(t.text("signal")), Is: t.text("is"), Op: alert.Op(t.text("op")),
		Kind: t.text("kind"), Matchers: t.matchers("matchers"), FailureThreshold: t.whole("failureThreshold"), SuccessThreshold: t.whole("successThreshold"),
		Severity: alert.Severity(t.text("severity")), Receivers: r.PostForm["receivers"], GroupBy: strings.Fields(t.text("groupBy")), GroupWait: t.time("groupWait"),
		RepeatEvery: t.time("repeatEvery"), EscalateAfter: t.time("escalateAfter"), EscalateTo: r.PostForm["escalateTo"], FlapChanges: t.whole("flapChanges"),
		FlapWindow: t.time("flapWindow"), FlapRest: t.time("flapRest"), Enabled: t.on("enabled")}
	if text := t.text("threshold"); text != "" {
		if rule.Threshold, err = strconv.ParseFloat(text, 64); err != nil {
			t.bad("threshold", "Give a number.")
		}
	}
	v := ruleView{rule: rule}
	if err = t.err(); err == nil && r.PostFormValue("do") == "preview" {
		v.previewed = true
		if v.found, err = h.Desk.Preview(ctx, p, rule); err == nil {
			return h.ruleForm(w, r, http.StatusOK, v)
		}
		v.previewed = false
	} else if err == nil {
		rule, err = h.Desk.SaveRule(ctx, p, rule)
	}
	if err != nil && again(r, err) {
		v.wrong(r, err)
		return h.ruleForm(w, r, web.StatusOf(err), v)
	} else if err != nil {
		return err
	}
	h.Site.Flash(w, r, "success", "The rule "+rule.Name+" was saved.")
	web.Redirect(w, r, "/alerts/rules")
	return nil
}

type receiversView struct {
	all   []receiver.Receiver
	edits bool
}

func (h *handler) receiversPage(w http.ResponseWriter, r *http.Request) error {
	found, err := h.Desk.Receivers(r.Context(), web.Principal(r.Context()))
	if err != nil {
		return err
	}
	v := receiversView{found, h.edits(r)}
	page := web.Page{Body: receiversBody(v)}
	if v.edits && len(found) > 0 {
		page.Actions = design.Button(design.ButtonProps{Label: "Add a receiver", Icon: "plus", Kind: "primary", Href: "/alerts/receivers/new"})
	}
	return h.settings(w, r, http.StatusOK, "/alerts/receivers", page)
}

type receiverView struct {
	form
	r    receiver.Receiver
	made string // key of a new webhook
}

func (v receiverView) path() string      { return pathOf(v.r.ID) }
func (v receiverView) addresses() string { return strings.Join(v.r.To, "\n") }

func (v receiverView) secret(name, label, help string) design.Field {
	f := v.field(name, label, "", help, false)
	f.Type, f.Autocomplete, f.Mono = "password", "off", true
	if v.r.ID != "" {
		f.Placeholder = "As it is"
	}
	return f
}

func kindName(k receiver.Kind) string {
	for _, one := range receiver.Kinds() {
		if one.Kind == k {
			return one.Label
		}
	}
	return string(k)
}

func kindOptions() (all []design.Option) {
	for _, k := range receiver.Kinds() {
		all = append(all, design.Option{Value: string(k.Kind), Label: k.Label, Detail: k.Help})
	}
	return all
}

func (h *handler) receiverPage(w http.ResponseWriter, r *http.Request) error {
	ctx, p := r.Context(), web.Principal(r.Context())
	v := receiverView{r: receiver.Receiver{Kind: receiver.Email, Enabled: true}}
	var err error
	if id := identifier(r); id == "" {
		err = h.fresh(ctx, p)
		if known, known2 := h.Desk.Receivers(ctx, p); known2 == nil {
			v.r.Default = len(known) == 0
		}
	} else {
		v.r, err = h.Desk.Receiver(ctx, p, id)
	}
	if err != nil {
		return err
	}
	return h.receiverForm(w, r, http.StatusOK, v)
}

func (h *handler) receiverForm(w http.ResponseWriter, r *http.Request, status int, v receiverView) error {
	v.edits = h.edits(r)
	title := v.r.Name
	if v.r.ID == "" {
		title = "New receiver"
	}
	return h.settings(w, r, status, "/alerts/receivers", web.Page{Title: title, Body: receiverBody(v)})
}

func (h *handler) saveReceiver(w http.ResponseWriter, r *http.Request) error {
	rev, err := revision(r)
	if err != nil {
		return err
	}
	t := &typed{r: r}
	kept := receiver.Receiver{ID: identifier(r), Revision: rev, Name: t.text("name"), Kind: receiver.Kind(t.text("kind")), To: strings.Fields(strings.ReplaceAll(t.text("to"), ",", " ")),
		CA: t.text("ca"), Default: t.on("default"), Enabled: t.on("enabled"), Secrets: receiver.Secrets{URL: t.text("url"), Key: t.text("key")}}
	saved, err := h.Desk.SaveReceiver(r.Context(), web.Principal(r.Context()), kept)
	if err != nil && again(r, err) {
		v := receiverView{r: kept}
		v.wrong(r, err)
		return h.receiverForm(w, r, web.StatusOf(err), v)
	} else if err != nil {
		return err
	}
	if saved.Secrets.Key != "" {
		return h.receiverForm(w, r, http.StatusOK, receiverView{r: saved, made: saved.Secrets.Key}) // no redirect: the key is in this answer only
	}
	h.Site.Flash(w, r, "success", saved.Name+" was saved.")
	web.Redirect(w, r, "/alerts/receivers")
	return nil
}

func (h *handler) testReceiver(w http.ResponseWriter, r *http.Request) error {
	if err := h.Desk.TestReceiver(r.Context(), web.Principal(r.Context()), r.PathValue("id")); err != nil {
		return err
	}
	h.Site.Flash(w, r, "success", "The test arrived.")
	web.Redirect(w, r, "/alerts/receivers")
	return nil
}

// remove deletes a rule, a receiver or a window.
func (h *handler) remove(w http.ResponseWriter, r *http.Request) error {
	kind := r.PathValue("kind")
	if !slices.Contains([]string{desk.KindRule, desk.KindReceiver, desk.KindWindow}, kind) {
		return odcm.E(odcm.NotFound, "request.not-found", "There is no such page.")
	}
	if err := h.Desk.Delete(r.Context(), web.Principal(r.Context()), kind, r.PathValue("id"), 0); err != nil {
		return err
	}
	h.Site.Flash(w, r, "success", "It is deleted.")
	web.Redirect(w, r, "/alerts/"+kind+"s")
	return nil
}

func everything(matchers string) string {
	if matchers == "" {
		return "everything"
	}
	return matchers
}
