package summary

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Report is what is shown, sent and downloaded.
type Report struct {
	Name, Title, Intro string
	Request            Request
	Figures            []Figure
	Charts             []Chart
	Columns            []Column
	Rows               []Row // those of the page that was asked for
	Total              int   // rows in all
	Notes              []string
}

// Figure is one number that stands out.
type Figure struct{ Label, Value, Detail string }

// Chart is drawn from numbers of each series for each label.
type Chart struct {
	Title  string
	Lines  bool // lines instead of bars on top of each other
	Labels []string
	Series []Series
	Unit   Unit
}

// Series is one color of a chart.
type Series struct {
	Name   string
	Tone   string // "success", "danger", "warning", "neutral", "accent"
	Values []float64
}

// Empty tells whether there is nothing to draw.
func (c Chart) Empty() bool {
	return !slices.ContainsFunc(c.Series, func(s Series) bool { return slices.ContainsFunc(s.Values, func(v float64) bool { return v != 0 }) })
}

// Describe says in words what a chart shows, for those who cannot see it.
func Describe(c Chart) string {
	text := c.Title + "."
	for _, s := range c.Series {
		var sum, most float64
		at := -1
		for i, v := range s.Values {
			if sum += v; at < 0 || v > most {
				most, at = v, i
			}
		}
		if at < 0 || at >= len(c.Labels) {
			continue
		}
		text += fmt.Sprintf(" %s: ", s.Name)
		if !c.Lines {
			text += Thousands(sum) + " in all, "
		}
		text += fmt.Sprintf("at most %s (%s).", Thousands(most), c.Labels[at])
	}
	return text
}

// Unit is how numbers are written.
type Unit string

// The units. Text is no number.
const (
	Text    Unit = ""
	Number  Unit = "number"
	Percent Unit = "percent" // of 1
	Seconds Unit = "seconds"
	Day     Unit = "day" // seconds since 1970
)

// Column is a column of the table.
type Column struct {
	Key, Label string
	Unit       Unit
}

// Row is a row of the table; Link, where there is one, leads to what it is about.
type Row struct {
	Cells []Cell
	Link  string
}

// Cell is a word or a number.
type Cell struct {
	Text string
	N    float64
	None bool // nothing is known
}

func word(s string) Cell { return Cell{Text: s} }

func number[T ~int | ~int64 | ~float64](n T) Cell { return Cell{N: float64(n)} }

func none() Cell { return Cell{None: true} }

// part is a share, unknown of nothing.
func part(of, all int64) Cell {
	if all == 0 {
		return none()
	}
	return Cell{N: float64(of) / float64(all)}
}

// Show writes the cell for people.
func (c Column) Show(v Cell) string {
	if v.None {
		return "–"
	}
	switch c.Unit {
	case Text:
		return v.Text
	case Number:
		return Thousands(v.N)
	case Percent:
		return percent(v.N)
	case Seconds:
		return Span(time.Duration(v.N * float64(time.Second)))
	case Day:
		return time.Unix(int64(v.N), 0).UTC().Format("2 Jan 2006")
	}
	return ""
}

// raw writes the cell for programs.
func (c Column) raw(v Cell) string {
	switch {
	case v.None:
		return ""
	case c.Unit == Text:
		return harmless(v.Text)
	case c.Unit == Day:
		return time.Unix(int64(v.N), 0).UTC().Format(time.DateOnly)
	}
	return strconv.FormatFloat(v.N, 'f', -1, 64)
}

// Value is the cell as JSON has it: a text, a number or nothing.
func (c Column) Value(v Cell) any {
	switch {
	case v.None:
		return nil
	case c.Unit == Text:
		return v.Text
	case c.Unit == Day:
		return c.raw(v)
	}
	return v.N
}

// percent never rounds a failure away: 99.99 % is not 100 %.
func percent(n float64) string {
	text := strconv.FormatFloat(math.Floor(n*1000)/10, 'f', 1, 64)
	return strings.TrimSuffix(text, ".0") + " %"
}

// Thousands writes a number with a thin space between thousands.
func Thousands(n float64) string {
	text := strconv.FormatFloat(n, 'f', -1, 64)
	if n != math.Trunc(n) {
		text = strconv.FormatFloat(n, 'f', 2, 64)
	}
	whole, fraction, broken := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0 && whole[i-1] != '-'; i -= 3 {
		whole = whole[:i] + "\u202f" + whole[i:]
	}
	if broken {
		return whole + "." + fraction
	}
	return whole
}

// Span writes a duration in its largest two units.
func Span(d time.Duration) string {
	if d > 0 && d < time.Second {
		return strconv.FormatInt(max(1, d.Milliseconds()), 10) + " ms"
	}
	if d < time.Minute {
		return strconv.FormatFloat(math.Round(d.Seconds()*10)/10, 'f', -1, 64) + " s"
	}
	for _, u := range []struct {
		length, below time.Duration
		name, lower   string
	}{{24 * time.Hour, time.Hour, "d", "h"}, {time.Hour, time.Minute, "h", "min"}, {time.Minute, time.Second, "min", "s"}} {
		if d >= u.length {
			text := fmt.Sprintf("%d %s", d/u.length, u.name)
			if rest := d % u.length / u.below; rest > 0 {
				text += fmt.Sprintf(" %d %s", rest, u.lower)
			}
			return text
		}
	}
	return ""
}

// harmless disarms a cell that a spreadsheet would take for a formula.
func harmless(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// finish sorts the rows as was asked and keeps the page that was asked for.
func (r *Report) finish(otherwise string, descending bool) error {
	key := r.Request.Sort
	if key == "" {
		key = otherwise
	} else {
		descending = r.Request.Descending
	}
	at := slices.IndexFunc(r.Columns, func(c Column) bool { return c.Key == key })
	if at < 0 {
		return invalid("sort", "this report has no column %q.", key)
	}
	r.Request.Sort, r.Request.Descending = key, descending
	slices.SortStableFunc(r.Rows, func(a, b Row) int {
		n := compareCells(a.Cells[at], b.Cells[at], r.Columns[at].Unit)
		if descending && !a.Cells[at].None && !b.Cells[at].None { // what is not known stays at the end
			n = -n
		}
		if n != 0 {
			return n
		}
		for i, c := range r.Columns {
			if c.Unit == Text {
				if n := compareCells(a.Cells[i], b.Cells[i], Text); n != 0 {
					return n
				}
			}
		}
		return 0
	})
	r.Total = len(r.Rows)
	from := min(r.Request.Offset, len(r.Rows))
	r.Rows = r.Rows[from:min(len(r.Rows), from+r.Request.Limit)]
	return nil
}

func compareCells(a, b Cell, unit Unit) int {
	switch {
	case a.None != b.None:
		if a.None {
			return 1
		}
		return -1
	case unit == Text:
		if n := cmp.Compare(strings.ToLower(a.Text), strings.ToLower(b.Text)); n != 0 {
			return n
		}
		return cmp.Compare(a.Text, b.Text)
	}
	return cmp.Compare(a.N, b.N)
}

// WriteCSV writes the table.
func (r *Report) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	line := make([]string, len(r.Columns))
	for i, c := range r.Columns {
		line[i] = c.Key
	}
	if err := out.Write(line); err != nil {
		return err
	}
	for _, row := range r.Rows {
		for i, c := range r.Columns {
			line[i] = c.raw(row.Cells[i])
		}
		if err := out.Write(line); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}
