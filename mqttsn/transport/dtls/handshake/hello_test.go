package handshake

import (
	"encoding/hex"
	"net/netip"
	"testing"
	"time"

	"dormouse/mqttsn/clock"
)

// FuzzHello states the contract of what is answered to strangers: whatever a
// datagram has in it, it is read without harm, and if it is a ClientHello, what
// asks for a cookie is shorter. The cookie fits the same ClientHello with it, and
// not without it.
func FuzzHello(f *testing.F) {
	for _, seed := range []string{
		"16feff0000000000000000005b0100004f000000000000004ffefd6a0f0f0f0101010101010101010101010101010101010101010101010101010100" +
			"00000004c0a800ff0100002100170000ff01000100000d00080006040305030201003600000000000000",
		"16fefd000000000000000000360100002a000000000000002afefd0000000000000000000000000000000000000000000000000000000000000000000000",
	} {
		b, err := hex.DecodeString(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	jar, from := NewCookies(), netip.MustParseAddrPort("192.0.2.1:4000")
	now := clock.Time(time.Hour)
	f.Fuzz(func(t *testing.T, datagram []byte) {
		h, err := ReadHello(datagram)
		if err != nil {
			return
		}
		h.message.Cookie = nil
		ask, err := jar.Ask(h, from, now)
		if err != nil {
			return
		}
		if len(ask) >= len(datagram) {
			t.Fatalf("%d octets are answered with %d", len(datagram), len(ask))
		}
		if jar.Fits(h, from, now) {
			t.Fatal("no cookie fits")
		}
		h.message.Cookie = ask[len(ask)-cookieLength:]
		if !jar.Fits(h, from, now) {
			t.Fatal("the cookie does not fit")
		}
		if _, err := h.bare(); err != nil {
			t.Fatal(err)
		}
	})
}
