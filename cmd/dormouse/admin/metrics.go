package admin

import (
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Figures yields figures under their exported names, those of one name one
// after the other. A label is empty, or such as kind="length".
type Figures func(yield func(name, help, label string, value uint64))

// Times are how long something took: how often and how many seconds in all, and
// how many took so many seconds at most.
type Times func() (name, help string, count uint64, seconds float64, within map[float64]uint64)

// metrics answers in Prometheus' format: our figures, and those of the process.
func (s *Server) metrics() http.Handler {
	const atOnce, patience = 4, 10 * time.Second
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collector{s.o.Version, s.o.Figures, s.o.Times},
	)
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{
		MaxRequestsInFlight: atOnce,
		Timeout:             patience,
	})
}

// A collector is our figures as Prometheus collects them.
type collector struct {
	version string
	figures []Figures
	times   []Times
}

// Describe tells nothing in advance: what there is depends on what is open.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect reads the figures.
func (c collector) Collect(to chan<- prometheus.Metric) {
	to <- prometheus.MustNewConstMetric(prometheus.NewDesc("dormouse_build_info",
		"The version that runs; always 1.", []string{"version", "goversion"}, nil),
		prometheus.GaugeValue, 1, c.version, runtime.Version())
	for _, times := range c.times {
		name, help, count, seconds, within := times()
		to <- prometheus.MustNewConstHistogram(prometheus.NewDesc(name, help, nil, nil), count, seconds, within)
	}
	for _, figures := range c.figures {
		figures(func(name, help, label string, value uint64) {
			kind := prometheus.GaugeValue
			if strings.HasSuffix(name, "_total") {
				kind = prometheus.CounterValue
			}
			var keys, values []string
			if key, rest, ok := strings.Cut(label, `="`); ok {
				keys, values = []string{key}, []string{strings.TrimSuffix(rest, `"`)}
			}
			to <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, keys, nil), kind, float64(value), values...)
		})
	}
}
