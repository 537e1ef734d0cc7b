package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write docs/cli.md anew")

// TestGoldenReference holds docs/cli.md to what the commands say of themselves.
func TestGoldenReference(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "docs", "cli.md")
	got := reference(t, root())
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what the commands say: run make generate", path)
	}
}

const preface = `# Command line

Made from the program by ` + "`make generate`" + `; ` + "`odcm COMMAND --help`" + ` says the same.

Every flag can also be set in the environment: ` + "`--admin-username`" + ` is ` + "`ODCM_ADMIN_USERNAME`" + `; and, for the commands that
run something, in a YAML file that ` + "`--config`" + ` names, under the flag's name. A flag goes before the environment, and that before the
file. The shell completes commands and names of Spaces after ` + "`odcm completion --help`" + `.

Commands that use a manager find it by ` + "`--url`" + ` and ` + "`--api-key`" + `, else by what ` + "`odcm login`" + ` saved. Their results go to standard
output, as a table or, with ` + "`-o json`" + ` and ` + "`-o yaml`" + `, as the [REST interface](openapi.json) has them; progress and errors go to standard
error.

| exit code | means |
|---|---|
| 0 | done |
| 1 | it failed |
| 2 | wrong usage, or input that the manager refuses |
| 3 | there is no such thing |
| 4 | not signed in, or not allowed |
| 5 | taken, or changed by someone else |
| 6 | the manager, or a server behind it, does not answer |
| 7 | the task that was waited for did not succeed |
| 130 | interrupted |
`

// reference writes a chapter for each command, in the order in which the program was made.
func reference(t *testing.T, root *cobra.Command) string {
	var b strings.Builder
	b.WriteString(preface)
	for _, group := range root.Groups() {
		for _, c := range root.Commands() {
			if c.GroupID == group.ID {
				chapter(t, &b, c)
			}
		}
	}
	return b.String()
}

func chapter(t *testing.T, b *strings.Builder, c *cobra.Command) {
	if c.Short == "" {
		t.Errorf("%s does not say what it does", c.CommandPath())
	}
	fmt.Fprintf(b, "\n%s %s\n\n%s.\n", strings.Repeat("#", strings.Count(c.CommandPath(), " ")+1), c.CommandPath(), sentence(c.Short))
	if c.Long != "" {
		fmt.Fprintf(b, "\n%s\n", c.Long)
	}
	if !c.HasSubCommands() {
		fmt.Fprintf(b, "\n```\n%s\n```\n", c.UseLine())
	}
	var rows []string
	c.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" && !f.Hidden {
			rows = append(rows, row(t, c, f))
		}
	})
	if len(rows) > 0 {
		fmt.Fprintf(b, "\n| flag | default | |\n|---|---|---|\n%s", strings.Join(rows, ""))
	}
	for _, sub := range c.Commands() {
		if sub.Name() != "help" {
			chapter(t, b, sub)
		}
	}
}

func row(t *testing.T, c *cobra.Command, f *pflag.Flag) string {
	kind, says := pflag.UnquoteUsage(f)
	if says == "" {
		t.Errorf("%s --%s does not say what it is for", c.CommandPath(), f.Name)
	}
	name := "`--" + f.Name + strings.TrimSuffix(" "+kind, " ") + "`"
	if f.Shorthand != "" {
		name = "`-" + f.Shorthand + "`, " + name
	}
	value := ""
	if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" && f.DefValue != "0s" {
		value = "`" + f.DefValue + "`"
	}
	return fmt.Sprintf("| %s | %s | %s |\n", name, value, strings.ReplaceAll(says, "|", `\|`))
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
