package main

import (
	"bytes"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"dormouse/cmd/dormouse/config"
)

// TestSmallBufferIsTold: who asks for more than the system grants is told what
// to do.
func TestSmallBufferIsTold(t *testing.T) {
	for size, want := range map[string]bool{"1GiB": true, "64KiB": false} {
		c, err := config.Load("", []string{"listeners=[{name: sn, type: mqttsn-udp, address: \"127.0.0.1:0\", recv_buffer: " + size + "}]",
			"admin.enabled=false", "durability.store=memory"})
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		var s *server
		opened := make(chan bool)
		go func() {
			runtime.LockOSThread() // for good: it ends with us
			dropPrivileges(t)
			s, err = open(c, zerolog.New(&log))
			close(opened)
		}()
		<-opened
		if err != nil {
			t.Fatal(err)
		}
		s.close(t.Context())
		if got := log.String(); strings.Contains(got, `"event":"recv_buffer_limited"`) != want {
			t.Errorf("with %s the log says %q; a warning: %v", size, got, want)
		}
	}
}

// dropPrivileges has this thread be nobody special.
func dropPrivileges(t *testing.T) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData // version 3 has two
	if err := unix.Capset(&header, &none[0]); err != nil {
		t.Error(err)
	}
}

// TestLossesAreTold: datagrams that find no room are said to have been
// lost, and by which listener; else nothing is said.
func TestLossesAreTold(t *testing.T) {
	c, err := config.Load("", []string{"listeners=[{name: sn, type: mqttsn-udp, address: \"127.0.0.1:0\", recv_buffer: 64KiB, sockets: 1}]",
		"admin.enabled=false", "durability.store=memory"})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	s, err := open(c, zerolog.New(&log))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close(t.Context())
	sender, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(s.fronts[0].conn.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	s.tellOfLosses()
	if log.Len() > 0 {
		t.Errorf("before anything was sent the log says %s", &log)
	}
	for s.fronts[0].losses().buffer == 0 { // nobody reads yet
		if _, err := sender.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	s.tellOfLosses()
	if got := log.String(); strings.Count(got, `"event":"datagrams_lost"`) != 1 || !strings.Contains(got, `"listener":"sn"`) {
		t.Errorf("the log says %s, want the loss", got)
	}
}
