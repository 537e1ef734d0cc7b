package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"odcm"
	"odcm/api"
	"odcm/apiclient"
)

// leastPause is how often one may ask for what changed: the answer is made to be asked often, but not without a pause.
const leastPause = 100 * time.Millisecond

func (s *session) spaceWatch() *cobra.Command {
	var every time.Duration
	var most int
	cmd := &cobra.Command{
		Use: "watch [SPACE...]", Short: "print how Spaces change, as they do", ValidArgsFunction: s.completeSpace,
		Long: "Prints a line whenever the server of a Space comes into another status, until it is interrupted. With -o json each\n" +
			"line is an object. It goes on while the manager does not answer.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if every < leastPause {
				return odcm.E(odcm.Invalid, "cli.every", "--every: at least %s", leastPause)
			}
			settings, err := s.settings(cmd)
			if err != nil {
				return err
			}
			c, err := s.client(cmd)
			if err != nil {
				return err
			}
			w := &statusWatch{client: c, out: cmd.OutOrStdout(), errors: cmd.ErrOrStderr(), lines: settings.Output == "json", names: map[string]string{}}
			if err := w.begin(cmd.Context(), args); err != nil {
				return err
			}
			return w.follow(cmd.Context(), every, most)
		},
	}
	cmd.Flags().DurationVar(&every, "every", 2*time.Second, "how often to ask")
	cmd.Flags().IntVar(&most, "changes", 0, "end after so many changes; 0: never")
	return cmd
}

// statusWatch compares each answer with the one before.
type statusWatch struct {
	client      *apiclient.Client
	out, errors io.Writer
	lines       bool // JSON
	only        []string
	names       map[string]string // by identifier
	tag         string
	last        map[string]api.SpaceStatus
	lost        bool // the manager did not answer last time
}

// statusChange is a line of JSON.
type statusChange struct {
	Space  string    `json:"space"`
	Name   string    `json:"name"`
	Before string    `json:"before,omitempty"` // empty for one that is new
	Status string    `json:"status"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since"`
}

// begin notes how all are, so that only what changes later is told.
func (w *statusWatch) begin(ctx context.Context, refs []string) error {
	for _, ref := range refs {
		sp, err := w.client.Space(ctx, ref)
		if err != nil {
			return err
		}
		w.only, w.names[sp.ID] = append(w.only, sp.ID), sp.Name
	}
	all, tag, _, err := w.client.Statuses(ctx, "")
	if err != nil {
		return err
	}
	w.tag, w.last = tag, byID(all)
	return nil
}

func byID(all []api.SpaceStatus) map[string]api.SpaceStatus {
	found := make(map[string]api.SpaceStatus, len(all))
	for _, st := range all {
		found[st.Space] = st
	}
	return found
}

func (w *statusWatch) follow(ctx context.Context, every time.Duration, most int) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for told := 0; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		all, tag, fresh, err := w.client.Statuses(ctx, w.tag)
		if odcm.KindOf(err) == odcm.Unavailable {
			if !w.lost {
				fmt.Fprintln(w.errors, firstLine(err)+"; trying again")
			}
			w.lost = true
			continue
		}
		if err != nil {
			return err
		}
		w.lost = false
		if !fresh {
			continue
		}
		for _, st := range all {
			before, known := w.last[st.Space]
			if known && before.Status == st.Status && before.Reason == st.Reason || len(w.only) > 0 && !slices.Contains(w.only, st.Space) {
				continue
			}
			if err := w.tell(ctx, before.Status, st); err != nil {
				return err
			}
			if told++; told == most {
				return nil
			}
		}
		w.tag, w.last = tag, byID(all)
	}
}

func (w *statusWatch) tell(ctx context.Context, before string, st api.SpaceStatus) error {
	name, ok := w.names[st.Space]
	if !ok {
		name = st.Space
		sp, err := w.client.Space(ctx, st.Space)
		if err == nil {
			name = sp.Name
			w.names[st.Space] = name
		} else if odcm.KindOf(err) != odcm.NotFound && odcm.KindOf(err) != odcm.Unavailable {
			return err
		}
	}
	if w.lines {
		return json.NewEncoder(w.out).Encode(statusChange{Space: st.Space, Name: name, Before: before, Status: st.Status, Reason: st.Reason, Since: st.Since})
	}
	text := fmt.Sprintf("%s  %s: %s", st.Since.Local().Format(time.TimeOnly), name, st.Status)
	if before != "" && before != st.Status {
		text += ", was " + before
	}
	if st.Reason != "" {
		text += ". " + st.Reason
	}
	_, err := fmt.Fprintln(w.out, text)
	return err
}
