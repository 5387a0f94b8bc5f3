package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// dormouse is the path of the binary under test.
var dormouse string

// theWire holds every MQTT-SN datagram of the run.
var theWire wire

func TestMain(m *testing.M) { os.Exit(runAll(m)) }

// runAll builds the binary, runs the tests, and has the wire inspected.
func runAll(m *testing.M) int {
	for program, debian := range map[string]string{
		"mosquitto_pub": "mosquitto-clients", "mosquitto_sub": "mosquitto-clients", "tshark": "tshark",
	} {
		if _, err := exec.LookPath(program); err != nil {
			fmt.Fprintf(os.Stderr, "e2e: %s is missing; run: apt-get install %s\n", program, debian)
			return 1
		}
	}
	dir, err := os.MkdirTemp("", "dormouse-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	dormouse = filepath.Join(dir, "dormouse")
	if out, err := exec.Command("go", "build", "-o", dormouse, "dormouse/cmd/dormouse").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "e2e: building the binary: %v\n%s", err, out)
		return 1
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil { // they wait more than they work
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	status := m.Run()
	summary, err := theWire.inspect(filepath.Join(dir, "wire.pcap"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e: the wire:", err)
		return 1
	}
	fmt.Println("e2e:", summary)
	return status
}
