package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"odcm/kit/config"
)

type settings struct {
	Listen   string        `koanf:"listen"`
	Username string        `koanf:"admin-username"`
	Every    time.Duration `koanf:"probe-every"`
	Quiet    bool          `koanf:"quiet"`
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "odcm.yaml")
	if err := os.WriteFile(path, []byte("listen: from-file\nprobe-every: 7s\nadmin-username: from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		args    []string
		environ []string
		file    string
		want    settings
	}{
		{"defaults", nil, nil, "", settings{"default", "admin", 10 * time.Second, false}},
		{"file over defaults", nil, nil, path, settings{"from-file", "from-file", 7 * time.Second, false}},
		{"alias over file", nil, []string{"ADMIN_USERNAME=alias"}, path, settings{"from-file", "alias", 7 * time.Second, false}},
		{"environment over alias", nil, []string{"ADMIN_USERNAME=alias", "ODCM_ADMIN_USERNAME=env"}, path, settings{"from-file", "env", 7 * time.Second, false}},
		{"flag over all", []string{"--listen=flag", "--quiet"}, []string{"ODCM_LISTEN=env"}, path, settings{"flag", "from-file", 7 * time.Second, true}},
		{"others' variables are ignored", nil, []string{"ODCM_SHARED=x", "HOME=/"}, "", settings{"default", "admin", 10 * time.Second, false}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			flags := newFlags()
			if err := flags.Parse(c.args); err != nil {
				t.Fatal(err)
			}
			environ := append([]string{"PATH=/"}, c.environ...)
			var got settings
			err := config.Load(flags, config.Source{Prefix: "ODCM_", Aliases: map[string]string{"ADMIN_USERNAME": "admin-username"}, File: c.file, Environ: environ}, &got)
			if err != nil || got != c.want {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestFileWithAnUnknownSettingIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "odcm.yaml")
	if err := os.WriteFile(path, []byte("listn: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var got settings
	err := config.Load(newFlags(), config.Source{File: path, Environ: []string{}}, &got)
	if err == nil || !strings.Contains(err.Error(), `"listn"`) {
		t.Errorf("got %v", err)
	}
}

func newFlags() *pflag.FlagSet {
	f := pflag.NewFlagSet("test", pflag.ContinueOnError)
	f.String("listen", "default", "")
	f.String("admin-username", "admin", "")
	f.Duration("probe-every", 10*time.Second, "")
	f.Bool("quiet", false, "")
	return f
}
