package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// massWake is a fleet over real UDP: all connect, subscribe and fall asleep; a
// message is published to each, and all of them wake at one moment to get it.
const massWake = `
name: mass wake
groups:
  valves:
    count: %d
    keepalive: 10m
    commands: {topic: "valves/%%i/set", qos: 1}
    sleep: {policy: sleep, for: %ds, poll: %ds, aligned: true}
workloads:
  told:
    commands: {at: [1s], payload: {format: json}}
stages:
  - {name: arrival, for: %ds, arrive: {valves: {over: %ds}}}
  - {name: the order, for: %ds, workload: {valves: told}}
settle: 20s
thresholds:
  - commands.lost == 0
  - violations == 0
`

// TestMassWake: what five thousand sleepers are owed who wake at one moment,
// each of them gets. All are asleep after the arrival, in seconds, and wake at
// the double of it.
func TestMassWake(t *testing.T) {
	t.Parallel()
	const devices, arrival = 5000, 6
	dir := t.TempDir()
	file, result := filepath.Join(dir, "mass-wake.yaml"), filepath.Join(dir, "result.json")
	text := fmt.Sprintf(massWake, devices, 3*arrival, 2*arrival, arrival+arrival/2, arrival, arrival)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, errs := command(t, "sim run %s --serve --plain --control %s/c --json %s", file, dir, result)
	if status != 0 {
		t.Errorf("it exits %d:\n%s%s", status, out, errs)
	}
	b, err := os.ReadFile(result)
	if err != nil {
		t.Fatal(err)
	}
	var w struct {
		Shed, Broken uint64
		All          struct{ Metrics map[string]float64 }
	}
	if err := json.Unmarshal(b, &w); err != nil {
		t.Fatal(err)
	}
	if w.Shed != 0 || w.Broken != 0 {
		t.Errorf("%d datagrams were dropped, and %d invariants broken", w.Shed, w.Broken)
	}
	for _, name := range []string{"devices.asleep", "commands.accepted", "commands.delivered"} {
		if w.All.Metrics[name] != devices {
			t.Errorf("%s is %v of %d devices", name, w.All.Metrics[name], devices)
		}
	}
}
