package reporthttp

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"odcm"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/report"
	"odcm/manager/report/chart"
	"odcm/manager/report/summary"
)

// view is a report's page.
type view struct {
	*summary.Report
	theme   string // "light", "dark" or "auto"
	asked   url.Values
	spaces  []design.Option
	names   map[report.Dimension][]string
	mayMail bool
}

// asked reads the request of an address.
func (h *handler) asked(r *http.Request) (summary.Request, error) {
	return summary.ParseRequest(r.URL.Query(), h.Reports.Now())
}

func (h *handler) overviewPage(w http.ResponseWriter, r *http.Request) error {
	ctx, p := r.Context(), web.Principal(r.Context())
	allowed := h.Reports.Allowed(ctx, p)
	asked, err := h.asked(r)
	if err != nil {
		return err
	}
	made, err := h.Reports.Report(ctx, p, "deployments", asked)
	if err != nil {
		return err
	}
	v := view{Report: made, theme: design.ThemeOf(r), mayMail: h.Schedules.Allowed(ctx, p)}
	return h.Site.Render(w, r, http.StatusOK, web.Page{Title: "Reports", Nav: "reports", Intro: "What happened in all Spaces that you may see, over the last 30 days.",
		Actions: overviewActions(v), Body: overviewBody(v, allowed)})
}

func (h *handler) reportPage(w http.ResponseWriter, r *http.Request) error {
	ctx, p := r.Context(), web.Principal(r.Context())
	asked, err := h.asked(r)
	if err != nil {
		return err
	}
	made, err := h.Reports.Report(ctx, p, r.PathValue("name"), asked)
	if err != nil {
		return err
	}
	v := view{Report: made, theme: design.ThemeOf(r), asked: asked.Query(), names: map[report.Dimension][]string{}, mayMail: h.Schedules.Allowed(ctx, p)}
	if v.spaces, err = h.spaces(ctx, p, asked.Space); err != nil {
		return err
	}
	for _, of := range v.filters() {
		if v.names[of], err = h.Reports.Choices(ctx, p, of, asked); err != nil {
			return err
		}
	}
	return h.Site.Render(w, r, http.StatusOK, web.Page{Title: made.Title, Nav: "reports", Intro: made.Intro, Crumbs: []design.Crumb{{Label: "Reports", Href: "/reports"}},
		Actions: reportActions(v), Body: reportBody(v)})
}

// spaces are the principal's Spaces to choose from, with the one that is chosen.
func (h *handler) spaces(ctx context.Context, p odcm.Principal, chosen string) ([]design.Option, error) {
	const most = 1000
	all, err := h.Reports.SpaceChoices(ctx, p)
	options := []design.Option{{Value: "", Label: "All Spaces"}}
	there := chosen == ""
	for i, s := range all {
		if i < most || s.Slug == chosen {
			options = append(options, design.Option{Value: s.Slug, Label: s.Name})
			there = there || s.Slug == chosen
		}
	}
	if !there {
		options = append(options, design.Option{Value: chosen, Label: chosen})
	}
	return options, err
}

// filters are the dimensions by which the report can be narrowed, beside the Space and the time.
func (v view) filters() []report.Dimension {
	switch v.Name {
	case "deployments", "delivery":
		return []report.Dimension{report.ByProject, report.ByEnvironment, report.ByTenant}
	}
	return nil
}

// timed tells whether the report is about a time, and not about now.
func (v view) timed() bool { return v.Name != "versions" && v.Name != "licences" }

func (v view) address(tail string, change func(url.Values)) string {
	q := v.Request.Query()
	if change != nil {
		change(q)
	}
	a := "/reports/" + v.Name + tail
	if len(q) > 0 {
		a += "?" + q.Encode()
	}
	return a
}

// picture is the address of a chart.
func (v view) picture(i int, theme string, small bool) string {
	return v.address("/chart", func(q url.Values) {
		q.Set("n", strconv.Itoa(i))
		q.Set("theme", theme)
		if small {
			q.Set("size", "small")
		}
	})
}

// columns are the heads of the table, each of which sorts by itself, numbers first the other way round.
func (v view) columns() []design.Column {
	all := make([]design.Column, 0, len(v.Columns))
	for _, c := range v.Columns {
		d := design.Column{Label: c.Label, Number: c.Unit != summary.Text}
		down := d.Number
		if c.Key == v.Request.Sort {
			down = !v.Request.Descending
			d.Sorted = "ascending"
			if v.Request.Descending {
				d.Sorted = "descending"
			}
		}
		key := c.Key
		if down {
			key = "-" + key
		}
		d.Href = v.address("", func(q url.Values) { q.Set("sort", key) })
		all = append(all, d)
	}
	return all
}

func (v view) first() string {
	if v.Request.Offset == 0 {
		return ""
	}
	return v.address("", nil)
}

func (v view) next() string {
	at := v.Request.Offset + len(v.Rows)
	if at >= v.Total || len(v.Rows) == 0 {
		return ""
	}
	return v.address("", func(q url.Values) { q.Set("offset", strconv.Itoa(at)) })
}

func (v view) shown() string {
	if v.Total == 0 {
		return ""
	}
	return fmt.Sprintf("%d to %d of %d", v.Request.Offset+1, v.Request.Offset+len(v.Rows), v.Total)
}

// quick are the times that are chosen most.
func (v view) quick() []design.Chip {
	var chips []design.Chip
	for _, c := range []struct{ label, last string }{{"7 days", "7d"}, {"30 days", "30d"}, {"90 days", "90d"}, {"12 months", "12m"}, {"Last week", "week"}, {"Last month", "month"}} {
		chips = append(chips, design.Chip{Label: c.label, On: v.Request.Last == c.last, Href: v.address("", func(q url.Values) {
			q.Del("from")
			q.Del("to")
			q.Del("period")
			q.Set("last", c.last)
		})})
	}
	return chips
}

// groups choose what the rows of the table are.
func (v view) groups() []design.Chip {
	if v.Name != "deployments" {
		return nil
	}
	var chips []design.Chip
	for _, c := range []struct {
		label string
		by    report.Dimension
	}{{"By Space", report.BySpace}, {"By project", report.ByProject}, {"By environment", report.ByEnvironment}, {"By tenant", report.ByTenant}} {
		chips = append(chips, design.Chip{Label: c.label, On: v.Request.By == c.by, Href: v.address("", func(q url.Values) {
			q.Set("by", string(c.by))
			q.Del("sort")
		})})
	}
	return chips
}

func (v view) from() string { return v.Request.From.Format(time.DateOnly) }

func (v view) until() string {
	return v.Request.To.Add(-time.Hour).In(v.Request.Zone).Format(time.DateOnly)
}

// chart draws one chart of a report.
func (h *handler) chart(w http.ResponseWriter, r *http.Request) error {
	asked, err := h.asked(r)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(r.URL.Query().Get("n"))
	if err != nil {
		return odcm.E(odcm.NotFound, "report.chart-not-found", "This report has no such chart.")
	}
	asked.Sort = "" // the table is not shown
	made, err := h.Reports.Report(r.Context(), web.Principal(r.Context()), r.PathValue("name"), asked)
	if err != nil {
		return err
	}
	if n < 0 || n >= len(made.Charts) {
		return odcm.E(odcm.NotFound, "report.chart-not-found", "This report has no such chart.")
	}
	png := r.URL.Query().Get("format") == "png"
	o := chart.Options{PNG: png, Dark: r.URL.Query().Get("theme") == "dark"}
	if r.URL.Query().Get("size") == "small" {
		o.Width, o.Height = 360, 260
	}
	picture, err := chart.Draw(made.Charts[n], o)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "image/svg+xml")
	if png {
		w.Header().Set("Content-Type", "image/png")
	}
	w.Header().Set("Cache-Control", "private, max-age=30")
	_, _ = w.Write(picture) // the client is gone if it fails
	return nil
}

// download is the whole table as CSV.
func (h *handler) download(w http.ResponseWriter, r *http.Request) error {
	asked, err := h.asked(r)
	if err != nil {
		return err
	}
	asked.Offset, asked.Limit = 0, everything
	made, err := h.Reports.Report(r.Context(), web.Principal(r.Context()), r.PathValue("name"), asked)
	if err != nil {
		return err
	}
	csvHeaders(w, made)
	if err := made.WriteCSV(w); err != nil {
		panic(http.ErrAbortHandler) // half a file must not be taken for the whole
	}
	return nil
}

// everything is more rows than a table can have.
const everything = 1 << 30

func csvHeaders(w http.ResponseWriter, r *summary.Report) {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8; header=present")
	w.Header().Set("Content-Disposition", `attachment; filename="odcm-`+r.Name+`-`+r.Request.From.Format(time.DateOnly)+`.csv"`)
	w.Header().Set("Cache-Control", "no-store")
}
