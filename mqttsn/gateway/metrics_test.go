package gateway

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestMetrics pins the names of the figures, which dashboards rely on.
func TestMetrics(t *testing.T) {
	w := newWorld(t, nil)
	var b strings.Builder
	Each([]*Gateway{w.g}, func(name, help, label string, _ uint64) {
		if !strings.HasSuffix(help, ".") {
			t.Errorf("the help of %s is %q", name, help)
		}
		fmt.Fprintln(&b, strings.TrimSpace(name+" "+label))
	})
	fmt.Fprintln(&b)
	Sys([]*Gateway{w.g}, func(name, _ string) { fmt.Fprintln(&b, "$SYS/broker/"+name) })
	want, err := os.ReadFile("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the figures are\n%s\nand testdata/metrics.txt says\n%s", b.String(), want)
	}
}

// TestSeveralGateways: the figures of all listeners are added up.
func TestSeveralGateways(t *testing.T) {
	a, b := newWorld(t, nil), newWorld(t, nil)
	a.at("10.0.0.1:7").connects("a", true, 0)
	b.at("10.0.0.1:7").connects("b", true, 0).sleeps(1e12)
	figures := make(map[string]string)
	Sys([]*Gateway{a.g, b.g}, func(name, value string) { figures[name] = value })
	for name, want := range map[string]string{
		"mqttsn/clients/connected": "2", "mqttsn/clients/active": "1", "mqttsn/clients/asleep": "1", "mqttsn/datagrams/received": "3",
	} {
		if figures[name] != want {
			t.Errorf("%s is %s, want %s", name, figures[name], want)
		}
	}
}
