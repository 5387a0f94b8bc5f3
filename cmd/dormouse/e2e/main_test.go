package e2e

import (
	"errors"
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
	if err := findPrograms(); err != nil {
		fmt.Fprintf(os.Stderr, "e2e: %v; run: make packages\n", err)
		return 1
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

// findPrograms reports what is not installed of what the tests talk to and ask.
func findPrograms() error {
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin") // where Debian has mosquitto and haproxy
	for _, program := range []string{"mosquitto", "mosquitto_pub", "mosquitto_sub", "openssl", "tshark", "haproxy", python, "node", "chromium"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%s is missing", program)
		}
	}
	if exec.Command(python, "-c", "import paho.mqtt.client").Run() != nil {
		return errors.New("Python's paho-mqtt is missing")
	}
	if _, err := os.Stat("testdata/mqttjs/node_modules/mqtt"); err != nil {
		return fmt.Errorf("MQTT.js is missing: %w", err)
	}
	return nil
}
