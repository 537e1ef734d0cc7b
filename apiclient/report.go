package apiclient

import (
	"context"
	"io"
	"iter"
	"net/http"
	"net/url"

	"odcm/api"
)

// Reports lists the reports that one may read.
func (c *Client) Reports(ctx context.Context) iter.Seq2[api.ReportKind, error] {
	return list[api.ReportKind](ctx, c, "/reports", nil)
}

// Report reads a report.
func (c *Client) Report(ctx context.Context, name string, query url.Values) (r api.Report, err error) {
	return r, c.do(ctx, call{method: http.MethodGet, path: "/reports/" + escape(name), query: query}, &r)
}

// ReportCSV writes a report's table to w as CSV.
func (c *Client) ReportCSV(ctx context.Context, w io.Writer, name string, query url.Values) error {
	return c.do(ctx, call{method: http.MethodGet, path: "/reports/" + escape(name), query: query}, w)
}

// ReportSchedules lists the schedules by which reports are sent.
func (c *Client) ReportSchedules(ctx context.Context) iter.Seq2[api.ReportSchedule, error] {
	return list[api.ReportSchedule](ctx, c, "/report-schedules", nil)
}

// CreateReportSchedule has a report sent by e-mail.
func (c *Client) CreateReportSchedule(ctx context.Context, p api.ReportPlan) (s api.ReportSchedule, err error) {
	return s, c.do(ctx, call{method: http.MethodPost, path: "/report-schedules", in: p}, &s)
}

// PauseReportSchedule pauses a schedule, or resumes it.
func (c *Client) PauseReportSchedule(ctx context.Context, id string, paused bool) (s api.ReportSchedule, err error) {
	return s, c.do(ctx, call{method: http.MethodPut, path: "/report-schedules/" + escape(id) + "/paused", in: api.ReportPause{Paused: paused}}, &s)
}

// DeleteReportSchedule deletes a schedule.
func (c *Client) DeleteReportSchedule(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: "/report-schedules/" + escape(id)}, nil)
}

// SendReport sends a schedule's report now.
func (c *Client) SendReport(ctx context.Context, id string) (s api.ReportSending, err error) {
	return s, c.do(ctx, call{method: http.MethodPost, path: "/report-schedules/" + escape(id) + "/sendings"}, &s)
}
