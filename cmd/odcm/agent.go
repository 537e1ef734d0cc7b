package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"odcm"
	"odcm/agent"
)

func agentCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "run the agent of this machine: it starts and watches the Space servers that the manager wants here",
		Long: `Runs the agent. On the first run it enrols with a one-time token (Servers page, or: odcm server enrol); from then on
it connects by mutual TLS. The Space servers that it runs outlive it, and it finds them again.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := load(cmd, nil)
			if err != nil {
				return err
			}
			log, err := logger(s, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			a, err := agent.New(agent.Options{
				Data: filepath.Join(s.Data, "agent"), Manager: s.Manager, Name: s.Name, Version: version, Logger: log,
				StopInstances: s.StopInstances, Token: givenToken(s.Token),
			})
			if err != nil {
				return err
			}
			if err := a.Start(cmd.Context()); err != nil {
				return err
			}
			<-cmd.Context().Done()
			return stop(a.Stop)
		},
	}
	f := cmd.Flags()
	f.String("data", "", "folder for the agent's data (ODCM_DATA)")
	f.String("manager", "127.0.0.1:8081", "the manager's address for agents, host:port (ODCM_MANAGER)")
	f.String("token", "", "one-time enrolment token (ODCM_TOKEN), needed on the first run")
	f.String("name", "", "name of this machine (default: its host name)")
	f.Bool("stop-instances", false, "stop the Space servers with the agent, instead of leaving them running")
	f.String("log-level", "info", "debug, info, warn or error")
	f.String("log-format", "text", "text or json")
	return cmd
}

// givenToken hands out the token of the command line.
func givenToken(token string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		if token == "" {
			return "", odcm.E(odcm.Unauthenticated, "agent.not-enrolled",
				"this machine is not enrolled: make a token (odcm server enrol, or the Servers page) and pass it as --token")
		}
		return token, nil
	}
}
