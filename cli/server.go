package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"odcm/api"
	"odcm/apiclient"
)

func (s *session) servers() *cobra.Command {
	cmd := &cobra.Command{Use: "server", Short: "list, view and enrol the machines on which Spaces run"}
	cmd.AddCommand(s.serverList(), s.serverView(), s.serverEnrol())
	return cmd
}

func (s *session) serverList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "list the machines of the fleet", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			all, err := apiclient.Collect(c.Servers(cmd.Context()), 0)
			if err != nil {
				return err
			}
			return show(s, cmd, all, []column[api.Server]{
				{"id", func(v api.Server) string { return v.ID }},
				{"name", func(v api.Server) string { return v.Name }},
				{"agent", func(v api.Server) string {
					if v.Online {
						return "online"
					}
					return "offline"
				}},
				{"instances", func(v api.Server) string { return fmt.Sprintf("%d of %d run", v.Running, v.Instances) }},
				{"room for", func(v api.Server) string { return strconv.Itoa(v.Room) }},
				{"versions", func(v api.Server) string { return strings.Join(v.Versions, ", ") }},
			})
		},
	}
}

func (s *session) serverView() *cobra.Command {
	return &cobra.Command{
		Use: "view SERVER", Short: "show a machine and what runs there", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			v, err := c.Server(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			fields := []column[api.ServerDetail]{
				{"id", func(v api.ServerDetail) string { return v.ID }},
				{"name", func(v api.ServerDetail) string { return v.Name }},
				{"agent", func(v api.ServerDetail) string { return v.AgentVersion }},
				{"processors", func(v api.ServerDetail) string { return strconv.Itoa(v.Capacity.CPUs) }},
				{"memory free", func(v api.ServerDetail) string { return gib(v.Capacity.MemoryFree, v.Capacity.Memory) }},
				{"disk free", func(v api.ServerDetail) string { return gib(v.Capacity.DiskFree, v.Capacity.Disk) }},
			}
			for _, run := range v.Runs {
				fields = append(fields, column[api.ServerDetail]{"instance", func(api.ServerDetail) string {
					return strings.TrimSpace(fmt.Sprintf("%s: %s %s %s", run.Name, run.State, run.URL, run.Reason))
				}})
			}
			return showOne(s, cmd, v, fields)
		},
	}
}

func gib(part, whole int64) string {
	return fmt.Sprintf("%.1f of %.1f GiB", float64(part)/(1<<30), float64(whole)/(1<<30))
}

func (s *session) serverEnrol() *cobra.Command {
	var life time.Duration
	var note string
	cmd := &cobra.Command{
		Use: "enrol", Short: "make a one-time token with which a machine joins the fleet", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			t, err := c.CreateEnrolmentToken(cmd.Context(), api.NewEnrolmentToken{Note: note, ExpiresIn: int(life.Seconds())})
			if err != nil {
				return err
			}
			return showOne(s, cmd, t, []column[api.EnrolmentToken]{
				{"run on the machine", func(t api.EnrolmentToken) string { return t.Command }},
				{"works once, until", func(t api.EnrolmentToken) string { return t.Expires.Local().Format(time.DateTime) }},
			})
		},
	}
	cmd.Flags().DurationVar(&life, "expires-in", time.Hour, "how long it works")
	cmd.Flags().StringVar(&note, "note", "", "what it is for")
	return cmd
}
