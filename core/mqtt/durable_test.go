package mqtt

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
	"dormouse/core/store"
)

// A disk is a store whose syncs wait while it is held, and that refuses
// publishes when it is full.
type disk struct {
	store.Volatile
	mu    sync.Mutex
	held  bool
	full  bool
	waits []func(error)
}

func (d *disk) Write(facts ...store.Fact) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, isPublish := facts[0].(*store.Published); isPublish && d.full {
		return fmt.Errorf("%w: no space left on /var/lib", store.ErrFull)
	}
	return nil
}

func (d *disk) Sync(then func(error)) {
	d.mu.Lock()
	if d.held {
		d.waits = append(d.waits, then)
		d.mu.Unlock()
		return
	}
	d.mu.Unlock()
	then(nil)
}

func (d *disk) Follow(then func(error)) { d.Sync(then) }

func (d *disk) hold() {
	d.mu.Lock()
	d.held = true
	d.mu.Unlock()
}

func (d *disk) waiting() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.waits)
}

// release answers what waits, in order, and all that comes later at once.
func (d *disk) release() {
	for {
		d.mu.Lock()
		waits := d.waits
		d.waits, d.held = nil, len(waits) > 0
		d.mu.Unlock()
		if len(waits) == 0 {
			return
		}
		for _, then := range waits {
			then(nil)
		}
	}
}

// TestAcknowledgedIsDurable: no PUBACK, PUBREC, PUBCOMP or SUBACK before the
// store has synced; PINGRESP does not wait for it. Meanwhile a client may ask
// for only so much.
func TestAcknowledgedIsDurable(t *testing.T) {
	d := new(disk)
	b := start(t, func(co *core.Options, o *Options) { co.Store, o.ReceiveMaximum = d, 4 })
	p := b.connect(t, 4, "p", kept)
	p.subscribe(1, "q")
	d.hold()
	p.publish("q", "one", 1, 1)
	p.publish("q", "two", 2, 2)
	p.ack(packets.Pubrel, 7)
	p.ping()
	if n := d.waiting(); n != 3 {
		t.Errorf("%d requests wait for the store, want 3", n)
	}
	for id := range uint16(20) {
		p.publish("other", "x", 1, id+10)
	}
	await(t, "the client to have all that it may", func() bool { return d.waiting() == 4 && b.server.Stats().Held == 1 })
	d.release()
	p.expect(packets.Puback)
	// The message may come now, but behind its own PUBACK.
	seen := map[byte]int{}
	for range 24 {
		pk, err := p.next()
		if err != nil {
			t.Fatal(err)
		}
		seen[pk.FixedHeader.Type]++
	}
	want := map[byte]int{packets.Publish: 2, packets.Pubrec: 1, packets.Pubcomp: 1, packets.Puback: 20}
	for kind, n := range want {
		if seen[kind] != n {
			t.Errorf("%d %s, want %d", seen[kind], packets.PacketNames[kind], n)
		}
	}
	p.ping()
}

// TestFullDisk: what cannot be kept is not acknowledged. MQTT 5 says so;
// before there is nothing but to hang up (M8).
func TestFullDisk(t *testing.T) {
	d := &disk{full: true}
	b := start(t, func(co *core.Options, _ *Options) { co.Store = d })
	keeper := b.connect(t, 4, "keeper", kept)
	keeper.subscribe(1, "q")
	p5, p4 := b.connect(t, 5, "p5", nil), b.connect(t, 4, "p4", nil)
	p5.publish("q", "lost", 1, 1)
	ack := p5.expect(packets.Puback)
	if ack.ReasonCode != packets.ErrQuotaExceeded.Code || strings.Contains(ack.Properties.ReasonString, "/var/lib") {
		t.Errorf("PUBACK 0x%02x %q, want 0x97 and nothing of our files", ack.ReasonCode, ack.Properties.ReasonString)
	}
	p5.publish("q", "lost", 2, 1)
	if ack := p5.expect(packets.Pubrec); ack.ReasonCode != packets.ErrQuotaExceeded.Code {
		t.Errorf("PUBREC 0x%02x, want 0x97", ack.ReasonCode)
	}
	p4.publish("q", "lost", 1, 1)
	p4.expectEnd()
	p5.publish("q", "QoS 0 goes on", 0, 0)
	keeper.expectMessage("q QoS 0 goes on 0 0")
	d.mu.Lock()
	d.full = false
	d.mu.Unlock()
	p5.publish("q", "room", 1, 2)
	p5.expect(packets.Puback)
	keeper.expectMessage("q room 1 1")
}
