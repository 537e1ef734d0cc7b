// Command odcm is the whole of Octopus Data Center Manager: the manager (serve), the agent, the Space server, all of them
// together for a first look (dev), and the command line that calls a manager.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"odcm/cli"
)

// version is set by the linker: -ldflags "-X main.version=1.2.3".
var version = "0.1.0-dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if err := root().ExecuteContext(ctx); err != nil {
		os.Exit(cli.Fail(os.Stderr, err))
	}
}

func root() *cobra.Command {
	root := &cobra.Command{
		Use:           "odcm",
		Short:         "Octopus Data Center Manager: one place to run many Octopus Deploy servers",
		Version:       version,
		SilenceErrors: true, // main prints them
		SilenceUsage:  true,
	}
	root.PersistentFlags().String("config", "", "a YAML file with settings named as the flags are (ODCM_CONFIG)")
	root.AddGroup(&cobra.Group{ID: "run", Title: "Run:"}, &cobra.Group{ID: "use", Title: "Use a manager:"})
	for _, c := range []*cobra.Command{dev(), serve(), agentCommand(), spaceServer(), simulateCommand()} {
		c.GroupID = "run"
		root.AddCommand(c)
	}
	for _, c := range cli.Commands(version) {
		c.GroupID = "use"
		root.AddCommand(c)
	}
	cli.Strict(root)
	return root
}
