package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"odcm"
)

// column is one column of a table: its heading and how to get its cell.
type column[T any] struct {
	heading string
	cell    func(T) string
}

// show prints the things as the -o flag says: a table for people, or the API's own JSON or YAML for programs.
func show[T any](s *session, cmd *cobra.Command, things []T, columns []column[T]) error {
	c, err := s.settings(cmd)
	if err != nil {
		return err
	}
	if c.Output != "table" {
		if things == nil {
			things = []T{} // an empty list is [], not null
		}
		return encode(cmd.OutOrStdout(), c.Output, things)
	}
	if len(things) == 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "none")
		return nil
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	cells := make([]string, len(columns))
	for i, col := range columns {
		cells[i] = strings.ToUpper(col.heading)
	}
	fmt.Fprintln(w, strings.Join(cells, "\t"))
	for _, thing := range things {
		for i, col := range columns {
			cells[i] = printable(col.cell(thing))
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}

// showOne prints one thing: for people a line a field.
func showOne[T any](s *session, cmd *cobra.Command, thing T, fields []column[T]) error {
	c, err := s.settings(cmd)
	if err != nil {
		return err
	}
	if c.Output != "table" {
		return encode(cmd.OutOrStdout(), c.Output, thing)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	for _, f := range fields {
		if v := f.cell(thing); v != "" {
			fmt.Fprintf(w, "%s\t%s\n", f.heading, printable(v))
		}
	}
	return w.Flush()
}

func encode(w io.Writer, format string, v any) error {
	switch format {
	case "json":
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	case "yaml":
		// By way of JSON, so that both formats have the same names.
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		var plain any
		if err := yaml.Unmarshal(b, &plain); err != nil {
			return err
		}
		enc := yaml.NewEncoder(w)
		enc.SetIndent(2)
		if err := enc.Encode(plain); err != nil {
			return err
		}
		return enc.Close()
	default:
		return odcm.E(odcm.Invalid, "cli.output", "-o %s: want table, json or yaml", format)
	}
}

// printable keeps control characters, which a name from elsewhere may hold, off the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, s)
}

// ago says when, as people do.
func ago(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	d := time.Since(t)
	switch {
	case d < 0 || d > 30*24*time.Hour:
		return t.Local().Format("2006-01-02 15:04")
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd ago", int(d.Hours()/24))
	}
}
