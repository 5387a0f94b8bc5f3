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

// TestStrained: while more comes in than the machine can do, nobody new is let
// in, and who has a session may come again.
func TestStrained(t *testing.T) {
	b := start(t, nil)
	for version, busy := range map[byte]byte{4: packets.Err3ServerUnavailable.Code, 5: packets.ErrServerBusy.Code} {
		known := fmt.Sprint("known", version)
		b.connect(t, version, known, kept).disconnect()
		for _, tt := range []struct {
			core.Strain
			id   string
			want byte
		}{{core.Late, "new", busy}, {core.Late, known, 0}, {core.Behind, "new", busy}, {core.Behind, known, 0}, {core.NoStrain, "new", 0}} {
			b.core.SetStrain(tt.Strain)
			p, ack := b.tryConnect(t, version, tt.id, kept)
			if ack.ReasonCode != tt.want {
				t.Errorf("version %d, %v: CONNACK for %s is %#x, want %#x", version, tt.Strain, tt.id, ack.ReasonCode, tt.want)
			}
			if ack.ReasonCode != 0 {
				p.expectEnd()
			}
		}
		b.core.Kick("new", true)
	}
	if n := b.core.Stats().Dropped.Strained; n != 4 {
		t.Errorf("%d are counted, want 4", n)
	}
}
