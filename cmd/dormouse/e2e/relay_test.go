package e2e

import (
	"net"
	"net/netip"
	"sync"
	"testing"
)

// tap opens a relay to the broker's MQTT-SN port that records what passes,
// for programs that have sockets of their own. It returns the relay's address.
func (b *broker) tap(t testing.TB) netip.AddrPort {
	t.Helper()
	front := listenUDP(t)
	var mu sync.Mutex
	backs := make(map[netip.AddrPort]*net.UDPConn) // one for each program
	t.Cleanup(func() {
		front.Close()
		mu.Lock()
		defer mu.Unlock()
		for _, back := range backs {
			back.Close()
		}
	})
	go func() {
		buf := make([]byte, 65536)
		for {
			n, program, err := front.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			mu.Lock()
			back := backs[program]
			if back == nil {
				if back, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(b.udp)); err != nil {
					mu.Unlock()
					return
				}
				backs[program] = back
				go relayBack(back, front, program)
			}
			mu.Unlock()
			theWire.record(addrOf(back), true, buf[:n])
			back.Write(buf[:n])
		}
	}()
	return addrOf(front)
}

// relayBack carries the broker's datagrams to one program until back is closed.
func relayBack(back, front *net.UDPConn, program netip.AddrPort) {
	buf := make([]byte, 65536)
	for {
		n, err := back.Read(buf)
		if err != nil {
			return
		}
		theWire.record(addrOf(back), false, buf[:n])
		front.WriteToUDPAddrPort(buf[:n], program)
	}
}

func listenUDP(t testing.TB) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// addrOf returns the local address of c.
func addrOf(c *net.UDPConn) netip.AddrPort {
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}
