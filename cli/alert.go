package cli

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"odcm"
	"odcm/api"
	"odcm/apiclient"
)

func (s *session) alerts() *cobra.Command {
	cmd := &cobra.Command{Use: "alert", Short: "see what is wrong, take it on, silence it, and say who is told"}
	cmd.AddCommand(s.alertList(), s.alertGet(), s.alertAck(), s.alertSilence(), s.alertSilences(), s.alertRule(), s.alertReceiver(), s.alertTest(), s.alertWindow(), s.alertTold())
	return cmd
}

var incidentColumns = []column[api.Incident]{
	{"state", func(i api.Incident) string {
		if i.State == "firing" {
			return i.Severity
		}
		return i.State
	}},
	{"what", func(i api.Incident) string { return i.RuleName + ": " + i.Name }},
	{"began", func(i api.Incident) string { return ago(i.Since) }},
	{"why", func(i api.Incident) string { return i.Summary }},
	{"told", func(i api.Incident) string {
		if i.Acknowledged != nil {
			return i.Acknowledged.By + " has it"
		}
		return i.Quiet
	}},
	{"id", func(i api.Incident) string { return i.ID }},
}

func (s *session) alertList() *cobra.Command {
	q, all, limit := map[string]*string{}, false, 0
	cmd := &cobra.Command{
		Use: "list", Short: "list what is wrong now, or with --all what was", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			query := url.Values{}
			if !all {
				query.Set("state", "open")
			}
			for name, value := range q {
				if *value != "" {
					query.Set(name, *value)
				}
			}
			found, err := apiclient.Collect(c.Incidents(cmd.Context(), query), limit)
			if err != nil {
				return err
			}
			return show(s, cmd, found, incidentColumns)
		},
	}
	for name, usage := range map[string]string{"severity": "only critical, warning or info", "rule": "only found by this rule (identifier)", "subject": "only of this Space or machine (identifier)"} {
		q[name] = cmd.Flags().String(name, "", usage)
	}
	q["q"] = cmd.Flags().StringP("search", "q", "", "part of the name")
	cmd.Flags().BoolVar(&all, "all", false, "also what is over")
	cmd.Flags().IntVar(&limit, "limit", 0, "at most so many; 0 is all")
	return cmd
}

func (s *session) alertGet() *cobra.Command {
	return &cobra.Command{
		Use: "get INCIDENT", Short: "show an incident, what happened and who was told", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			i, err := c.Incident(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			set, err := s.settings(cmd)
			if err != nil {
				return err
			}
			if set.Output != "table" {
				return encode(cmd.OutOrStdout(), set.Output, i)
			}
			if err := showOne(s, cmd, i.Incident, incidentColumns); err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			fmt.Fprintln(w)
			for _, n := range i.Timeline {
				fmt.Fprintf(w, "%s  %s\n", n.At.Local().Format(time.DateTime), printable(n.Text))
			}
			for _, d := range i.Deliveries {
				fmt.Fprintf(w, "%s  %s: %s, %s %s\n", d.Created.Local().Format(time.DateTime), printable(d.ReceiverName), printable(d.Title), d.State, printable(d.Error))
			}
			return nil
		},
	}
}

func (s *session) alertAck() *cobra.Command {
	var note string
	cmd := &cobra.Command{
		Use: "ack INCIDENT...", Short: "take incidents on: nobody else is fetched", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			for _, id := range args {
				if err == nil {
					err = c.AcknowledgeIncident(cmd.Context(), id, note)
				}
			}
			return err
		},
	}
	cmd.Flags().StringVar(&note, "note", "", "what you will do")
	return cmd
}

var silenceColumns = []column[api.Silence]{
	{"what", func(n api.Silence) string { return strings.TrimSpace(n.Space + " " + n.Matchers) }},
	{"from", func(n api.Silence) string { return ago(n.From) }},
	{"until", func(n api.Silence) string { return ago(n.Until) }},
	{"why", func(n api.Silence) string { return n.Comment }},
	{"by", func(n api.Silence) string { return n.By }},
	{"id", func(n api.Silence) string { return n.ID }},
}

func (s *session) alertSilence() *cobra.Command {
	var n api.NewSilence
	var until, end string
	cmd := &cobra.Command{
		Use: "silence [LABELS]", Short: "tell nobody for a time of what has these labels: server=host-1,rule=Offline", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			if end != "" {
				return c.EndSilence(cmd.Context(), end)
			}
			at, err := endOf(until)
			if err != nil {
				return err
			}
			if n.Until = at; len(args) == 1 {
				n.Matchers = args[0]
			}
			made, err := c.CreateSilence(cmd.Context(), n)
			if err != nil {
				return err
			}
			return showOne(s, cmd, made, silenceColumns)
		},
	}
	cmd.Flags().StringVar(&n.Space, "space", "", "of this Space alone (identifier)")
	cmd.Flags().StringVar(&until, "until", "4h", "when it ends: 2026-12-31, 2026-12-31T18:00:00Z, or a time from now (36h, 14d)")
	cmd.Flags().StringVar(&n.Comment, "comment", "", "why, for others who ask")
	cmd.Flags().StringVar(&end, "end", "", "end this silence (identifier) instead")
	cmd.MarkFlagsOneRequired("comment", "end")
	return cmd
}

func endOf(text string) (time.Time, error) {
	at, err := end(text, time.Now())
	if err != nil || at == nil {
		return time.Time{}, err
	}
	return *at, nil
}

func (s *session) alertSilences() *cobra.Command {
	var ended bool
	cmd := &cobra.Command{
		Use: "silences", Short: "list silences", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			found, err := apiclient.Collect(c.Silences(cmd.Context(), ended), 0)
			if err != nil {
				return err
			}
			return show(s, cmd, found, silenceColumns)
		},
	}
	cmd.Flags().BoolVar(&ended, "ended", false, "those that have ended")
	return cmd
}

// alertSetting is list, save and delete of one kind of settings; save reads JSON, as list -o json gives it.
func alertSetting[T any](s *session, noun, plural string, columns []column[T], all func(*cobra.Command, *apiclient.Client) ([]T, error)) *cobra.Command {
	cmd := &cobra.Command{Use: noun, Short: "manage " + plural}
	cmd.AddCommand(&cobra.Command{
		Use: "list", Short: "list " + plural, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			found, err := all(cmd, c)
			if err != nil {
				return err
			}
			return show(s, cmd, found, columns)
		},
	}, &cobra.Command{
		Use: "delete ID", Short: "delete one of the " + plural, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			return c.DeleteAlertSetting(cmd.Context(), noun+"s", args[0])
		},
	})
	return cmd
}

// readSettings reads settings as JSON from a file, or from standard input where it is "-".
func readSettings(cmd *cobra.Command, file string, to any) error {
	in := cmd.InOrStdin()
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return odcm.E(odcm.Invalid, "cli.file", "%s cannot be read", file).Because(err)
		}
		defer f.Close()
		in = f
	}
	d := json.NewDecoder(in)
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return odcm.E(odcm.Invalid, "cli.settings", "%s: %v; the API's description says what may stand there", file, err)
	}
	return nil
}

func (s *session) alertRule() *cobra.Command {
	columns := []column[api.AlertRule]{
		{"name", func(r api.AlertRule) string { return r.Name }},
		{"finds", func(r api.AlertRule) string {
			if r.Is != "" {
				return strings.TrimSpace(r.Signal + " is " + r.Is + " " + r.Matchers)
			}
			return strings.TrimSpace(fmt.Sprintf("%s %s %g %s", r.Signal, r.Op, r.Threshold, r.Matchers))
		}},
		{"severity", func(r api.AlertRule) string { return r.Severity }},
		{"enabled", func(r api.AlertRule) string { return yesNo(r.Enabled) }},
		{"id", func(r api.AlertRule) string { return r.ID }},
	}
	cmd := alertSetting(s, "rule", "rules", columns, func(cmd *cobra.Command, c *apiclient.Client) ([]api.AlertRule, error) {
		return apiclient.Collect(c.AlertRules(cmd.Context()), 0)
	})
	var id string
	var preview bool
	save := &cobra.Command{
		Use: "save FILE", Short: "make a rule, or with --id change one, from JSON; - is standard input", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var in api.AlertRuleSettings
			if err := readSettings(cmd, args[0], &in); err != nil {
				return err
			}
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			if preview {
				p, err := c.PreviewAlertRule(cmd.Context(), in)
				if err != nil {
					return err
				}
				return show(s, cmd, p.Items, []column[api.AlertPreviewItem]{{"would fire for", func(i api.AlertPreviewItem) string { return i.Name }},
					{"because", func(i api.AlertPreviewItem) string { return i.Says }}})
			}
			r, err := c.SaveAlertRule(cmd.Context(), id, in)
			if err != nil {
				return err
			}
			return showOne(s, cmd, r, columns)
		},
	}
	save.Flags().StringVar(&id, "id", "", "the rule to change")
	save.Flags().BoolVar(&preview, "preview", false, "only say what it would find now")
	cmd.AddCommand(save)
	return cmd
}

func (s *session) alertReceiver() *cobra.Command {
	columns := []column[api.AlertReceiver]{
		{"name", func(r api.AlertReceiver) string { return r.Name }},
		{"kind", func(r api.AlertReceiver) string { return r.Kind }},
		{"goes to", func(r api.AlertReceiver) string { return r.Shown }},
		{"default", func(r api.AlertReceiver) string { return yesNo(r.Default) }},
		{"enabled", func(r api.AlertReceiver) string { return yesNo(r.Enabled) }},
		{"signing key", func(r api.AlertReceiver) string { return r.Key }},
		{"id", func(r api.AlertReceiver) string { return r.ID }},
	}
	cmd := alertSetting(s, "receiver", "receivers", columns, func(cmd *cobra.Command, c *apiclient.Client) ([]api.AlertReceiver, error) {
		return apiclient.Collect(c.AlertReceivers(cmd.Context()), 0)
	})
	n := api.AlertReceiverSettings{Enabled: true}
	var urlFile, keyFile string
	add := &cobra.Command{
		Use: "add NAME", Short: "add a receiver; URL and key come from files, so that neither is in a list of processes", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n.Name = args[0]
			for file, to := range map[string]*string{urlFile: &n.URL, keyFile: &n.Key} {
				if file == "" {
					continue
				}
				b, err := os.ReadFile(file)
				if err != nil {
					return odcm.E(odcm.Invalid, "cli.file", "%s cannot be read", file).Because(err)
				}
				*to = strings.TrimSpace(string(b))
			}
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			r, err := c.CreateAlertReceiver(cmd.Context(), n)
			if err != nil {
				return err
			}
			return showOne(s, cmd, r, columns)
		},
	}
	add.Flags().StringVar(&n.Kind, "kind", "webhook", "email, webhook, slack, teams, pagerduty or service")
	add.Flags().StringSliceVar(&n.To, "to", nil, "addresses, of kind email")
	add.Flags().StringVar(&urlFile, "url-file", "", "file that holds the URL")
	add.Flags().StringVar(&keyFile, "key-file", "", "file that holds the key")
	add.Flags().BoolVar(&n.Default, "default", false, "told of what rules without receivers find")
	cmd.AddCommand(add)
	return cmd
}

func (s *session) alertTest() *cobra.Command {
	return &cobra.Command{
		Use: "test RECEIVER", Short: "send a test to a receiver (identifier), and explain what goes wrong", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			return c.TestAlertReceiver(cmd.Context(), args[0])
		},
	}
}

func (s *session) alertWindow() *cobra.Command {
	columns := []column[api.MaintenanceWindow]{
		{"name", func(w api.MaintenanceWindow) string { return w.Name }},
		{"what", func(w api.MaintenanceWindow) string { return first(w.Matchers, "everything") }},
		{"schedule", func(w api.MaintenanceWindow) string { return strings.TrimSpace(w.Schedule + " " + w.Zone) }},
		{"lasts", func(w api.MaintenanceWindow) string { return (time.Duration(w.LastsSeconds) * time.Second).String() }},
		{"next", func(w api.MaintenanceWindow) string {
			if w.Next == nil {
				return ""
			}
			return ago(*w.Next)
		}},
		{"open", func(w api.MaintenanceWindow) string { return yesNo(w.Active) }},
		{"id", func(w api.MaintenanceWindow) string { return w.ID }},
	}
	cmd := alertSetting(s, "window", "maintenance windows", columns, func(cmd *cobra.Command, c *apiclient.Client) ([]api.MaintenanceWindow, error) {
		return apiclient.Collect(c.MaintenanceWindows(cmd.Context()), 0)
	})
	n := api.MaintenanceSettings{Enabled: true}
	var from string
	var lasts time.Duration
	add := &cobra.Command{
		Use: "add NAME", Short: "plan maintenance, once (--from) or again and again (--schedule)", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n.Name, n.LastsSeconds = args[0], int64(lasts.Seconds())
			if from != "" {
				at, err := time.Parse(time.RFC3339, from)
				if err != nil {
					return odcm.E(odcm.Invalid, "cli.from", "--from %s: want a time as 2026-12-31T18:00:00Z", from)
				}
				n.From = &at
			}
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			w, err := c.CreateMaintenanceWindow(cmd.Context(), n)
			if err != nil {
				return err
			}
			return showOne(s, cmd, w, columns)
		},
	}
	add.Flags().StringVar(&n.Matchers, "labels", "", "what it is about: server=host-1; everything if empty")
	add.Flags().StringVar(&n.Schedule, "schedule", "", `minute, hour, day of month, month, day of week: "0 22 * * 6"`)
	add.Flags().StringVar(&n.Zone, "zone", "", "time zone of the schedule; UTC if empty")
	add.Flags().StringVar(&from, "from", "", "when it begins: 2026-12-31T18:00:00Z")
	add.Flags().DurationVar(&lasts, "lasts", 2*time.Hour, "how long it is open")
	add.MarkFlagsOneRequired("schedule", "from")
	cmd.AddCommand(add)
	return cmd
}

func (s *session) alertTold() *cobra.Command {
	var state, retry string
	var limit int
	cmd := &cobra.Command{
		Use: "told", Short: "list who was told what, and what could not be delivered", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			if retry != "" {
				return c.RetryDelivery(cmd.Context(), retry)
			}
			query := url.Values{}
			if state != "" {
				query.Set("state", state)
			}
			found, err := apiclient.Collect(c.Deliveries(cmd.Context(), query), limit)
			if err != nil {
				return err
			}
			return show(s, cmd, found, []column[api.Delivery]{
				{"when", func(d api.Delivery) string { return ago(d.Created) }},
				{"to", func(d api.Delivery) string { return d.ReceiverName }},
				{"what", func(d api.Delivery) string { return d.Title }},
				{"state", func(d api.Delivery) string { return d.State }},
				{"attempts", func(d api.Delivery) string { return fmt.Sprint(d.Attempts) }},
				{"error", func(d api.Delivery) string { return d.Error }},
				{"id", func(d api.Delivery) string { return d.ID }},
			})
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "only queued, sent, handed-over, merged, parked or expired")
	cmd.Flags().StringVar(&retry, "retry", "", "try this one (identifier) again instead")
	cmd.Flags().IntVar(&limit, "limit", 50, "at most so many; 0 is all")
	return cmd
}
