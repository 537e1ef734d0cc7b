package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"odcm"
	"odcm/api"
	"odcm/apiclient"
)

func (s *session) accounts() *cobra.Command {
	cmd := &cobra.Command{Use: "account", Short: "see and decide whose the accounts on a Space's server are, and what somebody changed there"}
	cmd.AddCommand(s.accountList(), s.accountDecide(), s.accountDrift())
	return cmd
}

func (s *session) accountList() *cobra.Command {
	return &cobra.Command{
		Use: "list SPACE", Short: "list the users of a Space's server with who they are in ODCM", Args: cobra.ExactArgs(1), ValidArgsFunction: s.completeSpace,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			all, err := apiclient.Collect(c.Accounts(cmd.Context(), args[0]), 0)
			if err != nil {
				return err
			}
			return show(s, cmd, all, []column[api.Account]{
				{"account", func(a api.Account) string { return a.Account }},
				{"username", func(a api.Account) string { return a.Username }},
				{"e-mail", func(a api.Account) string { return a.Email }},
				{"person", func(a api.Account) string { return a.PersonName }},
				{"because", accountBecause},
			})
		},
	}
}

// accountBecause says why the account is whose it is, or what is to be decided.
func accountBecause(a api.Account) string {
	switch {
	case a.Untouched != "":
		return "never touched: " + map[string]string{"service": "a service account", "key": "ODCM uses its API key", "local": "left to the server"}[a.Untouched]
	case len(a.Between) > 0:
		var names []string
		for _, c := range a.Between {
			names = append(names, c.Name)
		}
		return "to decide: " + strings.Join(names, " or ") + ". " + a.Because
	}
	return a.Because
}

func (s *session) accountDecide() *cobra.Command {
	return &cobra.Command{
		Use: "decide SPACE ACCOUNT=DEED...", Short: "say whose accounts are: Users-21=link:bob, Users-22=local, Users-23=invite, Users-24=create, Users-25=undo",
		Args: cobra.MinimumNArgs(2), ValidArgsFunction: s.completeSpace,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			choices, err := accountChoices(args[1:])
			if err != nil {
				return err
			}
			return c.DecideAccounts(cmd.Context(), args[0], choices)
		},
	}
}

// accountChoices reads "Users-21=link:user-0198..." and the like.
func accountChoices(texts []string) (choices []api.AccountChoice, err error) {
	for _, text := range texts {
		account, deed, ok := strings.Cut(text, "=")
		do, person, named := strings.Cut(deed, ":")
		if !ok || account == "" || (do == "link") != (named && person != "") {
			return nil, odcm.E(odcm.Invalid, "cli.account", "%q is no decision: write Users-21=link:PERSON, =local, =invite, =create or =undo", text)
		}
		choices = append(choices, api.AccountChoice{Account: account, Do: do, Person: person})
	}
	return choices, nil
}

func (s *session) accountDrift() *cobra.Command {
	var policy string
	cmd := &cobra.Command{
		Use: "drift SPACE", Short: "show what somebody changed in people and teams of a Space, and choose what is done about it", Args: cobra.ExactArgs(1), ValidArgsFunction: s.completeSpace,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			if policy != "" {
				if err := c.SetPushPolicy(cmd.Context(), args[0], policy); err != nil {
					return err
				}
			}
			p, err := c.Pushed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			set, err := s.settings(cmd)
			if err != nil {
				return err
			}
			if set.Output != "table" {
				return encode(cmd.OutOrStdout(), set.Output, p)
			}
			state := "the server has all that is wished"
			if !p.InSync {
				state = "the server does not have all that is wished yet"
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s; what others change is set to: %s\n\n", state, p.Drift)
			return show(s, cmd, p.Teams, []column[api.PushedTeam]{
				{"team", func(t api.PushedTeam) string { return t.Name }},
				{"people", func(t api.PushedTeam) string { return fmt.Sprint(t.Members) }},
				{"added by hand", func(t api.PushedTeam) string { return strings.Join(t.Added, ", ") }},
				{"taken out", func(t api.PushedTeam) string { return strings.Join(append(t.Removed, t.Groups...), ", ") }},
				{"repairs", func(t api.PushedTeam) string { return fmt.Sprint(t.Repairs) }},
				{"failure", func(t api.PushedTeam) string { return t.Failure }},
			})
		},
	}
	cmd.Flags().StringVar(&policy, "policy", "", "repair or leave: choose before showing")
	return cmd
}
