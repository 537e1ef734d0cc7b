package design

import (
	"fmt"
	"math"
	"strings"
)

// Sample is one period of a history of states.
type Sample struct {
	State string
	Title string  // "Offline from 10:02 for 3 min"
	Share float64 // how long it was, in any unit
}

type rect struct{ x, width, tone, title string }

// strip lays the samples out on a width of 1,000.
func strip(samples []Sample) []rect {
	var total float64
	for _, s := range samples {
		total += s.Share
	}
	if !(total > 0) || math.IsInf(total, 0) {
		return nil
	}
	var x float64
	rects := make([]rect, 0, len(samples))
	for _, s := range samples {
		w := s.Share / total * 1000
		rects = append(rects, rect{fmt.Sprintf("%.1f", x), fmt.Sprintf("%.1f", w), lookOf(s.State).tone, s.Title})
		x += w
	}
	return rects
}

// line draws the points as an SVG path in a box of 100 by 24; points that are not numbers leave a gap.
func line(points []float64) string {
	low, high := math.Inf(1), math.Inf(-1)
	for _, p := range points {
		if !math.IsNaN(p) && !math.IsInf(p, 0) {
			low, high = min(low, p), max(high, p)
		}
	}
	if len(points) < 2 || high < low {
		return ""
	}
	span := high/2 - low/2 // halves: the difference itself may be too large for a number
	var b strings.Builder
	pen := "M"
	for i, p := range points {
		if math.IsNaN(p) || math.IsInf(p, 0) {
			pen = "M"
			continue
		}
		y := 12.0
		if span > 0 {
			y = 22 - (p/2-low/2)/span*20
		}
		fmt.Fprintf(&b, "%s%.1f %.1f", pen, float64(i)/float64(len(points)-1)*100, y)
		pen = "L"
	}
	return b.String()
}
