package mqtt

import (
	"fmt"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"
)

// TestReceiveMaximum: a client that takes two at a time gets all, two at a
// time. (mochi itself stalls after four: M17.)
func TestReceiveMaximum(t *testing.T) {
	b := start(t, nil)
	p := b.connect(t, 5, "narrow", func(pk *packets.Packet) { pk.Properties.ReceiveMaximum = 2 })
	p.subscribe(2, "q")
	sender := b.connect(t, 4, "sender", nil)
	for n := uint16(1); n <= 20; n++ {
		sender.publish("q", fmt.Sprint(n), byte(1+n%2), n)
	}
	sender.expectAcks(t, 20)
	for n := uint16(1); n <= 20; n += 2 {
		for _, id := range []uint16{n, n + 1} {
			p.expectMessage(fmt.Sprintf("q %d %d %d", id, 1+id%2, id))
		}
		p.ping() // nothing more comes
		p.ack(packets.Pubrec, n)
		p.expect(packets.Pubrel)
		p.ping() // PUBREC makes no room
		p.ack(packets.Pubcomp, n)
		p.ack(packets.Puback, n+1)
	}
	p.ping()
}

// TestStrayAcknowledgements: what acknowledges nothing that was sent over this
// connection makes no room for more than the client takes at a time.
func TestStrayAcknowledgements(t *testing.T) {
	b := start(t, nil)
	p := b.connect(t, 5, "narrow", func(pk *packets.Packet) { kept(pk); pk.Properties.ReceiveMaximum = 2 })
	p.subscribe(2, "q")
	sender := b.connect(t, 4, "sender", nil)
	for n := uint16(1); n <= 4; n++ {
		sender.publish("q", fmt.Sprint(n), byte(1+n%2), n)
	}
	sender.expectAcks(t, 4)
	p.expectMessage("q 1 2 1")
	p.expectMessage("q 2 1 2")
	p.ack(packets.Puback, 900)
	p.ack(packets.Pubcomp, 901)
	p.ping() // nothing more comes
	p.ack(packets.Pubrec, 1)
	p.expect(packets.Pubrel)
	p.ack(packets.Pubrec, 1) // again
	p.expect(packets.Pubrel)
	p.ack(packets.Pubcomp, 1)
	p.ack(packets.Pubcomp, 1)
	p.expectMessage("q 3 2 3")
	p.ping()
	p.Close()
	await(t, "the client to be lost", func() bool { return b.core.Stats().Connected == 1 })

	p = b.connect(t, 5, "narrow", func(pk *packets.Packet) { kept(pk); pk.Properties.ReceiveMaximum = 1 })
	p.expectMessage("q 2 1 2 dup")
	p.ack(packets.Pubcomp, 3) // which it has from before
	p.ping()
	p.ack(packets.Puback, 2)
	p.expectMessage("q 4 1 4")
}

// expectAcks waits for n publishes to be acknowledged.
func (p *peer) expectAcks(t *testing.T, n int) {
	t.Helper()
	for range n {
		if pk, err := p.next(); err != nil || pk.FixedHeader.Type != packets.Puback && pk.FixedHeader.Type != packets.Pubrec {
			t.Fatalf("got %s, %v", packets.PacketNames[pk.FixedHeader.Type], err)
		}
	}
}

// TestOurReceiveMaximum: a client that has more unacknowledged than it may is
// cut off; one that repeats itself is not.
func TestOurReceiveMaximum(t *testing.T) {
	b := start(t, func(_ *coreOptions, o *Options) { o.ReceiveMaximum = 3 })
	p := b.connect(t, 5, "greedy", nil)
	for range 5 { // the same again
		p.publish("q", "x", 2, 1)
		p.expect(packets.Pubrec)
	}
	for id := range uint16(10) { // acknowledged at once
		p.publish("q", "x", 1, id+1)
		p.expect(packets.Puback)
	}
	p.publish("q", "x", 2, 2)
	p.expect(packets.Pubrec)
	p.publish("$no", "x", 2, 3) // refused, so over
	p.expect(packets.Pubrec)
	p.publish("q", "x", 2, 4)
	p.expect(packets.Pubrec)
	p.publish("q", "x", 2, 5)
	if code := p.expectEnd(); code != packets.ErrReceiveMaximum.Code {
		t.Errorf("DISCONNECT 0x%02x, want 0x93", code)
	}
	if n := b.server.Stats().Closed.ReceiveMaximum; n != 1 {
		t.Errorf("%d are counted, want 1", n)
	}
}
