package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"odcm"
	"odcm/api"
	"odcm/apiclient"
)

func (s *session) access() *cobra.Command {
	cmd := &cobra.Command{Use: "access", Short: "say who may enter which Space, and why"}
	cmd.AddCommand(s.accessList(), s.accessPeople(), s.accessGrant(false), s.accessGrant(true), s.accessRevoke(), s.accessExplain(), s.accessWhatIf(),
		s.accessTeams(), s.accessMap(true), s.accessMap(false))
	return cmd
}

var grantColumns = []column[api.AccessGrant]{
	{"space", func(g api.AccessGrant) string { return g.SpaceName }},
	{"who", func(g api.AccessGrant) string { return first(g.Holder, g.Group, g.User) }},
	{"kind", func(g api.AccessGrant) string {
		if g.Group != "" {
			return "group"
		}
		return "user"
	}},
	{"as", func(g api.AccessGrant) string {
		if g.Administer {
			return "administrator"
		}
		return ""
	}},
	{"people", func(g api.AccessGrant) string { return fmt.Sprint(g.People) }},
	{"until", func(g api.AccessGrant) string {
		switch {
		case g.Expires == nil:
			return ""
		case g.Expired:
			return "expired " + ago(*g.Expires)
		}
		return ago(*g.Expires)
	}},
	{"note", func(g api.AccessGrant) string { return g.Note }},
	{"id", func(g api.AccessGrant) string { return g.ID }},
}

func (s *session) accessList() *cobra.Command {
	var f apiclient.GrantFilter
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "list grants, by Space", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			all, err := apiclient.Collect(c.Grants(cmd.Context(), f), limit)
			if err != nil {
				return err
			}
			return show(s, cmd, all, grantColumns)
		},
	}
	s.spaceFlag(cmd, &f.Space, "only of this Space")
	cmd.Flags().StringVar(&f.Group, "group", "", "only held by this group")
	cmd.Flags().StringVar(&f.User, "user", "", "only held by this user himself")
	cmd.Flags().StringVarP(&f.Text, "search", "q", "", "part of the name of the Space or the holder, or of the note")
	cmd.Flags().BoolVar(&f.Administer, "administrators", false, "only those who administer the Space in ODCM")
	cmd.Flags().BoolVar(&f.Expired, "expired", false, "only those that have expired")
	cmd.Flags().IntVar(&limit, "limit", 0, "at most so many; 0 is all")
	return cmd
}

// spaceFlag adds --space, which the shell completes.
func (s *session) spaceFlag(cmd *cobra.Command, value *string, usage string) {
	cmd.Flags().StringVar(value, "space", "", usage)
	_ = cmd.RegisterFlagCompletionFunc("space", func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return s.completeSpace(cmd, nil, typed)
	})
}

func (s *session) accessPeople() *cobra.Command {
	var text string
	var limit int
	cmd := &cobra.Command{
		Use: "people SPACE", Short: "list who may enter a Space, by what, and what has arrived there", Args: cobra.ExactArgs(1), ValidArgsFunction: s.completeSpace,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			all, err := apiclient.Collect(c.Entrants(cmd.Context(), args[0], text), limit)
			if err != nil {
				return err
			}
			return show(s, cmd, all, []column[api.AccessEntrant]{
				{"username", func(e api.AccessEntrant) string { return e.Username }},
				{"name", func(e api.AccessEntrant) string { return e.Name }},
				{"by", func(e api.AccessEntrant) string { return strings.Join(e.By, ", ") }},
				{"teams", func(e api.AccessEntrant) string { return teamNames(e.Teams) }},
				{"state", func(e api.AccessEntrant) string { return arrivalOf(e.Arrival) }},
			})
		},
	}
	cmd.Flags().StringVarP(&text, "search", "q", "", "part of the name")
	cmd.Flags().IntVar(&limit, "limit", 0, "at most so many; 0 is all")
	return cmd
}

func teamNames(teams []api.AccessTeam) string {
	var names []string
	for _, t := range teams {
		names = append(names, t.Name)
	}
	return strings.Join(names, ", ")
}

func arrivalOf(a *api.AccessArrival) string {
	if a == nil {
		return ""
	}
	return strings.TrimSpace(a.State + " " + a.Reason)
}

// holderFlags say who: a group or a user.
func holderFlags(cmd *cobra.Command, group, user *string) {
	cmd.Flags().StringVar(group, "group", "", "the group, by name or identifier")
	cmd.Flags().StringVar(user, "user", "", "the user, by username, verified e-mail address or identifier")
	cmd.MarkFlagsOneRequired("group", "user")
	cmd.MarkFlagsMutuallyExclusive("group", "user")
}

// accessGrant is both grant and steward, which is a grant to somebody who administers.
func (s *session) accessGrant(steward bool) *cobra.Command {
	n := api.NewAccessGrant{Administer: steward}
	var until string
	cmd := &cobra.Command{
		Use: "grant SPACE", Short: "let a group or a user into a Space", Args: cobra.ExactArgs(1), ValidArgsFunction: s.completeSpace,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			n.Space = args[0]
			if n.Expires, err = end(until, time.Now()); err != nil {
				return err
			}
			g, err := c.Grant(cmd.Context(), n, uuid.NewString())
			if err != nil {
				return err
			}
			return showOne(s, cmd, g, grantColumns)
		},
	}
	if steward {
		cmd.Use, cmd.Short = "steward SPACE", "make a group or a user administrator of a Space in ODCM: lets in, and may map groups to teams there"
	}
	holderFlags(cmd, &n.Group, &n.User)
	cmd.Flags().StringVar(&until, "until", "", "when it ends: 2026-12-31, 2026-12-31T18:00:00Z, or a time from now (36h, 14d); default never")
	cmd.Flags().StringVar(&n.Note, "note", "", "why, for those who look later")
	return cmd
}

// end reads when something ends: a day, whose last moment counts, a time, or how long from now.
func end(text string, now time.Time) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	if day, err := time.ParseInLocation(time.DateOnly, text, now.Location()); err == nil {
		day = day.AddDate(0, 0, 1)
		return &day, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return &t, nil
	}
	var days int
	if n, err := fmt.Sscanf(text, "%dd", &days); err == nil && n == 1 && text == fmt.Sprintf("%dd", days) && days > 0 {
		t := now.AddDate(0, 0, days)
		return &t, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		t := now.Add(d)
		return &t, nil
	}
	return nil, odcm.E(odcm.Invalid, "cli.until", "--until %s: want a day (2026-12-31), a time (2026-12-31T18:00:00Z) or how long from now (36h, 14d)", text)
}

func (s *session) accessRevoke() *cobra.Command {
	var id, group, user string
	cmd := &cobra.Command{
		Use: "revoke SPACE", Short: "take away the grant of a group or a user", ValidArgsFunction: s.completeSpace,
		Args: func(cmd *cobra.Command, args []string) error {
			if id != "" {
				return cobra.NoArgs(cmd, args)
			}
			return cobra.ExactArgs(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			if id == "" {
				held, err := apiclient.Collect(c.Grants(cmd.Context(), apiclient.GrantFilter{Space: args[0], Group: group, User: user}), 1)
				if err != nil {
					return err
				}
				if len(held) == 0 {
					return odcm.E(odcm.NotFound, "access.grant-not-found", "%s holds no grant in %s; odcm access explain says by what else somebody may enter", first(group, user), args[0])
				}
				id = held[0].ID
			}
			return c.Revoke(cmd.Context(), id)
		},
	}
	cmd.Flags().StringVar(&id, "id", "", "the grant, instead of Space and holder")
	cmd.Flags().StringVar(&group, "group", "", "the group that holds it")
	cmd.Flags().StringVar(&user, "user", "", "the user who holds it himself")
	cmd.MarkFlagsOneRequired("group", "user", "id")
	cmd.MarkFlagsMutuallyExclusive("group", "user", "id")
	return cmd
}

func (s *session) accessExplain() *cobra.Command {
	var space string
	cmd := &cobra.Command{
		Use: "explain [USER]", Short: "say why a user may enter a Space, or why not; without USER, why you may", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			user := ""
			if len(args) > 0 {
				user = args[0]
			}
			e, err := c.Explain(cmd.Context(), user, space)
			if err != nil {
				return err
			}
			return s.showExplanation(cmd, e)
		},
	}
	s.spaceFlag(cmd, &space, "the Space")
	_ = cmd.MarkFlagRequired("space")
	return cmd
}

func (s *session) showExplanation(cmd *cobra.Command, e api.AccessExplanation) error {
	set, err := s.settings(cmd)
	if err != nil {
		return err
	}
	if set.Output != "table" {
		return encode(cmd.OutOrStdout(), set.Output, e)
	}
	w := cmd.OutOrStdout()
	if !e.MayEnter {
		fmt.Fprintf(w, "%s may not enter %s\n%s\n", printable(e.Name), printable(e.SpaceName), printable(e.Missing))
	} else {
		fmt.Fprintf(w, "%s may enter %s\n", printable(e.Name), printable(e.SpaceName))
		for _, way := range e.Ways {
			until := ""
			if way.Expires != nil {
				until = ", until " + ago(*way.Expires)
			}
			fmt.Fprintf(w, "  %s%s\n", steps(e.Name, way.Path, e.SpaceName), until)
		}
		for _, t := range e.Teams {
			fmt.Fprintf(w, "is in the team %s\n", printable(t.Name))
			for _, way := range t.Ways {
				fmt.Fprintf(w, "  %s\n", steps(e.Name, way, t.Name))
			}
		}
	}
	if said := arrivalOf(e.Arrival); said != "" {
		fmt.Fprintf(w, "in the Space: %s\n", printable(said))
	}
	return nil
}

func steps(from string, path []api.AccessGroup, to string) string {
	said := []string{from}
	for _, g := range path {
		said = append(said, g.Name)
	}
	return printable(strings.Join(append(said, to), " -> "))
}

func (s *session) accessWhatIf() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "what-if CHANGE...", Short: "say who would gain and lose what; changes nothing", Args: cobra.MinimumNArgs(1),
		Long: `Each CHANGE is a kind and its parts, as one argument:
  "grant space=payments group=Developers"        or user=bob
  "revoke space=payments group=Developers"       or user=bob
  "map space=payments team=Deployers group=Developers"
  "unmap space=payments team=Deployers group=Developers"
  "add-member group=Developers user=bob"         or member=Contractors, a group
  "remove-member group=Developers user=bob"
  "disable-user user=bob"
Quote values that hold spaces: "grant space='Web shop' user=bob". All changes are looked at together.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var changes []api.AccessChange
			for _, arg := range args {
				change, err := parseChange(arg)
				if err != nil {
					return err
				}
				changes = append(changes, change)
			}
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			d, err := c.WhatIf(cmd.Context(), changes, limit)
			if err != nil {
				return err
			}
			return s.showDifference(cmd, d)
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 0, "tell of at most so many; 0 is all")
	return cmd
}

func (s *session) showDifference(cmd *cobra.Command, d api.AccessDifference) error {
	set, err := s.settings(cmd)
	if err != nil {
		return err
	}
	if set.Output != "table" {
		return encode(cmd.OutOrStdout(), set.Output, d)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%d would lose entry, %d gain it; %d would leave a team, %d join one\n", d.Lose, d.Gain, d.Leave, d.Join)
	if len(d.Items) == 0 {
		return nil
	}
	return show(s, cmd, d.Items, []column[api.AccessEffect]{
		{"what", func(e api.AccessEffect) string { return strings.ReplaceAll(e.Kind, "-", " ") }},
		{"who", func(e api.AccessEffect) string { return e.Name }},
		{"space", func(e api.AccessEffect) string { return e.SpaceName }},
		{"team", func(e api.AccessEffect) string { return e.TeamName }},
	})
}

// parseChange reads "grant space=payments group='Web developers'".
func parseChange(text string) (c api.AccessChange, err error) {
	wrong := func(why string) error {
		return odcm.E(odcm.Invalid, "cli.change", "%q: %s; see odcm access what-if --help", text, why)
	}
	words, err := split(text)
	if err != nil {
		return c, wrong(err.Error())
	}
	if len(words) == 0 {
		return c, wrong("it says nothing")
	}
	c.Kind = words[0]
	fields := map[string]*string{"space": &c.Space, "team": &c.Team, "group": &c.Group, "user": &c.User, "member": &c.Member}
	for _, word := range words[1:] {
		name, value, _ := strings.Cut(word, "=")
		field := fields[name]
		if field == nil || value == "" {
			return c, wrong(word + " is not space=, team=, group=, user= or member= with a value")
		}
		*field = value
	}
	return c, nil
}

// split cuts text into words; what stands between quotes is not cut.
func split(text string) (words []string, err error) {
	var word strings.Builder
	quote, within := rune(0), false
	for _, r := range text {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			} else {
				word.WriteRune(r)
			}
		case r == '\'' || r == '"':
			quote, within = r, true
		case r == ' ' || r == '\t':
			if within {
				words = append(words, word.String())
				word.Reset()
				within = false
			}
		default:
			word.WriteRune(r)
			within = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a quote is not closed")
	}
	if within {
		words = append(words, word.String())
	}
	return words, nil
}

func (s *session) accessTeams() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "teams SPACE", Short: "list the Octopus teams that groups are mapped to", Args: cobra.ExactArgs(1), ValidArgsFunction: s.completeSpace,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			if all {
				teams, err := c.OctopusTeams(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return show(s, cmd, teams, []column[api.AccessTeam]{
					{"team", func(t api.AccessTeam) string { return t.Name }},
					{"id", func(t api.AccessTeam) string { return t.ID }},
				})
			}
			mapped, err := c.Mappings(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return show(s, cmd, mapped, []column[api.AccessMapping]{
				{"team", func(m api.AccessMapping) string { return m.TeamName }},
				{"id", func(m api.AccessMapping) string { return m.Team }},
				{"groups", func(m api.AccessMapping) string {
					var names []string
					for _, g := range m.Groups {
						names = append(names, first(g.Name, g.ID))
					}
					return strings.Join(names, ", ")
				}},
				{"people", func(m api.AccessMapping) string { return fmt.Sprint(m.People) }},
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "all teams that the Space has, asking its server")
	return cmd
}

func (s *session) accessMap(in bool) *cobra.Command {
	var n api.NewAccessMapping
	cmd := &cobra.Command{
		Use: "map SPACE", Short: "put a group into an Octopus team of a Space", Args: cobra.ExactArgs(1), ValidArgsFunction: s.completeSpace,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			if n.Space = args[0]; in {
				return c.Map(cmd.Context(), n)
			}
			return c.Unmap(cmd.Context(), n)
		},
	}
	if !in {
		cmd.Use, cmd.Short = "unmap SPACE", "take a group out of an Octopus team of a Space"
	}
	cmd.Flags().StringVar(&n.Team, "team", "", "the team, by name or identifier")
	cmd.Flags().StringVar(&n.Group, "group", "", "the group, by name or identifier")
	_ = cmd.MarkFlagRequired("team")
	_ = cmd.MarkFlagRequired("group")
	return cmd
}
