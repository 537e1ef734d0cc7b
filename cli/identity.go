package cli

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"odcm"
	"odcm/api"
	"odcm/apiclient"
)

func (s *session) login() *cobra.Command {
	var username string
	cmd := &cobra.Command{
		Use: "login [URL]", Short: "sign in to a manager and remember it", Args: cobra.MaximumNArgs(1),
		Long: `Signs in and keeps the address and an API key of limited life in a file that only you can read. The API key is taken
from --api-key or ODCM_API_KEY if given; else it asks for user name and password.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := s.settings(cmd)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				set.URL = args[0]
			}
			if set.URL == "" {
				set.URL = "http://127.0.0.1:8080"
			}
			if set.APIKey == "" {
				if set.APIKey, err = s.signIn(cmd, set.URL, username); err != nil {
					return err
				}
			}
			c, err := s.dial(set.URL, set.APIKey)
			if err != nil {
				return err
			}
			me, err := c.Me(cmd.Context())
			if err != nil {
				return err
			}
			if err := writeLogin(saved{URL: set.URL, APIKey: set.APIKey}); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "signed in to %s as %s\n", set.URL, printable(me.Username))
			return nil
		},
	}
	cmd.Flags().StringVarP(&username, "username", "u", "", "user name")
	return cmd
}

// signIn asks for what is missing and exchanges it for an API key. A password that is piped in is one line.
func (s *session) signIn(cmd *cobra.Command, url, username string) (string, error) {
	in := bufio.NewReader(cmd.InOrStdin())
	line := func(prompt string) (string, error) {
		fmt.Fprint(cmd.ErrOrStderr(), prompt)
		text, err := in.ReadString('\n')
		if err != nil && text == "" {
			return "", odcm.E(odcm.Unauthenticated, "cli.no-password", "no user name or password: type them, pipe them in, or use --api-key")
		}
		return strings.TrimRight(text, "\r\n"), nil
	}
	var err error
	if username == "" {
		if username, err = line("User name: "); err != nil {
			return "", err
		}
	}
	var password string
	if f, ok := cmd.InOrStdin().(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(cmd.ErrOrStderr(), "Password: ")
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(cmd.ErrOrStderr())
		if err != nil {
			return "", err
		}
		password = string(b)
	} else if password, err = line(""); err != nil {
		return "", err
	}
	c, err := s.dial(url, "")
	if err != nil {
		return "", err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "this machine"
	}
	k, err := c.SignIn(cmd.Context(), api.SignIn{Username: username, Password: password, Purpose: "odcm login on " + host})
	return k.Key, err
}

func (s *session) logout() *cobra.Command {
	return &cobra.Command{
		Use: "logout", Short: "forget the remembered manager", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return removeLogin() },
	}
}

func (s *session) apiKeys() *cobra.Command {
	cmd := &cobra.Command{Use: "apikey", Short: "create, list and delete your API keys"}
	cmd.AddCommand(s.apiKeyCreate(), s.apiKeyList(), s.apiKeyDelete())
	return cmd
}

func (s *session) apiKeyCreate() *cobra.Command {
	var life time.Duration
	cmd := &cobra.Command{
		Use: "create PURPOSE", Short: "make an API key of your own and print it, once", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			n := api.NewAPIKey{Purpose: args[0]}
			if life > 0 {
				expires := time.Now().Add(life).UTC()
				n.Expires = &expires
			}
			k, err := c.CreateAPIKey(cmd.Context(), n)
			if err != nil {
				return err
			}
			return showOne(s, cmd, k, []column[api.CreatedAPIKey]{
				{"id", func(k api.CreatedAPIKey) string { return k.ID }},
				{"key", func(k api.CreatedAPIKey) string { return k.Key }},
				{"purpose", func(k api.CreatedAPIKey) string { return k.Purpose }},
			})
		},
	}
	cmd.Flags().DurationVar(&life, "expires-in", 0, "how long it works, such as 720h; 0 is for ever")
	return cmd
}

func (s *session) apiKeyList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "list your API keys, newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			all, err := apiclient.Collect(c.APIKeys(cmd.Context()), 0)
			if err != nil {
				return err
			}
			when := func(t *time.Time, otherwise string) string {
				if t == nil {
					return otherwise
				}
				return ago(*t)
			}
			return show(s, cmd, all, []column[api.APIKey]{
				{"id", func(k api.APIKey) string { return k.ID }},
				{"prefix", func(k api.APIKey) string { return k.Prefix }},
				{"purpose", func(k api.APIKey) string { return k.Purpose }},
				{"created", func(k api.APIKey) string { return ago(k.Created) }},
				{"expires", func(k api.APIKey) string { return when(k.Expires, "never") }},
				{"last used", func(k api.APIKey) string { return when(k.LastUsed, "never") }},
			})
		},
	}
}

func (s *session) apiKeyDelete() *cobra.Command {
	return &cobra.Command{
		Use: "delete ID", Short: "revoke one of your API keys", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			return c.DeleteAPIKey(cmd.Context(), args[0])
		},
	}
}
