package alert

import (
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"odcm"
)

// Silence keeps incidents quiet for a time. They still fire; nobody is told.
type Silence struct {
	ID       string       `json:"id"`
	Matchers Matchers     `json:"matchers"`
	Space    odcm.SpaceID `json:"space,omitempty"` // of this Space alone
	From     time.Time    `json:"from"`
	Until    time.Time    `json:"until"`
	Comment  string       `json:"comment"`
	By       string       `json:"by"` // name at the time
	Revision int64        `json:"revision"`
}

// Active tells whether it holds at the time.
func (s Silence) Active(at time.Time) bool { return !at.Before(s.From) && at.Before(s.Until) }

func (s Silence) covers(i *Incident) bool {
	return (s.Space == "" || string(s.Space) == i.Subject) && s.Matchers.Match(i.matched())
}

// Check returns what is wrong with the silence.
func (s Silence) Check() error {
	switch {
	case s.Matchers.Empty() && s.Space == "":
		return odcm.E(odcm.Invalid, "alert.silence-all", "Say what is to be silent: a Space, or labels.").OnField("matchers")
	case !s.Until.After(s.From):
		return odcm.E(odcm.Invalid, "alert.silence-time", "It must end after it begins.").OnField("until")
	case s.Until.Sub(s.From) > 366*24*time.Hour:
		return odcm.E(odcm.Invalid, "alert.silence-time", "A silence lasts a year at most. Disable the rule instead.").OnField("until")
	case strings.TrimSpace(s.Comment) == "" || len(s.Comment) > 500:
		return odcm.E(odcm.Invalid, "alert.silence-comment", "Say why, in at most 500 letters: others will ask.").OnField("comment")
	}
	return nil
}

// Window is a time of maintenance, once or again and again, in which what it matches is no outage.
type Window struct {
	ID       string        `json:"id"`
	Name     string        `json:"name"`
	Matchers Matchers      `json:"matchers"`
	From     time.Time     `json:"from"`     // once: the beginning; again and again: not before
	Schedule string        `json:"schedule"` // five fields of cron; once if empty
	Zone     string        `json:"zone"`     // of the schedule, "Europe/Berlin"; UTC if empty
	Lasts    time.Duration `json:"lasts"`
	Enabled  bool          `json:"enabled"`
	Revision int64         `json:"revision"`
}

func (w Window) schedule() (cron.Schedule, error) {
	if strings.ContainsAny(w.Schedule, "=@") || strings.ContainsAny(w.Zone, " \t\n") {
		return nil, odcm.E(odcm.Invalid, "alert.window-schedule", "Write five fields: minute, hour, day of month, month, day of week.")
	}
	return cron.ParseStandard("CRON_TZ=" + or(w.Zone, "UTC") + " " + w.Schedule)
}

// Active tells whether it is open at the time.
func (w Window) Active(at time.Time) bool {
	if !w.Enabled || at.Before(w.From) {
		return false
	}
	if w.Schedule == "" {
		return at.Before(w.From.Add(w.Lasts))
	}
	s, err := w.schedule()
	if err != nil {
		return false
	}
	// A beginning within the last so long; Next is exclusive, and knows whole seconds.
	began := s.Next(at.Add(-w.Lasts))
	return !began.IsZero() && !began.After(at) && !began.Before(w.From.Truncate(time.Second))
}

// Next is when it opens next, the zero time where it never does.
func (w Window) Next(after time.Time) time.Time {
	if w.Schedule == "" {
		if w.From.After(after) {
			return w.From
		}
		return time.Time{}
	}
	s, err := w.schedule()
	if err != nil {
		return time.Time{}
	}
	if w.From.After(after) {
		after = w.From.Add(-time.Second)
	}
	return s.Next(after)
}

// Check returns what is wrong with the window.
func (w Window) Check() error {
	if n := len(strings.TrimSpace(w.Name)); n == 0 || n > 100 {
		return odcm.E(odcm.Invalid, "alert.window-name", "Give it a name of at most 100 letters.").OnField("name")
	}
	if w.Lasts < time.Minute || w.Lasts > 31*24*time.Hour {
		return odcm.E(odcm.Invalid, "alert.window-lasts", "It lasts a minute at least and 31 days at most.").OnField("lasts")
	}
	if _, err := time.LoadLocation(w.Zone); err != nil {
		return odcm.E(odcm.Invalid, "alert.window-zone", "There is no time zone of this name: Europe/Berlin is one.").OnField("zone")
	}
	if w.Schedule == "" && w.From.IsZero() {
		return odcm.E(odcm.Invalid, "alert.window-from", "Say when it begins, or how it repeats.").OnField("from")
	}
	if w.Schedule != "" {
		s, err := w.schedule()
		if err != nil || s.Next(time.Unix(0, 0)).IsZero() {
			return odcm.E(odcm.Invalid, "alert.window-schedule",
				"The schedule is not minute, hour, day of month, month and day of week: 0 22 * * 6 is Saturdays at 22:00.").OnField("schedule").Because(err)
		}
	}
	return nil
}

// quiet says why an incident is not told of, "" where it is.
func (c *Config) quiet(i *Incident, wall time.Time, down map[string]string) string {
	if slices.ContainsFunc(c.Silences, func(s Silence) bool { return s.Active(wall) && s.covers(i) }) {
		return "silenced"
	}
	for _, w := range c.Windows {
		if w.Active(wall) && w.Matchers.Match(i.matched()) {
			return "maintenance: " + w.Name
		}
	}
	if server := i.Labels["server"]; i.Kind != KindServer && server != "" && down[server] != "" {
		return "the machine " + down[server] + " is offline"
	}
	return ""
}
