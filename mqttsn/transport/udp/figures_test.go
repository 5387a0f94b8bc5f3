package udp

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"dormouse/mqttsn/transport"
)

// TestFigures pins the names of the figures, which dashboards rely on.
func TestFigures(t *testing.T) {
	conn, _ := serve(t, config("127.0.0.1:0"))
	var b strings.Builder
	Each([]*Conn{conn}, func(name, help, label string, _ uint64) {
		if !strings.HasSuffix(help, ".") {
			t.Errorf("the help of %s is %q", name, help)
		}
		fmt.Fprintln(&b, strings.TrimSpace(name+" "+label))
	})
	fmt.Fprintln(&b)
	Sys([]*Conn{conn}, func(name, _ string) { fmt.Fprintln(&b, "$SYS/broker/"+name) })
	want, err := os.ReadFile("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the figures are\n%s\nand testdata/metrics.txt says\n%s", b.String(), want)
	}
}

// TestLost: what is sent either arrives or is counted, also when nobody reads.
func TestLost(t *testing.T) {
	const sent, least = 1000, 4096
	c := config("127.0.0.1:0")
	c.ReceiveBuffer, c.Sockets = least, 1
	conn, err := Listen(c)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	peer := dial(t, conn.Addr())
	for range sent {
		if _, err := peer.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	arrived, step := 0, time.NewTicker(time.Millisecond)
	defer step.Stop()
	go conn.Serve(ctx, func(batch []transport.Datagram) {})
	for ; ctx.Err() == nil && arrived < sent; <-step.C {
		arrived = int(conn.Counters.Received.Load() + conn.Lost())
	}
	figures := map[string]string{}
	Sys([]*Conn{conn}, func(name, value string) { figures[name] = value })
	if lost := conn.Lost(); arrived != sent || lost < sent/2 || figures["mqttsn/udp/dropped/buffer_full"] != fmt.Sprint(lost) {
		t.Errorf("of %d datagrams %d arrived or were lost, %d lost; $SYS has %v", sent, arrived, lost, figures)
	}
}
