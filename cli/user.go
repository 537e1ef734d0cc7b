package cli

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"odcm"
	"odcm/api"
	"odcm/apiclient"
)

func (s *session) users() *cobra.Command {
	cmd := &cobra.Command{Use: "user", Short: "invite, create, change and merge users"}
	cmd.AddCommand(s.userList(), s.userView(), s.userCreate(), s.userInvite(), s.userUpdate(), s.userDelete(),
		s.userLink("reinvite USER", "write once more to a user who has not come", (*apiclient.Client).InviteAgain),
		s.userLink("password USER", "give a user the means to choose a new password", (*apiclient.Client).OfferPassword),
		s.userSignOut(), s.userUnlink(), s.userAlike(), s.userMerge(), s.userApart(), s.userGuest())
	return cmd
}

var userColumns = []column[api.User]{
	{"username", func(u api.User) string { return u.Username }},
	{"name", func(u api.User) string { return u.DisplayName }},
	{"email", func(u api.User) string { return firstEmail(u) }},
	{"roles", func(u api.User) string { return strings.Join(u.Roles, ",") }},
	{"state", func(u api.User) string { return u.State }},
}

func firstEmail(u api.User) string {
	if len(u.Emails) == 0 {
		return ""
	}
	return u.Emails[0].Address
}

// do runs a command with a client.
func (s *session) do(f func(cmd *cobra.Command, c *apiclient.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := s.client(cmd)
		if err != nil {
			return err
		}
		return f(cmd, c, args)
	}
}

func (s *session) userList() *cobra.Command {
	var f apiclient.UserFilter
	var limit int
	cmd := &cobra.Command{Use: "list", Short: "list users by username", Args: cobra.NoArgs}
	cmd.RunE = s.do(func(cmd *cobra.Command, c *apiclient.Client, _ []string) error {
		all, err := apiclient.Collect(c.Users(cmd.Context(), f), limit)
		if err != nil {
			return err
		}
		return show(s, cmd, all, userColumns)
	})
	cmd.Flags().StringVarP(&f.Text, "search", "q", "", "part of a username, name or address")
	cmd.Flags().StringVar(&f.State, "state", "", "only these: active, disabled or deleted")
	cmd.Flags().StringVar(&f.Provider, "provider", "", "only those who sign in with this provider, by its identifier, or local")
	cmd.Flags().StringVar(&f.Role, "role", "", "only those with this role")
	cmd.Flags().IntVar(&limit, "limit", 0, "at most so many; 0 is all")
	return cmd
}

func (s *session) showUser(cmd *cobra.Command, u api.User) error {
	return showOne(s, cmd, u, []column[api.User]{
		{"username", func(u api.User) string { return u.Username }},
		{"id", func(u api.User) string { return u.ID }},
		{"name", func(u api.User) string { return u.DisplayName }},
		{"state", func(u api.User) string { return u.State }},
		{"disabled by", func(u api.User) string { return u.DisabledBy }},
		{"merged into", func(u api.User) string { return u.MergedInto }},
		{"roles", func(u api.User) string { return strings.Join(u.Roles, ", ") }},
		{"emails", emailsOf},
		{"signs in with", waysOf},
		{"created", func(u api.User) string { return ago(u.Created) }},
	})
}

func emailsOf(u api.User) string {
	var all []string
	for _, e := range u.Emails {
		text := e.Address
		if e.Verified == nil {
			text += " (not verified)"
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

func waysOf(u api.User) string {
	var all []string
	if u.Password {
		all = append(all, "password")
	}
	for _, i := range u.Identities {
		all = append(all, fmt.Sprintf("%s as %s (%s)", i.Provider, first(i.Username, i.Subject), i.ID))
	}
	return strings.Join(all, ", ")
}

func (s *session) userView() *cobra.Command {
	cmd := &cobra.Command{Use: "view USER", Short: "show a user, by username, address or identifier", Args: cobra.ExactArgs(1)}
	cmd.RunE = s.do(func(cmd *cobra.Command, c *apiclient.Client, args []string) error {
		u, err := c.User(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return s.showUser(cmd, u)
	})
	return cmd
}

func (s *session) userCreate() *cobra.Command {
	var n api.NewUser
	var password bool
	cmd := &cobra.Command{Use: "create USERNAME", Short: "make a user; to let somebody choose a password himself, invite", Args: cobra.ExactArgs(1)}
	cmd.RunE = s.do(func(cmd *cobra.Command, c *apiclient.Client, args []string) (err error) {
		n.Username = args[0]
		if password {
			if n.Password, err = readPassword(cmd); err != nil {
				return err
			}
		}
		u, err := c.CreateUser(cmd.Context(), n)
		if err != nil {
			return err
		}
		return s.showUser(cmd, u)
	})
	cmd.Flags().StringVar(&n.DisplayName, "name", "", "as others see the user")
	cmd.Flags().StringVar(&n.Email, "email", "", "address of the user")
	cmd.Flags().StringSliceVar(&n.Roles, "role", nil, "roles in ODCM: administrator, auditor, space-administrator, member")
	cmd.Flags().BoolVar(&password, "password", false, "ask for a password, or read a line that is piped in")
	return cmd
}

// readPassword takes it from a terminal without showing it, or as one line from a pipe; never as an argument, which others see.
func readPassword(cmd *cobra.Command) (string, error) {
	if f, ok := cmd.InOrStdin().(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(cmd.ErrOrStderr(), "Password: ")
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(cmd.ErrOrStderr())
		return string(b), err
	}
	line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", odcm.E(odcm.Invalid, "cli.no-password", "no password: pipe one line in").Because(err)
	}
	return line, nil
}

func (s *session) userInvite() *cobra.Command {
	var n api.Invitation
	var groups []string
	cmd := &cobra.Command{Use: "invite EMAIL", Short: "invite somebody from outside, with the account that he has or a password", Args: cobra.ExactArgs(1)}
	cmd.RunE = s.do(func(cmd *cobra.Command, c *apiclient.Client, args []string) error {
		n.Email, n.Groups = args[0], nil
		for _, ref := range groups {
			g, err := c.Group(cmd.Context(), ref)
			if err != nil {
				return err
			}
			n.Groups = append(n.Groups, g.ID)
		}
		i, err := c.Invite(cmd.Context(), n)
		if err != nil {
			return err
		}
		return showOne(s, cmd, i, []column[api.Invited]{
			{"username", func(i api.Invited) string { return i.User.Username }},
			{"id", func(i api.Invited) string { return i.User.ID }},
			{"link", func(i api.Invited) string { return first(i.Link, "mailed") }},
		})
	})
	cmd.Flags().StringVar(&n.Username, "username", "", "the address if left out")
	cmd.Flags().StringVar(&n.DisplayName, "name", "", "as others see the user")
	cmd.Flags().StringSliceVar(&n.Roles, "role", nil, "roles in ODCM; member if left out")
	cmd.Flags().StringSliceVar(&groups, "group", nil, "groups to be in from the beginning, by name or identifier; repeat for several")
	return cmd
}

func (s *session) userUpdate() *cobra.Command {
	var username, name string
	var roles []string
	var activate, deactivate bool
	cmd := &cobra.Command{Use: "update USER", Short: "change a user, activate or deactivate", Args: cobra.ExactArgs(1)}
	cmd.RunE = s.do(func(cmd *cobra.Command, c *apiclient.Client, args []string) error {
		var u api.UserChange
		if cmd.Flags().Changed("username") {
			u.Username = &username
		}
		if cmd.Flags().Changed("name") {
			u.DisplayName = &name
		}
		if cmd.Flags().Changed("role") {
			u.Roles = &roles
		}
		if activate || deactivate {
			u.Disabled = &deactivate
		}
		changed, err := c.UpdateUser(cmd.Context(), args[0], u, 0)
		if err != nil {
			return err
		}
		return s.showUser(cmd, changed)
	})
	cmd.Flags().StringVar(&username, "username", "", "the new username")
	cmd.Flags().StringVar(&name, "name", "", "as others see the user")
	cmd.Flags().StringSliceVar(&roles, "role", nil, "all roles that the user is to have in ODCM")
	cmd.Flags().BoolVar(&activate, "activate", false, "let the user sign in again")
	cmd.Flags().BoolVar(&deactivate, "deactivate", false, "sign the user out everywhere and let nobody in as this user")
	cmd.MarkFlagsMutuallyExclusive("activate", "deactivate")
	return cmd
}

func (s *session) userDelete() *cobra.Command {
	cmd := &cobra.Command{Use: "delete USER", Short: "delete a user who is deactivated", Args: cobra.ExactArgs(1)}
	cmd.RunE = s.do(func(cmd *cobra.Command, c *apiclient.Client, args []string) error {
		return c.DeleteUser(cmd.Context(), args[0])
	})
	return cmd
}

// userLink is a command that gives a link where it cannot be mailed.
func (s *session) userLink(use, short string, ask func(*apiclient.Client, context.Context, string) (api.Link, error)) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(1)}
	cmd.RunE = s.do(func(cmd *cobra.Command, c *apiclient.Client, args []string) error {
		l, err := ask(c, cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return showOne(s, cmd, l, []column[api.Link]{{"link", func(l api.Link) string { return first(l.Link, "mailed") }}})
	})
	return cmd
}

func (s *session) userSignOut() *cobra.Command {
	cmd := &cobra.Command{Use: "sign-out USER", Short: "end all sessions of a user", Args: cobra.ExactArgs(1)}
	cmd.RunE = s.do(func(cmd *cobra.Command, c *apiclient.Client, args []string) error {
		return c.SignOutUser(cmd.Context(), args[0])
	})
	return cmd
}

func (s *session) userUnlink() *cobra.Command {
	cmd := &cobra.Command{Use: "unlink USER IDENTITY", Short: "take an account at a provider from a user", Args: cobra.ExactArgs(2)}
	cmd.RunE = s.do(func(cmd *cobra.Command, c *apiclient.Client, args []string) error {
		return c.UnlinkIdentity(cmd.Context(), args[0], args[1])
	})
	return cmd
}

func (s *session) userAlike() *cobra.Command {
	cmd := &cobra.Command{Use: "alike", Short: "list users who look like one person", Args: cobra.NoArgs}
	cmd.RunE = s.do(func(cmd *cobra.Command, c *apiclient.Client, _ []string) error {
		page, err := c.MergeProposals(cmd.Context())
		if err != nil {
			return err
		}
		return show(s, cmd, page.Items, []column[api.MergeProposal]{
			{"one", func(m api.MergeProposal) string { return m.One.Username }},
			{"other", func(m api.MergeProposal) string { return m.Other.Username }},
			{"because", func(m api.MergeProposal) string {
				var why []string
				for _, r := range m.Reasons {
					why = append(why, r.Sign+" "+r.Value)
				}
				return strings.Join(why, ", ")
			}},
			{"ids", func(m api.MergeProposal) string { return m.One.ID + " " + m.Other.ID }},
		})
	})
	return cmd
}

// pair finds the identifiers of two users.
func pair(cmd *cobra.Command, c *apiclient.Client, args []string) (one, other api.User, err error) {
	if one, err = c.User(cmd.Context(), args[0]); err == nil {
		other, err = c.User(cmd.Context(), args[1])
	}
	return one, other, err
}

func (s *session) userMerge() *cobra.Command {
	cmd := &cobra.Command{Use: "merge KEEP GONE", Short: "make one user of two: KEEP gets all that GONE has, who is deleted", Args: cobra.ExactArgs(2)}
	cmd.RunE = s.do(func(cmd *cobra.Command, c *apiclient.Client, args []string) error {
		keep, gone, err := pair(cmd, c, args)
		if err != nil {
			return err
		}
		return c.MergeUsers(cmd.Context(), api.Merge{Keep: keep.ID, Gone: gone.ID})
	})
	return cmd
}

func (s *session) userApart() *cobra.Command {
	cmd := &cobra.Command{Use: "apart ONE OTHER", Short: "say that two users are two people", Args: cobra.ExactArgs(2)}
	cmd.RunE = s.do(func(cmd *cobra.Command, c *apiclient.Client, args []string) error {
		one, other, err := pair(cmd, c, args)
		if err != nil {
			return err
		}
		return c.TellApart(cmd.Context(), api.Distinction{One: one.ID, Other: other.ID})
	})
	return cmd
}

func (s *session) userGuest() *cobra.Command {
	cmd := &cobra.Command{Use: "guest on|off", Short: "let everybody look around without signing in, or nobody", Args: cobra.ExactArgs(1), ValidArgs: []string{"on", "off"}}
	cmd.RunE = s.do(func(cmd *cobra.Command, c *apiclient.Client, args []string) error {
		if args[0] != "on" && args[0] != "off" {
			return odcm.E(odcm.Invalid, "cli.on-off", "say on or off")
		}
		return c.SetGuest(cmd.Context(), args[0] == "on")
	})
	return cmd
}
