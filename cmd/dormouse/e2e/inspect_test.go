package e2e

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
)

// TestInspection: the inspection of the wire passes what the specification
// allows and reports what it does not, or else the end of every run proves
// nothing.
func TestInspection(t *testing.T) {
	t.Parallel()
	peer := netip.MustParseAddrPort("127.0.0.1:40000")
	inspect := func(octets ...string) error {
		w := new(wire)
		for _, o := range octets {
			w.record(peer, true, unhex(t, o))
		}
		_, err := w.inspect(filepath.Join(t.TempDir(), "wire.pcap"))
		return err
	}
	if err := inspect("0500010384", "030100", "0804040100 3c6331", "0217", "0207", "021a", "010004 16",
		"04fe00 01 0216", "05fe00 1234 080404 0100 3c 6331", "07fe00 0a000007 090c00 0007 0000 6869",
		"01 0102 0c 00 0001 0000"+strings.Repeat("41", 249), "090c 62 5431 0000 3130"); err != nil {
		t.Errorf("well-formed datagrams are reported: %v", err)
	}
	for _, o := range []string{"051664 65", "031801", "060c00 000700", "0100"} {
		if err := inspect("0217", o, "0216"); err == nil || !strings.Contains(err.Error(), "frame 2") {
			t.Errorf("malformed %s in the second frame is reported as: %v", o, err)
		}
	}
}

// TestDormouseDumpReadsARecording, and agrees with tshark on what it is.
func TestDormouseDumpReadsARecording(t *testing.T) {
	t.Parallel()
	w := new(wire)
	peer := netip.MustParseAddrPort("127.0.0.1:40000")
	w.record(peer, true, unhex(t, "0804040100 3c6331"))
	w.record(peer, false, unhex(t, "030500"))
	w.record(peer, true, unhex(t, "05fe00 1234 0216"))
	file := filepath.Join(t.TempDir(), "wire.pcap")
	if _, err := w.inspect(file); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr := run(t, "dump", "-p", fmt.Sprint(snPort), file)
	if status != 0 || stderr != "" {
		t.Errorf("dormouse dump ends with status %d: %s", status, stderr)
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if len(lines) != 3 {
		t.Fatalf("dormouse dump prints %q, want three lines", lines)
	}
	for i, packet := range []string{"CONNECT", "CONNACK", "PINGREQ"} {
		if !strings.Contains(lines[i], packet) {
			t.Errorf("line %d of dormouse dump is %q, want %s", i+1, lines[i], packet)
		}
	}
}
