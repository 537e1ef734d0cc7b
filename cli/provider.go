package cli

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"odcm"
	"odcm/api"
	"odcm/apiclient"
)

func (s *session) providers() *cobra.Command {
	cmd := &cobra.Command{Use: "provider", Short: "manage the ways to sign in: directories and other companies' providers"}
	cmd.AddCommand(s.providerList(), s.providerGet(), s.providerCreate(), s.providerEdit(), s.providerTest(), s.providerSync(), s.providerDelete(), s.providerKinds())
	return cmd
}

var providerColumns = []column[api.Provider]{
	{"id", func(p api.Provider) string { return p.ID }},
	{"name", func(p api.Provider) string { return p.Name }},
	{"kind", func(p api.Provider) string { return p.Kind }},
	{"enabled", func(p api.Provider) string { return yesNo(p.Enabled) }},
	{"directory", providerState},
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// providerState says how old what is known is, and why it is not newer.
func providerState(p api.Provider) string {
	if p.Sync == nil {
		return ""
	}
	state := "never read"
	if p.Sync.Succeeded != nil {
		state = fmt.Sprintf("read %s: %d people, %d groups", ago(*p.Sync.Succeeded), p.Sync.People, p.Sync.Groups)
	}
	for _, why := range []string{p.Sync.Held, p.Sync.Error} {
		if why != "" {
			state += "; " + why
		}
	}
	return state
}

func (s *session) providerList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "list the ways to sign in", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			all, err := apiclient.Collect(c.Providers(cmd.Context()), 0)
			if err != nil {
				return err
			}
			return show(s, cmd, all, providerColumns)
		},
	}
}

func (s *session) providerKinds() *cobra.Command {
	return &cobra.Command{
		Use: "kinds [KIND]", Short: "list the kinds of providers, or the settings of one", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			kinds, err := c.ProviderKinds(cmd.Context())
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return show(s, cmd, kinds, []column[api.ProviderKind]{
					{"kind", func(k api.ProviderKind) string { return k.Kind }}, {"name", func(k api.ProviderKind) string { return k.Name }}})
			}
			for _, k := range kinds {
				if k.Kind == args[0] {
					return show(s, cmd, k.Fields, []column[api.ProviderField]{
						{"setting", func(f api.ProviderField) string { return f.Name }},
						{"required", func(f api.ProviderField) string { return yesNo(f.Required) }},
						{"secret", func(f api.ProviderField) string { return yesNo(f.Secret) }},
						{"default", func(f api.ProviderField) string { return f.Default }},
						{"what it is", func(f api.ProviderField) string { return strings.TrimSpace(f.Label + ". " + f.Help) }},
					})
				}
			}
			return odcm.E(odcm.NotFound, "cli.provider-kind", "there is no kind of provider named %s: see odcm provider kinds", args[0])
		},
	}
}

func (s *session) showProvider(cmd *cobra.Command, p api.Provider) error {
	fields := append([]column[api.Provider]{}, providerColumns...)
	for name, value := range p.Settings {
		fields = append(fields, column[api.Provider]{name, func(api.Provider) string { return strings.ReplaceAll(value, "\n", " ") }})
	}
	for _, name := range p.Secrets {
		fields = append(fields, column[api.Provider]{name, func(api.Provider) string { return "(set)" }})
	}
	fields = append(fields, column[api.Provider]{"return URL", func(p api.Provider) string { return p.ReturnURL }})
	return showOne(s, cmd, p, fields)
}

func (s *session) providerGet() *cobra.Command {
	return &cobra.Command{
		Use: "get PROVIDER", Short: "show a way to sign in", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			p, err := c.Provider(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.showProvider(cmd, p)
		},
	}
}

// providerFlags are what create and edit have in common. Secrets come from files, so that none is in a list of processes.
type providerFlags struct {
	name      string
	enabled   bool
	order     int
	syncEvery string
	set       []string
	setFile   []string
	secret    []string
	forget    []string
}

func (f *providerFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "as people see it on the sign-in page")
	flags.BoolVar(&f.enabled, "enabled", false, "whether people may sign in by it")
	flags.IntVar(&f.order, "order", 0, "place on the sign-in page")
	flags.StringVar(&f.syncEvery, "sync-every", "", "how often a directory is read whole, such as 30m")
	flags.StringArrayVar(&f.set, "set", nil, "a setting, as name=value")
	flags.StringArrayVar(&f.setFile, "set-file", nil, "a setting whose value is in a file, as name=path: ca=ca.pem")
	flags.StringArrayVar(&f.secret, "secret-file", nil, "a secret setting whose value is in a file, as name=path; - is the standard input")
}

// values reads the settings and secrets. Kind tells which secrets are files, and travel in base64.
func (f *providerFlags) values(cmd *cobra.Command, fields []api.ProviderField) (settings, secrets map[string]string, err error) {
	settings, secrets = map[string]string{}, map[string]string{}
	for _, pair := range f.set {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, nil, odcm.E(odcm.Invalid, "cli.usage", "--set %s: want name=value", pair)
		}
		settings[name] = value
	}
	read := func(flag, pair string) (string, []byte, error) {
		name, path, ok := strings.Cut(pair, "=")
		if !ok {
			return "", nil, odcm.E(odcm.Invalid, "cli.usage", "--%s %s: want name=path", flag, pair)
		}
		b, err := readFileOrInput(cmd, path)
		return name, b, err
	}
	for _, pair := range f.setFile {
		name, b, err := read("set-file", pair)
		if err != nil {
			return nil, nil, err
		}
		settings[name] = string(b)
	}
	for _, pair := range f.secret {
		name, b, err := read("secret-file", pair)
		if err != nil {
			return nil, nil, err
		}
		secrets[name] = strings.TrimRight(string(b), "\r\n")
		for _, field := range fields {
			if field.Name == name && field.File {
				secrets[name] = base64.StdEncoding.EncodeToString(b)
			}
		}
	}
	return settings, secrets, nil
}

// maxProviderFile bounds what is read of a file: keytabs and certificates are far smaller.
const maxProviderFile = 256 << 10

func readFileOrInput(cmd *cobra.Command, path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxProviderFile))
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, odcm.E(odcm.Invalid, "cli.file", "%v", err).Because(err)
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxProviderFile))
}

// seconds reads a duration, 0 where none is given.
func seconds(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, odcm.E(odcm.Invalid, "cli.usage", "%q is no duration; want, say, 30m", text)
	}
	return int(d.Seconds()), nil
}

func fieldsOf(kinds []api.ProviderKind, kind string) []api.ProviderField {
	for _, k := range kinds {
		if k.Kind == kind {
			return k.Fields
		}
	}
	return nil
}

func (s *session) providerCreate() *cobra.Command {
	var f providerFlags
	cmd := &cobra.Command{
		Use: "create KIND", Short: "add a way to sign in; see odcm provider kinds KIND for its settings", Args: cobra.ExactArgs(1),
		Example: "  odcm provider create active-directory --name Corp --set domain=corp.example.com --set netbios=CORP \\\n" +
			"    --set servers=dc1.corp.example.com --set bindUser=reader@corp.example.com --set-file ca=ca.pem --secret-file bindPassword=-",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			kinds, err := c.ProviderKinds(cmd.Context())
			if err != nil {
				return err
			}
			n := api.NewProvider{Kind: args[0], Name: f.name, Enabled: f.enabled, Order: f.order}
			if n.Settings, n.Secrets, err = f.values(cmd, fieldsOf(kinds, args[0])); err != nil {
				return err
			}
			if n.SyncEvery, err = seconds(f.syncEvery); err != nil {
				return err
			}
			p, err := c.CreateProvider(cmd.Context(), n)
			if err != nil {
				return err
			}
			return s.showProvider(cmd, p)
		},
	}
	f.add(cmd)
	return cmd
}

func (s *session) providerEdit() *cobra.Command {
	var f providerFlags
	cmd := &cobra.Command{
		Use: "edit PROVIDER", Short: "change a way to sign in: what is not said stays", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			u, err := f.update(cmd, c, args[0])
			if err != nil {
				return err
			}
			p, err := c.UpdateProvider(cmd.Context(), args[0], u)
			if err != nil {
				return err
			}
			return s.showProvider(cmd, p)
		},
	}
	f.add(cmd)
	cmd.Flags().StringArrayVar(&f.forget, "forget", nil, "name of a secret setting to take away")
	return cmd
}

// update takes the flags that were given.
func (f *providerFlags) update(cmd *cobra.Command, c *apiclient.Client, id string) (u api.ProviderUpdate, err error) {
	p, err := c.Provider(cmd.Context(), id)
	if err != nil {
		return u, err
	}
	kinds, err := c.ProviderKinds(cmd.Context())
	if err != nil {
		return u, err
	}
	given := cmd.Flags().Changed
	if given("name") {
		u.Name = &f.name
	}
	if given("enabled") {
		u.Enabled = &f.enabled
	}
	if given("order") {
		u.Order = &f.order
	}
	if given("sync-every") {
		every, err := seconds(f.syncEvery)
		if err != nil {
			return u, err
		}
		u.SyncEvery = &every
	}
	settings, secrets, err := f.values(cmd, fieldsOf(kinds, p.Kind))
	if err != nil {
		return u, err
	}
	u.Settings, u.Secrets = settings, map[string]*string{}
	for name, value := range secrets {
		u.Secrets[name] = &value
	}
	for _, name := range f.forget {
		u.Secrets[name] = nil
	}
	return u, nil
}

func (s *session) providerTest() *cobra.Command {
	return &cobra.Command{
		Use: "test PROVIDER", Short: "try the settings and explain what is found", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			t, err := c.TestProvider(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			err = show(s, cmd, t.Findings, []column[api.ProviderFinding]{
				{"", func(f api.ProviderFinding) string {
					switch {
					case !f.OK:
						return "wrong"
					case f.Warning:
						return "beware"
					}
					return "ok"
				}},
				{"step", func(f api.ProviderFinding) string { return f.Step }},
				{"found", func(f api.ProviderFinding) string { return f.Message }},
			})
			if err == nil && !t.OK {
				err = errProviderTest
			}
			return err
		},
	}
}

var errProviderTest = errors.New("the test found something wrong")

func (s *session) providerSync() *cobra.Command {
	var accept bool
	cmd := &cobra.Command{
		Use: "sync PROVIDER", Short: "have a directory read now, in the background", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			return c.SyncProvider(cmd.Context(), args[0], accept)
		},
	}
	cmd.Flags().BoolVar(&accept, "accept", false, "let the reading count, whatever it takes away")
	return cmd
}

func (s *session) providerDelete() *cobra.Command {
	var confirmed bool
	cmd := &cobra.Command{
		Use: "delete PROVIDER", Short: "remove a way to sign in, with its linked accounts and groups", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			return c.DeleteProvider(cmd.Context(), args[0], confirmed)
		},
	}
	cmd.Flags().BoolVar(&confirmed, "confirmed", false, "delete it though people lose their only way in")
	return cmd
}
