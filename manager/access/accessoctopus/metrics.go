package accessoctopus

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"odcm/manager/access/push"
)

// Metrics is an [push.Observer] for Prometheus.
type Metrics struct {
	lag   prometheus.Histogram
	drift prometheus.Counter
}

var _ push.Observer = (*Metrics)(nil)

// NewMetrics registers the metrics.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "odcm_revoke_lag_seconds",
			Help:    "From the loss of access to a Space until its server had acknowledged it, for each person and Space.",
			Buckets: []float64{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 86400}}),
		drift: prometheus.NewCounter(prometheus.CounterOpts{Name: "odcm_access_drift",
			Help: "Differences in accounts and teams of Spaces that somebody else had made and that were found."}),
	}
	r.MustRegister(m.lag, m.drift)
	return m
}

// Revoked implements [push.Observer].
func (m *Metrics) Revoked(lag time.Duration) { m.lag.Observe(lag.Seconds()) }

// Drifted implements [push.Observer].
func (m *Metrics) Drifted(n int) { m.drift.Add(float64(n)) }
