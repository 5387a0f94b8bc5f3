package main

import (
	"strings"
	"testing"
)

// TestBenchSN: load on MQTT-SN in one line, in virtual time and on a server, and
// what it says where there is none.
func TestBenchSN(t *testing.T) {
	t.Parallel()
	p := serve(t)
	_, mqtt, _ := strings.Cut(p.tcp, ":")
	_, sn, _ := strings.Cut(p.udp, ":")
	here := " -p " + sn + " --mqtt mqtt://127.0.0.1:" + mqtt + " -i 1 --duration 1s"
	for _, tt := range []struct {
		line   string
		status int
		says   string
	}{
		{"sn-pub -c 1000 -I 100 -t dev/%i -q 1 --virtual", 0, "sent 649,998, acknowledged 649,998, "},
		{"sn-pub -c 20 -I 100 -t dev/%i --virtual", 0, "dormouse bench sn-pub -t dev/%i -I 100 -s 256 -q 0 -c 20 -k 5m -C true --duration 1m --seed 1 -i 10 --virtual\n"},
		{"sn-sub -c 20 -I 1000 -t dev/%i -q 1 --virtual", 0, "missing 0, lost 0 %"},
		{"sn-conn -c 20 --virtual", 0, "times say nothing"},
		{"sn-pub -c 10 -I 50 -t dev/%i -q 1" + here, 0, "missing 0, lost 0 %"},
		{"sn-sub -c 10 -I 50 -t dev/%i -q 1" + here, 0, "missing 0, lost 0 %"},
		{"sn-conn -c 10" + here, 0, "-h 127.0.0.1 -p " + sn},
		{"sn-conn --mqtt mqtt://127.0.0.1:1", statusUnreachable, "name another with -h, or add --serve to have one started\n"},
		{"sn-conn -h 127.0.0.1 --mqtt mqtt://127.0.0.1:1", statusUnreachable, "is the server running?\n"},
		{"sn-conn --virtual --serve", statusUsage, "--virtual"},
		{"sn-conn --set limits.queue.messages=1", statusUsage, "add --serve or --virtual"},
		{"sn-pub -c 10", statusUsage, "--topic"},
		{"sn-pub -t a/# --virtual", statusUsage, "-t "},
		{"sn-pub -t a -s 3 --virtual", statusUsage, "-s "},
		{"sn-pub -t a -q 3", statusUsage, "-q is 3"},
		{"sn-sub -t a -I -1", statusUsage, "-I is -1"},
		{"sn-conn -c 0", statusUsage, "-c is 0"},
	} {
		if status, out, errs := command(t, "bench %s", tt.line); status != tt.status || !strings.Contains(out+errs, tt.says) {
			t.Errorf("bench %s exits %d; want %d, and %q in\n%s%s", tt.line, status, tt.status, tt.says, out, errs)
		}
	}
}
