package design

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Part is a share of a whole, by state.
type Part struct {
	State string
	Count int
	Href  string // what shows only these
}

type segment struct {
	Part
	x, width string
}

// leastSegment is how wide a part is drawn that is hardly there, in thousandths: one of ten thousand must be seen.
const leastSegment = 6

// segments lays the parts out on a width of 1,000.
func segments(parts []Part) []segment {
	total, spare, some := 0, 1000.0, 0
	for _, p := range parts {
		if p.Count > 0 {
			total += p.Count
			some++
		}
	}
	if total == 0 {
		return nil
	}
	spare -= leastSegment * float64(some)
	var all []segment
	var x float64
	for _, p := range parts {
		if p.Count <= 0 {
			continue
		}
		w := leastSegment + float64(p.Count)/float64(total)*spare
		all = append(all, segment{p, fmt.Sprintf("%.1f", x), fmt.Sprintf("%.1f", w)})
		x += w
	}
	return all
}

// inWords says the parts for those who cannot see them: "2 offline, 21 online".
func inWords(parts []Part) string {
	var words []string
	for _, p := range parts {
		if p.Count > 0 {
			words = append(words, Figure(p.Count)+" "+strings.ToLower(LabelOf(p.State)))
		}
	}
	return strings.Join(words, ", ")
}

// Figure writes a count so that it can be read: "10,000".
func Figure(n int) string {
	text := strconv.Itoa(n)
	for at := len(text) - 3; at > 0 && text[at-1] != '-'; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// run is a stretch of equal cells in one row of a heat grid.
type run struct {
	state        string
	x, y, length int
}

// grid lays n cells out in rows, about as wide as the shape says (width to height).
func grid(n int, shape float64) (columns, rows int) {
	if n == 0 {
		return 1, 1
	}
	columns = max(1, int(math.Ceil(math.Sqrt(float64(n)*shape))))
	return columns, (n + columns - 1) / columns
}

// runs draws ten thousand cells as some hundred rectangles: most neighbours are alike.
func runs(cells []string, columns int) (all []run) {
	for i, state := range cells {
		x, y := i%columns, i/columns
		if last := len(all) - 1; x > 0 && all[last].state == state {
			all[last].length++
			continue
		}
		all = append(all, run{state, x, y, 1})
	}
	return all
}
