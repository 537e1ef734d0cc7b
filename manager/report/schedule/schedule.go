package schedule

import (
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"odcm"
	"odcm/kit/mail"
	"odcm/manager/report/summary"
)

// Every is how often a report is sent.
type Every string

// How often.
const (
	Daily   Every = "daily"
	Weekly  Every = "weekly"
	Monthly Every = "monthly"
)

// Plan is what somebody wants to be sent.
type Plan struct {
	Name   string
	Report string // which: "deployments"
	Query  string // of what, as the address of its page says it
	Every  Every
	Day    int // of the week, 1 is Monday; of the month, where a month that is shorter has its last day
	Hour   int
	Minute int
	Zone   string
	To     []string // addresses
}

// Schedule is a plan that is kept.
type Schedule struct {
	Plan
	ID       string
	Owner    odcm.UserID // whose sight the mails have
	OwnerIs  string      // what the owner is called
	Paused   bool
	Reason   string // why it was paused by itself; a sentence for people
	Due      time.Time
	Created  time.Time
	Revision int64
}

// Sending is one mail that was sent, or why it was not.
type Sending struct {
	Schedule string
	Period   string // for which it was due; "now-…" where somebody asked for it
	At       time.Time
	To       int    // how many it went to
	Error    string // a sentence for people
}

// Bounds of a plan.
const (
	maxName = 100
	maxTo   = 50
	mostOf  = 100 // schedules of one person
)

// check refuses what cannot be kept, and returns the plan in its one form.
func (p Plan) check(names []string, now time.Time) (Plan, error) {
	wrong := func(field, message string) error {
		return odcm.E(odcm.Invalid, "report.schedule-invalid", "%s", message).OnField(field)
	}
	p.Name = strings.TrimSpace(p.Name)
	if n := utf8.RuneCountInString(p.Name); n == 0 || n > maxName || strings.ContainsFunc(p.Name, func(r rune) bool { return r < ' ' || r == 0x7f || r == utf8.RuneError }) {
		return p, wrong("name", "Give it a name of at most 100 characters.")
	}
	if !slices.Contains(names, p.Report) {
		return p, wrong("report", "There is no such report, or you may not read it.")
	}
	q, err := url.ParseQuery(p.Query)
	if err != nil {
		return p, wrong("query", "The filters cannot be read.")
	}
	if p.Zone == "" {
		p.Zone = "UTC"
	}
	if _, err := summary.ParseZone(p.Zone); err != nil {
		return p, wrong("zone", "That is not a time zone: use a name such as Europe/Berlin.")
	}
	q.Set("zone", p.Zone)
	r, err := summary.ParseRequest(q, now)
	if err != nil {
		return p, err
	}
	p.Query = r.Query().Encode()
	switch {
	case p.Every == Daily:
		p.Day = 0
	case p.Every == Weekly && (p.Day < 1 || p.Day > 7):
		return p, wrong("day", "The day of the week is 1 for Monday to 7 for Sunday.")
	case p.Every == Monthly && (p.Day < 1 || p.Day > 31):
		return p, wrong("day", "The day of the month is 1 to 31.")
	case p.Every != Weekly && p.Every != Monthly:
		return p, wrong("every", "It is sent daily, weekly or monthly.")
	}
	if p.Hour < 0 || p.Hour > 23 || p.Minute < 0 || p.Minute > 59 {
		return p, wrong("time", "The time of day is from 00:00 to 23:59.")
	}
	if len(p.To) == 0 || len(p.To) > maxTo {
		return p, wrong("to", "Say to whom it is sent: at least one address and at most 50.")
	}
	var to []string
	for _, text := range p.To {
		address, err := mail.ParseAddress(text)
		if err != nil {
			return p, wrong("to", "\""+text+"\" is not an e-mail address.")
		}
		if !slices.ContainsFunc(to, func(other string) bool { return strings.EqualFold(other, address) }) {
			to = append(to, address)
		}
	}
	p.To = to
	return p, nil
}

// on is when the plan is due on or about a day: at its time of day, or, where clocks are set forward past it, as much later.
func (p Plan) on(year int, month time.Month, day int, zone *time.Location) time.Time {
	t := time.Date(year, month, day, p.Hour, p.Minute, 0, 0, zone)
	if t.Day() != day || t.Hour() < p.Hour { // in the hour that is not there, time.Date may choose the one before
		t = t.Add(time.Hour)
	}
	return t
}

// Next is when the plan is due next after a time.
func (p Plan) Next(after time.Time) time.Time {
	zone, err := summary.ParseZone(p.Zone)
	if err != nil { // it was checked: the zones of this machine have changed
		zone = time.UTC
	}
	y, m, d := after.In(zone).Date()
	for i := 0; ; i++ {
		var t time.Time
		switch p.Every {
		case Weekly:
			day := time.Date(y, m, d+i, 12, 0, 0, 0, zone)
			if (int(day.Weekday())+6)%7+1 != p.Day {
				continue
			}
			t = p.on(day.Year(), day.Month(), day.Day(), zone)
		case Monthly:
			first := time.Date(y, m+time.Month(i), 1, 12, 0, 0, 0, zone)
			last := time.Date(first.Year(), first.Month()+1, 0, 12, 0, 0, 0, zone).Day()
			t = p.on(first.Year(), first.Month(), min(p.Day, last), zone)
		default:
			day := time.Date(y, m, d+i, 12, 0, 0, 0, zone)
			t = p.on(day.Year(), day.Month(), day.Day(), zone)
		}
		if t.After(after) {
			return t.UTC()
		}
	}
}
