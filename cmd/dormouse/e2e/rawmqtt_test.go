package e2e

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

// A rawMQTT is a TCP connection on which a test says what it likes.
type rawMQTT struct {
	t testing.TB
	net.Conn
}

func (b *broker) rawMQTT(t testing.TB) *rawMQTT {
	t.Helper()
	return rawAt(t, b.tcp)
}

func rawAt(t testing.TB, at netip.AddrPort) *rawMQTT {
	t.Helper()
	c, err := net.DialTimeout("tcp", at.String(), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return &rawMQTT{t, c}
}

// send writes octets in hex. That the broker has closed by then is no error:
// the reader will find out.
func (c *rawMQTT) send(octets string) {
	c.t.Helper()
	c.Write(unhex(c.t, octets))
}

// connect makes an MQTT 5 connection.
func (c *rawMQTT) connect() {
	c.t.Helper()
	c.send("10 0f | 0004 4d515454 05 02 003c 00 | 0002 6372")
	var header [2]byte
	if _, err := io.ReadFull(c, header[:]); err != nil || header[0] != 0x20 {
		c.t.Fatalf("CONNECT is answered by %x, %v", header, err)
	}
	if _, err := io.CopyN(io.Discard, c, int64(header[1])); err != nil {
		c.t.Fatal(err)
	}
}

// wantClosed reads until the broker closes and returns what it said before.
func (c *rawMQTT) wantClosed(why string) []byte {
	c.t.Helper()
	var said bytes.Buffer
	if _, err := io.Copy(&said, c); errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Errorf("the connection stays open after %s", why)
	}
	return said.Bytes()
}
