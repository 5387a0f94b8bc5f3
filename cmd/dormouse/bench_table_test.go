package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"dormouse/sim/bench"
)

// TestBenchTable has every row be measured, small, and holds it to its counts:
// what was sent has arrived, or is counted. How long it took says nothing here.
func TestBenchTable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mochi := filepath.Join(dir, "bare-mochi")
	if out, err := exec.Command("go", "build", "-o", mochi, "dormouse/sim/bench/mochi").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	file, kept := filepath.Join(dir, "table.json"), t.TempDir()
	status, out, errs := command(t, "bench table --scale 0.002 --for 50ms --json %s --mochi %s --dir %s", file, mochi, kept)
	if status != 0 {
		t.Fatalf("bench table exits %d and prints\n%s%s", status, out, errs)
	}
	isEmpty(t, kept)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var table bench.Table
	if err := json.Unmarshal(b, &table); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	seen := make(map[string]int) // by row: figures that count something
	names := make(map[string]bool)
	for _, f := range table.Figures {
		name := fmt.Sprintf("%s, %s, %s", f.Row, f.What, f.Durability)
		if names[name] {
			t.Errorf("%s is there twice", name)
		}
		names[name] = true
		n := func(name string) int {
			v, ok := f.Counts[name]
			if !ok {
				t.Errorf("%s: %s counts no %s", f.Row, f.What, name)
			}
			return v
		}
		holds := true
		switch {
		case f.Counts == nil:
			continue
		case f.Row == "sleepers":
			holds = n("sensors") == 2000
		case f.Row == "wake":
			holds = n("wakes") == 200 && n("delivered") == 200
		case f.Row == "ingest" && f.Durability == "": // the echo
			holds = n("echoed") > 0
		case f.Row == "ingest": // what is sent again may arrive again
			holds = n("acknowledged") > 0 && n("received") >= n("acknowledged") && n("received") <= n("acknowledged")+n("asked_again")
		case f.Row == "qos0":
			holds = n("sent") > 0 && n("received")+n("shed") == n("sent")
		case f.What == "offered":
			holds = n("looked_at") > 0 && n("datagrams") == n("looked_at")+n("found_no_room")
		case f.What == "QoS 0 shed":
			arrived := n("received") + n("shed")
			holds = n("sent") > 0 && arrived <= n("sent") && n("sent") <= arrived+n("found_no_room")
		case f.What == "QoS 1 acknowledged at once":
			holds = n("acknowledged") > 0 && n("acknowledged_and_lost") == 0
		case f.What == "strangers refused":
			holds = n("asked") > 0 && n("refused")+n("let_in") <= n("asked")
		case f.Row == "fanout":
			holds = n("messages") > 0 && n("delivered") == 20*n("messages") && n("lost") == 0
		case f.Row == "mqtt":
			holds = n("delivered") > 0 && n("lost") == 0 && f.Peers["mochi"] > 0 && f.Peers["mosquitto"] > 0
		case f.Row == "growth":
			holds = n("sensors") == 2 || n("sensors") == 20 || n("sensors") == 200 || n("sensors") == 2000
		case f.Row == "retained":
			holds = n("messages") == 200 && f.Peers["mochi"] > 0 && f.Peers["mosquitto"] > 0
		case f.Row == "stalled":
			holds = n("messages") > 0
		case strings.Contains(f.What, "handshake"):
			holds = n("handshakes") > 0 && f.Peers["openssl"] > 0
		case strings.HasPrefix(f.What, "an association"):
			holds = n("associations") == 20 || n("associations") == 2000
		case f.Row == "dtls":
			holds = n("acknowledged") > 0 && n("received") >= n("acknowledged") && n("received") <= n("acknowledged")+n("asked_again")
		}
		if seen[f.Row]++; !holds {
			t.Errorf("%s, %s, durability %s: %v, peers %v", f.Row, f.What, f.Durability, f.Counts, f.Peers)
		}
	}
	for row, want := range map[string]int{
		"sleepers": 2, "wake": 4, "ingest": 6, "qos0": 2, "overload": 8, "fanout": 2, "mqtt": 9, "growth": 4, "idle": 1, "retained": 1, "stalled": 6, "dtls": 30,
	} {
		if seen[row] != want {
			t.Errorf("row %s has %d figures that count; want %d", row, seen[row], want)
		}
		if !strings.Contains(out, "\n"+row+" ") {
			t.Errorf("row %s is not in the table:\n%s", row, out)
		}
	}
}

// isEmpty finds what brokers have left behind.
func isEmpty(t *testing.T, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("in %s is left %v, %v", dir, left, err)
	}
}

// TestBenchTableUse: what cannot be measured is said before anything is.
func TestBenchTableUse(t *testing.T) {
	kept := t.TempDir()
	for line, says := range map[string]string{
		"bench table speed":                                      `there is no row "speed"`,
		"bench table --scale 0":                                  "scale is 0",
		"bench table --for 0s":                                   "0 s",
		"bench table --durability maybe":                         `durability is "maybe"`,
		"bench table --json /nowhere/at/all":                     "/nowhere/at/all cannot be written",
		"bench echo -h 192.0.2.1:9":                              "192.0.2.1:9",
		"bench table idle --scale 0.001 --mochi / --dir " + kept: "mochi",
	} {
		status, out, errs := command(t, "%s", line)
		if status == 0 || !strings.Contains(errs, says) {
			t.Errorf("%s exits %d and prints\n%s%s; want %q", line, status, out, errs, says)
		}
	}
	isEmpty(t, kept)
	taken, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if status, _, errs := command(t, "bench echo -h %v", taken.LocalAddr()); status == 0 || !strings.Contains(errs, "address already in use") {
		t.Errorf("on an address that is taken, bench echo exits %d and says %s", status, errs)
	}
}
