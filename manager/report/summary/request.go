package summary

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a server on a machine without zones must know them too

	"odcm"
	"odcm/manager/report"
)

// Request is what somebody wants to see, as the address of a page or of an operation says it.
type Request struct {
	Space, Project, Environment, Tenant string
	Kind                                report.Kind // "" for all
	From, To                            time.Time   // To is not included; both are midnight in the zone
	Last                                string      // what From and To came from; "" where they were given
	Zone                                *time.Location
	Period                              string // "day", "week", "month"
	By                                  report.Dimension
	Sort                                string // key of a column
	Descending                          bool
	Offset, Limit                       int
}

// Bounds of what is asked.
const (
	maxDays    = 366 * 10
	maxPeriods = 400
	maxText    = 200
	maxRows    = 1000
	// RowsPerPage is how many rows a page has.
	RowsPerPage = 50
)

// parameters are what an address may say; others are left alone.
var parameters = []string{"space", "project", "environment", "tenant", "kind", "from", "to", "last", "zone", "period", "by", "sort"}

// ParseRequest reads an address.
func ParseRequest(q url.Values, now time.Time) (r Request, err error) {
	for _, name := range parameters {
		if len(q.Get(name)) > maxText || strings.ContainsFunc(q.Get(name), func(c rune) bool { return c < ' ' || c == 0x7f || c == '\uFFFD' }) {
			return r, invalid(name, "%s is too long or has a character that no name has.", name)
		}
	}
	r = Request{Space: q.Get("space"), Project: q.Get("project"), Environment: q.Get("environment"), Tenant: q.Get("tenant"), Limit: RowsPerPage}
	if r.Zone, err = ParseZone(q.Get("zone")); err != nil {
		return r, err
	}
	switch kind := q.Get("kind"); kind {
	case "", string(report.Deployments):
		r.Kind = report.Deployments
	case string(report.RunbookRuns):
		r.Kind = report.RunbookRuns
	case "all":
	default:
		return r, invalid("kind", "kind is deployment, runbook-run or all.")
	}
	if err := r.readTime(q, now); err != nil {
		return r, err
	}
	if err := r.readPeriod(q.Get("period")); err != nil {
		return r, err
	}
	if r.By = report.Dimension(q.Get("by")); r.By == "" {
		r.By = report.BySpace
	}
	if !slices.Contains([]report.Dimension{report.BySpace, report.ByProject, report.ByEnvironment, report.ByTenant}, r.By) {
		return r, invalid("by", "by is space, project, environment or tenant.")
	}
	r.Sort, r.Descending = strings.TrimPrefix(q.Get("sort"), "-"), strings.HasPrefix(q.Get("sort"), "-")
	for name, to := range map[string]*int{"offset": &r.Offset, "limit": &r.Limit} {
		if text := q.Get(name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 0 || n > 1e6 {
				return r, invalid(name, "%s is a number from 0 to 1,000,000.", name)
			}
			*to = n
		}
	}
	r.Limit = max(1, min(r.Limit, maxRows))
	return r, nil
}

func invalid(field, message string, args ...any) error {
	return odcm.E(odcm.Invalid, "report.request-invalid", strings.ToUpper(message[:1])+message[1:], args...).OnField(field)
}

// ParseZone reads the name of a time zone; UTC where it is empty.
func ParseZone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil || strings.EqualFold(name, "local") {
		return nil, invalid("zone", "%q is not a time zone: use a name such as Europe/Berlin.", name)
	}
	return zone, nil
}

// date is when a day begins in the zone: at midnight, or shortly after where clocks are changed at midnight.
func date(year int, month time.Month, day int, zone *time.Location) time.Time {
	t, noon := time.Date(year, month, day, 0, 0, 0, 0, zone), time.Date(year, month, day, 12, 0, 0, 0, zone)
	for t.Day() != noon.Day() {
		t = t.Add(report.Quarter)
	}
	return t
}

// midnight is when the day of a time begins in the zone.
func midnight(t time.Time, zone *time.Location) time.Time {
	y, m, d := t.In(zone).Date()
	return date(y, m, d, zone)
}

func addDays(t time.Time, days int) time.Time {
	y, m, d := t.Date()
	return date(y, m, d+days, t.Location())
}

// readTime reads from and to, days in the zone of which both are meant, or last: "30d" until today, "week" and "month" for
// the whole ones before this, "12m" for twelve months until today.
func (r *Request) readTime(q url.Values, now time.Time) error {
	today := midnight(now, r.Zone)
	r.To = addDays(today, 1)
	if q.Get("from") == "" && q.Get("to") == "" {
		r.Last = q.Get("last")
		if r.Last == "" {
			r.Last = "30d"
		}
		return r.readLast(today)
	}
	earliest := map[string]int{"from": 2000, "to": 2001} // the one begins 30 days before the other where only that is said
	for name, to := range map[string]*time.Time{"from": &r.From, "to": &r.To} {
		if text := q.Get(name); text != "" {
			day, err := time.Parse(time.DateOnly, text)
			if err != nil || day.Year() < earliest[name] || day.Year() > 2200 {
				return invalid(name, "%s is a day such as 2026-01-31.", name)
			}
			y, m, d := day.Date()
			if name == "to" {
				d++
			}
			*to = date(y, m, d, r.Zone)
		}
	}
	if r.From.IsZero() {
		r.From = addDays(r.To, -30)
	}
	if days := r.To.Sub(r.From).Hours() / 24; !r.From.Before(r.To) || days > maxDays+1 {
		return invalid("from", "choose a time that begins before it ends, and at most ten years.")
	}
	return nil
}

func (r *Request) readLast(today time.Time) error {
	switch r.Last {
	case "week":
		r.To = addDays(today, -(int(today.Weekday())+6)%7)
		r.From = addDays(r.To, -7)
		return nil
	case "month":
		y, m, _ := today.Date()
		r.From, r.To = date(y, m-1, 1, r.Zone), date(y, m, 1, r.Zone)
		return nil
	}
	number, isMonths := strings.CutSuffix(r.Last, "m")
	number, isDays := strings.CutSuffix(number, "d")
	n, err := strconv.Atoi(number)
	if err != nil || isDays == isMonths || n < 1 || isDays && n > maxDays || isMonths && n > 120 {
		return invalid("last", "last is a number of days or months such as 30d or 12m, or week or month.")
	}
	if r.From = addDays(today, 1-n); isMonths {
		y, m, d := today.Date()
		r.From = date(y, m-time.Month(n), d+1, r.Zone)
	}
	return nil
}

// readPeriod chooses what a point of a chart stands for: where nothing is said, so that there are not too many.
func (r *Request) readPeriod(period string) error {
	switch days := r.To.Sub(r.From).Hours() / 24; {
	case period == "day" && days > maxPeriods:
		return invalid("period", "choose weeks or months for so long a time.")
	case period == "day" || period == "week" || period == "month":
		r.Period = period
	case period != "":
		return invalid("period", "period is day, week or month.")
	case days <= 62:
		r.Period = "day"
	case days <= 366:
		r.Period = "week"
	default:
		r.Period = "month"
	}
	if bounds := r.bounds(); len(bounds) > maxPeriods+maxPeriods {
		return invalid("period", "choose months for so long a time.")
	}
	return nil
}

// bounds part the time: days, weeks from Monday and months of the zone, cut where the time begins and ends.
func (r Request) bounds() []time.Time {
	bounds := []time.Time{r.From}
	for at := r.From; ; {
		y, m, d := at.Date()
		switch r.Period {
		case "week":
			at = date(y, m, d+7-(int(at.Weekday())+6)%7, r.Zone)
		case "month":
			at = date(y, m+1, 1, r.Zone)
		default:
			at = date(y, m, d+1, r.Zone)
		}
		if !at.Before(r.To) {
			return append(bounds, r.To)
		}
		bounds = append(bounds, at)
	}
}

// labels say what each period is.
func (r Request) labels(bounds []time.Time) []string {
	labels := make([]string, 0, len(bounds))
	for _, b := range bounds[:len(bounds)-1] {
		switch r.Period {
		case "month":
			labels = append(labels, b.In(r.Zone).Format("Jan 2006"))
		default:
			labels = append(labels, b.In(r.Zone).Format("2 Jan"))
		}
	}
	return labels
}

// Query is the address of the request, without what is as it would be anyway.
func (r Request) Query() url.Values {
	q := url.Values{}
	set := func(name, value, otherwise string) {
		if value != otherwise {
			q.Set(name, value)
		}
	}
	set("space", r.Space, "")
	set("project", r.Project, "")
	set("environment", r.Environment, "")
	set("tenant", r.Tenant, "")
	kind := string(r.Kind)
	if kind == "" {
		kind = "all"
	}
	set("kind", kind, string(report.Deployments))
	if r.Last != "" {
		set("last", r.Last, "30d")
	} else {
		q.Set("from", r.From.Format(time.DateOnly))
		q.Set("to", addDays(r.To, -1).Format(time.DateOnly))
	}
	set("zone", r.Zone.String(), "UTC")
	set("period", r.Period, "")
	set("by", string(r.By), string(report.BySpace))
	if r.Sort != "" {
		sort := r.Sort
		if r.Descending {
			sort = "-" + sort
		}
		q.Set("sort", sort)
	}
	return q
}

// scope is the request without the Spaces, which are to be looked up.
func (r Request) scope(spaces []odcm.SpaceID) report.Scope {
	return report.Scope{Spaces: spaces, Kind: r.Kind, Project: r.Project, Environment: r.Environment, Tenant: r.Tenant, From: r.From, To: r.To}
}
