package design

import (
	"math"
	"time"
)

// galleryTime is fixed, so that the gallery can be compared.
func galleryTime() time.Time { return time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC) }

func galleryStates() []string {
	return []string{"online", "draining", "degraded", "offline", "maintenance", "unknown", "creating", "queued", "running", "succeeded", "failed", "canceled"}
}

func galleryPoints() []float64 {
	points := make([]float64, 60)
	for i := range points {
		points[i] = 20 + 6*math.Sin(float64(i)/4) + float64(i*7%11)
	}
	points[30] = math.NaN()
	return points
}

func galleryHistory() []Sample {
	return []Sample{
		{"online", "Online for 9 h", 9}, {"degraded", "Degraded for 40 min", .7}, {"online", "Online for 6 h", 6},
		{"offline", "Offline for 25 min", .4}, {"online", "Online for 4 h", 4}, {"maintenance", "Maintenance for 1 h", 1}, {"online", "Online for 3 h", 3},
	}
}

func gallerySteps() []Step {
	return []Step{
		{Name: "Reserve port and folder", State: "succeeded", Took: "12 ms"},
		{Name: "Start the Space server", Detail: "version 2026.3.1 on build-02", State: "succeeded", Took: "1.1 s"},
		{Name: "Wait until it answers", Detail: "3 of at most 60 attempts", State: "running", Took: "0.4 s"},
		{Name: "Create the administrator", State: "waiting"},
		{Name: "Enlist", State: "waiting"},
	}
}

func galleryLog() []LogLine {
	t := galleryTime()
	return []LogLine{
		{1, t, "", "Reserved port 8171 and folder spaces/payments"},
		{2, t.Add(time.Second), "", "Started version 2026.3.1, process 40112"},
		{3, t.Add(2 * time.Second), "warning", "Not ready yet: connection refused, trying again in 200 ms"},
		{4, t.Add(3 * time.Second), "danger", "The licence could not be read: going on without one"},
	}
}

func galleryParts() []Part {
	return []Part{{State: "offline", Count: 1, Href: "#"}, {State: "degraded", Count: 3, Href: "#"}, {State: "online", Count: 200, Href: "#"}}
}

func galleryCells() []string {
	cells := make([]string, 60)
	for i := range cells {
		cells[i] = "online"
	}
	cells[17], cells[41] = "offline", "degraded"
	return cells
}
