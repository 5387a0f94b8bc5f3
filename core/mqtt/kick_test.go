package mqtt

import (
	"fmt"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
)

// TestKick: a client that an operator kicks is told so, if its version has a
// word for it, and finds its session again.
func TestKick(t *testing.T) {
	for _, version := range []byte{4, 5} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			b := start(t, nil)
			p := b.connect(t, version, "kicked", kept)
			p.subscribe(1, "t")
			if !b.core.Kick("kicked", false) {
				t.Fatal("there is no such client")
			}
			want := byte(0)
			if version == 5 {
				want = packets.ErrAdministrativeAction.Code
			}
			if got := p.expectEnd(); got != want {
				t.Errorf("it ends with reason %#x, want %#x", got, want)
			}
			await(t, "the kick to be counted", func() bool { return b.server.Stats().Closed.Kicked == 1 })
			if _, ack := b.tryConnect(t, version, "kicked", kept); !ack.SessionPresent {
				t.Error("its session is gone")
			}
		})
	}
}

// TestShortOfMemory: nobody new is let in, and a publisher keeps what is not
// taken.
func TestShortOfMemory(t *testing.T) {
	b := start(t, nil)
	p := b.connect(t, 5, "here", kept)
	b.core.SetPressure(core.Hard)
	for version, want := range map[byte]byte{4: packets.Err3ServerUnavailable.Code, 5: packets.ErrServerBusy.Code} {
		if _, ack := b.tryConnect(t, version, "new", nil); ack.ReasonCode != want {
			t.Errorf("version %d: CONNACK %#x, want %#x", version, ack.ReasonCode, want)
		}
	}
	p.publish("t", "x", 1, 1)
	if ack := p.expect(packets.Puback); ack.ReasonCode != packets.ErrQuotaExceeded.Code {
		t.Errorf("PUBACK %#x, want 0x97", ack.ReasonCode)
	}
	p.publish("t", "x", 2, 2)
	if ack := p.expect(packets.Pubrec); ack.ReasonCode != packets.ErrQuotaExceeded.Code {
		t.Errorf("PUBREC %#x, want 0x97", ack.ReasonCode)
	}
	p.publish("t", "x", 0, 0)
	p.ping() // and is still here
}
