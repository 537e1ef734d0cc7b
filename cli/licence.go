package cli

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"odcm/api"
	"odcm/apiclient"
)

func (s *session) licences() *cobra.Command {
	cmd := &cobra.Command{Use: "licence", Short: "see what is used against what was bought, and install an entitlement"}
	cmd.AddCommand(s.licenceShow(), s.licenceServers(), s.licenceTotals(), s.licenceInstall(), s.licenceRemove())
	return cmd
}

func (s *session) licenceShow() *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "show the Spaces, the servers by state, and the entitlement", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			o, err := c.Licence(cmd.Context())
			if err != nil {
				return err
			}
			fields := []column[api.LicenceOverview]{
				{"spaces", func(o api.LicenceOverview) string { return strconv.Itoa(o.Spaces) + ", free for any number" }},
				{"servers", func(o api.LicenceOverview) string { return strconv.Itoa(o.Servers) }},
			}
			for _, state := range []string{"exceeded", "expired", "expiring", "near", "unknown", "fine"} {
				if n := o.States[state]; n > 0 {
					fields = append(fields, column[api.LicenceOverview]{state, func(api.LicenceOverview) string { return strconv.Itoa(n) }})
				}
			}
			if o.Entitlement == nil {
				fields = append(fields, column[api.LicenceOverview]{"entitlement", func(api.LicenceOverview) string { return "none, and none is needed" }})
			} else {
				for _, f := range entitlementFields {
					fields = append(fields, column[api.LicenceOverview]{f.heading, func(o api.LicenceOverview) string { return f.cell(*o.Entitlement) }})
				}
			}
			return showOne(s, cmd, o, fields)
		},
	}
}

var entitlementFields = []column[api.Entitlement]{
	{"entitlement", func(e api.Entitlement) string { return e.ID }},
	{"holder", func(e api.Entitlement) string { return e.Holder }},
	{"standing", func(e api.Entitlement) string { return strings.TrimSpace(e.Standing + " " + e.Problem) }},
	{"expires", func(e api.Entitlement) string {
		if e.Expires == nil {
			return "never"
		}
		return e.Expires.Format("2006-01-02")
	}},
	{"extras", func(e api.Entitlement) string {
		names := make([]string, len(e.Extras))
		for i, x := range e.Extras {
			names[i] = x.Name
		}
		return strings.Join(names, ", ")
	}},
}

func (s *session) licenceServers() *cobra.Command {
	var state, text string
	var limit int
	cmd := &cobra.Command{
		Use: "servers", Short: "list what each Octopus server says of its licence, the worst first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			query := url.Values{}
			for name, value := range map[string]string{"state": state, "q": text} {
				if value != "" {
					query.Set(name, value)
				}
			}
			all, err := apiclient.Collect(c.LicenceServers(cmd.Context(), query), limit)
			if err != nil {
				return err
			}
			return show(s, cmd, all, []column[api.LicenceServer]{
				{"spaces", licenceSpaces}, {"state", func(l api.LicenceServer) string { return l.State }},
				{"licence", func(l api.LicenceServer) string {
					if l.Licence == nil {
						return ""
					}
					return l.Licence.Kind
				}},
				{"days left", func(l api.LicenceServer) string {
					if l.Licence == nil || l.Licence.DaysLeft == nil {
						return ""
					}
					return strconv.Itoa(*l.Licence.DaysLeft)
				}},
				{"used", licenceUsed},
			})
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "only servers in this state: exceeded, expired, expiring, near, unknown, fine")
	cmd.Flags().StringVar(&text, "text", "", "in the name of a Space, or the kind of licence")
	cmd.Flags().IntVar(&limit, "limit", 0, "at most so many; all if 0")
	return cmd
}

func licenceSpaces(l api.LicenceServer) string {
	names := make([]string, len(l.Spaces))
	for i, sp := range l.Spaces {
		names[i] = sp.Name
	}
	return strings.Join(names, ", ")
}

func licenceUsed(l api.LicenceServer) string {
	if l.Licence == nil {
		return ""
	}
	parts := make([]string, len(l.Licence.Limits))
	for i, limit := range l.Licence.Limits {
		parts[i] = fmt.Sprintf("%s %d of %d", limit.Name, limit.Used, limit.Allowed)
		if limit.Unlimited {
			parts[i] = fmt.Sprintf("%s %d", limit.Name, limit.Used)
		}
	}
	return strings.Join(parts, "; ")
}

func (s *session) licenceTotals() *cobra.Command {
	return &cobra.Command{
		Use: "totals", Short: "list each limit over all servers; what two servers know is counted by both", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			o, err := c.Licence(cmd.Context())
			if err != nil {
				return err
			}
			number := func(f func(api.LicenceTotal) int) func(api.LicenceTotal) string {
				return func(t api.LicenceTotal) string { return strconv.Itoa(f(t)) }
			}
			return show(s, cmd, o.Totals, []column[api.LicenceTotal]{
				{"limit", func(t api.LicenceTotal) string { return t.Name }},
				{"servers", number(func(t api.LicenceTotal) int { return t.Servers })},
				{"used", number(func(t api.LicenceTotal) int { return t.Used })},
				{"of which bounded", number(func(t api.LicenceTotal) int { return t.UsedBounded })},
				{"allowed", number(func(t api.LicenceTotal) int { return t.Allowed })},
				{"without a limit", number(func(t api.LicenceTotal) int { return t.Unlimited })},
			})
		},
	}
}

func (s *session) licenceInstall() *cobra.Command {
	return &cobra.Command{
		Use: "install FILE", Short: "install an entitlement; - reads the standard input", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			file, err := readFileOrInput(cmd, args[0])
			if err != nil {
				return err
			}
			e, err := c.InstallEntitlement(cmd.Context(), file)
			if err != nil {
				return err
			}
			return showOne(s, cmd, e, entitlementFields)
		},
	}
}

func (s *session) licenceRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove", Short: "remove the entitlement; everything goes on as before", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			return c.RemoveEntitlement(cmd.Context())
		},
	}
}
