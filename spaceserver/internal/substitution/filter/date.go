package filter

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A moment is a point of time as .NET keeps it: with an offset, in UTC, or naive, which is without either.
type moment struct {
	time.Time
	naive bool
}

const roundTrip = "O" // the format that keeps everything: ISO 8601 with seven digits of a second

// dates are the forms of a date that are read. .NET reads more; these are the ones that machines write, and the
// American forms, since an Octopus server speaks en-US.
var dates = []string{
	"2006-1-2T15:4:5.9999999Z07:00", "2006-1-2T15:4:5.9999999", "2006-1-2 15:4:5.9999999 Z07:00", "2006-1-2 15:4:5.9999999Z07:00",
	"2006-1-2 15:4:5.9999999", "2006-1-2T15:4", "2006-1-2 15:4", "2006-1-2", "2006/1/2 15:4:5.9999999", "2006/1/2 15:4", "2006/1/2",
	"1/2/2006 15:4:5", "1/2/2006 3:4:5 PM", "1/2/2006 15:4", "1/2/2006 3:4 PM", "1/2/2006", "1/2/2006 15:4:5 Z07:00", "1/2/2006 3:4:5 PM Z07:00",
	"2 Jan 2006 15:4:5", "2 Jan 2006", "Jan 2, 2006", "January 2, 2006", "2 January 2006", "Jan 2, 2006 3:4:5 PM", "January 2, 2006 3:4:5 PM",
	time.RFC1123, time.RFC1123Z,
}

// parseDate takes a date without a zone for one of the server's.
func (f *Call) parseDate(text string) (moment, bool) {
	text = strings.TrimSpace(text)
	if len(text) > 64 {
		return moment{}, false
	}
	for _, form := range dates {
		if t, err := time.ParseInLocation(form, text, f.Now.Location()); err == nil {
			zoned := strings.Contains(form, "07") || strings.HasSuffix(form, "MST")
			return moment{t, !zoned}, true
		}
	}
	return moment{}, false
}

func (f *Call) nowDate(now moment) (string, bool) {
	if f.Given || len(f.Options) > 1 {
		return "", false
	}
	form := f.option(0)
	if form == "" {
		form = roundTrip
	}
	return now.format(form)
}

// addTime shifts a date by a number of units. A naive date stays naive, and an offset stays.
func (f *Call) addTime(unit time.Duration) (string, bool) {
	if len(f.Options) != 1 {
		return "", false
	}
	n, ok := ParseNumber(f.Options[0])
	at, dated := f.parseDate(f.Text)
	if !ok || !dated || n*float64(unit) > 1<<62 || n*float64(unit) < -1<<62 {
		return "", false
	}
	// As clocks on walls count: a day that is short for summer time counts 24 hours too.
	wall := at.Time
	if at.naive {
		wall = time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), time.UTC)
	}
	return moment{wall.Add(time.Duration(n * float64(unit))), at.naive}.format(roundTrip)
}

// standardDates are the formats of one letter, in en-US.
var standardDates = map[byte]string{
	'd': "M/d/yyyy", 'D': "dddd, MMMM d, yyyy", 't': "h:mm tt", 'T': "h:mm:ss tt", 'f': "dddd, MMMM d, yyyy h:mm tt",
	'F': "dddd, MMMM d, yyyy h:mm:ss tt", 'g': "M/d/yyyy h:mm tt", 'G': "M/d/yyyy h:mm:ss tt", 'm': "MMMM d", 'M': "MMMM d",
	'y': "MMMM yyyy", 'Y': "MMMM yyyy", 's': "yyyy'-'MM'-'dd'T'HH':'mm':'ss", 'o': "yyyy'-'MM'-'dd'T'HH':'mm':'ss'.'fffffffK",
	'O': "yyyy'-'MM'-'dd'T'HH':'mm':'ss'.'fffffffK", 'r': "ddd, dd MMM yyyy HH':'mm':'ss 'GMT'",
	'R': "ddd, dd MMM yyyy HH':'mm':'ss 'GMT'", 'u': "yyyy'-'MM'-'dd HH':'mm':'ss'Z'", 'U': "dddd, MMMM d, yyyy h:mm:ss tt",
}

// format writes a moment in a .NET format (learn.microsoft.com, "Custom date and time format strings").
func (m moment) format(form string) (string, bool) {
	if len(form) == 1 {
		standard, ok := standardDates[form[0]]
		if !ok {
			return "", false
		}
		if strings.Contains("rRuU", form) && !m.naive {
			m.Time = m.UTC()
		}
		form = standard
	}
	var b strings.Builder
	for i := 0; i < len(form); {
		c := form[i]
		n := 1
		for i+n < len(form) && form[i+n] == c {
			n++
		}
		switch c {
		case '\'', '"':
			end := strings.IndexByte(form[i+1:], c)
			if end < 0 {
				return "", false
			}
			b.WriteString(form[i+1 : i+1+end])
			n = end + 2
		case '\\':
			if i+1 == len(form) {
				return "", false
			}
			b.WriteByte(form[i+1])
			n = 2
		case '%':
			n = 1
		default:
			b.WriteString(m.field(c, n))
		}
		i += n
	}
	return b.String(), true
}

// field writes one letter that stands n times.
func (m moment) field(c byte, n int) string {
	hour := m.Hour() % 12
	if hour == 0 {
		hour = 12
	}
	switch c {
	case 'd':
		return dayOrMonth(n, m.Day(), m.Weekday().String())
	case 'M':
		return dayOrMonth(n, int(m.Month()), m.Month().String())
	case 'y':
		if n < 3 {
			return padded(m.Year()%100, n)
		}
		return padded(m.Year(), n)
	case 'h':
		return padded(hour, min(n, 2))
	case 'H':
		return padded(m.Hour(), min(n, 2))
	case 'm':
		return padded(m.Minute(), min(n, 2))
	case 's':
		return padded(m.Second(), min(n, 2))
	case 'f', 'F':
		digits := fmt.Sprintf("%09d", m.Nanosecond())[:min(n, 7)]
		if c == 'F' {
			digits = strings.TrimRight(digits, "0")
		}
		return digits
	case 't':
		return m.Format("PM")[:min(n, 2)]
	case 'z':
		offset := m.Format("-07:00")
		switch n {
		case 1:
			return offset[:1] + strconv.Itoa(int(offset[1]-'0')*10+int(offset[2]-'0'))
		case 2:
			return offset[:3]
		}
		return offset
	case 'K':
		switch {
		case m.naive:
			return ""
		case m.Location() == time.UTC:
			return "Z"
		}
		return m.Format("-07:00")
	case 'g':
		return "A.D."
	}
	return strings.Repeat(string([]byte{c}), n) // a byte of a longer character too: what is no letter stays
}

func dayOrMonth(n, value int, name string) string {
	switch n {
	case 1, 2:
		return padded(value, n)
	case 3:
		return name[:3]
	}
	return name
}

// padded writes a number in at least n digits; a row of letters longer than any date's needs no more than ten.
func padded(value, n int) string { return fmt.Sprintf("%0*d", min(n, 10), value) }
