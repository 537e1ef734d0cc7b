package monitorhttp

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/a-h/templ"

	"odcm"
	"odcm/api"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/monitor"
)

// window is a stretch of time up to now in which people ask for uptime, and into how many bars it is drawn.
type window struct {
	name, label string
	length      time.Duration
	bars        int
}

var windows = []window{
	{"24h", "24 hours", day, 48},
	{"7d", "7 days", 7 * day, 84},
	{"30d", "30 days", 30 * day, 30},
	{"90d", "90 days", 90 * day, 90},
	{"365d", "365 days", 365 * day, 73},
}

// fine is up to how long a window is drawn from the history itself; longer ones are drawn from days.
const fine = 7 * day

// row is a window as the page shows it.
type row struct {
	window
	uptime monitor.Uptime
	bars   []design.Sample
}

// HistoryOf returns what draws how a Space was doing, for its page.
func HistoryOf(s *monitor.Service) func(ctx context.Context, p odcm.Principal, id odcm.SpaceID) (templ.Component, error) {
	return func(ctx context.Context, p odcm.Principal, id odcm.SpaceID) (templ.Component, error) {
		now := time.Now().UTC()
		rows := make([]row, len(windows))
		for i, w := range windows {
			from := now.Add(-w.length)
			u, err := s.Uptime(ctx, p, string(id), from, now)
			if err != nil {
				return nil, err
			}
			rows[i] = row{window: w, uptime: u}
			spent, err := spentIn(ctx, s, p, id, w, from, now)
			if err != nil {
				return nil, err
			}
			step := w.length / time.Duration(w.bars)
			for j, in := range spent {
				rows[i].bars = append(rows[i].bars, bar(in, from.Add(time.Duration(j)*step), step))
			}
		}
		return Uptimes(rows), nil
	}
}

// spentIn is the time in each status for each bar of the window.
func spentIn(ctx context.Context, s *monitor.Service, p odcm.Principal, id odcm.SpaceID, w window, from, now time.Time) ([]monitor.Spent, error) {
	spent := make([]monitor.Spent, w.bars)
	for i := range spent {
		spent[i] = monitor.Spent{}
	}
	step := w.length / time.Duration(w.bars)
	if w.length <= fine {
		h, err := s.History(ctx, p, string(id), from, now)
		if err != nil {
			return nil, err
		}
		for _, period := range h.Periods {
			for at := period.From; at.Before(period.To); {
				i := min(int(at.Sub(from)/step), w.bars-1)
				end := from.Add(time.Duration(i+1) * step)
				if i == w.bars-1 || end.After(period.To) {
					end = period.To
				}
				spent[i].Add(period.Status, at, end)
				at = end
			}
		}
		return spent, nil
	}
	days, err := s.Days(ctx, p, string(id), from, now)
	if err != nil {
		return nil, err
	}
	for _, d := range days {
		// A day belongs to the bar in which its middle is.
		i := int(d.Day.Begin().Add(day/2).Sub(from) / step)
		i = max(0, min(i, w.bars-1))
		for status, t := range d.Spent {
			spent[i][status] += t
		}
	}
	return spent, nil
}

// outage is from which part of a bar's time on an outage colours all of it; a shorter one is a warning.
const outage = 0.01

// bar says how a stretch of time was.
func bar(in monitor.Spent, from time.Time, length time.Duration) design.Sample {
	watched, down := in.Watched(), in[monitor.Offline]
	state := word(monitor.Unknown)
	for _, s := range []monitor.Status{monitor.Online, monitor.Draining, monitor.Maintenance, monitor.Degraded} {
		if in[s] > 0 {
			state = word(s)
		}
	}
	if down > 0 {
		state = word(monitor.Degraded)
		if float64(down) >= outage*float64(watched) {
			state = word(monitor.Offline)
		}
	}
	layout := "2 Jan 15:04 UTC"
	if length >= day {
		layout = "2 Jan 2006"
	}
	title := from.Format(layout) + ": not watched"
	if watched > 0 {
		title = fmt.Sprintf("%s: %s up", from.Format(layout), percent(1-float64(down)/float64(watched)))
		var said []string
		for _, s := range []monitor.Status{monitor.Offline, monitor.Degraded, monitor.Maintenance, monitor.Draining} {
			if in[s] > 0 {
				said = append(said, strings.ToLower(design.LabelOf(word(s)))+" for "+span(in[s]))
			}
		}
		if len(said) > 0 {
			title += ", " + strings.Join(said, ", ")
		}
	}
	return design.Sample{State: state, Title: title, Share: 1}
}

// summary says a window in words, for the strip's label.
func (r row) summary() string {
	watched := r.uptime.Spent.Watched()
	if watched == 0 {
		return "Not watched in " + r.label
	}
	return fmt.Sprintf("%s up in %s", percent(r.uptime.Part()), r.label)
}

// figure is the uptime at the end of the strip.
func (r row) figure() string {
	if r.uptime.Spent.Watched() == 0 {
		return "–"
	}
	return percent(r.uptime.Part())
}

// answers says how long answers took in the last day.
func answers(rows []row) string {
	if u := rows[0].uptime; u.Pings > 0 {
		return fmt.Sprintf("Answers took %s on average in %s, %s at most", design.Took(u.Mean), rows[0].label, design.Took(u.Max))
	}
	return ""
}

type uptimeOutput struct{ Body api.SpaceUptime }

func (h *handler) uptime(ctx context.Context, in *struct {
	ID string `path:"id" doc:"Identifier or slug of the Space" maxLength:"100"`
}) (*uptimeOutput, error) {
	now := time.Now().UTC()
	out := &uptimeOutput{}
	for _, w := range windows {
		u, err := h.service.Uptime(ctx, web.Principal(ctx), in.ID, now.Add(-w.length), now)
		if err != nil {
			return nil, err
		}
		seconds := map[string]int64{}
		for status, d := range u.Spent {
			seconds[word(status)] = int64(d.Seconds())
		}
		out.Body.Windows = append(out.Body.Windows, api.UptimeWindow{Window: w.name, From: now.Add(-w.length), To: now, Uptime: u.Part(),
			WatchedSeconds: int64(u.Spent.Watched().Seconds()), Seconds: seconds, Pings: u.Pings,
			MeanMillis: millis(u.Mean), MaxMillis: millis(u.Max)})
	}
	return out, nil
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
