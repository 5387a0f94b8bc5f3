package bench

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// figures are the counters of Dormouse, by name and label.
type figures struct {
	parts map[string]map[string]int
	err   error // one that was asked for is not there
}

func (b *broker) figures() (*figures, error) {
	f := &figures{parts: make(map[string]map[string]int)}
	resp, err := http.Get(b.metrics)
	if err != nil {
		return f, err
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		return f, fmt.Errorf("metrics of %s: %w", b.name, err)
	}
	for name, family := range families {
		parts := make(map[string]int)
		for _, m := range family.Metric {
			label := ""
			for _, l := range m.Label {
				label = l.GetValue()
			}
			parts[label] = int(m.GetCounter().GetValue())
		}
		f.parts[name] = parts
	}
	return f, nil
}

// sum adds up a counter: those labels of it, or all.
func (f *figures) sum(name string, labels ...string) (n int) {
	parts, ok := f.parts[name]
	if !ok {
		f.err = fmt.Errorf("there is no metric %s", name)
	}
	for label, of := range parts {
		if len(labels) == 0 || slices.Contains(labels, label) {
			n += of
		}
	}
	return n
}

// dropped are the counters of what Dormouse has dropped.
const (
	droppedByKernel = "dormouse_udp_datagrams_dropped_total"
	droppedByShard  = "dormouse_mqttsn_datagrams_dropped_total"
	droppedByCore   = "dormouse_messages_dropped_total"
)

// shed is how many datagrams and messages it says it has dropped.
func (b *broker) shed() (int, error) {
	f, err := b.figures()
	if err != nil {
		return 0, err
	}
	n := f.sum(droppedByKernel) + f.sum(droppedByShard) + f.sum(droppedByCore)
	return n, f.err
}
