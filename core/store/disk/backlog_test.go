package disk_test

import (
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"dormouse/core"
	"dormouse/core/store/disk"
)

// A nobody is a Sink that does not care.
type nobody struct{}

func (nobody) Mail()                {}
func (nobody) Kick(core.KickReason) {}

// TestDiskThatDoesNotKeepUp: beyond what may wait for it publishers are told that
// it is full, QoS 0 goes on, and so does letting go; when the disk has caught up,
// so does all, and whoever was acknowledged is so with right.
func TestDiskThatDoesNotKeepUp(t *testing.T) {
	const size, most = 4 << 20, 64 << 20
	g := &gate{let: make(chan bool)}
	mem := vfs.NewMem()
	var kept *disk.Store
	begin := func() *core.Broker {
		o := core.DefaultOptions()
		kept = open(t, "data", disk.Options{FS: g.over(mem)})
		o.Store = kept
		o.Queue.Bytes = 4 * most
		b := core.New(o)
		if err := b.Restore(); err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := begin()
	opened := make(chan *core.Session, 1)
	comes := func() *core.Session {
		b.Open(core.Identity{ClientID: "ann"}, core.SessionOptions{Expiry: time.Hour}, nobody{},
			func(s *core.Session, _ bool, _ error) { opened <- s })
		return <-opened
	}
	answers := make(chan error, 3*most/size)
	publish := func(qos core.QoS, octets int) {
		m := core.Message{Topic: "a", Payload: make([]byte, octets), QoS: qos}
		b.Publish(core.Identity{ClientID: "bob"}, m, func(err error) { answers <- err })
	}
	ann := comes()
	ann.Subscribe(core.Subscription{Filter: "a", QoS: 1}, func(_ core.QoS, err error) { answers <- err })
	publish(1, 1)
	for range 2 {
		if err := <-answers; err != nil {
			t.Fatal(err)
		}
	}
	flying, _ := ann.Next()

	g.shut.Store(true)
	const asked = 5 * most / 2 / size
	for range asked {
		publish(1, size)
	}
	publish(0, 1)
	ann.Ack(flying.ID)
	if n := b.Stats().StoreRefusals; n > 0 {
		t.Errorf("%d times letting go was refused", n)
	}
	if len(answers) > 0 {
		t.Errorf("answered %v while the disk stands still", <-answers)
	}
	if n := kept.Stats(); n.TooFast == 0 || n.Refused > 0 || n.Waiting != asked+1 || n.Unwritten < most {
		t.Errorf("while the disk stands still the figures are %+v", n)
	}
	g.shut.Store(false)
	close(g.let)
	taken, refused := -1, 0 // QoS 0 is not kept
	for range asked + 1 {
		switch err := <-answers; {
		case err == nil:
			taken++
		case errors.Is(err, core.ErrFull):
			refused++
		default:
			t.Fatal(err)
		}
	}
	if octets := taken * size; octets < most || octets > 2*most+size || refused == 0 { // as much may be on its way to the disk
		t.Errorf("took %d octets, refused %d of %d messages", octets, refused, asked)
	}
	for publish(1, 1); ; publish(1, 1) { // until it has caught up
		if err := <-answers; err == nil {
			taken++
			break
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = begin()
	defer b.Close()
	if kept := b.Stats().Waiting; kept != taken {
		t.Errorf("%d messages are there, of %d that were acknowledged", kept, taken)
	}
}
