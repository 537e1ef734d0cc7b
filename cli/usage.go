package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"odcm"
)

// Strict makes what cobra says of wrong flags and arguments an [odcm.Error] of kind Invalid, so that it has the exit code of
// wrong usage, and lets no command take a word that is neither a verb nor an argument for a wish for help.
func Strict(root *cobra.Command) {
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, err) })
	strict(root)
}

func strict(cmd *cobra.Command) {
	if !cmd.Runnable() && cmd.HasSubCommands() {
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		cmd.Args = verb
	}
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usage(cmd, err)
			}
			return nil
		}
	}
	for _, c := range cmd.Commands() {
		strict(c)
	}
}

// verb refuses a word that names no command, and guesses which one was meant.
func verb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	guess := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		guess = "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return odcm.E(odcm.Invalid, "cli.usage", "%s: unknown command %q%s", cmd.CommandPath(), args[0], guess)
}

func usage(cmd *cobra.Command, err error) error {
	if odcm.KindOf(err) == odcm.Invalid {
		return err
	}
	return odcm.E(odcm.Invalid, "cli.usage", "%s: %v; see %s --help", cmd.CommandPath(), err, cmd.CommandPath()).Because(err)
}
