// Package config reads a command's settings from its flags, the environment and a file, in this order of precedence, so
// that every setting has one name: the flag --admin-username is ODCM_ADMIN_USERNAME in the environment and admin-username
// in the file.
package config

import (
	"os"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"

	"odcm"
)

// Source names where settings come from beside the flags.
type Source struct {
	// Prefix of the environment variables, "ODCM_".
	Prefix string
	// Aliases are further environment variables, by name to flag: "ADMIN_PASSWORD" to "admin-password". They yield to
	// the prefixed ones.
	Aliases map[string]string
	// File is a YAML file; "" for none. Its settings have the names of flags.
	File string
	// Environ is the environment as [os.Environ] gives it, which is taken if nil.
	Environ []string
}

// Load fills the struct behind into, whose fields are tagged `koanf:"flag-name"`, and refuses a file that names what is
// no setting.
func Load(flags *pflag.FlagSet, s Source, into any) error {
	k := koanf.New(".")
	if s.File != "" {
		if err := k.Load(file.Provider(s.File), yaml.Parser()); err != nil {
			return odcm.E(odcm.Invalid, "config.file", "settings file %s: %v", s.File, err).Because(err)
		}
		for _, name := range k.Keys() {
			if flags.Lookup(name) == nil {
				return odcm.E(odcm.Invalid, "config.unknown", "settings file %s: %q is no setting of this command; see --help", s.File, name)
			}
		}
	}
	environ := s.Environ
	if environ == nil {
		environ = os.Environ()
	}
	byAlias := env.Opt{EnvironFunc: func() []string { return environ }, TransformFunc: func(name, value string) (string, any) {
		return s.Aliases[name], value // "" is left out
	}}
	byPrefix := env.Opt{Prefix: s.Prefix, EnvironFunc: byAlias.EnvironFunc, TransformFunc: func(name, value string) (string, any) {
		flag := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, s.Prefix)), "_", "-")
		if flags.Lookup(flag) == nil {
			return "", nil // somebody else's variable
		}
		return flag, value
	}}
	for _, o := range []env.Opt{byAlias, byPrefix} {
		if err := k.Load(env.Provider(".", o), nil); err != nil {
			return err
		}
	}
	// A flag that was not given does not hide what file or environment say.
	if err := k.Load(posflag.Provider(flags, ".", k), nil); err != nil {
		return err
	}
	if err := k.Unmarshal("", into); err != nil {
		return odcm.E(odcm.Invalid, "config.value", "settings: %v", err).Because(err)
	}
	return nil
}
