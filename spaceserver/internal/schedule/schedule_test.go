package schedule

import (
	"testing"
	"time"

	"odcm/octopus"
)

// TestNext has the schedules of the docs (projects/project-triggers/scheduled-project-trigger), and the clocks' changes.
func TestNext(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, filter, after, want string }{
		{"later today", `{"FilterType":"OnceDailySchedule","StartTime":"2020-01-01T09:00:00"}`, "2026-03-02T08:00:00Z", "2026-03-02T09:00:00Z"},
		{"tomorrow, at the very moment", `{"FilterType":"OnceDailySchedule","StartTime":"2020-01-01T09:00:00"}`, "2026-03-02T09:00:00Z", "2026-03-03T09:00:00Z"},
		{"not before it starts", `{"FilterType":"OnceDailySchedule","StartTime":"2027-01-01T09:00:00"}`, "2026-03-02T09:00:00Z", "2027-01-01T09:00:00Z"},
		{"on Tuesday", `{"FilterType":"OnceDailySchedule","StartTime":"2020-01-01T09:00:00","DaysOfWeek":["Tuesday"]}`, "2026-03-04T00:00:00Z", "2026-03-10T09:00:00Z"},
		{"days of the older form", `{"FilterType":"DaysPerWeekSchedule","StartTime":"2020-01-01T09:00:00","Sunday":true}`, "2026-03-04T00:00:00Z", "2026-03-08T09:00:00Z"},
		{"in Berlin in winter", `{"FilterType":"OnceDailySchedule","StartTime":"2020-01-01T09:00:00","Timezone":"Europe/Berlin"}`, "2026-01-05T00:00:00Z", "2026-01-05T08:00:00Z"},
		{"in Berlin in summer, by Windows's name", `{"FilterType":"OnceDailySchedule","StartTime":"2020-01-01T09:00:00","Timezone":"W. Europe Standard Time"}`, "2026-07-05T00:00:00Z", "2026-07-05T07:00:00Z"},
		{"in the hour that spring leaves out", `{"FilterType":"OnceDailySchedule","StartTime":"2020-01-01T02:30:00","Timezone":"Europe/Berlin"}`, "2026-03-28T12:00:00Z", "2026-03-29T01:30:00Z"},
		{"and the day after", `{"FilterType":"OnceDailySchedule","StartTime":"2020-01-01T02:30:00","Timezone":"Europe/Berlin"}`, "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"},
		{"once in the hour that autumn repeats", `{"FilterType":"OnceDailySchedule","StartTime":"2020-01-01T02:30:00","Timezone":"Europe/Berlin"}`, "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"},
		{"and not twice", `{"FilterType":"OnceDailySchedule","StartTime":"2020-01-01T02:30:00","Timezone":"Europe/Berlin"}`, "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"},
		{"east of the date line", `{"FilterType":"OnceDailySchedule","StartTime":"2020-01-01T00:15:00","Timezone":"Pacific/Kiritimati"}`, "2026-03-01T23:00:00Z", "2026-03-02T10:15:00Z"},
		{"every ten minutes", `{"FilterType":"ContinuousDailySchedule","Interval":"OnceEveryMinute","MinuteInterval":10,"RunAfter":"2020-01-01T09:05:00","RunUntil":"2020-01-01T09:30:00"}`, "2026-03-02T09:05:00Z", "2026-03-02T09:15:00Z"},
		{"not after the end of the day's range", `{"FilterType":"ContinuousDailySchedule","Interval":"OnceEveryMinute","MinuteInterval":10,"RunAfter":"2020-01-01T09:05:00","RunUntil":"2020-01-01T09:30:00"}`, "2026-03-02T09:25:00Z", "2026-03-03T09:05:00Z"},
		{"every six hours on weekdays", `{"FilterType":"ContinuousDailySchedule","Interval":"OnceHourly","HourInterval":6,"DaysOfWeek":["Monday","Friday"]}`, "2026-03-06T18:00:00Z", "2026-03-09T00:00:00Z"},
		{"every hour through the change of the clocks", `{"FilterType":"ContinuousDailySchedule","Interval":"OnceHourly","HourInterval":1,"Timezone":"Europe/Berlin"}`, "2026-03-29T00:59:00Z", "2026-03-29T01:00:00Z"},
		{"on the 31st", `{"FilterType":"DaysPerMonthSchedule","StartTime":"2020-01-01T06:00:00","MonthlyScheduleType":"DateOfMonth","DateOfMonth":"31"}`, "2026-04-01T00:00:00Z", "2026-05-31T06:00:00Z"},
		{"on the last day", `{"FilterType":"DaysPerMonthSchedule","StartTime":"2020-01-01T06:00:00","MonthlyScheduleType":"DateOfMonth","DateOfMonth":"L"}`, "2028-02-01T00:00:00Z", "2028-02-29T06:00:00Z"},
		{"on the second Tuesday", `{"FilterType":"DaysPerMonthSchedule","StartTime":"2020-01-01T06:00:00","MonthlyScheduleType":"DayOfMonth","DayNumberOfMonth":"2","DayOfWeek":"Tuesday"}`, "2026-03-11T00:00:00Z", "2026-04-14T06:00:00Z"},
		{"on the last Friday", `{"FilterType":"DaysPerMonthSchedule","StartTime":"2020-01-01T06:00:00","MonthlyScheduleType":"DayOfMonth","DayNumberOfMonth":"L","DayOfWeek":"Friday"}`, "2026-03-01T00:00:00Z", "2026-03-27T06:00:00Z"},
		{"cron with seconds", `{"FilterType":"CronExpressionSchedule","CronExpression":"0 30 6 * * Mon-Fri"}`, "2026-03-06T07:00:00Z", "2026-03-09T06:30:00Z"},
		{"cron without", `{"FilterType":"CronExpressionSchedule","CronExpression":"*/15 * * * *","Timezone":"Asia/Kolkata"}`, "2026-03-06T07:01:00Z", "2026-03-06T07:15:00Z"},
		{"cron with a year", `{"FilterType":"CronExpressionSchedule","CronExpression":"0 0 12 1 * ? *"}`, "2026-03-06T07:01:00Z", "2026-04-01T12:00:00Z"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, err := Parse(object(t, test.filter))
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Next(at(t, test.after)); !got.Equal(at(t, test.want)) {
				t.Errorf("after %s: %s, want %s", test.after, got, test.want)
			}
		})
	}
}

func TestWhatIsNoScheduleIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"FilterType":"OnceDailySchedule","StartTime":"soon"}`, `{"FilterType":"OnceDailySchedule","Timezone":"Nowhere/Town"}`, `{"FilterType":"ContinuousDailySchedule"}`,
		`{"FilterType":"ContinuousDailySchedule","Interval":"OnceHourly"}`, `{"FilterType":"DaysPerMonthSchedule","DateOfMonth":"32"}`, `{"FilterType":"CronExpressionSchedule","CronExpression":"every day"}`,
		`{"FilterType":"CronExpressionSchedule","CronExpression":"0 0 12 L * *"}`,
	} {
		if _, err := Parse(object(t, text)); err == nil {
			t.Errorf("%s was taken for a schedule", text)
		}
	}
	if s, err := Parse(object(t, `{"FilterType":"CronExpressionSchedule","CronExpression":"0 0 0 30 2 *"}`)); err != nil || !s.Next(time.Now()).IsZero() {
		t.Errorf("the 30th of February: %v", err)
	}
}

func TestRecurrence(t *testing.T) {
	t.Parallel()
	first, end := at(t, "2026-03-02T10:00:00Z"), at(t, "2026-03-02T12:00:00Z") // a Monday
	for _, test := range []struct {
		name    string
		r       Recurrence
		in, out []string
		over    string
	}{
		{"every second day", Recurrence{Type: "Daily", Unit: 2}, []string{"2026-03-02T10:00:00Z", "2026-03-04T11:59:00Z"}, []string{"2026-03-03T11:00:00Z", "2026-03-04T12:00:00Z", "2026-03-01T11:00:00Z"}, ""},
		{"three times", Recurrence{Type: "Daily", Times: 3}, []string{"2026-03-04T11:00:00Z"}, []string{"2026-03-05T11:00:00Z"}, "2026-03-04T12:00:00Z"},
		{"until a day", Recurrence{Type: "Weekly", Until: at(t, "2026-03-17T00:00:00Z")}, []string{"2026-03-16T11:00:00Z"}, []string{"2026-03-23T11:00:00Z", "2026-03-17T11:00:00Z"}, "2026-03-16T12:00:00Z"},
		{"on two days of every second week", Recurrence{Type: "Weekly", Unit: 2, Days: []string{"Monday", "Wednesday"}}, []string{"2026-03-04T11:00:00Z", "2026-03-16T11:00:00Z"}, []string{"2026-03-09T11:00:00Z", "2026-03-11T11:00:00Z"}, ""},
		{"on the last Friday", Recurrence{Type: "Monthly", Monthly: "DayOfMonth", Ordinal: "L", Day: "Friday"}, []string{"2026-03-27T11:00:00Z"}, []string{"2026-03-20T11:00:00Z"}, ""},
		{"every year", Recurrence{Type: "Annually"}, []string{"2028-03-02T11:00:00Z"}, []string{"2027-03-03T11:00:00Z", "2027-04-02T11:00:00Z"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, text := range test.in {
				if !test.r.Within(first, end, at(t, text)) {
					t.Errorf("%s is not within", text)
				}
			}
			for _, text := range test.out {
				if test.r.Within(first, end, at(t, text)) {
					t.Errorf("%s is within", text)
				}
			}
			if test.over == "" {
				if test.r.Over(first, end, first.AddDate(2, 0, 0)) {
					t.Error("it is over")
				}
				return
			}
			if when := at(t, test.over); !test.r.Over(first, end, when) || test.r.Over(first, end, when.Add(-time.Second)) {
				t.Errorf("it is not over at %s", test.over)
			}
		})
	}
}

func TestEveryZoneOfWindowsIsKnown(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"AUS Eastern Standard Time", "gmt standard time", "UTC", "", "Line Islands Standard Time", "Asia/Kathmandu"} {
		if _, err := Zone(name); err != nil {
			t.Error(err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"FilterType":"CronExpressionSchedule","CronExpression":"0 0 12 1 * ?"}`)
	f.Add(`{"FilterType":"ContinuousDailySchedule","Interval":"OnceHourly","HourInterval":6}`)
	f.Add(`{"FilterType":"DaysPerMonthSchedule","MonthlyScheduleType":"DayOfMonth","DayNumberOfMonth":"5","DayOfWeek":"Monday"}`)
	now := time.Date(2026, 3, 29, 0, 30, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		o, err := octopus.ParseObject([]byte(text))
		if err != nil {
			return
		}
		s, err := Parse(o)
		if err != nil {
			return
		}
		if next := s.Next(now); !next.IsZero() && !next.After(now) {
			t.Errorf("%s: due at %s, which is not after %s", text, next, now)
		}
	})
}

func object(t *testing.T, text string) octopus.Object {
	t.Helper()
	o, err := octopus.ParseObject([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	parsed, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}
