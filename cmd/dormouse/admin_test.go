package main

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"dormouse/cmd/dormouse/admin"
	"dormouse/cmd/dormouse/config"
	"dormouse/core"
)

// TestDefaultSocketTaken: a second server of the same user runs all the same,
// and says in its log that the commands do not reach it. Where the operator
// has named the socket, it does not.
func TestDefaultSocketTaken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	first, err := admin.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	var log bytes.Buffer
	s := &server{log: zerolog.New(&log)}
	if l, err := s.openSocket(path, false); l != nil || err != nil {
		t.Errorf("beside another server the default socket is %v, %v", l, err)
	}
	if got := log.String(); !strings.Contains(got, `"level":"warn"`) || !strings.Contains(got, `"event":"admin_socket_unavailable"`) || !strings.Contains(got, path) {
		t.Errorf("the log says %s", got)
	}
	for path, says := range map[string]string{
		path:                                 path + " is in use by another server; stop that, or choose another path with admin.unix_socket",
		"/" + strings.Repeat("x", 120):       "cannot be opened: its path has 121 octets; the system allows 107; choose another path with admin.unix_socket",
		filepath.Join(os.Args[0], "no", "s"): "cannot be opened: mkdir " + os.Args[0] + ": not a directory; choose another",
	} {
		l, err := s.openSocket(path, true)
		var f *failure
		if l != nil || !errors.As(err, &f) || f.status != statusBind || !strings.Contains(err.Error(), says) {
			t.Errorf("the named socket is %v, %v; want status %d and %q", l, err, statusBind, says)
		}
	}
}

// TestAdminPortTaken exits with status 3 and says which setting it is about.
func TestAdminPortTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var out, errs bytes.Buffer
	status := run([]string{"serve", "--set", "durability.store=memory", "--set", "listeners.mqtt.address=127.0.0.1:0", "--set", "listeners.sn.address=127.0.0.1:0",
		"--set", "listeners.ws.address=127.0.0.1:0", "--set", "admin.listen=" + taken.Addr().String()}, strings.NewReader(""), &out, &errs)
	want := "dormouse serve: " + taken.Addr().String() + "/tcp is in use by another program; stop that, or choose another port with admin.listen\n"
	if status != 3 || errs.String() != want || out.Len() > 0 {
		t.Errorf("status %d, it wrote %q; want status 3, %q", status, errs.String()+out.String(), want)
	}
}

// TestNoAdmin: where nobody is to look, nothing is open for it.
func TestNoAdmin(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	p := serve(t, "--set", "admin.enabled=false", "--set", "admin.unix_socket="+path)
	for _, line := range p.opened {
		if strings.HasPrefix(line, "Admin") {
			t.Errorf("it says %q", line)
		}
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the socket is there")
	}
}

// TestChecks: not ready is who has not begun, who stops, and who is short of
// memory.
func TestChecks(t *testing.T) {
	s := &server{broker: core.New(core.DefaultOptions()), kept: new(keeping)}
	problems := func() (all []string) {
		for _, c := range s.checks() {
			if c.Problem != "" {
				all = append(all, c.Name)
			}
		}
		return all
	}
	for _, tt := range []struct {
		phase    phase
		pressure core.Pressure
		strain   core.Strain
		want     string
	}{
		{starting, core.NoPressure, core.NoStrain, "listeners"},
		{serving, core.NoPressure, core.NoStrain, ""},
		{serving, core.Soft, core.NoStrain, "memory"},
		{serving, core.Hard, core.NoStrain, "memory"},
		{serving, core.NoPressure, core.Late, "load"},
		{serving, core.NoPressure, core.Behind, "load"},
		{draining, core.Hard, core.NoStrain, "drain memory"},
	} {
		s.broker.SetStrain(tt.strain)
		s.phase.Store(tt.phase)
		s.broker.SetPressure(tt.pressure)
		if got := strings.Join(problems(), " "); got != tt.want {
			t.Errorf("in phase %d at pressure %v the problems are %q, want %q", tt.phase, tt.pressure, got, tt.want)
		}
	}
}

// TestAdminBeyondLoopback is refused: there are no names and no passwords.
func TestAdminBeyondLoopback(t *testing.T) {
	for listen, ok := range map[string]bool{"127.0.0.1:0": true, "[::1]:9": true, "127.9.9.9:9": true, ":18080": false, "192.0.2.1:9": false} {
		_, err := config.Load("", []string{"admin.listen=" + listen})
		if (err == nil) != ok {
			t.Errorf("admin.listen=%s: %v", listen, err)
		}
	}
	if _, err := config.Load("", []string{"admin.listen=0.0.0.0:1", "admin.enabled=false"}); err != nil {
		t.Errorf("where it is not opened: %v", err)
	}
}

// TestCell: what a client calls itself cannot be taken for anything else, and
// does not act upon the terminal.
func TestCell(t *testing.T) {
	for text, want := range map[string]string{
		"attic/1": "attic/1", "Dachböden": "Dachböden", "": "-", "-": `"-"`, "a b": `"a b"`, `a"b`: `"a\"b"`,
		"\x1b[2J": `"\x1b[2J"`, "a\tb": `"a\tb"`, "a\nb": `"a\nb"`, "a\u202eb": `"a\u202eb"`,
		"a…": `"a…"`, strings.Repeat("a", 128): strings.Repeat("a", 128), strings.Repeat("a", 65535): strings.Repeat("a", 128) + "…",
		strings.Repeat("a", 127) + "ä": strings.Repeat("a", 127) + "…", strings.Repeat(" ", 129): `"` + strings.Repeat(" ", 128) + `"…`,
	} {
		if got := cell(text); got != want {
			t.Errorf("%q is shown as %s, want %s", text, got, want)
		}
	}
}
