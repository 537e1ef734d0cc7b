package main

import (
	"encoding/json"
	"os"

	"github.com/spf13/cobra"

	"odcm/simulate"
)

func simulateCommand() *cobra.Command {
	var o simulate.Options
	var list string
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "play thousands of Octopus servers, to try ODCM at size",
		Long: `Plays Octopus servers on this machine: each answers what monitoring and reports ask, and is watched as a server of
its own. It prints one line of JSON when they answer:
{"control": ..., "apiKey": ..., "servers": ...}

What they do is switched at the control address, by anything that speaks HTTP:

  curl $control/urls                                    the addresses, one a line
  curl -X PUT $control/servers/7/behaviour/kill         or well, hang, slow, drip, html, redirect, 429, drain, maintenance
  curl -X PUT "$control/servers/behaviour/hang?count=50"
  curl -X PUT "$control/flapping?count=200&every=5s"    so many come and go at random; DELETE ends it
  curl $control/changes                                 what happened when`,
		Example: "  odcm simulate --count 10000 --port 18900 --urls servers.txt",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := simulate.New(o)
			if err != nil {
				return err
			}
			s.Start()
			if err := writeURLs(s, list); err != nil {
				return err
			}
			if err := json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"control": s.ControlURL(), "apiKey": o.APIKey, "servers": o.Count}); err != nil {
				return err
			}
			<-cmd.Context().Done()
			return stop(s.Stop)
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.Count, "count", 100, "how many servers")
	f.IntVar(&o.Port, "port", 18900, "port of the controls; servers are on those after it, a thousand each. 0: any free ones")
	f.StringVar(&o.APIKey, "api-key", "API-SIMULATED", "API key that the servers accept")
	f.Uint64Var(&o.Seed, "seed", 1, "the same seed plays the same")
	f.StringVar(&list, "urls", "", "file into which the servers' addresses are written, one a line")
	return cmd
}

func writeURLs(s *simulate.Simulator, path string) (err error) {
	if path == "" {
		return nil
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if closed := f.Close(); err == nil {
			err = closed
		}
	}()
	return s.WriteURLs(f)
}
