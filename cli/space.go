package cli

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"odcm"
	"odcm/api"
	"odcm/apiclient"
)

func (s *session) spaces() *cobra.Command {
	cmd := &cobra.Command{Use: "space", Short: "create, enlist, view and delist Spaces"}
	cmd.AddCommand(s.spaceList(), s.spaceGroups(), s.spaceView(), s.spaceUptime(), s.spaceWatch(), s.spaceCreate(), s.spacePlan(), s.spaceEnlist(), s.spaceRename(), s.spaceRekey(), s.spaceStar(), s.spaceDelist())
	return cmd
}

var spaceColumns = []column[api.Space]{
	{"name", func(s api.Space) string { return s.Name }},
	{"slug", func(s api.Space) string { return s.Slug }},
	{"status", statusOf},
	{"version", func(s api.Space) string { return s.Version }},
	{"origin", func(s api.Space) string { return s.Origin }},
	{"url", func(s api.Space) string { return s.URL }},
}

// statusOf is what people ask first: the health of an active Space, else where it is in its life.
func statusOf(s api.Space) string {
	if s.State != "active" {
		return s.State
	}
	return s.Health.Status
}

func (s *session) spaceList() *cobra.Command {
	var f apiclient.SpaceFilter
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "list the Spaces that you may enter, starred ones first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			all, err := apiclient.Collect(c.Spaces(cmd.Context(), f), limit)
			if err != nil {
				return err
			}
			return show(s, cmd, all, spaceColumns)
		},
	}
	cmd.Flags().StringVarP(&f.Text, "search", "q", "", "part of the name")
	cmd.Flags().StringSliceVar(&f.Statuses, "status", nil, "only these: online, draining, degraded, offline, maintenance")
	cmd.Flags().BoolVar(&f.Starred, "starred", false, "only starred ones")
	cmd.Flags().IntVar(&limit, "limit", 0, "at most so many; 0 is all")
	return cmd
}

func (s *session) spaceView() *cobra.Command {
	return &cobra.Command{
		Use: "view SPACE", Short: "show a Space, by slug or identifier", Args: cobra.ExactArgs(1), ValidArgsFunction: s.completeSpace,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			sp, err := c.Space(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.showSpace(cmd, sp)
		},
	}
}

func (s *session) showSpace(cmd *cobra.Command, sp api.Space) error {
	return showOne(s, cmd, sp, []column[api.Space]{
		{"name", func(s api.Space) string { return s.Name }},
		{"id", func(s api.Space) string { return s.ID }},
		{"slug", func(s api.Space) string { return s.Slug }},
		{"description", func(s api.Space) string { return s.Description }},
		{"state", func(s api.Space) string { return s.State }},
		{"why", func(s api.Space) string { return first(s.Reason, s.Health.Reason) }},
		{"status", func(s api.Space) string { return s.Health.Status }},
		{"since", func(s api.Space) string {
			if s.Health.Since == nil {
				return ""
			}
			return ago(*s.Health.Since)
		}},
		{"version", func(s api.Space) string { return s.Version }},
		{"nodes", func(s api.Space) string { return nodes(s.Health.Nodes) }},
		{"licence", func(s api.Space) string {
			if s.Health.Licence == nil {
				return ""
			}
			return s.Health.Licence.Kind
		}},
		{"url", func(s api.Space) string { return s.URL }},
		{"octopus space", func(s api.Space) string { return s.OctopusSpace }},
		{"origin", func(s api.Space) string { return s.Origin }},
		{"server", func(s api.Space) string { return s.Server }},
		{"webhook", func(s api.Space) string {
			if s.Webhook == nil {
				return ""
			}
			return strings.TrimSuffix(s.Webhook.State+" "+s.Webhook.Reason, " ")
		}},
		{"task", func(s api.Space) string { return s.Task }},
		{"created", func(s api.Space) string { return ago(s.Created) }},
	})
}

func nodes(all []api.Node) string {
	var said []string
	for _, n := range all {
		said = append(said, n.Name)
	}
	return strings.Join(said, ", ")
}

func (s *session) spaceCreate() *cobra.Command {
	var n api.NewSpace
	var noWait bool
	cmd := &cobra.Command{
		Use: "create NAME", Short: "create a blank Space on a server of the fleet", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			n.Name = args[0]
			sp, err := c.CreateSpace(cmd.Context(), n, uuid.NewString())
			if err != nil {
				return err
			}
			if !noWait {
				if err := s.wait(cmd, c, sp.Task); err != nil {
					return err
				}
				if sp, err = c.Space(cmd.Context(), sp.ID); err != nil {
					return err
				}
			}
			return s.showSpace(cmd, sp)
		},
	}
	cmd.Flags().StringVar(&n.Description, "description", "", "what it is for")
	cmd.Flags().StringVar(&n.Version, "version", "", "version to run (default: the newest)")
	cmd.Flags().StringVar(&n.Server, "server", "", "machine to run it on (default: the one with the most room)")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "return when the task has begun")
	return cmd
}

// connectionFlags say how to reach an Octopus server. The key can come from the environment, where no list of processes
// shows it.
func connectionFlags(cmd *cobra.Command, n *api.Connection, caFile *string) {
	cmd.Flags().StringVar(&n.APIKey, "octopus-api-key", "", "API key of an Octopus administrator there (or OCTOPUS_API_KEY)")
	cmd.Flags().StringVar(caFile, "ca", "", "file with the authorities (PEM) to trust instead of this machine's")
	cmd.Flags().StringVar(&n.Thumbprint, "thumbprint", "", "trust the certificate with this SHA-1 or SHA-256 thumbprint and no other")
}

func connect(n *api.Connection, url, caFile string) error {
	n.URL = url
	n.APIKey = first(n.APIKey, os.Getenv("OCTOPUS_API_KEY"))
	if n.APIKey == "" {
		return odcm.E(odcm.Invalid, "cli.octopus-key", "no API key of the Octopus server: pass --octopus-api-key or set OCTOPUS_API_KEY")
	}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return odcm.E(odcm.Invalid, "cli.ca", "--ca: %v", err)
		}
		n.CA = string(pem)
	}
	return nil
}

func (s *session) spacePlan() *cobra.Command {
	var n api.Connection
	var ca string
	cmd := &cobra.Command{
		Use: "plan URL", Short: "prove an Octopus server and show what enlisting it would do; changes nothing", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			if err := connect(&n, args[0], ca); err != nil {
				return err
			}
			p, err := c.PlanEnlistment(cmd.Context(), n)
			if err != nil {
				return err
			}
			return s.showPlan(cmd, p)
		},
	}
	connectionFlags(cmd, &n, &ca)
	return cmd
}

func (s *session) showPlan(cmd *cobra.Command, p api.EnlistPlan) error {
	set, err := s.settings(cmd)
	if err != nil {
		return err
	}
	if set.Output != "table" {
		return encode(cmd.OutOrStdout(), set.Output, p)
	}
	w := cmd.OutOrStdout()
	fmt.Fprintf(w, "%s is Octopus %s; the key is %s's\n\n", printable(p.Server.URL), printable(p.Server.Version), printable(p.Server.User))
	for _, warning := range p.Warnings {
		fmt.Fprintf(w, "warning: %s\n", printable(warning.Message))
	}
	for _, change := range p.SignIn.Changes {
		fmt.Fprintf(w, "sign-in: %s\n", printable(change.Message))
	}
	fmt.Fprintf(w, "people: %d known, %d to decide, %d nobody's, %d untouched\n\n", len(p.People.Matched), len(p.People.Conflicts), len(p.People.Unmatched), p.People.Untouched)
	return show(s, cmd, p.Spaces, []column[api.PlannedSpace]{
		{"octopus space", func(s api.PlannedSpace) string { return s.OctopusSpace }},
		{"name there", func(s api.PlannedSpace) string { return s.Name }},
		{"name here", func(s api.PlannedSpace) string { return s.Suggested }},
		{"what happens", func(s api.PlannedSpace) string {
			if s.Enlisted {
				return "enlisted already"
			}
			var said []string
			for _, n := range append(s.Conflicts, s.Changes...) {
				said = append(said, n.Message)
			}
			return strings.Join(said, " ")
		}},
	})
}

func (s *session) spaceEnlist() *cobra.Command {
	var n api.Enlistment
	var ca string
	var chosen, names, accounts []string
	var noWait bool
	cmd := &cobra.Command{
		Use: "enlist URL", Short: "take Spaces of an Octopus server under management", Args: cobra.ExactArgs(1),
		Long: `Proves URL, key, version and permissions before anything is written, then enlists the chosen Spaces of the server as
a task. Without --space it enlists all that are not enlisted yet; odcm space plan shows them.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			if err := connect(&n.Connection, args[0], ca); err != nil {
				return err
			}
			p, err := c.PlanEnlistment(cmd.Context(), n.Connection)
			if err != nil {
				return err
			}
			if n.Spaces, err = choose(p, chosen, names); err != nil {
				return err
			}
			if n.Accounts, err = accountChoices(accounts); err != nil {
				return err
			}
			e, err := c.Enlist(cmd.Context(), n, uuid.NewString())
			if err != nil {
				return err
			}
			if !noWait {
				if err := s.wait(cmd, c, e.Task); err != nil {
					return err
				}
				for i, sp := range e.Spaces {
					if e.Spaces[i], err = c.Space(cmd.Context(), sp.ID); err != nil {
						return err
					}
				}
			}
			return show(s, cmd, e.Spaces, spaceColumns)
		},
	}
	connectionFlags(cmd, &n.Connection, &ca)
	cmd.Flags().StringVar(&n.SignIn, "sign-in", "", "on: people sign in there through ODCM, or the task fails; off: as before (default: through ODCM where nothing of anybody's is replaced)")
	cmd.Flags().BoolVar(&n.ClosePasswords, "close-passwords", false, "turn the server's own passwords off once signing in through ODCM is tested")
	cmd.Flags().BoolVar(&n.ReplaceSignIn, "replace-sign-in", false, "take over settings that another provider uses; its secret cannot be put back")
	cmd.Flags().BoolVar(&n.LeadOn, "lead-on", false, "lead whoever has no session there to ODCM at once, without a click")
	cmd.Flags().StringSliceVar(&accounts, "account", nil, "decide about an account: Users-21=link:bob, Users-22=local, Users-23=invite or Users-24=create; repeat for several")
	cmd.Flags().StringSliceVar(&chosen, "space", nil, "the octopus.Space to enlist, by identifier (Spaces-1) or name; repeat for several")
	cmd.Flags().StringSliceVar(&names, "name", nil, "name in ODCM, in the order of --space (default: as suggested by the plan)")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "return when the task has begun")
	return cmd
}

// choose turns what was asked for into what the plan has.
func choose(p api.EnlistPlan, chosen, names []string) ([]api.EnlistedSpace, error) {
	var wanted []api.PlannedSpace
	for _, s := range p.Spaces {
		if len(chosen) == 0 && !s.Enlisted {
			wanted = append(wanted, s)
		}
	}
	for _, ref := range chosen {
		i := slices.IndexFunc(p.Spaces, func(s api.PlannedSpace) bool { return s.OctopusSpace == ref || strings.EqualFold(s.Name, ref) })
		if i < 0 {
			return nil, odcm.E(odcm.NotFound, "cli.octopus-space", "%s has no Space %q; odcm space plan lists them", p.Server.URL, ref)
		}
		wanted = append(wanted, p.Spaces[i])
	}
	if len(wanted) == 0 {
		return nil, odcm.E(odcm.Exists, "space.already-enlisted", "every Space of %s is enlisted already", p.Server.URL)
	}
	if len(names) > 0 && len(names) != len(wanted) {
		return nil, odcm.E(odcm.Invalid, "cli.names", "give a --name for each of the %d Spaces, or none", len(wanted))
	}
	found := make([]api.EnlistedSpace, len(wanted))
	for i, s := range wanted {
		found[i] = api.EnlistedSpace{OctopusSpace: s.OctopusSpace, Name: s.Suggested}
		if len(names) > 0 {
			found[i].Name = names[i]
		}
	}
	return found, nil
}

func (s *session) spaceRename() *cobra.Command {
	return &cobra.Command{
		Use: "rename SPACE NAME", Short: "give a Space another name", Args: cobra.ExactArgs(2), ValidArgsFunction: s.completeSpace,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			sp, err := c.UpdateSpace(cmd.Context(), args[0], api.SpaceUpdate{Name: &args[1]}, 0)
			if err != nil {
				return err
			}
			return s.showSpace(cmd, sp)
		},
	}
}

func (s *session) spaceRekey() *cobra.Command {
	var n api.Connection
	cmd := &cobra.Command{
		Use: "rekey SPACE", Short: "replace the API key with which ODCM reaches a Space's server, once the new one has proved itself",
		Args: cobra.ExactArgs(1), ValidArgsFunction: s.completeSpace,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			if err := connect(&n, "", ""); err != nil {
				return err
			}
			return c.RekeySpace(cmd.Context(), args[0], n.APIKey)
		},
	}
	cmd.Flags().StringVar(&n.APIKey, "octopus-api-key", "", "the new API key (or OCTOPUS_API_KEY)")
	return cmd
}

func (s *session) spaceStar() *cobra.Command {
	var off bool
	cmd := &cobra.Command{
		Use: "star SPACE", Short: "star a Space for yourself", Args: cobra.ExactArgs(1), ValidArgsFunction: s.completeSpace,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			return c.StarSpace(cmd.Context(), args[0], !off)
		},
	}
	cmd.Flags().BoolVar(&off, "off", false, "take the star away")
	return cmd
}

func (s *session) spaceDelist() *cobra.Command {
	var d apiclient.Delisting
	var noWait bool
	cmd := &cobra.Command{
		Use: "delist SPACE", Short: "hand an enlisted server back as it was, or remove a created one", Args: cobra.ExactArgs(1), ValidArgsFunction: s.completeSpace,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			sp, err := c.DelistSpace(cmd.Context(), args[0], d)
			if err != nil {
				return err
			}
			if !noWait {
				return s.wait(cmd, c, sp.Task)
			}
			return s.showSpace(cmd, sp)
		},
	}
	cmd.Flags().StringVar(&d.Confirm, "confirm", "", "the Space's name; needed for a created one, whose server is removed")
	cmd.Flags().BoolVar(&d.KeepData, "keep-data", false, "keep the data folder of a created one")
	cmd.Flags().BoolVar(&d.Force, "force", false, "forget an enlisted one even if its server does not answer")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "return when the task has begun")
	return cmd
}

// completeSpace offers the slugs of Spaces to the shell.
func (s *session) completeSpace(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	c, err := s.client(cmd)
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	all, err := apiclient.Collect(c.Spaces(cmd.Context(), apiclient.SpaceFilter{}), 100)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var slugs []string
	for _, sp := range all {
		if strings.HasPrefix(sp.Slug, typed) {
			slugs = append(slugs, sp.Slug+"\t"+sp.Name)
		}
	}
	return slugs, cobra.ShellCompDirectiveNoFileComp
}
