package mqtt

import (
	"errors"
	"log/slog"
	"math"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/rs/zerolog"
)

// hooks is where mochi asks. It has no state: every question is its
// connection's.
type hooks struct{ mochi.HookBase }

// newMochi returns a mochi that takes CONNECT and answers it, and does nothing
// else. It never serves: each connection is handed to EstablishConnection, and
// taken back by the end of file.
func newMochi(o *Options) *mochi.Server {
	m := mochi.New(&mochi.Options{
		Logger:                  slog.New(redact{zerolog.NewSlogHandler(o.Log)}),
		ClientNetReadBufferSize: 16, // the guard has a buffer
		Capabilities: &mochi.Capabilities{
			MaximumClients:             math.MaxInt64, // we count
			MaximumClientWritesPending: 1,             // no packet is written past our own buffer
			MaximumPacketSize:          uint32(max(o.MaxPacketSize, o.PreConnectBytes)),
			MinimumProtocolVersion:     3,
			ReceiveMaximum:             uint16(o.ReceiveMaximum),
			MaximumQos:                 2,
			RetainAvailable:            1,
			WildcardSubAvailable:       1,
			SubIDAvailable:             1,
		},
	})
	if err := m.AddHook(new(hooks), nil); err != nil {
		panic(err) // hooks.Init cannot fail
	}
	return m
}

func (hooks) ID() string { return "core" }

func (hooks) Provides(question byte) bool {
	switch question {
	case mochi.OnPacketRead, mochi.OnConnect, mochi.OnConnectAuthenticate, mochi.OnSessionEstablished,
		mochi.OnPacketEncode:
		return true
	}
	return false
}

// of returns the connection that mochi knows as cl.
func of(cl *mochi.Client) *conn { return cl.Net.Conn.(*conn) }

// OnPacketRead sees CONNECT, and nothing else.
func (hooks) OnPacketRead(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	return of(cl).readConnect(pk), nil
}

// OnConnect lets the client in, or refuses it by CONNACK. Before MQTT 5, none
// answers a CONNECT that is not sound [MQTT-3.1.4-1].
func (hooks) OnConnect(cl *mochi.Client, _ packets.Packet) error {
	c := of(cl)
	code := c.enter()
	if code == packets.CodeSuccess {
		return nil
	}
	if c.version < 5 {
		code.Reason = "" // mochi looks return codes up by it; writeConnack knows better
	}
	if c.version == 5 || code.Code != packets.ErrMalformedPacket.Code && code.Code != packets.ErrProtocolViolation.Code {
		c.server.mochi.SendConnack(cl, code, false, nil) // to nobody, if that fails
	}
	return errRefused
}

// errRefused has mochi leave a client that CONNACK has refused.
var errRefused = errors.New("refused")

// OnConnectAuthenticate has been answered by OnConnect.
func (hooks) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }

// OnSessionEstablished comes behind CONNACK.
func (hooks) OnSessionEstablished(cl *mochi.Client, _ packets.Packet) { of(cl).established() }

// OnPacketEncode puts into CONNACK, the one packet of mochi's, what is core's.
func (hooks) OnPacketEncode(cl *mochi.Client, pk packets.Packet) packets.Packet {
	return of(cl).writeConnack(pk)
}
