package web

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	streams  prometheus.Gauge
}

// liveRoute is left out of the times: it takes as long as a page is open.
const liveRoute = "GET /live"

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "odcm_http_requests_total", Help: "Requests answered, by route, method and status class.",
		}, []string{"route", "method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "odcm_http_request_seconds", Help: "Time to answer, by route; live streams are left out.",
			Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10},
		}, []string{"route"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{Name: "odcm_live_streams", Help: "Pages that are open and listen."}),
	}
	if r != nil {
		r.MustRegister(m.requests, m.seconds, m.streams)
	}
	return m
}

// observe counts per route, not per address, which has no end.
func (m *metrics) observe(route, method string, status int, took time.Duration) {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		method = "other" // methods come from outside: they must not make series without end
	}
	m.requests.WithLabelValues(route, method, strconv.Itoa(status/100)+"xx").Inc()
	if route != liveRoute {
		m.seconds.WithLabelValues(route).Observe(took.Seconds())
	}
}
