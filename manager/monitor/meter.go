package monitor

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// meter measures the probes.
type meter struct {
	duration, lateness prometheus.Histogram
}

func newMeter() *meter {
	return &meter{
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "odcm_probe_duration_seconds",
			Help: "How long probes took, the second ping included that confirms a first one that failed.", Buckets: []float64{.001, .005, .025, .1, .25, .5, 1, 2.5, 5}}),
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "odcm_probe_lateness_seconds",
			Help: "How much later than due probes began.", Buckets: []float64{.005, .025, .1, .25, .5, 1, 2.5, 10}}),
	}
}

func (m *meter) took(d time.Duration) { m.duration.Observe(d.Seconds()) }
func (m *meter) late(d time.Duration) { m.lateness.Observe(d.Seconds()) }

// collector gives the metrics of the room. Statuses come from the board, so that any replica tells of all Spaces.
type collector struct {
	s                   *Service
	up, status, targets *prometheus.Desc
}

// Collector returns what a Prometheus registry takes: the room's metrics.
func (s *Service) Collector() prometheus.Collector {
	return collector{s,
		prometheus.NewDesc("odcm_space_up", "1 where the Space's server answers, also in maintenance or while it drains; 0 where it is offline.", []string{"space"}, nil),
		prometheus.NewDesc("odcm_space_status", "1 for the status that the Space is in.", []string{"space", "status"}, nil),
		prometheus.NewDesc("odcm_targets", "Instances that this replica probes.", nil, nil),
	}
}

func (c collector) Describe(to chan<- *prometheus.Desc) {
	to <- c.up
	to <- c.status
	to <- c.targets
	c.s.meter.duration.Describe(to)
	c.s.meter.lateness.Describe(to)
}

func (c collector) Collect(to chan<- prometheus.Metric) {
	c.s.meter.duration.Collect(to)
	c.s.meter.lateness.Collect(to)
	c.s.mu.Lock()
	targets := len(c.s.watches)
	c.s.mu.Unlock()
	to <- prometheus.MustNewConstMetric(c.targets, prometheus.GaugeValue, float64(targets))
	ctx, cancel := context.WithTimeout(context.Background(), scrapeFor)
	defer cancel()
	board, err := c.s.latest(ctx)
	if err != nil {
		to <- prometheus.NewInvalidMetric(c.up, err)
		return
	}
	for id, h := range board.Spaces {
		if h.Status == Unknown {
			continue
		}
		up := 0.0
		if h.Status.Up() {
			up = 1
		}
		to <- prometheus.MustNewConstMetric(c.up, prometheus.GaugeValue, up, string(id))
		to <- prometheus.MustNewConstMetric(c.status, prometheus.GaugeValue, 1, string(id), string(h.Status))
	}
}

// scrapeFor bounds the first look at the board; a scrape has no context.
const scrapeFor = 5 * time.Second
