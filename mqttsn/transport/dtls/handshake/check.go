package handshake

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"sync"
	"time"

	piondtls "github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/protocol"
	"github.com/pion/dtls/v3/pkg/protocol/handshake"

	"dormouse/mqttsn/transport/dtls/record"
)

// This file is what we rest on of pion that it does not promise: that it may be
// told which cookie it has asked for.

// cookieOf is where a *piondtls.Conn has the cookie that it has asked for. Nil if
// it is elsewhere than in the version that go.mod names.
func cookieOf(pion any) []byte {
	state := reflect.ValueOf(pion).Elem().FieldByName("state")
	if state.Kind() != reflect.Struct {
		return nil
	}
	cookie := state.FieldByName("cookie")
	if cookie.Kind() != reflect.Slice || cookie.Type().Elem().Kind() != reflect.Uint8 {
		return nil
	}
	return cookie.Bytes()
}

// Check tries whether pion takes our cookies for its own. If it does not, nobody
// could ever come in. It tries once.
var Check = sync.OnceValue(func() error { return check(cookieLength) })

// checkWithin is how long it may take, which is a millisecond mostly.
const checkWithin = 10 * time.Second

// check has pion hear a ClientHello with a cookie of that length: if it takes it,
// it answers with a ServerHello.
func check(length int) error {
	b, err := marshal(1, 1, &handshake.MessageClientHello{
		Version:            protocol.Version1_2,
		Cookie:             make([]byte, length),
		CipherSuiteIDs:     []uint16{uint16(piondtls.TLS_PSK_WITH_AES_128_CCM_8)},
		CompressionMethods: []*protocol.CompressionMethod{{}},
	})
	if err != nil {
		return err
	}
	hello, err := ReadHello(b)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	taken := errors.New("it does")
	c := &Credentials{PSK: func([]byte) ([]byte, bool) { return nil, false }}
	h, err := New(c, hello, record.ID{}, netip.AddrPortFrom(netip.IPv6Loopback(), 1), func(b []byte) {
		if r, _, err := record.Next(b, 0); err == nil && r.Type == record.Handshake && handshake.Type(r.Fragment[0]) == handshake.TypeServerHello {
			cancel(taken)
		}
	})
	if err != nil {
		return err
	}
	if _, err := h.Run(ctx, checkWithin); !errors.Is(err, taken) {
		return fmt.Errorf("handshake: github.com/pion/dtls does not take our cookies, as it does in the version that go.mod names; build with that: %w", err)
	}
	return nil
}
