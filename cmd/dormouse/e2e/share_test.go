package e2e

import (
	"fmt"
	"testing"
)

// TestSharedAmongPrograms: whatever they are, the members of a group share the
// work, and each piece of it is one's. When one of them is killed, the others
// have all of it.
func TestSharedAmongPrograms(t *testing.T) {
	t.Parallel()
	b := start(t)
	const group, jobs = "$share/workers/jobs/+", 100
	mosquitto := func(version string) *program {
		return spawn(t, "stdbuf", "-oL", "mosquitto_sub", "-V", version, "-d", "-h", b.tcp.Addr().String(), "-p", port(b.tcp),
			"-t", group, "-q", "1", "-F", "message %q %r %t %p")
	}
	victim := mosquitto("5")
	type job struct {
		worker string
		message
	}
	done := make(chan job, 4*jobs)
	for worker, p := range map[string]*program{
		"mosquitto_sub 5":     victim,
		"mosquitto_sub 3.1.1": mosquitto("311"),
		"MQTT.js 3.1.1":       spawn(t, "node", "testdata/mqttjs/subscribe.js", b.ws, "4", group),
		"MQTT.js 5":           spawn(t, "node", "testdata/mqttjs/subscribe.js", b.ws, "5", group),
		"Python":              spawn(t, python, "-u", "testdata/python/loop_forever.py", port(b.tcp), "tcp", "", "", group),
	} {
		in := p.subscribed(worker)
		go func() {
			for m := range in.mail {
				done <- job{worker, m}
			}
		}()
	}
	boss := b.mqtt5(t, "boss", nil)
	work := func(from int) map[string]int {
		for i := from; i < from+jobs; i++ {
			boss.publish(fmt.Sprint("jobs/", i%3), fmt.Sprint(i), 1, false)
		}
		by, once := make(map[string]int), make(map[string]bool)
		for range jobs {
			j := await(t, done, "job done")
			if once[j.payload] {
				t.Errorf("%s has job %s, which another had", j.worker, j.payload)
			}
			once[j.payload] = true
			by[j.worker]++
		}
		return by
	}
	if by := work(0); len(by) != 5 {
		t.Errorf("of five workers these have worked: %v", by)
	}
	victim.kill()
	if by := work(jobs); by["mosquitto_sub 5"] > 0 {
		t.Errorf("the dead have worked: %v", by)
	}
}
