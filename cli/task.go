package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"odcm/api"
	"odcm/apiclient"
)

// errTask is a task that did not succeed.
var errTask = errors.New("the task did not succeed")

func (s *session) tasks() *cobra.Command {
	cmd := &cobra.Command{Use: "task", Short: "list, view, wait for and cancel tasks"}
	cmd.AddCommand(s.taskList(), s.taskView(), s.taskWait(), s.taskCancel())
	return cmd
}

func (s *session) taskList() *cobra.Command {
	var f apiclient.TaskFilter
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "list tasks, newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			all, err := apiclient.Collect(c.Tasks(cmd.Context(), f), limit)
			if err != nil {
				return err
			}
			return show(s, cmd, all, []column[api.Task]{
				{"id", func(t api.Task) string { return t.ID }},
				{"state", func(t api.Task) string { return t.State }},
				{"done", func(t api.Task) string { return fmt.Sprintf("%d%%", t.Percent) }},
				{"title", func(t api.Task) string { return t.Title }},
				{"by", func(t api.Task) string { return t.ByName }},
				{"submitted", func(t api.Task) string { return ago(t.Submitted) }},
			})
		},
	}
	cmd.Flags().StringSliceVar(&f.States, "state", nil, "only these: queued, running, canceling, succeeded, failed, canceled")
	cmd.Flags().StringSliceVar(&f.Kinds, "kind", nil, "only these kinds, such as space.create")
	cmd.Flags().StringVar(&f.Subject, "subject", "", "only tasks that work on the thing of this identifier")
	cmd.Flags().IntVar(&limit, "limit", 50, "at most so many; 0 is all")
	return cmd
}

func (s *session) taskView() *cobra.Command {
	var log bool
	cmd := &cobra.Command{
		Use: "view TASK", Short: "show a task and its steps", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			t, err := c.Task(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := s.showTask(cmd, t); err != nil || !log {
				return err
			}
			for after := int64(0); ; {
				l, err := c.TaskLog(cmd.Context(), args[0], after)
				if err != nil || len(l.Lines) == 0 {
					return err
				}
				printLines(cmd.OutOrStdout(), l.Lines)
				after = l.Next
			}
		},
	}
	cmd.Flags().BoolVar(&log, "log", false, "show its log too")
	return cmd
}

func (s *session) showTask(cmd *cobra.Command, t api.TaskDetail) error {
	fields := []column[api.TaskDetail]{
		{"id", func(t api.TaskDetail) string { return t.ID }},
		{"title", func(t api.TaskDetail) string { return t.Title }},
		{"state", func(t api.TaskDetail) string { return t.State }},
		{"done", func(t api.TaskDetail) string { return fmt.Sprintf("%d%%", t.Percent) }},
		{"doing", func(t api.TaskDetail) string { return t.Doing }},
		{"why", func(t api.TaskDetail) string {
			if t.Error == nil {
				return ""
			}
			return t.Error.Message + " (" + t.Error.Code + ")"
		}},
		{"by", func(t api.TaskDetail) string { return t.ByName }},
		{"submitted", func(t api.TaskDetail) string { return ago(t.Submitted) }},
	}
	for _, step := range t.Steps {
		fields = append(fields, column[api.TaskDetail]{"step", func(api.TaskDetail) string { return step.Name + ": " + step.State }})
	}
	return showOne(s, cmd, t, fields)
}

func (s *session) taskWait() *cobra.Command {
	return &cobra.Command{
		Use: "wait TASK", Short: "wait until a task has ended; exit code 7 where it did not succeed", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			return s.wait(cmd, c, args[0])
		},
	}
}

func (s *session) taskCancel() *cobra.Command {
	return &cobra.Command{
		Use: "cancel TASK", Short: "ask a task to end and roll back", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			return c.CancelTask(cmd.Context(), args[0])
		},
	}
}

// wait follows the task on standard error: with a bar for a person at a terminal, line by line otherwise. Standard output
// stays for the result.
func (s *session) wait(cmd *cobra.Command, c *apiclient.Client, id string) error {
	w := cmd.ErrOrStderr()
	seen := func(_ api.Task, lines []api.TaskLine) { printLines(w, lines) }
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		bar := progressbar.NewOptions(100, progressbar.OptionSetWriter(w), progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(20),
			progressbar.OptionSetPredictTime(false), progressbar.OptionThrottle(100*time.Millisecond))
		defer func() { _ = bar.Finish() }()
		seen = func(t api.Task, _ []api.TaskLine) {
			bar.Describe(printable(first(t.Doing, t.Title)))
			_ = bar.Set(t.Percent)
		}
	}
	t, err := c.WaitTask(cmd.Context(), id, seen)
	if err != nil {
		return err
	}
	if t.State == "succeeded" {
		return nil
	}
	if t.Error != nil {
		return fmt.Errorf("%w: %s: %s (%s)", errTask, t.Title, t.Error.Message, t.Error.Code)
	}
	return fmt.Errorf("%w: %s: %s", errTask, t.Title, t.State)
}

func printLines(w io.Writer, lines []api.TaskLine) {
	for _, l := range lines {
		fmt.Fprintf(w, "%s  %s\n", l.Time.Local().Format(time.TimeOnly), printable(l.Text))
	}
}
