package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"odcm"
	"odcm/kit/config"
)

// settings are all that the server commands can be told; each command defines the flags that it takes.
type settings struct {
	Config string `koanf:"config"`

	Listen        string `koanf:"listen"`
	Data          string `koanf:"data"`
	Database      string `koanf:"database"`
	AdminUsername string `koanf:"admin-username"`
	AdminPassword string `koanf:"admin-password"`
	AdminAPIKey   string `koanf:"admin-api-key"`
	TaskCap       int    `koanf:"task-cap"`

	PublicURL   string        `koanf:"public-url"`
	AgentListen string        `koanf:"agent-listen"`
	TLSCert     string        `koanf:"tls-cert"`
	TLSKey      string        `koanf:"tls-key"`
	Key         string        `koanf:"key"`
	KeyFile     string        `koanf:"key-file"`
	ProbeEvery  time.Duration `koanf:"probe-every"`
	EgressAllow []string      `koanf:"egress-allow"`
	EgressDeny  []string      `koanf:"egress-deny"`

	TrustedProxies []string `koanf:"trusted-proxies"`

	SMTP              string `koanf:"smtp"`
	MailFrom          string `koanf:"mail-from"`
	BreachedPasswords string `koanf:"breached-passwords"`

	Manager       string `koanf:"manager"`
	Token         string `koanf:"token"`
	Name          string `koanf:"name"`
	StopInstances bool   `koanf:"stop-instances"`

	LogLevel  string `koanf:"log-level"`
	LogFormat string `koanf:"log-format"`
}

// load reads the settings of the command: flags over environment over file over defaults.
func load(cmd *cobra.Command, aliases map[string]string) (settings, error) {
	var s settings
	path, err := cmd.Flags().GetString("config")
	if err != nil {
		return s, err
	}
	if path == "" {
		path = os.Getenv("ODCM_CONFIG")
	}
	if err := config.Load(cmd.Flags(), config.Source{Prefix: "ODCM_", Aliases: aliases, File: path}, &s); err != nil {
		return s, err
	}
	if s.Data == "" {
		s.Data, err = stateFolder()
	}
	return s, err
}

// stateFolder is where data goes by default: the folder for state of the XDG base directory specification.
func stateFolder() (string, error) {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "odcm"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("where to keep data? Use --data: %w", err)
	}
	return filepath.Join(home, ".local", "state", "odcm"), nil
}

// baseFlags are taken by every server command.
func baseFlags(f *pflag.FlagSet, listen string) {
	f.String("listen", listen, "address to serve on (ODCM_LISTEN)")
	f.String("data", "", "folder for all data (ODCM_DATA; default: odcm in the user's state folder)")
	f.String("database", "", "database URL (ODCM_DATABASE): sqlite:PATH or postgres://...; default: SQLite in the data folder")
	f.String("log-level", "info", "debug, info, warn or error")
	f.String("log-format", "text", "text or json")
}

// adminFlags name the first administrator.
func adminFlags(f *pflag.FlagSet) {
	f.String("admin-username", "admin", "user name of the first administrator (ODCM_ADMIN_USERNAME)")
	f.String("admin-password", "", "its password (ODCM_ADMIN_PASSWORD); made up and printed once if empty")
	f.String("admin-api-key", "", "an API key for it (ODCM_ADMIN_API_KEY)")
}

// managerFlags are taken where a manager runs.
func managerFlags(f *pflag.FlagSet) {
	baseFlags(f, "127.0.0.1:8080")
	adminFlags(f)
	f.String("public-url", "", "URL under which people and Spaces reach the manager (ODCM_PUBLIC_URL; default: from --listen)")
	f.String("agent-listen", "127.0.0.1:8081", "address on which agents connect by mutual TLS")
	f.String("tls-cert", "", "certificate file (PEM); with --tls-key serves HTTPS")
	f.String("tls-key", "", "private key file (PEM)")
	f.String("key", "", "key that seals secrets at rest, 32 bytes in base64 (ODCM_KEY); replicas share it")
	f.String("key-file", "", "file with that key; made on first run (default: odcm.key in the data folder)")
	f.Duration("probe-every", 10*time.Second, "how often each Space is probed")
	f.String("smtp", "", "mail server, smtp://user:password@host:587 or smtps://host (ODCM_SMTP); without, links are handed over by hand")
	f.String("mail-from", "", "sender of mail (ODCM_MAIL_FROM): \"ODCM <odcm@example.com>\"")
	f.String("breached-passwords", "", "sorted file of SHA-1 hashes of passwords that nobody may choose (ODCM_BREACHED_PASSWORDS)")
	egressFlags(f)
	f.StringSlice("trusted-proxies", nil, "networks (CIDR) of load balancers whose X-Forwarded-For is believed (ODCM_TRUSTED_PROXIES)")
}

// egressFlags are taken where requests go out to addresses that people type in.
func egressFlags(f *pflag.FlagSet) {
	f.StringSlice("egress-allow", nil, "networks (CIDR) that are all that outgoing requests may reach")
	f.StringSlice("egress-deny", nil, "networks (CIDR) that outgoing requests may not reach")
}

func logger(s settings, w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.LogLevel)); err != nil {
		return nil, odcm.E(odcm.Invalid, "cli.usage", "--log-level %s: want debug, info, warn or error", s.LogLevel)
	}
	o := &slog.HandlerOptions{Level: level}
	switch s.LogFormat {
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return nil, odcm.E(odcm.Invalid, "cli.usage", "--log-format %s: want text or json", s.LogFormat)
}
