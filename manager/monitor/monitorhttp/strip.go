package monitorhttp

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"odcm"
	"odcm/kit/web/design"
	"odcm/manager/monitor"
)

// watched leaves out the time before anybody watched: on a new Space it would be nearly all of the strip.
func watched(h monitor.History) []monitor.Period {
	first := slices.IndexFunc(h.Periods, func(p monitor.Period) bool { return p.Status != monitor.Unknown })
	if first < 0 {
		return nil
	}
	return h.Periods[first:]
}

// samples turns periods into what the strip draws, each with its words.
func samples(periods []monitor.Period) []design.Sample {
	all := make([]design.Sample, len(periods))
	for i, p := range periods {
		d := p.To.Sub(p.From)
		title := fmt.Sprintf("%s from %s for %s", design.LabelOf(word(p.Status)), p.From.UTC().Format("2 Jan 15:04 UTC"), span(d))
		if p.Reason != "" {
			title += ": " + p.Reason
		}
		all[i] = design.Sample{State: word(p.Status), Title: title, Share: d.Seconds()}
	}
	return all
}

// summary says the history in words, for the strip's label and below it.
func summary(h monitor.History) string {
	if h.Watched == 0 {
		return "Not watched yet"
	}
	return fmt.Sprintf("%s up in %s", percent(h.Uptime), span(h.Watched))
}

// percent never rounds an outage away: 99.999 % is not 100 %.
func percent(part float64) string {
	if part >= 1 {
		return "100 %"
	}
	return strings.TrimSuffix(fmt.Sprintf("%.2f", float64(int(part*10000))/100), ".00") + " %"
}

// span writes a duration in its largest two units.
func span(d time.Duration) string {
	units := []struct {
		length time.Duration
		name   string
	}{{day, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}}
	for i, u := range units {
		n := d / u.length
		if n == 0 && i < len(units)-1 {
			continue
		}
		text := fmt.Sprintf("%d %s", n, u.name)
		if i+1 < len(units) {
			if rest := (d % u.length) / units[i+1].length; rest > 0 {
				text += fmt.Sprintf(" %d %s", rest, units[i+1].name)
			}
		}
		return text
	}
	return ""
}

// HistoryOf returns what draws a Space's last 24 hours, for its page.
func HistoryOf(s *monitor.Service) func(ctx context.Context, p odcm.Principal, id odcm.SpaceID) (templ.Component, error) {
	return func(ctx context.Context, p odcm.Principal, id odcm.SpaceID) (templ.Component, error) {
		now := time.Now()
		h, err := s.History(ctx, p, string(id), now.Add(-day), now)
		if err != nil {
			return nil, err
		}
		return Strip(h), nil
	}
}
