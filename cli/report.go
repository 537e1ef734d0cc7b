package cli

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"odcm"
	"odcm/api"
	"odcm/apiclient"
)

func (s *session) reports() *cobra.Command {
	cmd := &cobra.Command{Use: "report", Aliases: []string{"reports"}, Short: "read reports over all Spaces, and have them sent by e-mail"}
	cmd.AddCommand(s.reportList(), s.reportSchedules())
	for _, r := range []struct{ name, short string }{
		{"deployments", "count how deployments ended, by Space, project, environment or tenant"}, {"delivery", "measure how often, how fast and how safely changes reach production"},
		{"inventory", "count projects and targets of each Space, and how that changed"}, {"versions", "count Spaces by version"}, {"people", "list who signed in"},
		{"requests", "count what ODCM asked of each server"}, {"licences", "show what is used of what was bought"},
	} {
		cmd.AddCommand(s.report(r.name, r.short))
	}
	return cmd
}

func (s *session) reportList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "list the reports that you may read", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		c, err := s.client(cmd)
		if err != nil {
			return err
		}
		all, err := apiclient.Collect(c.Reports(cmd.Context()), 0)
		if err != nil {
			return err
		}
		return show(s, cmd, all, []column[api.ReportKind]{
			{"name", func(r api.ReportKind) string { return r.Name }},
			{"what", func(r api.ReportKind) string { return r.Intro }},
		})
	}}
}

// reportQuery adds the flags that choose what a report is about and returns how to read them.
func reportQuery(cmd *cobra.Command) func() url.Values {
	f := cmd.Flags()
	values := map[string]*string{}
	for _, flag := range [][2]string{
		{"space", "only this Space, by slug or identifier"}, {"project", "only this project, by name or identifier"}, {"environment", "only this environment"}, {"tenant", "only this tenant"},
		{"kind", "deployment, runbook-run or all"}, {"from", "first day, such as 2026-01-31"}, {"to", "last day"}, {"last", "instead of days: 30d, 12m, week or month"},
		{"zone", "time zone of the days, such as Europe/Berlin"}, {"by", "rows by space, project, environment or tenant"}, {"sort", "column to sort by; after - the other way round"},
	} {
		values[flag[0]] = f.String(flag[0], "", flag[1])
	}
	return func() url.Values {
		q := url.Values{}
		for name, value := range values {
			if *value != "" {
				q.Set(name, *value)
			}
		}
		return q
	}
}

func (s *session) report(name, short string) *cobra.Command {
	var format string
	cmd := &cobra.Command{Use: name, Short: short, Args: cobra.NoArgs}
	query := reportQuery(cmd)
	cmd.Flags().StringVar(&format, "format", "", "csv, json or table; as -o says if absent")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := s.client(cmd)
		if err != nil {
			return err
		}
		set, err := s.settings(cmd)
		if err != nil {
			return err
		}
		switch format {
		case "":
			format = set.Output
		case "csv", "json", "table":
		default:
			return odcm.E(odcm.Invalid, "cli.format", "--format %s: want csv, json or table", format)
		}
		q := query()
		if format == "csv" {
			q.Set("format", "csv")
			return c.ReportCSV(cmd.Context(), cmd.OutOrStdout(), name, q)
		}
		r, err := wholeReport(cmd, c, name, q)
		if err != nil {
			return err
		}
		if format != "table" {
			return encode(cmd.OutOrStdout(), format, r)
		}
		return printReport(cmd, r)
	}
	return cmd
}

// wholeReport reads all rows.
func wholeReport(cmd *cobra.Command, c *apiclient.Client, name string, q url.Values) (api.Report, error) {
	q.Set("limit", "1000")
	var whole api.Report
	for {
		page, err := c.Report(cmd.Context(), name, q)
		if err != nil {
			return whole, err
		}
		rows := append(whole.Rows, page.Rows...)
		whole = page
		whole.Rows, whole.Next = rows, ""
		if page.Next == "" {
			return whole, nil
		}
		q.Set("offset", page.Next)
	}
}

func printReport(cmd *cobra.Command, r api.Report) error {
	for _, f := range r.Figures {
		fmt.Fprintf(cmd.OutOrStdout(), "%s: %s %s\n", printable(f.Label), printable(f.Value), printable(f.Detail))
	}
	fmt.Fprintln(cmd.OutOrStdout())
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	var heads []string
	for _, c := range r.Columns {
		heads = append(heads, strings.ToUpper(c.Label))
	}
	fmt.Fprintln(w, strings.Join(heads, "\t"))
	for _, row := range r.Rows {
		cells := make([]string, len(row))
		for i, v := range row {
			if i < len(r.Columns) {
				cells[i] = printable(reportCell(r.Columns[i].Unit, v))
			}
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, n := range r.Notes {
		fmt.Fprintln(cmd.ErrOrStderr(), printable(n))
	}
	return nil
}

// reportCell writes a value for people.
func reportCell(unit string, v any) string {
	n, ok := v.(float64)
	switch {
	case v == nil:
		return "-"
	case !ok:
		return fmt.Sprint(v)
	case unit == "percent":
		return strconv.FormatFloat(n*100, 'f', 1, 64) + " %"
	case unit == "seconds":
		return time.Duration(n * float64(time.Second)).Round(100 * time.Millisecond).String()
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}

func (s *session) reportSchedules() *cobra.Command {
	cmd := &cobra.Command{Use: "schedule", Aliases: []string{"schedules"}, Short: "have reports sent by e-mail"}
	act := func(use, short string, do func(cmd *cobra.Command, c *apiclient.Client, id string) error) *cobra.Command {
		return &cobra.Command{Use: use + " ID", Short: short, Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			return do(cmd, c, args[0])
		}}
	}
	pause := func(paused bool) func(cmd *cobra.Command, c *apiclient.Client, id string) error {
		return func(cmd *cobra.Command, c *apiclient.Client, id string) error {
			changed, err := c.PauseReportSchedule(cmd.Context(), id, paused)
			if err != nil {
				return err
			}
			return s.showSchedule(cmd, changed)
		}
	}
	cmd.AddCommand(s.scheduleList(), s.scheduleCreate(),
		act("pause", "send it no more until it is resumed", pause(true)), act("resume", "send it again", pause(false)),
		act("send", "send it now", func(cmd *cobra.Command, c *apiclient.Client, id string) error {
			_, err := c.SendReport(cmd.Context(), id)
			return err
		}),
		act("delete", "forget it", func(cmd *cobra.Command, c *apiclient.Client, id string) error {
			return c.DeleteReportSchedule(cmd.Context(), id)
		}))
	return cmd
}

func (s *session) scheduleList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "list schedules", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		c, err := s.client(cmd)
		if err != nil {
			return err
		}
		all, err := apiclient.Collect(c.ReportSchedules(cmd.Context()), 0)
		if err != nil {
			return err
		}
		return show(s, cmd, all, []column[api.ReportSchedule]{
			{"id", func(v api.ReportSchedule) string { return v.ID }},
			{"name", func(v api.ReportSchedule) string { return v.Name }},
			{"report", func(v api.ReportSchedule) string { return v.Report }},
			{"every", func(v api.ReportSchedule) string { return v.Every }},
			{"next", nextSending},
			{"to", func(v api.ReportSchedule) string { return strings.Join(v.To, ", ") }},
		})
	}}
}

func nextSending(v api.ReportSchedule) string {
	if v.Paused {
		return "paused"
	}
	return v.Due.Local().Format("2006-01-02 15:04")
}

func (s *session) showSchedule(cmd *cobra.Command, v api.ReportSchedule) error {
	return showOne(s, cmd, v, []column[api.ReportSchedule]{
		{"id", func(v api.ReportSchedule) string { return v.ID }},
		{"name", func(v api.ReportSchedule) string { return v.Name }},
		{"report", func(v api.ReportSchedule) string { return v.Report }},
		{"filters", func(v api.ReportSchedule) string { return v.Query }},
		{"next", nextSending},
		{"to", func(v api.ReportSchedule) string { return strings.Join(v.To, ", ") }},
		{"why", func(v api.ReportSchedule) string { return v.Reason }},
	})
}

func (s *session) scheduleCreate() *cobra.Command {
	p := api.ReportPlan{}
	var at string
	cmd := &cobra.Command{Use: "create REPORT", Short: "have a report sent by e-mail", Args: cobra.ExactArgs(1), Example: "  odcm report schedule create deployments --name 'Last week' --last week --every weekly --day 1 --at 08:00 --zone Europe/Berlin --mail lisa@example.com"}
	query := reportQuery(cmd)
	f := cmd.Flags()
	f.StringVar(&p.Name, "name", "", "the subject of the mails")
	f.StringVar(&p.Every, "every", "weekly", "daily, weekly or monthly")
	f.IntVar(&p.Day, "day", 1, "day of the week, 1 is Monday, or of the month")
	f.StringVar(&at, "at", "08:00", "time of day, in the zone")
	f.StringSliceVar(&p.To, "mail", nil, "e-mail addresses that it is sent to")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		t, err := time.Parse("15:04", at)
		if err != nil {
			return odcm.E(odcm.Invalid, "cli.at", "--at %s: want a time of day such as 08:30", at)
		}
		c, err := s.client(cmd)
		if err != nil {
			return err
		}
		q := query()
		p.Report, p.Hour, p.Minute, p.Zone = args[0], t.Hour(), t.Minute(), q.Get("zone")
		p.Query = q.Encode()
		made, err := c.CreateReportSchedule(cmd.Context(), p)
		if err != nil {
			return err
		}
		return s.showSchedule(cmd, made)
	}
	return cmd
}
