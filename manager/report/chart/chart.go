// Package chart draws the charts of reports: as SVG for pages, light and dark, and as PNG for mail.
package chart

import (
	"math"
	"strings"
	"unicode/utf8"

	"github.com/go-analyze/charts"

	"odcm/manager/report/summary"
)

// Options say how a chart is drawn.
type Options struct {
	PNG           bool // SVG if not
	Dark          bool
	Width, Height int // 1,180 x 300 if zero
}

// palette are the colors of the pages, by tone.
type palette struct {
	ground, text, line string
	tones              map[string]string
}

var light = palette{"#ffffff", "#565e6c", "#e2e5ea", map[string]string{"success": "#1fa463", "danger": "#dc3a36", "warning": "#e08a00", "neutral": "#9aa2af", "accent": "#2f62e4"}}

var dark = palette{"#14171d", "#a0a8b6", "#262b35", map[string]string{"success": "#2fb877", "danger": "#ef5a54", "warning": "#e8a02e", "neutral": "#5f6878", "accent": "#86a9ff"}}

func (p palette) theme(series []summary.Series, isDark bool) charts.ColorPalette {
	var colors []charts.Color
	for _, s := range series {
		tone, ok := p.tones[s.Tone]
		if !ok {
			tone = p.tones["accent"]
		}
		colors = append(colors, charts.ColorFromHex(tone))
	}
	text, line := charts.ColorFromHex(p.text), charts.ColorFromHex(p.line)
	return charts.MakeTheme(charts.ThemeOption{IsDarkMode: isDark, BackgroundColor: charts.ColorFromHex(p.ground), TextColor: text, TextColorLegend: text, TextColorXAxis: text,
		TextColorYAxis: text, AxisStrokeColor: line, AxisSplitLineColor: line, SeriesColors: colors})
}

const (
	longestLabel = 24
	// perLabel is how many pixels a word below the axis needs, so that none stands on another.
	perLabel = 80
)

// Draw draws the chart. Its words are cut, and hold nothing that could end a text of an SVG.
func Draw(c summary.Chart, o Options) ([]byte, error) {
	if o.Width == 0 {
		o.Width, o.Height = 1180, 300
	}
	format, colors := charts.ChartOutputSVG, light
	if o.PNG {
		format = charts.ChartOutputPNG
	}
	if o.Dark {
		colors = dark
	}
	theme := colors.theme(c.Series, o.Dark)
	values := make([][]float64, len(c.Series))
	names := make([]string, len(c.Series))
	for i, s := range c.Series {
		values[i], names[i] = s.Values, plain(s.Name)
	}
	labels := make([]string, len(c.Labels))
	each := max(1, (len(c.Labels)*perLabel+o.Width-1)/o.Width)
	for i := 0; i < len(labels); i += each {
		if (len(labels)-i)*o.Width/len(labels) < perLabel/2 {
			break // it would stand out of the picture
		}
		labels[i] = plain(c.Labels[i])
	}
	p := charts.NewPainter(charts.PainterOptions{OutputFormat: format, Width: o.Width, Height: o.Height, Theme: theme})
	legend := charts.LegendOption{SeriesNames: names, Show: charts.Ptr(len(names) > 1)}
	category := charts.CategoryAxisOption{Labels: labels, LabelCount: max(1, len(labels))}
	most, lines := scale(c)
	axis := []charts.ValueAxisOption{{Min: charts.Ptr(0.0), Max: charts.Ptr(most), LabelCount: lines + 1, SplitLineShow: charts.Ptr(true)}}
	padding := charts.Box{Left: 4, Top: 8, Right: 20, Bottom: 4, IsSet: true}
	draw := func() error {
		if c.Lines {
			opt := charts.NewLineChartOptionWithData(values)
			opt.Theme, opt.Legend, opt.XAxis, opt.YAxis, opt.LineStrokeWidth, opt.ValueFormatter, opt.Padding = theme, legend, category, axis, 2, summary.Thousands, padding
			opt.Symbol = charts.Symbol{Shape: charts.SymbolNone}
			if len(labels) == 1 {
				opt.Symbol = charts.Symbol{Shape: charts.SymbolCircle} // a line of one point cannot be seen
			}
			return p.LineChart(opt)
		}
		opt := charts.NewBarChartOptionWithData(values)
		opt.Theme, opt.Legend, opt.CategoryAxis, opt.ValueAxis, opt.ValueFormatter, opt.Padding = theme, legend, category, axis, summary.Thousands, padding
		opt.StackSeries = charts.Ptr(true)
		return p.BarChart(opt)
	}
	if err := draw(); err != nil {
		return nil, err
	}
	return p.Bytes()
}

// scale is the end of the axis of values and how many lines part it: at most five, at round numbers, and at whole ones where all
// are whole.
func scale(c summary.Chart) (most float64, lines int) {
	highest, whole := 0.0, true
	for i := range c.Labels {
		sum := 0.0
		for _, s := range c.Series {
			v := s.Values[i]
			whole = whole && v == math.Trunc(v)
			if sum += v; c.Lines {
				sum = v
			}
			highest = max(highest, sum)
		}
	}
	const atMost = 5
	step := math.Pow(10, math.Floor(math.Log10(max(highest, 1e-3)/atMost)))
	if whole {
		step = max(step, 1)
	}
	for i := 0; highest > step*atMost; i++ { // 1, 2, 5, 10
		step *= []float64{2, 2.5, 2}[i%3]
	}
	lines = max(1, int(math.Ceil(highest/step)))
	return step * float64(lines), lines
}

// plain cuts a word, and takes out what is markup in an SVG: the library writes words as they are.
func plain(s string) string {
	s = strings.NewReplacer("&", "+", "<", "(", ">", ")", `"`, "'", "\u202f", " ").Replace(strings.ToValidUTF8(s, ""))
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
	if utf8.RuneCountInString(s) > longestLabel {
		s = string([]rune(s)[:longestLabel-1]) + "…"
	}
	return s
}
