package soak

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// TestDTLSRebinding has sensors speak DTLS behind a NAT that gives each another
// address every half minute, and kills the server in the middle: a thousand for
// some minutes, or in a short run fewer in the same proportions. Nobody does a second
// handshake, nothing is lost, and nothing comes to another.
func TestDTLSRebinding(t *testing.T) {
	nodes, size := 1000, []string{}
	if *soakFor < enough {
		// What a sensor is not there for is sent again before its patience, which is
		// shorter, too, is over.
		nodes, size = 60, []string{"--duration", "8s", "--set", "mqttsn.retry.interval=1s"}
	}
	dir := t.TempDir()
	binary := filepath.Join(dir, "dormouse")
	if out, err := exec.Command("go", "build", "-o", binary, "dormouse/cmd/dormouse").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	name := filepath.Join(dir, "result.json")
	fleet := exec.CommandContext(t.Context(), binary, append([]string{"sim", "run", "dtls-rebinding", "--serve", "--plain",
		"--nodes", strconv.Itoa(nodes), "--control", filepath.Join(dir, "control"), "--json", name}, size...)...)
	out, err := fleet.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var result struct {
		Events []struct{ Kind string }
		All    struct{ Metrics map[string]float64 }
	}
	if err := json.Unmarshal(text, &result); err != nil {
		t.Fatal(err)
	}
	m := result.All.Metrics
	for _, figure := range []string{"handshakes.again", "reports.lost", "reports.missing", "reports.misfiled", "commands.missing", "commands.astray", "violations"} {
		if v, measured := m[figure]; !measured || v != 0 {
			t.Errorf("%s is %v, measured: %v; want 0", figure, v, measured)
		}
	}
	if m["rebindings"] < float64(2*nodes) || m["handshakes"] < float64(nodes)*0.7 || len(result.Events) != 1 || result.Events[0].Kind != "gateway-restart" {
		t.Errorf("%v rebindings, %v handshakes of %d sensors, and %v befell them; want some of each, one of most, and a kill",
			m["rebindings"], m["handshakes"], nodes, result.Events)
	}
}
