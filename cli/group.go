package cli

import (
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"odcm/api"
	"odcm/apiclient"
)

func (s *session) groups() *cobra.Command {
	cmd := &cobra.Command{Use: "group", Short: "list, create, edit and delete groups, and change who is in them"}
	cmd.AddCommand(s.groupList(), s.groupGet(), s.groupCreate(), s.groupEdit(), s.groupDelete(), s.groupAdd(), s.groupRemove(), s.groupMembers())
	return cmd
}

func groupOrigin(g api.Group) string {
	if g.External != nil {
		return g.External.Provider
	}
	return "own"
}

func (s *session) groupList() *cobra.Command {
	var f apiclient.GroupFilter
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "list groups by name", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			all, err := apiclient.Collect(c.Groups(cmd.Context(), f), limit)
			if err != nil {
				return err
			}
			count := func(of func(api.GroupCounts) int) func(api.Group) string {
				return func(g api.Group) string {
					if g.Counts == nil {
						return ""
					}
					return strconv.Itoa(of(*g.Counts))
				}
			}
			return show(s, cmd, all, []column[api.Group]{
				{"name", func(g api.Group) string { return g.Name }},
				{"id", func(g api.Group) string { return g.ID }},
				{"of", groupOrigin},
				{"users", count(func(c api.GroupCounts) int { return c.Users })},
				{"groups", count(func(c api.GroupCounts) int { return c.Groups })},
			})
		},
	}
	cmd.Flags().StringVarP(&f.Text, "search", "q", "", "part of the name")
	cmd.Flags().StringVar(&f.Kind, "kind", "", "only own or external ones")
	cmd.Flags().StringVar(&f.Provider, "provider", "", "only those of this provider, by identifier")
	cmd.Flags().IntVar(&limit, "limit", 0, "at most so many; 0 is all")
	return cmd
}

func (s *session) showGroup(cmd *cobra.Command, g api.Group) error {
	return showOne(s, cmd, g, []column[api.Group]{
		{"name", func(g api.Group) string { return g.Name }},
		{"id", func(g api.Group) string { return g.ID }},
		{"description", func(g api.Group) string { return g.Description }},
		{"of", groupOrigin},
		{"external id", func(g api.Group) string {
			if g.External == nil {
				return ""
			}
			return g.External.ID
		}},
		{"created", func(g api.Group) string { return ago(g.Created) }},
	})
}

func (s *session) groupGet() *cobra.Command {
	return &cobra.Command{
		Use: "get GROUP", Short: "show a group, by name or identifier", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			g, err := c.Group(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.showGroup(cmd, g)
		},
	}
}

func (s *session) groupCreate() *cobra.Command {
	var n api.NewGroup
	cmd := &cobra.Command{
		Use: "create NAME", Short: "create a group without members", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			n.Name = args[0]
			g, err := c.CreateGroup(cmd.Context(), n, uuid.NewString())
			if err != nil {
				return err
			}
			return s.showGroup(cmd, g)
		},
	}
	cmd.Flags().StringVar(&n.Description, "description", "", "what it is for")
	return cmd
}

func (s *session) groupEdit() *cobra.Command {
	var name, description string
	cmd := &cobra.Command{
		Use: "edit GROUP", Short: "rename a group or describe it anew", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			var u api.GroupUpdate
			if cmd.Flags().Changed("name") {
				u.Name = &name
			}
			if cmd.Flags().Changed("description") {
				u.Description = &description
			}
			g, err := c.UpdateGroup(cmd.Context(), args[0], u, 0)
			if err != nil {
				return err
			}
			return s.showGroup(cmd, g)
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "new name")
	cmd.Flags().StringVar(&description, "description", "", "new description")
	cmd.MarkFlagsOneRequired("name", "description")
	return cmd
}

func (s *session) groupDelete() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "delete GROUP", Short: "delete a group that is not used", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			return c.DeleteGroup(cmd.Context(), args[0], force)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "also where it gives access or is in other groups")
	return cmd
}

func (s *session) groupAdd() *cobra.Command {
	return s.groupChange("add GROUP MEMBER...", "put users and groups into a group, by name or identifier", func(members []string) api.GroupEdit { return api.GroupEdit{Add: members} })
}

func (s *session) groupRemove() *cobra.Command {
	return s.groupChange("remove GROUP MEMBER...", "take users and groups out of a group", func(members []string) api.GroupEdit { return api.GroupEdit{Remove: members} })
}

func (s *session) groupChange(use, short string, edit func([]string) api.GroupEdit) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			_, err = c.EditGroup(cmd.Context(), args[0], edit(args[1:]), 0)
			return err
		},
	}
}

func (s *session) groupMembers() *cobra.Command {
	var all bool
	var limit int
	cmd := &cobra.Command{
		Use: "members GROUP", Short: "list who is directly in a group, or with --all everyone, with the way there", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			if all {
				users, err := apiclient.Collect(c.GroupUsers(cmd.Context(), args[0]), limit)
				if err != nil {
					return err
				}
				return show(s, cmd, users, []column[api.GroupUser]{
					{"username", func(u api.GroupUser) string { return u.Username }},
					{"name", func(u api.GroupUser) string { return u.Name }},
					{"through", func(u api.GroupUser) string { return pathOf(u.Path) }},
				})
			}
			members, err := apiclient.Collect(c.GroupMembers(cmd.Context(), args[0]), limit)
			if err != nil {
				return err
			}
			return show(s, cmd, members, []column[api.GroupMember]{
				{"kind", func(m api.GroupMember) string { return m.Kind }},
				{"name", func(m api.GroupMember) string { return first(m.Detail, m.Name) }},
				{"id", func(m api.GroupMember) string { return m.ID }},
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also who is in it through other groups")
	cmd.Flags().IntVar(&limit, "limit", 0, "at most so many; 0 is all")
	return cmd
}

func pathOf(path []api.GroupRef) string {
	names := make([]string, len(path))
	for i, g := range path {
		names[i] = g.Name
	}
	return strings.Join(names, " > ")
}
