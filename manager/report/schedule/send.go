package schedule

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"odcm"
	"odcm/kit/lease"
	"odcm/kit/mail"
	"odcm/manager/report/chart"
	"odcm/manager/report/summary"
)

// Leases give one replica the work, so that not all of them make the same reports. That nothing is sent twice does not
// depend on it.
type Leases interface {
	Hold(ctx context.Context, name, owner string, ttl time.Duration, f func(ctx context.Context, l lease.Lease) error) error
}

const (
	lookEvery = 20 * time.Second
	// keepTrying is how long a mail server may be down until a report is of no use any more.
	keepTrying = 24 * time.Hour
	atOnce     = 20
	rowsInMail = 20
	// tryAgain is how long a report that could not be made is left alone.
	tryAgain = 10 * time.Minute
	// giveUp is how late a report may be; then it is told why, and the next one is waited for.
	giveUp = 12 * time.Hour
)

// Run sends what is due until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	return s.o.Leases.Hold(ctx, "report-schedules", s.o.Replica, 30*time.Second, func(ctx context.Context, _ lease.Lease) error {
		failed := map[string]time.Time{}
		for {
			if err := s.SendDue(ctx, failed); err != nil && ctx.Err() == nil {
				s.o.Logger.Error("send reports", "error", err)
			}
			t := time.NewTimer(lookEvery)
			select {
			case <-ctx.Done():
				t.Stop()
				return ctx.Err()
			case <-t.C:
			}
		}
	})
}

// SendDue sends what is due now. Failed holds until when those are left alone that could not be made.
func (s *Service) SendDue(ctx context.Context, failed map[string]time.Time) error {
	if !s.Ready() {
		return nil
	}
	due, err := s.o.Store.Due(ctx, s.now(), atOnce+len(failed))
	if err != nil {
		return err
	}
	for _, d := range due {
		if s.now().Before(failed[d.ID]) {
			continue
		}
		delete(failed, d.ID)
		if err := s.send(ctx, d); err != nil {
			if ctx.Err() != nil {
				return err
			}
			s.o.Logger.Warn("report not sent", "schedule", d.ID, "error", err)
			failed[d.ID] = s.now().Add(tryAgain)
		}
	}
	return nil
}

// period names the time for which a schedule is due.
func period(due time.Time) string { return due.UTC().Format(time.RFC3339) }

// send sends a schedule that is due. The next time is the first in the future: what passed while ODCM was down is sent once.
func (s *Service) send(ctx context.Context, d Schedule) error {
	sending := Sending{Schedule: d.ID, Period: period(d.Due), At: s.now(), To: len(d.To)}
	next := d.Next(s.now())
	messages, err := s.write(ctx, d)
	typ := "report.sent"
	switch kind := odcm.KindOf(err); {
	case kind == odcm.Denied || kind == odcm.NotFound || kind == odcm.Invalid:
		// Its owner is gone or may not see it any more: it would fail for ever.
		d.Paused, d.Reason = true, public(err)
		sending.Error, sending.To, messages, typ = d.Reason, 0, nil, "report.schedule-paused"
	case err != nil && s.now().Sub(d.Due) < giveUp:
		return err
	case err != nil:
		sending.Error, sending.To, messages, typ = public(err), 0, nil, "report.not-sent"
	}
	_, err = s.o.Store.Sent(ctx, d, sending, next, messages, s.now().Add(keepTrying), odcm.NewEvent(odcm.System, typ, d.ID, d.Name, nil, map[string]any{"to": d.To, "error": sending.Error}))
	return err
}

// write makes the messages of a schedule, one for each address, with what the owner may see.
func (s *Service) write(ctx context.Context, d Schedule) (_ []mail.Message, err error) {
	defer odcm.Wrap(&err, "write report")
	owner, err := s.o.People.Principal(ctx, d.Owner)
	if err != nil {
		return nil, err
	}
	if !s.owns(ctx, owner, d.Report) {
		return nil, odcm.E(odcm.Denied, "report.owner-may-not", "%s may not read this report any more.", owner.Name)
	}
	q, err := url.ParseQuery(d.Query)
	if err != nil {
		return nil, err
	}
	r, err := summary.ParseRequest(q, s.now())
	if err != nil {
		return nil, err
	}
	r.Limit = rowsInMail
	made, err := s.o.Reports.Report(ctx, owner, d.Report, r)
	if err != nil {
		return nil, err
	}
	letter, err := Letter(made, s.o.PublicURL())
	if err != nil {
		return nil, err
	}
	letter.After = append(letter.After, fmt.Sprintf("You get this because %s scheduled it as \"%s\". It shows what %s may see.", owner.Name, d.Name, owner.Name))
	var messages []mail.Message
	for _, to := range d.To {
		m, err := letter.Message(to, subject(d.Name))
		if err != nil {
			return nil, err
		}
		messages = append(messages, m)
	}
	return messages, nil
}

// subject is short enough for a line.
func subject(name string) string { return "ODCM: " + name }

// Letter is a report as a mail: its figures, its charts as pictures, the first rows of its table, its notes.
func Letter(r *summary.Report, publicURL string) (mail.Letter, error) {
	q := r.Request.Query().Encode()
	l := mail.Letter{Product: "ODCM", Heading: r.Title, Lines: []string{span(r.Request)}, After: r.Notes,
		Button: "Open the report", Link: publicURL + "/reports/" + r.Name + "?" + q}
	var figures mail.Part
	figures.Head = []string{"", ""}
	for _, f := range r.Figures {
		value := f.Value
		if f.Detail != "" {
			value += " (" + f.Detail + ")"
		}
		figures.Rows = append(figures.Rows, []string{f.Label, value})
	}
	if len(figures.Rows) > 0 {
		l.Parts = append(l.Parts, figures)
	}
	for i, c := range r.Charts {
		if c.Empty() {
			continue
		}
		picture, err := chart.Draw(c, chart.Options{PNG: true, Width: 988, Height: 420})
		if err != nil {
			return l, err
		}
		l.Parts = append(l.Parts, mail.Part{Heading: c.Title, Picture: &mail.Picture{ID: fmt.Sprintf("chart-%d", i), PNG: picture}, Alt: summary.Describe(c)})
	}
	table := mail.Part{}
	for _, c := range r.Columns {
		table.Head = append(table.Head, c.Label)
	}
	for _, row := range r.Rows {
		var cells []string
		for i, c := range r.Columns {
			cells = append(cells, c.Show(row.Cells[i]))
		}
		table.Rows = append(table.Rows, cells)
	}
	if len(table.Rows) > 0 {
		l.Parts = append(l.Parts, table)
	}
	if more := r.Total - len(r.Rows); more > 0 {
		l.After = append([]string{fmt.Sprintf("The table has %d more rows: open the report to see them.", more)}, l.After...)
	}
	return l, nil
}

func span(r summary.Request) string {
	return fmt.Sprintf("%s to %s (%s)", r.From.Format("Mon 2 Jan 2006"), r.To.AddDate(0, 0, -1).Format("Mon 2 Jan 2006"), r.Zone)
}

// public is what of an error may be shown.
func public(err error) string {
	var e *odcm.Error
	if errors.As(err, &e) && e.Kind != odcm.Internal {
		return e.Message
	}
	return "The report could not be made: the log says why."
}
