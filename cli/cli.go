// Package cli is the odcm command line, noun then verb: odcm space list. It is a client of the REST interface and knows no
// more than any other client.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"odcm"
	"odcm/apiclient"
	"odcm/kit/config"
)

// Exit codes, so that scripts can tell failures apart.
const (
	exitFailure         = 1 // anything else
	exitUsage           = 2 // wrong flags or arguments, or input that the manager calls invalid
	exitNotFound        = 3
	exitUnauthenticated = 4 // no login, or not allowed
	exitConflict        = 5 // taken, or changed by someone else
	exitUnavailable     = 6 // the manager, or the server behind it, does not answer
	exitTask            = 7 // a task that was waited for did not succeed
)

// Commands returns the commands that call a manager, for the root command.
func Commands(version string) []*cobra.Command {
	s := &session{version: version}
	nouns := []*cobra.Command{
		s.login(), s.logout(), s.spaces(), s.tasks(), s.servers(), s.apiKeys(), s.users(), s.groups(), s.audit(), s.relyingParties(), s.signingKeys(), s.providers(), s.access(), s.accounts(), s.licences(), s.reports(), s.alerts(),
	}
	for _, noun := range nouns {
		f := noun.PersistentFlags()
		f.String("url", "", "the manager's URL (ODCM_URL), else the one of odcm login")
		f.String("api-key", "", "an API key (ODCM_API_KEY), else the one of odcm login")
		f.StringP("output", "o", "table", "table, json or yaml")
		noun.SilenceUsage = true
	}
	return nouns
}

// session is what the commands share: how to reach the manager and how to print.
type session struct {
	version string
}

type settings struct {
	URL    string `koanf:"url"`
	APIKey string `koanf:"api-key"`
	Output string `koanf:"output"`
}

// client finds the manager: flags, environment, then what odcm login saved.
func (s *session) client(cmd *cobra.Command) (*apiclient.Client, error) {
	c, err := s.settings(cmd)
	if err != nil {
		return nil, err
	}
	if c.URL == "" || c.APIKey == "" {
		saved, err := readLogin()
		if err != nil {
			return nil, err
		}
		// A saved key is for the saved URL only: it must not travel elsewhere.
		if c.URL == "" || sameURL(c.URL, saved.URL) {
			c.URL = saved.URL
			c.APIKey = first(c.APIKey, saved.APIKey)
		}
	}
	if c.URL == "" {
		return nil, odcm.E(odcm.Unauthenticated, "cli.no-login", "which manager? Run: odcm login URL, or set ODCM_URL and ODCM_API_KEY")
	}
	return s.dial(c.URL, c.APIKey)
}

func (s *session) dial(url, key string) (*apiclient.Client, error) {
	return apiclient.New(apiclient.Options{URL: url, APIKey: key, UserAgent: "odcm-cli/" + s.version})
}

func (s *session) settings(cmd *cobra.Command) (settings, error) {
	var c settings
	err := config.Load(cmd.Flags(), config.Source{Prefix: "ODCM_"}, &c)
	return c, err
}

// Fail prints the error as people want it and returns the exit code.
func Fail(w io.Writer, err error) int {
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(w, "odcm: interrupted")
		return 130 // as shells do after SIGINT
	}
	fmt.Fprintln(w, "odcm:", firstLine(err))
	var e *odcm.Error
	if errors.As(err, &e) {
		for _, f := range e.Fields {
			if f.Message != e.Message {
				fmt.Fprintf(w, "  %s: %s\n", f.Field, f.Message)
			}
		}
		if e.Code != "" {
			fmt.Fprintf(w, "  (%s)\n", e.Code)
		}
	}
	if errors.Is(err, errTask) {
		return exitTask
	}
	switch odcm.KindOf(err) {
	case odcm.Invalid, odcm.Unsupported:
		return exitUsage
	case odcm.NotFound:
		return exitNotFound
	case odcm.Unauthenticated, odcm.Denied:
		return exitUnauthenticated
	case odcm.Exists, odcm.Conflict:
		return exitConflict
	case odcm.Unavailable:
		return exitUnavailable
	default:
		return exitFailure
	}
}

// firstLine is the public message of an error of ours, the whole text of any other.
func firstLine(err error) string {
	var e *odcm.Error
	if errors.As(err, &e) && e.Message != "" {
		return e.Message
	}
	return err.Error()
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
