package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"odcm"
	"odcm/api"
	"odcm/apiclient"
)

func (s *session) relyingParties() *cobra.Command {
	cmd := &cobra.Command{Use: "relying-party", Short: "programs that let people in on ODCM's word", Aliases: []string{"rp"}}
	cmd.AddCommand(s.partyList(), s.partyView(), s.partyCreate(), s.partyUpdate(), s.partySecret(), s.partyDelete())
	return cmd
}

var partyColumns = []column[api.RelyingParty]{
	{"name", func(p api.RelyingParty) string { return p.Name }},
	{"id", func(p api.RelyingParty) string { return p.ID }},
	{"kind", func(p api.RelyingParty) string { return p.Kind }},
	{"algorithm", func(p api.RelyingParty) string { return p.Algorithm }},
	{"auth", func(p api.RelyingParty) string { return p.Auth }},
	{"redirect", func(p api.RelyingParty) string { return strings.Join(p.RedirectURIs, " ") }},
}

func (s *session) partyList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "list relying parties", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			all, err := apiclient.Collect(c.RelyingParties(cmd.Context()), 0)
			if err != nil {
				return err
			}
			return show(s, cmd, all, partyColumns)
		},
	}
}

func (s *session) partyView() *cobra.Command {
	return &cobra.Command{
		Use: "view ID", Short: "show a relying party", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			p, err := c.RelyingParty(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.showParty(cmd, p)
		},
	}
}

func (s *session) showParty(cmd *cobra.Command, p api.RelyingParty) error {
	yes := func(is bool) string {
		if is {
			return "yes"
		}
		return ""
	}
	return showOne(s, cmd, p, append(partyColumns[:len(partyColumns):len(partyColumns)],
		column[api.RelyingParty]{"after signing out", func(p api.RelyingParty) string { return strings.Join(p.PostLogoutURIs, " ") }},
		column[api.RelyingParty]{"told of signing out at", func(p api.RelyingParty) string { return p.LogoutURI }},
		column[api.RelyingParty]{"server", func(p api.RelyingParty) string { return p.Instance }},
		column[api.RelyingParty]{"asks for consent", func(p api.RelyingParty) string { return yes(p.Consent) }},
		column[api.RelyingParty]{"disabled", func(p api.RelyingParty) string { return yes(p.Disabled) }},
		column[api.RelyingParty]{"secret made", func(p api.RelyingParty) string {
			if p.SecretMade == nil {
				return ""
			}
			return ago(*p.SecretMade)
		}},
		column[api.RelyingParty]{"created", func(p api.RelyingParty) string { return ago(p.Created) }},
	))
}

// partyFlags are the settings as flags. Keys are read from a file.
func partyFlags(cmd *cobra.Command, in *api.RelyingPartySettings) (read func() error) {
	var keys string
	f := cmd.Flags()
	f.StringSliceVar(&in.RedirectURIs, "redirect", nil, "where people come back to; repeat for several")
	f.StringSliceVar(&in.PostLogoutURIs, "after-sign-out", nil, "where people may be sent after signing out")
	f.StringVar(&in.LogoutURI, "logout-uri", "", "address that is told when somebody signs out")
	f.StringVar(&in.Algorithm, "algorithm", "ES256", "ES256 or RS256")
	f.StringVar(&in.Auth, "auth", "secret", "secret, private_key_jwt or none")
	f.StringVar(&keys, "keys-file", "", "with private_key_jwt: file with the public keys, a JSON Web Key Set")
	f.BoolVar(&in.PlainHTTP, "allow-http", false, "redirect addresses may be http")
	f.BoolVar(&in.Front, "allow-front-channel", false, "ID tokens may come by the browser")
	f.BoolVar(&in.Device, "allow-device", false, "may use the device grant")
	f.BoolVar(&in.Consent, "ask-consent", false, "ask people once whether it may know them")
	f.BoolVar(&in.Disabled, "disabled", false, "let nobody in")
	return func() error {
		if keys == "" {
			return nil
		}
		b, err := os.ReadFile(keys)
		if err != nil {
			return odcm.E(odcm.Invalid, "cli.file", "cannot read %s: %v", keys, err)
		}
		in.Keys = string(b)
		return nil
	}
}

func (s *session) partyCreate() *cobra.Command {
	var n api.NewRelyingParty
	cmd := &cobra.Command{Use: "create NAME", Short: "register a relying party and print its secret, once", Args: cobra.ExactArgs(1)}
	read := partyFlags(cmd, &n.RelyingPartySettings)
	cmd.Flags().StringVar(&n.Kind, "kind", "application", "application, or native: on people's machines")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := read(); err != nil {
			return err
		}
		c, err := s.client(cmd)
		if err != nil {
			return err
		}
		if n.Name = args[0]; n.Kind == "native" && !cmd.Flags().Changed("auth") {
			n.Auth = "none"
		}
		p, err := c.CreateRelyingParty(cmd.Context(), n)
		if err != nil {
			return err
		}
		return s.showSecret(cmd, p)
	}
	return cmd
}

func (s *session) showSecret(cmd *cobra.Command, p api.RelyingPartySecret) error {
	return showOne(s, cmd, p, []column[api.RelyingPartySecret]{
		{"client id", func(p api.RelyingPartySecret) string { return p.ID }},
		{"client secret", func(p api.RelyingPartySecret) string { return p.Secret }},
		{"name", func(p api.RelyingPartySecret) string { return p.Name }},
	})
}

func (s *session) partyUpdate() *cobra.Command {
	var in api.RelyingPartySettings
	cmd := &cobra.Command{Use: "update ID", Short: "change a relying party; what no flag names stays", Args: cobra.ExactArgs(1)}
	read := partyFlags(cmd, &in)
	cmd.Flags().StringVar(&in.Name, "name", "", "another name")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := read(); err != nil {
			return err
		}
		c, err := s.client(cmd)
		if err != nil {
			return err
		}
		p, err := c.RelyingParty(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		changed := cmd.Flags().Changed
		set := p.RelyingPartySettings
		for flag, take := range map[string]func(){
			"name": func() { set.Name = in.Name }, "redirect": func() { set.RedirectURIs = in.RedirectURIs }, "after-sign-out": func() { set.PostLogoutURIs = in.PostLogoutURIs },
			"logout-uri": func() { set.LogoutURI = in.LogoutURI }, "algorithm": func() { set.Algorithm = in.Algorithm }, "auth": func() { set.Auth = in.Auth },
			"keys-file": func() { set.Keys = in.Keys }, "allow-http": func() { set.PlainHTTP = in.PlainHTTP }, "allow-front-channel": func() { set.Front = in.Front },
			"allow-device": func() { set.Device = in.Device }, "ask-consent": func() { set.Consent = in.Consent }, "disabled": func() { set.Disabled = in.Disabled },
		} {
			if changed(flag) {
				take()
			}
		}
		if p, err = c.UpdateRelyingParty(cmd.Context(), p.ID, p.Revision, set); err != nil {
			return err
		}
		return s.showParty(cmd, p)
	}
	return cmd
}

func (s *session) partySecret() *cobra.Command {
	return &cobra.Command{
		Use: "rotate-secret ID", Short: "make a new secret and print it, once; the one before is taken for a day", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			p, err := c.RotateRelyingPartySecret(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.showSecret(cmd, p)
		},
	}
}

func (s *session) partyDelete() *cobra.Command {
	return &cobra.Command{
		Use: "delete ID", Short: "forget a relying party; nobody gets into it by ODCM any more", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			return c.DeleteRelyingParty(cmd.Context(), args[0])
		},
	}
}

func (s *session) signingKeys() *cobra.Command {
	cmd := &cobra.Command{Use: "signing-key", Short: "keys that sign ID tokens"}
	cmd.AddCommand(&cobra.Command{
		Use: "list", Short: "list the keys that are published", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			all, err := apiclient.Collect(c.SigningKeys(cmd.Context()), 0)
			if err != nil {
				return err
			}
			return show(s, cmd, all, []column[api.SigningKey]{
				{"kid", func(k api.SigningKey) string { return k.ID }},
				{"algorithm", func(k api.SigningKey) string { return k.Algorithm }},
				{"state", func(k api.SigningKey) string { return k.State }},
				{"signs from", func(k api.SigningKey) string { return ago(k.Starts) }},
			})
		},
	}, &cobra.Command{
		Use: "rotate ALGORITHM", Short: "make the next key of RS256 or ES256; it signs in ten minutes", Args: cobra.ExactArgs(1), ValidArgs: []string{"RS256", "ES256"},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			if err := c.RotateSigningKey(cmd.Context(), strings.ToUpper(args[0])); err != nil {
				return err
			}
			fmt.Fprintln(cmd.ErrOrStderr(), "the next key is published")
			return nil
		},
	})
	return cmd
}
