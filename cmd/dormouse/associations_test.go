package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/rs/zerolog"

	"dormouse/bridge"
	"dormouse/cmd/dormouse/config"
	"dormouse/core"
	"dormouse/core/store"
	"dormouse/core/store/disk"
	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/gateway"
	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/dtls"
	"dormouse/mqttsn/transport/dtls/handshake"
	"dormouse/mqttsn/transport/dtls/record"
)

// A slowDisk is one whose log is synced when it is let, and which may be left as
// it is at any time.
type slowDisk struct {
	vfs.FS
	mem   *vfs.MemFS
	mu    sync.Mutex // held: nothing is synced
	syncs atomic.Int32
}

func newSlowDisk(mem *vfs.MemFS) *slowDisk {
	d := &slowDisk{mem: mem}
	d.FS = errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) && strings.HasSuffix(op.Path, ".log") {
			d.syncs.Add(1)
			d.mu.Lock()
			defer d.mu.Unlock()
		}
		return nil
	}))
	return d
}

// left is what is there after a crash: of what was not synced, percent.
func (d *slowDisk) left(percent int) *vfs.MemFS {
	return d.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(1, 1))})
}

func (d *slowDisk) open(t *testing.T) *keeping {
	t.Helper()
	s, err := disk.Open("data", disk.Options{FS: d, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	return &keeping{Store: s, sync: config.SyncAlways, log: zerolog.Nop()}
}

// TestOneSyncForBoth: that a record was received and what it has caused become
// durable by one sync; and what has caused nothing, by one of its own.
func TestOneSyncForBoth(t *testing.T) {
	d := newSlowDisk(vfs.NewCrashableMem())
	k := d.open(t)
	defer k.Close()
	if err := k.Load(func(store.Fact) error { return nil }); err != nil {
		t.Fatal(err)
	}
	notes := keeper{k, "sns"}
	var order []string
	answered := make(chan bool, 2)
	answer := func(who string) func(error) {
		return func(err error) {
			if err != nil {
				t.Error(err)
			}
			order = append(order, who)
			answered <- true
		}
	}
	state := []byte("state")
	for range 20 {
		d.syncs.Store(0)
		order = nil
		if err := notes.Keep([]dtls.Change{{ID: record.ID{1}, State: state}}, answer("record")); err != nil {
			t.Fatal(err)
		}
		if err := k.Write(&store.Session{ClientID: "ann"}); err != nil {
			t.Fatal(err)
		}
		k.Sync(answer("session"))
		<-answered
		<-answered
		if n := d.syncs.Load(); n != 1 || fmt.Sprint(order) != "[record session]" {
			t.Fatalf("%d syncs, answered %v", n, order)
		}
	}
	d.syncs.Store(0)
	if err := notes.Keep([]dtls.Change{{ID: record.ID{1}, State: state}}, answer("record")); err != nil {
		t.Fatal(err)
	}
	<-answered
	if n := d.syncs.Load(); n != 1 {
		t.Errorf("%d syncs for a record alone", n)
	}
}

// TestNobodyElseIsAnswered: what a note of a new association waits for answers
// nobody who waits with an earlier one: a listener keeps its notes in order, and
// whoever is answered may have another for it.
func TestNobodyElseIsAnswered(t *testing.T) {
	k := newSlowDisk(vfs.NewCrashableMem()).open(t)
	defer k.Close()
	k.timed = true // by nobody
	notes, answered := keeper{k, "sns"}, make(chan string, 2)
	answer := func(who string) func(error) { return func(error) { answered <- who } }
	for _, err := range []error{
		notes.Keep([]dtls.Change{{ID: record.ID{1}, State: []byte("state")}}, answer("earlier")),
		notes.Keep([]dtls.Change{{ID: record.ID{2}, Made: []byte("made"), State: []byte("state")}}, answer("new")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if who := <-answered; who != "new" {
		t.Errorf("%s was answered", who)
	}
	k.Sync(answer("core"))
	if who := <-answered; who != "earlier" {
		t.Errorf("%s was answered before who came earlier", who)
	}
	<-answered
}

// An ether is a transport of one far end, which the test is.
type ether struct {
	in  chan []byte
	out chan []byte
}

var sensorAt = netip.MustParseAddrPort("192.0.2.1:4000")

func (e *ether) Serve(ctx context.Context, sink func([]transport.Datagram)) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case b := <-e.in:
			sink([]transport.Datagram{{Peer: transport.Peer{Addr: sensorAt}, Buf: b}})
		}
	}
}

func (e *ether) Send(batch []transport.Datagram) error {
	for _, d := range batch {
		e.out <- bytes.Clone(d.Buf)
	}
	return nil
}

// A life is that of a server with one listener with DTLS, until it is killed.
type life struct {
	t       *testing.T
	disk    *slowDisk
	kept    *keeping
	broker  *core.Broker
	secured *dtls.Listener
	ether   *ether
	seen    chan string // payloads that an application has got
	end     context.CancelFunc
	over    chan bool
}

// An app subscribes to everything.
type app struct {
	life    *life
	session atomic.Pointer[core.Session]
}

func (a *app) Mail() {
	go func() {
		for s := a.session.Load(); s != nil; {
			d, ok := s.Next()
			if !ok {
				return
			}
			a.life.seen <- string(d.Payload)
		}
	}()
}

func (a *app) Kick(core.KickReason) {}

func live(t *testing.T, d *slowDisk) *life {
	t.Helper()
	l := &life{t: t, disk: d, kept: d.open(t), ether: &ether{make(chan []byte), make(chan []byte, 1000)},
		seen: make(chan string, 1000), over: make(chan bool)}
	o := core.DefaultOptions()
	o.Store, o.SysInterval = l.kept, 0
	o.WritesAhead = func(string) bool { return true }

	l.broker = core.New(o)
	if err := l.kept.restore(l.broker); err != nil {
		t.Fatal(err)
	}
	c := dtls.DefaultConfig()
	c.Keeper, c.Secret = keeper{l.kept, "sns"}, marks
	var err error
	key := func([]byte) ([]byte, bool) { return noughts, true }
	if l.secured, err = dtls.New(c, &handshake.Credentials{PSK: key}, l.ether); err != nil {
		t.Fatal(err)
	}
	if taken, err := l.secured.Load(); taken.Up != 1 || err != nil {
		t.Fatal(taken, err)
	}
	gc := gateway.DefaultConfig()
	gc.QoSMinusOne.From = gateway.Anywhere
	g := gateway.New(gc, l.secured, bridge.New(l.broker, bridge.DefaultConfig()), clock.Now())
	g.TakeUp(clock.Now())
	g.SetReady(true)
	var ctx context.Context
	ctx, l.end = context.WithCancel(context.Background())
	go func() {
		g.Run(ctx)
		close(l.over)
	}()
	a := &app{life: l}
	ready := make(chan bool, 1)
	l.broker.Open(core.Identity{ClientID: "app"}, core.SessionOptions{}, a, func(s *core.Session, _ bool, err error) {
		a.session.Store(s)
		ready <- err == nil
	})
	if !<-ready {
		t.Fatal("the application is not let in")
	}
	a.session.Load().Subscribe(core.Subscription{Filter: "#"}, func(_ core.QoS, err error) { ready <- err == nil })
	if !<-ready {
		t.Fatal("the application may not subscribe")
	}
	return l
}

// stop ends it in peace.
func (l *life) stop() {
	l.end()
	<-l.over
	l.broker.Close()
}

// kill leaves of it what is on its disk, which stands still. That it goes on a
// while nobody sees.
func (l *life) kill(percent int) *slowDisk {
	left := newSlowDisk(l.disk.left(percent))
	l.disk.mu.Unlock()
	l.stop()
	return left
}

// A far is the far end of an association: what a sensor is after its handshake.
type far struct {
	record.Association
	*record.Ciphers
	t *testing.T
}

var (
	noughts = make([]byte, 16) // the sensor's key
	marks   = []byte("what associations are marked with")
)

// plant has a store know an association, as if there had been a handshake.
func plant(t *testing.T, d *slowDisk) *far {
	t.Helper()
	keys := record.Keys{Read: [16]byte{1}, Write: [16]byte{2}}
	id := record.ID{7}
	a := record.Association{Keys: keys, ID: id, Suite: record.CCM8, HasCID: true}
	made := append(a.AppendMade(nil), 0x10|byte(transport.ByKey), 0, 0, 0, 0, 0, 0, 0, 0)
	made = append(made, "sensor"...)
	mark := hmac.New(sha256.New, marks)
	fmt.Fprintf(mark, "%s\x00\x00\x00\x10%s%s", id[:], noughts, made)
	made = append(made, mark.Sum(nil)[:16]...)
	state := binary.BigEndian.AppendUint32(a.AppendCounts(nil, 0), 0)
	state = binary.BigEndian.AppendUint16(state, sensorAt.Port())
	from := sensorAt.Addr().As16()
	state = append(append(state, from[:]...), 0)
	k := d.open(t)
	if err := k.Load(func(store.Fact) error { return nil }); err != nil {
		t.Fatal(err)
	}
	kept := make(chan error, 1)
	if err := (keeper{k, "sns"}).Keep([]dtls.Change{{ID: id, Made: made, State: state}}, func(err error) { kept <- err }); err != nil {
		t.Fatal(err)
	}
	if err := <-kept; err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	f := &far{t: t, Association: record.Association{Keys: record.Keys{Read: keys.Write, Write: keys.Read}, Suite: record.CCM8, Reserved: math.MaxUint32}}
	f.PeerCIDLen = uint8(copy(f.PeerCID[:], id[:]))
	f.Ciphers = f.Association.Ciphers()
	return f
}

func (f *far) seals(p mqttsn.Packet) []byte {
	f.t.Helper()
	octets, err := mqttsn.Append(nil, mqttsn.V12, p)
	if err != nil {
		f.t.Fatal(err)
	}
	b, err := f.Seal(f.Ciphers, nil, record.ApplicationData, octets)
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}

// opens is what a datagram says. Its number must be one that was never used.
func (f *far) opens(datagram []byte) mqttsn.Packet {
	f.t.Helper()
	r, _, err := record.Next(datagram, 0)
	if err != nil {
		f.t.Fatal(err)
	}
	got, err := f.Open(f.Ciphers, r)
	if err != nil {
		f.t.Fatalf("number %d: %v", r.Sequence, err)
	}
	p, err := mqttsn.Decode(mqttsn.V12, got.Octets)
	if err != nil {
		f.t.Fatal(err)
	}
	return p
}

// figure is one of the listener's.
func (l *life) figure(name string) (n uint64) {
	dtls.Each([]*dtls.Listener{l.secured}, func(is, _, label string, value uint64) {
		if is == name || is+"{"+label+"}" == name {
			n = value
		}
	})
	return n
}

// next is the next that comes.
func next[T any](t *testing.T, from chan T) (x T) {
	t.Helper()
	select {
	case x = <-from:
	case <-time.After(20 * time.Second):
		t.Fatal("nothing comes")
	}
	return x
}

// until waits for what has to be.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not in time: " + what)
		}
	}
}

// TestReplayedAfterACrash: a record that was acted upon before a crash and is
// replayed after it has had its effect once at most, whether the disk had all of
// it by then or nothing: nobody has seen anything of it, nor got an answer,
// before it was durable that it was received.
func TestReplayedAfterACrash(t *testing.T) {
	short := mqttsn.Topic{Kind: mqttsn.TopicShort, ID: 'a'<<8 | 'b'}
	type effect struct {
		packet   mqttsn.Packet
		says     bool // something to the application
		answered bool
	}
	effects := map[string]effect{
		"PUBLISH QoS 0":  {&mqttsn.Publish{Topic: short, Payload: []byte("m")}, true, false},
		"PUBLISH QoS 1":  {&mqttsn.Publish{QoS: 1, Topic: short, ID: 5, Payload: []byte("m")}, true, true},
		"PUBLISH QoS 2":  {&mqttsn.Publish{QoS: 2, Topic: short, ID: 5, Payload: []byte("m")}, true, true},
		"PUBLISH QoS -1": {&mqttsn.Publish{QoS: mqttsn.QoSMinusOne, Topic: short, Payload: []byte("m")}, true, false},
		"PINGREQ":        {&mqttsn.Pingreq{}, false, true},
		"SUBSCRIBE":      {&mqttsn.Subscribe{QoS: 1, ID: 5, Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte("c")}}, false, true},
		"DISCONNECT":     {&mqttsn.Disconnect{}, false, true},
	}
	for name, e := range effects {
		for _, percent := range []int{0, 100} {
			t.Run(fmt.Sprintf("%s, %d %% left", name, percent), func(t *testing.T) {
				t.Parallel()
				d := newSlowDisk(vfs.NewCrashableMem())
				f := plant(t, d)
				l := live(t, d)
				l.ether.in <- f.seals(&mqttsn.Connect{ProtocolID: 1, KeepAlive: time.Hour, ClientID: []byte("s")})
				if c, ok := f.opens(next(t, l.ether.out)).(*mqttsn.Connack); !ok || c.Reason != mqttsn.Accepted {
					t.Fatalf("%+v", c)
				}
				before := f.seals(&mqttsn.Pingreq{})
				l.ether.in <- bytes.Clone(before)
				f.opens(next(t, l.ether.out))

				l.disk.mu.Lock()
				opened := l.figure("dormouse_dtls_records_opened_total")
				said := f.seals(e.packet)
				l.ether.in <- bytes.Clone(said)
				until(t, "opened", func() bool { return l.figure("dormouse_dtls_records_opened_total") > opened })
				until(t, "on its way to the disk", func() bool { return l.disk.syncs.Load() > 0 })
				select {
				case b := <-l.ether.out:
					t.Errorf("it was answered %+v before it was durable that it was heard", f.opens(b))
				case m := <-l.seen:
					t.Errorf("%q came out before it was durable that it was heard", m)
				case <-time.After(20 * time.Millisecond): // that nothing comes can only be waited for
				}
				l = live(t, l.kill(percent))
				defer l.stop()

				for range 2 {
					l.ether.in <- bytes.Clone(before)
					l.ether.in <- bytes.Clone(said)
				}
				times, answers := -1, 0
				if percent == 0 && e.answered {
					f.opens(next(t, l.ether.out))
					answers++
				}
				l.ether.in <- f.seals(&mqttsn.Publish{QoS: mqttsn.QoSMinusOne, Topic: short, Payload: []byte("end")})
				for m := ""; m != "end"; times++ {
					m = next(t, l.seen)
				}
				for len(l.ether.out) > 0 {
					f.opens(next(t, l.ether.out))
					answers++
				}
				if most := 1 - percent/100; times > most || times == 0 && most == 1 && e.says || answers > most {
					t.Errorf("after the crash the application got it %d times and the sensor %d answers, of at most %d", times, answers, most)
				}
				if n := l.figure(`dormouse_dtls_records_dropped_total{reason="replayed"}`); n < 3 {
					t.Errorf("%d replays were refused", n)
				}
			})
		}
	}
}
