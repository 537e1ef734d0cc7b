package main

import (
	"context"
	"encoding/json"
	"os"
	"time"

	"github.com/spf13/cobra"

	"odcm/spaceserver"
)

// stopWithin bounds a graceful stop.
const stopWithin = 15 * time.Second

// containerNames are the official Octopus container's environment variables for the first administrator and the node.
var containerNames = map[string]string{
	"ADMIN_USERNAME": "admin-username",
	"ADMIN_PASSWORD": "admin-password",
	"ADMIN_API_KEY":  "admin-api-key",
	"TASK_CAP":       "task-cap",
}

func spaceServer() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "space-server",
		Short: "run a Space server: a small Octopus-compatible server",
		Long: `Runs a Space server, and prints one line of JSON when it answers:
{"url": ..., "version": ..., "installationId": ...}

The first administrator comes from ADMIN_USERNAME, ADMIN_PASSWORD and ADMIN_API_KEY, as with the official Octopus
container, or from the flags.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := load(cmd, containerNames)
			if err != nil {
				return err
			}
			log, err := logger(s, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			policy, err := egressPolicy(s)
			if err != nil {
				return err
			}
			server, err := spaceserver.New(spaceserver.Options{
				Listen: s.Listen, Data: s.Data, Database: s.Database, KeyBase64: s.Key, Name: s.Name,
				AdminUsername: s.AdminUsername, AdminPassword: s.AdminPassword, AdminAPIKey: s.AdminAPIKey, TaskCap: s.TaskCap,
				Egress: policy, Logger: log,
			})
			if err != nil {
				return err
			}
			if err := server.Start(cmd.Context()); err != nil {
				return err
			}
			if err := json.NewEncoder(os.Stdout).Encode(server.Ready()); err != nil {
				log.Warn("nobody reads the ready line", "error", err)
			}
			<-cmd.Context().Done()
			return stop(server.Stop)
		},
	}
	f := cmd.Flags()
	baseFlags(f, "127.0.0.1:8065")
	adminFlags(f)
	egressFlags(f)
	f.String("name", "", "what its page calls the server, and its node: nodes on one database have names of their own")
	f.Int("task-cap", 0, "how many tasks this node runs at a time; 5 if 0")
	f.String("key", "", "key that seals secrets at rest, 32 bytes in base64 (ODCM_KEY); a file in the data folder if empty")
	return cmd
}

// stop ends something gracefully, within bounds; the command's own context is over by now.
func stop(f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	return f(ctx)
}
