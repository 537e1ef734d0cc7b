package cli

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"odcm/api"
	"odcm/apiclient"
)

var spaceGroupColumns = []column[api.SpaceGroup]{
	{"name", func(g api.SpaceGroup) string { return first(g.Name, "not known") }},
	{"spaces", func(g api.SpaceGroup) string { return strconv.Itoa(g.Total) }},
	{"offline", func(g api.SpaceGroup) string { return strconv.Itoa(g.Counts["offline"]) }},
	{"degraded", func(g api.SpaceGroup) string { return strconv.Itoa(g.Counts["degraded"]) }},
	{"online", func(g api.SpaceGroup) string { return strconv.Itoa(g.Counts["online"]) }},
}

func (s *session) spaceGroups() *cobra.Command {
	var by, text string
	cmd := &cobra.Command{
		Use: "groups", Short: "count the Spaces that you may enter, those with trouble first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			all, err := apiclient.Collect(c.SpaceGroups(cmd.Context(), by, text), 0)
			if err != nil {
				return err
			}
			return show(s, cmd, all, spaceGroupColumns)
		},
	}
	cmd.Flags().StringVar(&by, "by", "server", "server (a machine), instance (a running Octopus server), version or state")
	cmd.Flags().StringVarP(&text, "search", "q", "", "part of the name, of the address or of the reason")
	return cmd
}

var uptimeColumns = []column[api.UptimeWindow]{
	{"window", func(u api.UptimeWindow) string { return u.Window }},
	{"uptime", func(u api.UptimeWindow) string {
		if u.WatchedSeconds == 0 {
			return "not watched"
		}
		return strconv.FormatFloat(math.Floor(u.Uptime*1e5)/1e3, 'f', -1, 64) + " %" // never 100 where there was an outage
	}},
	{"watched", func(u api.UptimeWindow) string { return (time.Duration(u.WatchedSeconds) * time.Second).String() }},
	{"offline", func(u api.UptimeWindow) string {
		return (time.Duration(u.Seconds["offline"]) * time.Second).String()
	}},
	{"answers took", func(u api.UptimeWindow) string {
		if u.Pings == 0 {
			return ""
		}
		return fmt.Sprintf("%.0f ms, %.0f ms at most", u.MeanMillis, u.MaxMillis)
	}},
}

func (s *session) spaceUptime() *cobra.Command {
	return &cobra.Command{
		Use: "uptime SPACE", Short: "show how much of the time a Space's server answered, over a day up to a year",
		Args: cobra.ExactArgs(1), ValidArgsFunction: s.completeSpace,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			up, err := c.SpaceUptime(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return show(s, cmd, up.Windows, uptimeColumns)
		},
	}
}
