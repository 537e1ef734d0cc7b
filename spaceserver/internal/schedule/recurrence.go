package schedule

import (
	"strings"
	"time"
)

// Recurrence says on which days something that has a first time comes again (RecurringSchedule of a deployment freeze in
// go-octopusdeploy): every so many days, weeks, months or years.
type Recurrence struct {
	Type    string        // Daily, Weekly, Monthly, Annually
	Unit    int           // every so many of them; 1 if less
	Days    []string      // Weekly: names of days; the first time's own if none
	Monthly string        // Monthly: DateOfMonth or DayOfMonth
	Date    string        // of DateOfMonth: "15", or "L" for the last
	Ordinal string        // of DayOfMonth: "1" to "4", or "L" for the last
	Day     string        // of DayOfMonth: name of the day
	Offset  time.Duration // of the clock by which days are counted, from UTC
	Until   time.Time     // the last time; none if zero
	Times   int           // how often at most; any if 0
}

// mostDays bounds how far a recurrence is followed: fifty years.
const mostDays = 366 * 50

// each yields the times at which it comes again, from the first on, until yield says no, the schedule ends or a time is after
// the limit. It tells whether the schedule came to its own end.
func (r Recurrence) each(first, limit time.Time, yield func(at time.Time) bool) (over bool) {
	zone := time.FixedZone("", int(r.Offset/time.Second))
	start, n := first.In(zone), 0
	for i := range mostDays {
		at := start.AddDate(0, 0, i)
		if !r.Until.IsZero() && at.After(r.Until) || r.Times > 0 && n >= r.Times {
			return true
		}
		if at.After(limit) {
			return false
		}
		if i > 0 && !r.on(start, at) {
			continue
		}
		n++
		if !yield(at) {
			return false
		}
	}
	return true
}

// on tells whether it comes again on the day.
func (r Recurrence) on(start, at time.Time) bool {
	unit := max(r.Unit, 1)
	months := (at.Year()-start.Year())*12 + int(at.Month()) - int(start.Month())
	switch r.Type {
	case "Daily":
		return days(start, at)%unit == 0
	case "Weekly":
		// Weeks begin on Sunday, as .NET counts them.
		weeks := (days(start, at) + int(start.Weekday())) / 7
		if len(r.Days) == 0 {
			return weeks%unit == 0 && at.Weekday() == start.Weekday()
		}
		return weeks%unit == 0 && onDay(r.Days, at)
	case "Monthly":
		if months%unit != 0 {
			return false
		}
		switch r.Monthly {
		case "DateOfMonth":
			return onDate(r.Date, at)
		case "DayOfMonth":
			return onOrdinal(r.Ordinal, r.Day, at)
		}
		return at.Day() == start.Day()
	case "Annually":
		return months%(12*unit) == 0 && at.Day() == start.Day()
	}
	return false
}

func days(a, b time.Time) int {
	midnight := func(t time.Time) time.Time {
		y, m, d := t.Date()
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	}
	return int(midnight(b).Sub(midnight(a)) / (24 * time.Hour))
}

// Within tells whether the moment lies in one of the times that begin like first and last as long as from first to end.
func (r Recurrence) Within(first, end, now time.Time) (within bool) {
	long := end.Sub(first)
	r.each(first, now, func(at time.Time) bool {
		within = !now.Before(at) && now.Before(at.Add(long))
		return !within
	})
	return within
}

// Over tells whether the last of the times has ended.
func (r Recurrence) Over(first, end, now time.Time) bool {
	last := first
	ended := r.each(first, now.AddDate(1, 0, 0), func(at time.Time) bool { last = at; return !last.After(now) })
	return ended && !now.Before(last.Add(end.Sub(first)))
}

// onDay tells whether the day is one of those named.
func onDay(names []string, at time.Time) bool {
	for _, name := range names {
		if strings.EqualFold(name, at.Weekday().String()) {
			return true
		}
	}
	return false
}

// onDate tells whether the day is the date of its month, "L" being the last.
func onDate(date string, at time.Time) bool {
	if strings.EqualFold(date, "L") {
		return at.AddDate(0, 0, 1).Day() == 1
	}
	return number(date) == at.Day()
}

// onOrdinal tells whether the day is the n-th of its name in its month, "L" being the last.
func onOrdinal(ordinal, name string, at time.Time) bool {
	if !onDay([]string{name}, at) {
		return false
	}
	if strings.EqualFold(ordinal, "L") {
		return at.AddDate(0, 0, 7).Month() != at.Month()
	}
	return (at.Day()-1)/7+1 == number(ordinal)
}

// number reads a small number that may carry an ending ("2nd"); 0 where there is none.
func number(s string) int {
	n := 0
	for _, r := range strings.TrimSpace(s) {
		if r < '0' || r > '9' || n > 1000 {
			break
		}
		n = n*10 + int(r-'0')
	}
	return n
}
