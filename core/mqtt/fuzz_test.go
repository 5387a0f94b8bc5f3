package mqtt

import (
	"bytes"
	"encoding/hex"
	"net"
	"strings"
	"testing"
	"time"

	"dormouse/core"
)

// A line is a socket that says its octets, a few at a time, hangs up, and
// does not care what it hears.
type line struct{ *bytes.Reader }

func (l line) Read(p []byte) (int, error)     { return l.Reader.Read(p[:min(len(p), 7)]) }
func (line) Write(p []byte) (int, error)      { return len(p), nil }
func (line) Close() error                     { return nil }
func (line) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (line) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (line) SetDeadline(time.Time) error      { return nil }
func (line) SetReadDeadline(time.Time) error  { return nil }
func (line) SetWriteDeadline(time.Time) error { return nil }

// FuzzConnection states the guard's contract: whatever a client says, after a
// CONNECT of MQTT 3.1.1 or 5 or instead of it, mochi does not panic on what the
// guard lets through, no buffer grows beyond twice the longest packet, and the
// connection ends.
func FuzzConnection(f *testing.F) {
	for _, octets := range []string{
		"82 06 0001 00 0001 61", "82 07 0001 00 0001 61 01", "30 08 0001 61 8080808001", "30 ffffffff7f",
		"32 0b 0001 61 0001 05 02 0000 0001 78", "a2 06 0001 00 0001 61", "40 04 0001 10 00", "e0 07 04 05 11 00000001",
		"c0 00 c0 00", "e0 00", "82 06 0001 0001 61 01", "50 02 0001", "62 02 0001 70 02 0001",
	} {
		b, err := hex.DecodeString(strings.ReplaceAll(octets, " ", ""))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(4), b)
		f.Add(byte(5), b)
	}
	for _, connect := range []string{
		"10 25 0004 4d515454 05 c6 003c 05 11 00000e10 0001 63 05 18 00000001 0001 77 0001 78 0001 75 0001 70 c000",
		"10 19 0004 4d515454 04 c6 003c 0001 63 0001 77 0001 78 0001 75 0001 70", "10 10 0006 4d5149736470 03 02 003c 0002 6162",
	} {
		b, err := hex.DecodeString(strings.ReplaceAll(connect, " ", ""))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(0), b)
	}
	o := DefaultOptions()
	o.MaxPacketSize = 1024
	s := New(core.New(core.DefaultOptions()), o)
	connects := map[byte]string{4: "\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c", 5: "\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01c"}
	f.Fuzz(func(t *testing.T, version byte, b []byte) {
		connect := []byte(connects[version])
		c := newConn(s, &listener{name: "fuzz"}, line{bytes.NewReader(append(connect, b...))})
		s.running.Add(1)
		c.serve()
		if n := s.Stats().Panics; n != 0 {
			t.Fatal("the decoder has panicked")
		}
		if n := cap(c.guard.buf); n > 2*o.MaxPacketSize {
			t.Fatalf("the guard's buffer is of %d octets", n)
		}
	})
}
