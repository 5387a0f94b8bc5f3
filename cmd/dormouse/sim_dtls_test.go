package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dormouse/core/auth"
)

// figures runs a scenario and returns the figures of its groups.
func figures(t *testing.T, line string) map[string]map[string]float64 {
	t.Helper()
	status, out, errs := simulate(t, line+" --json -")
	var r struct {
		Groups []struct {
			Name    string
			Metrics map[string]float64
		}
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%s exits %d: %v:\n%s%s", line, status, err, out, errs)
	}
	all := make(map[string]map[string]float64)
	for _, g := range r.Groups {
		all[g.Name] = g.Metrics
	}
	return all
}

// TestBatteryOverDTLS: in virtual time, by real handshakes and records, DTLS costs
// a LoRa sensor a third of its charge more if it knows connection ids, and several
// times as much if it does not.
func TestBatteryOverDTLS(t *testing.T) {
	t.Parallel()
	all := figures(t, "dtls-battery")
	in, cid, without := all["clear"], all["cid"], all["without"]
	const day = "battery.mah_per_day"
	if share := cid[day] / in[day]; share < 1.2 || share > 1.5 {
		t.Errorf("with connection ids it takes %.2f times the charge, want about 1.3", share)
	}
	if share := without[day] / cid[day]; share < 3.5 || share > 5 {
		t.Errorf("without it takes %.2f times that, want 3.5 to 5", share)
	}
	if cid["octets.sealing_per_datagram"] != 38 || without["octets.sealing_per_datagram"] != 29 {
		t.Errorf("sealing adds %v and %v octets, want 38 and 29", cid["octets.sealing_per_datagram"], without["octets.sealing_per_datagram"])
	}
	if n := without["octets.per_handshake"]; n < 520 || n > 600 {
		t.Errorf("a handshake has %v octets, want some 545", n)
	}
	if again, reports := without["handshakes.again"], without["reports.sent"]; cid["handshakes.again"] != 0 || again != reports {
		t.Errorf("%v handshakes again with connection ids, and %v for %v reports without; want none, and one each", cid["handshakes.again"], again, reports)
	}
	if _, has := in["handshakes"]; has {
		t.Error("those in the clear have a figure of handshakes")
	}
}

// TestLossOverDTLS: a third of everything is lost, and handshakes are repeated
// until they are done. Nothing acknowledged is missing.
func TestLossOverDTLS(t *testing.T) {
	t.Parallel()
	all := figures(t, "dtls-battery --with groups.cid.radio.loss=30% --with groups.without.radio.loss=30% --with groups.cid.dtls.retry=1s --with groups.without.dtls.retry=1s")
	for _, name := range []string{"cid", "without"} {
		m := all[name]
		if m["handshakes"] < 10 || m["octets.per_handshake"] < 620 {
			t.Errorf("%s: %v handshakes of %v octets; want all of them, and much repeated", name, m["handshakes"], m["octets.per_handshake"])
		}
		if m["reports.missing"] != 0 || m["reports.acknowledged"] < m["reports.sent"]*0.7 {
			t.Errorf("%s: %v reports missing, %v of %v acknowledged", name, m["reports.missing"], m["reports.acknowledged"], m["reports.sent"])
		}
	}
}

// TestForgetfulOverDTLS: a server that does not keep associations is found out: in
// the same scenario everybody needs another handshake after the kill. In virtual
// time it is the gateway that forgets.
func TestForgetfulOverDTLS(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"--duration 8s --serve --set durability.sync=none --with groups.meters.retry.interval=300ms", "--with gateway.forgets=true"} {
		if m := figures(t, "dtls-rebinding --nodes 30 "+line)["meters"]; m["handshakes.again"] < 20 || m["rebindings"] == 0 {
			t.Errorf("%s: %v handshakes again of 30 devices", line, m["handshakes.again"])
		}
	}
}

// TestKeysOverDTLS: devices and a gateway that is not ours know each other by a
// file of keys; and what is amiss with the keys is said.
func TestKeysOverDTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keys := func(name string, octet, devices int) string {
		file := filepath.Join(dir, name)
		var text strings.Builder
		for i := range devices {
			fmt.Fprintf(&text, "meters-%d:%032x\n", i, octet)
		}
		if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	right, wrong, few := keys("right", 1, 10), keys("wrong", 2, 10), keys("few", 1, 7)
	known, err := auth.ReadKeys(right)
	if err != nil {
		t.Fatal(err)
	}
	served := make(simKeys)
	for i := range 10 {
		identity := fmt.Sprintf("meters-%d", i)
		served[identity], _ = known.Key([]byte(identity))
	}
	p, err := startOwnServer(t.Context(), settings{}, false, served, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	run := func(dtls uint16, file string) (int, string, string) {
		line := fmt.Sprintf("dtls-rebinding --nodes 10 --duration 3s --with short.settle=2s --with faults=[] --with short.faults=[] --with short.thresholds=[] -h 127.0.0.1 --dtls-port %d --mqtt mqtt://%v --patience 2s", dtls, p.mqtt)
		if file != "" {
			line += " --with groups.meters.dtls.psk_file=" + file
		}
		return simulate(t, line)
	}
	if status, out, errs := run(p.sns.Port(), right); status != 0 || !strings.Contains(out, " 10 handshakes, 0 of them again") {
		t.Errorf("with the right keys it exits %d:\n%s%s", status, out, errs)
	}
	for _, tt := range []struct {
		name   string
		port   uint16
		file   string
		status int
		says   string
	}{
		{"no keys", p.sns.Port(), "", statusUsage, "groups.meters.dtls.psk_file is not set, and no gateway knows keys that are made up"},
		{"too few", p.sns.Port(), few, statusUsage, `has no key for 3 of 10 devices, the first of them "meters-7"`},
		{"no file", p.sns.Port(), filepath.Join(dir, "none"), statusUsage, "groups.meters.dtls.psk_file: "},
		{"a port in the clear", p.sn.Port(), right, statusUnreachable, "does it speak MQTT-SN over DTLS 1.2 there"},
	} {
		if status, out, errs := run(tt.port, tt.file); status != tt.status || !strings.Contains(errs, tt.says) {
			t.Errorf("%s: it exits %d and says\n%s%s", tt.name, status, out, errs)
		}
	}
	if _, out, errs := run(p.sns.Port(), wrong); !strings.Contains(out, "no handshake came to anything") {
		t.Errorf("with the wrong keys it says\n%s%s", out, errs)
	}
}
