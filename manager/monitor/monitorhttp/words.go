package monitorhttp

import (
	"fmt"
	"strings"
	"time"
)

// percent never rounds an outage away: 99.999 % is not 100 %.
func percent(part float64) string {
	if part >= 1 {
		return "100 %"
	}
	return strings.TrimSuffix(fmt.Sprintf("%.2f", float64(int(part*10000))/100), ".00") + " %"
}

// span writes a duration in its largest two units.
func span(d time.Duration) string {
	units := []struct {
		length time.Duration
		name   string
	}{{day, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}}
	for i, u := range units {
		n := d / u.length
		if n == 0 && i < len(units)-1 {
			continue
		}
		text := fmt.Sprintf("%d %s", n, u.name)
		if i+1 < len(units) {
			if rest := (d % u.length) / units[i+1].length; rest > 0 {
				text += fmt.Sprintf(" %d %s", rest, units[i+1].name)
			}
		}
		return text
	}
	return ""
}
