package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDTLSProblems: what would keep a DTLS listener from opening, or let in who
// is nobody, is found ahead, where it is written.
func TestDTLSProblems(t *testing.T) {
	f := writePEM(t)
	keys, wrong := filepath.Join(t.TempDir(), "psk"), filepath.Join(t.TempDir(), "wrong")
	if err := errors.Join(os.WriteFile(keys, []byte("a:00112233445566778899aabbccddeeff\n"), 0o600), os.WriteFile(wrong, []byte("a:0011\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprintf("cert_file: %s, key_file: %s, client_ca_file: %s", f.cert, f.key, f.cert)
	for dtls, want := range map[string]string{
		"psk_file: " + keys:         "",
		all:                         "",
		all + ", psk_file: " + keys: "",
		"idle_timeout: 1h":          "listeners[0] has neither dtls.psk_file nor dtls.cert_file",
		"psk_file: " + wrong:        "listeners[0].dtls.psk_file: " + wrong + ":1: the key of \"a\" has 2 octets",
		"psk_file: " + wrong + "x":  "listeners[0].dtls.psk_file: " + wrong + "x: ",
		"psk_file: " + keys + ", key_file: " + f.key:                                   "listeners[0] has no dtls.cert_file",
		"cert_file: " + f.cert:                                                         "listeners[0] has no dtls.key_file",
		"cert_file: " + f.cert + ", key_file: " + f.key:                                "listeners[0] has no dtls.client_ca_file",
		strings.Replace(all, "key_file: "+f.key, "key_file: "+f.otherKey, 1):           "listeners[0].dtls.key_file: " + f.otherKey + " does not go with",
		strings.Replace(all, "client_ca_file: "+f.cert, "client_ca_file: "+f.noPEM, 1): "listeners[0].dtls.client_ca_file: " + f.noPEM + " does not begin with",
		"psk_file: " + keys + ", max_handshakes: 3":                                    "listeners[0].dtls.max_handshakes is 3; it must be 4 to 100000",
	} {
		file := filepath.Join(t.TempDir(), "d.yaml")
		text := fmt.Sprintf("listeners:\n  - {name: sns, type: mqttsn-dtls, address: \":8883\", dtls: {%s}}\n", dtls)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(file, nil)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", dtls, err, want)
		}
	}
}

// TestDTLSKnowsUsers: where sensors prove who they are, client ids may be bound
// to their names.
func TestDTLSKnowsUsers(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "psk")
	if err := os.WriteFile(keys, []byte("a:00112233445566778899aabbccddeeff\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sns := "listeners=[{name: sns, type: mqttsn-dtls, address: '127.0.0.1:8883', dtls: {psk_file: " + keys + "}}]"
	if _, err := Load("", []string{sns, "auth.client_id.bind=prefix"}); err != nil {
		t.Error(err)
	}
	if _, err := Load("", []string{"auth.client_id.bind=prefix"}); err == nil {
		t.Error("client ids begin with names that nobody checks")
	}
}
