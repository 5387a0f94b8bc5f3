package e2e

import (
	"strconv"
	"testing"
	"time"
)

// wantFigure waits until the broker publishes want as its figure of that name.
func (b *broker) wantFigure(t testing.TB, name string, want int) {
	t.Helper()
	c := b.mqtt3(t, "figures "+name, nil)
	c.subscribe("$SYS/broker/mqttsn/"+name, 0)
	last := "never published"
	for timeout := time.After(patience); ; {
		select {
		case m := <-c.mail:
			if last = m.payload; last == strconv.Itoa(want) {
				return
			}
		case <-timeout:
			t.Errorf("$SYS/broker/mqttsn/%s is %s, want %d", name, last, want)
			return
		}
	}
}
