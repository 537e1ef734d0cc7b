package schedule

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"odcm/octopus"
)

// Schedule says when something is due.
type Schedule struct {
	zone *time.Location
	cron cron.Schedule // of cron expressions; the rest is not used then

	start      clock
	notBefore  time.Time // the day on which it begins, in the zone; zero for any
	on         func(day time.Time) bool
	every      time.Duration // again and again on a day, from start until; 0 for once
	until      clock
	endOfRange bool // until is given
}

// clock is a time of day.
type clock struct{ hour, minute, second int }

// Kinds of filters of triggers that are schedules (TriggerFilterResource in the Swagger document).
var kinds = []string{"OnceDailySchedule", "ContinuousDailySchedule", "DailySchedule", "DaysPerWeekSchedule", "DaysPerMonthSchedule", "CronExpressionSchedule"}

// Is tells whether a trigger's filter is a schedule.
func Is(filterType string) bool { return slices.Contains(kinds, filterType) }

// Parse reads a trigger's filter. An error is a sentence that says what is wrong.
func Parse(filter octopus.Object) (Schedule, error) {
	zone, err := Zone(filter.Text("Timezone"))
	if err != nil {
		return Schedule{}, err
	}
	s := Schedule{zone: zone, on: func(time.Time) bool { return true }}
	typ := filter.Text("FilterType")
	if typ == "CronExpressionSchedule" {
		s.cron, err = parseCron(filter.Text("CronExpression"))
		return s, err
	}
	if names := dayNames(filter); len(names) > 0 {
		s.on = func(day time.Time) bool { return onDay(names, day) }
	}
	if typ == "DaysPerMonthSchedule" {
		if s.on, err = monthly(filter); err != nil {
			return s, err
		}
	}
	if typ == "ContinuousDailySchedule" || strings.EqualFold(filter.Text("RunType"), "Continuously") || filter.Text("Interval") != "" && filter.Text("Interval") != "OnceDaily" {
		return s.continuous(filter)
	}
	if text := filter.Text("StartTime"); text != "" {
		at, err := local(text)
		if err != nil {
			return s, err
		}
		s.start = clock{at.Hour(), at.Minute(), at.Second()}
		s.notBefore = time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, zone)
	}
	return s, nil
}

// continuous reads how often a day, and between which times.
func (s Schedule) continuous(filter octopus.Object) (Schedule, error) {
	switch filter.Text("Interval") {
	case "OnceEveryMinute":
		s.every = time.Duration(filter.Int("MinuteInterval")) * time.Minute
	case "OnceHourly":
		s.every = time.Duration(filter.Int("HourInterval")) * time.Hour
	default:
		return s, fmt.Errorf("the filter's Interval must be OnceHourly or OnceEveryMinute")
	}
	if s.every <= 0 || s.every > 24*time.Hour {
		return s, fmt.Errorf("the filter's interval must be between one minute and one day: set MinuteInterval or HourInterval")
	}
	for _, end := range []struct {
		member string
		to     *clock
	}{{"RunAfter", &s.start}, {"RunUntil", &s.until}} {
		if text := filter.Text(end.member); text != "" {
			at, err := local(text)
			if err != nil {
				return s, err
			}
			*end.to = clock{at.Hour(), at.Minute(), at.Second()}
			s.endOfRange = s.endOfRange || end.member == "RunUntil"
		}
	}
	return s, nil
}

// dayNames are the days on which it is due: none for every day.
func dayNames(filter octopus.Object) []string {
	if names := filter.Texts("DaysOfWeek"); len(names) > 0 {
		return names
	}
	var names []string
	for day := time.Sunday; day <= time.Saturday; day++ { // older clients name each
		if filter.Bool(day.String()) {
			names = append(names, day.String())
		}
	}
	return names
}

func monthly(filter octopus.Object) (func(day time.Time) bool, error) {
	date, ordinal, name := filter.Text("DateOfMonth"), filter.Text("DayNumberOfMonth"), filter.Text("DayOfWeek")
	switch {
	case filter.Text("MonthlyScheduleType") == "DayOfMonth":
		if n := number(ordinal); !strings.EqualFold(ordinal, "L") && (n < 1 || n > 5) {
			return nil, fmt.Errorf("the filter's DayNumberOfMonth must be 1 to 4, or L for the last")
		}
		return func(day time.Time) bool { return onOrdinal(ordinal, name, day) }, nil
	default:
		if n := number(date); !strings.EqualFold(date, "L") && (n < 1 || n > 31) {
			return nil, fmt.Errorf("the filter's DateOfMonth must be 1 to 31, or L for the last")
		}
		return func(day time.Time) bool { return onDate(date, day) }, nil
	}
}

// parseCron reads an expression with seconds in front, or without, and a year behind that says nothing.
func parseCron(text string) (cron.Schedule, error) {
	fields := strings.Fields(text)
	if len(fields) == 7 && (fields[6] == "*" || fields[6] == "?") {
		fields = fields[:6]
	}
	options := cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow
	if len(fields) == 6 {
		options |= cron.Second
	}
	s, err := cron.NewParser(options).Parse(strings.Join(fields, " "))
	if err != nil || len(text) > 200 {
		return nil, fmt.Errorf("'%s' is not a cron expression that this server reads: write seconds, minutes, hours, day of the month, month and day of the week, as 0 30 6 * * Mon-Fri", text)
	}
	return s, nil
}

// local reads the clock of a time: the zone is the filter's, whatever the text says.
func local(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02 15:04:05", "15:04:05", "15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("'%s' is not a time: write it as 2026-01-31T09:00:00", text)
}

// farthest is how many days ahead a schedule is looked for: the 29th of February comes every eighth year at the rarest.
const farthest = 366*8 + 2

// Next is the first time after the moment at which it is due, UTC; zero if there is none. A time that the clocks leave out in
// spring is due when they have gone forward; one that comes twice in autumn is due the first time.
func (s Schedule) Next(after time.Time) time.Time {
	if s.cron != nil {
		return s.cron.Next(after.In(s.zone)).UTC()
	}
	day := after.In(s.zone)
	if day.Before(s.notBefore) {
		day = s.notBefore
	}
	year, month, date := day.Date()
	for i := range farthest {
		noon := time.Date(year, month, date+i, 12, 0, 0, 0, s.zone)
		if !s.on(noon) {
			continue
		}
		if at := s.within(noon, after); !at.IsZero() {
			return at.UTC()
		}
	}
	return time.Time{}
}

// within is the first time on a day that is after the moment, zero if there is none.
func (s Schedule) within(day, after time.Time) time.Time {
	at := moment(day, s.start)
	if s.every == 0 {
		if at.After(after) {
			return at
		}
		return time.Time{}
	}
	end := moment(day.AddDate(0, 0, 1), clock{}).Add(-time.Nanosecond)
	if s.endOfRange {
		end = moment(day, s.until)
	}
	if !at.After(after) {
		at = at.Add((after.Sub(at)/s.every + 1) * s.every)
	}
	if at.After(end) {
		return time.Time{}
	}
	return at
}

// moment is when the clocks of the day's zone first show the time on that day, or would have.
func moment(day time.Time, c clock) time.Time {
	year, month, date := day.Date()
	at := time.Date(year, month, date, c.hour, c.minute, c.second, 0, day.Location())
	_, before := at.Add(-4 * time.Hour).Zone()
	_, now := at.Zone()
	// The same clock, with the offset that held before a change of the clocks: earlier where the hour comes twice, behind the
	// gap where it does not come at all.
	other := at.Add(time.Duration(now-before) * time.Second)
	shows := func(t time.Time) bool { h, m, s := t.Clock(); return clock{h, m, s} == c && t.Day() == at.Day() }
	switch {
	case shows(at) && shows(other) && other.Before(at):
		return other
	case shows(at):
		return at
	}
	return time.Date(year, month, date, c.hour, c.minute, c.second, 0, time.FixedZone("", before)).In(day.Location())
}
