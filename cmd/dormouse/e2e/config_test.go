package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestB23MisconfigurationIsNotSilent: what is wrong is said in one message,
// with file, line and what to do, and the exit status says so too; by "serve"
// and by "check" alike.
func TestB23MisconfigurationIsNotSilent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, yaml string
		says       []string // besides the file's name
	}{
		{"empty", "\n", []string{"is empty", "version: 1"}},
		{"unknown key", "version: 1\nmqttsn:\n  gatewayid: 7\n", []string{":3:", "gatewayid", "gateway_id"}},
		{"wrong type", "version: 1\nmqttsn:\n  gateway_id: seven\n", []string{":3:", "gateway_id"}},
		{"out of bounds", "version: 1\nmqttsn:\n  gateway_id: 700\n", []string{":3:", "gateway_id", "255"}},
		{"no YAML", "version: 1\nmqttsn: [\n", []string{":2:"}},
		{"a repeated key", "version: 1\nlog: {level: info}\nlog: {level: debug}\n", []string{":3:", "log"}},
		{"TLS without a certificate", "version: 1\nlisteners:\n  - {name: a, type: tls, address: \"127.0.0.1:0\"}\n", []string{":3:", "cert_file"}},
		{"a certificate that is not there", "version: 1\nlisteners:\n  - name: a\n    type: tls\n    address: 127.0.0.1:0\n    tls: {cert_file: nowhere.pem, key_file: nowhere.key}\n", []string{":6:", "cert_file", "nowhere.pem"}},
		{"beyond loopback without saying so", "version: 1\nlisteners:\n  - {name: sn, type: mqttsn-udp, address: \":1884\"}\n", []string{":3:", "insecure"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := configure(t, tt.yaml)
			for _, command := range []string{"serve", "check"} {
				status, stdout, stderr := run(t, command, "-c", file)
				if status != 2 {
					t.Errorf("dormouse %s ends with status %d, want 2", command, status)
				}
				for _, say := range append(tt.says, file) {
					if !strings.Contains(stderr, say) {
						t.Errorf("dormouse %s does not mention %q:\n%s", command, say, stderr)
					}
				}
				if strings.Contains(stdout, "ready") {
					t.Errorf("dormouse %s was ready with a broken configuration", command)
				}
			}
		})
	}
}

// TestConfigurationThatCannotBeRead names the file.
func TestConfigurationThatCannotBeRead(t *testing.T) {
	t.Parallel()
	missing := t.TempDir() + "/missing.yaml"
	folder := t.TempDir()
	for _, file := range []string{missing, folder} {
		status, _, stderr := run(t, "serve", "-c", file)
		if status != 2 || !strings.Contains(stderr, file) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("dormouse serve -c %s ends with status %d and says %q, want 2 and one line that names it", file, status, stderr)
		}
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("dormouse serve made the file that was missing")
	}
}

// TestPortInUse says which, TCP and UDP alike, and leaves the other broker be.
func TestPortInUse(t *testing.T) {
	t.Parallel()
	b := start(t)
	for listener, address := range map[string]string{"mqtt": b.tcp.String(), "sn": b.udp.String()} {
		args := []string{"serve"}
		for _, s := range append(free[:len(free):len(free)], "listeners."+listener+".address="+address, "data_dir="+filepath.Join(t.TempDir(), "data")) {
			args = append(args, "--set", s)
		}
		status, stdout, stderr := run(t, args...)
		if status != 3 || strings.Contains(stdout, "ready") {
			t.Errorf("with the port of %s in use dormouse serve ends with status %d, prints %q; want 3", listener, status, stdout)
		}
		if !strings.Contains(stderr, address) || !strings.Contains(stderr, "in use") {
			t.Errorf("with %s in use it says %q", address, stderr)
		}
	}
	b.settle(t)
	b.sensor("sensor").connect(true)
}
