package main

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"dormouse/cmd/dormouse/config"
)

// TestLossesAreTold: datagrams that find no room are said to have been
// lost, and by which listener; else nothing is said.
func TestLossesAreTold(t *testing.T) {
	c, err := config.Load("", []string{"listeners=[{name: sn, type: mqttsn-udp, address: \"127.0.0.1:0\", recv_buffer: 64KiB, sockets: 1}]",
		"admin.enabled=false"})
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
