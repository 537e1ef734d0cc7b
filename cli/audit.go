package cli

import (
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"odcm"
	"odcm/api"
	"odcm/apiclient"
)

func (s *session) audit() *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "search and export what happened"}
	cmd.AddCommand(s.auditList(), s.auditExport())
	return cmd
}

// auditFilter adds the flags that choose events and returns how to read them.
func auditFilter(cmd *cobra.Command) func() (url.Values, error) {
	f := cmd.Flags()
	types := f.StringSlice("type", nil, "only these types, such as space.enlisted")
	subject := f.String("subject", "", "only about the thing of this identifier")
	actor := f.String("actor", "", "only what the user of this identifier did")
	text := f.StringP("search", "q", "", "part of the type, the name or the actor's name")
	since := f.Duration("since", 0, "only the last so long, such as 24h")
	return func() (url.Values, error) {
		if *since < 0 {
			return nil, odcm.E(odcm.Invalid, "cli.since", "--since is how long ago, and not below zero")
		}
		q := url.Values{"type": *types}
		for name, value := range map[string]string{"subject": *subject, "actor": *actor, "text": *text} {
			if value != "" {
				q.Set(name, value)
			}
		}
		if *since > 0 {
			q.Set("from", time.Now().Add(-*since).UTC().Format(time.RFC3339))
		}
		return q, nil
	}
}

func (s *session) auditList() *cobra.Command {
	var limit int
	cmd := &cobra.Command{Use: "list", Short: "list what happened, newest first", Args: cobra.NoArgs}
	query := auditFilter(cmd)
	cmd.Flags().IntVar(&limit, "limit", 50, "at most so many; 0 is all")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := s.client(cmd)
		if err != nil {
			return err
		}
		q, err := query()
		if err != nil {
			return err
		}
		all, err := apiclient.Collect(c.Events(cmd.Context(), q), limit)
		if err != nil {
			return err
		}
		return show(s, cmd, all, []column[api.Event]{
			{"time", func(e api.Event) string { return e.Time.Local().Format(time.DateTime) }},
			{"what", func(e api.Event) string { return e.Type }},
			{"on", func(e api.Event) string { return first(e.Name, e.Subject) }},
			{"by", func(e api.Event) string { return e.By }},
			{"from", func(e api.Event) string { return e.Address }},
		})
	}
	return cmd
}

func (s *session) auditExport() *cobra.Command {
	var format string
	cmd := &cobra.Command{Use: "export", Short: "write what happened to standard output, as csv or jsonl", Args: cobra.NoArgs}
	query := auditFilter(cmd)
	cmd.Flags().StringVar(&format, "format", "csv", "csv or jsonl")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := s.client(cmd)
		if err != nil {
			return err
		}
		q, err := query()
		if err != nil {
			return err
		}
		q.Set("format", format)
		return c.ExportEvents(cmd.Context(), cmd.OutOrStdout(), q)
	}
	return cmd
}
