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

// newMochi returns a mochi that parses and frames, and does nothing else. It
// never serves: each connection is handed to EstablishConnection.
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
		mochi.OnPacketEncode, mochi.OnACLCheck, mochi.OnPublish:
		return true
	}
	return false
}

// of returns the connection that mochi knows as cl.
func of(cl *mochi.Client) *conn { return cl.Net.Conn.(*conn) }

// OnPacketRead takes from mochi all packets that are core's to answer. What it
// returns instead is a PUBACK, of which mochi makes nothing. PUBLISH goes on
// to OnPublish by way of mochi's checks.
func (hooks) OnPacketRead(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	c := of(cl)
	code := packets.CodeSuccess
	switch pk.FixedHeader.Type {
	case packets.Connect:
		return c.readConnect(pk), nil
	case packets.Publish:
		if code = c.admit(&pk); code == packets.CodeSuccess && !c.reserved(&pk) {
			return pk, nil
		}
	case packets.Puback, packets.Pubcomp:
		c.acknowledged(pk.PacketID)
	case packets.Pubrec:
		c.received(&pk)
	case packets.Pubrel:
		c.release(pk.PacketID)
	case packets.Subscribe:
		code = c.subscribe(&pk)
	case packets.Unsubscribe:
		code = c.unsubscribe(&pk)
	case packets.Disconnect:
		code = c.disconnected(&pk)
		pk = packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}, ProtocolVersion: c.version}
		return pk, c.unless(code)
	default:
		return pk, nil
	}
	return packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, ProtocolVersion: c.version}, c.unless(code)
}

// unless parts with the client for any code but success.
func (c *conn) unless(code packets.Code) error {
	if code == packets.CodeSuccess {
		return nil
	}
	c.part(code)
	return packets.ErrRejectPacket
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

// OnSessionEstablished comes behind CONNACK: messages may follow.
func (hooks) OnSessionEstablished(cl *mochi.Client, _ packets.Packet) { of(cl).established() }

// OnPacketEncode puts into CONNACK what is core's. mochi's DISCONNECT becomes
// ours, and its own octets find the connection parting.
func (hooks) OnPacketEncode(cl *mochi.Client, pk packets.Packet) packets.Packet {
	c := of(cl)
	switch pk.FixedHeader.Type {
	case packets.Connack:
		return c.writeConnack(pk)
	case packets.Disconnect:
		c.part(packets.Code{Code: pk.ReasonCode, Reason: pk.Properties.ReasonString})
	}
	return pk
}

// OnACLCheck lets all through to OnPublish: core asks who may what.
func (hooks) OnACLCheck(*mochi.Client, string, bool) bool { return true }

// OnPublish hands a message to core. mochi is neither to route nor to retain
// it, nor to acknowledge it: core does that once it is as durable as promised.
func (hooks) OnPublish(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	of(cl).publish(&pk)
	if pk.FixedHeader.Qos == 0 {
		return pk, packets.CodeSuccessIgnore
	}
	return pk, packets.ErrRejectPacket
}
